# SPDX-License-Identifier: Apache-2.0
"""Every input is provable: the outputs are the reference's, and both holders of the model accept."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from tests.support import models
from tests.unit.proof.succinct.build import Sketch, image_network, inputs_for, int8, interior_softmax, network
from vcompute.errors import Rejected
from vcompute.field import default_backend, implementations, native
from vcompute.kernels import reference
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.commitment import decode_commitment, encode_commitment
from vcompute.proof.succinct.program.claims import Replay
from vcompute.proof.succinct.program.core import Program
from vcompute.proof.succinct.prove import prove
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.setting import Setting, make_setting, prepare
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS, holder_of
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Batch, Model, make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Requant, Rounding, Window

TINY = ParameterSetId.TINY
POOL = Window(2, 2, 1, 1, 0, 0, 0, 0)


def round_trip(model: Model, inputs: Batch, parameter_set: int = TINY) -> None:
    """Prove in both modes; verify as every holder, with both twins of the verifier."""
    commitment = decode_commitment(encode_commitment(commit_model(model, parameter_set, default_backend())))
    for suite, holders in ((SUITE, (model, commitment)), (SUITE_WITH_WEIGHTS, (model,))):
        outputs, body = suite.prove(model, inputs, b"context", parameter_set, 1)
        assert outputs == reference.run(model, inputs)
        again, other = (suite.prove(model, inputs, context, parameter_set, 1)[1] for context in (b"context", b"other"))
        assert_recorded(make_setting(prepare(model), inputs.size, parameter_set, suite.mode))
        assert again == body, "a prover that has recorded its claims makes another proof"
        suite.verify(Statement(model, inputs, outputs, b"other"), other, parameter_set, 1)
        for holder in holders:
            statement = Statement(holder, inputs, outputs, b"context")
            for twin in (suite, replace(suite, readable=True)):
                twin.verify(statement, body, parameter_set, 1)
            known = holder_of(statement, body, parameter_set, default_backend())
            setting = make_setting(known, inputs.size, parameter_set, suite.mode)
            assert isinstance(setting.kept["program"], Program), "the circuit's verifier does not run natively"


def assert_recorded(setting: Setting) -> None:
    """The claims of a prover's second proof come from a record."""
    if default_backend().name == "native":
        assert isinstance(setting.kept["leaf claims"], Replay)
        assert isinstance(setting.kept["product claims"], Replay)


def scaled(sketch: Sketch, value: int) -> int:
    operator = ops.Quantize(Requant(int(1.3 * (1 << 30)), 0), Rounding.DOUBLE, -128, 127)
    return sketch.unary(operator, value, 11)


def logistic(sketch: Sketch, value: int) -> int:
    table = np.clip(256 / (1 + np.exp(-np.arange(-128, 128) / 16)) - 128, -128, 127).astype("i1")
    return sketch.node(ops.Logistic(), [value], [table], int8(*sketch.type_of(value).shape, zero_point=-128))


def concatenated(sketch: Sketch, value: int) -> int:
    other = sketch.conv(value, 3, zero_point=sketch.type_of(value).zero_point)
    height, width, depth = sketch.type_of(value).shape
    kind = int8(height, width, depth + 3, zero_point=sketch.type_of(value).zero_point)
    return sketch.node(ops.Concatenation(2), [value, other], [], kind)


def spread(sketch: Sketch, value: int) -> int:
    """An ADD that stretches a single vector over an image."""
    depth = sketch.type_of(value).shape[2]
    mean = ops.Mean((0, 1), True, Requant(1 << 30, -4), Rounding.DOUBLE, -128, 127)
    narrow = sketch.unary(mean, value, 3)
    assert sketch.type_of(narrow).shape == (1, 1, depth)
    return sketch.add(value, narrow)


