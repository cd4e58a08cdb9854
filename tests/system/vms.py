"""Virtual machines: what only shows from outside."""
from viv.testlib import BOTH, test

INNER = "nest viv.log=ttyS1 2>/tmp/nest.log\n"


@test(backends=BOTH)
def vivarium_boots_in_vivarium_up_to_its_shell(t):
    m = t.machine(mem=512, limit=240)
    m.expect(t.PROMPT)
    t.true("/lib/guests" not in m.command("cat /proc/cmdline", t.PROMPT), "the outer machine's command line")
    m.send(INNER)
    m.expect(t.PROMPT)
    t.contains(m.command("cat /proc/cmdline", t.PROMPT), "/lib/guests/vivarium viv.log=ttyS1")
    t.equal(m.command("echo $((6 * 7)) | cat", t.PROMPT), "42\n", "what the inner shell printed")
    t.equal(m.command("ctr run --rm busybox echo in a container in a VM", t.PROMPT),
            "in a container in a VM\n", "what the inner container printed")
    t.contains(m.command("vmm /lib/guests/count", t.PROMPT), "vmm: /dev/kvm: No such")
    m.send("poweroff -f\n")
    m.expect(t.PROMPT)
    t.equal(m.command("grep -c Vivarium /tmp/nest.log", t.PROMPT), "1\n", "inner kernels' first lines in its log")


@test(backends=BOTH)
def a_spinning_guest_does_not_stop_the_shell(t):
    m = t.machine(cpus=1)
    m.expect(t.PROMPT)
    m.command("vmm /lib/guests/spin >/dev/null 2>&1 </dev/null &", t.PROMPT)
    t.equal(m.command("echo still; sleep 1; echo here", t.PROMPT), "still\nhere\n", "what the shell printed")
    m.command("kill -9 $!; wait", t.PROMPT)
    t.equal(m.command("ls /proc/$! 2>/dev/null | wc -l", t.PROMPT), "0\n", "entries of the killed monitor in /proc")


@test()
def a_guests_processor_time_is_limited_by_cpu_max(t):
    result = t.sh("""
        mount -t cgroup2 c /sys/fs/cgroup 2>/dev/null
        cd /sys/fs/cgroup && echo +cpu >cgroup.subtree_control
        mkdir vm && echo 25000 100000 >vm/cpu.max
        (echo 0 >vm/cgroup.procs; exec vmm /lib/guests/spin >/dev/null 2>&1 </dev/null) &
        sleep 1
        before=$(grep usage_usec vm/cpu.stat | cut -d' ' -f2)
        sleep 4
        after=$(grep usage_usec vm/cpu.stat | cut -d' ' -f2)
        echo used $(((after - before) / 1000))
        kill -9 $!""")
    used = int(t.matches(result.text, r"^used (\d+)$").group(1))
    t.between(used, 900, 1120, "milliseconds of processor time in 4 seconds at 25 %")


@test()
def a_guests_memory_is_limited_by_memory_max(t):
    result = t.sh("""
        mount -t cgroup2 c /sys/fs/cgroup 2>/dev/null
        cd /sys/fs/cgroup && echo +memory >cgroup.subtree_control
        mkdir vm && echo 8M >vm/memory.max
        (echo 0 >vm/cgroup.procs; exec vmm --mem 64 --append touch=48 /lib/guests/touch </dev/null 2>&1)
        echo status $?
        grep oom_kill vm/memory.events
        vmm --mem 64 --append touch=48 /lib/guests/touch </dev/null""")
    t.contains(result.text, "status 137")
    t.contains(result.text, "oom_kill 1")
    t.contains(result.text, "touched 48 MiB")


IN_CONTAINER = "-v /bin/vmm:/bin/vmm:ro -v /lib/guests:/guests:ro busybox /bin/vmm"


@test(backends=BOTH)
def a_vm_runs_in_a_container_within_its_limits(t):
    result = t.sh("""
        ctr run --rm --device /dev/kvm %s /guests/count
        ctr run --rm --device /dev/kvm --memory 8m %s --append touch=48 /guests/touch
        echo hog $?
        ctr run --rm %s /guests/count
        echo without $?""" % ((IN_CONTAINER,) * 3))
    t.contains(result.text, "count 5\n")
    t.contains(result.text, "hog 137\n")
    t.contains(result.text, "vmm: /dev/kvm: No such")
    t.contains(result.text, "without 2\n")


@test()
def worlds_shows_a_vm_in_a_container_as_both(t):
    result = t.sh("""
        ctr run -d --rm --name box --cpus 0.25 --device /dev/kvm %s --name inside /guests/spin
        sleep 1
        worlds -1
        ctr kill box KILL""" % IN_CONTAINER)
    share = r"[12]\d\.\d"
    t.matches(result.text, r"^container +box +2 pids +%s +\d+\.\d +\d+ syscalls$" % share)
    t.matches(result.text, r"^vm +inside +1 vCPU +%s +\d+\.\d +\d+ exits$" % share)


@test()
def worlds_refreshes_until_q(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.send("worlds\n")
    for _ in range(3):
        m.expect(r"(?s)process +worlds .*?q quits")
    m.send("q")
    m.expect(t.PROMPT)
