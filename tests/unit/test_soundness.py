# SPDX-License-Identifier: Apache-2.0
"""The calculator's own rules: what counts, what is refused, and that no parameter goes unaccounted for."""

import dataclasses
from fractions import Fraction

import pytest

from vcompute import soundness
from vcompute.commitment import STANDARD, TINY, CommitmentParameters, TableShape, schedule
from vcompute.errors import Rejected
from vcompute.registry import ErrorCode
from vcompute.soundness import FIELD_SIZE, Report, Term


def test_query_counts_of_the_standard_set() -> None:
    counts = [soundness.queries_for(rate_bits, 84) for rate_bits in (1, 2, 3, 4)]
    assert counts == [203, 124, 102, 93]
    for rate_bits, t in zip((1, 2, 3, 4), counts, strict=True):
        assert soundness.query_error(rate_bits, t) <= Fraction(1, 2**84)
        assert soundness.query_error(rate_bits, t - 1) > Fraction(1, 2**84)


def test_worst_round_and_union() -> None:
    report = Report((Term("a", Fraction(1, 2**104)), Term("b", Fraction(1, 2**90), grinding=12)))
    assert report.security_bits == 102
    assert report.union_bits == pytest.approx(101.66, abs=0.1)
    report.require(102)
    with pytest.raises(Rejected, match="'b'") as caught:
        report.require(103)
    assert caught.value.code is ErrorCode.SECURITY_UNREACHABLE


def test_digests_bound_every_claim() -> None:
    assert Report(()).security_bits == 108
    assert Report((Term("never", Fraction(0)),)).security_bits == 108
    with pytest.raises(Rejected):
        Report(()).require(109)


def test_grinding_fills_the_gap_and_no_more() -> None:
    error = Fraction(3, FIELD_SIZE) * 2**28  # a little over 98.4 bits
    assert soundness.grinding_for(error, 98, 8) == 0
    assert soundness.grinding_for(error, 100, 8) == 2
    assert soundness.grinding_for(error, 120, 8) == 8


@pytest.mark.parametrize("variables", range(4, 33))
def test_the_standard_set_reaches_its_level_at_every_size(variables: int) -> None:
    """VC-COM-006."""
    shapes = [STANDARD.shape(1 << variables), STANDARD.shape(9 << max(0, variables - 7))]
    plan = schedule(STANDARD, shapes, claims=2000)
    report = Report(plan.terms())
    assert report.security_bits >= 100
    assert report.union_bits > 97
    assert all(step.fold_grinding <= 8 for step in plan.rounds)


CHANGES = {
    "security_bits": 104,
    "rate_bits": 2,
    "rate_step": 0,
    "max_rate_bits": 3,
    "query_bits": 90,
    "query_grinding": 10,
    "max_challenge_grinding": 0,
    "final_variables": 16,
    "lane_variables": 28,
}


@pytest.mark.parametrize("field", [f.name for f in dataclasses.fields(CommitmentParameters) if f.name != "name"])
def test_every_parameter_is_accounted_for(field: str) -> None:
    """Changing a parameter changes the terms or the refusal; a new parameter has to be entered here."""

    def terms(parameters: CommitmentParameters) -> tuple[Term, ...]:
        return schedule(parameters, [parameters.shape(1 << 32), TableShape(28, 16), TableShape(28, 16)], 100).terms()

    before = terms(STANDARD)
    try:
        after = terms(dataclasses.replace(STANDARD, **{field: CHANGES[field]}))
    except Rejected as error:
        assert error.code is ErrorCode.SECURITY_UNREACHABLE  # noqa: PT017
    else:
        assert after != before


def test_claims_and_tables_are_accounted_for() -> None:
    one = schedule(STANDARD, [TableShape(16, 16)], 1).terms()
    assert one != schedule(STANDARD, [TableShape(16, 16)], 2).terms()
    assert one != schedule(STANDARD, [TableShape(17, 16)], 1).terms()
    assert one != schedule(STANDARD, [TableShape(16, 16), TableShape(16, 16)], 1).terms()


def test_every_challenge_of_a_schedule_has_a_term() -> None:
    plan = schedule(STANDARD, [TableShape(20, 16)], 5)
    names = [term.name for term in plan.terms()]
    assert len(names) == len(set(names)) == 2 + 2 * len(plan.rounds)


def test_instances_that_cannot_reach_the_level_are_refused() -> None:
    """VC-COM-006."""
    demanding = dataclasses.replace(STANDARD, security_bits=108, query_grinding=26, max_challenge_grinding=6)
    with pytest.raises(Rejected) as caught:
        schedule(demanding, [TableShape(28, 16)], 1)
    assert caught.value.code is ErrorCode.SECURITY_UNREACHABLE
    schedule(demanding, [TableShape(16, 16)], 1)


def test_tiny_claims_nothing() -> None:
    assert Report(schedule(TINY, [TableShape(8, 16)], 3).terms()).security_bits < 10
