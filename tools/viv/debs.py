"""Files out of Debian packages that are not installed: unpacked into the cache, from any suite.

apt works with a private state, so that the system's own lists and packages stay as they are.
"""
import fcntl
import glob
import os
import re
import shutil
import subprocess

from . import paths, say

KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"


def mirror():
    """The Debian mirror that this machine's apt already uses."""
    lines = subprocess.run(["apt-get", "indextargets", "--format", "$(REPO_URI)|$(ORIGIN)|$(LABEL)"],
                           capture_output=True, text=True).stdout.splitlines()
    for line in lines:
        uri, origin, label = line.split("|")
        if origin == "Debian" and label == "Debian":
            return uri
    raise say.Problem("apt names no Debian mirror: run 'apt-get update' as root, then ./viv setup")


class Suite:
    """A private apt for one suite of Debian, in the directory `work`."""

    def __init__(self, name, work):
        self.name, self.work = name, work
        shutil.rmtree(work, ignore_errors=True)
        for directory in ("lists/partial", "cache/archives/partial", "debs"):
            os.makedirs(os.path.join(work, directory))
        with open(os.path.join(work, "sources.list"), "w", encoding="utf-8") as file:
            file.write("deb [signed-by=%s] %s %s main\n" % (KEYS, mirror(), name))
        self.run("apt-get", "update")

    def run(self, program, *arguments):
        options = ["-o", "Dir::Etc::sourcelist=%s/sources.list" % self.work, "-o", "Dir::Etc::sourceparts=-",
                   "-o", "Dir::State::lists=%s/lists" % self.work, "-o", "Dir::Cache=%s/cache" % self.work,
                   "-o", "APT::Sandbox::User=root", "-o", "Acquire::Languages=none"]
        done = subprocess.run([program, "-q"] + options + list(arguments), cwd=os.path.join(self.work, "debs"),
                              capture_output=True, text=True)
        if done.returncode != 0:
            raise say.Problem("cannot fetch %s from Debian's %s (%s): check the network, then try again"
                              % (" ".join(arguments[1:]) or "the package lists", self.name,
                                 (done.stderr.strip().splitlines() or ["no message"])[-1]))
        return done.stdout

    def dependency(self, package, pattern):
        """The first package that `package` depends on and whose name matches."""
        text = self.run("apt-cache", "depends", package)
        found = re.search(r"Depends: (%s)$" % pattern, text, re.M)
        if not found:
            raise say.Problem("%s of Debian's %s depends on no %s" % (package, self.name, pattern))
        return found.group(1)

    def unpack(self, packages, directory):
        self.run("apt-get", "download", *packages)
        for deb in sorted(glob.glob(os.path.join(self.work, "debs", "*.deb"))):
            subprocess.run(["dpkg", "-x", deb, directory], check=True)


def cached(name, suite, fill):
    """The cache's directory `name`; when it is not there, fill(Suite, directory) makes it. Whoever comes meanwhile waits."""
    directory = os.path.join(paths.CACHE, name)
    mark = os.path.join(directory, ".complete")
    os.makedirs(paths.CACHE, exist_ok=True)
    with open(directory + ".lock", "w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(mark):
            return directory
        shutil.rmtree(directory, ignore_errors=True)
        work = directory + ".apt"
        try:
            fill(Suite(suite, work), directory)
        finally:
            shutil.rmtree(work, ignore_errors=True)
        with open(mark, "w", encoding="utf-8"):
            pass
    return directory


def linux(suite):
    """Debian's cloud kernel of a suite: the path of its bzImage. Its modules are in ../lib/modules."""
    def fill(apt, directory):
        apt.unpack([apt.dependency("linux-image-cloud-amd64", r"linux-image-\d\S+-cloud-amd64")], directory)
    return glob.glob(os.path.join(cached("linux-" + suite, suite, fill), "boot/vmlinuz-*"))[0]


def memtest():
    """Debian's memtest86+ for 64-bit machines: a kernel by Linux's boot protocol."""
    def fill(apt, directory):
        apt.unpack(["memtest86+"], directory)
    return os.path.join(cached("memtest", "bookworm", fill), "boot/memtest86+x64.bin")


def kvm_selftests(suite):
    """Linux's own tests of its KVM, out of a suite's linux-source: the directory that their Makefile is in."""
    wanted = """
        tools/testing/selftests/kvm tools/testing/selftests/rseq
        tools/testing/selftests/kselftest.h tools/testing/selftests/kselftest_harness.h
        tools/include tools/arch/x86/include tools/lib/rbtree.c
    """.split()

    def fill(apt, directory):
        package = apt.dependency("linux-source", r"linux-source-\d\S+")
        apt.unpack([package], apt.work)
        os.makedirs(directory)
        subprocess.run(["tar", "-xJf", glob.glob(os.path.join(apt.work, "usr/src/*.tar.xz"))[0], "-C", directory,
                        "--strip-components=1"] + ["%s/%s" % (package, path) for path in wanted], check=True)
    return os.path.join(cached("kvm-selftests-" + suite, suite, fill), "tools/testing/selftests/kvm")
