"""Debian's kernel as a guest with virtio devices: what it starts, for several tests."""
import glob
import os

from viv import cpio, debs

PROMPT = r"linux:\S* # "
MODULES = """
    virtio virtio_ring virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk virtio_console virtio-rng virtio_balloon
""".split()
INIT = b"""#!/bin/busybox sh
/bin/busybox mkdir -p /proc /sys /dev
/bin/busybox --install -s /bin
export PATH=/bin PS1='linux:\\w # '
mount -t proc proc /proc
mount -t sysfs sys /sys
mount -t devtmpfs dev /dev
for m in %s; do insmod /modules/$m.ko; done
. /job
poweroff -f
""" % " ".join(MODULES).encode()

# A job: a shell on the virtio console.
CONSOLE = b"setsid sh -c 'stty -onlcr </dev/hvc0; exec sh <>/dev/hvc0 >&0 2>&1'\n"


def files(t, job, random=b""):
    """What the guest is made of, as (host, path): Debian's kernel; busybox, the virtio modules and a job for init."""
    kernel = debs.linux("bookworm")
    tree = os.path.join(os.path.dirname(kernel), "../lib/modules/*/kernel/drivers")
    archive = cpio.Archive()
    archive.host("bin/busybox", "/bin/busybox")
    archive.file("init", INIT, 0o755)
    archive.file("job", job)
    archive.file("random", random)
    for name in MODULES:
        archive.host("modules/%s.ko" % name, glob.glob("%s/**/%s.ko" % (tree, name), recursive=True)[0])
    path = os.path.join(t.directory(), "initramfs.cpio")
    with open(path, "wb") as file:
        file.write(archive.bytes())
    return [(kernel, "/bzImage"), (path, "/initrd")]
