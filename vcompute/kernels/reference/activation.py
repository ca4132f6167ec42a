# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX and LOGISTIC in fixed point. Arrays are batches: (N, *shape of one sample)."""

from typing import Final

import numpy as np

from vcompute.kernels.reference.fixed_point import (
    INT32_MAX,
    exp_of_negative,
    input_radius,
    one_over_one_plus,
)
from vcompute.kernels.reference.linear import centred
from vcompute.kernels.reference.requantize import (
    clamp_to_output,
    multiply_by_quantized_multiplier,
    rounding_divide_by_power_of_two,
    rounding_doubling_high_multiply,
)
from vcompute.task.operators import Logistic, Rounding, Softmax
from vcompute.task.tensor import NDArray, ValueType

SOFTMAX_INTEGER_BITS: Final = 5
SOFTMAX_SUM_INTEGER_BITS: Final = 12
LOGISTIC_INTEGER_BITS: Final = 4


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


def logistic(operator: Logistic, x: NDArray, zero_point: int, output: ValueType) -> NDArray:
    """1 / (1 + exp(-x)) in units of 1/256; saturates where the input leaves the format's range.

    Source: TFLite ``reference_integer_ops::Logistic``.
    """
    radius = input_radius(LOGISTIC_INTEGER_BITS, operator.shift)
    value = centred(x, zero_point)
    inner = np.clip(value, 1 - radius, radius - 1)
    scaled = multiply_by_quantized_multiplier(inner, operator.multiplier, operator.shift, Rounding.DOUBLE)
    positive = one_over_one_plus(exp_of_negative(-np.abs(scaled), LOGISTIC_INTEGER_BITS))
    result = np.where(scaled > 0, positive, INT32_MAX - positive)
    result = np.where(scaled == 0, 1 << 30, result)
    quotient = rounding_divide_by_power_of_two(result, 31 - 8)
    quotient = np.where(value <= -radius, 0, np.where(value >= radius, 255, quotient))
    return clamp_to_output(quotient, output.zero_point, -128, 127)
