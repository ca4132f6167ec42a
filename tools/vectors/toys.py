# SPDX-License-Identifier: Apache-2.0
"""Small models for the vectors: one for each operator and its variants."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from vcompute.task import DType, Graph, Model, Node, QuantizationScale, ValueType, build, make_batch
from vcompute.task import operators as ops
from vcompute.task.graph import GRAPH_VERSION
from vcompute.task.operators import Requant, Rounding, Window
from vcompute.task.tensor import ConstantType, NDArray, Shape, dtype_of
from vectors.base import xof

UNKNOWN = QuantizationScale(0)
PLAIN = Window(1, 1, 1, 1, 0, 0, 0, 0)
SAME = Window(1, 1, 1, 1, 1, 1, 1, 1)


def value(shape: Sequence[int], zero_point: int = 0, dtype: DType = DType.INT8) -> ValueType:
    """A value's type."""
    return ValueType(dtype, tuple(shape), zero_point)


def int8(name: str, *shape: int) -> NDArray:
    """int8 values that a name stands for."""
    return np.frombuffer(xof(f"vcompute/vectors/{name}", int(np.prod(shape))), np.int8).reshape(shape)


def int32(name: str, count: int, bits: int) -> NDArray:
    """int32 values of at most ``bits`` bits and a sign."""
    raw = np.frombuffer(xof(f"vcompute/vectors/{name}", 4 * count), "<i4").astype(np.int64)
    return (raw >> (31 - bits)).astype("<i4")


def graph(
    inputs: Sequence[ValueType], constants: Sequence[NDArray], nodes: Sequence[Node], outputs: Sequence[int]
) -> Graph:
    """A graph without scales."""
    types = tuple(ConstantType(dtype_of(array), tuple(array.shape)) for array in constants)
    return Graph(
        GRAPH_VERSION,
        tuple(inputs),
        types,
        tuple(nodes),
        tuple(outputs),
        (UNKNOWN,) * len(inputs),
        (UNKNOWN,) * len(outputs),
    )


def single(
    operator: ops.Operator, inputs: Sequence[ValueType], output: ValueType, constants: Sequence[NDArray] = ()
) -> Model:
    """A model of one node."""
    node = Node(operator, tuple(range(len(inputs))), tuple(range(len(constants))), output)
    return build(graph(inputs, constants, [node], [len(inputs)]), constants)


def channels(name: str, count: int, shifts: Sequence[int] = (-6, -7, -8, -9)) -> tuple[NDArray, NDArray, NDArray]:
    """Bias, multiplier and shift of some channels."""
    multiplier = (int32(f"{name}/multiplier", count, 30).astype(np.int64) & 0x3FFFFFFF | 0x40000000).astype("<i4")
    shift = np.array([shifts[i % len(shifts)] for i in range(count)], np.int8)
    return int32(f"{name}/bias", count, 12), multiplier, shift


@dataclass(frozen=True)
class Toy:
    """A model with inputs that reach its edges."""

    name: str
    model: Model

    def inputs(self, samples: int = 2) -> bytes:
        """An encoded batch; the last sample is saturated at alternating ends."""
        arrays = []
        for position, kind in enumerate(self.model.graph.inputs):
            size = int(np.prod(kind.shape))
            array = int8(f"{self.name}/input/{position}", samples, size).copy()
            array[-1] = np.where(np.arange(size) % 2, 127, -128)
            arrays.append(array.reshape((samples, *kind.shape)))
        return make_batch(arrays).encoded


