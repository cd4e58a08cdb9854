"""How the tools talk to people: progress and one-line problems on standard error."""
import sys


class Problem(Exception):
    """Something that the user can mend; the message says what to do."""


def step(text):
    """Shows that a long step begins."""
    print("viv: " + text, file=sys.stderr, flush=True)
