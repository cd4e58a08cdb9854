"""Starts Bochs: the vmx backend. It boots an ISO and has its serial lines on two loopback ports."""
import calendar
import os
import re
import socket
import time

from . import image, machine, say, setup

CONFIG = """config_interface: textconfig
display_library: term
romimage: file={share}/BIOS-bochs-latest, options=fastboot
vgaromimage: file=/usr/share/seabios/vgabios-stdvga.bin
cpu: model=corei7_skylake_x, count={cpus}, ips=200000000, reset_on_triple_fault=0, ignore_bad_msrs=1
memory: guest={mem}, host={mem}
pci: enabled=1, chipset=i440fx
vga: extension=vbe, update_freq=5, realtime=0
clock: sync=none, time0={start}, rtc_sync=0
ata0: enabled=1, ioaddr1=0x1f0, ioaddr2=0x3f0, irq=14
ata0-master: type=cdrom, path={iso}, status=inserted
boot: cdrom
com1: enabled=1, mode=socket-server, dev=localhost:{console}
com2: enabled=1, mode=socket-server, dev=localhost:{log}
port_e9_hack: enabled=1
log: {work}/bochs.log
panic: action=fatal
error: action=ignore
info: action=ignore
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def connect(target, port):
    """Connects to a port that Bochs is about to listen on."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and target.process.poll() is None:
        try:
            return socket.create_connection(("127.0.0.1", port))
        except OSError:
            time.sleep(0.02)
    raise say.Problem("Bochs did not start: " + last_words(target))


def last_words(target):
    lines = re.findall(r"[^\n]*(?:PANIC|rror)[^\n]*", target.emulator_output())
    return lines[-1].strip() if lines else "see 'bochs -q' by hand"


def launch(target):
    """Starts Bochs for the Machine `target` and gives it its two lines."""
    options, work = target.options, target.work.name
    if options.icount is not None:
        raise say.Problem("--icount is QEMU's: Bochs always counts instructions; leave it out with --backend vmx")
    found = setup.bochs_if_there() or setup.ensure_bochs()
    machine.check_built(options.tree)
    iso = os.path.join(work, "vivarium.iso")
    image.make_iso(iso, options.tree.kernel, options.full_cmdline(), [options.tree.initrd] + options.overlays)
    start = calendar.timegm(time.strptime(machine.START_DATE, "%Y-%m-%dT%H:%M:%S"))
    ports = {"console": free_port(), "log": free_port()}
    config = os.path.join(work, "bochsrc")
    with open(config, "w", encoding="utf-8") as file:
        file.write(CONFIG.format(share=found.share, cpus=options.cpus, mem=options.mem, iso=iso, work=work,
                                 start=start, **ports))
    target.spawn(found.command + ["-q", "-f", config], dict(found.env, TERM="xterm"))
    for name in ("console", "log"):
        getattr(target, name).sock = connect(target, ports[name])
