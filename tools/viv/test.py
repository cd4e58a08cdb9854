"""`./viv test`: checks of the source, unit tests on the host, programs inside, and system tests, on both backends."""
import argparse
import os
import re
import subprocess
import time

from . import build, checks, paths, say, setup, testlib

GUEST_PROGRAM_SECONDS = 60
BATCH = r"""
for t in "$@"; do
    read from rest </proc/uptime
    echo "@begin $t"
    timeout %d "/test/$t" </dev/null 2>&1
    status=$?
    read to rest </proc/uptime
    echo "@end $t $status $from $to"
done
""" % GUEST_PROGRAM_SECONDS


def unit_cases():
    """Each program in build/unit is a case; it fails by its status."""
    def make_case(name):
        def execute(context):
            done = subprocess.run([paths.TREE.built("unit", name)], capture_output=True, text=True, timeout=300)
            if done.returncode != 0:
                raise AssertionError("status %d:\n%s" % (done.returncode, (done.stdout + done.stderr)[-3000:]))
        return testlib.Case("unit", name, execute)
    directory = os.path.join(paths.ROOT, "tests/unit")
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    return [make_case(name[:-2]) for name in names if name.endswith(".c")]


def check_cases():
    def make_case(function):
        def execute(context):
            problems = function()
            if problems:
                raise AssertionError("\n".join(problems[:40]))
        return testlib.Case("check", function.__name__, execute)
    return [make_case(function) for function in checks.ALL]


def guest_names():
    directory = os.path.join(paths.ROOT, "tests/guest")
    names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
    return [re.sub(r"\.c$", "", name) for name in names if name.endswith((".c", ".sh"))]


def guest_case(backend, names, icount=None):
    """Programs of tests/guest in one boot; the next boot goes on behind a program that ended the machine."""
    def execute(context):
        left, outcomes = list(names), []
        while left:
            result = context.exec(["/bin/sh", "-c", BATCH, "batch"] + left, cpus=2, icount=icount,
                                  limit=GUEST_PROGRAM_SECONDS * 2 + 5 * len(left))
            text = result.text.replace("\r\n", "\n")
            done = [one_outcome(name, backend, text, result.reason) for name in left]
            done = [outcome for outcome in done if outcome]
            if not done:
                raise AssertionError("no program ran: %s" % result.reason)
            outcomes += done
            left = left[len(done):]
        return outcomes
    return testlib.Case("guest", "programs", execute, backend)


def one_outcome(name, backend, text, reason):
    """The Outcome of one program of a batch, in guest seconds, or None if it did not begin."""
    title = "guest %s [%s]" % (name, backend)
    begin = re.search(r"^@begin %s\n" % re.escape(name), text, re.M)
    if not begin:
        return None
    said = text[begin.end():]
    end = re.search(r"^@end %s (\d+) (\S+) (\S+)$" % re.escape(name), said, re.M)
    if not end:
        return testlib.Outcome(title, 0, "the machine ended in it (%s); it said:\n%s" % (reason, said[-2000:]))
    said, status, seconds = said[:end.start()], end.group(1), float(end.group(3)) - float(end.group(2))
    failure = None if status == "0" else "expected status 0, actual %s; it said:\n%s" % (status, said[-2000:])
    return testlib.Outcome(title, seconds, failure)


def collect(options):
    cases = check_cases() + unit_cases()
    backends = testlib.BOTH if options.backend == "both" else (options.backend,)
    system = testlib.load_system_tests()
    for backend in backends:
        names = guest_names()
        if options.pattern:
            names = [name for name in names if wanted(options, "guest %s [%s]" % (name, backend))]
        if names:  # in counted time a busy host disturbs nothing; Bochs always counts
            cases.append(guest_case(backend, names, icount=3 if backend == "svm" else None))
        cases += [case for case in system if case.backend == backend]
    return [case for case in cases if case.kind == "guest" or wanted(options, case.title)]


def wanted(options, title):
    return not options.pattern or any(pattern in title for pattern in options.pattern)


def main(argv):
    parser = argparse.ArgumentParser(prog="viv test", description="Runs the tests whose title holds a PATTERN, or all.")
    parser.add_argument("--backend", choices=["svm", "vmx", "both"], default="both")
    parser.add_argument("--list", action="store_true", help="only list the tests")
    parser.add_argument("-j", type=int, default=os.cpu_count() or 2, metavar="N", help="how many at a time")
    parser.add_argument("pattern", nargs="*", metavar="PATTERN")
    options = parser.parse_args(argv)
    if options.list:
        for case in collect(options):
            print(case.title)
        return 0
    start = time.monotonic()
    setup.ensure(bochs=options.backend != "svm")
    say.step("building")
    build.make("kernel", "root", "units", quiet=True)
    report = testlib.Report(paths.TREE.built("test-logs"))
    testlib.run_cases(collect(options), report, max(1, options.j))
    say.step("%d seconds" % (time.monotonic() - start))
    return report.close()
