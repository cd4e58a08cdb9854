"""What a system test is written with, and how tests are run and reported.

A test is a function in tests/system/*.py whose name is the promise that it checks and that takes a Context:

    @test(backends=("svm", "vmx"))
    def exec_passes_the_exit_status(t):
        t.equal(t.exec(["/bin/sh", "-c", "exit 3"]).status, 3, "status")

It fails by raising; the Context's checks say what was expected and what came. Each backend is a test of its own.
"""
import concurrent.futures
import importlib.util
import os
import re
import sys
import tempfile
import threading
import time
import traceback

from . import exec as run
from . import machine, paths

BOTH = ("svm", "vmx")
REGISTRY = []


class Case:
    """One thing that passes or fails: `function(context)` under `name`, on `backend` (None: no machine)."""

    def __init__(self, kind, name, function, backend=None, alone=False):
        self.kind, self.name, self.function, self.backend, self.alone = kind, name, function, backend, alone

    @property
    def title(self):
        return "%s %s%s" % (self.kind, self.name, " [%s]" % self.backend if self.backend else "")


class Outcome:
    def __init__(self, title, seconds, failure=None, log=""):
        self.title, self.seconds, self.failure, self.log = title, seconds, failure, log


def test(backends=("svm",), alone=False):
    """Marks a function as a system test; `alone` keeps other tests away from the host's CPUs meanwhile."""
    def mark(function):
        for backend in backends:
            REGISTRY.append(Case("system", function.__name__, function, backend, alone))
        return function
    return mark


class Context:
    """What a test works with. Machines made here are ended, and their logs kept, with the test."""

    def __init__(self, case):
        self.case, self.backend = case, case.backend
        self.machines, self.scratch = [], None

    def directory(self):
        """A host directory of the test's own, removed with it."""
        self.scratch = self.scratch or tempfile.TemporaryDirectory(prefix="viv-test.")
        return self.scratch.name

    def machine(self, **options):
        """A Machine at power-on, started; at a shell prompt after .expect(t.PROMPT)."""
        made = machine.Machine(machine.Options(**dict({"backend": self.backend, "tree": paths.TREE}, **options)))
        self.machines.append(made)
        return made.start()

    PROMPT = r"viv:\S*[#$] "

    def exec(self, argv, adds=(), stdin=b"", **options):
        """Runs a command in a machine of its own to its end, as ./viv exec does; returns its Result.

        Instructions are counted, so that a busy host changes nothing; not where CPUs are to run in parallel.
        """
        counted = self.backend == "svm" and not options.get("parallel")
        target = run.prepare(argv, adds, stdin, **dict({"backend": self.backend, "icount": 3 if counted else None},
                                                       **options))
        self.machines.append(target)
        with target:
            target.wait()
        return run.result(target)

    def sh(self, script, **options):
        """Runs a shell script inside; returns its Result."""
        return self.exec(["/bin/sh", "-c", script], **options)

    def equal(self, actual, expected, what="value"):
        if actual != expected:
            raise AssertionError("%s: expected %r, actual %r%s" % (what, expected, actual, self._ends()))

    def true(self, condition, what):
        if not condition:
            raise AssertionError("expected %s%s" % (what, self._ends()))

    def between(self, actual, low, high, what="value"):
        self.true(low <= actual <= high, "%s between %r and %r, actual %r" % (what, low, high, actual))

    def contains(self, text, wanted, what="output"):
        if wanted not in text:
            raise AssertionError("%s: expected %r in it, actual:%s" % (what, wanted, machine.show_tail(_bytes(text))))

    def matches(self, text, pattern, what="output"):
        found = re.search(pattern, text, re.M)
        if not found:
            raise AssertionError("%s: expected a match of %r, actual:%s"
                                 % (what, pattern, machine.show_tail(_bytes(text))))
        return found

    def _ends(self):
        ended = [made.reason() for made in self.machines if made.ended and made.exit_status() is None]
        return " (the machine: %s)" % ended[-1] if ended else ""

    def finish(self):
        """Ends the machines; returns what they said."""
        texts = []
        for number, made in enumerate(self.machines):
            if made.process:
                made.end()
            for line in dict.fromkeys((made.console, made.log)):
                text = bytes(line.data).decode(errors="replace").replace("\r\n", "\n")
                texts.append("==== machine %d, %s\n%s" % (number, line.name, text))
        if self.scratch:
            self.scratch.cleanup()
        return "\n".join(texts)


def _bytes(text):
    return text.encode() if isinstance(text, str) else text


def run_case(case):
    """Runs one case. Returns its Outcomes (a batch of guest programs gives one for each)."""
    start = time.monotonic()
    context = Context(case)
    failure, many = None, None
    try:
        many = case.function(context)
    except AssertionError as error:
        failure = str(error)
    except Exception:  # a broken test is a failed test
        failure = traceback.format_exc(limit=-4)
    log = context.finish()
    seconds = time.monotonic() - start
    if isinstance(many, list):
        for outcome in many:
            outcome.log = outcome.log or log
        if failure is None:
            return many
    return [Outcome(case.title, seconds, failure, log)]


class Report:
    """Prints outcomes as they come and keeps the logs of failures."""

    def __init__(self, directory):
        self.directory, self.passed, self.failed, self.skipped = directory, 0, [], 0
        self.lock = threading.Lock()
        os.makedirs(directory, exist_ok=True)

    def add(self, outcome):
        with self.lock:
            if outcome.failure is None:
                self.passed += 1
                print("ok      %6.1f s  %s" % (outcome.seconds, outcome.title), flush=True)
                return
            self.failed.append(outcome.title)
            path = os.path.join(self.directory, re.sub(r"[^\w.-]+", "_", outcome.title) + ".log")
            with open(path, "w", encoding="utf-8") as file:
                file.write(outcome.failure + "\n\n" + outcome.log)
            print("FAILED  %6.1f s  %s" % (outcome.seconds, outcome.title))
            print("        " + outcome.failure.strip().replace("\n", "\n        "))
            print("        log: %s" % os.path.relpath(path), flush=True)

    def close(self):
        """Prints the closing lines; returns the exit status."""
        for title in self.failed:
            print("failed: " + title)
        print("%d passed, %d failed" % (self.passed, len(self.failed)), flush=True)
        return 1 if self.failed or not self.passed else 0


def load_system_tests():
    """Imports tests/system/*.py and returns their cases."""
    directory = os.path.join(paths.ROOT, "tests/system")
    if directory not in sys.path:
        sys.path.insert(0, directory)
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        if name.endswith(".py") and not name.startswith("_"):
            spec = importlib.util.spec_from_file_location("system_" + name[:-3], os.path.join(directory, name))
            spec.loader.exec_module(importlib.util.module_from_spec(spec))
    return list(REGISTRY)


def run_cases(cases, report, workers):
    """Runs cases side by side, those that want to be alone at the end."""
    together = [case for case in cases if not case.alone]
    with concurrent.futures.ThreadPoolExecutor(workers) as pool:
        pending = [pool.submit(run_case, case) for case in together]
        for future in concurrent.futures.as_completed(pending):
            for outcome in future.result():
                report.add(outcome)
    for case in cases:
        if case.alone:
            for outcome in run_case(case):
                report.add(outcome)
