"""The grader is graded: a lab's tests tell right from wrong, whatever the student's kernel prints."""
import json
import os
import subprocess
import sys
import xml.etree.ElementTree as xml

from viv import gradecheck, lab, paths
from viv.testlib import test

LAB1 = lab.Lab(1)


@test()
def starter_of_lab_1_scores_nothing(t):
    verdicts = gradecheck.graded(LAB1, lambda directory: gradecheck.starter_files(LAB1, directory))
    t.equal(gradecheck.score(verdicts), 0, "points of the starter")


@test()
def reference_of_lab_1_scores_all_on_every_seed(t):
    for seed in gradecheck.SEEDS:
        verdicts = gradecheck.graded(LAB1, lambda directory: None, seed)
        t.equal(gradecheck.explain(verdicts), "", "failures of the reference with seed %d" % seed)
        t.equal(gradecheck.score(verdicts), 100, "points of the reference with seed %d" % seed)


@test()
def kernel_that_only_talks_scores_nothing_in_lab_1(t):
    verdicts = gradecheck.graded(LAB1, lambda directory: gradecheck.apply_wrong(LAB1, gradecheck.TALKER, directory))
    t.true(gradecheck.builds(verdicts), "the talker to build")
    t.equal(gradecheck.score(verdicts), 0, "points of the talker")


@test()
def every_test_of_lab_1_is_failed_by_a_wrong_solution(t):
    failed = set()
    for name in gradecheck.wrong_names(LAB1):
        if name == gradecheck.TALKER:
            continue
        verdicts = gradecheck.graded(LAB1, lambda directory, name=name: gradecheck.apply_wrong(LAB1, name, directory))
        t.true(gradecheck.builds(verdicts), "the wrong solution %s to build" % name)
        t.true(gradecheck.failed(verdicts), "the wrong solution %s to fail a test" % name)
        failed |= gradecheck.failed(verdicts)
    t.equal(sorted(set(LAB1.points) - failed), [], "tests that no wrong solution fails")


@test()
def lab_start_makes_a_starter_that_boots_to_its_first_hole(t):
    directory = os.path.join(t.directory(), "starter")
    viv = [sys.executable, "-B", os.path.join(paths.ROOT, "viv")]
    subprocess.run(viv + ["lab", "start", "1", directory], check=True, capture_output=True)
    lab.copy_build(paths.ROOT, directory)
    subprocess.run(["make", "-s", "-C", directory, "kernel", "root"], check=True, capture_output=True)
    m = t.machine(tree=paths.Tree(directory))
    m.wait()
    t.contains(m.log.data.decode(errors="replace"), LAB1.hole_message(1), "the starter's log")


@test()
def grade_writes_what_gradescope_and_ci_read_and_replays_the_same_mark(t):
    directory, results = os.path.join(t.directory(), "given"), os.path.join(t.directory(), "results")
    gradecheck.submission(LAB1, directory)
    gradecheck.apply_wrong(LAB1, "trims_nothing", directory)
    command = [sys.executable, "-B", os.path.join(paths.ROOT, "viv"), "grade", "1", directory, "--results", results]
    first = subprocess.run(command, capture_output=True, text=True, timeout=600)
    t.equal(first.returncode, 1, "status of a grade that is not full")
    with open(os.path.join(results, "results.json"), encoding="utf-8") as file:
        given = json.load(file)
    failed = [entry["name"] for entry in given["tests"] if entry["status"] == "failed"]
    t.equal(failed, ["trim_frees_what_lies_inside_and_nothing_else"], "failed tests in results.json")
    t.equal(given["score"], 90, "score in results.json")
    suite = xml.parse(os.path.join(results, "junit.xml")).getroot()
    t.equal([case.get("name") for case in suite if case.find("failure") is not None], failed, "failures in junit.xml")
    replay = t.matches(first.stdout, r"again: \./viv (.*)$").group(1).split()
    second = subprocess.run(command[:3] + replay + ["--results", results], capture_output=True, text=True, timeout=600)
    wanted = [line for line in first.stdout.splitlines() if "expected" in line]
    t.equal([line for line in second.stdout.splitlines() if "expected" in line], wanted, "what the replay says")
