"""Builds a tree with make, with little to read when all goes well."""
import os
import subprocess
import sys

from . import paths, say


def make(*targets, tree=None, quiet=False):
    """Runs make; raises a Problem with the errors when it fails. Shows make's lines unless `quiet`."""
    tree = tree or paths.TREE
    command = ["make", "--no-print-directory", "-C", tree.root, "-j%d" % max(2, os.cpu_count() or 2)] + list(targets)
    done = subprocess.run(command, stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE if quiet else sys.stderr, stderr=subprocess.STDOUT if quiet else None)
    if done.returncode != 0:
        if quiet:
            print("\n".join(done.stdout.splitlines()[-30:]), file=sys.stderr)
        raise say.Problem("the build failed: see the first error above")
