# SPDX-License-Identifier: Apache-2.0
"""Random small models of one operator: odd shapes, strides, paddings, zero points, multipliers, saturating and ties."""

import numpy as np

from vcompute.errors import TaskError
from vcompute.task import Batch, Model, build, make_batch
from vcompute.task import operators as ops
from vcompute.task.graph import Graph, Node
from vcompute.task.tensor import NUMPY_DTYPE, ConstantType, DType, NDArray, QuantizationScale, Shape, ValueType

Rng = np.random.Generator
UNKNOWN = QuantizationScale(0)
EDGES = (-128, -1, 0, 127)


def zero_point(rng: Rng) -> int:
    return int(rng.choice(EDGES)) if rng.random() < 0.4 else int(rng.integers(-128, 128))


def clamp(rng: Rng, zero: int) -> tuple[int, int]:
    """The whole range, a RELU, or any."""
    kind = rng.integers(3)
    if kind == 0:
        return -128, 127
    if kind == 1:
        return zero, 127
    low, high = sorted(int(v) for v in rng.integers(-128, 128, 2))
    return low, high


def requant(rng: Rng, bound: int) -> ops.Requant:
    """A factor that brings a bound to about a byte, sometimes far off, sometimes a power of two."""
    multiplier = int(rng.choice([1 << 30, (1 << 31) - 1, int(rng.integers(1 << 30, 1 << 31))]))
    shift = 8 - bound.bit_length() + int(rng.integers(-2, 3))
    if rng.random() < 0.1:
        multiplier, shift = int(rng.integers(0, 1 << 20)), int(rng.integers(-31, -1))
    while shift > 0 and bound << shift >= 1 << 31:
        shift -= 1
    return ops.Requant(multiplier, max(-31, min(shift, 8)))


def weights(rng: Rng, shape: Shape) -> NDArray:
    values = rng.integers(-128, 128, shape).astype(np.int8)
    if rng.random() < 0.3:
        values = rng.choice(np.array(EDGES, np.int8), shape)
    return values


def per_channel(rng: Rng, channels: int, depth: int) -> tuple[NDArray, NDArray, NDArray]:
    """Bias, multipliers and shifts; now and then a dead channel, a huge bias, a factor above one half."""
    bound = depth * 128 * 255
    requants = [requant(rng, bound) for _ in range(channels)]
    bias = rng.integers(-(1 << 14), 1 << 14, channels).astype(np.int32)
    multiplier = np.array([r.multiplier for r in requants], np.int32)
    shift = np.array([min(r.shift, 0) for r in requants], np.int8)
    odd = int(rng.integers(channels))
    kind = rng.integers(5)
    if kind == 0:
        multiplier[odd], shift[odd], bias[odd] = 0, -31, 1 << 30
    elif kind == 1:
        bias[odd], shift[odd] = -(1 << 30), -24
    elif kind == 2:
        shift[odd] = 0
    return bias, multiplier, shift


def window(rng: Rng, kernel: tuple[int, int], dilate: bool = True) -> ops.Window:
    strides = rng.integers(1, 4, 2)
    dilations = rng.integers(1, 3, 2) if dilate and rng.random() < 0.3 else np.ones(2, np.int64)
    pads = [int(rng.integers(0, (k - 1) * int(d) + 1)) for k, d in zip(kernel, dilations, strict=True)]
    after = [int(rng.integers(0, (k - 1) * int(d) + 1)) for k, d in zip(kernel, dilations, strict=True)]
    return ops.Window(int(strides[0]), int(strides[1]), int(dilations[0]), int(dilations[1]), *pads, *after)


def rounding(rng: Rng) -> ops.Rounding:
    return ops.Rounding.DOUBLE if rng.random() < 0.5 else ops.Rounding.SINGLE


def value(shape: Shape, zero: int) -> ValueType:
    return ValueType(DType.INT8, tuple(int(s) for s in shape), zero)


def single(operator: ops.Operator, inputs: tuple[ValueType, ...], constants: tuple[NDArray, ...], zero: int) -> Model:
    """The model of one node; its output shape follows from the operator's rule."""
    dtypes = {dtype: kind for kind, dtype in NUMPY_DTYPE.items()}
    types = tuple(ConstantType(dtypes[array.dtype], array.shape) for array in constants)
    shape = operator.output_shape(inputs, types)
    assert shape is not None
    dtype = DType.INT32 if isinstance(operator, ops.MatMul) else DType.INT8
    output = ValueType(dtype, shape, 0 if dtype is DType.INT32 else zero)
    node = Node(operator, tuple(range(len(inputs))), tuple(range(len(constants))), output)
    graph = Graph(1, inputs, types, (node,), (len(inputs),), (UNKNOWN,) * len(inputs), (UNKNOWN,))
    return build(graph, constants)


