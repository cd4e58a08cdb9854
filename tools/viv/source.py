"""Reads the tree's C and assembly as far as the checks and the labs need: comments out, functions found, lines counted."""
import os
import re
import shutil
import subprocess

from . import paths

TOKEN = re.compile(r'//[^\n]*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
ASM_COMMENT = re.compile(r"^\s*#(?!\s*(include|define|undef|if|ifdef|ifndef|else|elif|endif|error)\b).*$", re.M)


def tracked(*suffixes, root=None):
    """The tree's own files (tracked or new, not ignored) that end in one of `suffixes`."""
    root = root or paths.ROOT
    listing = None
    if shutil.which("git"):
        listing = subprocess.run(["git", "-C", root, "ls-files", "-co", "--exclude-standard"],
                                 capture_output=True, text=True)
    if not listing or listing.returncode != 0:
        names = [os.path.relpath(os.path.join(base, name), root) for base, _, files in os.walk(root) for name in files]
        names = [name for name in names if not name.startswith(("build/", ".git/"))]
    else:
        names = listing.stdout.splitlines()
    names = [name for name in names if os.path.isfile(os.path.join(root, name))]
    return sorted(set(name for name in names if name.endswith(suffixes or ("",))))


def read(name, root=None):
    with open(os.path.join(root or paths.ROOT, name), encoding="utf-8", errors="replace") as file:
        return file.read()


def without_comments(text):
    """The text with comments blanked out, line by line in place; strings stay."""
    def blank(match):
        token = match.group()
        return re.sub(r"[^\n]", " ", token) if token[0] == "/" else token
    return TOKEN.sub(blank, text)


def code_lines(name):
    """The lines that are code: (number, text), comments and blank lines left out."""
    text = without_comments(read(name))
    if name.endswith(".S"):
        text = ASM_COMMENT.sub("", text)
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]


def functions(name):
    """The functions of a C file, or the global labels of an assembly file: (name, first line, code lines of the body)."""
    lines = code_lines(name)
    return _labels(lines) if name.endswith(".S") else _c_functions(lines)


def _c_functions(lines):
    found, start, header = [], None, []
    for index, (number, line) in enumerate(lines):
        if line.rstrip() == "{":
            start = index
        elif line.startswith("}") and start is not None:
            found.append((_function_name(" ".join(header)), lines[start][0], index - start - 1))
            start, header = None, []
        elif start is None:
            header = [line] if not line[0].isspace() else header + [line]
    return found


def _function_name(header):
    match = re.search(r"(\w+)\s*\(", header)
    return match.group(1) if match else "?"


def _labels(lines):
    """A label starts a function; another, or a use of a macro that makes whole functions, ends it."""
    makers = re.findall(r"\.macro (\w+)[^\n]*\n\s*\.globl", "\n".join(line for _, line in lines))
    found, name, start, count = [], None, 0, 0
    for number, line in lines + [(0, "end:")]:
        label = re.match(r"([A-Za-z_]\w*):", line)
        if label or line.split()[0] in makers:
            if name:
                found.append((name, start, count))
            name, start, count = label and label.group(1), number, 0
        else:
            count += 1
    return found
