# SPDX-License-Identifier: Apache-2.0
"""Every input is provable: random nodes of every operator between proved values, with inputs at all extremes.

Before and behind the node stand layers that change nothing, so its operands are proved and its output is read by
another node. Models come from two makers: graphs of the task format, and ``.tflite`` files under both semantics.
"""

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support import graphs, random_models
from tests.unit.proof.succinct.test_end_to_end import round_trip
from vcompute.errors import Rejected, TaskError, VcomputeError
from vcompute.importers import Semantics, import_tflite
from vcompute.proof.succinct.setting import prepare
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Graph, Model, Node, build, make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Rounding
from vcompute.task.tensor import ConstantType, DType, NDArray, ValueType, dtype_of

MOST_ELEMENTS = 6000
FILLS = ("random", "least", "greatest", "ends", "zero points", "equal")


def between_layers(model: Model) -> Model:
    """The model, each input through a layer that gives it on as it is, and its output into another one."""
    graph, constants, nodes = model.graph, list(model.constants), []

    def same(value: int, kind: ValueType) -> int:
        """One channel a value, weight and factor 1."""
        size, start = kind.shape[-1], len(constants)
        constants.extend(
            [np.eye(size, dtype="i1"), np.zeros(size, "<i4"), np.full(size, 1 << 30, "<i4"), np.full(size, 1, "i1")]
        )
        layer = ops.FullyConnected(Rounding.DOUBLE, -128, 127)
        nodes.append(Node(layer, (value,), tuple(range(start, start + 4)), kind))
        return len(graph.inputs) + len(nodes) - 1

    moved = [same(i, kind) if kind.shape else i for i, kind in enumerate(graph.inputs)]
    for node in graph.nodes:
        nodes.append(Node(node.operator, tuple(moved[i] for i in node.inputs), node.constants, node.output))
        moved.append(len(graph.inputs) + len(nodes) - 1)
    outputs = []
    for output in graph.outputs:
        kind = graph.values[output]
        outputs.append(same(moved[output], kind) if kind.dtype is DType.INT8 and kind.shape else moved[output])
    types = tuple(ConstantType(dtype_of(array), array.shape) for array in constants)
    return build(
        Graph(1, graph.inputs, types, tuple(nodes), tuple(outputs), graph.input_scales, graph.output_scales), constants
    )


def batch_of(model: Model, fill: str, size: int, seed: int) -> Batch:
    """Inputs at an extreme: all at one end, both ends at random, nothing but zero points, all samples alike."""
    rng = np.random.default_rng(seed)

    def array(kind: ValueType) -> NDArray:
        shape = (size, *kind.shape)
        constants = {"least": -128, "greatest": 127, "zero points": kind.zero_point}
        if fill in constants:
            return np.full(shape, constants[fill], "i1")
        if fill == "ends":
            return rng.choice(np.array([-128, 127], "i1"), shape)
        if fill == "equal":
            return np.repeat(rng.integers(-128, 128, (1, *kind.shape)).astype("i1"), size, axis=0)
        return rng.integers(-128, 128, shape).astype("i1")

    return make_batch([array(kind) for kind in model.graph.inputs])


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
