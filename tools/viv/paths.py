"""Where things are: the tree, what is built in it, and the cache beside it."""
import os

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
CACHE = os.path.join(os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "vivarium")


class Tree:
    """One source tree and what its build makes. Graders have more than one."""

    def __init__(self, root=ROOT):
        self.root = root
        self.build = os.path.join(root, "build")

    def built(self, *names):
        return os.path.join(self.build, *names)

    @property
    def elf(self):
        return self.built("vivarium.elf")

    @property
    def kernel(self):
        return self.built("vivarium.elf32")

    @property
    def initrd(self):
        return self.built("root.cpio")


TREE = Tree()
