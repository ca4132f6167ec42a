# SPDX-License-Identifier: Apache-2.0
"""Weights mean the same to prover and verifier; honest openings of any tables pass; false ones do not."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.commitment.harness import dense, instance, random_exts
from vcompute.commitment import Claim, EqWeight, TensorWeight, Weight
from vcompute.errors import Rejected
from vcompute.field import Backend, Ext, P, implementations
from vcompute.registry import ErrorCode

backends = pytest.mark.parametrize("backend", implementations(), ids=lambda b: b.name)


@st.composite
def weights(draw: st.DrawFn) -> tuple[Weight, int]:
    """A weight on an aligned block of a cube, and the cube's number of variables."""
    variables = draw(st.integers(0, 11))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    inner = draw(st.integers(0, variables))
    offset = draw(st.integers(0, (1 << variables - inner) - 1)) << inner
    if draw(st.booleans()):
        return EqWeight(tuple(random_exts(rng, inner)), offset), variables
    cuts = sorted(draw(st.lists(st.integers(0, inner), max_size=3)))
    sizes = np.diff([0, *cuts, inner])
    factors = tuple(rng.integers(0, P, (1 << int(size), 2), dtype=np.uint64) for size in sizes)
    return TensorWeight(factors, offset), variables


@backends
@settings(deadline=None)
@given(weights(), st.integers(0, 2**32 - 1))
def test_both_sides_of_a_weight_agree(backend: Backend, case: tuple[Weight, int], seed: int) -> None:
    weight, variables = case
    point = random_exts(np.random.default_rng(seed), variables)
    table = dense(weight, variables, backend)
    assert weight.evaluate(point) == backend.dot_ext(table, backend.eq_tensor(point))
    assert not table[weight.extent :].any()


@settings(deadline=None, max_examples=20)
@given(st.lists(st.integers(1, 3000), min_size=1, max_size=3), st.integers(0, 2**32 - 1), st.data())
def test_true_claims_pass_and_false_ones_do_not(lengths: list[int], seed: int, data: st.DataObject) -> None:
    """VC-COM-004, VC-COM-005."""
    made = instance(lengths, seed=seed)
    made.verify(made.prove())
    which = data.draw(st.integers(0, len(made.claims) - 1))
    error = data.draw(st.builds(Ext, st.integers(0, P - 1), st.integers(1, P - 1)))
    made.claims[which] = Claim(made.claims[which].parts, made.claims[which].value + error)
    with pytest.raises(Rejected) as caught:
        made.verify(made.prove())
    assert caught.value.code is ErrorCode.FINAL_POLYNOMIAL


@pytest.mark.parametrize(("offset", "variables"), [(1, 4), (8, 3), (16, 4), (0, 3)])
def test_blocks_outside_their_table_are_refused(offset: int, variables: int) -> None:
    rng = np.random.default_rng(0)
    for weight in (
        EqWeight(tuple(random_exts(rng, 4 if variables == 3 and offset == 0 else 1)), offset),
        TensorWeight((rng.integers(0, P, (16, 2), dtype=np.uint64),), offset | 1),
    ):
        with pytest.raises(Rejected) as caught:
            weight.evaluate(random_exts(rng, variables))
        assert caught.value.code is ErrorCode.OPENING_SHAPE
