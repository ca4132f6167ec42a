# SPDX-License-Identifier: Apache-2.0
"""Random ``.tflite`` models of one operator, over the shapes, scales and options that operator set v1 admits.

Scales are drawn so that rounding matters: powers of two (ties), ratios far from and near to one, outputs that saturate.
A model that a runtime itself refuses is not made.
"""

from collections.abc import Callable

import numpy as np

from vcompute.data.digits import tflite_writer as tfl

Rng = np.random.Generator
ACTIVATIONS = tuple(tfl.Activation)


def build(name: str, seed: int) -> bytes:
    """The model of operator ``name`` for a seed."""
    return BUILDERS[name](np.random.default_rng([seed, *name.encode()]))


def random_inputs(rng: Rng, count: int, shape: tuple[int, ...], dtype: type = np.int8) -> np.ndarray:
    """Inputs (count, *shape): uniform ones, then all at one end, at the other, and mixed ends."""
    info = np.iinfo(dtype)
    x = rng.integers(info.min, info.max + 1, (count, *shape)).astype(dtype)
    if count >= 4:
        x[0], x[1] = info.min, info.max
        x[2] = rng.choice([info.min, info.max], shape)
    return x


def scale(rng: Rng, low: float = -9, high: float = 1) -> float:
    """A scale: a power of two, or log-uniform, as binary32."""
    exponent = rng.uniform(low, high)
    return float(np.float32(2.0 ** (round(exponent) if rng.random() < 0.4 else exponent)))


def zero(rng: Rng) -> int:
    """A zero point, often at an end."""
    return int(rng.choice([-128, 127, 0, *rng.integers(-128, 128, 3)]))


def value(
    rng: Rng, name: str, *shape: int, near: float | None = None, same: tfl.TensorSpec | None = None
) -> tfl.TensorSpec:
    """An int8 activation; ``near`` is a scale that does not saturate everything, ``same`` gives scale and zero."""
    if same is not None:
        return tfl.TensorSpec(name, shape, np.int8, same.scales, same.zero_points)
    chosen = scale(rng) if near is None else float(np.float32(near * 2.0 ** rng.choice([-3, -1, -0.5, 0, 0.3, 1, 2])))
    return tfl.TensorSpec(name, shape, np.int8, (chosen,), (zero(rng),))


def one(
    rng: Rng, code: int, inputs: list[tfl.TensorSpec], output: tfl.TensorSpec, options: tfl.Options | None
) -> bytes:
    """A model of one operator; specs without data are the inputs."""
    builder = tfl.GraphBuilder()
    indices = [builder.tensor(spec) for spec in inputs]
    out = builder.operator(code, indices, output, options)
    del rng
    return builder.write([i for i, spec in zip(indices, inputs, strict=True) if spec.data is None], [out])


def constant(values: list[int]) -> tfl.TensorSpec:
    """An int32 constant: axes, a shape."""
    data = np.array(values, np.int32)
    return tfl.TensorSpec("constant", data.shape, np.int32, data=data)


def int8_constant(rng: Rng, name: str, *shape: int, same: tfl.TensorSpec | None = None) -> tfl.TensorSpec:
    """A constant activation."""
    data = rng.integers(-128, 128, shape).astype(np.int8)
    scales, zeros = (same.scales, same.zero_points) if same else ((scale(rng),), (zero(rng),))
    return tfl.TensorSpec(name, shape, np.int8, scales, zeros, 0, data)


def weights(rng: Rng, *shape: int, axis: int | None) -> tfl.TensorSpec:
    """Symmetric weights with one scale, or one for each slice along ``axis``."""
    data = rng.integers(-127, 128, shape).astype(np.int8)
    count = 1 if axis is None else shape[axis]
    scales = tuple(scale(rng, -10, -3) for _ in range(count))
    return tfl.TensorSpec("weights", shape, np.int8, scales, (0,) * count, axis or 0, data)


def bias(rng: Rng, x: tfl.TensorSpec, w: tfl.TensorSpec, size: int) -> tfl.TensorSpec:
    """A bias with the scale that runtimes ask for."""
    data = rng.integers(-30000, 30000, size).astype(np.int32)
    scales = tuple(float(np.float32(x.scales[0]) * np.float32(s)) for s in w.scales)
    return tfl.TensorSpec("bias", (size,), np.int32, scales, (0,) * len(scales), 0, data)


def accumulator_scale(x: tfl.TensorSpec, w: tfl.TensorSpec, terms: int) -> float:
    """An output scale under which typical accumulators spread over int8."""
    return x.scales[0] * w.scales[0] * 70 * 70 * max(terms, 1) ** 0.5 / 60


