# SPDX-License-Identifier: Apache-2.0
"""The affine floor of ADD: T = D1 * a + D2 * b + Q over two operands, checked on every pair of them."""

from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from vcompute.errors import Rejected
from vcompute.proof.succinct.requant import MAX_BITS, Floor, Int64
from vcompute.registry import ErrorCode
from vcompute.task import Node
from vcompute.task import operators as ops
from vcompute.task.bounds import Range


@dataclass(frozen=True, slots=True)
class PairSearch:
    """Every pair of operands with its value, and the real slopes times 2^MAX_BITS."""

    a: Int64
    b: Int64
    value: Int64
    """The output less its zero point."""
    bottom: int
    top: int
    slopes: tuple[int, int]
    two_sided: bool

    def intercepts(self, slopes: tuple[int, int], bits: int) -> tuple[int, int] | None:
        """(Q, S) at slopes; None where there are none."""
        t = slopes[0] * self.a + slopes[1] * self.b
        reach, stay = (self.value << bits) - t, ((self.value + 1) << bits) - t
        raised, capped = self.value > self.bottom, self.value < self.top
        if not self.two_sided:
            low, high = _interval(reach[raised], stay[capped] - 1)
            return (low, 0) if low <= high else None
        above, below = self.value >= 1, self.value <= 0
        half = np.int64(1) << (bits - 1)
        # The line above has T < 2^(K-1) where the value is negative, the line below T - S >= 2^(K-1) where positive.
        positive = _interval(
            reach[raised & above],
            np.concatenate([stay[capped & (self.value >= 0)] - 1, (half - 1 - t)[self.value < 0]]),
        )
        negative = _interval(
            np.concatenate([reach[raised & below], (half - t)[above]]), stay[capped & (self.value < 0)] - 1
        )
        floor, ceiling = max(positive[0], negative[0]), min(positive[1], negative[1])
        if floor <= ceiling:
            return floor, 0
        step = positive[0] - negative[1]
        possible = positive[0] <= positive[1] and negative[0] <= negative[1] and 0 <= step <= int(half)
        return (positive[0], step) if possible else None

    def at(self, bits: int) -> tuple[tuple[int, int], int, int] | None:
        """(slopes, Q, S) at K = ``bits``."""
        base = tuple(slope >> (MAX_BITS - bits) for slope in self.slopes)
        for da in (0, 1):
            for db in (0, 1):
                slopes = (base[0] + da, base[1] + db)
                found = self.intercepts(slopes, bits)
                if found is not None:
                    return slopes, *found
        return None

    def least_bits(self) -> int | None:
        """The least K from which on the search finds constants up to MAX_BITS - 4, from below."""
        return next((bits for bits in range(8, MAX_BITS - 3) if self.at(bits) is not None), None)


def _interval(lower: Int64, upper: Int64) -> tuple[int, int]:
    return int(lower.max(initial=-(1 << 61))), int(upper.min(initial=1 << 61))


def pair_search(table: Int64, node: Node, ranges: list[Range]) -> tuple[PairSearch, int]:
    """The constants' search for an ADD whose output for (a, b) is ``table[a + 128, b + 128]``.

    Raises:
        Rejected: suite_unsupported_model.
    """
    operator = node.operator
    if not isinstance(operator, ops.Add):
        raise Rejected("not an ADD", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    a, b = np.meshgrid(
        np.arange(ranges[0].low, ranges[0].high + 1), np.arange(ranges[1].low, ranges[1].high + 1), indexing="ij"
    )
    value = table[a + 128, b + 128] - node.output.zero_point
    scale = Fraction(operator.out.multiplier) * Fraction(2) ** (operator.out.shift - 31 + 20)
    slopes = tuple(
        int(Fraction(side.multiplier) * Fraction(2) ** (side.shift - 31 + MAX_BITS) * scale)
        for side in (operator.a, operator.b)
    )
    bottom, top = operator.low - node.output.zero_point, operator.high - node.output.zero_point
    for two_sided in (False, True):
        prepared = PairSearch(a.ravel(), b.ravel(), value.ravel(), bottom, top, (slopes[0], slopes[1]), two_sided)
        bits = prepared.least_bits()
        if bits is not None:
            return prepared, bits
    raise Rejected("add: no constants", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)


def solve_pair(prepared: PairSearch, bits: int) -> Floor:
    """The constants at K = ``bits``: slopes (D1, D2).

    Raises:
        Rejected: suite_unsupported_model.
    """
    found = prepared.at(bits)
    if found is None:
        raise Rejected("add: no constants of this size", code=ErrorCode.SUITE_UNSUPPORTED_MODEL, got=f"K = {bits}")
    slopes, offset, step = found
    t = slopes[0] * prepared.a + slopes[1] * prepared.b + offset
    unit = bits - 1 if prepared.two_sided else bits
    least, greatest = int(t.min() - step) >> unit, int(t.max()) >> unit
    return Floor(bits, prepared.two_sided, slopes, (offset,), (step,), least, greatest)
