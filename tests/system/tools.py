"""What people type on the host: ./viv itself, with its exit statuses and its one-line problems."""
import os
import re
import subprocess
import sys

from viv import cpio, gdbstub, guestcall, paths
from viv.testlib import BOTH, test

VIV = [sys.executable, "-B", os.path.join(paths.ROOT, "viv")]


def viv(*words, **options):
    return subprocess.run(VIV + list(words), capture_output=True, timeout=600, **options)


@test()
def exec_keeps_output_and_kernel_messages_apart(t):
    done = viv("exec", "--", "/bin/sh", "-c", "echo out; exit 5", stdin=subprocess.DEVNULL)
    t.equal((done.stdout, done.returncode), (b"out\n", 5), "standard output and status")
    t.contains(done.stderr, b"viv: exit status 5")


@test()
def exec_passes_a_pipe_as_it_comes(t):
    with subprocess.Popen(VIV + ["exec", "--", "/bin/sh", "-c", "read a; echo got $a; read b; echo got $b; cat"],
                          stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        process.stdin.write(b"first\n")
        process.stdin.flush()
        t.equal(process.stdout.readline(), b"got first\n", "answer to the first line")
        out, _ = process.communicate(b"second\nthird\n", timeout=300)
    t.equal((out, process.returncode), (b"got second\nthird\n", 0), "the rest, and the status")


@test()
def exec_says_so_when_a_limit_ends_it(t):
    done = viv("exec", "--limit", "2", "--", "sleep", "100", stdin=subprocess.DEVNULL)
    t.equal(done.returncode, 124, "status")
    t.contains(done.stderr, b"limit of 2 guest seconds reached")


@test()
def problems_are_one_line_that_says_what_to_do(t):
    for words, wanted in ((["exec", "--add", "/no/such/file", "--", "ls"], b"there is no /no/such/file"),
                          (["grade", "77", "."], b"there is no lab 77"),
                          (["lab", "start", "1", paths.ROOT], b"name a new directory"),
                          (["no-such-command"], b"./viv help"),
                          (["exec", "--backend", "vmx", "--icount", "1", "--", "ls"], b"leave it out")):
        done = viv(*words, stdin=subprocess.DEVNULL)
        t.true(done.returncode != 0, "a status that is not 0 from viv %s" % " ".join(words))
        t.contains(done.stderr, wanted)
        t.equal(done.stderr.strip().count(b"\n"), 0, "line ends in the message of viv %s" % " ".join(words))


@test(backends=BOTH)
def demo_shows_three_worlds_that_agree(t):
    result = t.exec(["/bin/demo", "10"], cpus=2, limit=300)
    t.contains(result.text, "The three results agree.")
    t.equal(result.status, 0, "status")
    for kind in ("process", "container", "machine"):
        t.matches(result.text, r"^%s +[0-9.]+ +[0-9]+ +[0-9.]+ +[0-9.]+ +[0-9a-f]+" % kind)


@test()
def a_debugger_sees_the_kernel_with_symbols(t):
    m = t.machine(gdb=True)
    m.expect(t.PROMPT)
    done = subprocess.run(["gdb", "-q", "-batch", paths.TREE.elf, "-ex", "target remote " + m.gdb_path,
                           "-ex", "source " + os.path.join(paths.ROOT, "tools/gdb/vivarium.py"),
                           "-ex", "print frame_free_count", "-ex", "viv-walk 0xffff888000000000", "-ex", "backtrace"],
                          capture_output=True, text=True, timeout=120)
    t.contains(done.stdout, "frame_free_count")
    t.matches(done.stdout, r"^PML4 +0x")


@test()
def memory_is_read_from_outside_as_the_cpu_maps_it(t):
    m = t.machine(gdb=True)
    m.expect(t.PROMPT)
    stub = gdbstub.GdbStub(m.gdb_path)
    symbols = guestcall.read_symbols(paths.TREE.elf)
    address = symbols["syscall_entry"]
    entries = stub.walk(stub.registers()["cr3"], address)
    mask = (1 << (12 + 9 * (4 - len(entries)))) - 1
    physical = (entries[-1] & 0x000ffffffffff000 & ~mask) | (address & mask)
    t.equal(stub.read_physical(physical, 32), stub.read(address, 32), "the bytes of syscall_entry")
    stub.resume()
    t.equal(m.command("echo on", t.PROMPT), "on\n", "what the shell says after the look")


def _boot_with_initrd(t, data):
    """A machine whose first module is `data`; returns its log when it has ended."""
    tree = paths.Tree(t.directory())
    os.makedirs(tree.build, exist_ok=True)
    for source, target in ((paths.TREE.kernel, tree.kernel), (paths.TREE.elf, tree.elf)):
        if not os.path.exists(target):
            os.symlink(source, target)
    with open(tree.initrd, "wb") as file:
        file.write(data)
    m = t.machine(tree=tree, limit=20)
    m.wait()
    return m.log.data.decode(errors="replace")


@test()
def a_truncated_module_is_named_and_what_came_before_is_there(t):
    with open(paths.TREE.initrd, "rb") as file:
        whole = file.read()
    log = _boot_with_initrd(t, whole[:len(whole) // 2])
    t.matches(log, r"initramfs: root\.cpio: .*(truncated|ends|cut|corrupt|bad)")


@test()
def a_corrupt_init_is_named(t):
    archive = cpio.Archive()
    archive.file("sbin/init", b"\x7fELF" + bytes(60), 0o755)
    t.matches(_boot_with_initrd(t, archive.bytes()), r"/sbin/init")


@test()
def a_machine_without_a_root_says_so(t):
    t.matches(_boot_with_initrd(t, b"this is no archive" * 100), r"initramfs|/sbin/init")


@test()
def bench_prints_every_figure(t):
    done = viv("bench", stdin=subprocess.DEVNULL)
    t.equal(done.returncode, 0, "status")
    text = done.stdout.decode()
    for what in ("boot: kernel's start to the first program", "null system call", "fork, exit, wait", "fork, exec, wait",
                 "pipe round trip", "page fault, anonymous", "context switch", "CPUID exit", "port I/O exit to user space",
                 "container, start to first instruction", "container, start to end", "create a VM, to its first exit"):
        t.matches(text, r"^%s.*  [1-9][0-9,]*( |$)" % re.escape(what), "figures")
