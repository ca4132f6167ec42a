# SPDX-License-Identifier: Apache-2.0
"""Operators on single elements but for the transcendental ones. Arrays are batches: (N, *shape of one sample)."""

from typing import Final

from vcompute.kernels.reference.linear import align, centred
from vcompute.kernels.reference.requantize import Int64, clamp_to_output, multiply_by_quantized_multiplier
from vcompute.task.operators import Add, Mul, Quantize, Requant, Rounding
from vcompute.task.tensor import NDArray, ValueType

ADD_LEFT_SHIFT: Final = 20
"""Bits that ADD gives its operands before it rescales them."""


def add(operator: Add, a: NDArray, b: NDArray, zero_points: tuple[int, int], output: ValueType) -> NDArray:
    """Both operands shifted left and rescaled to a common scale, added, and rescaled; three double roundings."""

    def rescaled(x: Int64, requant: Requant) -> Int64:
        return multiply_by_quantized_multiplier(x, requant.multiplier, requant.shift, Rounding.DOUBLE)

    rank = len(output.shape)
    left = rescaled(align(centred(a, zero_points[0]), rank) << ADD_LEFT_SHIFT, operator.a)
    right = rescaled(align(centred(b, zero_points[1]), rank) << ADD_LEFT_SHIFT, operator.b)
    return clamp_to_output(rescaled(left + right, operator.out), output.zero_point, operator.low, operator.high)


def mul(operator: Mul, a: NDArray, b: NDArray, zero_points: tuple[int, int], output: ValueType) -> NDArray:
    """(a - za) * (b - zb), rescaled."""
    rank = len(output.shape)
    product = align(centred(a, zero_points[0]), rank) * align(centred(b, zero_points[1]), rank)
    scaled = multiply_by_quantized_multiplier(
        product, operator.requant.multiplier, operator.requant.shift, operator.rounding
    )
    return clamp_to_output(scaled, output.zero_point, operator.low, operator.high, output.dtype)


def quantize(operator: Quantize, x: NDArray, zero_point: int, output: ValueType) -> NDArray:
    """x - zero_point under another scale."""
    scaled = multiply_by_quantized_multiplier(
        centred(x, zero_point), operator.requant.multiplier, operator.requant.shift, operator.rounding
    )
    return clamp_to_output(scaled, output.zero_point, operator.low, operator.high, output.dtype)