def conv_2d(rng: Rng) -> Model:
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    if rng.random() < 0.3:
        kernel = (1, 1)
    c, n = int(rng.choice([1, 2, 3, 4, 5, 8, 16, 17, 33])), int(rng.choice([1, 3, 8, 15, 16, 17, 40, 64, 65, 100]))
    zero, out = zero_point(rng), zero_point(rng)
    constants = (weights(rng, (n, *kernel, c)), *per_channel(rng, n, kernel[0] * kernel[1] * c))
    operator = ops.Conv2D(window(rng, kernel), rounding(rng), *clamp(rng, out))
    return single(operator, (value((*rng.integers(4, 14, 2), c), zero),), constants, out)


def depthwise(rng: Rng) -> Model:
    kernel = (int(rng.integers(1, 6)), int(rng.integers(1, 5)))
    c, copies = int(rng.choice([1, 2, 3, 8, 16, 24, 31, 32, 64, 65, 96, 144])), int(rng.choice([1, 1, 1, 2, 8]))
    zero, out = zero_point(rng), zero_point(rng)
    constants = (weights(rng, (*kernel, c * copies)), *per_channel(rng, c * copies, kernel[0] * kernel[1]))
    operator = ops.DepthwiseConv2D(window(rng, kernel), copies, rounding(rng), *clamp(rng, out))
    return single(operator, (value((*rng.integers(6, 14, 2), c), zero),), constants, out)


def fully_connected(rng: Rng) -> Model:
    k, n = int(rng.integers(1, 300)), int(rng.integers(1, 150))
    shape = (int(rng.integers(1, 80)), k) if rng.random() < 0.5 else (k,)
    out = zero_point(rng)
    constants = (weights(rng, (n, k)), *per_channel(rng, n, k))
    return single(ops.FullyConnected(rounding(rng), *clamp(rng, out)), (value(shape, zero_point(rng)),), constants, out)


def matmul(rng: Rng) -> Model:
    k, n = int(rng.integers(1, 300)), int(rng.integers(1, 150))
    return single(ops.MatMul(), (value((int(rng.integers(1, 9)), k), zero_point(rng)),), (weights(rng, (n, k)),), 0)


def batch_matmul(rng: Rng) -> Model:
    m, k, n = (int(v) for v in rng.integers(1, 40, 3))
    a, b = ((k, m), (n, k)) if rng.random() < 0.5 else ((m, k), (k, n))
    flip = a == (k, m)
    leading = tuple(int(v) for v in rng.integers(1, 4, rng.integers(0, 3)))
    other = tuple(1 if rng.random() < 0.5 else size for size in leading)
    out = zero_point(rng)
    scale = requant(rng, k * 255 * 255)
    operator = ops.BatchMatMul(flip, flip, scale, rounding(rng), *clamp(rng, out))
    inputs = (value((*leading, *a), zero_point(rng)), value((*other, *b), zero_point(rng)))
    return single(operator, inputs, (), out)


def broadcast_pair(rng: Rng) -> tuple[Shape, Shape]:
    shape = tuple(int(v) for v in rng.integers(1, 12, rng.integers(1, 4)))
    other = tuple(1 if rng.random() < 0.3 else size for size in shape)
    return (shape, other[int(rng.integers(0, len(other))) :]) if rng.random() < 0.5 else (shape, shape)


def add(rng: Rng) -> Model:
    a, b = broadcast_pair(rng)
    out = zero_point(rng)
    scales = [ops.Requant(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-6, 1))) for _ in range(2)]
    if rng.random() < 0.5:
        scales[0] = ops.Requant(1 << 30, 0)
    last = ops.Requant(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-24, -15)))
    operator = ops.Add(scales[0], scales[1], last, *clamp(rng, out))
    return single(operator, (value(a, zero_point(rng)), value(b, zero_point(rng))), (), out)


def mul(rng: Rng) -> Model:
    a, b = broadcast_pair(rng)
    out = zero_point(rng)
    operator = ops.Mul(requant(rng, 255 * 255), rounding(rng), *clamp(rng, out))
    return single(operator, (value(a, zero_point(rng)), value(b, zero_point(rng))), (), out)


def pool(rng: Rng) -> Model:
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    kind = ops.AveragePool2D if rng.random() < 0.5 else ops.MaxPool2D
    zero = zero_point(rng)
    operator = kind(window(rng, kernel, dilate=False), *kernel, *clamp(rng, zero))
    return single(operator, (value((*rng.integers(4, 12, 2), int(rng.integers(1, 70))), zero),), (), zero)


