"""Debian's busybox, unmodified: an interactive shell and the tools that people expect."""
from viv.testlib import BOTH, test

TOOLS = r"""
set -e
cd /tmp
mkdir -p d/sub && echo one >d/a && echo two >d/b && ln -s a d/link && echo three >d/sub/c
ls -l d | grep -q 'link -> a'
test "$(cat d/a d/b | tr a-z A-Z | tr '\n' ' ')" = 'ONE TWO '
test "$(grep -rl t d | sort | tr '\n' ' ')" = 'd/b d/sub/c '
test "$(sed 's/o/0/;s/$/!/' d/b)" = 'tw0!'
test "$(awk '{ n += length($0) } END { print n }' d/a d/b d/sub/c)" = 11
test "$(printf '3\n1\n2\n' | sort -n | tr '\n' ' ')" = '1 2 3 '
test "$(find d -type f | wc -l)" = 3
tar cf d.tar d && gzip -k d.tar && mkdir x && tar xzf d.tar.gz -C x && cmp x/d/sub/c d/sub/c
test "$(dd if=/dev/zero bs=1k count=64 2>/dev/null | wc -c)" = 65536
test "$(printf abc | sha256sum | cut -c1-16)" = ba7816bf8f01cfea
ps | grep -q '\[\{0,1\}ps'
mkdir m && mount -t tmpfs none m && echo x >m/f && umount m && test ! -e m/f
sleep 0.1
(sleep 100 & echo $! >pid); kill "$(cat pid)"
set -- *.tar; test "$*" = d.tar
test "$(echo [a-c]* | wc -w)" -ge 1
trap 'echo trapped' EXIT
f() { local v=$1; echo "$((v * v))"; }
test "$(f 12)" = 144
cat <<END | tail -n 1 | grep -q last
first
last
END
echo all
"""


@test(backends=BOTH)
def the_tools_of_busybox_work(t):
    result = t.sh(TOOLS)
    t.equal((result.text.replace("\r", ""), result.status), ("all\ntrapped\n", 0), "output and status")


@test()
def control_c_ends_the_foreground_job_only(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.command("sleep 1000 &", t.PROMPT)
    m.send("sh -c 'echo up$((1 + 1)); exec cat'\n")
    m.expect("up2\r?\n")
    m.send("\x03")
    m.expect(t.PROMPT)
    t.equal(m.command("echo $?", t.PROMPT), "130\n", "status after ^C")
    t.contains(m.command("jobs", t.PROMPT), "sleep 1000")


@test()
def jobs_stop_and_go_on(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.send("sh -c 'echo up$((1 + 1)); exec cat'\n")
    m.expect("up2\r?\n")
    m.send("\x1a")
    m.expect("Stopped")
    m.expect(t.PROMPT)
    t.contains(m.command("jobs", t.PROMPT), "Stopped")
    m.send("fg\n")
    m.expect("exec cat")
    m.send("again\n")
    m.expect("again\r?\nagain\r?\n")
    m.send("\x03")
    m.expect(t.PROMPT)
    t.equal(m.command("jobs", t.PROMPT), "", "jobs left")


@test()
def what_is_typed_ahead_reaches_the_next_program(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.send("read a\nahead\necho got $a\n")
    m.expect("got ahead\r?\n")


@test()
def vi_edits_a_file(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.command("printf 'one\\ntwo\\n' >/tmp/f", t.PROMPT)
    m.send("vi /tmp/f\n")
    m.expect("two")
    m.send("jddOnew")
    m.expect(r"I /tmp/f \[Modified\]")
    m.send("\x1b")
    m.expect(r"- /tmp/f \[Modified\]")
    m.send(":wq\n")
    m.expect(t.PROMPT)
    t.equal(m.command("cat /tmp/f", t.PROMPT), "new\none\n", "the file")


@test()
def lines_are_edited_as_they_are_typed(t):
    m = t.machine()
    m.expect(t.PROMPT)
    m.send("echo wrong\x15echo riht\x1b[D\x1b[Dg\n")
    m.expect("\nright\r?\n")