def _convolutions() -> Iterator[Toy]:
    variants: list[tuple[str, Window, Shape, int, Rounding, tuple[int, int], int]] = [
        ("plain", PLAIN, (5, 5, 3), 3, Rounding.DOUBLE, (-128, 127), -1),
        ("same-padding", SAME, (4, 5, 2), 3, Rounding.DOUBLE, (-128, 127), 7),
        ("same-single", SAME, (4, 5, 2), 3, Rounding.SINGLE, (-128, 127), 7),
        ("stride-2", Window(2, 2, 1, 1, 0, 0, 1, 1), (6, 6, 2), 3, Rounding.DOUBLE, (-128, 127), -128),
        ("dilation", Window(1, 1, 2, 1, 0, 0, 0, 0), (6, 4, 2), 2, Rounding.SINGLE, (-128, 127), 0),
        ("relu", PLAIN, (3, 3, 4), 1, Rounding.DOUBLE, (-5, 127), 3),
        ("relu6", PLAIN, (3, 3, 4), 1, Rounding.SINGLE, (-128, 60), 3),
        ("one-pixel", PLAIN, (1, 1, 17), 1, Rounding.DOUBLE, (-128, 127), 5),
    ]
    for name, window, image, size, rounding, (low, high), zero_point in variants:
        full = f"conv_2d/{name}"
        kernel = int8(f"{full}/filter", 4, size, size, image[2])
        operator = ops.Conv2D(window, rounding, low, high)
        rows, columns = window.output_size(operator, image, (size, size))
        constants = (kernel, *channels(full, 4))
        yield Toy(
            full,
            single(operator, [value(image, zero_point)], value((rows, columns, 4), -5 if low == -5 else 2), constants),
        )
        if name in ("relu", "relu6", "one-pixel"):
            continue
        full = f"depthwise_conv_2d/{name}"
        multiplier = 2 if name == "plain" else 1
        kernel = int8(f"{full}/filter", size, size, image[2] * multiplier)
        operator = ops.DepthwiseConv2D(window, multiplier, rounding, low, high)
        constants = (kernel, *channels(full, image[2] * multiplier))
        yield Toy(
            full,
            single(operator, [value(image, zero_point)], value((rows, columns, image[2] * multiplier), 2), constants),
        )