def mean(rng: Rng) -> Model:
    shape = tuple(int(v) for v in rng.integers(1, 9, rng.integers(1, 5)))
    axes = tuple(sorted(int(a) for a in rng.choice(len(shape), int(rng.integers(1, len(shape) + 1)), replace=False)))
    count = int(np.prod([shape[axis] for axis in axes]))
    out = zero_point(rng)
    operator = ops.Mean(axes, bool(rng.integers(2)), requant(rng, count * 255), rounding(rng), *clamp(rng, out))
    return single(operator, (value(shape, zero_point(rng)),), (), out)


def pad(rng: Rng) -> Model:
    shape = tuple(int(v) for v in rng.integers(1, 7, rng.integers(1, 5)))
    before, after = (tuple(int(v) for v in rng.integers(0, 4, len(shape))) for _ in range(2))
    zero = zero_point(rng)
    return single(ops.Pad(before, after, int(rng.integers(-128, 128))), (value(shape, zero),), (), zero)


def concatenation(rng: Rng) -> Model:
    shape = [int(v) for v in rng.integers(1, 6, rng.integers(1, 4))]
    axis, zero = int(rng.integers(len(shape))), zero_point(rng)
    inputs = []
    for _ in range(int(rng.integers(1, 4))):
        shape[axis] = int(rng.integers(1, 6))
        inputs.append(value(tuple(shape), zero))
    return single(ops.Concatenation(axis), tuple(inputs), (), zero)


def transpose(rng: Rng) -> Model:
    shape = tuple(int(v) for v in rng.integers(1, 7, rng.integers(1, 5)))
    zero = zero_point(rng)
    permutation = tuple(int(axis) for axis in rng.permutation(len(shape)))
    return single(ops.Transpose(permutation), (value(shape, zero),), (), zero)


def softmax(rng: Rng) -> Model:
    shape = (int(rng.integers(1, 4)), int(rng.choice([1, 2, 10, 300, 1500])))
    operator = ops.Softmax(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(15, 32)))
    return single(operator, (value(shape, zero_point(rng)),), (), -128)


def logistic(rng: Rng) -> Model:
    table = rng.integers(-128, 128, 256).astype(np.int8)
    return single(ops.Logistic(), (value((int(rng.integers(1, 300)),), zero_point(rng)),), (table,), -128)


def quantize(rng: Rng) -> Model:
    out = zero_point(rng)
    operator = ops.Quantize(requant(rng, 255), rounding(rng), *clamp(rng, out))
    return single(operator, (value((int(rng.integers(1, 300)),), zero_point(rng)),), (), out)


