# SPDX-License-Identifier: Apache-2.0
"""The field, its extension, and tables on the cube."""

from collections.abc import Sequence

P = 2**64 - 2**32 + 1
Element = tuple[int, int]
ZERO: Element = (0, 0)
ONE: Element = (1, 0)


class Refused(Exception):
    """The proof does not convince."""


def demand(holds: bool, why: str) -> None:
    if not holds:
        raise Refused(why)


def add(*items: Element) -> Element:
    return sum(x[0] for x in items) % P, sum(x[1] for x in items) % P


def sub(a: Element, b: Element) -> Element:
    return (a[0] - b[0]) % P, (a[1] - b[1]) % P


def mul(a: Element, b: Element, *others: Element) -> Element:
    product = (a[0] * b[0] + 7 * a[1] * b[1]) % P, (a[0] * b[1] + a[1] * b[0]) % P
    return mul(product, *others) if others else product


def scale(a: Element, number: int) -> Element:
    return a[0] * number % P, a[1] * number % P


def inverse(a: Element) -> Element:
    norm = pow(a[0] * a[0] - 7 * a[1] * a[1], -1, P)
    return a[0] * norm % P, -a[1] * norm % P


def dot(left: Sequence[Element], right: Sequence[Element]) -> Element:
    return add(ZERO, *(mul(a, b) for a, b in zip(left, right, strict=True)))


def weigh(vector: Sequence[Element], numbers: Sequence[int]) -> Element:
    """The sum of integers by their weights."""
    pairs = list(zip(vector, numbers, strict=True))
    return sum(weight[0] * x for weight, x in pairs) % P, sum(weight[1] * x for weight, x in pairs) % P


def eq_table(point: Sequence[Element]) -> list[Element]:
    """eq(point, i) for every i, the first coordinate most significant."""
    table = [ONE]
    for r in point:
        high = [mul(entry, r) for entry in table]
        table = [half for entry, one in zip(table, high, strict=True) for half in (sub(entry, one), one)]
    return table


def eq_bits(number: int, point: Sequence[Element]) -> Element:
    """eq of a point and the bits of a number, the first coordinate most significant."""
    result = ONE
    for place, r in enumerate(reversed(point)):
        result = mul(result, r if number >> place & 1 else sub(ONE, r))
    return result


def bits_of(size: int) -> int:
    return (size - 1).bit_length()
