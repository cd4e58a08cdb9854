"""The monitor's virtio devices, driven by Debian's kernel."""
import hashlib
import os

from _linuxguest import CONSOLE, PROMPT, files
from viv import exec as run
from viv.testlib import test

# 64 MiB of which no two sectors are alike: a random file again and again, each time at another offset in a sector.
RANDOM, DISK = 4194000, 64 << 20
FILL = b"""
i=10
while [ $i -lt 27 ]; do echo $i; cat /random; i=$((i + 1)); done | head -c %d >/dev/vda
sync
echo 3 >/proc/sys/vm/drop_caches
echo got $(md5sum </dev/vda)
echo random $(head -c 1000 /dev/hwrng | wc -c)
echo memory $(free | grep Mem)
echo by $(grep virtio0-req /proc/interrupts)
echo flushed
sleep 1000
""" % DISK


@test()
def linux_loses_no_byte_of_a_disk_when_killed_after_a_flush(t):
    random = os.urandom(RANDOM)
    wanted = hashlib.md5(b"".join(b"%d\n" % i + random for i in range(10, 27))[:DISK]).hexdigest()
    result = t.sh("""
        truncate -s 64M /disk
        mkfifo /said
        vmm --mem 192 --disk /disk --rng --balloon 64 --kernel /bzImage --initrd /initrd \\
            --append quiet >/said 2>&1 </dev/null &
        while read -r line; do
            echo "$line"
            case $line in *flushed*) kill -9 $! ;; esac
        done </said
        echo has $(md5sum </disk)""", adds=files(t, FILL, random), mem=512, limit=400, icount=None)
    t.contains(result.text, "got " + wanted)
    t.contains(result.text, "has " + wanted)
    t.contains(result.text, "random 1000")
    t.matches(result.text, r"^by \d+: +\d+ +PCI-MSI")
    t.between(int(t.matches(result.text, r"^memory Mem: (\d+)").group(1)), 70000, 130000,
              "KiB of memory in Linux after giving up 64 of 192 MiB")


@test()
def linux_has_no_exit_for_each_letter_of_its_virtio_console(t):
    m = t.machine(overlays=[run.overlay(t.directory(), None, files(t, CONSOLE), stdin=None)], mem=512, limit=300)
    m.expect(t.PROMPT)
    m.send("alias v='vmm --mem 128 --stats --kernel /bzImage --initrd /initrd'\n")
    m.expect(t.PROMPT)
    m.send("v --console virtio --append 'quiet console=hvc0'\n")
    m.expect(PROMPT)
    t.equal(m.command("echo $((6 * 7))", PROMPT), "42\n", "what the shell on hvc0 printed")
    m.send("head -c 100000 /dev/zero | tr '\\0' x\n")
    m.expect("x{100000}")
    m.send("exit\n")
    exits = int(m.expect(r"(\d+) exits: mmio").group(1))
    t.between(exits, 100, 2000, "MMIO exits in all, with 100,000 letters among them")


@test()
def pages_in_the_balloon_go_back_to_the_host(t):
    result = t.sh("""
        mount -t cgroup2 c /sys/fs/cgroup 2>/dev/null
        cd /sys/fs/cgroup && echo +memory >cgroup.subtree_control
        mkdir vm
        mkfifo /said
        (echo 0 >vm/cgroup.procs; exec vmm --mem 64 --balloon 32 --append 'balloon=32 spin=1' /lib/guests/virtio \\
            >/said 2>&1 </dev/null) &
        while read -r line; do
            echo "$line"
            case $line in *" wrong"*) echo peak $(cat vm/memory.peak) now $(cat vm/memory.current); kill -9 $! ;; esac
        done </said""")
    t.contains(result.text, "virtio: 0 wrong")
    peak, now = t.matches(result.text, r"^peak (\d+) now (\d+)$").groups()
    t.between(int(peak) >> 20, 32, 48, "MiB of the monitor at most, when its guest has used 32")
    t.between(int(now) >> 20, 0, 8, "MiB of the monitor after the guest has given up 32")
