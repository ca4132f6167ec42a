# SPDX-License-Identifier: Apache-2.0
"""Transcendental functions in 32-bit fixed point.

A number with i integer bits is an int32 that stands for raw / 2**(31 - i). Source: gemmlowp ``fixedpoint.h``, whose
integer results are part of the semantics of SOFTMAX.
"""

from typing import Final

import numpy as np

from vcompute.kernels.reference.requantize import (
    Int64,
    rounding_divide_by_power_of_two,
    rounding_doubling_high_multiply,
)

INT32_MAX: Final = (1 << 31) - 1
INT32_MIN: Final = -(1 << 31)

EXP_MINUS_EIGHTH: Final = 1895147668
ONE_THIRD: Final = 715827883
EXP_BARREL: Final = (
    (-2, 1672461947),
    (-1, 1302514674),
    (0, 790015084),
    (1, 290630308),
    (2, 39332535),
    (3, 720401),
    (4, 242),
)
"""(e, raw of exp(-2**e)): the factors of exp of a sum of powers of two."""
FORTY_EIGHT_OVER_17: Final = 1515870810
MINUS_32_OVER_17: Final = -1010580540


def input_radius(integer_bits: int, shift: int) -> int:
    """The least magnitude of an input that the fixed-point format cannot tell from the end of its range.

    Source: TFLite ``CalculateInputRadius`` with 31 bits.
    """
    return (((1 << integer_bits) - 1) << (31 - integer_bits)) >> shift


def saturating_shift_left(x: Int64, amount: int) -> Int64:
    """``x * 2**amount`` clamped to int32."""
    shifted: Int64 = np.clip(x << amount, INT32_MIN, INT32_MAX)
    return shifted


def exp_between_minus_quarter_and_zero(a: Int64) -> Int64:
    """exp(a) for a in [-1/4, 0), no integer bits: a Taylor polynomial of degree 4 around -1/8."""
    multiply = rounding_doubling_high_multiply
    x = a + (1 << 28)
    x2 = multiply(x, x)
    x3 = multiply(x2, x)
    x4 = multiply(x2, x2)
    quarter = rounding_divide_by_power_of_two(x4, 2)
    tail = rounding_divide_by_power_of_two(multiply(quarter + x3, ONE_THIRD) + x2, 1)
    return EXP_MINUS_EIGHTH + multiply(x + tail, EXP_MINUS_EIGHTH)


def exp_of_negative(a: Int64, integer_bits: int) -> Int64:
    """exp(a) for a <= 0 with ``integer_bits`` bits; the result has none."""
    fractional_bits = 31 - integer_bits
    quarter = 1 << (fractional_bits - 2)
    fraction = (a & (quarter - 1)) - quarter
    result = exp_between_minus_quarter_and_zero(saturating_shift_left(fraction, integer_bits))
    remainder = fraction - a
    for exponent, factor in EXP_BARREL:
        if exponent < integer_bits:
            present = remainder & (1 << (fractional_bits + exponent)) != 0
            result = np.where(present, rounding_doubling_high_multiply(result, factor), result)
    return np.where(a == 0, INT32_MAX, result)


def one_over_one_plus(a: Int64) -> Int64:
    """1 / (1 + a) for a in [0, 1), no integer bits: three Newton-Raphson steps with two integer bits."""
    multiply = rounding_doubling_high_multiply
    half_denominator = (a + INT32_MAX + 1) >> 1
    x = FORTY_EIGHT_OVER_17 + multiply(half_denominator, MINUS_32_OVER_17)
    for _ in range(3):
        error = (1 << 29) - multiply(half_denominator, x)
        x = x + saturating_shift_left(multiply(x, error), 2)
    return saturating_shift_left(x, 1)
