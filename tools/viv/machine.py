"""A machine that runs Vivarium in an emulator: started, typed at, read, and ended.

A Machine has two serial lines: `console` (COM1, what programs read and write) and `log` (COM2, the kernel's messages).
Both are collected by one thread. All waiting ends when the text is there, when the machine has ended, or, as the last
resort, when the wall-clock limit is over; the real limit is the kernel's own, in guest time (viv.limit).
"""
import os
import re
import selectors
import socket
import subprocess
import tempfile
import threading
import time

from . import paths, say

LIMIT_MESSAGE = b"guest seconds reached"
START_DATE = "2026-01-01T00:00:00"  # what a machine's calendar says where its time is counted, not the host's
STATUS = re.compile(rb"viv: exit status (\d+)")


class Options:
    """What a machine is made of.

    `limit` is in guest seconds; `typed`: somebody may send() to its console; `parallel`: QEMU gives each CPU a thread.
    Without it CPUs take turns: QEMU (7.2 to 10.0) restores x87 state with an unlocked write to the first CPU's flags
    (cpu_clear_ignne), and a world switch there can lose its own change of them.
    `link`: a connected socket for the second serial line, which is /dev/ttyS1 then; the log goes to the console.
    """

    def __init__(self, backend="svm", cpus=1, mem=512, icount=None, limit=120, cmdline="", overlays=(), tree=None,
                 iso=False, gdb=False, paused=False, wall=None, cpu="max", typed=True, parallel=False, link=None):
        self.backend, self.cpus, self.mem, self.icount = backend, cpus, mem, icount
        self.limit, self.cmdline, self.overlays = limit, cmdline, list(overlays)
        self.tree = tree or paths.TREE
        self.iso = iso or backend == "vmx"
        self.gdb, self.paused, self.cpu, self.typed = gdb, paused, cpu, typed
        self.parallel, self.link = parallel, link
        self.wall = wall or 60 + (limit or 0) * (40 if backend == "vmx" else 5)

    def full_cmdline(self):
        words = [] if self.link else ["viv.log=ttyS1"]
        if self.limit:
            words.append("viv.limit=%d" % self.limit)
        words.append("viv.panic=off")
        return " ".join(words + self.cmdline.split())


class Line:
    """One serial line: all that came out of it so far, and a way in."""

    def __init__(self, name):
        self.name, self.data, self.sock, self.file, self.on_data = name, bytearray(), None, None, None
        self.seen = 0  # expect() looks behind this position


