# SPDX-License-Identifier: Apache-2.0
"""Every input is provable: random nodes of every operator between proved values, with inputs at all extremes.

Before and behind the node stand layers that change nothing, so its operands are proved and its output is read by
another node. Models come from two makers: graphs of the task format, and ``.tflite`` files under both semantics.
"""

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support import graphs, random_models
from tests.support.layers import FILLS, batch_of, between_layers
from tests.unit.proof.succinct.test_end_to_end import round_trip
from vcompute.errors import Rejected, TaskError, VcomputeError
from vcompute.importers import Semantics, import_tflite
from vcompute.proof.succinct.setting import prepare
from vcompute.registry import ErrorCode
from vcompute.task import Graph, Model, Node, build
from vcompute.task import operators as ops
from vcompute.task.tensor import DType, ValueType

MOST_ELEMENTS = 6000


def provable(model: Model) -> Model:
    """The model between layers; only small ones, and none that is refused for the size of its constants."""
    assume(all(kind.dtype is DType.INT8 for kind in model.graph.inputs))
    assume(sum(value.elements for value in model.graph.values) < MOST_ELEMENTS)
    assume(sum(array.size for array in model.constants) < 4 * MOST_ELEMENTS)
    refusal: VcomputeError | None = None
    try:
        whole = between_layers(model)
        prepare(whole)
    except (TaskError, Rejected) as error:
        refusal = error
    if isinstance(refusal, Rejected):
        # Quotients too wide for a table or the field, and never for another reason.
        assert refusal.code is ErrorCode.SUITE_UNSUPPORTED_MODEL
        assert any(reason in refusal.message for reason in ("too long a table", "leaves 62 bits", "leave 63 bits"))
    assume(refusal is None)
    return whole


def check(model: Model, fill: str, size: int, seed: int) -> None:
    """The outputs are the reference's and the proof convinces, whoever holds the model however."""
    round_trip(model, batch_of(model, fill, size, seed))


@pytest.mark.parametrize(("low", "zero_point"), [(-51, -103), (60, 20), (127, -128)])
def test_a_sum_that_is_always_at_its_lower_clamp(low: int, zero_point: int) -> None:
    """No pair of operands says how small Q must at least be: it is taken so that quotients are small."""
    small, kind = ops.Requant(1 << 30, -3), ValueType(DType.INT8, (3,), 5)
    output = ValueType(DType.INT8, (3,), zero_point)
    node = Node(ops.Add(small, small, ops.Requant(1 << 30, -23), low, 127), (0, 1), (), output)
    scales = (graphs.UNKNOWN,) * 2
    model = between_layers(build(Graph(1, (kind, kind), (), (node,), (2,), scales, scales[:1]), ()))
    plan = next(
        plan for index, plan in prepare(model).plans.items() if isinstance(model.graph.nodes[index].operator, ops.Add)
    )
    assert max(abs(plan.least), abs(plan.greatest)) < 1 << 16
    check(model, "ends", 2, 0)


OPERATORS = [maker for maker in graphs.OPERATORS if maker not in (graphs.softmax, graphs.matmul)]
QUICK = settings(max_examples=3, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
LONG = settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
SEEDS, SIZES = st.integers(0, 1 << 30), st.integers(1, 3)


def operator_test(maker: object, seed: int, fill: str, size: int) -> None:
    check(provable(graphs.random_model(maker, seed)), fill, size, seed)


@pytest.mark.parametrize("maker", OPERATORS, ids=lambda maker: maker.__name__)
@QUICK
@given(SEEDS, st.sampled_from(FILLS), SIZES)
def test_operators(maker: object, seed: int, fill: str, size: int) -> None:
    operator_test(maker, seed, fill, size)


@pytest.mark.exhaustive
@pytest.mark.parametrize("maker", OPERATORS, ids=lambda maker: maker.__name__)
@LONG
@given(SEEDS, st.sampled_from(FILLS), SIZES)
def test_many_operators(maker: object, seed: int, fill: str, size: int) -> None:
    operator_test(maker, seed, fill, size)


IMPORTED = [name for name in random_models.BUILDERS if name != "softmax"]


def imported_test(name: str, semantics: Semantics, seed: int, fill: str) -> None:
    try:
        model = import_tflite(random_models.build(name, seed), semantics)
    except TaskError:
        assume(False)
    check(provable(model), fill, 2, seed)


@pytest.mark.parametrize("semantics", list(Semantics))
@pytest.mark.parametrize("name", IMPORTED)
@settings(QUICK, max_examples=1)
@given(SEEDS, st.sampled_from(FILLS))
def test_imported_operators(name: str, semantics: Semantics, seed: int, fill: str) -> None:
    imported_test(name, semantics, seed, fill)


@pytest.mark.exhaustive
@pytest.mark.parametrize("semantics", list(Semantics))
@pytest.mark.parametrize("name", IMPORTED)
@settings(LONG, max_examples=60)
@given(SEEDS, st.sampled_from(FILLS))
def test_many_imported_operators(name: str, semantics: Semantics, seed: int, fill: str) -> None:
    imported_test(name, semantics, seed, fill)
