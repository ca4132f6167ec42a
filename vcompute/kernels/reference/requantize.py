# SPDX-License-Identifier: Apache-2.0
"""Requantisation: the one rule by which an accumulator becomes an activation.

Everything is exact in int64: accumulators fit int32 (:mod:`vcompute.task.bounds`), multipliers are below 2**31.
"""

import numpy as np
import numpy.typing as npt

from vcompute.task.operators import Rounding
from vcompute.task.tensor import NUMPY_DTYPE, DType, NDArray

Int64 = npt.NDArray[np.int64]


def rounding_divide_by_power_of_two(x: Int64, exponent: Int64 | int) -> Int64:
    """``x / 2**exponent`` rounded to nearest, ties away from zero.

    Source: gemmlowp ``RoundingDivideByPOT``.
    """
    mask = (np.int64(1) << np.asarray(exponent, np.int64)) - 1
    remainder = x & mask
    threshold = (mask >> 1) + (x < 0)
    quotient: Int64 = (x >> exponent) + (remainder > threshold)
    return quotient


def rounding_doubling_high_multiply(x: Int64, multiplier: Int64 | int) -> Int64:
    """``x * multiplier / 2**31`` rounded to nearest, ties up.

    Source: gemmlowp ``SaturatingRoundingDoublingHighMul``; both factors equal to -2**31, the one case that saturates
    there, cannot occur because multipliers are not negative or constants of a formula.
    """
    product: Int64 = (x * multiplier + (1 << 30)) >> 31
    return product


def multiply_by_quantized_multiplier(
    x: Int64, multiplier: Int64 | int, shift: Int64 | int, rounding: Rounding
) -> Int64:
    """``x * multiplier * 2**(shift - 31)`` as an integer, rounded as ``rounding`` says.

    ``x`` holds int32 values that stay int32 under a left shift; ``multiplier`` and ``shift`` are scalars or broadcast
    over the last axis (one for each channel).

    - *double*: a left shift, a rounding doubling high multiplication (ties up), then a rounding right shift (ties away
      from zero). TFLite ``MultiplyByQuantizedMultiplier``.
    - *single*: the whole product, rounded once (ties up).
    """
    shift = np.asarray(shift, np.int64)
    if rounding is Rounding.SINGLE:
        total = 31 - shift
        single: Int64 = (x * multiplier + (np.int64(1) << (total - 1))) >> total
        return single
    high = rounding_doubling_high_multiply(x << np.maximum(shift, 0), multiplier)
    return rounding_divide_by_power_of_two(high, np.maximum(-shift, 0))


def clamp_to_output(x: Int64, zero_point: int, low: int, high: int, dtype: DType = DType.INT8) -> NDArray:
    """Add the output's zero point and clamp to ``[low, high]``."""
    return np.clip(x + zero_point, low, high).astype(NUMPY_DTYPE[dtype])
