# SPDX-License-Identifier: Apache-2.0
"""Operators that multiply and accumulate. Arrays are batches: (N, *shape of one sample)."""

import numpy as np

from vcompute.kernels.reference.requantize import Int64, clamp_to_output, multiply_by_quantized_multiplier
from vcompute.task.operators import (
    BatchMatMul,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    MatMul,
    Window,
)
from vcompute.task.tensor import NDArray, Shape, ValueType


def exact_product(a: NDArray, b: NDArray) -> Int64:
    """The matrix product of integers, exactly.

    float64 holds every partial sum exactly: the sum of the terms' magnitudes is an int32, far below 2**53
    (:func:`vcompute.task.bounds.check_accumulators`), and numpy's float64 product is much faster than its int64 one.
    """
    product: Int64 = np.matmul(a.astype(np.float64), b.astype(np.float64)).astype(np.int64)
    return product


def centred(x: NDArray, zero_point: int) -> Int64:
    """x - zero_point in int64."""
    return x.astype(np.int64) - zero_point


def tap(padded: NDArray, window: Window, row: int, column: int, size: Shape) -> NDArray:
    """What one tap of the kernel sees for every output position: (N, OH, OW, C)."""
    top, left = row * window.dilation_h, column * window.dilation_w
    rows = slice(top, top + (size[0] - 1) * window.stride_h + 1, window.stride_h)
    columns = slice(left, left + (size[1] - 1) * window.stride_w + 1, window.stride_w)
    return padded[:, rows, columns, :]


def pad_image(x: NDArray, window: Window, value: int) -> NDArray:
    """The image with its padding filled by ``value``, if there is any; taps outside a centred image add 0."""
    amounts = ((0, 0), (window.pad_top, window.pad_bottom), (window.pad_left, window.pad_right), (0, 0))
    return np.pad(x, amounts, constant_values=value) if any(map(any, amounts)) else x


def requantize_channels(
    accumulators: Int64,
    constants: tuple[NDArray, ...],
    operator: Conv2D | DepthwiseConv2D | FullyConnected,
    output: ValueType,
) -> NDArray:
    """Add the bias, scale each channel by its own multiplier, add the zero point, clamp."""
    _, bias, multiplier, shift = constants
    scaled = multiply_by_quantized_multiplier(
        accumulators + bias.astype(np.int64), multiplier.astype(np.int64), shift.astype(np.int64), operator.rounding
    )
    return clamp_to_output(scaled, output.zero_point, operator.low, operator.high)


def conv_2d(
    operator: Conv2D, x: NDArray, constants: tuple[NDArray, ...], zero_point: int, output: ValueType
) -> NDArray:
    """acc[n, p, c] = sum over taps k and channels i of w[c, k, i] * (x[n, stride * p + k, i] - zero_point)."""
    kernel = constants[0]
    image = pad_image(centred(x, zero_point), operator.window, 0)
    accumulators = np.zeros((x.shape[0], *output.shape), np.int64)
    for row in range(kernel.shape[1]):
        for column in range(kernel.shape[2]):
            seen = tap(image, operator.window, row, column, output.shape[:2])
            accumulators += exact_product(seen, kernel[:, row, column, :].T)
    return requantize_channels(accumulators, constants, operator, output)


def depthwise_conv_2d(
    operator: DepthwiseConv2D, x: NDArray, constants: tuple[NDArray, ...], zero_point: int, output: ValueType
) -> NDArray:
    """Output channel c reads input channel c // depth_multiplier alone."""
    kernel = constants[0].astype(np.int64)
    image = pad_image(centred(x, zero_point), operator.window, 0)
    image = np.repeat(image, operator.depth_multiplier, axis=3)
    accumulators = np.zeros((x.shape[0], *output.shape), np.int64)
    for row in range(kernel.shape[0]):
        for column in range(kernel.shape[1]):
            accumulators += tap(image, operator.window, row, column, output.shape[:2]) * kernel[row, column]
    return requantize_channels(accumulators, constants, operator, output)


def fully_connected(
    operator: FullyConnected, x: NDArray, constants: tuple[NDArray, ...], zero_point: int, output: ValueType
) -> NDArray:
    """acc[..., c] = sum over k of w[c, k] * (x[..., k] - zero_point)."""
    accumulators = exact_product(centred(x, zero_point), constants[0].T)
    return requantize_channels(accumulators, constants, operator, output)


def matmul(operator: MatMul, x: NDArray, constants: tuple[NDArray, ...], zero_point: int, output: ValueType) -> NDArray:
    """acc[..., c] = sum over k of w[c, k] * (x[..., k] - zero_point), as int32."""
    return exact_product(centred(x, zero_point), constants[0].T).astype("<i4")


def batch_matmul(
    operator: BatchMatMul, a: NDArray, b: NDArray, zero_points: tuple[int, int], output: ValueType
) -> NDArray:
    """acc[..., m, n] = sum over k of (a[..., m, k] - za) * (b[..., k, n] - zb)."""
    left, right = centred(a, zero_points[0]), centred(b, zero_points[1])
    left = align(left.swapaxes(-1, -2) if operator.transpose_a else left, len(output.shape))
    right = align(right.swapaxes(-1, -2) if operator.transpose_b else right, len(output.shape))
    scaled = multiply_by_quantized_multiplier(
        exact_product(left, right), operator.requant.multiplier, operator.requant.shift, operator.rounding
    )
    return clamp_to_output(scaled, output.zero_point, operator.low, operator.high)


def align(x: NDArray, rank: int) -> NDArray:
    """Insert axes of 1 behind the batch axis, so that samples broadcast from their last axes."""
    missing = rank + 1 - x.ndim
    shape: Shape = (x.shape[0], *(1,) * missing, *x.shape[1:])
    return x.reshape(shape)
