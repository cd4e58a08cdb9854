"""The way in: boot, the shell, and what ./viv exec promises."""
import os

from viv.testlib import BOTH, test


@test(backends=BOTH)
def boots_to_a_shell_and_powers_off(t):
    m = t.machine(iso=True, cpus=2)
    m.expect(t.PROMPT)
    t.equal(m.command("echo $((6 * 7))", t.PROMPT), "42\n", "what the shell printed")
    m.send("poweroff\n")
    m.wait()
    t.true(not m.limited(), "the machine to be ended by poweroff, before its limit")


@test()
def fast_boot_gives_the_same_shell(t):
    m = t.machine(cpus=2)
    m.expect(t.PROMPT)
    t.contains(m.command("uname -sm", t.PROMPT), "x86_64")


@test(backends=BOTH)
def exec_prints_exactly_the_output_and_passes_the_status(t):
    result = t.exec(["/bin/sh", "-c", "printf 'a\\nb\\n'; echo error >&2; exit 3"])
    t.equal(result.output, b"a\nb\nerror\n", "output")
    t.equal(result.status, 3, "status")


@test()
def exec_says_which_signal_killed_the_command(t):
    t.equal(t.sh("kill -TERM $$").status, 128 + 15, "status")


@test()
def exec_reports_a_command_that_is_not_there(t):
    t.equal(t.exec(["/bin/no-such-program"]).status, 127, "status")


@test()
def exec_adds_files_and_passes_input(t):
    path = os.path.join(t.directory(), "data")
    with open(path, "wb") as file:
        file.write(bytes(range(256)) * 64)
    result = t.exec(["/bin/sh", "-c", "cmp /data/here - && wc -c < /data/here"], adds=[(path, "/data/here")],
                    stdin=bytes(range(256)) * 64)
    t.equal((result.output, result.status), (b"16384\n", 0), "output and status")


@test()
def exec_ends_at_the_limit_of_guest_seconds(t):
    result = t.exec(["/bin/sleep", "1000"], limit=3)
    t.equal(result.status, None, "status")
    t.contains(result.log, "limit of 3 guest seconds reached")


@test()
def counted_runs_are_identical(t):
    script = "for i in 1 2 3; do ls -l /bin | head -n 5 & done; wait; cat /proc/uptime"
    first, second = [t.sh(script, icount=5, cpus=2) for _ in range(2)]
    t.equal(first.status, 0, "status")
    t.equal(second.output, first.output, "output of the second run")
    t.equal(second.log, first.log, "kernel log of the second run")


@test()
def a_machine_of_eight_cpus_uses_all(t):
    t.equal(t.sh("grep -c ^processor /proc/cpuinfo || nproc", cpus=8).text.strip(), "8", "CPUs")


@test()
def each_system_call_is_traced_on_demand(t):
    log = t.sh("cat /no/such; exit 7", cmdline="viv.trace=syscalls").log
    t.matches(log, r"\[pid \d+\] openat\(-100, \"/no/such\", 0, 0\) = -1 errno 2")
    t.matches(log, r"\[pid \d+\] exit_group\(7\)")
    t.true("[pid" not in t.sh("true").log, "no trace where none was asked for")
