"""Runs one command inside a fresh machine: what `./viv exec`, the tests, the benches and the graders go through.

The command and added files travel as a second cpio over the RAM root: /etc/viv/exec holds the argument vector, each
word ended by a NUL. Input that is a file of known content travels as /etc/viv/stdin, byte for byte; any other input is
typed at the console as it comes.
"""
import os
import stat
import subprocess
import sys
import threading

from . import cpio, machine, paths, say

READY = b"viv: running"
EXIT_LIMIT = 124
EXIT_NO_STATUS = 125


class Result:
    """What a command did: `status` (None if it did not end by itself), `output`, `log`, and `reason` of the end."""

    def __init__(self, status, output, log, reason):
        self.status, self.output, self.log, self.reason = status, output, log, reason

    @property
    def text(self):
        return self.output.decode(errors="replace")


def overlay(directory, argv, adds=(), stdin=b""):
    """Writes the cpio that carries the command; `adds` are (host path, path inside). Returns its path."""
    archive = cpio.Archive()
    if argv:
        archive.file("etc/viv/exec", b"".join(word.encode() + b"\0" for word in argv))
    if stdin is not None:
        archive.file("etc/viv/stdin", stdin)
    for host, inside in adds:
        archive.host(inside, host)
    path = os.path.join(directory, "exec.cpio")
    with open(path, "wb") as file:
        file.write(archive.bytes())
    return path


def prepare(argv, adds=(), stdin=b"", **options):
    """A Machine, not started, that will run `argv`. `stdin` None leaves the console as the input."""
    target = machine.Machine(machine.Options(typed=stdin is None, **options))
    target.options.overlays.append(overlay(target.work.name, argv, adds, stdin))
    target.options.cmdline = ("viv.exec=/etc/viv/exec " + target.options.cmdline).strip()
    return target


def run(argv, adds=(), stdin=b"", **options):
    """Runs `argv` to its end and returns its Result."""
    with prepare(argv, adds, stdin, **options) as target:
        target.wait()
    return result(target)


def result(target):
    return Result(target.exit_status(), bytes(target.console.data), target.log.data.decode(errors="replace"),
                  target.reason())


# -- the command line -----------------------------------------------------------------------------
def parse_add(text):
    """HOSTFILE[:PATH] as (host, inside); without PATH the file lands in the root directory."""
    host, _, inside = text.rpartition(":") if ":" in text and not os.path.exists(text) else (text, "", "")
    inside = inside or "/" + os.path.basename(os.path.normpath(host))
    if not os.path.exists(host):
        raise say.Problem("--add: there is no %s" % host)
    return host, inside


def read_stdin():
    """(fixed input or None, whether to type what comes)."""
    try:
        mode = os.fstat(0).st_mode
    except OSError:
        return b"", False
    if stat.S_ISREG(mode):
        return sys.stdin.buffer.read(), False
    if stat.S_ISCHR(mode) and not os.isatty(0):
        return b"", False
    return (b"", False) if os.isatty(0) else (None, True)


def type_stdin(target):
    """Passes the host's input to the console as it comes, once the command runs; ends it with ^D."""
    target.wait_for(lambda: READY in target.log.data)
    at_line_start = True
    while True:
        data = os.read(0, 4096)
        if not data:
            break
        at_line_start = data.endswith(b"\n")
        target.send(data)
    target.send(b"\x04" if at_line_start else b"\x04\x04")


def write_through(stream):
    def write(data):
        try:
            stream.write(data)
            stream.flush()
        except BrokenPipeError:
            pass
    return write


def main(arguments):
    """`viv exec` after its options are parsed: returns the exit status."""
    fixed, typed = read_stdin()
    target = prepare(arguments.command, [parse_add(text) for text in arguments.add], fixed,
                     backend=arguments.backend, cpus=arguments.cpus, mem=arguments.mem, icount=arguments.icount,
                     limit=arguments.limit, cmdline=arguments.append, tree=paths.TREE)
    target.console.on_data = write_through(sys.stdout.buffer)
    target.log.on_data = write_through(sys.stderr.buffer)
    with target:
        if typed:
            threading.Thread(target=type_stdin, args=(target,), daemon=True).start()
        target.wait()
    status = target.exit_status()
    if status is not None:
        return status
    say.step("the command did not end: " + target.reason())
    if target.emulator_output().strip() and target.options.backend == "svm":
        say.step("QEMU said: " + target.emulator_output().strip().splitlines()[-1])
    return EXIT_LIMIT if target.limited() else EXIT_NO_STATUS


# -- the terminal ---------------------------------------------------------------------------------
def interactive(options, qemu_extra=()):
    """`viv run`: QEMU with its first serial line on this terminal. ^A x ends it, as in QEMU."""
    from . import qemu
    import tempfile
    with tempfile.TemporaryDirectory(prefix="viv.") as work:
        command = qemu.base_command(options)
        if options.iso:
            command += ["-cdrom", paths.TREE.built("vivarium.iso"), "-boot", "d"]
        else:
            command += qemu.boot_arguments(options, options.cmdline, work)
        command += ["-chardev", "stdio,id=con,mux=on,signal=off", "-serial", "chardev:con", "-mon", "chardev=con"]
        command += gdb_socket(paths.TREE)
        say.step("booting; 'poweroff' ends it, ^A x stops the emulator; ./viv gdb in another terminal debugs it")
        return min(1, subprocess.call(command + list(qemu_extra), cwd=work) & ~1)


def gdb_socket(tree):
    """QEMU's arguments for a debugger that comes later."""
    return ["-chardev", "socket,id=gdb,path=%s,server=on,wait=off" % tree.built("gdb.sock"),
            "-gdb", "chardev:gdb"]
