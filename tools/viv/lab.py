"""Labs: what one consists of, and the starter made from the reference tree.

A lab is a directory labs/N with README.md (the handout), lab.toml (holes, the student's files, the points), tests.py
(what is graded) and wrong/*.c (wrong solutions that keep the grader honest). A hole is a function: the starter has a
panic in place of its body, and the comment above it is its specification. The reference tree carries no marks.
"""
import os
import re
import shutil
import tomllib

from . import paths, say, source

HOLE_HEADER = "kernel/x86/hole.h"
HOLE_TEXT = """// A function that is left to you: reaching it ends the run with the name of the exercise.
#pragma once
#include "kernel/x86/log.h"

#define hole(what) panic("%s\\n", what)
"""


class Lab:
    def __init__(self, number, root=paths.ROOT):
        self.number, self.root = number, root
        self.directory = os.path.join(root, "labs", str(number))
        manifest = os.path.join(self.directory, "lab.toml")
        if not os.path.exists(manifest):
            raise say.Problem("there is no lab %s: see labs/" % number)
        with open(manifest, "rb") as file:
            values = tomllib.load(file)
        self.title, self.files = values["title"], values["files"]
        self.holes, self.points, self.stop_at = values["hole"], values["points"], values.get("stop_at")

    def hole_message(self, exercise):
        entry = self.holes[exercise - 1]
        return "lab%s: exercise %d, %s" % (self.number, exercise, entry["function"])


def find_function(text, name):
    """(start of the header, position of the body's brace, end) of the definition of `name` at column 0, or None."""
    header = re.compile(r"^[A-Za-z_][^\n;{}#]*?\b%s\([^;{}]*\)\s*\{" % re.escape(name), re.M)
    plain = source.without_comments(text)
    match = header.search(plain)
    if not match:
        return None
    close = plain.find("\n}", match.end())
    return match.start(), match.end() - 1, close + 2


def replace_body(text, name, body):
    """The text with the body of function `name` replaced; its comment and its header stay."""
    place = find_function(text, name)
    if place is None:
        raise say.Problem("no function %s to make a hole of" % name)
    _, brace, end = place
    return text[:brace] + "{\n" + body + "\n}" + text[end:]


def replace_function(text, name, definition):
    """The text with the whole definition of `name`, header and body, replaced."""
    place = find_function(text, name)
    if place is None:
        raise say.Problem("no function %s to replace" % name)
    return text[:place[0]] + definition.strip() + text[place[2]:]


def copy_tree(root, directory):
    """Copies the tracked and new files of the tree into `directory`."""
    for name in source.tracked(root=root):
        target = os.path.join(directory, name)
        os.makedirs(os.path.dirname(target), exist_ok=True)
        shutil.copy2(os.path.join(root, name), target)


def copy_build(root, directory):
    """Copies what is built of the tree at `root`, so that only what differs is built again in `directory`."""
    if os.path.isdir(os.path.join(root, "build")):
        shutil.copytree(os.path.join(root, "build"), os.path.join(directory, "build"), symlinks=True,
                        ignore=shutil.ignore_patterns("test-logs", "gdb.sock", "*.iso", "unit", "t"))


def make_holes(lab, directory):
    """Turns the reference files in `directory` into the starter's."""
    with open(os.path.join(directory, HOLE_HEADER), "w", encoding="utf-8") as file:
        file.write(HOLE_TEXT)
    for exercise, hole in enumerate(lab.holes, 1):
        path = os.path.join(directory, hole["file"])
        text = source.read(hole["file"], directory)
        text = replace_body(text, hole["function"], '    hole("%s");' % lab.hole_message(exercise))
        include = '#include "%s"\n' % HOLE_HEADER
        if include not in text:
            last = [match.end() for match in re.finditer(r"^#include .*\n", text, re.M)][-1]
            text = text[:last] + include + text[last:]
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def start(number, directory):
    """`viv lab start N DIR`."""
    lab = Lab(number)
    if os.path.exists(directory) and os.listdir(directory):
        raise say.Problem("%s is there already: name a new directory" % directory)
    os.makedirs(directory, exist_ok=True)
    copy_tree(paths.ROOT, directory)
    make_holes(lab, directory)
    shutil.rmtree(os.path.join(directory, "labs"), ignore_errors=True)
    shutil.copytree(lab.directory, os.path.join(directory, "labs", str(number)),
                    ignore=shutil.ignore_patterns("wrong", "tests.py", "__pycache__"))
    say.step("lab %s, %s: read %s" % (number, lab.title, os.path.join(directory, "labs", str(number), "README.md")))
    say.step("your files: " + " ".join(lab.files))
    return 0


def main(argv):
    if len(argv) != 3 or argv[0] != "start":
        raise say.Problem("usage: ./viv lab start N DIR")
    return start(argv[1], argv[2])
