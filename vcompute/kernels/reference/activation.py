# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX in fixed point, LOGISTIC by table. Arrays are batches: (N, *shape of one sample)."""

from typing import Final

import numpy as np

from vcompute.kernels.reference.fixed_point import (
    exp_of_negative,
    input_radius,
    one_over_one_plus,
)
from vcompute.kernels.reference.requantize import (
    clamp_to_output,
    rounding_divide_by_power_of_two,
    rounding_doubling_high_multiply,
)
from vcompute.task.operators import Softmax
from vcompute.task.tensor import NDArray, ValueType

SOFTMAX_INTEGER_BITS: Final = 5
SOFTMAX_SUM_INTEGER_BITS: Final = 12


def softmax(operator: Softmax, x: NDArray, output: ValueType) -> NDArray:
    """exp(x - max) over its sum, along the last axis, in units of 1/256.

    A difference below the format's range counts as exp = 0. The sum has 12 integer bits; its reciprocal is
    normalised by its leading zeros. Source: TFLite ``reference_ops::Softmax``.
    """
    raw = x.astype(np.int64)
    difference = raw - raw.max(axis=-1, keepdims=True)
    in_range = difference >= -input_radius(SOFTMAX_INTEGER_BITS, operator.shift)
    scaled = rounding_doubling_high_multiply(np.where(in_range, difference, 0) << operator.shift, operator.multiplier)
    exponentials = np.where(in_range, exp_of_negative(scaled, SOFTMAX_INTEGER_BITS), 0)
    total = rounding_divide_by_power_of_two(exponentials, SOFTMAX_SUM_INTEGER_BITS).sum(axis=-1, keepdims=True)
    leading_zeros = 32 - np.frexp(total.astype(np.float64))[1].astype(np.int64)
    reciprocal = one_over_one_plus((total << leading_zeros) - (1 << 31))
    over_unit = SOFTMAX_SUM_INTEGER_BITS - leading_zeros
    quotient = rounding_divide_by_power_of_two(
        rounding_doubling_high_multiply(exponentials, reciprocal), over_unit + 31 - 8
    )
    return clamp_to_output(np.where(in_range, quotient, 0), output.zero_point, -128, 127)


def logistic(x: NDArray, table: NDArray) -> NDArray:
    """The table's entry for each input: entry i is for the input i - 128."""
    return table[x.astype(np.intp) + 128]