def product_by_channel(sketch: Sketch, value: int) -> int:
    """A gate for each channel, as squeeze-and-excitation has it."""
    gate = sketch.unary(ops.Mean((0, 1), False, Requant(1 << 30, -4), Rounding.DOUBLE, -128, 127), value, 3)
    operator = ops.Mul(Requant(1 << 30, -6), Rounding.DOUBLE, -128, 127)
    return sketch.node(operator, [gate, value], [], int8(*sketch.type_of(value).shape, zero_point=4))


def product_with_a_constant(sketch: Sketch, value: int) -> int:
    shape = sketch.type_of(value).shape
    data = sketch.rng.integers(-128, 128, (shape[1], 1)).astype("i1")
    constant = sketch.node(ops.Constant(), [], [data], int8(shape[1], 1, zero_point=-3))
    operator = ops.Mul(Requant(1 << 30, -5), Rounding.SINGLE, -128, 127)
    return sketch.node(operator, [value, constant], [], int8(*shape, zero_point=1))


def attention(sketch: Sketch, value: int) -> int:
    """Every image row as a matrix, times the transposed one."""
    rows, columns, _ = sketch.type_of(value).shape
    operator = ops.BatchMatMul(False, True, Requant(1 << 30, -7), Rounding.DOUBLE, -128, 127)
    return sketch.node(operator, [value, sketch.conv(value, 4)], [], int8(rows, columns, columns, zero_point=-5))


def broadcast_matrices(sketch: Sketch, value: int) -> int:
    rows, _, depth = sketch.type_of(value).shape
    pooled = sketch.unary(ops.Mean((0,), False, Requant(1 << 30, -2), Rounding.DOUBLE, -128, 127), value, 3)
    operator = ops.BatchMatMul(True, False, Requant(1 << 30, -7), Rounding.SINGLE, -110, 120)
    return sketch.node(operator, [value, pooled], [], int8(rows, depth, depth, zero_point=2))


IMAGE_OPERATORS = {
    "conv same": lambda s, v: s.conv(v, 5),
    "conv strided, single rounding": lambda s, v: s.conv(
        v, 3, window=Window(2, 2, 1, 1, 0, 0, 1, 1), rounding=Rounding.SINGLE
    ),
    "conv dilated": lambda s, v: s.conv(v, 3, window=Window(1, 1, 2, 2, 2, 2, 2, 2)),
    "conv 1x1": lambda s, v: s.conv(v, 7, 1, Window(1, 1, 1, 1, 0, 0, 0, 0)),
    "depthwise": lambda s, v: s.depthwise(v),
    "depthwise with multiplier": lambda s, v: s.depthwise(v, 3),
    "add": lambda s, v: s.add(v, v),
    "add that broadcasts": spread,
    "average pool": lambda s, v: s.unary(ops.AveragePool2D(POOL, 2, 2, -128, 127), v),
    "average pool of an odd count": lambda s, v: s.unary(
        ops.AveragePool2D(Window(1, 1, 1, 1, 0, 0, 0, 0), 3, 3, -100, 90), v
    ),
    "average pool of varying counts": lambda s, v: s.unary(
        ops.AveragePool2D(Window(1, 1, 1, 1, 1, 1, 1, 1), 3, 3, -128, 127), v
    ),
    "average pool of many counts, clamped": lambda s, v: s.unary(
        ops.AveragePool2D(Window(2, 1, 1, 1, 4, 3, 2, 4), 5, 5, -60, 70), v
    ),
    "max pool": lambda s, v: s.unary(ops.MaxPool2D(POOL, 2, 2, -128, 127), v),
    "max pool with padding and a clamp": lambda s, v: s.unary(
        ops.MaxPool2D(Window(1, 2, 1, 1, 1, 2, 1, 1), 3, 3, -40, 90), v
    ),
    "max pool of single pixels": lambda s, v: s.unary(
        ops.MaxPool2D(Window(2, 3, 1, 1, 0, 0, 0, 0), 1, 1, -128, 127), v
    ),
    "product": lambda s, v: s.node(
        ops.Mul(Requant(1 << 30, -6), Rounding.DOUBLE, -128, 127), [v, s.conv(v, 4)], [], int8(*s.type_of(v).shape)
    ),
    "square": lambda s, v: s.node(
        ops.Mul(Requant(3 << 29, -6), Rounding.SINGLE, -100, 100), [v, v], [], int8(*s.type_of(v).shape, zero_point=-20)
    ),
    "product that broadcasts": product_by_channel,
    "product with a constant": product_with_a_constant,
    "matrix product of two values": attention,
    "matrix product that broadcasts, transposed": broadcast_matrices,
    "mean": lambda s, v: s.unary(ops.Mean((0, 1), True, Requant(1 << 30, -4), Rounding.DOUBLE, -128, 127), v, 3),
    "mean of one axis": lambda s, v: s.unary(
        ops.Mean((1,), True, Requant(3 << 29, -2), Rounding.SINGLE, -128, 127), v, 3
    ),
    "pad": lambda s, v: s.unary(ops.Pad((1, 0, 2), (0, 2, 1), 17), v),
    "transpose": lambda s, v: s.unary(ops.Transpose((1, 0, 2)), v),
    "reshape within axes": lambda s, v: s.unary(ops.Reshape(), v, shape=(3, 2, 20)),
    "reshape across axes": lambda s, v: s.unary(ops.Reshape(), v, shape=(8, 5, 3)),
    "reshape, transpose and back": lambda s, v: s.unary(
        ops.Reshape(), s.unary(ops.Transpose((2, 0, 1)), s.unary(ops.Reshape(), v, shape=(8, 3, 5))), shape=(4, 3, 10)
    ),
    "concatenation": concatenated,
    "quantize": scaled,
    "logistic": logistic,
}