def _products() -> Iterator[Toy]:
    for name, rounding, depth in (("double", Rounding.DOUBLE, 19), ("single", Rounding.SINGLE, 32)):
        full = f"fully_connected/{name}"
        constants = (int8(f"{full}/filter", 5, depth), *channels(full, 5))
        yield Toy(
            full, single(ops.FullyConnected(rounding, -128, 127), [value((depth,), -3)], value((5,), 4), constants)
        )
    full = "fully_connected/left-shift"
    constants = (int8(f"{full}/filter", 3, 4) // 16, *channels(full, 3, (1, 0, 2)))
    yield Toy(full, single(ops.FullyConnected(Rounding.DOUBLE, -128, 127), [value((2, 4))], value((2, 3)), constants))
    full = "fully_connected/dead-channel"
    bias, multiplier, shift = channels(full, 3)
    multiplier = multiplier.copy()
    multiplier[1] = 0
    constants = (int8(f"{full}/filter", 3, 8), bias, multiplier, shift)
    yield Toy(full, single(ops.FullyConnected(Rounding.DOUBLE, -128, 127), [value((8,))], value((3,), 9), constants))
    yield Toy(
        "matmul/int32",
        single(ops.MatMul(), [value((3, 7), 2)], value((3, 4), 0, DType.INT32), (int8("matmul/f", 4, 7),)),
    )
    scale = Requant(1518500250, -9)
    for name, a, b, left, right, out in (
        ("plain", False, False, (2, 3), (3, 4), (2, 4)),
        ("transposed", True, True, (3, 2), (4, 3), (2, 4)),
        ("broadcast", False, False, (5, 2, 3), (1, 3, 2), (5, 2, 2)),
    ):
        operator = ops.BatchMatMul(a, b, scale, Rounding.DOUBLE, -128, 127)
        yield Toy(f"batch_matmul/{name}", single(operator, [value(left, 1), value(right, -4)], value(out, 3)))


def _elementwise() -> Iterator[Toy]:
    half, other, out = Requant(1073741824, 0), Requant(1431655765, -2), Requant(1610612736, -18)
    for name, shapes in (("equal", ((3, 4), (3, 4), (3, 4))), ("broadcast", ((2, 3, 4), (4,), (2, 3, 4)))):
        operator = ops.Add(half, other, out, -128, 127)
        yield Toy(f"add/{name}", single(operator, [value(shapes[0], 5), value(shapes[1], -8)], value(shapes[2], -1)))
        for rounding in Rounding:
            product = ops.Mul(Requant(1288490189, -6), rounding, -100, 100)
            kinds = [value(shapes[0], 5), value(shapes[1], -8)]
            yield Toy(f"mul/{name}-{rounding.name.lower()}", single(product, kinds, value(shapes[2], -1)))
    for rounding in Rounding:
        down = ops.Quantize(Requant(1431655766, -1), rounding, -128, 127)
        yield Toy(f"quantize/int8-{rounding.name.lower()}", single(down, [value((257,), 3)], value((257,), -7)))
    table = int8("logistic/table", 256)
    yield Toy("logistic/table", single(ops.Logistic(), [value((33,), 4)], value((33,), -128), (table,)))
    for name, multiplier, shift, depth in (
        ("ten", 1717986918, 23, 10),
        ("one", 1073741824, 20, 1),
        ("long", 1288490188, 24, 300),
    ):
        yield Toy(
            f"softmax/{name}", single(ops.Softmax(multiplier, shift), [value((2, depth), 9)], value((2, depth), -128))
        )


def _pooling() -> Iterator[Toy]:
    for name, window in (("plain", Window(2, 2, 1, 1, 0, 0, 0, 0)), ("padded", Window(1, 1, 1, 1, 1, 1, 1, 1))):
        for cls in (ops.AveragePool2D, ops.MaxPool2D):
            operator = cls(window, 2, 3, -120, 120)
            rows, columns = window.output_size(operator, (4, 6, 3), (2, 3))
            full = f"{operator.name}/{name}"
            yield Toy(full, single(operator, [value((4, 6, 3), 6)], value((rows, columns, 3), 6)))
    for name, axes, keep, out in (("image", (0, 1), False, (3,)), ("keep", (1,), True, (4, 1, 3))):
        mean = ops.Mean(axes, keep, Requant(1431655765, -3), Rounding.DOUBLE, -128, 127)
        yield Toy(f"mean/{name}", single(mean, [value((4, 5, 3), -2)], value(out, 11)))


def _layout() -> Iterator[Toy]:
    yield Toy("pad/all-axes", single(ops.Pad((1, 0, 2), (0, 3, 0), -7), [value((2, 2, 2), -7)], value((3, 5, 4), -7)))
    yield Toy(
        "concatenation/last", single(ops.Concatenation(1), [value((2, 3), 1), value((2, 1), 1)], value((2, 4), 1))
    )
    yield Toy("concatenation/first", single(ops.Concatenation(0), [value((1, 3)), value((2, 3))], value((3, 3))))
    yield Toy("reshape/flat", single(ops.Reshape(), [value((2, 3, 4), 5)], value((24,), 5)))
    yield Toy("transpose/cycle", single(ops.Transpose((2, 0, 1)), [value((2, 3, 4), 5)], value((4, 2, 3), 5)))
    total = Node(ops.Concatenation(0), (0, 1), (), value((5,)))
    constant = Node(ops.Constant(), (), (0,), value((2,)))
    array = int8("constant/value", 2)
    flow = graph([value((3,))], [array], [constant, Node(total.operator, (0, 1), (), total.output)], [2])
    yield Toy("constant/joined", build(flow, [array]))


def toys() -> list[Toy]:
    """Every toy."""
    return [*_convolutions(), *_products(), *_elementwise(), *_pooling(), *_layout()]


def tiny_network(depth: int = 8) -> Model:
    """Two dense layers and a residual sum: nodes that share a value."""
    first = (int8("tiny/first", depth, depth), *channels("tiny/first", depth))
    second = (int8("tiny/second", depth, depth), *channels("tiny/second", depth))
    dense = ops.FullyConnected(Rounding.DOUBLE, -128, 127)
    total = ops.Add(Requant(1073741824, 0), Requant(1073741824, 0), Requant(1073741824, -18), -128, 127)
    kind = value((depth,), 1)
    nodes = [
        Node(dense, (0,), (0, 1, 2, 3), kind),
        Node(dense, (1,), (4, 5, 6, 7), kind),
        Node(total, (1, 2), (), kind),
    ]
    constants = [*first, *second]
    return build(graph([kind], constants, nodes, [3]), constants)
