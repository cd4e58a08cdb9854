"""Boot modules that are not what they should be: one clear line, and what is whole is used."""
import os
import shutil

from viv import cpio, paths
from viv.testlib import test


def write(t, name, data):
    path = os.path.join(t.directory(), name)
    with open(path, "wb") as file:
        file.write(data)
    return path


def module(t, name, spoil):
    """An archive with three files, spoilt by a function from bytes to bytes."""
    archive = cpio.Archive()
    for file in ("a", "b", "c"):
        archive.file("extra/" + file, file.encode() * 1000)
    return write(t, name, spoil(archive.bytes()))


def see(t, path):
    return t.exec(["/bin/sh", "-c", "cd /extra && wc -c *"], overlays=[path])


@test()
def a_truncated_module_gives_what_is_whole(t):
    result = see(t, module(t, "cut.cpio", lambda data: data[:data.index(b"extra/c") + 500]))
    t.matches(result.log, r"initramfs: module1.cpio: corrupt at offset \d+ of \d+: c_filesize\s")
    t.matches(result.text, r"1000 a\r?\n +1000 b\r?\n +2000 total")


@test()
def a_corrupt_module_gives_what_is_before(t):
    result = see(t, module(t, "bad.cpio", lambda data: data.replace(b"extra/b\0", b"extra/bb")))
    t.matches(result.log, r"initramfs: module1.cpio: corrupt at offset \d+ of \d+: c_namesize\s")
    t.matches(result.text, r"1000 a\r?\n$")


@test()
def a_module_that_is_no_archive_is_named(t):
    result = t.exec(["/bin/echo", "on we go"], overlays=[write(t, "noise.cpio", bytes(range(256)) * 40)])
    t.matches(result.log, r"initramfs: module1.cpio: corrupt at offset 0 of 10240: c_magic\s")
    t.contains(result.text, "on we go")


@test()
def a_root_without_init_ends_the_machine_with_a_reason(t):
    tree = paths.Tree(t.directory())
    os.makedirs(tree.built(""), exist_ok=True)
    shutil.copy(paths.TREE.built("vivarium.elf32"), tree.built("vivarium.elf32"))
    with open(tree.built("root.cpio"), "wb") as file:
        file.write(b"")
    m = t.machine(tree=tree)
    m.wait()
    t.contains(m.log.data.decode(errors="replace"), "cannot run /sbin/init (errno 2)")
    t.true(not m.limited(), "the machine to end by itself")