@pytest.mark.parametrize("name", IMAGE_OPERATORS)
def test_every_operator_between_convolutions(name: str) -> None:
    sketch = Sketch([int8(6, 5, 3, zero_point=-7)], seed=3)
    value = IMAGE_OPERATORS[name](sketch, sketch.conv(0, 4, zero_point=-11))
    last = sketch.conv(value, 2, 1, Window(1, 1, 1, 1, 0, 0, 0, 0))
    model = sketch.model(last)
    round_trip(model, inputs_for(model, batch=3))


@pytest.mark.parametrize(
    "name",
    ["add", "average pool", "max pool", "product", "matrix product of two values", "quantize", "logistic", "transpose"],
)
def test_every_operator_as_the_last(name: str) -> None:
    sketch = Sketch([int8(4, 4, 3, zero_point=-7)], seed=5)
    model = sketch.model(IMAGE_OPERATORS[name](sketch, sketch.conv(0, 4, zero_point=-11)))
    round_trip(model, inputs_for(model))


def test_several_inputs_and_outputs() -> None:
    sketch = Sketch([int8(4, zero_point=3), int8(4, zero_point=-5)])
    left, right = sketch.dense(0, 6), sketch.dense(1, 6)
    both = sketch.add(left, right)
    model = sketch.model(sketch.dense(both, 3), both, sketch.matmul(both, 2))
    round_trip(model, inputs_for(model, batch=5))


def test_a_flattened_image_into_a_dense_layer() -> None:
    sketch = Sketch([int8(3, 5, 2)])
    flat = sketch.unary(ops.Reshape(), sketch.conv(0, 3), shape=(45,))
    model = sketch.model(sketch.dense(sketch.dense(flat, 7), 3))
    round_trip(model, inputs_for(model))


def test_a_matrix_product_alone() -> None:
    sketch = Sketch([int8(3, 9)])
    model = sketch.model(sketch.matmul(0, 6))
    round_trip(model, inputs_for(model))


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("fill", [-128, 127, 0, "random"])
def test_extreme_inputs(rounding: Rounding, fill: int | str) -> None:
    model = network(rounding=rounding)
    inputs = inputs_for(model, 4)
    if isinstance(fill, int):
        inputs = make_batch([np.full_like(array, fill) for array in inputs.arrays])
    round_trip(model, inputs)


