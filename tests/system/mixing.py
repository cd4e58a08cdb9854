"""Virtual machines, containers and quotas at once, and what all of them give back."""
from viv.testlib import BOTH, test

FREE = r"""
free_kib() { sleep 0.2; awk '/^MemFree/ { print $2 }' /proc/meminfo; }
# twice WORK: prints what is free less after the second time than after the first
twice() { "$@"; before=$(free_kib); "$@"; after=$(free_kib); echo "lost $((before - after)) KiB"; }
"""


def gives_all_back(t, text, slack=64):
    lost = int(t.matches(text, r"^lost (-?\d+) KiB").group(1))
    t.true(lost <= slack, "at most %d KiB less than before, actual %d" % (slack, lost))


@test()
def eight_vms_and_eight_containers_compute_the_same_and_give_their_memory_back(t):
    result = t.sh(FREE + r"""
        all() {
            for i in 1 2 3 4 5 6 7 8; do
                vmm --mem 8 --append rounds=2 /lib/guests/work </dev/null >/tmp/vm.$i 2>&1 &
                ctr run --rm --name c$i -v /bin/work:/work:ro busybox /work 2 </dev/null >/tmp/c.$i 2>&1 &
            done
            wait
            echo results $(cat /tmp/vm.? /tmp/c.? | grep -c checksum) different $(cat /tmp/vm.? /tmp/c.? | tr -d '\r' | grep checksum | sort -u | wc -l)
        }
        twice all
        ctr ps | tail -n +2 | wc -l""", cpus=2, limit=200)
    t.equal(result.text.replace("\r", "").count("results 16 different 1\n"), 2, "times that all 16 results agreed")
    gives_all_back(t, result.text)


@test(backends=BOTH)
def vms_that_are_killed_with_their_cgroup_leave_nothing(t):
    result = t.sh(FREE + r"""
        mount -t cgroup2 c /sys/fs/cgroup 2>/dev/null
        cd /sys/fs/cgroup; echo +cpu +memory >cgroup.subtree_control
        some() {
            mkdir vms; echo 50000 100000 >vms/cpu.max; echo 32M >vms/memory.max
            for i in 1 2 3; do
                (echo 0 >vms/cgroup.procs; exec vmm --mem 16 /lib/guests/spin </dev/null >/tmp/spin.$i 2>&1) &
            done
            until [ $(grep -l spinning /tmp/spin.? 2>/dev/null | wc -l) = 3 ]; do sleep 0.1; done
            echo running $(wc -l <vms/cgroup.procs)
            echo 1 >vms/cgroup.kill; wait
            rm /tmp/spin.? # what they wrote is charged to them
            echo left $(wc -l <vms/cgroup.procs) charged $(cat vms/memory.current); rmdir vms
        }
        twice some""", cpus=2, limit=200)
    text = result.text.replace("\r", "")
    t.equal(text.count("running 3\n"), 2, "times that three monitors ran")
    t.equal(text.count("left 0 charged 0\n"), 2, "times that nothing was left of them")
    gives_all_back(t, text)


@test(backends=BOTH)
def what_no_vm_can_start_from_leaks_nothing(t):
    result = t.sh(FREE + r"""
        head -c 4000 /lib/guests/count >/tmp/short; head -c 16384 /dev/zero >/tmp/zeros
        head -c 9000000 /dev/zero >/tmp/big
        bad() {
            for k in /tmp/short /tmp/zeros /tmp /none /dev/null; do vmm $k </dev/null >>/tmp/said 2>&1; done
            vmm --mem 3 --initrd /tmp/big /lib/guests/bzimage </dev/null >>/tmp/said 2>&1
            vmm --mem 2 --module /tmp/big /lib/guests/count </dev/null >>/tmp/said 2>&1
            vmm /lib/guests/triple </dev/null >>/tmp/said 2>&1
            wc -l </tmp/said; : >/tmp/said
        }
        twice bad""", limit=100)
    gives_all_back(t, result.text)
