"""How the tools talk to people: progress and one-line problems on standard error."""
import sys


class Problem(Exception):
    """Something that the user can mend; the message, one line, says what to do."""


def step(text):
    """Shows that a long step begins."""
    print("viv: " + text, file=sys.stderr, flush=True)


class Meter:
    """A percentage that moves: in place on a terminal, a line every quarter elsewhere."""

    def __init__(self, text):
        self.text, self.shown = text, -1
        self.tty = sys.stderr.isatty()

    def show(self, percent):
        percent = min(100, int(percent))
        if percent <= self.shown or (not self.tty and percent < self.shown + 25):
            return
        self.shown = percent
        start, end = ("\r", "") if self.tty else ("", "\n")
        print("%sviv: %s %3d %%" % (start, self.text, percent), end=end, file=sys.stderr, flush=True)

    def done(self):
        if self.tty and self.shown >= 0:
            print(file=sys.stderr, flush=True)