@pytest.mark.parametrize("seed", range(6))
def test_random_networks(seed: int) -> None:
    round_trip(network(seed), inputs_for(network(seed), 1 + seed, seed))
    round_trip(image_network(seed), inputs_for(image_network(seed), 1 + seed % 3, seed))


def test_the_standard_set() -> None:
    model = network()
    inputs = inputs_for(model)
    outputs, body = SUITE.prove(model, inputs, b"", ParameterSetId.STANDARD, 1)
    security = SUITE.verify(Statement(model, inputs, outputs), body, ParameterSetId.STANDARD, 1)
    assert security.bits is not None
    assert security.bits >= 100


@pytest.mark.parametrize("make", [network, image_network], ids=lambda f: f.__name__)
def test_every_backend_makes_the_same_proof(make: Callable[[], Model]) -> None:
    model = make()
    proofs = [prove(prepare(model), inputs_for(model), b"", TINY, 0, backend) for backend in implementations()]
    assert all(proof == proofs[0] for proof in proofs)


def test_proofs_are_deterministic() -> None:
    model = network()
    assert SUITE.prove(model, inputs_for(model), b"", TINY, 1) == SUITE.prove(model, inputs_for(model), b"", TINY, 1)


@pytest.mark.parametrize("threads", [2, 3])
def test_any_number_of_threads_makes_the_same_proof(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    model = image_network()
    proof = SUITE.prove(model, inputs_for(model), b"", TINY, 1)
    monkeypatch.setattr(native, "LEAST_PART", 1)
    assert SUITE.prove(model, inputs_for(model), b"", TINY, threads) == proof


def test_an_interior_softmax_is_refused_before_any_work() -> None:
    model = interior_softmax()
    for attempt in (
        lambda: SUITE.prove(model, inputs_for(model), b"", TINY, 1),
        lambda: SUITE.security(model.graph, 1, TINY),
        lambda: commit_model(model, TINY, default_backend()),
    ):
        with pytest.raises(Rejected) as caught:
            attempt()
        assert caught.value.code is ErrorCode.SUITE_UNSUPPORTED_MODEL
        assert "node 1: an interior SOFTMAX" in caught.value.message


def test_the_same_operators_on_public_values_are_no_obstacle() -> None:
    sketch = Sketch([int8(6, 5, 3)])
    pooled = IMAGE_OPERATORS["max pool"](sketch, 0)
    sums = IMAGE_OPERATORS["square"](sketch, IMAGE_OPERATORS["average pool of varying counts"](sketch, pooled))
    model = sketch.model(sketch.conv(sketch.conv(sums, 4), 2))
    round_trip(model, inputs_for(model))


def test_a_constant_tensor() -> None:
    sketch = Sketch([int8(4, zero_point=3)])
    value = sketch.rng.integers(-128, 128, (6,)).astype("i1")
    constant = sketch.node(ops.Constant(), [], [value], int8(6, zero_point=9))
    model = sketch.model(sketch.dense(sketch.add(sketch.dense(0, 6), constant), 3))
    round_trip(model, inputs_for(model))


SMALL = [
    "tflm_hello_world",
    "mlperftiny_ad_autoencoder",
    "mlperftiny_sww_streaming",
    "mlperftiny_kws_dscnn",
    "mlperftiny_ic_resnet8",
]


@pytest.mark.models
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.parametrize("semantics", list(models.Semantics))
def test_real_models(name: str, semantics: models.Semantics) -> None:
    model = models.load(name, semantics)
    round_trip(model, make_batch(models.stored_inputs(name, True)[:1]))


@pytest.mark.models
@pytest.mark.slow
@pytest.mark.parametrize("name", ["mlperftiny_vww_mnv1_025_96", "tflm_person_detect_fixed"])
def test_larger_real_models(name: str) -> None:
    round_trip(models.load(name), make_batch(models.stored_inputs(name, False)[:1]))
