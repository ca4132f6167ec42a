# SPDX-License-Identifier: Apache-2.0
"""Requirements of the book and the cases that check them: ``docs_requirements.py [--check]``.

A requirement is a block ``:::{requirement} VC-ENC-003`` in ``spec/chapters``. A case is a vector of ``spec/vectors``
(its ``requirements``), a scenario of the conformance suite, or a test function whose source names the id. With
``--check`` the exit status is 1 where a requirement has no case or a case names a requirement that does not exist.
"""

import ast
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcompute.conformance.vectors import REQUIREMENT

ROOT: Final = Path(__file__).resolve().parent.parent
CHAPTERS: Final = ROOT / "spec" / "chapters"
VECTORS: Final = ROOT / "spec" / "vectors"
ID: Final = re.compile(r"\bVC-[A-Z]{2,6}-\d{3}\b")


@dataclass(frozen=True, slots=True)
class Requirement:
    """One numbered requirement."""

    id: str
    chapter: str
    text: str


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that checks requirements."""

    kind: str
    """``vector``, ``scenario`` or ``test``"""
    file: str
    name: str
    requirements: tuple[str, ...]

    @property
    def anchor(self) -> str:
        """The case's anchor in the page of cases."""
        return "case-" + re.sub(r"[^a-z0-9]+", "-", f"{self.file}-{self.name}".lower()).strip("-")


def requirements() -> list[Requirement]:
    """Every requirement in order of id, refusing a duplicate or a malformed id."""
    found: dict[str, Requirement] = {}
    for path in sorted(CHAPTERS.glob("*.md")):
        for _, name, text in REQUIREMENT.findall(path.read_text(encoding="utf-8")):
            if not ID.fullmatch(name):
                raise SystemExit(f"{path.relative_to(ROOT)}: {name!r} is not a requirement id such as VC-ENC-003")
            if name in found:
                raise SystemExit(f"{path.relative_to(ROOT)}: {name} stands in {found[name].chapter} already")
            found[name] = Requirement(name, path.stem, " ".join(text.split()))
    return [found[name] for name in sorted(found)]


def _vectors() -> Iterator[Case]:
    for path in sorted(VECTORS.glob("v*/**/*.json")):
        document = json.loads(path.read_text(encoding="utf-8"))
        if not isinstance(document, dict):
            continue
        for case in document.get("cases", ()):
            yield Case("vector", str(path.relative_to(ROOT)), case["id"], tuple(case["requirements"]))


def _tests() -> Iterator[Case]:
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        source = path.read_text(encoding="utf-8")
        if not ID.search(source):
            continue
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test"):
                first = min([node.lineno, *(item.lineno for item in node.decorator_list)])
                text = "\n".join(source.splitlines()[first - 1 : node.end_lineno])
                names = tuple(sorted(set(ID.findall(text))))
                if names:
                    yield Case("test", str(path.relative_to(ROOT)), node.name, names)


def _scenarios() -> Iterator[Case]:
    try:
        from vcompute.conformance import all_cases
    except ImportError:
        return
    for case in all_cases():
        if case.source is None:
            yield Case("scenario", f"vcompute/conformance ({case.level.name})", case.id, case.requirements)


def cases() -> list[Case]:
    """Every case that names a requirement, and every vector."""
    return [*_vectors(), *_scenarios(), *_tests()]


def problems() -> list[str]:
    """What is wrong, one line each; empty where every requirement has a case and every case a requirement."""
    known = {requirement.id for requirement in requirements()}
    everything = cases()
    covered = {name for case in everything for name in case.requirements}
    lines = [f"{name}: no vector, scenario or test names this requirement" for name in sorted(known - covered)]
    for case in everything:
        where = f"{case.file}: {case.name}"
        if not case.requirements:
            lines.append(f"{where} names no requirement")
        lines += [f"{where} names {name}, which no chapter has" for name in case.requirements if name not in known]
    return lines


def main(argv: list[str]) -> int:
    lines = problems()
    for line in lines:
        print(line, file=sys.stderr)
    print(f"{len(requirements())} requirements, {len(cases())} cases, {len(lines)} problems")
    return 1 if lines and "--check" in argv else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
