"""Late launch: the kernel above a hypervisor of its own (viv.root=guest)."""
from viv.testlib import BOTH, test

ROOT = "viv.root=guest"


@test(backends=BOTH)
def the_root_partition_has_all_three_worlds(t):
    result = t.sh("/test/root && ctr run --rm busybox echo in a container && vmm /lib/guests/count && "
                  "for i in io state slots threads; do /test/kvm_$i; done", cpus=2, cmdline=ROOT, limit=100)
    t.equal(result.status, 0, "status")
    t.contains(result.text, "in a container\n")
    t.contains(result.text, "count 5\n")
    t.true("FAIL" not in result.text, "the tests of /dev/kvm to pass")
    t.contains(result.log, "the kernel goes on in the root partition", "log")


@test(backends=BOTH)
def the_root_partition_cannot_reach_the_hypervisors_memory(t):
    m = t.machine(cmdline="viv.test=root " + ROOT)
    m.wait()
    log = m.log.data.decode(errors="replace")
    t.matches(log, r"panic on CPU 0: viv\.root: the root partition reached for 0x[0-9a-f]+, the hypervisor's, at 0x")


@test()
def late_launch_says_why_it_does_not_happen(t):
    t.contains(t.sh("true", cmdline="viv.root=host").log, "viv.root=host: the only value is guest", "log")
    t.contains(t.sh("true", cmdline=ROOT, cpu="max,svm=off").log,
               "viv.root=guest: this machine has no virtualization", "log")
