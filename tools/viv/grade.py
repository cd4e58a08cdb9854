"""Grades a lab: the student's files over a pristine tree, built, run, and looked at from outside.

The grader believes nothing that the student's kernel prints about itself. Inputs are random, from a seed that is made
of the student's files, so that the same files always get the same mark; expected answers are computed here.
"""
import argparse
import hashlib
import importlib.util
import json
import os
import random
import shutil
import tempfile
import time
import traceback
import xml.etree.ElementTree as xml

from . import build, guestcall, lab as labs, machine, paths, say
from . import exec as run

GUEST_SECONDS = 30
DOES_NOT_BUILD = "the kernel does not build with these files"


class Verdict:
    """One graded test: its name, what it gave, and why not more."""

    def __init__(self, name, points, failure, seconds):
        self.name, self.points, self.failure, self.seconds = name, points, failure, seconds
        self.score = 0 if failure else points


class Bench:
    """What a graded test works with: the built tree, randomness, a stopped kernel, or a run of it."""

    def __init__(self, lab, tree, seed):
        self.lab, self.tree, self.random = lab, tree, random.Random(seed)
        self.open = []

    def kernel(self, mem=64):
        """A kernel stopped where its memory is set up, for guestcall."""
        target = machine.Machine(machine.Options(tree=self.tree, mem=mem, gdb=True, paused=True, icount=3, typed=False,
                                                 limit=0))
        self.open.append(target)
        target.start()
        return guestcall.Kernel(target, self.tree.elf, self.lab.stop_at)

    def exec(self, argv, **options):
        """Runs a command to its end; returns its Result."""
        return run.run(argv, tree=self.tree, icount=3, limit=GUEST_SECONDS, **options)

    def close(self):
        for target in self.open:
            target.end()


def load_tests(lab):
    """The functions of labs/N/tests.py that the manifest gives points for, in its order."""
    spec = importlib.util.spec_from_file_location("lab%s_tests" % lab.number, os.path.join(lab.directory, "tests.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return [(name, points, getattr(module, name)) for name, points in lab.points.items()]


def pristine(lab, directory, submission):
    """A copy of this tree and of what is built of it, with the student's files laid over it. Returns its Tree."""
    labs.copy_tree(paths.ROOT, directory)
    labs.copy_build(paths.ROOT, directory)
    for name in lab.files:
        given = os.path.join(submission, name)
        if not os.path.isfile(given):
            raise say.Problem("%s is missing: the lab is graded from %s" % (given, " ".join(lab.files)))
        target = os.path.join(directory, name)
        if _content(given) != _content(target):
            shutil.copyfile(given, target)
    if not os.path.exists(os.path.join(directory, labs.HOLE_HEADER)):
        with open(os.path.join(directory, labs.HOLE_HEADER), "w", encoding="utf-8") as file:
            file.write(labs.HOLE_TEXT)
    return paths.Tree(directory)


def _content(path):
    with open(path, "rb") as file:
        return file.read()


def seed_of(lab, submission):
    """A seed that depends on the student's files and on nothing else."""
    digest = hashlib.sha256()
    for name in lab.files:
        path = os.path.join(submission, name)
        digest.update(_content(path) if os.path.isfile(path) else b"")
    return int.from_bytes(digest.digest()[:4], "big")


def judge(lab, tree, seed, only=None):
    """Runs the lab's tests on a built tree; returns their Verdicts."""
    verdicts = []
    for name, points, function in load_tests(lab):
        if only and name != only:
            continue
        start, failure = time.monotonic(), None
        bench = Bench(lab, tree, "%s/%s" % (seed, name))
        try:
            function(bench)
        except AssertionError as error:
            failure = str(error) or "the test failed"
        except Exception:  # whatever the student's kernel does, the other tests are graded
            failure = traceback.format_exc(limit=-3)
        finally:
            bench.close()
        verdicts.append(Verdict(name, points, failure, time.monotonic() - start))
    return verdicts


def grade(lab, submission, seed=None, only=None):
    """Builds and judges the files in `submission`; returns (seed, Verdicts)."""
    seed = seed_of(lab, submission) if seed is None else seed
    with tempfile.TemporaryDirectory(prefix="viv-grade.") as directory:
        tree = pristine(lab, directory, submission)
        try:
            build.make("kernel", tree=tree, quiet=True)
        except say.Problem:
            return seed, [Verdict(name, points, DOES_NOT_BUILD, 0)
                          for name, points, _ in load_tests(lab) if only in (None, name)]
        return seed, judge(lab, tree, seed, only)


# -- reports ----------------------------------------------------------------------------------------
def replay(lab, submission, seed, name):
    return "./viv grade %s %s --seed %d --only %s" % (lab.number, submission, seed, name)


def print_table(lab, submission, seed, verdicts):
    for verdict in verdicts:
        print("%3d of %3d  %-52s %5.1f s" % (verdict.score, verdict.points, verdict.name, verdict.seconds))
        if verdict.failure:
            print("            " + verdict.failure.strip().replace("\n", "\n            "))
            print("            again: " + replay(lab, submission, seed, verdict.name))
    print("%3d of %3d  lab %s, %s" % (sum(v.score for v in verdicts), sum(v.points for v in verdicts),
                                      lab.number, lab.title))


def write_gradescope(path, verdicts, command):
    tests = [{"name": v.name, "score": v.score, "max_score": v.points, "status": "failed" if v.failure else "passed",
              "output": v.failure + "\n" + command(v.name) if v.failure else ""} for v in verdicts]
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"score": sum(v.score for v in verdicts), "tests": tests}, file, indent=2)
        file.write("\n")


def write_junit(path, lab, verdicts, command):
    suite = xml.Element("testsuite", name="lab%s" % lab.number, tests=str(len(verdicts)),
                        failures=str(sum(1 for v in verdicts if v.failure)))
    for verdict in verdicts:
        case = xml.SubElement(suite, "testcase", classname="lab%s" % lab.number, name=verdict.name,
                              time="%.3f" % verdict.seconds)
        if verdict.failure:
            failure = xml.SubElement(case, "failure", message=_printable(verdict.failure.splitlines()[0]))
            failure.text = _printable(verdict.failure + "\n" + command(verdict.name))
    xml.ElementTree(suite).write(path, encoding="utf-8", xml_declaration=True)


def _printable(text):
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)


def main(argv):
    parser = argparse.ArgumentParser(prog="viv grade", description="Grades lab N from the files in DIR.")
    parser.add_argument("number", metavar="N")
    parser.add_argument("directory", metavar="DIR")
    parser.add_argument("--seed", type=int, help="the random inputs; else made of the files")
    parser.add_argument("--only", metavar="TEST")
    parser.add_argument("--results", metavar="DIR", help="where results.json and junit.xml go; else into DIR itself")
    options = parser.parse_args(argv)
    lab = labs.Lab(options.number)
    if not os.path.isdir(options.directory):
        raise say.Problem("there is no directory %s" % options.directory)
    if options.only and options.only not in lab.points:
        raise say.Problem("lab %s has no test %s; it has: %s" % (lab.number, options.only, " ".join(lab.points)))
    build.make("kernel", "root", quiet=True)
    seed, verdicts = grade(lab, options.directory, options.seed, options.only)
    print_table(lab, options.directory, seed, verdicts)
    results = options.results or options.directory
    os.makedirs(results, exist_ok=True)

    def command(name):
        return replay(lab, options.directory, seed, name)
    write_gradescope(os.path.join(results, "results.json"), verdicts, command)
    write_junit(os.path.join(results, "junit.xml"), lab, verdicts, command)
    return 0 if all(not verdict.failure for verdict in verdicts) else 1
