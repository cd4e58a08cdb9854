"""`./viv gdb`: GDB with symbols, on the kernel that `./viv run` runs, or on a fresh one stopped at its start."""
import os
import socket
import subprocess
import tempfile
import time

from . import exec as run
from . import machine, paths, qemu, say


def alive(path):
    """True if an emulator listens for a debugger at `path`."""
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(os.path.relpath(path))
            return True
        except OSError:
            return False


def debugger(extra):
    command = ["gdb", "-q", paths.TREE.elf, "-ex", "set architecture i386:x86-64", "-ex", "set pagination off",
               "-ex", "target remote %s" % os.path.relpath(paths.TREE.built("gdb.sock"))]
    script = os.path.join(paths.ROOT, "tools/gdb/vivarium.py")
    if os.path.exists(script):
        command += ["-ex", "source " + script]
    return subprocess.call(command + extra)


def main(argv):
    if alive(paths.TREE.built("gdb.sock")):
        say.step("on the running kernel; 'detach' lets it run on")
        return debugger(argv)
    say.step("no ./viv run here: starting a kernel of its own, stopped; its console goes to build/gdb.console")
    options = machine.Options(cpus=2)
    with tempfile.TemporaryDirectory(prefix="viv.") as work:
        command = qemu.base_command(options) + qemu.boot_arguments(options, "", work)
        command += ["-serial", "file:" + paths.TREE.built("gdb.console"), "-S"] + run.gdb_socket(paths.TREE)
        with subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True, cwd=work) as emulator:
            try:
                while emulator.poll() is None and not alive(paths.TREE.built("gdb.sock")):
                    time.sleep(0.05)
                return debugger(["-ex", "hbreak kernel_main"] + argv)
            finally:
                emulator.kill()
