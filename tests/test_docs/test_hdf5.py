"""docs/hdf5.md runs, block after block: Python, the command line, C."""

from __future__ import annotations

import doctest
import itertools
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sybil import Sybil
from sybil.parsers.markdown import CodeBlockParser, PythonCodeBlockParser

from support.paths import DOCS

GUIDE = DOCS / "hdf5.md"
LANGUAGES = ("python", "console", "c")
KEPT = "HDF5_PLUGIN_PATH"


def commands(block):
    """Yield each command of a terminal session, and what it prints."""
    for entry in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        lines = entry.splitlines(keepends=True)
        more = list(itertools.takewhile(lambda line: line.startswith("> "), lines[1:]))
        command = "".join([lines[0], *(line.removeprefix("> ") for line in more)])
        yield command, "".join(lines[1 + len(more) :])


class Terminal:
    """Runs commands in one folder, with an environment that outlives them."""

    def __init__(self, folder):
        self.folder = folder
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
        self.environment = {k: v for k, v in os.environ.items() if k != KEPT} | {"PATH": path}

    def run(self, command):
        result = subprocess.run(
            ["bash", "-c", f"set -eo pipefail\n{command}\nprintenv {KEPT} >.kept || true"],
            capture_output=True,
            text=True,
            cwd=self.folder,
            env=self.environment,
        )
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        self.environment[KEPT] = (self.folder / ".kept").read_text().strip()
        return result.stdout + result.stderr

    def evaluate(self, example):
        for command, expected in commands(example.parsed):
            assert self.run(command) == expected, command


def save(folder):
    def evaluate(example):
        (name,) = re.findall(r"^/\* (\S+) \*/\n", example.parsed)
        (folder / name).write_text(example.parsed)

    return evaluate


def test_the_blocks_run_and_print_what_is_shown(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    blocks = [
        PythonCodeBlockParser(doctest_optionflags=doctest.ELLIPSIS),
        CodeBlockParser("console", Terminal(tmp_path).evaluate),
        CodeBlockParser("c", save(tmp_path)),
    ]
    examples = list(Sybil(parsers=blocks, path=str(GUIDE.parent)).parse(GUIDE).examples())
    assert len(examples) >= sum(GUIDE.read_text().count(f"```{name}\n") for name in LANGUAGES)
    for example in examples:
        example.evaluate()
    assert (tmp_path / "c.h5").exists()


def test_sessions_are_taken_apart():
    session = '$ one\n$ two "\n> more"\nprinted\n> not\n'
    assert list(commands(session)) == [("one\n", ""), ('two "\nmore"\n', "printed\n> not\n")]
    with pytest.raises(AssertionError):
        Terminal(Path.cwd()).run("false")


def test_what_it_links_to_is_there():
    text = GUIDE.read_text()
    for target in re.findall(r"\]\((?!http|#)([^)#]+)", text):
        assert (GUIDE.parent / target).exists(), target
    headings = re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    anchors = {re.sub(r"[^\w -]", "", h.lower()).replace(" ", "-") for h in headings}
    assert set(re.findall(r"\]\(#([^)]+)\)", text)) <= anchors
