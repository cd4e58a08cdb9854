"""What keys do at the shell: signals, job control, line editing, end of file."""
from viv.testlib import BOTH, test

INTERRUPT, SUSPEND, END_OF_FILE, UP = "\x03", "\x1a", "\x04", "\x1b[A"


def shell(t, **options):
    m = t.machine(**dict({"cpus": 2}, **options))
    m.expect(t.PROMPT)
    return m


def start(m, command, shows):
    """Types a command that goes on running, and waits for what it shows."""
    m.send(command + "\n")
    m.expect(r"\n" + shows)


@test(backends=BOTH)
def interrupt_key_ends_the_foreground_and_not_the_shell(t):
    m = shell(t)
    start(m, "sh -c 'echo begun; sleep 1000'; echo status $?", "begun")
    m.send(INTERRUPT)
    m.expect(t.PROMPT)
    t.equal(m.command("echo alive $?", t.PROMPT), "alive 130\n", "what the shell said next")


@test()
def interrupt_key_ends_every_program_of_a_pipe(t):
    m = shell(t)
    start(m, "(echo begun; yes) | sh -c 'read x; echo $x; cat >/dev/null'", "begun")
    m.send(INTERRUPT)
    m.expect(t.PROMPT)
    t.equal(m.command("ps | grep -c '[y]es$'", t.PROMPT), "0\n", "programs left")


@test()
def suspended_job_goes_on_in_front_and_behind(t):
    m = shell(t)
    start(m, "sh -c 'echo begun; sleep 1; echo fini''shed'", "begun")
    m.send(SUSPEND)
    m.expect(r"Stopped")
    m.expect(t.PROMPT)
    t.contains(m.command("jobs", t.PROMPT), "Stopped")
    m.send("fg\n")
    m.expect(r"finished")
    m.expect(t.PROMPT)
    start(m, "sh -c 'echo begun; sleep 2; echo fini''shed'", "begun")
    m.send(SUSPEND)
    m.expect(t.PROMPT)
    m.send("bg\n")
    m.expect(t.PROMPT)
    t.contains(m.command("jobs", t.PROMPT), "Running")
    m.expect(r"finished")


@test()
def background_job_is_told_when_it_ends(t):
    m = shell(t)
    m.send("sleep 1 &\n")
    m.expect(t.PROMPT)
    t.equal(m.command("echo meanwhile", t.PROMPT), "meanwhile\n", "what the shell printed")
    m.send("sleep 2\n")
    m.expect(r"Done +sleep 1")


@test()
def background_reader_of_the_terminal_is_stopped(t):
    m = shell(t)
    m.send("cat &\n")
    m.expect(t.PROMPT)
    m.send("sleep 1\n")
    m.expect(t.PROMPT)
    t.contains(m.command("jobs", t.PROMPT), "Stopped")
    m.send("kill %1; kill -CONT %1; wait; echo gone\n")
    m.expect(r"\ngone")


@test()
def lines_can_be_edited_and_called_back(t):
    m = shell(t)
    m.send("eXcho onX\x7fe two\x01\x1b[C\x1b[3~\n")  # erase a letter; go to the beginning, one on, delete there
    m.expect(r"\none two")
    m.expect(t.PROMPT)
    m.send(UP + " three\n")
    m.expect(r"\none two three")
    m.expect(t.PROMPT)
    m.send("ls /bi\t/busybox\n")
    m.expect(r"\n/bin/+busybox")


@test()
def end_of_file_at_the_prompt_powers_the_machine_off(t):
    m = shell(t)
    m.send(END_OF_FILE)
    m.wait()
    t.true(not m.limited(), "the machine to be ended by its shell, before its limit")


@test()
def a_read_from_the_terminal_ends_at_end_of_file(t):
    m = shell(t)
    start(m, "sh -c 'echo begun; cat > /tmp/typed'", "begun")
    m.send("one line\nand another\n" + END_OF_FILE)
    m.expect(t.PROMPT)
    t.equal(m.command("cat /tmp/typed", t.PROMPT), "one line\nand another\n", "the file")


@test(backends=BOTH)
def every_tool_of_busybox_starts(t):
    """None of Debian's busybox's applets meets a system call that is missing for its --help."""
    result = t.sh("for a in $(busybox --list); do busybox $a --help >/dev/null 2>&1 </dev/null; "
                  "[ $? -lt 126 ] || echo $a; done; echo end", limit=300)
    t.equal(result.text.replace("\r", ""), "end\n", "tools that did not start")


@test()
def output_of_a_flooding_program_does_not_lose_a_byte(t):
    result = t.sh("seq 1 20000")
    t.equal(result.text.replace("\r", ""), "".join("%d\n" % n for n in range(1, 20001)), "the numbers")
