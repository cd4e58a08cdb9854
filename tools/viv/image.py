"""Makes the boot image: an ISO that GRUB boots, with the kernel, its command line and its modules.

Run as a program (the Makefile does): image.py OUT KERNEL CMDLINE MODULE...
"""
import os
import shutil
import subprocess
import sys
import tempfile

from . import say

GRUB_PC = "/usr/lib/grub/i386-pc"
SERIAL = """serial --unit=0 --speed=115200
terminal_input serial console
terminal_output serial console
"""
CONFIG = """set timeout=0
menuentry "Vivarium" {{
    multiboot /boot/vivarium.elf {cmdline}
{modules}
    boot
}}
"""


def make_iso(out, kernel, cmdline, modules, serial=False):
    """Writes the ISO `out`; `modules` are host files, given to the kernel in this order.

    With `serial` GRUB talks on COM1 too; without, COM1 is the kernel's alone from its first byte on.
    """
    with tempfile.TemporaryDirectory(prefix="viv-iso.") as tree:
        boot = os.path.join(tree, "boot")
        os.makedirs(os.path.join(boot, "grub"))
        shutil.copyfile(kernel, os.path.join(boot, "vivarium.elf"))
        lines = []
        for number, module in enumerate(modules):
            name = "root.cpio" if number == 0 else "module%d.cpio" % number
            shutil.copyfile(module, os.path.join(boot, name))
            lines.append("    module /boot/%s %s" % (name, name))
        with open(os.path.join(boot, "grub", "grub.cfg"), "w", encoding="utf-8") as file:
            file.write((SERIAL if serial else "") + CONFIG.format(cmdline=cmdline, modules="\n".join(lines)))
        command = ["grub-mkrescue", "-d", GRUB_PC, "--locales=", "--fonts=", "--themes=", "--compress=no",
                   "--install-modules=multiboot normal configfile serial terminal iso9660 biosdisk part_msdos",
                   "-o", out + ".new", tree]
        done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode != 0:
        raise say.Problem("grub-mkrescue failed: " + done.stderr.strip().splitlines()[-1])
    os.replace(out + ".new", out)


if __name__ == "__main__":
    make_iso(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:], serial=True)
