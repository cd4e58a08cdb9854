"""Writes cpio archives (newc): the kernel's root file system, and what `viv exec --add` puts over it.

The same input gives the same bytes: owner root, time 0, names in order.
Run as a program (the Makefile does): cpio.py OUT ITEM..., where an ITEM is
    PATH=HOST      the host's file or whole directory HOST as PATH
    PATH/          an empty directory
    PATH->TARGET   a symbolic link
    @HOST          what `HOST --list-full` of busybox says, as links beside it in /bin
"""
import os
import stat
import subprocess
import sys


class Archive:
    """A tree of entries by path (no slash in front), written in one go."""

    def __init__(self):
        self.entries = {}

    def _put(self, path, mode, data):
        path = path.strip("/")
        parent = os.path.dirname(path)
        if parent and parent not in self.entries:
            self.directory(parent)
        self.entries[path] = (mode, data)

    def directory(self, path):
        if path.strip("/"):
            mode = 0o1777 if path.strip("/") == "tmp" else 0o755
            self._put(path, stat.S_IFDIR | mode, b"")

    def link(self, path, target):
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def file(self, path, data, mode=0o644):
        self._put(path, stat.S_IFREG | mode, data)

    def host(self, path, host):
        """Adds the host's file, link or directory `host`, and all below it, as `path`."""
        mode = os.lstat(host).st_mode
        if stat.S_ISLNK(mode) and not os.path.isfile(host):
            self.link(path, os.readlink(host))
        elif stat.S_ISDIR(mode):
            self.directory(path)
            for name in sorted(os.listdir(host)):
                self.host(os.path.join(path, name), os.path.join(host, name))
        else:
            with open(host, "rb") as file:
                self.file(path, file.read(), 0o755 if os.access(host, os.X_OK) else 0o644)

    def bytes(self):
        out = bytearray()
        for number, (path, (mode, data)) in enumerate(sorted(self.entries.items()), 1):
            _record(out, number, path, mode, data)
        _record(out, 0, "TRAILER!!!", 0, b"")
        return bytes(out)


def _record(out, inode, path, mode, data):
    name = path.encode() + b"\0"
    fields = (inode, mode, 0, 0, 1, 0, len(data), 0, 0, 0, 0, len(name), 0)
    out += b"070701" + b"".join(b"%08X" % value for value in fields) + name
    out += bytes(-len(out) % 4)
    out += data
    out += bytes(-len(out) % 4)


def _item(archive, item):
    if item.startswith("@"):
        listing = subprocess.run([item[1:], "--list"], check=True, capture_output=True, text=True)
        for name in listing.stdout.split():
            if "bin/" + name not in archive.entries and name != "busybox":
                archive.link("bin/" + name, "busybox")
    elif "->" in item:
        archive.link(*item.split("->", 1))
    elif "=" in item:
        archive.host(*item.split("=", 1))
    else:
        archive.directory(item)


def main(argv):
    archive = Archive()
    for item in sorted(argv[1:], key=lambda item: item.startswith("@")):
        _item(archive, item)
    with open(argv[0] + ".new", "wb") as file:
        file.write(archive.bytes())
    os.replace(argv[0] + ".new", argv[0])


if __name__ == "__main__":
    main(sys.argv[1:])
