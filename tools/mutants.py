# SPDX-License-Identifier: Apache-2.0
"""The mutation gate: every seeded bug of ``tests/conformance/mutants.toml`` must be caught by the conformance suite.

Each bug is put into a copy of the package, the copy is run as a testee, and the suite of this package is run against
it until a case fails. ``mutants.py [--write] [--only TEXT]``: exit status 1 where a bug survives; ``--write`` keeps the
table of results for the book.
"""

import argparse
import json
import shlex
import shutil
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import vcompute
from vcompute.conformance import BrokenTestee, Case, ProcessTestee, all_cases
from vcompute.conformance.case import Outcome
from vcompute.conformance.runner import greet, run_case

ROOT: Final = Path(__file__).resolve().parent.parent
LIST: Final = ROOT / "tests" / "conformance" / "mutants.toml"
RESULTS: Final = ROOT / "docs" / "reference" / "mutants.json"
# The copy stands before every other finder, those of editable installs too.
START: Final = (
    "import sys; sys.meta_path[:] = [f for f in sys.meta_path if isinstance(f, type)]; "
    "sys.path.insert(0, {path!r}); from vcompute.cli import main; raise SystemExit(main(['testee']))"
)


def copy_package(target: Path) -> Path:
    """A copy of the package, its native core beside it."""
    package = target / "vcompute"
    ignore = shutil.ignore_patterns("__pycache__", "*.pyc")
    for source in vcompute.__path__:
        shutil.copytree(source, package, ignore=ignore, dirs_exist_ok=True)
    shutil.copytree(ROOT / "spec" / "vectors", package / "conformance" / "vectors", dirs_exist_ok=True)
    return package


def first_failure(cases: Sequence[Case], path: Path) -> str | None:
    """The first case that fails against the copy, or None."""
    command = shlex.join([sys.executable, "-c", START.format(path=str(path))])
    try:
        with ProcessTestee(command, timeout=60) as testee:
            greet(testee)
            for case in cases:
                if run_case(case, testee).outcome is Outcome.FAILED:
                    return case.id
    except BrokenTestee:
        return "the testee ends"
    return None


def check(mutant: dict[str, Any], package: Path) -> str | None:
    """What catches one bug."""
    file = package / mutant["file"]
    original = file.read_text(encoding="utf-8")
    if original.count(mutant["old"]) < 1:
        raise SystemExit(f"{mutant['name']}: {mutant['file']} does not hold {mutant['old']!r} any more")
    file.write_text(original.replace(mutant["old"], mutant["new"], 1), encoding="utf-8")
    try:
        cases = sorted(all_cases(), key=lambda case: not case.id.startswith(mutant["hint"]))
        return first_failure(cases, package.parent)
    finally:
        file.write_text(original, encoding="utf-8")


def write(results: list[dict[str, Any]]) -> None:
    """Keep the results, in the list's order; those of bugs that were not run stay."""
    known = {item["name"]: item for item in json.loads(RESULTS.read_text(encoding="utf-8"))}
    known |= {item["name"]: item for item in results}
    names = [mutant["name"] for mutant in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"]]
    kept = [known[name] for name in names if name in known]
    RESULTS.write_text(json.dumps(kept, indent=1) + "\n", encoding="utf-8")


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--only", default="")
    options = parser.parse_args(argv)
    mutants = [m for m in tomllib.loads(LIST.read_text(encoding="utf-8"))["mutant"] if options.only in m["name"]]
    results = []
    with tempfile.TemporaryDirectory() as directory:
        package = copy_package(Path(directory))
        survivor = first_failure(all_cases(), package.parent) if not options.only else None
        if survivor is not None:
            raise SystemExit(f"the copy without a bug fails {survivor}")
        for mutant in mutants:
            caught = check(mutant, package)
            results.append({"name": mutant["name"], "file": f"vcompute/{mutant['file']}", "caught_by": caught})
            print(f"{'caught ' if caught else 'MISSED '} {mutant['name']}: {caught}", flush=True)
    missed = [item for item in results if item["caught_by"] is None]
    print(f"{len(results) - len(missed)} of {len(results)} caught")
    if options.write:
        write(results)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
