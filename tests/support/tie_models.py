# SPDX-License-Identifier: Apache-2.0
"""``.tflite`` models whose accumulators lie at and next to rounding ties: what tells one rule of rounding, or one
precision of a factor, from another. The inputs that reach the ties come with them.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from tests.support.random_models import Rng, one, scale
from vcompute.data.digits import tflite_writer as tfl


@dataclass(frozen=True, slots=True)
class TieModel:
    """A model and one sample of each of its inputs."""

    model: bytes
    inputs: tuple[np.ndarray, ...]


def build(name: str, seed: int) -> TieModel:
    """The model of operator ``name`` for a seed."""
    return BUILDERS[name](np.random.default_rng([seed, *name.encode()]))


def ties(factor: float, halves: np.ndarray, reach: int) -> np.ndarray:
    """For each odd ``half`` the integers within ``reach`` of half / 2 / factor, inside int32."""
    centres = np.rint(halves / 2 / factor).astype(np.int64)
    around = (centres[:, None] + np.arange(-reach, reach + 1)).ravel()
    return around[np.abs(around) < 2**31 - 2**16]


def _scales(rng: Rng) -> tuple[float, float, float]:
    """Scales of input, weights and output with a factor near 2**-20, so that neighbours of a tie are close to it."""
    x, w = scale(rng, -6, 0), float(np.float32(2.0 ** rng.uniform(-10, -4)))
    return x, w, float(np.float32(x * w * 2.0 ** rng.uniform(16, 22)))


def _linear(rng: Rng, code: int, per_channel: bool) -> TieModel:
    x_scale, w_scale, y_scale = _scales(rng)
    halves = rng.integers(-128, 127, 24) * 2 + 1
    bias = ties(x_scale * w_scale / y_scale, halves, 8).astype(np.int32)
    channels, zero = len(bias), int(rng.integers(-128, 128))
    shapes: dict[int, tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], tfl.Options]] = {
        tfl.Op.CONV_2D: ((1, 1, 1, 1), (channels, 1, 1, 1), (1, 1, 1, channels), tfl.Conv2DOptions()),
        tfl.Op.DEPTHWISE_CONV_2D: (
            (1, 1, 1, 1),
            (1, 1, 1, channels),
            (1, 1, 1, channels),
            tfl.DepthwiseConv2DOptions(depth_multiplier=channels),
        ),
        tfl.Op.FULLY_CONNECTED: ((1, 1), (channels, 1), (1, channels), tfl.FullyConnectedOptions()),
    }
    x_shape, w_shape, y_shape, options = shapes[code]
    axis = 3 if code == tfl.Op.DEPTHWISE_CONV_2D else 0
    count = channels if per_channel else 1
    w_data = np.ones(w_shape, np.int8)
    x = tfl.TensorSpec("x", x_shape, np.int8, (x_scale,), (zero,))
    w = tfl.TensorSpec("w", w_shape, np.int8, (w_scale,) * count, (0,) * count, axis, w_data)
    product = float(np.float32(x_scale) * np.float32(w_scale))
    b = tfl.TensorSpec("b", (channels,), np.int32, (product,) * count, (0,) * count, 0, bias)
    y = tfl.TensorSpec("y", y_shape, np.int8, (y_scale,), (int(rng.integers(-3, 4)),))
    return TieModel(one(rng, code, [x, w, b], y, options), (np.full(x_shape[1:], zero, np.int8),))


def batch_matmul(rng: Rng) -> TieModel:
    """(M, K) by (K, 1): the rows reach chosen sums of products."""
    depth = 66
    a_scale, b_scale, _ = _scales(rng)
    y_scale = float(np.float32(a_scale * b_scale * 2.0 ** rng.uniform(14, 15)))
    sums = ties(a_scale * b_scale / y_scale, rng.integers(0, 127, 80) * 2 + 1, 1)
    sums = sums[(sums >= 0) & (sums <= 255 * 255 * 60)]
    # sum = q * 255 * 255 + r * 255 + t by a row of q 255s, then r, then t, against (255, ..., 255, 255, 1).
    q, rest = np.divmod(sums, 255 * 255)
    rows = (np.arange(depth - 2) < q[:, None]) * 255
    rows = np.column_stack([rows, rest // 255, rest % 255])
    column = np.full((depth, 1), 255)
    column[-1] = 1
    a = tfl.TensorSpec("a", (1, len(sums), depth), np.int8, (a_scale,), (-128,))
    b = tfl.TensorSpec("b", (1, depth, 1), np.int8, (b_scale,), (-128,))
    y = tfl.TensorSpec("y", (1, len(sums), 1), np.int8, (y_scale,), (0,))
    model = one(rng, tfl.Op.BATCH_MATMUL, [a, b], y, tfl.BatchMatMulOptions())
    return TieModel(model, ((rows - 128).astype(np.int8), (column - 128).astype(np.int8)))


def mul(rng: Rng) -> TieModel:
    """Every product of two int8."""
    a_scale, b_scale, _ = _scales(rng)
    y_scale = float(np.float32(a_scale * b_scale * 2.0 ** rng.uniform(6, 9)))
    zeros = [int(rng.choice([-128, 127, 0])) for _ in range(2)]
    a = tfl.TensorSpec("a", (1, 256, 1), np.int8, (a_scale,), (zeros[0],))
    b = tfl.TensorSpec("b", (1, 1, 256), np.int8, (b_scale,), (zeros[1],))
    y = tfl.TensorSpec("y", (1, 256, 256), np.int8, (y_scale,), (int(rng.integers(-128, 128)),))
    every = np.arange(-128, 128).astype(np.int8)
    return TieModel(one(rng, tfl.Op.MUL, [a, b], y, tfl.MulOptions()), (every[:, None], every[None, :]))


def add(rng: Rng) -> TieModel:
    """Every sum of two int8."""
    a_scale, b_scale = scale(rng, -4, 0), scale(rng, -4, 0)
    y_scale = float(np.float32(max(a_scale, b_scale) * 2.0 ** rng.integers(-2, 3)))
    a = tfl.TensorSpec("a", (1, 256, 1), np.int8, (a_scale,), (int(rng.integers(-128, 128)),))
    b = tfl.TensorSpec("b", (1, 1, 256), np.int8, (b_scale,), (int(rng.integers(-128, 128)),))
    y = tfl.TensorSpec("y", (1, 256, 256), np.int8, (y_scale,), (int(rng.integers(-128, 128)),))
    every = np.arange(-128, 128).astype(np.int8)
    return TieModel(one(rng, tfl.Op.ADD, [a, b], y, tfl.AddOptions()), (every[:, None], every[None, :]))


BUILDERS: dict[str, Callable[[Rng], TieModel]] = {
    "conv_2d": lambda rng: _linear(rng, tfl.Op.CONV_2D, per_channel=True),
    "depthwise_conv_2d": lambda rng: _linear(rng, tfl.Op.DEPTHWISE_CONV_2D, per_channel=True),
    "fully_connected": lambda rng: _linear(rng, tfl.Op.FULLY_CONNECTED, per_channel=False),
    "fully_connected_per_channel": lambda rng: _linear(rng, tfl.Op.FULLY_CONNECTED, per_channel=True),
    "batch_matmul": batch_matmul,
    "mul": mul,
    "add": add,
}
"""A builder for each operator with products."""
