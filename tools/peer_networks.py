# SPDX-License-Identifier: Apache-2.0
"""The networks that other provers are measured with, in int8 with random weights, for ``bench_proofs.py``.

mlp: 64-128-128-10 with RELU; cnn: 1x28x28, convolution, RELU, pool, convolution of stride 2, RELU, dense; dense4m: four
layers of 1,024 and a 10-way output. Multipliers spread the accumulators over the int8 range, a little beyond.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np

from vcompute.task import DType, Graph, Model, Node, QuantizationScale, ValueType, build
from vcompute.task import operators as ops
from vcompute.task.graph import GRAPH_VERSION
from vcompute.task.operators import Rounding, Window
from vcompute.task.tensor import ConstantType, NDArray, dtype_of

SAME = Window(1, 1, 1, 1, 1, 1, 1, 1)
STRIDED = Window(2, 2, 1, 1, 0, 0, 1, 1)
HALVED = Window(2, 2, 1, 1, 0, 0, 0, 0)


class _Network:
    """A graph in the making; every method adds a node on top."""

    def __init__(self, shape: tuple[int, ...], seed: int) -> None:
        self.rng = np.random.default_rng(seed)
        self.input = ValueType(DType.INT8, shape, -128)
        self.nodes: list[Node] = []
        self.constants: list[NDArray] = []

    @property
    def top(self) -> ValueType:
        return self.nodes[-1].output if self.nodes else self.input

    def add(self, operator: ops.Operator, constants: Sequence[NDArray], output: ValueType) -> None:
        numbers = tuple(range(len(self.constants), len(self.constants) + len(constants)))
        self.constants += constants
        self.nodes.append(Node(operator, (len(self.nodes),), numbers, output))

    def scales(self, channels: int, fan_in: int) -> list[NDArray]:
        bias = self.rng.integers(-(1 << 12), 1 << 12, channels).astype("<i4")
        multiplier = self.rng.integers(1 << 30, 1 << 31, channels).astype("<i4")
        shift = np.full(channels, -round(math.log2(74 * 128 * math.sqrt(fan_in) / 60)), "i1")
        return [bias, multiplier, shift]

    def weights(self, *shape: int) -> NDArray:
        return self.rng.integers(-127, 128, shape).astype("i1")

    def dense(self, width: int, relu: bool = True) -> None:
        depth = self.top.shape[-1]
        operator = ops.FullyConnected(Rounding.SINGLE, -128, 127)
        output = ValueType(DType.INT8, (width,), -128 if relu else 0)
        self.add(operator, [self.weights(width, depth), *self.scales(width, depth)], output)

    def conv(self, channels: int, window: Window) -> None:
        image = self.top.shape
        operator = ops.Conv2D(window, Rounding.DOUBLE, -128, 127)
        rows, columns = window.output_size(operator, image, (3, 3))
        output = ValueType(DType.INT8, (rows, columns, channels), -128)
        kernel = self.weights(channels, 3, 3, image[2])
        self.add(operator, [kernel, *self.scales(channels, 9 * image[2])], output)

    def pool(self) -> None:
        rows, columns, channels = self.top.shape
        operator = ops.MaxPool2D(HALVED, 2, 2, -128, 127)
        self.add(operator, [], ValueType(DType.INT8, (rows // 2, columns // 2, channels), self.top.zero_point))

    def flatten(self) -> None:
        self.add(ops.Reshape(), [], ValueType(DType.INT8, (self.top.elements,), self.top.zero_point))

    def model(self) -> Model:
        unknown = (QuantizationScale(0),)
        kinds = tuple(ConstantType(dtype_of(array), array.shape) for array in self.constants)
        graph = Graph(GRAPH_VERSION, (self.input,), kinds, tuple(self.nodes), (len(self.nodes),), unknown, unknown)
        return build(graph, self.constants)


def mlp() -> Model:
    """25,856 multiply-accumulates."""
    network = _Network((64,), 1)
    network.dense(128)
    network.dense(128)
    network.dense(10, relu=False)
    return network.model()


def cnn() -> Model:
    """9,098 parameters, 120,736 multiply-accumulates."""
    network = _Network((28, 28, 1), 2)
    network.conv(8, SAME)
    network.pool()
    network.conv(16, STRIDED)
    network.flatten()
    network.dense(10, relu=False)
    return network.model()


def dense4m() -> Model:
    """4.2 million multiply-accumulates."""
    network = _Network((1024,), 3)
    for _ in range(4):
        network.dense(1024)
    network.dense(10, relu=False)
    return network.model()


NETWORKS: dict[str, Callable[[], Model]] = {"mlp": mlp, "cnn": cnn, "dense4m": dense4m}
"""Beside them stands ResNet-8, one of the public models."""