class Machine:
    """Runs from start() to end(); `with Machine(options) as m:` does both."""

    def __init__(self, options=None, **kwargs):
        self.options = options or Options(**kwargs)
        self.console = Line("console")
        self.log = self.console if self.options.link else Line("log")
        self.process = None
        self.changed = threading.Condition()
        self.ended = False
        self.work = tempfile.TemporaryDirectory(prefix="viv.")
        self.deadline = None
        self.wall_hit = False

    # -- life ------------------------------------------------------------------------------------
    def start(self):
        from . import bochs, qemu  # each knows how to start its emulator
        (bochs if self.options.backend == "vmx" else qemu).launch(self)
        self.deadline = time.monotonic() + self.options.wall
        self.pump_thread = threading.Thread(target=self._pump, daemon=True)
        self.pump_thread.start()
        return self

    def __enter__(self):
        return self.start()

    def __exit__(self, *_):
        self.end()

    def end(self):
        """Stops the emulator if it still runs. The collected text stays."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        if self.process:
            self.pump_thread.join(10)
            self.emulator_said = self.emulator_output()
            self.errors.close()
        for line in (self.console, self.log):
            for end in (line.sock, line.file):
                if end:
                    end.close()
            line.sock = line.file = None
        self.work.cleanup()

    def spawn(self, command, env=None, pass_fds=()):
        self.errors = open(os.path.join(self.work.name, "emulator.log"), "w+b")
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
                                        cwd=self.work.name, env=dict(os.environ, **(env or {})), pass_fds=pass_fds)

    def emulator_output(self):
        """What the emulator itself printed."""
        if self.errors.closed:
            return self.emulator_said
        self.errors.seek(0)
        return self.errors.read().decode(errors="replace")

    # -- reading ---------------------------------------------------------------------------------
    def _pump(self):
        if self.console.file:
            self._follow_files()
        else:
            self._follow_sockets()
        self.process.wait()
        with self.changed:
            self.ended = True
            self.changed.notify_all()

    def _check_deadline(self):
        if time.monotonic() > self.deadline and self.process.poll() is None:
            self.wall_hit = True
            self.process.kill()

    def _follow_sockets(self):
        chooser = selectors.DefaultSelector()
        for line in {self.console, self.log}:
            line.sock.setblocking(False)
            chooser.register(line.sock, selectors.EVENT_READ, line)
        while chooser.get_map():
            for key, _ in chooser.select(1):
                try:
                    data = key.fileobj.recv(65536)
                except BlockingIOError:
                    continue
                except OSError:
                    data = b""
                if not data:
                    chooser.unregister(key.fileobj)
                else:
                    self._arrived(key.data, data)
            self._check_deadline()

    def _follow_files(self):
        """Reads what the emulator appends to its files until it has ended."""
        ended = False
        while not ended:
            ended = self.process.poll() is not None
            for line in (self.console, self.log):
                data = line.file.read()
                if data:
                    self._arrived(line, data)
            self._check_deadline()
            time.sleep(0.01)

    def _arrived(self, line, data):
        with self.changed:
            line.data += data
            if line.on_data:
                line.on_data(data)
            self.changed.notify_all()

    def wait_for(self, ready):
        """Waits until ready() is true or the machine has ended. Returns what ready() says at last."""
        with self.changed:
            while True:
                value = ready()
                if value or self.ended:
                    return value
                self.changed.wait()

    def wait(self):
        """Waits for the end of the machine."""
        self.wait_for(lambda: False)

    def expect(self, pattern, line=None):
        """Waits for a regular expression on the console (or `line`) behind the last match; returns the match.

        Raises AssertionError with the text that came instead when the machine ends first.
        """
        line = line or self.console
        wanted = re.compile(pattern.encode() if isinstance(pattern, str) else pattern)
        match = self.wait_for(lambda: wanted.search(line.data, line.seen))
        if match is None:
            raise AssertionError("expected %r on the %s, but the machine ended (%s); it said: %s"
                                 % (pattern, line.name, self.reason(), show_tail(line.data[line.seen:])))
        line.seen = match.end()
        return match

    def limited(self):
        """True if a limit, of guest time or of wall-clock time, has ended the machine."""
        return self.wall_hit or LIMIT_MESSAGE in self.log.data

    def reason(self):
        """Why the machine has ended, in a few words."""
        if self.wall_hit:
            return "wall-clock limit of %d s hit" % self.options.wall
        if LIMIT_MESSAGE in self.log.data:
            return "limit of %d guest seconds reached" % self.options.limit
        panic = re.search(rb"panic:? [^\n]*", self.log.data)
        if panic:
            return panic.group().decode(errors="replace")
        if self.process.poll() is None:
            return "still runs"
        said = self.emulator_output().strip().splitlines()
        return "ended without a reason" + (", the emulator said: " + said[-1] if said else "")

    def exit_status(self):
        """The status of the command that viv.exec ran, or None."""
        found = STATUS.findall(self.log.data)
        return int(found[-1]) if found else None

    # -- writing ---------------------------------------------------------------------------------
    def send(self, text):
        """Types at the console. Long text waits for the guest to take it."""
        data = text.encode() if isinstance(text, str) else bytes(text)
        while data and self.process.poll() is None:
            try:
                data = data[self.console.sock.send(data[:256]):]
            except BlockingIOError:
                time.sleep(0.005)
            except OSError:
                return

    def command(self, text, prompt):
        """Types a line at a shell and returns what it printed before the next prompt."""
        self.send(text + "\n")
        start = self.expect(re.escape(text) + r"\r?\n").end()
        match = self.expect(prompt)
        return bytes(self.console.data[start:match.start()]).decode(errors="replace").replace("\r\n", "\n")


def show_tail(data, lines=20):
    text = bytes(data).decode(errors="replace").replace("\r", "")
    return "\n    ".join([""] + text.splitlines()[-lines:]) or "(nothing)"


SO_SNDBUFFORCE = 32  # socket(7); Python has no name for it
LINE_BUFFER = 1 << 28


def connected_pair():
    """Two ends of a local stream: ours, and one for the emulator.

    QEMU sends byte by byte, and the kernel counts some 700 bytes for each: the usual buffer is full after 278 of them. An
    emulator that has to wait for us is late in guest time, and no two counted runs are the same.
    """
    ours, theirs = socket.socketpair()
    for end in (ours, theirs):
        try:
            end.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, LINE_BUFFER)
        except PermissionError:  # only root may pass the system's limit
            end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, LINE_BUFFER)
    theirs.set_inheritable(True)
    return ours, theirs


def check_built(tree):
    if not os.path.exists(tree.kernel) or not os.path.exists(tree.initrd):
        raise say.Problem("no kernel in %s: run ./viv build" % tree.build)
