# SPDX-License-Identifier: Apache-2.0
"""The list of seeded bugs and its result in the book are of today's code. The gate itself is ``make mutants``."""

import json
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
MUTANTS = tomllib.loads((ROOT / "tests" / "conformance" / "mutants.toml").read_text(encoding="utf-8"))["mutant"]
RESULTS = json.loads((ROOT / "docs" / "reference" / "mutants.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant["name"])
def test_a_seeded_bug_can_be_put_into_the_code(mutant: dict[str, str]) -> None:
    source = (ROOT / "vcompute" / mutant["file"]).read_text(encoding="utf-8")
    assert mutant["old"] in source, "the code has changed: write this bug anew, then 'python tools/mutants.py --write'"
    compile(source.replace(mutant["old"], mutant["new"], 1), mutant["file"], "exec")


def test_the_book_has_the_result_of_every_bug() -> None:
    assert [item["name"] for item in RESULTS] == [mutant["name"] for mutant in MUTANTS]
    assert [item["name"] for item in RESULTS if item["caught_by"] is None] == []
    assert len({mutant["name"] for mutant in MUTANTS}) == len(MUTANTS) >= 40
