"""Starts QEMU under TCG: the svm backend."""
import os

from . import image, machine

SERIALS = ("console", "log")


def base_command(options):
    """QEMU's arguments up to the kernel and the serial lines."""
    command = ["qemu-system-x86_64", "-accel", "tcg,thread=" + ("multi" if options.parallel else "single"), "-cpu", options.cpu, "-m", str(options.mem),
               "-smp", "cpus=%d,sockets=%d" % (options.cpus, options.cpus), "-no-reboot", "-nodefaults", "-vga", "std",
               "-display", "none", "-device", "isa-debug-exit,iobase=0xf4,iosize=4"]
    if options.icount is not None:
        command += ["-icount", "shift=%d,sleep=off" % options.icount, "-rtc", "base=%s,clock=vm" % machine.START_DATE]
    return command


def boot_arguments(options, cmdline, work, serial_menu=False):
    """Arguments that boot the kernel: by -kernel, or through GRUB from an ISO made for this run.

    They hold for an emulator started in the directory `work`. QEMU hands file names on to the kernel, so the files have
    the same names in every run: nothing that the guest sees depends on where the tree is.
    """
    machine.check_built(options.tree)
    modules = [options.tree.initrd] + options.overlays
    if not options.iso:
        names = ["root.cpio"] + ["module%d.cpio" % number for number in range(1, len(modules))]
        for name, host in zip(["vivarium.elf"] + names, [options.tree.kernel] + modules):
            os.symlink(os.path.abspath(host), os.path.join(work, name))
        return ["-kernel", "vivarium.elf", "-append", cmdline, "-initrd", ",".join(names)]
    iso = os.path.join(work, "vivarium.iso")
    image.make_iso(iso, options.tree.kernel, cmdline, modules, serial_menu)
    return ["-cdrom", iso, "-boot", "d"]


def connect_lines(target):
    """Gives both lines of the Machine a socket; returns the emulator's ends."""
    theirs = []
    for name in SERIALS:
        if name == "log" and target.options.link:
            theirs.append(target.options.link)
            continue
        ours, their = machine.connected_pair()
        getattr(target, name).sock = ours
        theirs.append(their)
    return theirs


def open_files(target):
    """Gives both lines of the Machine a file; returns QEMU's arguments."""
    arguments = []
    for name in SERIALS:
        path = os.path.join(target.work.name, name)
        with open(path, "wb"):
            getattr(target, name).file = open(path, "rb")
        arguments += ["-serial", "file:" + path]
    return arguments


def launch(target):
    """Starts QEMU for the Machine `target` and gives it its two lines."""
    options = target.options
    command = base_command(options) + boot_arguments(options, options.full_cmdline(), target.work.name)
    theirs = []
    if options.icount is not None and not options.typed:
        command += open_files(target)  # a socket's readiness is the host's time: counted runs would differ
    else:
        theirs = connect_lines(target)
    for name, their in zip(SERIALS, theirs):
        command += ["-chardev", "socket,id=%s,fd=%d" % (name, their.fileno()), "-serial", "chardev:" + name]
    if options.gdb:
        target.gdb_path = os.path.join(target.work.name, "gdb")
        command += ["-chardev", "socket,id=gdb,path=%s,server=on,wait=off" % target.gdb_path, "-gdb", "chardev:gdb"]
    if options.paused:
        command.append("-S")
    target.spawn(command, pass_fds=[their.fileno() for their in theirs])
    for their in theirs:
        their.close()
