# SPDX-License-Identifier: Apache-2.0
"""From the scales of a ``.tflite`` to integers, once: the only floating-point arithmetic of the library.

Scales are IEEE 754 binary32 numbers in the file; products and quotients are taken in binary32 or binary64 exactly
where the reference kernels take them so. All results are fixed-point multipliers ``m * 2**(s - 31)``.

Source: ``tensorflow/lite/kernels/internal/quantization_util.cc`` for the rules, checked against the runtimes.
"""

import math
from typing import Final

import numpy as np

from vcompute.errors import ImportFailed, TaskError
from vcompute.task.operators import Requant
from vcompute.task.operators.base import SHIFT_RANGE
from vcompute.task.tensor import DTYPE_RANGE, NDArray, ValueType

SOFTMAX_INTEGER_BITS: Final = 5
_MANTISSA_BITS: Final = 53


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The fixed-point multiplier and shift nearest to ``real`` >= 0 (QuantizeMultiplier).

    The mantissa is rounded half away from zero to 31 bits; a number below 2**-32 becomes (0, 0).

    Raises:
        ImportFailed: ``real`` is not finite, negative, or 2**30 or more.
    """
    if not (math.isfinite(real) and real >= 0):
        raise ImportFailed("a rescaling factor is not a finite non-negative number", got=real)
    if real == 0:
        return 0, 0
    fraction, exponent = math.frexp(real)
    mantissa = int(math.ldexp(fraction, _MANTISSA_BITS))
    multiplier = (mantissa + (1 << (_MANTISSA_BITS - 32))) >> (_MANTISSA_BITS - 31)
    if multiplier == 1 << 31:
        multiplier, exponent = 1 << 30, exponent + 1
    if exponent < SHIFT_RANGE[0]:
        return 0, 0
    if exponent > SHIFT_RANGE[1]:
        raise ImportFailed("a rescaling factor is too large", expected="< 2**30", got=real)
    return multiplier, exponent


def requant(real: float) -> Requant:
    """:func:`quantize_multiplier` as an operator attribute."""
    return Requant(*quantize_multiplier(real))


def float32_product(a: float, b: float) -> float:
    """The product of two binary32 numbers rounded to binary32."""
    with np.errstate(all="ignore"):
        return float(np.float32(a) * np.float32(b))


def float32_quotient(a: float, b: float) -> float:
    """The quotient of two binary32 numbers rounded to binary32."""
    with np.errstate(all="ignore"):
        return float(np.float32(a) / np.float32(b))


def mean_requant(ratio: float, count: int) -> Requant:
    """The multiplier of a mean over ``count`` elements; ``ratio`` is input scale / output scale.

    The count divides the multiplier, which is first moved up by as many bits as the count has below its leading one,
    so the result is not normalised.
    """
    multiplier, shift = quantize_multiplier(ratio)
    up = min(count.bit_length() - 1, 32, 31 + shift)
    return Requant((multiplier << up) // count, shift - up)


def softmax_multiplier(beta: float, scale: float) -> tuple[int, int]:
    """Multiplier and left shift that bring a difference of inputs to Q5.26, capped where exp is zero anyway."""
    real = min(beta * scale * (1 << (31 - SOFTMAX_INTEGER_BITS)), (1 << 31) - 1.0)
    if not real > 1:
        raise ImportFailed("beta times the input scale is too small", expected="> 2**-26", got=beta * scale)
    fraction, exponent = math.frexp(real)
    multiplier = math.floor(fraction * (1 << 31) + 0.5)
    return (1 << 30, exponent + 1) if multiplier == 1 << 31 else (multiplier, exponent)


def activation_range(kind: int, scale: float, value: ValueType) -> tuple[int, int]:
    """Least and greatest integer under a fused activation.

    Raises:
        TaskError: not an activation that clamps.
    """
    bounds = {0: (None, None), 1: (0.0, None), 2: (-1.0, 1.0), 3: (0.0, 6.0)}
    if kind not in bounds:
        raise TaskError("a fused activation that is not NONE, RELU, RELU_N1_TO_1 or RELU6", got=kind)
    least, greatest = DTYPE_RANGE[value.dtype]
    low, high = bounds[kind]
    if low is not None:
        least = max(least, _quantize(low, scale, value.zero_point))
    if high is not None:
        greatest = min(greatest, _quantize(high, scale, value.zero_point))
    return least, greatest


def _quantize(real: float, scale: float, zero_point: int) -> int:
    """The integer nearest to a real number: a binary32 quotient, rounded half away from zero."""
    quotient = float32_quotient(real, scale)
    if not math.isfinite(quotient):
        raise ImportFailed("an activation bound cannot be quantised", got=real)
    return zero_point + int(math.copysign(math.floor(abs(quotient) + 0.5), quotient))


def logistic_table(scale: float, zero_point: int) -> NDArray:
    """The 256 outputs of the logistic function for the inputs -128 to 127: int8, output scale 1/256, zero point -128.

    The reference kernel makes this table too, in binary32: x = scale * (q - zero_point), e = exp(-x),
    round(256 / (1 + e)) - 128. The exponential is taken in binary64 and rounded to binary32.
    """
    table = []
    for q in range(-128, 128):
        x = float32_product(scale, float(q - zero_point))
        with np.errstate(over="ignore"):
            e = np.float32(math.exp(min(-x, 700.0)))
            y = np.float32(1) / (np.float32(1) + e)
        table.append(min(math.floor(float(y * np.float32(256)) + 0.5) - 128, 127))
    return np.array(table, np.int8)
