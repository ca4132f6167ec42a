# SPDX-License-Identifier: Apache-2.0
"""Values without a column: how many terms their claims have, and which graphs are refused for it."""

import time
from itertools import pairwise

import numpy as np
import pytest

from tests.unit.proof.succinct.build import Sketch, inputs_for, int8
from vcompute.errors import Rejected
from vcompute.field import ONE, default_backend
from vcompute.field.scalar import to_array
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct.forms import deal
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.shapes import MOST_DEPTH, _crossings, value_factors
from vcompute.proof.succinct.suite import SUITE
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Model
from vcompute.task import operators as ops
from vcompute.task.operators import Requant, Rounding

TINY = int(ParameterSetId.TINY)


def crossed(times: int, rows: int = 29, columns: int = 31) -> Model:
    """RESHAPEs between (29, 31) and (31, 29): each one cuts across the one before."""
    sketch = Sketch([int8(rows, columns)])
    value = sketch.dense(0, columns)
    for _ in range(times):
        value = sketch.unary(ops.Reshape(), value, shape=sketch.type_of(value).shape[::-1])
    return sketch.model(sketch.dense(value, 3))


def turned(times: int) -> Model:
    """One TRANSPOSE after the other."""
    sketch = Sketch([int8(3, 2)])
    value = sketch.dense(0, 2)
    for _ in range(times):
        value = sketch.unary(ops.Transpose((1, 0)), value, shape=sketch.type_of(value).shape[::-1])
    return sketch.model(sketch.dense(value, 3))


def doubled(times: int) -> Model:
    """Each CONCATENATION reads the last one twice."""
    sketch = Sketch([int8(2)])
    value = sketch.dense(0, 2)
    for _ in range(times):
        kind = sketch.type_of(value)
        value = sketch.node(ops.Concatenation(0), [value, value], [], int8(2 * kind.shape[0], zero_point=-3))
    return sketch.model(sketch.dense(value, 2))


REFUSED = {
    "crossed": lambda: crossed(5),
    "turned": lambda: turned(2000),
    "doubled": lambda: doubled(15),
}


@pytest.mark.parametrize("name", REFUSED)
def test_layouts_of_too_many_terms_are_refused_before_any_work(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the prover, and where the instance is derived; not by a recursion that ends, nor after minutes."""
    model = REFUSED[name]()
    monkeypatch.setattr(prover, "make_witness", None)
    for attempt in (
        lambda: SUITE.prove(model, inputs_for(model, 1), b"", TINY, 1),
        lambda: SUITE.security(model.graph, 1, TINY),
    ):
        start = time.process_time()
        with pytest.raises(Rejected, match="RESHAPE") as caught:
            attempt()
        assert caught.value.code is ErrorCode.SUITE_UNSUPPORTED_MODEL
        assert time.process_time() - start < 5


@pytest.mark.parametrize(
    "model", [crossed(2, 5, 7), turned(MOST_DEPTH), doubled(4)], ids=["crossed", "turned", "doubled"]
)
def test_admitted_layouts_are_proved(model: Model) -> None:
    inputs = inputs_for(model, 2)
    outputs, body = SUITE.prove(model, inputs, b"", TINY, 1)
    SUITE.verify(Statement(commit_model(model, TINY, default_backend()), inputs, outputs), body, TINY, 1)


@pytest.mark.parametrize("seed", range(20))
def test_terms_are_counted_as_they_are_dealt(seed: int) -> None:
    rng = np.random.default_rng(seed)
    primes = [int(p) for p in rng.choice([2, 3, 5], 5)]
    cuts = [sorted({0, 5, *(int(c) for c in rng.integers(1, 5, 2))}) for _ in range(2)]
    shape, wanted = (tuple(int(np.prod(primes[a:b])) for a, b in pairwise(cut)) for cut in cuts)
    wanted = tuple(int(size) for size in rng.permutation(wanted))
    vectors = [np.tile(to_array([ONE]), (size, 1)) for size in shape]
    assert _crossings(shape, (wanted,)) == len(deal(vectors, wanted, default_backend()))


def test_factors_of_a_long_chain_take_no_quadratic_time() -> None:
    """A cut at its end reaches its beginning in one round."""
    sketch = Sketch([int8(6, 4)])
    value = sketch.dense(0, 4)
    for _ in range(1500):
        value = sketch.unary(ops.Quantize(Requant(1 << 30, 1), Rounding.DOUBLE, -128, 127), value)
    reshaped = sketch.unary(ops.Reshape(), value, shape=(3, 2, 2, 2))
    graph = sketch.model(sketch.dense(reshaped, 3)).graph
    start = time.process_time()
    factors = value_factors(graph)
    assert factors[1] == ((3, 2), (2, 2))
    assert time.process_time() - start < 2