class Builder:
    """A graph under construction: the types of its values, its nodes and their constants."""

    def __init__(self, rng: Rng, first: ValueType) -> None:
        self.rng = rng
        self.values, self.nodes = [first], []
        self.constants: list[NDArray] = []

    def put(self, operator: ops.Operator, inputs: tuple[int, ...], constants: tuple[NDArray, ...], zero: int) -> int:
        """Append a node; the number of its value."""
        types = tuple(ConstantType({d: k for k, d in NUMPY_DTYPE.items()}[a.dtype], a.shape) for a in constants)
        shape = operator.output_shape(tuple(self.values[index] for index in inputs), types)
        assert shape is not None
        first = len(self.constants)
        self.constants += constants
        self.nodes.append(Node(operator, inputs, tuple(range(first, len(self.constants))), value(shape, zero)))
        self.values.append(value(shape, zero))
        return len(self.values) - 1

    def convolution(self, x: int) -> int:
        rng, c = self.rng, self.values[x].shape[2]
        kernel, out = tuple(int(k) for k in rng.integers(1, 4, 2)), zero_point(rng)
        if rng.random() < 0.5:
            constants = (weights(rng, (*kernel, c)), *per_channel(rng, c, kernel[0] * kernel[1]))
            return self.put(
                ops.DepthwiseConv2D(window(rng, kernel), 1, rounding(rng), *clamp(rng, out)), (x,), constants, out
            )
        n = int(rng.integers(1, 50))
        constants = (weights(rng, (n, *kernel, c)), *per_channel(rng, n, kernel[0] * kernel[1] * c))
        return self.put(ops.Conv2D(window(rng, kernel), rounding(rng), *clamp(rng, out)), (x,), constants, out)

    def sum(self, x: int) -> int:
        """With any earlier value of its shape, or itself."""
        rng, out = self.rng, zero_point(self.rng)
        y = int(rng.choice([i for i, other in enumerate(self.values) if other.shape == self.values[x].shape]))
        scales = [ops.Requant(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-3, 1))) for _ in range(2)]
        last = ops.Requant(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-20, -17)))
        return self.put(ops.Add(scales[0], scales[1], last, *clamp(rng, out)), (x, y), (), out)

    def rescaled(self, x: int) -> int:
        rng, out = self.rng, zero_point(self.rng)
        return self.put(ops.Quantize(requant(rng, 255), rounding(rng), *clamp(rng, out)), (x,), (), out)

    def joined(self, x: int) -> int:
        """Along channels with what has its size and zero point."""
        like = [
            i
            for i, other in enumerate(self.values)
            if other.shape[:2] == self.values[x].shape[:2] and other.zero_point == self.values[x].zero_point
        ]
        return self.put(ops.Concatenation(2), (x, int(self.rng.choice(like))), (), self.values[x].zero_point)

    def moved(self, x: int) -> int:
        zero = self.values[x].zero_point
        if self.rng.random() < 0.5:
            return self.put(ops.Transpose((1, 0, 2)), (x,), (), zero)
        return self.put(ops.Pad((1, 0, 0), (0, 2, 1), zero), (x,), (), zero)

    def pooled(self, x: int) -> int:
        rng, zero = self.rng, self.values[x].zero_point
        kind = ops.AveragePool2D if rng.random() < 0.5 else ops.MaxPool2D
        return self.put(kind(window(rng, (2, 2), dilate=False), 2, 2, *clamp(rng, zero)), (x,), (), zero)

    def classified(self, x: int) -> int:
        rng, out = self.rng, zero_point(self.rng)
        height, width, depth = self.values[x].shape
        mean = ops.Mean((0, 1), False, requant(rng, height * width * 255), rounding(rng), -128, 127)
        features, n = self.put(mean, (x,), (), zero_point(rng)), int(rng.integers(2, 30))
        constants = (weights(rng, (n, depth)), *per_channel(rng, n, depth))
        scores = self.put(ops.FullyConnected(rounding(rng), *clamp(rng, out)), (features,), constants, out)
        return self.put(ops.Softmax(int(rng.integers(1 << 30, 1 << 31)), 26), (scores,), (), -128)


def network(rng: Rng) -> Model:
    """A graph of several operators with branches, whose values live for different spans of it."""
    builder = Builder(rng, value((*rng.integers(5, 13, 2), int(rng.integers(1, 20))), zero_point(rng)))
    steps = (Builder.convolution, Builder.sum, Builder.rescaled, Builder.joined, Builder.moved, Builder.pooled)
    for _ in range(int(rng.integers(3, 10))):
        images = range(len(builder.values))
        source = images[-1] if rng.random() < 0.7 else int(rng.choice(images))
        steps[int(rng.choice(len(steps), p=(0.4, 0.2, 0.1, 0.1, 0.1, 0.1)))](builder, source)
    outputs = (builder.classified(len(builder.values) - 1), int(rng.integers(1, len(builder.values) - 3)))
    dtypes = {dtype: kind for kind, dtype in NUMPY_DTYPE.items()}
    types = tuple(ConstantType(dtypes[array.dtype], array.shape) for array in builder.constants)
    graph = Graph(1, tuple(builder.values[:1]), types, tuple(builder.nodes), outputs, (UNKNOWN,), (UNKNOWN,) * 2)
    return build(graph, tuple(builder.constants))


OPERATORS = (
    conv_2d, depthwise, fully_connected, matmul, batch_matmul, add, mul, pool, mean, pad, concatenation, transpose,
    softmax, logistic, quantize,
)  # fmt: skip
"""One maker for each operator, or family of them."""


def random_model(maker: object, seed: int) -> Model:
    """The first model of a seed whose accumulators fit and whose windows fit their image."""
    rng = np.random.default_rng(seed)
    while True:
        try:
            return maker(rng)  # type: ignore[operator,no-any-return]
        except TaskError:
            continue


def random_batch(model: Model, seed: int, size: int) -> Batch:
    """Inputs over the whole range, with many extreme values."""
    rng = np.random.default_rng(seed)
    arrays = []
    for item in model.graph.inputs:
        array = rng.integers(-128, 128, (size, *item.shape)).astype(np.int8)
        extreme = rng.random(array.shape) < 0.2
        arrays.append(np.where(extreme, rng.choice(np.array(EDGES, np.int8), array.shape), array))
    return make_batch(arrays)
