# SPDX-License-Identifier: Apache-2.0
"""Whole instances of the set ``standard`` against figures computed apart, by ``tools/soundness_figures.py``."""

import json
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest

from vcompute.commitment import STANDARD, schedule
from vcompute.proof.succinct.reach import reach, report_of
from vcompute.proof.succinct.setting import Sizes
from vcompute.soundness import COLLISION_BITS, Report, Term

FIGURES: dict[str, Any] = json.loads((Path(__file__).parent / "soundness_instances.json").read_text(encoding="utf-8"))


@pytest.mark.parametrize("row", FIGURES["openings"], ids=lambda row: f"{row['tables']}-rate{row['first_rate']}")
def test_openings(row: dict[str, Any]) -> None:
    """Every fold and every round of queries, with the number of queries and the work before each."""
    parameters = replace(STANDARD, rate_bits=row["first_rate"])
    plan = schedule(parameters, [parameters.shape(1 << v) for v in row["tables"]], row["claims"])
    terms = {term.name: term for term in plan.terms()}
    assert terms["batching of claims"].bits == pytest.approx(row["batching_bits"], abs=1e-3)
    assert len(plan.rounds) == len(row["rounds"])
    for index, (step, expected) in enumerate(zip(plan.rounds, row["rounds"], strict=True)):
        fold, queries = terms[f"round {index}: each fold"], terms[f"round {index}: queries"]
        assert (fold.grinding, step.oracles[0].queries) == (expected["fold_work"], expected["queries"])
        assert fold.bits == pytest.approx(expected["fold_bits"], abs=1e-3)
        assert queries.bits == pytest.approx(expected["query_bits"], abs=1e-3)


@pytest.mark.parametrize("row", FIGURES["lookups"], ids=lambda row: str(row["log_leaves"]))
def test_lookups(row: dict[str, Any]) -> None:
    sizes = Sizes(1 << row["log_leaves"], row["log_leaves"], 20, 0, 10, 1)
    first = sizes.terms(STANDARD)[0]
    assert (first.name, first.grinding) == ("lookups", row["work"])
    assert first.bits == pytest.approx(row["bits"], abs=1e-3)


def test_the_set_itself_is_among_the_figures() -> None:
    assert any(row["first_rate"] == STANDARD.rate_bits for row in FIGURES["openings"])


def test_the_union_counts_every_challenge() -> None:
    report = Report((Term("a", Fraction(1, 1 << 50), 10, count=4), Term("b", Fraction(1, 1 << 60))))
    assert report.security_bits == 60
    assert report.union_bits == pytest.approx(60 - 2.321928, abs=1e-5)
    assert COLLISION_BITS == 108


def test_the_largest_instance_reaches_the_level_and_the_next_is_refused() -> None:
    """VC-SUC-021"""
    found = reach(STANDARD)
    assert found.report.security_bits >= STANDARD.security_bits
    assert found.variables == 32
    stricter = reach(replace(STANDARD, max_challenge_grinding=0))
    assert stricter.limit == "security_unreachable"
    assert stricter.variables < found.variables
    assert report_of(STANDARD, stricter.variables + 1).terms[0].grinding > 0
