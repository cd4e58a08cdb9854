"""References of the documents to lines of the source, as `FILE:LINE` (`name`): the tests check them, ./viv tidy renumbers."""
import os
import re

from . import paths, source

REFERENCE = re.compile(r"`((?:[\w.-]+/)*[\w-]+\.(?:c|h|S|py|ld)):(\d+)`(?:\s+\(`(\w+)`\))?")


def definition_line(name, symbol):
    """The line of a file that defines `symbol`, or else the first that holds it; None if none does."""
    lines = source.read(name).splitlines()
    patterns = [r"^(?!.*;\s*$)[A-Za-z_].*\b%s\(" % symbol, r"^%s:" % symbol,
                r"^(struct|enum|union|#\s*define) %s\b" % symbol, r"\b%s\b" % symbol]
    for pattern in patterns:
        for number, line in enumerate(lines, 1):
            if re.search(pattern, line):
                return number
    return None


def problem(name, line, symbol):
    """What is wrong with a reference, or None."""
    if not os.path.exists(os.path.join(paths.ROOT, name)):
        return "there is no such file"
    lines = source.read(name).splitlines()
    if line > len(lines):
        return "the file has %d lines" % len(lines)
    if symbol and not re.search(r"\b%s\b" % symbol, lines[line - 1]):
        return "%s is not in that line: run ./viv tidy" % symbol
    return None


def check():
    """All wrong references of all documents."""
    problems = []
    for document in source.tracked(".md"):
        text = source.read(document)
        for match in REFERENCE.finditer(text):
            wrong = problem(match.group(1), int(match.group(2)), match.group(3))
            if wrong:
                number = text.count("\n", 0, match.start()) + 1
                problems.append("%s:%d: %s:%s: %s" % (document, number, match.group(1), match.group(2), wrong))
    return problems


def renumber():
    """Gives every reference that names a symbol the line where the symbol is now."""
    def update(match):
        name, line, symbol = match.groups()
        if not symbol or not os.path.exists(os.path.join(paths.ROOT, name)):
            return match.group(0)
        now = definition_line(name, symbol) or line
        return match.group(0).replace(":%s`" % line, ":%s`" % now, 1)
    for document in source.tracked(".md"):
        text = source.read(document)
        new = REFERENCE.sub(update, text)
        if new != text:
            with open(os.path.join(paths.ROOT, document), "w", encoding="utf-8") as file:
                file.write(new)
