# SPDX-License-Identifier: Apache-2.0
"""Operators that reduce. Arrays are batches: (N, *shape of one sample)."""

import numpy as np

from vcompute.kernels.reference.linear import centred, pad_image, tap
from vcompute.kernels.reference.requantize import clamp_to_output, multiply_by_quantized_multiplier
from vcompute.task.operators import AveragePool2D, MaxPool2D, Mean
from vcompute.task.tensor import NDArray, ValueType


def average_pool_2d(operator: AveragePool2D, x: NDArray, output: ValueType) -> NDArray:
    """The mean of the pixels inside the image, rounded half away from zero.

    (sum + count // 2) // count for a positive sum, its mirror image otherwise; padding counts in neither.
    """
    image = pad_image(x.astype(np.int64), operator.window, 0)
    inside = pad_image(np.ones((1, *x.shape[1:3], 1), np.int64), operator.window, 0)
    total = np.zeros((x.shape[0], *output.shape), np.int64)
    count = np.zeros((1, *output.shape[:2], 1), np.int64)
    for row in range(operator.kernel_h):
        for column in range(operator.kernel_w):
            total += tap(image, operator.window, row, column, output.shape[:2])
            count += tap(inside, operator.window, row, column, output.shape[:2])
    mean = np.sign(total) * ((np.abs(total) + count // 2) // count)
    return clamp_to_output(mean, 0, operator.low, operator.high)


def max_pool_2d(operator: MaxPool2D, x: NDArray, output: ValueType) -> NDArray:
    """The greatest pixel inside the image."""
    image = pad_image(x.astype(np.int64), operator.window, -128)
    greatest = np.full((x.shape[0], *output.shape), -128, np.int64)
    for row in range(operator.kernel_h):
        for column in range(operator.kernel_w):
            greatest = np.maximum(greatest, tap(image, operator.window, row, column, output.shape[:2]))
    return clamp_to_output(greatest, 0, operator.low, operator.high)


def mean(operator: Mean, x: NDArray, zero_point: int, output: ValueType) -> NDArray:
    """The sum of x - zero_point over the axes, rescaled by a multiplier that holds the division by the count."""
    total = centred(x, zero_point).sum(axis=tuple(axis + 1 for axis in operator.axes), keepdims=operator.keep_dims)
    scaled = multiply_by_quantized_multiplier(
        total, operator.requant.multiplier, operator.requant.shift, operator.rounding
    )
    return clamp_to_output(scaled, output.zero_point, operator.low, operator.high)
