# SPDX-License-Identifier: Apache-2.0
"""What is not imported, and that the message names operator, tensor and reason."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from vcompute.data.digits import tflite_writer as tfl
from vcompute.errors import ImportFailed, UsageError
from vcompute.importers import Semantics, import_tflite, read_tflite
from vcompute.registry import ErrorCode


def value(name: str, *shape: int, scale: float = 0.5, zero: int = 0, dtype: type = np.int8) -> tfl.TensorSpec:
    return tfl.TensorSpec(name, shape, dtype, (scale,), (zero,))


def weights(
    *shape: int, scales: tuple[float, ...] = (0.5,), zero: int = 0, axis: int = 0, fill: int = 1
) -> tfl.TensorSpec:
    return tfl.TensorSpec("w", shape, np.int8, scales, (zero,) * len(scales), axis, np.full(shape, fill, np.int8))


def integers(*numbers: int) -> tfl.TensorSpec:
    data = np.array(numbers, np.int32)
    return tfl.TensorSpec("numbers", data.shape, np.int32, data=data)


def one(code: int, inputs: list[tfl.TensorSpec], output: tfl.TensorSpec, options: tfl.Options | None = None) -> bytes:
    builder = tfl.GraphBuilder()
    indices = [builder.tensor(spec) for spec in inputs]
    out = builder.operator(code, indices, output, options)
    return builder.write([i for i, spec in zip(indices, inputs, strict=True) if spec.data is None], [out])


def dense(x: tfl.TensorSpec, w: tfl.TensorSpec, y: tfl.TensorSpec, options: tfl.Options | None = None) -> bytes:
    return one(tfl.Op.FULLY_CONNECTED, [x, w], y, options or tfl.FullyConnectedOptions())


def conv(w: tfl.TensorSpec, options: tfl.Options | None = None, y: tuple[int, ...] = (1, 4, 4, 2)) -> bytes:
    bias = tfl.TensorSpec("b", (2,), np.int32, (0.25,), (0,), 0, np.zeros(2, np.int32))
    return one(tfl.Op.CONV_2D, [value("x", 1, 4, 4, 3), w, bias], value("y", *y), options or tfl.Conv2DOptions())


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "float": (
        lambda: one(tfl.Op.RESHAPE, [tfl.TensorSpec("x", (1, 4), np.float32)], value("y", 1, 4)),
        r"tensor 0 'x' \(FLOAT32\) is not quantised",
    ),
    "operator outside the set": (
        lambda: one(97, [value("x", 1, 4, 4, 3)], value("y", 1, 8, 8, 3)),
        r"operator 0 \(builtin 97\), output tensor 1 'y': the operator is not in operator set v1",
    ),
    "int16 activations": (
        lambda: one(tfl.Op.LOGISTIC, [value("x", 1, 4, dtype=np.int16)], value("y", 1, 4, dtype=np.int16)),
        r"tensor 0 'x': element type; expected INT8 or UINT8, got INT16",
    ),
    "uint8 kernels": (
        lambda: one(
            tfl.Op.ADD, [value("x", 1, 4, dtype=np.uint8)] * 2, value("y", 1, 4, dtype=np.uint8), tfl.AddOptions()
        ),
        "uint8 kernel is not in operator set v1",
    ),
    "leading axis of two": (
        lambda: dense(value("x", 2, 4), weights(3, 4), value("y", 2, 3)),
        r"tensor 0 'x': the leading axis must be 1",
    ),
    "several rows from one sample": (
        lambda: dense(value("x", 1, 2, 4), weights(3, 4), value("y", 2, 3)),
        r"operator 0 \(FULLY_CONNECTED\).*mixes the batch; expected 4",
    ),
    "asymmetric weights": (lambda: dense(value("x", 1, 4), weights(3, 4, zero=1), value("y", 1, 3)), "symmetric"),
    "weights along another axis": (
        lambda: dense(value("x", 1, 4), weights(3, 4, scales=(0.5,) * 4, axis=1), value("y", 1, 3)),
        r"tensor 1 'w': quantised along another axis than its output channels; expected 1 or 3 scales along axis 0",
    ),
    "a scale that is no number": (
        lambda: dense(value("x", 1, 4), weights(3, 4, scales=(float("nan"),)), value("y", 1, 3)),
        "a scale is negative or not a number",
    ),
    "an infinite activation scale": (
        lambda: dense(value("x", 1, 4, scale=float("inf")), weights(3, 4), value("y", 1, 3)),
        "tensor 0 'x': the scale is not a positive number",
    ),
    "a factor too large": (
        lambda: dense(value("x", 1, 4, scale=2.0**20), weights(3, 4), value("y", 1, 3, scale=2.0**-20)),
        "rescaling factor is too large",
    ),
    "an accumulator too large": (
        lambda: dense(value("x", 1, 70000, zero=-128), weights(1, 70000, fill=127), value("y", 1, 1, scale=2.0**22)),
        r"operator 0 \(FULLY_CONNECTED\): an accumulator could leave int32; expected <= 2147483647, got 2266950000",
    ),
    "a filter of another depth": (
        lambda: conv(weights(2, 1, 1, 2)),
        r"operator 0 \(CONV_2D\), output tensor 3 'y': conv_2d: filter depth differs .*; expected 3, got 2",
    ),
    "a declared shape that does not follow": (
        lambda: conv(weights(2, 3, 3, 3), y=(1, 5, 5, 2)),
        r"declared shape is not what the operator gives; expected \(1, 4, 4, 2\), got \(1, 5, 5, 2\)",
    ),
    "a stride of zero": (lambda: conv(weights(2, 1, 1, 3), tfl.Conv2DOptions(stride_h=0)), "are positive"),
    "options of another operator": (
        lambda: conv(weights(2, 1, 1, 3), tfl.Pool2DOptions()),
        "options of another operator; expected 1, got 5",
    ),
    "an activation that does not clamp": (
        lambda: conv(weights(2, 1, 1, 3), tfl.Conv2DOptions(fused_activation_function=4)),  # type: ignore[arg-type]
        "fused activation that is not NONE, RELU",
    ),
    "a mean over the batch": (
        lambda: one(tfl.Op.MEAN, [value("x", 1, 4), integers(0)], value("y", 1), tfl.ReducerOptions()),
        "works along the leading axis, which is the batch",
    ),
    "a concatenation along the batch": (
        lambda: one(tfl.Op.CONCATENATION, [value("a", 1, 4)] * 2, value("y", 2, 4), tfl.ConcatenationOptions(0)),
        "leading axis",
    ),
    "concatenation of two scales": (
        lambda: one(
            tfl.Op.CONCATENATION,
            [value("a", 1, 4), value("b", 1, 4, scale=0.25)],
            value("y", 1, 8),
            tfl.ConcatenationOptions(1),
        ),
        "tensor 1 'b': operands and output need one scale; expected 0.5, got 0.25",
    ),
    "a transposition of the batch": (
        lambda: one(
            tfl.Op.TRANSPOSE, [value("x", 1, 1, 4), integers(1, 0, 2)], value("y", 1, 1, 4), tfl.TransposeOptions()
        ),
        "leave the leading axis, the batch, in place",
    ),
    "padding of the batch": (
        lambda: one(tfl.Op.PAD, [value("x", 1, 4), integers(1, 0, 0, 0)], value("y", 2, 4), tfl.PadOptions()),
        "leading axis",
    ),
    "a reshape into the batch": (
        lambda: one(tfl.Op.RESHAPE, [value("x", 1, 4)], value("y", 2, 2), tfl.ReshapeOptions((2, 2))),
        "leading axis must be 1",
    ),
    "a reshape to another shape than declared": (
        lambda: one(tfl.Op.RESHAPE, [value("x", 1, 4)], value("y", 1, 2, 2), tfl.ReshapeOptions((1, 4))),
        "the new shape is not the output's",
    ),
    "a reshape that changes zero points": (
        lambda: one(tfl.Op.RESHAPE, [value("x", 1, 4)], value("y", 1, 2, 2, zero=1), tfl.ReshapeOptions((1, 2, 2))),
        "need one zero point",
    ),
    "a softmax of another output scale": (
        lambda: one(tfl.Op.SOFTMAX, [value("x", 1, 4)], value("y", 1, 4), tfl.SoftmaxOptions()),
        "the output scale must be 1/256 and the zero point -128",
    ),
    "a softmax row too long": (
        lambda: one(
            tfl.Op.SOFTMAX, [value("x", 1, 4096)], value("y", 1, 4096, scale=1 / 256, zero=-128), tfl.SoftmaxOptions()
        ),
        "the last axis is too long",
    ),
    "a sum whose factor is one or more": (
        lambda: one(
            tfl.Op.ADD, [value("a", 1, 4), value("b", 1, 4)], value("y", 1, 4, scale=2.0**-21), tfl.AddOptions()
        ),
        "shifts must not exceed 0",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name: str) -> None:
    build, message = REFUSED[name]
    with pytest.raises(ImportFailed, match=message) as caught:
        import_tflite(build())
    assert caught.value.code is ErrorCode.IMPORT_FAILED


def test_per_channel_dense_layers_are_not_classic() -> None:
    data = dense(value("x", 1, 4), weights(3, 4, scales=(0.5, 0.25, 0.125)), value("y", 1, 3))
    import_tflite(data)
    with pytest.raises(ImportFailed, match="classic kernels know one scale only"):
        import_tflite(data, Semantics.CLASSIC)


def chain(outputs: list[str], order: tuple[int, ...] = (0, 1)) -> bytes:
    """x -> RESHAPE -> a -> RESHAPE -> b, the operators in any order, any tensors as outputs."""
    tensors = [value("x", 1, 4), value("a", 1, 2, 2), value("b", 1, 4)]
    calls = [
        tfl.OperatorSpec(tfl.Op.RESHAPE, (0,), (1,), tfl.ReshapeOptions((1, 2, 2))),
        tfl.OperatorSpec(tfl.Op.RESHAPE, (1,), (2,), tfl.ReshapeOptions((1, 4))),
    ]
    names = [spec.name for spec in tensors]
    return tfl.write_tflite(tensors, [calls[i] for i in order], [0], [names.index(name) for name in outputs])


def test_operators_that_no_output_needs_are_dropped() -> None:
    assert len(import_tflite(chain(["a"])).graph.nodes) == 1
    assert len(import_tflite(chain(["b"])).graph.nodes) == 2
    assert import_tflite(chain(["a", "b"])).graph.outputs == (1, 2)


def test_what_is_dropped_may_be_anything() -> None:
    tensors = [value("x", 1, 4), value("a", 1, 2, 2), value("junk", 1, 4)]
    calls = [
        tfl.OperatorSpec(tfl.Op.RESHAPE, (0,), (1,), tfl.ReshapeOptions((1, 2, 2))),
        tfl.OperatorSpec(99, (0,), (2,)),
    ]
    assert len(import_tflite(tfl.write_tflite(tensors, calls, [0], [1])).graph.nodes) == 1


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (lambda: chain(["b"], (1, 0)), "tensor 1 'a' is read before anything has written it"),
        (lambda: chain(["b"], (1,)), "tensor 1 'a' is read before anything has written it"),
        (lambda: chain(["x"]), "output tensor 0 'x' is not written by any operator"),
        (lambda: chain(["a", "a"]), "an output is named twice"),
        (lambda: chain(["a"], (0, 0)), "tensor 1 'a' is written twice"),
    ],
)
def test_order_and_outputs(data: Callable[[], bytes], message: str) -> None:
    with pytest.raises(ImportFailed, match=message):
        import_tflite(data())


def test_an_input_that_nothing_reads_is_refused() -> None:
    tensors = [value("x", 1, 4), value("unused", 1, 4), value("a", 1, 2, 2)]
    calls = [tfl.OperatorSpec(tfl.Op.RESHAPE, (0,), (2,), tfl.ReshapeOptions((1, 2, 2)))]
    with pytest.raises(ImportFailed, match="an input is read by no node"):
        import_tflite(tfl.write_tflite(tensors, calls, [0, 1], [2]))


def test_unreadable_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        read_tflite(tmp_path / "nothing.tflite")
    assert caught.value.code is ErrorCode.UNREADABLE_FILE


def test_uint8_surfaces_become_int8() -> None:
    """uint8 -> int8 by QUANTIZE that only moves the offset: no node, one input, 128 less."""
    tensors = [
        value("pixels", 1, 4, zero=128, dtype=np.uint8),
        value("x", 1, 4),
        value("y", 1, 2, 2),
    ]
    calls = [
        tfl.OperatorSpec(tfl.Op.QUANTIZE, (0,), (1,), tfl.QuantizeOptions()),
        tfl.OperatorSpec(tfl.Op.RESHAPE, (1,), (2,), tfl.ReshapeOptions((1, 2, 2))),
    ]
    graph = import_tflite(tfl.write_tflite(tensors, calls, [0], [2])).graph
    assert [node.operator.name for node in graph.nodes] == ["reshape"]
    assert graph.inputs[0].zero_point == 0
