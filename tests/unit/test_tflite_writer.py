# SPDX-License-Identifier: Apache-2.0
"""Every operator of set v1, written alone, loads and runs in LiteRT's reference kernels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import tflite
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from vcompute.data.digits import tflite_writer as tfl

RNG_SEED = 11


def activation(name: str, *shape: int, scale: float = 0.05, zero: int = 3, dtype: Any = np.int8) -> tfl.TensorSpec:
    return tfl.TensorSpec(name, shape, dtype, (scale,), (zero,))


def weights(name: str, *shape: int, axis: int | None = None) -> tfl.TensorSpec:
    data = np.random.default_rng(RNG_SEED).integers(-127, 128, shape).astype(np.int8)
    count = 1 if axis is None else shape[axis]
    return tfl.TensorSpec(name, shape, np.int8, (0.01,) * count, (0,) * count, axis or 0, data)


def bias(name: str, size: int, per_channel: bool) -> tfl.TensorSpec:
    data = np.random.default_rng(RNG_SEED).integers(-1000, 1000, size).astype(np.int32)
    count = size if per_channel else 1
    return tfl.TensorSpec(name, (size,), np.int32, (0.05 * 0.01,) * count, (0,) * count, 0, data)


def run(model: bytes, reference: bool = True) -> list[np.ndarray]:
    kind = OpResolverType.BUILTIN_REF if reference else OpResolverType.AUTO
    interpreter = Interpreter(model_content=model, experimental_op_resolver_type=kind)
    interpreter.allocate_tensors()
    rng = np.random.default_rng(RNG_SEED)
    for detail in interpreter.get_input_details():
        info = np.iinfo(detail["dtype"])
        values = rng.integers(info.min, info.max + 1, detail["shape"]).astype(detail["dtype"])
        interpreter.set_tensor(detail["index"], values)
    interpreter.invoke()
    return [interpreter.get_tensor(detail["index"]) for detail in interpreter.get_output_details()]


def single(
    op: tfl.Op,
    operands: Sequence[tfl.TensorSpec],
    output: tfl.TensorSpec,
    options: tfl.Options | None,
) -> bytes:
    graph = tfl.GraphBuilder()
    indices = [graph.tensor(spec) for spec in operands]
    result = graph.operator(op, indices, output, options)
    return graph.write(
        [i for i, spec in zip(indices, operands, strict=True) if spec.data is None], [result], "single operator"
    )


def ints(*values: int, shape: tuple[int, ...] | None = None) -> tfl.TensorSpec:
    data = np.array(values, np.int32).reshape(shape or (len(values),))
    return tfl.TensorSpec("constant", data.shape, np.int32, data=data)


A, P, S, V = tfl.Activation, tfl.Padding, tfl.Padding.SAME, tfl.Padding.VALID
X = activation("x", 1, 6, 6, 4)
CASES: dict[str, tuple[Any, ...]] = {
    "conv": (
        tfl.Op.CONV_2D,
        [X, weights("w", 5, 3, 3, 4, axis=0), bias("b", 5, True)],
        activation("y", 1, 3, 3, 5),
        tfl.Conv2DOptions(S, 2, 2, A.RELU),
    ),
    "conv_valid_dilated": (
        tfl.Op.CONV_2D,
        [X, weights("w", 5, 3, 3, 4, axis=0), bias("b", 5, True)],
        activation("y", 1, 2, 2, 5),
        tfl.Conv2DOptions(V, dilation_h_factor=2, dilation_w_factor=2),
    ),
    "depthwise": (
        tfl.Op.DEPTHWISE_CONV_2D,
        [X, weights("w", 1, 3, 3, 8, axis=3), bias("b", 8, True)],
        activation("y", 1, 4, 4, 8),
        tfl.DepthwiseConv2DOptions(V, depth_multiplier=2, fused_activation_function=A.RELU6),
    ),
    "fully_connected": (
        tfl.Op.FULLY_CONNECTED,
        [activation("x", 2, 7), weights("w", 3, 7), bias("b", 3, False)],
        activation("y", 2, 3),
        tfl.FullyConnectedOptions(A.RELU),
    ),
    "fully_connected_keep": (
        tfl.Op.FULLY_CONNECTED,
        [activation("x", 2, 3, 7), weights("w", 3, 7)],
        activation("y", 2, 3, 3),
        tfl.FullyConnectedOptions(keep_num_dims=True),
    ),
    "batch_matmul": (
        tfl.Op.BATCH_MATMUL,
        [activation("a", 2, 3, 4), activation("b", 2, 4, 5)],
        activation("y", 2, 3, 5),
        tfl.BatchMatMulOptions(),
    ),
    "batch_matmul_adj": (
        tfl.Op.BATCH_MATMUL,
        [activation("a", 2, 3, 4), activation("b", 2, 5, 4)],
        activation("y", 2, 3, 5),
        tfl.BatchMatMulOptions(adj_y=True),
    ),
    "add": (
        tfl.Op.ADD,
        [X, activation("z", 1, 6, 6, 4, scale=0.02)],
        activation("y", 1, 6, 6, 4),
        tfl.AddOptions(A.RELU6),
    ),
    "add_broadcast": (tfl.Op.ADD, [X, weights("w", 4)], activation("y", 1, 6, 6, 4), tfl.AddOptions()),
    "mul": (tfl.Op.MUL, [X, activation("z", 1, 1, 1, 4)], activation("y", 1, 6, 6, 4), tfl.MulOptions(A.RELU)),
    "average_pool": (
        tfl.Op.AVERAGE_POOL_2D,
        [X],
        activation("y", 1, 3, 3, 4),
        tfl.Pool2DOptions(S, 2, 2, 3, 3, A.RELU6),
    ),
    "max_pool": (tfl.Op.MAX_POOL_2D, [X], activation("y", 1, 3, 2, 4), tfl.Pool2DOptions(V, 2, 3, 2, 3, A.RELU)),
    "mean": (tfl.Op.MEAN, [X, ints(1, 2)], activation("y", 1, 4, scale=0.02), tfl.ReducerOptions()),
    "mean_keep": (tfl.Op.MEAN, [X, ints(1, 2)], activation("y", 1, 1, 1, 4), tfl.ReducerOptions(keep_dims=True)),
    "pad": (tfl.Op.PAD, [X, ints(0, 0, 1, 2, 2, 1, 0, 0, shape=(4, 2))], activation("y", 1, 9, 9, 4), tfl.PadOptions()),
    "concatenation": (
        tfl.Op.CONCATENATION,
        [X, activation("z", 1, 6, 6, 3)],
        activation("y", 1, 6, 6, 7),
        tfl.ConcatenationOptions(axis=3),
    ),
    "reshape": (tfl.Op.RESHAPE, [X, ints(1, 144)], activation("y", 1, 144), tfl.ReshapeOptions((1, 144))),
    "reshape_options_only": (tfl.Op.RESHAPE, [X], activation("y", 1, 144), tfl.ReshapeOptions((1, 144))),
    "reshape_operand_only": (tfl.Op.RESHAPE, [X, ints(1, -1)], activation("y", 1, 144), tfl.ReshapeOptions()),
    "transpose": (tfl.Op.TRANSPOSE, [X, ints(0, 3, 1, 2)], activation("y", 1, 4, 6, 6), tfl.TransposeOptions()),
    "softmax": (
        tfl.Op.SOFTMAX,
        [activation("x", 2, 10)],
        activation("y", 2, 10, scale=1 / 256, zero=-128),
        tfl.SoftmaxOptions(),
    ),
    "logistic": (tfl.Op.LOGISTIC, [X], activation("y", 1, 6, 6, 4, scale=1 / 256, zero=-128), None),
    "quantize": (tfl.Op.QUANTIZE, [X], activation("y", 1, 6, 6, 4, scale=0.1, zero=-7), tfl.QuantizeOptions()),
    "quantize_uint8": (
        tfl.Op.QUANTIZE,
        [activation("x", 1, 6, 6, 4, zero=131, dtype=np.uint8)],
        activation("y", 1, 6, 6, 4),
        tfl.QuantizeOptions(),
    ),
    "quantize_to_uint8": (
        tfl.Op.QUANTIZE,
        [X],
        activation("y", 1, 6, 6, 4, zero=131, dtype=np.uint8),
        tfl.QuantizeOptions(),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_operator_runs_in_litert(name: str) -> None:
    op, operands, output, options = CASES[name]
    model = single(op, operands, output, options)
    assert model == single(op, operands, output, options)
    (y,) = run(model)
    assert y.shape == output.shape
    assert y.dtype == np.dtype(output.dtype)
    assert np.ptp(y.astype(np.int32)) > 0
    run(model, reference=False)


def test_every_operator_is_covered() -> None:
    assert {case[0] for case in CASES.values()} == set(tfl.Op)


@pytest.mark.parametrize("name", CASES)
def test_options_and_quantisation_are_read_back(name: str) -> None:
    op, operands, output, options = CASES[name]
    data = single(op, operands, output, options)
    assert tflite.Model.ModelBufferHasIdentifier(data, 0)
    model = tflite.Model.GetRootAs(data, 0)
    graph = model.Subgraphs(0)
    assert (model.Version(), model.SubgraphsLength(), model.BuffersLength()) == (
        3,
        1,
        1 + sum(o.data is not None for o in operands),
    )
    assert model.OperatorCodes(0).BuiltinCode() == op
    for index, spec in enumerate([*operands, output]):
        tensor = graph.Tensors(index)
        assert tuple(tensor.ShapeAsNumpy()) == spec.shape
        assert tensor.Name().decode() == spec.name
        assert tensor.ShapeSignatureLength() == 0
        if spec.scales:
            q = tensor.Quantization()
            assert np.array_equal(q.ScaleAsNumpy(), np.float32(spec.scales))
            assert tuple(q.ZeroPointAsNumpy()) == spec.zero_points
            assert q.QuantizedDimension() == spec.quantized_dimension
        if spec.data is not None:
            buffer = model.Buffers(tensor.Buffer())
            assert buffer.DataAsNumpy().tobytes() == spec.data.tobytes()
            offset = buffer._tab.Vector(buffer._tab.Offset(4))
            assert offset % 16 == 0
    if options is not None:
        assert graph.Operators(0).BuiltinOptionsType() == getattr(tflite.BuiltinOptions, options.table)
