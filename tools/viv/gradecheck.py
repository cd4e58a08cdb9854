"""The grader is graded: what a lab's tests must say of the starter, the reference, and wrong solutions."""
import os
import re
import shutil
import tempfile

from . import grade, lab as labs, paths, source

SEEDS = (1, 2, 3)
TALKER = "only_talks"


def submission(lab, directory, root=paths.ROOT):
    """Copies the lab's files from the tree at `root` into `directory`."""
    for name in lab.files:
        target = os.path.join(directory, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copyfile(os.path.join(root, name), target)


def wrong_names(lab):
    return sorted(name[:-2] for name in os.listdir(os.path.join(lab.directory, "wrong")) if name.endswith(".c"))


def apply_wrong(lab, name, directory):
    """Lays the functions of labs/N/wrong/NAME.c over the files in `directory`."""
    text = source.read(os.path.join("labs", str(lab.number), "wrong", name + ".c"), lab.root)
    target = os.path.join(directory, re.match(r"// in: (\S+)\n", text).group(1))
    with open(target, encoding="utf-8") as file:
        result = file.read()
    for match in re.finditer(r"^[a-z][^\n;]*?(\w+)\([^;{}]*\)\n\{\n.*?^\}", text, re.M | re.S):
        result = labs.replace_function(result, match.group(1), match.group(0))
    with open(target, "w", encoding="utf-8") as file:
        file.write(result)


def graded(lab, prepare, seed=SEEDS[0]):
    """The Verdicts on the reference files after prepare(directory) has changed them."""
    with tempfile.TemporaryDirectory(prefix="viv-sub.") as directory:
        submission(lab, directory)
        prepare(directory)
        return grade.grade(lab, directory, seed)[1]


def starter_files(lab, directory):
    """Puts the starter's versions of the lab's files into `directory`."""
    with tempfile.TemporaryDirectory(prefix="viv-starter.") as tree:
        labs.copy_tree(paths.ROOT, tree)
        labs.make_holes(lab, tree)
        submission(lab, directory, tree)


def builds(verdicts):
    return not any(verdict.failure == grade.DOES_NOT_BUILD for verdict in verdicts)


def score(verdicts):
    return sum(verdict.score for verdict in verdicts)


def failed(verdicts):
    return {verdict.name for verdict in verdicts if verdict.failure}


def explain(verdicts):
    return "; ".join("%s: %s" % (v.name, v.failure.strip().splitlines()[0]) for v in verdicts if v.failure)
