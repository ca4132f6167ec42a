# SPDX-License-Identifier: Apache-2.0
"""Models, their file, batches: what validation refuses once the bytes of the constants are there."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.test_task_graph import SCALE, diamond, linear_constants, value
from vcompute.codec import decode, encode
from vcompute.errors import EncodingError, TaskError, UsageError
from vcompute.registry import ErrorCode
from vcompute.task import (
    Graph,
    Model,
    Node,
    Rounding,
    build,
    decode_batch,
    decode_model,
    digest,
    encode_model,
    make_batch,
    read_model,
)
from vcompute.task import operators as ops
from vcompute.task.bounds import accumulator_bounds, value_ranges
from vcompute.task.limits import MODEL_LIMITS
from vcompute.task.model import ModelFile


def dense(
    weights: np.ndarray,
    bias: list[int],
    multiplier: list[int],
    shift: list[int],
    rounding: Rounding = Rounding.DOUBLE,
    zero_point: int = 0,
) -> Model:
    """One FULLY_CONNECTED layer."""
    channels, depth = weights.shape
    node = Node(ops.FullyConnected(rounding, -128, 127), (0,), (0, 1, 2, 3), value(channels))
    inputs, kinds = (value(depth, zero_point=zero_point),), linear_constants((channels, depth), channels)
    graph = Graph(1, inputs, kinds, (node,), (1,), (SCALE,), (SCALE,))
    arrays = [weights.astype(np.int8), np.array(bias, "<i4"), np.array(multiplier, "<i4"), np.array(shift, np.int8)]
    return build(graph, arrays)


ONES = np.ones((1, 4), np.int8)


@pytest.mark.parametrize(
    ("bias", "multiplier", "shift", "code"),
    [
        (2**31 - 1 - 512, 1 << 30, 0, None),
        (2**31 - 512, 1 << 30, 0, ErrorCode.ACCUMULATOR_OVERFLOW),
        (-(2**31) + 1 + 512, 1 << 30, 0, None),
        (-(2**31), 1 << 30, 0, ErrorCode.ACCUMULATOR_OVERFLOW),
        (0, 1 << 30, 21, None),
        (0, 1 << 30, 22, ErrorCode.ACCUMULATOR_OVERFLOW),
        (0, -1, 0, ErrorCode.VALUE_OUT_OF_RANGE),
        (0, 1, 31, ErrorCode.VALUE_OUT_OF_RANGE),
        (0, 1, -32, ErrorCode.VALUE_OUT_OF_RANGE),
        (0, 0, -31, None),
    ],
)
def test_accumulators_stay_within_int32(bias: int, multiplier: int, shift: int, code: ErrorCode | None) -> None:
    if code is None:
        dense(ONES, [bias], [multiplier], [shift])
        return
    with pytest.raises(TaskError, match=r"node 0 \(fully_connected\)|fully_connected") as caught:
        dense(ONES, [bias], [multiplier], [shift])
    assert caught.value.code is code


def two(operator: ops.Operator, a: int, b: int, out: int) -> Graph:
    """An operator of two int8 vectors with these zero points."""
    inputs = (value(4, zero_point=a), value(4, zero_point=b))
    return Graph(1, inputs, (), (Node(operator, (0, 1), (), value(4, zero_point=out)),), (2,), (SCALE, SCALE), (SCALE,))


@pytest.mark.parametrize(("shift", "refused"), [(15, False), (16, True)])
def test_products_stay_within_int32(shift: int, refused: bool) -> None:
    graph = two(ops.Mul(ops.Requant(1 << 30, shift), Rounding.DOUBLE, -128, 127), 127, -128, 0)
    if refused:
        with pytest.raises(TaskError) as caught:
            build(graph, [])
        assert caught.value.code is ErrorCode.ACCUMULATOR_OVERFLOW
    else:
        build(graph, [])


@pytest.mark.parametrize(("shift", "refused"), [(23, False), (24, True)])
def test_quantize_stays_within_int32(shift: int, refused: bool) -> None:
    node = Node(ops.Quantize(ops.Requant(1 << 30, shift), Rounding.DOUBLE, -128, 127), (0,), (), value(4))
    graph = Graph(1, (value(4, zero_point=127),), (), (node,), (1,), (SCALE,), (SCALE,))
    if refused:
        with pytest.raises(TaskError) as caught:
            build(graph, [])
        assert caught.value.code is ErrorCode.ACCUMULATOR_OVERFLOW
    else:
        build(graph, [])


@given(
    st.lists(st.lists(st.integers(-128, 127), min_size=3, max_size=3), min_size=1, max_size=4),
    st.integers(-1000, 1000),
    st.integers(-128, 127),
)
def test_bounds_are_reached(rows: list[list[int]], bias: int, zero_point: int) -> None:
    """The least and greatest accumulator are those of some input."""
    weights, channels = np.array(rows, np.int8), len(rows)
    model = dense(weights, [bias] * channels, [1 << 30] * channels, [0] * channels, zero_point=zero_point)
    ranges, node = value_ranges(model.graph, model.constants), model.graph.nodes[0]
    bounds = accumulator_bounds(model.graph, node, ranges[:1], model.constants)
    ends = np.array(np.meshgrid(*[[-128, 127]] * 3)).reshape(3, -1).T.astype(np.int64)
    accumulators = (ends - zero_point) @ weights.T.astype(np.int64) + bias
    assert bounds.low.tolist() == accumulators.min(axis=0).tolist()
    assert bounds.high.tolist() == accumulators.max(axis=0).tolist()
    assert np.all(bounds.any_order >= np.maximum(np.abs(bounds.low), np.abs(bounds.high)))


def test_constants_must_have_their_types() -> None:
    model = diamond()
    for wrong in (model.constants[0].astype("<i4"), model.constants[0].ravel(), model.constants[0][:2]):
        with pytest.raises(TaskError) as caught:
            build(model.graph, [wrong, *model.constants[1:]])
        assert caught.value.code is ErrorCode.INVALID_SHAPE
    with pytest.raises(TaskError, match="one array for each constant"):
        build(model.graph, model.constants[1:])


def test_the_file_goes_round_and_is_one(tmp_path: Path) -> None:
    model = diamond()
    data = encode_model(model)
    again = decode_model(data)
    assert again == model
    assert hash(again) == hash(model)
    assert encode_model(again) == data
    (tmp_path / "model.vcm").write_bytes(data)
    assert read_model(tmp_path / "model.vcm") == model
    with pytest.raises(UsageError) as caught:
        read_model(tmp_path / "none.vcm")
    assert caught.value.code is ErrorCode.UNREADABLE_FILE


def test_every_flipped_bit_of_a_file_is_rejected_with_a_typed_error() -> None:
    data = bytearray(encode_model(diamond()))
    for position in range(len(data)):
        for bit in range(8):
            data[position] ^= 1 << bit
            with pytest.raises((EncodingError, TaskError)):
                decode_model(bytes(data))
            data[position] ^= 1 << bit


def resealed(file: ModelFile) -> bytes:
    """A file with the digest that its content has."""
    return encode(
        replace(file, digest=digest.model_digest(digest.graph_digest(file.graph), digest.blob_digest(file.weights)))
    )


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda file: replace(file, kind="vcompute-graph"), ErrorCode.SCHEMA_VIOLATION),
        (lambda file: replace(file, weights=file.weights[:-1]), ErrorCode.INVALID_SHAPE),
        (lambda file: replace(file, weights=file.weights + b"\0"), ErrorCode.INVALID_SHAPE),
        (lambda file: replace(file, graph=file.graph[:-1]), ErrorCode.MALFORMED_ENCODING),
        (lambda file: replace(file, graph=file.graph + b"\0"), ErrorCode.MALFORMED_ENCODING),
        (lambda file: replace(file, graph=b"\xa0"), ErrorCode.SCHEMA_VIOLATION),
    ],
)
def test_a_right_digest_does_not_make_a_wrong_file_right(change, code: ErrorCode) -> None:
    file = decode(ModelFile, encode_model(diamond()), MODEL_LIMITS)
    with pytest.raises((EncodingError, TaskError)) as caught:
        decode_model(resealed(change(file)))
    assert caught.value.code is code


def test_a_wrong_digest_is_named_so() -> None:
    file = decode(ModelFile, encode_model(diamond()), MODEL_LIMITS)
    with pytest.raises(EncodingError) as caught:
        decode_model(encode(replace(file, digest=bytes(32))))
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH


def test_digests_separate_graph_and_weights() -> None:
    a = dense(ONES, [0], [1 << 30], [0])
    b = dense(ONES, [1], [1 << 30], [0])
    c = dense(ONES, [0], [1 << 30], [0], Rounding.SINGLE)
    assert a.graph_digest == b.graph_digest != c.graph_digest
    assert a.weights_digest == c.weights_digest != b.weights_digest
    assert len({a.digest, b.digest, c.digest}) == 3


@pytest.mark.parametrize(
    "arrays",
    [
        [],
        np.zeros((), np.int8),
        np.zeros((0, 3), np.int8),
        np.zeros((2, 3)),
        [np.zeros((2, 3), np.int8), np.zeros((3, 3), np.int8)],
    ],
    ids=["none", "no batch axis", "no samples", "float", "two sizes"],
)
def test_batches_refuse(arrays) -> None:
    with pytest.raises(TaskError) as caught:
        make_batch(arrays)
    assert caught.value.code is ErrorCode.INVALID_INPUT


def test_batches_go_round_and_cannot_be_written() -> None:
    x = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    batch = make_batch([x, np.asfortranarray(x[:, :, 0]).astype("<i4")])
    again = decode_batch(batch.encoded)
    assert again == batch
    assert again.digest == batch.digest
    assert [array.shape for array in again.arrays] == [(2, 3, 4), (2, 3)]
    x[:] = 0
    assert batch == again, "a batch is a copy"
    for array in (*batch.arrays, *again.arrays):
        with pytest.raises(ValueError, match="read-only"):
            array[...] = 0
    assert batch.arrays[1].dtype == np.dtype("<i4")


def test_constants_are_aligned_wherever_they_stand_in_a_file() -> None:
    model = dense(np.ones((3, 5), np.int8), [1, 2, 3], [1 << 30] * 3, [0] * 3)  # int32 after 15 bytes of filter
    read = decode_model(encode_model(model))
    assert read == model
    assert all(constant.flags.aligned and constant.flags.c_contiguous for constant in read.constants)
