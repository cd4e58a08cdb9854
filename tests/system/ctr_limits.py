"""Limits of containers: who passes one is stopped inside, and nobody outside notices."""
from viv.testlib import BOTH, test


def lines(result):
    return result.text.replace("\r\n", "\n").splitlines()


@test(backends=BOTH)
def a_memory_hog_is_killed_inside_its_container(t):
    result = t.sh("""sleep 1000 &
        ctr run --name c --memory 16m busybox sh -c 'head -c 64m /dev/zero | tail -c 64m | wc -c; echo survived'
        grep -w oom_kill /sys/fs/cgroup/ctr/c/memory.events; cat /sys/fs/cgroup/ctr/c/memory.max
        kill -0 $! && echo outside lives; ctr delete --force c""")
    t.contains(result.text, "oom_kill 1")
    t.contains(result.text, "\n16777216")
    t.contains(result.text, "outside lives")
    t.true("67108864" not in result.text, "the hog not to get its memory")


@test()
def files_in_memory_count_too(t):
    result = t.sh("""ctr run --name c --memory 16m busybox dd if=/dev/zero of=/big bs=1M count=64; echo $?
        cat /sys/fs/cgroup/ctr/c/memory.peak; ctr delete c; cat /sys/fs/cgroup/ctr/memory.current""")
    out = lines(result)
    t.true(out[0] != "0", "dd not to succeed")
    t.between(int(out[-2]), 8 << 20, 16 << 20, "peak")
    t.between(int(out[-1]), 0, 1 << 20, "what is charged after delete")


@test(backends=BOTH)
def a_fork_bomb_stays_inside(t):
    result = t.sh("""ctr run -d --name c --pids 10 busybox sh -c '(while :; do sleep 1000 & done); sleep 1000'
        sleep 1; cat /sys/fs/cgroup/ctr/c/pids.current; grep -c . /proc/self/status >/dev/null && echo the shell forks
        awk '$1 == "max" && $2 > 0 { print "refused" }' /sys/fs/cgroup/ctr/c/pids.events; ctr delete --force c; pidof sleep | wc -w""")
    out = lines(result)
    t.true("the shell forks" in out and "refused" in out, "a shell outside that forks, and forks refused inside")
    t.between(int([line for line in out if line.isdigit()][0]), 9, 10, "pids.current")
    t.equal(out[-1], "0", "sleepers after delete")


@test()
def a_cpu_hog_gets_its_share_and_its_neighbour_the_rest(t):
    """In counted time, so that a busy host changes nothing."""
    result = t.sh("""for i in a b; do
            ctr run -d --name $i $([ $i = a ] && echo --cpus 0.25) busybox sh -c 'while :; do :; done' > /dev/null; done
        sleep 1; usage() { awk '$1 == "usage_usec" { print $2 }' /sys/fs/cgroup/ctr/$1/cpu.stat; }
        now() { cut -d ' ' -f 1 /proc/uptime; }
        a0=$(usage a); b0=$(usage b); t0=$(now); sleep 4; a1=$(usage a); b1=$(usage b); t1=$(now)
        ctr delete --force a b; echo "$a0 $a1 $b0 $b1 $t0 $t1" | awk '{ print ($2 - $1) / 1e4 / ($6 - $5), ($4 - $3) / 1e4 / ($6 - $5) }'
        """, icount=4)
    limited, free = map(float, lines(result)[-1].split())
    t.between(limited, 23, 27, "percent of one CPU")
    t.between(free, 70, 77, "percent for the neighbour")


@test()
def a_frozen_container_stands_still(t):
    result = t.sh("""ctr run -d --name c -v /tmp:/mnt busybox sh -c 'while :; do echo x >> /mnt/ticks; sleep 0.1; done'
        until [ -s /tmp/ticks ]; do sleep 0.1; done; echo 1 > /sys/fs/cgroup/ctr/c/cgroup.freeze; sleep 0.5
        a=$(wc -c < /tmp/ticks); sleep 1; b=$(wc -c < /tmp/ticks); grep frozen /sys/fs/cgroup/ctr/c/cgroup.events
        echo 0 > /sys/fs/cgroup/ctr/c/cgroup.freeze; sleep 1; c=$(wc -c < /tmp/ticks)
        [ $a = $b ] && [ $b -lt $c ] && echo stood and went on; ctr delete --force c""")
    t.equal(lines(result)[1:], ["frozen 1", "stood and went on"], "output")


@test()
def limits_that_make_no_sense_are_refused(t):
    result = t.sh("ctr run --cpus 0 busybox; ctr run --memory lots busybox; ctr run --pids -1 busybox; ctr run --cpu-weight; echo $?")
    t.equal(lines(result), ["ctr: --cpus 0: not a number of CPUs, 0.01 at least", "ctr: --memory lots: not a size",
                            "ctr: --pids -1: not a number above 0", "ctr: --cpu-weight: needs a value", "125"], "messages")
