# SPDX-License-Identifier: Apache-2.0
"""SOFTMAX: exponentials and a reciprocal in fixed point."""

from typing import Any

from arithmetic import Tensor, away, clamp, high


def saturate(x: int) -> int:
    return clamp(x, -(1 << 31), (1 << 31) - 1)


def exp_negative(a: int) -> int:
    """exp of a <= 0 with 26 fractional bits, as a fraction of 31."""
    if a == 0:
        return (1 << 31) - 1
    rest = (a & (1 << 24) - 1) - (1 << 24)
    x = saturate(rest << 5) + (1 << 28)
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    tail = away(high(away(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + high(1895147668, x + tail)
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for bit, factor in enumerate(factors, start=24):
        if rest - a & 1 << bit:
            result = high(result, factor)
    return result


def reciprocal(a: int) -> int:
    """1 / (1 + a) of a fraction of 31 bits."""
    half = (a + (1 << 31)) >> 1
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        x += saturate(high(x, (1 << 29) - high(half, x)) << 2)
    return saturate(x << 1)


def softmax(a: dict[int, Any], x: Tensor) -> list[int]:
    out = []
    width = x.shape[-1]
    least = -((31 << 26) >> a[1])
    for start in range(0, len(x.items), width):
        row = x.items[start : start + width]
        differences = [value - max(row) for value in row]
        powers = [exp_negative(high(d << a[1], a[0])) if d >= least else 0 for d in differences]
        total = sum(away(power, 12) for power in powers)
        zeros = 32 - total.bit_length()
        scale = reciprocal((total << zeros) - (1 << 31))
        for d, power in zip(differences, powers, strict=True):
            quotient = away(high(power, scale), 12 - zeros + 23) if d >= least else 0
            out.append(clamp(quotient - 128, -128, 127))
    return out
