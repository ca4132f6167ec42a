# SPDX-License-Identifier: Apache-2.0
"""The guides tell the truth: their console blocks give the output they show, their Python blocks run.

In a console block a line that starts with ``$ `` is a command and the lines up to the next one are its output, where
``...`` stands for anything. The blocks of a page run in order, in one empty directory and, for Python, one namespace.
A block whose info string says more than ``console`` or ``python`` is not run.
"""

import contextlib
import doctest
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

GUIDES = Path(__file__).resolve().parent.parent.parent / "docs" / "guides"
FENCE = re.compile(r"^(?P<fence>`{3,})(?P<info>[^\n]*)\n(?P<body>.*?)^(?P=fence)$", re.DOTALL | re.MULTILINE)


def blocks(page: Path) -> Iterator[tuple[str, str]]:
    """The fenced blocks of a page: info string and body."""
    for found in FENCE.finditer(page.read_text(encoding="utf-8")):
        if found["fence"] == "```":
            yield found["info"].strip(), found["body"]


def commands(body: str) -> list[tuple[str, str]]:
    """The commands of a console block, each with the output it shows."""
    assert body.startswith("$ "), "a console block starts with a command"
    parts = re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]
    return [(part.partition("\n")[0], part.partition("\n")[2]) for part in parts]


def matches(shown: str, got: str) -> bool:
    """Whether output is what a block shows; the shown text's ``...`` matches anything."""
    pattern = ".*".join(re.escape(piece) for piece in shown.rstrip().split("..."))
    return re.fullmatch(pattern, got.rstrip(), re.DOTALL) is not None


SESSIONS = [page for page in sorted(GUIDES.glob("*.md")) if any(info == "pycon" for info, _ in blocks(page))]


@pytest.mark.parametrize("page", SESSIONS, ids=lambda page: page.stem)
def test_session_of_a_guide(page: Path) -> None:
    """The blocks of a page that show the interpreter's answers are one session, and the answers are right."""
    text = "\n".join(body for info, body in blocks(page) if info == "pycon")
    session = doctest.DocTestParser().get_doctest(text, {}, page.stem, str(page), 0)
    runner = doctest.DocTestRunner()
    runner.run(session)
    assert runner.summarize(verbose=False).failed == 0
    assert len(session.examples) >= 5


PAGES = [page for page in sorted(GUIDES.glob("*.md")) if any(info in ("console", "python") for info, _ in blocks(page))]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_guide(page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    environment = {**os.environ, "PATH": path, "COLUMNS": "100", "NO_COLOR": "1"}
    namespace: dict[str, object] = {}
    for info, body in blocks(page):
        if info == "python":
            with contextlib.redirect_stdout(sys.stderr):
                exec(compile(body, str(page), "exec"), namespace)
        elif info == "console":
            for command, shown in commands(body):
                done = subprocess.run(
                    ["bash", "-c", command], env=environment, capture_output=True, text=True, check=False
                )
                got = done.stdout + done.stderr
                assert matches(shown, got), f"$ {command}\n{got}\nwhere {page.name} shows\n{shown}"


def test_the_guides_are_found() -> None:
    assert {page.stem for page in PAGES} >= {"getting-started"}


def test_what_a_block_shows() -> None:
    assert commands("$ a\n1\n2\n$ b\n$ c\n3\n") == [("a", "1\n2\n"), ("b", ""), ("c", "3\n")]
    assert matches("model 1...\nend", "model 123\nmore\nend\n")
    assert not matches("model 1...", "mode 1")
    assert not matches("", "anything")


def test_the_example_of_the_readme() -> None:
    """The sessions in the README give what they show."""
    text = (GUIDES.parent.parent / "README.md").read_text(encoding="utf-8")
    bodies = [found["body"] for found in FENCE.finditer(text) if found["body"].startswith(">>> ")]
    assert bodies
    session = doctest.DocTestParser().get_doctest("".join(bodies), {}, "README", "README.md", 0)
    runner = doctest.DocTestRunner()
    runner.run(session)
    assert runner.summarize(verbose=False).failed == 0
