# SPDX-License-Identifier: Apache-2.0
"""One element of the extension as a Python value: the arithmetic verifiers are written in.

Slow and plain: Python integers, operators, immutable values. Arrays belong to :mod:`vcompute.field.extension`.
"""

from collections.abc import Iterable, Sequence
from typing import Final

import numpy as np

from vcompute.field.extension import NON_RESIDUE, ExtWords
from vcompute.field.goldilocks import P


class Ext:
    """c0 + c1 * x in F_p[x]/(x^2 - 7). Integers mix in as base elements; division by zero raises ZeroDivisionError."""

    __slots__ = ("c0", "c1")

    c0: int
    c1: int

    def __init__(self, c0: int, c1: int = 0) -> None:
        _set_c0(self, c0 % P)
        _set_c1(self, c1 % P)

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(f"an element is immutable: cannot set {name}")

    def __add__(self, other: "Ext | int") -> "Ext":
        b = other if type(other) is Ext else _coerce(other)
        return Ext(self.c0 + b.c0, self.c1 + b.c1)

    def __sub__(self, other: "Ext | int") -> "Ext":
        b = other if type(other) is Ext else _coerce(other)
        return Ext(self.c0 - b.c0, self.c1 - b.c1)

    def __mul__(self, other: "Ext | int") -> "Ext":
        if type(other) is int:
            return Ext(self.c0 * other, self.c1 * other)
        b = other if type(other) is Ext else _coerce(other)
        a0, a1, b0, b1 = self.c0, self.c1, b.c0, b.c1
        return Ext(a0 * b0 + NON_RESIDUE * a1 * b1, a0 * b1 + a1 * b0)

    def __neg__(self) -> "Ext":
        return Ext(-self.c0, -self.c1)

    def __radd__(self, other: int) -> "Ext":
        return self + other

    def __rsub__(self, other: int) -> "Ext":
        return Ext(other) - self

    def __rmul__(self, other: int) -> "Ext":
        return self * other

    def __pow__(self, exponent: int) -> "Ext":
        if exponent < 0:
            return self.inverse() ** -exponent
        result, square = ONE, self
        while exponent:
            if exponent & 1:
                result = result * square
            square = square * square
            exponent >>= 1
        return result

    def __truediv__(self, other: "Ext | int") -> "Ext":
        return self * _coerce(other).inverse()

    def inverse(self) -> "Ext":
        """1/self.

        Raises:
            ZeroDivisionError: self is zero.
        """
        norm = (self.c0 * self.c0 - NON_RESIDUE * self.c1 * self.c1) % P
        if norm == 0:  # 7 is no square, so only zero has norm zero
            raise ZeroDivisionError("zero has no inverse")
        scale = pow(norm, -1, P)
        return Ext(self.c0 * scale, -self.c1 * scale)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, int):
            return self.c0 == other % P and self.c1 == 0
        if isinstance(other, Ext):
            return self.c0 == other.c0 and self.c1 == other.c1
        return NotImplemented

    def __hash__(self) -> int:
        return hash((self.c0, self.c1))

    def __repr__(self) -> str:
        return f"Ext({self.c0}, {self.c1})"


# How the constructor, called thousands of times for a proof, gets past __setattr__: half the time of object's.
_set_c0: Final = Ext.__dict__["c0"].__set__
_set_c1: Final = Ext.__dict__["c1"].__set__

ZERO: Final = Ext(0)
ONE: Final = Ext(1)


def _coerce(value: Ext | int) -> Ext:
    return value if isinstance(value, Ext) else Ext(value)


def to_array(values: Iterable[Ext]) -> ExtWords:
    """Elements as an array of shape (n, 2)."""
    given = list(values)
    result = np.empty((len(given), 2), np.uint64)
    for place, value in enumerate(given):  # mostly one or two: numpy looks longer at a list than this takes
        result[place, 0], result[place, 1] = value.c0, value.c1
    return result


def from_array(elements: ExtWords) -> list[Ext]:
    """The elements of an array of shape (n, 2)."""
    return [Ext(c0, c1) for c0, c1 in elements.reshape(-1, 2).tolist()]


def eq(left: Sequence[Ext], right: Sequence[Ext]) -> Ext:
    """eq(x, y), the product over the variables of x_k*y_k + (1 - x_k)*(1 - y_k).

    Preconditions: equally many variables (ValueError otherwise).
    """
    result = ONE
    for x, y in zip(left, right, strict=True):
        product = x * y
        result = result * (ONE - x - y + product + product)
    return result


def eq_index(index: int, point: Sequence[Ext]) -> Ext:
    """eq of a corner of the cube, given by its index (variable 0 is the most significant bit), and a point."""
    result = ONE
    for place, r in enumerate(point, 1 - len(point)):
        result = result * (r if index >> -place & 1 else ONE - r)
    return result


def evaluate(values: Sequence[Ext], point: Sequence[Ext]) -> Ext:
    """The multilinear extension of 2^n values at a point of n coordinates, variable 0 the most significant bit."""
    if len(values) != 1 << len(point):
        raise ValueError(f"{len(values)} values do not fill a cube of {len(point)} variables")
    table = list(values)
    for r in point:
        half = len(table) // 2
        table = [table[i] + r * (table[half + i] - table[i]) for i in range(half)]
    return table[0]


def interpolate(values: Sequence[Ext], x: Ext) -> Ext:
    """The polynomial with the given values at 0, 1, ..., d, at x (Lagrange; d is small)."""
    result = ZERO
    for i, value in enumerate(values):
        numerator, denominator = value, 1
        for j in range(len(values)):
            if j != i:
                numerator = numerator * (x - j)
                denominator = denominator * (i - j) % P
        result = result + numerator * pow(denominator, -1, P)
    return result
