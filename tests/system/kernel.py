"""The ground floor: panics, protections, CPUs, machines with less than the usual."""
from viv.testlib import BOTH, test


def boot_test(t, name, **options):
    """Boots with viv.test=NAME to the machine's end; returns the kernel's log."""
    m = t.machine(cmdline="viv.test=" + name, **options)
    m.wait()
    return m.log.data.decode(errors="replace").replace("\r\n", "\n")


@test(backends=BOTH)
def a_panic_shows_a_backtrace_with_names(t):
    log = boot_test(t, "panic", cpus=2)
    t.matches(log, r"panic on CPU 0: viv\.test=panic\n(.*\n)*.* kernel_main\+0x[0-9a-f]+\n.* entry64\+0x")


@test(backends=BOTH)
def kernel_text_cannot_be_written(t):
    t.matches(boot_test(t, "fault"), r"panic on CPU 0: page fault .*error 0x3")


@test(backends=BOTH)
def memory_and_scheduler_pass_their_tests_on_the_machine(t):
    t.contains(boot_test(t, "mm", cpus=2), "mm: self-test passed", "log")
    t.contains(boot_test(t, "sched", cpus=2), "sched: all passed", "log")


@test()
def sixteen_cpus_start(t):
    result = t.sh("grep -c ^processor /proc/cpuinfo", cpus=16)
    t.equal(result.output, b"16\n", "CPUs in /proc/cpuinfo")


@test()
def cpus_that_run_in_parallel_keep_the_kernel_whole(t):
    programs = "storm threads signals pipes memory process descriptors sockets messages socketfuzz timerfds"
    result = t.sh("for i in %s; do /test/$i || echo $i FAILED; done" % programs, cpus=2, parallel=True)
    t.true("FAILED" not in result.text, "all programs to pass")
    t.equal(result.status, 0, "status")


@test()
def a_machine_without_apic_keeps_time(t):
    result = t.sh("sleep 1; cat /proc/uptime", cpu="max,apic=off", limit=30)
    t.between(float(result.text.split()[0]), 1, 10, "uptime after sleep 1")
    t.contains(result.log, "timer: 8254", "log")


@test()
def a_cpu_without_smap_smep_and_xsave_boots(t):
    t.equal(t.sh("echo $((6 * 7))", cpu="qemu64,-xsave,-avx").output, b"42\n", "output")


@test()
def sixty_four_megabytes_are_enough_for_the_shell(t):
    t.equal(t.sh("ls / >/dev/null && echo yes", mem=64).output, b"yes\n", "output")


@test()
def reset_starts_the_machine_again(t):
    m = t.machine(cmdline="viv.test=reboot", wall=30)
    m.wait()  # -no-reboot: QEMU ends at a reset
    t.true(not m.wall_hit and not m.limited(), "the machine to reset itself")


@test()
def a_cpu_without_64_bit_mode_is_refused_by_name(t):
    t.machine(cpu="qemu32", wall=30).expect("this CPU has no 64-bit mode")
