# SPDX-License-Identifier: Apache-2.0
"""The prime field F_p, p = 2^64 - 2^32 + 1, on numpy arrays of unsigned 64-bit words.

Every array holds canonical representatives, 0 <= a < p; every function takes and returns canonical arrays and
broadcasts as numpy does. This is the readable twin of ``native/src/field.h``: the same results, exactly.

The one identity behind all reductions is 2^64 = 2^32 - 1 (mod p), so also 2^96 = -1.
"""

from typing import Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

P: Final = 2**64 - 2**32 + 1
"""The modulus."""

TWO_ADICITY: Final = 32
"""2^32 divides p - 1 and 2^33 does not."""

GENERATOR: Final = 7
"""A generator of the multiplicative group."""

Words: TypeAlias = NDArray[np.uint64]
"""Canonical elements of F_p, any shape."""

_P: Final = np.uint64(P)
_EPSILON: Final = np.uint64(2**32 - 1)  # 2^64 mod p
_LOW: Final = np.uint64(2**32 - 1)
_SHIFT: Final = np.uint64(32)


def element(value: int) -> Words:
    """The element of F_p an integer stands for, as an array of no axes."""
    return np.array(value % P, dtype=np.uint64)


def elements(values: Any) -> Words:
    """The elements an array of signed or unsigned integers of at most 64 bits stands for: negative v becomes p + v."""
    array = np.asarray(values)
    if array.dtype == np.uint64:
        return np.where(array >= _P, array - _P, array)
    if array.dtype == object:
        return np.array([int(v) % P for v in array.ravel()], dtype=np.uint64).reshape(array.shape)
    signed = array.astype(np.int64)
    words = signed.astype(np.uint64)
    # int64 v < 0 is v + 2^64 as a word, and p + v = word - (2^32 - 1).
    return np.where(signed < 0, words - _EPSILON, words)


def is_canonical(a: Words) -> bool:
    """Whether every word is below p."""
    return bool(np.all(a < _P))


def add(a: Words, b: Words) -> Words:
    """a + b."""
    with np.errstate(over="ignore"):
        total = a + b
        total = np.where(total < a, total + _EPSILON, total)  # a carry out is worth 2^64 = 2^32 - 1
    return np.where(total >= _P, total - _P, total)


def sub(a: Words, b: Words) -> Words:
    """a - b."""
    with np.errstate(over="ignore"):
        return np.where(a < b, a - b + _P, a - b)


def neg(a: Words) -> Words:
    """-a."""
    return sub(np.zeros_like(a), a)


def mul(a: Words, b: Words) -> Words:
    """a * b, by schoolbook limbs of 32 bits and one reduction of the 128-bit product."""
    with np.errstate(over="ignore"):
        a_low, a_high = a & _LOW, a >> _SHIFT
        b_low, b_high = b & _LOW, b >> _SHIFT
        low_low = a_low * b_low
        middle = a_high * b_low + (low_low >> _SHIFT)  # <= (2^32-1)^2 + 2^32 - 1 < 2^64
        middle_low = a_low * b_high + (middle & _LOW)
        high = a_high * b_high + (middle >> _SHIFT) + (middle_low >> _SHIFT)
        low = (middle_low << _SHIFT) | (low_low & _LOW)
        return _reduce(low, high)


def _reduce(low: Words, high: Words) -> Words:
    """low + 2^64 * high mod p: with high = h1 * 2^32 + h0 it is low + h0 * (2^32 - 1) - h1."""
    h0, h1 = high & _LOW, high >> _SHIFT
    difference = np.where(low < h1, low - h1 - _EPSILON, low - h1)  # a borrow owes 2^64
    product = h0 * _EPSILON
    total: Words = difference + product
    total = np.where(total < product, total + _EPSILON, total)
    return np.where(total >= _P, total - _P, total)


def power(a: Words, exponent: int) -> Words:
    """a to a non-negative integer power, by squaring."""
    result = np.ones_like(a)
    square = a
    while exponent:
        if exponent & 1:
            result = mul(result, square)
        square = mul(square, square)
        exponent >>= 1
    return result


def inverse(a: Words) -> Words:
    """1/a element by element, with 0 for 0 (a caller that must not divide by zero checks first)."""
    return power(a, P - 2)


def total(a: Words, axis: int | None = None) -> Words:
    """The sum over an axis (over everything for ``None``), as an array; fewer than 2^32 terms."""
    if axis is None:
        a, axis = a.reshape(-1), 0
    # Half-words add up exactly below 2^32 terms.
    low: Words = np.asarray(np.add.reduce(a & _LOW, axis=axis, dtype=np.uint64))
    high: Words = np.asarray(np.add.reduce(a >> _SHIFT, axis=axis, dtype=np.uint64))
    one = element(1)  # a product reduces any word
    return add(mul(low, one), mul(mul(high, one), element(2**32)))


def root_of_unity(log_order: int) -> int:
    """The fixed primitive 2^log_order-th root: GENERATOR^((p-1) / 2^log_order); 0 <= log_order <= 32."""
    if not 0 <= log_order <= TWO_ADICITY:
        raise ValueError(f"F_p has no subgroup of order 2^{log_order}")
    return pow(GENERATOR, (P - 1) >> log_order, P)


def powers(base: int, count: int) -> Words:
    """1, base, base^2, ...: ``count`` powers, by doubling."""
    result = np.ones(max(count, 1), dtype=np.uint64)
    filled = 1
    while filled < count:
        step = element(pow(base, filled, P))
        take = min(filled, count - filled)
        result[filled : filled + take] = mul(result[:take], step)
        filled += take
    return result[:count]
