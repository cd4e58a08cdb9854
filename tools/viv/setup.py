"""Set-up: the Debian packages that building and running need, and a Bochs with VT-x."""
import os
import re
import shutil
import subprocess
import tempfile

from . import debs, paths, say

PACKAGES = """
    gcc libc6-dev binutils make xz-utils linux-libc-dev newlib-source busybox-static zlib1g-dev libmd-dev libjsmn-dev
    qemu-system-x86 grub-pc-bin grub-common xorriso mtools gdb clang-format umoci skopeo seabios
""".split()

# Debian 12's own Bochs has no VT-x. Debian 13's runs on Debian 12 with the C library beside it and these libraries of 12's.
BOCHS_PARTS = "bochs bochs-term bochsbios libc6 libgcc-s1 libstdc++6".split()
BOCHS_HOST_LIBS = """
    libgtk-3-0 libltdl7 libreadline8 libsamplerate0 libasound2 libpulse0 libncurses6 seabios
""".split()
BOCHS_SUITE = "trixie"
BOCHS_VERSION = "3.0"
LIB = "usr/lib/x86_64-linux-gnu"


class Bochs:
    """How to start Bochs: the command, its environment, and where its BIOS is."""

    def __init__(self, command, share, env=None):
        self.command, self.share, self.env = command, share, dict(env or {})


def debian_release():
    """The major release of Debian (12, 13, ...), or None on any other system."""
    try:
        with open("/etc/os-release", encoding="utf-8") as file:
            values = dict(line.rstrip().split("=", 1) for line in file if "=" in line)
    except OSError:
        return None
    version = values.get("VERSION_ID", "").strip('"')
    if values.get("ID") != "debian":
        return None
    return int(version) if version.isdigit() else 99


def missing(packages):
    """Those of `packages` that are not installed."""
    query = subprocess.run(["dpkg-query", "-W", "-f", "${Package} ${db:Status-Status}\n"] + packages,
                           capture_output=True, text=True)
    have = {line.split()[0] for line in query.stdout.splitlines() if line.endswith(" installed")}
    return [name for name in packages if name not in have]


def as_root(command):
    if os.geteuid() == 0:
        return command
    if shutil.which("sudo"):
        return ["sudo"] + command
    raise say.Problem("packages are missing and neither root nor sudo is here; as root run: "
                      "apt-get install " + " ".join(missing(PACKAGES)))


def apt(arguments, text):
    """Runs apt-get with a meter; raises a Problem with its last error line."""
    command = as_root(["env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-q", "-y",
                       "-o", "Dpkg::Use-Pty=0"] + arguments)
    meter = say.Meter(text)
    total = done = 0
    with tempfile.TemporaryFile("w+") as errors_file:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=errors_file,
                                   text=True, errors="replace")
        for line in process.stdout:
            found = re.match(r"(\d+) upgraded, (\d+) newly", line)
            if found:
                total = 3 * (int(found.group(1)) + int(found.group(2)))
            elif total and re.match(r"Get:|Unpacking |Setting up ", line):
                done += 1
                meter.show(100 * done / total)
        process.wait()
        errors_file.seek(0)
        errors = errors_file.read()
    meter.done()
    if process.returncode != 0:
        found = re.findall(r"^E: (.*)$", errors, re.M)
        raise say.Problem("apt-get %s failed (%s): check the network and /etc/apt/sources.list, then run ./viv setup"
                          % (arguments[0], found[0] if found else errors.strip()[-200:]))


def install(packages):
    wanted = missing(packages)
    if not wanted:
        return
    say.step("installing %d packages: %s" % (len(wanted), " ".join(wanted)))
    say.step("reading the package lists")
    apt(["update"], "")
    apt(["install", "--no-install-recommends"] + wanted, "installing packages")
    if missing(wanted):
        raise say.Problem("still missing: %s: run 'apt-get install' for them by hand" % " ".join(missing(wanted)))


def check_qemu():
    """QEMU must have SVM with nested paging under TCG."""
    command = ["qemu-system-x86_64", "-accel", "tcg", "-cpu", "qemu64,+svm,+npt,enforce", "-S", "-nodefaults",
               "-display", "none", "-monitor", "stdio"]
    done = subprocess.run(command, input="quit\n", capture_output=True, text=True, timeout=60)
    if done.returncode != 0:
        raise say.Problem("this QEMU has no SVM with nested paging: install Debian's qemu-system-x86 (7.2 or later)")


def bochs_if_there():
    """The Bochs with VT-x, or None when it is not installed yet."""
    prefix = os.path.join(paths.CACHE, "bochs-" + BOCHS_VERSION)
    if os.path.exists(os.path.join(prefix, ".complete")):
        libraries = os.path.join(prefix, LIB)
        loader = os.path.join(libraries, "ld-linux-x86-64.so.2")
        if not os.path.exists(loader):
            loader = os.path.join(prefix, "lib64/ld-linux-x86-64.so.2")
        share = os.path.join(prefix, "usr/share/bochs")
        search = ":".join([libraries, "/" + LIB, "/lib/x86_64-linux-gnu"])
        return Bochs([loader, "--library-path", search, os.path.join(prefix, "usr/bin/bochs-bin")], share,
                     {"LTDL_LIBRARY_PATH": os.path.join(libraries, "bochs/plugins"), "BXSHARE": share})
    if debian_release() and debian_release() >= 13 and not missing(["bochs", "bochs-term", "bochsbios"]):
        return Bochs(["/usr/bin/bochs-bin" if os.path.exists("/usr/bin/bochs-bin") else "/usr/bin/bochs"],
                     "/usr/share/bochs", {"BXSHARE": "/usr/share/bochs"})
    return None


def ensure_bochs():
    """The Bochs with VT-x, installed if need be."""
    release = debian_release()
    if release is not None and release >= 13:
        install(["bochs", "bochs-term", "bochsbios", "seabios"])
    elif release is not None:
        install(BOCHS_HOST_LIBS)
        if bochs_if_there() is None:
            say.step("fetching Bochs %s (VT-x) from Debian 13 into %s" % (BOCHS_VERSION, paths.CACHE))
            debs.cached("bochs-" + BOCHS_VERSION, BOCHS_SUITE,
                        lambda apt, directory: apt.unpack(BOCHS_PARTS, directory))
    found = bochs_if_there()
    if found is None:
        raise say.Problem("the vmx backend needs Bochs %s with VT-x: use Debian 12 or 13" % BOCHS_VERSION)
    return found


def ensure(bochs=False):
    """Everything that a build and a run need; quick when all is there."""
    if debian_release() is None:
        tools = [name for name in ("gcc", "make", "qemu-system-x86_64", "grub-mkrescue") if not shutil.which(name)]
        if tools:
            raise say.Problem("this is not Debian, and %s is missing: install it, or use Debian 12 or 13" % tools[0])
    else:
        wanted = missing(PACKAGES)
        install(PACKAGES)
        if wanted:
            check_qemu()
    if bochs:
        ensure_bochs()
