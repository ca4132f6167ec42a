# SPDX-License-Identifier: Apache-2.0
"""Small models for the succinct suite's tests, of any operators."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vcompute.task import Batch, Graph, Model, Node, build, make_batch
from vcompute.task import operators as ops
from vcompute.task.graph import GRAPH_VERSION
from vcompute.task.operators import Requant, Rounding, Window
from vcompute.task.tensor import ConstantType, DType, QuantizationScale, ValueType, dtype_of

PLAIN = Window(1, 1, 1, 1, 0, 0, 0, 0)
SAME = Window(1, 1, 1, 1, 1, 1, 1, 1)
STRIDED = Window(2, 2, 1, 1, 0, 0, 1, 1)
POOL = Window(2, 2, 1, 1, 0, 0, 0, 0)


@dataclass
class Sketch:
    """A graph being drawn: every method adds a node and returns its value number."""

    inputs: list[ValueType]
    seed: int = 1
    nodes: list[Node] = field(default_factory=list)
    constants: list[NDArray[np.generic]] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.rng = np.random.default_rng(self.seed)

    def type_of(self, value: int) -> ValueType:
        first = len(self.inputs)
        return self.inputs[value] if value < first else self.nodes[value - first].output

    def node(
        self, operator: ops.Operator, inputs: Sequence[int], constants: Sequence[NDArray[np.generic]], output: ValueType
    ) -> int:
        numbers = tuple(range(len(self.constants), len(self.constants) + len(constants)))
        self.constants += constants
        self.nodes.append(Node(operator, tuple(inputs), numbers, output))
        return len(self.inputs) + len(self.nodes) - 1

    def requant(self, channels: int, fan_in: int) -> list[NDArray[np.generic]]:
        """Bias, multiplier and shift that spread accumulators over the int8 range, a little beyond."""
        bias = self.rng.integers(-2000, 2000, channels).astype("<i4")
        multiplier = self.rng.integers(1 << 30, 1 << 31, channels).astype("<i4")
        spread = int(np.log2(128 * 60 * np.sqrt(fan_in) / 100))
        shift = (-spread + self.rng.integers(-1, 2, channels)).astype("i1")
        return [bias, multiplier, shift]

    def dense(
        self, value: int, width: int, clamp: tuple[int, int] = (-128, 127), zero_point: int = -3,
        rounding: Rounding = Rounding.DOUBLE,
    ) -> int:  # fmt: skip
        shape = self.type_of(value).shape
        kernel = self.rng.integers(-127, 128, (width, shape[-1])).astype("i1")
        output = ValueType(DType.INT8, (*shape[:-1], width), zero_point)
        operator = ops.FullyConnected(rounding, *clamp)
        return self.node(operator, [value], [kernel, *self.requant(width, shape[-1])], output)

    def matmul(self, value: int, width: int) -> int:
        shape = self.type_of(value).shape
        kernel = self.rng.integers(-127, 128, (width, shape[-1])).astype("i1")
        return self.node(ops.MatMul(), [value], [kernel], ValueType(DType.INT32, (*shape[:-1], width), 0))

    def conv(
        self, value: int, channels: int, size: int = 3, window: Window = SAME, clamp: tuple[int, int] = (-128, 127),
        zero_point: int = 5, rounding: Rounding = Rounding.DOUBLE,
    ) -> int:  # fmt: skip
        image = self.type_of(value).shape
        kernel = self.rng.integers(-127, 128, (channels, size, size, image[2])).astype("i1")
        operator = ops.Conv2D(window, rounding, *clamp)
        rows, columns = window.output_size(operator, image, (size, size))
        constants = [kernel, *self.requant(channels, size * size * image[2])]
        return self.node(operator, [value], constants, ValueType(DType.INT8, (rows, columns, channels), zero_point))

    def depthwise(
        self, value: int, multiplier: int = 1, window: Window = SAME, clamp: tuple[int, int] = (-128, 127)
    ) -> int:
        image = self.type_of(value).shape
        channels = image[2] * multiplier
        kernel = self.rng.integers(-127, 128, (3, 3, channels)).astype("i1")
        operator = ops.DepthwiseConv2D(window, multiplier, Rounding.DOUBLE, *clamp)
        rows, columns = window.output_size(operator, image, (3, 3))
        return self.node(
            operator, [value], [kernel, *self.requant(channels, 9)], ValueType(DType.INT8, (rows, columns, channels), 2)
        )

    def add(self, a: int, b: int, clamp: tuple[int, int] = (-128, 127)) -> int:
        one, two = Requant(1 << 30, 0), Requant(int(self.rng.integers(1 << 30, 1 << 31)), -1)
        operator = ops.Add(one, two, Requant(int(self.rng.integers(1 << 30, 1 << 31)), -19), *clamp)
        shape = operator.output_shape((self.type_of(a), self.type_of(b)), ())
        return self.node(operator, [a, b], [], ValueType(DType.INT8, shape, 7))

    def unary(self, operator: ops.Operator, value: int, zero_point: int | None = None, shape: object = None) -> int:
        """Any operator of one value that keeps its zero point unless told otherwise."""
        kind = self.type_of(value)
        computed = operator.output_shape((kind,), ()) if shape is None else shape
        assert isinstance(computed, tuple)
        return self.node(
            operator,
            [value],
            [],
            ValueType(DType.INT8, computed, kind.zero_point if zero_point is None else zero_point),
        )

    def model(self, *outputs: int) -> Model:
        graph = Graph(
            GRAPH_VERSION,
            tuple(self.inputs),
            tuple(ConstantType(dtype_of(array), array.shape) for array in self.constants),
            tuple(self.nodes),
            outputs,
            tuple(QuantizationScale(0) for _ in self.inputs),
            tuple(QuantizationScale(0) for _ in outputs),
        )
        return build(graph, self.constants)


def int8(*shape: int, zero_point: int = 0) -> ValueType:
    return ValueType(DType.INT8, shape, zero_point)


def network(seed: int = 1, rounding: Rounding = Rounding.DOUBLE) -> Model:
    """Two layers before the last: the smallest proof with both forms of requantisation."""
    sketch = Sketch([int8(5, zero_point=4)], seed)
    hidden = sketch.dense(0, 6, (-128, 127), 9, rounding)
    hidden = sketch.dense(hidden, 3, (-128, 127), -128, rounding)
    return sketch.model(sketch.dense(hidden, 2))


def image_network(seed: int = 1) -> Model:
    """Convolutions, a residual sum, pools and a final SOFTMAX."""
    sketch = Sketch([int8(6, 6, 3, zero_point=-128)], seed)
    first = sketch.conv(0, 4, clamp=(5, 127))
    second = sketch.add(first, sketch.conv(first, 4))
    third = sketch.depthwise(second, 2, STRIDED)
    pooled = sketch.unary(ops.AveragePool2D(Window(3, 3, 1, 1, 0, 0, 0, 0), 3, 3, -128, 127), third)
    flat = sketch.unary(ops.Reshape(), pooled, shape=(8,))
    logits = sketch.dense(flat, 5)
    return sketch.model(sketch.unary(ops.Softmax(1 << 30, 4), logits, -128))


def interior_softmax() -> Model:
    """A SOFTMAX that another layer reads: the one operator without a circuit."""
    sketch = Sketch([int8(4)])
    soft = sketch.unary(ops.Softmax(1 << 30, 4), sketch.dense(0, 5), -128)
    return sketch.model(sketch.dense(soft, 2))


def inputs_for(model: Model, batch: int = 2, seed: int = 7) -> Batch:
    rng = np.random.default_rng(seed)
    return make_batch([rng.integers(-128, 128, (batch, *kind.shape)).astype("i1") for kind in model.graph.inputs])