def out_size(size: int, extent: int, stride: int, padding: tfl.Padding) -> int:
    """Rows or columns of a window's output."""
    return -(-size // stride) if padding is tfl.Padding.SAME else (size - extent) // stride + 1


def window(
    rng: Rng, dilated: bool
) -> tuple[tuple[int, int], tuple[int, int], tuple[int, int], tuple[int, int], tfl.Padding]:
    """Image size, kernel, strides, dilations, padding that fit together."""
    kernel = (int(rng.integers(1, 5)), int(rng.integers(1, 5)))
    stride = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
    dilation = (int(rng.integers(1, 4)), int(rng.integers(1, 4))) if dilated and rng.random() < 0.4 else (1, 1)
    if dilation != (1, 1):
        stride = (1, 1)
    padding = tfl.Padding(int(rng.integers(0, 2)))
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    least = [1 if padding is tfl.Padding.SAME else e for e in extents]
    image = (int(rng.integers(least[0], least[0] + 8)), int(rng.integers(least[1], least[1] + 8)))
    return image, kernel, stride, dilation, padding


def conv_2d(rng: Rng) -> bytes:
    image, kernel, stride, dilation, padding = window(rng, dilated=True)
    depth, channels = int(rng.integers(1, 6)), int(rng.integers(1, 8))
    x = value(rng, "x", 1, *image, depth)
    w = weights(rng, channels, *kernel, depth, axis=0 if rng.random() < 0.8 else None)
    sizes = [
        out_size(i, d * (k - 1) + 1, s, padding) for i, d, k, s in zip(image, dilation, kernel, stride, strict=True)
    ]
    y = value(rng, "y", 1, *sizes, channels, near=accumulator_scale(x, w, kernel[0] * kernel[1] * depth))
    activation = ACTIVATIONS[rng.integers(4)]
    return one(
        rng,
        tfl.Op.CONV_2D,
        [x, w, bias(rng, x, w, channels)],
        y,
        tfl.Conv2DOptions(padding, *stride, activation, *dilation),
    )


def depthwise_conv_2d(rng: Rng) -> bytes:
    image, kernel, stride, dilation, padding = window(rng, dilated=True)
    depth, multiplier = int(rng.integers(1, 6)), int(rng.choice([1, 1, 2, 3]))
    channels = depth * multiplier
    x = value(rng, "x", 1, *image, depth)
    w = weights(rng, 1, *kernel, channels, axis=3 if rng.random() < 0.8 else None)
    sizes = [
        out_size(i, d * (k - 1) + 1, s, padding) for i, d, k, s in zip(image, dilation, kernel, stride, strict=True)
    ]
    y = value(rng, "y", 1, *sizes, channels, near=accumulator_scale(x, w, kernel[0] * kernel[1]))
    options = tfl.DepthwiseConv2DOptions(padding, *stride, multiplier, ACTIVATIONS[rng.integers(4)], *dilation)
    return one(rng, tfl.Op.DEPTHWISE_CONV_2D, [x, w, bias(rng, x, w, channels)], y, options)


def fully_connected(rng: Rng, axis: int | None = None) -> bytes:
    depth, channels = int(rng.integers(1, 40)), int(rng.integers(1, 9))
    keep = bool(rng.random() < 0.3)
    leading = tuple(int(n) for n in rng.integers(1, 4, rng.integers(0, 3))) if keep else ()
    x = value(rng, "x", 1, *leading, depth)
    w = weights(rng, channels, depth, axis=axis)
    y = value(rng, "y", 1, *leading, channels, near=accumulator_scale(x, w, depth))
    inputs = [x, w] + ([bias(rng, x, w, channels)] if rng.random() < 0.8 else [])
    return one(rng, tfl.Op.FULLY_CONNECTED, inputs, y, tfl.FullyConnectedOptions(ACTIVATIONS[rng.integers(4)], keep))


def fully_connected_flat(rng: Rng) -> bytes:
    shape = tuple(int(n) for n in rng.integers(1, 5, 3))
    depth, channels = int(np.prod(shape)), int(rng.integers(1, 9))
    x = value(rng, "x", 1, *shape)
    w = weights(rng, channels, depth, axis=None)
    y = value(rng, "y", 1, channels, near=accumulator_scale(x, w, depth))
    return one(rng, tfl.Op.FULLY_CONNECTED, [x, w, bias(rng, x, w, channels)], y, tfl.FullyConnectedOptions())


def batch_matmul(rng: Rng) -> bytes:
    m, k, n = (int(size) for size in rng.integers(1, 9, 3))
    heads = tuple(int(size) for size in rng.integers(1, 4, rng.integers(0, 2)))
    adj_x, adj_y = bool(rng.integers(2)), bool(rng.integers(2))
    a = value(rng, "a", 1, *heads, *((k, m) if adj_x else (m, k)))
    shape = (1, *heads, *((n, k) if adj_y else (k, n)))
    b = int8_constant(rng, "b", *shape) if rng.random() < 0.3 else value(rng, "b", *shape)
    y = value(rng, "y", 1, *heads, m, n, near=accumulator_scale(a, b, k))
    return one(rng, tfl.Op.BATCH_MATMUL, [a, b], y, tfl.BatchMatMulOptions(adj_x, adj_y))


def operands(rng: Rng) -> tuple[tfl.TensorSpec, tfl.TensorSpec, tuple[int, ...]]:
    """Two operands that broadcast, the second one sometimes a constant of lower rank; and the result's shape."""
    shape = [int(n) for n in rng.integers(1, 5, rng.integers(1, 4))]
    left = [1 if rng.random() < 0.2 else n for n in shape]
    right = [1 if rng.random() < 0.2 else n for n in shape]
    a = value(rng, "a", 1, *left)
    if rng.random() < 0.4:
        dropped = int(rng.integers(0, len(right)))
        b = int8_constant(rng, "b", *(right[dropped:] if dropped else [1, *right]))
        right[:dropped] = [1] * dropped
    else:
        b = value(rng, "b", 1, *right)
    return a, b, (1, *(max(p, q) for p, q in zip(left, right, strict=True)))


def add(rng: Rng) -> bytes:
    a, b, shape = operands(rng)
    # The factor of the sum must stay below one, or runtimes abort: output scale > 2 * max / 2**20.
    y = value(rng, "y", *shape, near=max(a.scales[0], b.scales[0]))
    return one(rng, tfl.Op.ADD, [a, b], y, tfl.AddOptions(ACTIVATIONS[rng.integers(4)]))


def mul(rng: Rng) -> bytes:
    a, b, shape = operands(rng)
    y = value(rng, "y", *shape, near=a.scales[0] * b.scales[0] * 40)
    return one(rng, tfl.Op.MUL, [a, b], y, tfl.MulOptions(ACTIVATIONS[rng.integers(4)]))


def pool(rng: Rng, code: int) -> bytes:
    image, kernel, stride, _, padding = window(rng, dilated=False)
    depth = int(rng.integers(1, 6))
    x = value(rng, "x", 1, *image, depth)
    sizes = [out_size(i, k, s, padding) for i, k, s in zip(image, kernel, stride, strict=True)]
    y = value(rng, "y", 1, *sizes, depth, same=x)
    return one(rng, code, [x], y, tfl.Pool2DOptions(padding, *stride, *kernel, ACTIVATIONS[rng.integers(4)]))


def mean(rng: Rng) -> bytes:
    shape = [int(n) for n in rng.integers(1, 7, rng.integers(1, 4))]
    axes = sorted(int(a) for a in rng.choice(len(shape), rng.integers(1, len(shape) + 1), replace=False))
    keep = bool(rng.integers(2))
    x = value(rng, "x", 1, *shape)
    kept = (
        [1 if i in axes else n for i, n in enumerate(shape)]
        if keep
        else [n for i, n in enumerate(shape) if i not in axes]
    )
    y = value(rng, "y", 1, *kept, same=x if rng.random() < 0.3 else None, near=x.scales[0])
    named = [a + 1 - (len(shape) + 1) * int(rng.integers(2)) for a in axes]
    return one(rng, tfl.Op.MEAN, [x, constant(named)], y, tfl.ReducerOptions(keep))


def pad(rng: Rng) -> bytes:
    shape = [int(n) for n in rng.integers(1, 5, rng.integers(1, 4))]
    amounts = [(0, 0), *((int(rng.integers(0, 4)), int(rng.integers(0, 4))) for _ in shape)]
    x = value(rng, "x", 1, *shape)
    y = value(rng, "y", 1, *(b + n + a for n, (b, a) in zip(shape, amounts[1:], strict=True)), same=x)
    data = np.array(amounts, np.int32)
    spec = tfl.TensorSpec("amounts", data.shape, np.int32, data=data)
    return one(rng, tfl.Op.PAD, [x, spec], y, tfl.PadOptions())


def concatenation(rng: Rng) -> bytes:
    shape = [int(n) for n in rng.integers(1, 5, rng.integers(1, 4))]
    axis = int(rng.integers(0, len(shape)))
    first = value(rng, "x0", 1, *shape)
    inputs = [first]
    for index in range(int(rng.integers(1, 4))):
        other = [int(rng.integers(1, 5)) if i == axis else n for i, n in enumerate(shape)]
        make = int8_constant if rng.random() < 0.3 else value
        inputs.append(make(rng, f"x{index + 1}", 1, *other, same=first))
    total = sum(spec.shape[axis + 1] for spec in inputs)
    y = value(rng, "y", 1, *(total if i == axis else n for i, n in enumerate(shape)), same=first)
    named = axis + 1 - (len(shape) + 1) * int(rng.integers(2))
    return one(rng, tfl.Op.CONCATENATION, inputs, y, tfl.ConcatenationOptions(named))


def reshape(rng: Rng) -> bytes:
    shape = [int(n) for n in rng.integers(1, 5, rng.integers(1, 4))]
    total = int(np.prod(shape))
    target = [1, total] if rng.random() < 0.5 else [1, *shape[::-1]]
    x = value(rng, "x", 1, *shape)
    y = value(rng, "y", *target, same=x)
    if rng.random() < 0.5:
        return one(rng, tfl.Op.RESHAPE, [x, constant([1, -1] if len(target) == 2 else target)], y, tfl.ReshapeOptions())
    return one(rng, tfl.Op.RESHAPE, [x], y, tfl.ReshapeOptions(tuple(target)))


def transpose(rng: Rng) -> bytes:
    shape = [int(n) for n in rng.integers(1, 5, rng.integers(1, 5))]
    order = [int(a) for a in rng.permutation(len(shape))]
    x = value(rng, "x", 1, *shape)
    y = value(rng, "y", 1, *(shape[a] for a in order), same=x)
    return one(rng, tfl.Op.TRANSPOSE, [x, constant([0, *(a + 1 for a in order)])], y, tfl.TransposeOptions())


UNIT = {"scales": (1 / 256,), "zero_points": (-128,)}


def softmax(rng: Rng) -> bytes:
    shape = [int(n) for n in rng.integers(1, 5, rng.integers(0, 3))] + [int(rng.choice([1, 2, 3, 10, 33, 200]))]
    x = tfl.TensorSpec("x", (1, *shape), np.int8, (scale(rng, -12, 3),), (zero(rng),))
    beta = float(np.float32(rng.choice([1.0, 1.0, 0.5, 2.0, 0.3, 10.0])))
    return one(rng, tfl.Op.SOFTMAX, [x], tfl.TensorSpec("y", (1, *shape), np.int8, **UNIT), tfl.SoftmaxOptions(beta))


def logistic(rng: Rng) -> bytes:
    x = tfl.TensorSpec("x", (1, 256), np.int8, (scale(rng, -10, 4),), (zero(rng),))
    return one(rng, tfl.Op.LOGISTIC, [x], tfl.TensorSpec("y", (1, 256), np.int8, **UNIT), None)


def quantize(rng: Rng) -> bytes:
    shape = (1, int(rng.integers(1, 300)))
    kinds = [(np.int8, np.int8), (np.uint8, np.int8), (np.int8, np.uint8)]
    source, target = kinds[rng.integers(3)]
    x, y = value(rng, "x", *shape), None
    same = x if rng.random() < 0.2 else None
    y = value(rng, "y", *shape, same=same, near=x.scales[0] if rng.random() < 0.7 else None)
    moved = [
        tfl.TensorSpec(spec.name, shape, kind, spec.scales, (spec.zero_points[0] + (128 if kind is np.uint8 else 0),))
        for spec, kind in ((x, source), (y, target))
    ]
    return one(rng, tfl.Op.QUANTIZE, [moved[0]], moved[1], tfl.QuantizeOptions())


BUILDERS: dict[str, Callable[[Rng], bytes]] = {
    "conv_2d": conv_2d,
    "depthwise_conv_2d": depthwise_conv_2d,
    "fully_connected": fully_connected,
    "fully_connected_per_channel": lambda rng: fully_connected(rng, axis=0),
    "fully_connected_flat": fully_connected_flat,
    "batch_matmul": batch_matmul,
    "add": add,
    "mul": mul,
    "average_pool_2d": lambda rng: pool(rng, tfl.Op.AVERAGE_POOL_2D),
    "max_pool_2d": lambda rng: pool(rng, tfl.Op.MAX_POOL_2D),
    "mean": mean,
    "pad": pad,
    "concatenation": concatenation,
    "reshape": reshape,
    "transpose": transpose,
    "softmax": softmax,
    "logistic": logistic,
    "quantize": quantize,
}
"""A builder for each operator that is imported."""
