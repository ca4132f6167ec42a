# SPDX-License-Identifier: Apache-2.0
"""The affine floor of ADD: T = D1 * a + D2 * b + Q over two operands, checked on every pair of them."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np

from vcompute import _native
from vcompute.errors import Rejected
from vcompute.proof.succinct.requant import MAX_BITS, MAX_T, Floor
from vcompute.proof.succinct.steps import Int64
from vcompute.registry import ErrorCode
from vcompute.task import Node
from vcompute.task import operators as ops
from vcompute.task.bounds import Range

LEAST_BITS: Final = 8
"""The least K that is looked for."""
MOST_SLOPE: Final = 1 << 53
"""Slopes stay below this, so that the sums over both operands stay within 62 bits."""


@dataclass(frozen=True, slots=True)
class Corners:
    """Of each value the pairs of operands among which every D1 * a + D2 * b (D2 >= 0) is least, or greatest."""

    a: Int64
    b: Int64
    starts: Int64
    """Where a value's pairs begin; ascending values."""

    def extremes(self, slopes: tuple[int, int], extreme: np.ufunc) -> Int64:
        """The least (``np.minimum``) or greatest D1 * a + D2 * b for each value."""
        found: Int64 = extreme.reduceat(slopes[0] * self.a + slopes[1] * self.b, self.starts)
        return found


def every_corner(value: Int64, low: tuple[int, int]) -> Corners:
    """All pairs; ``value[i, j]`` is that of (low[0] + i, low[1] + j). The readable twin of :func:`native_corners`."""
    order = np.argsort(value, axis=None, kind="stable")
    a, b = np.unravel_index(order, value.shape)
    return Corners(a + low[0], b + low[1], np.unique(value.ravel()[order], return_index=True)[1])


def native_corners(value: Int64, low: tuple[int, int], greatest: bool) -> Corners:
    """The corners of the hull of each value's pairs alone."""
    table, first = np.ascontiguousarray(value), int(value.min())
    values, rows = int(value.max()) - first + 1, value.shape[0]
    ends, scratch = np.empty(values, np.uint64), np.empty(values * rows, np.int32)
    a, b = np.empty((2, values * rows), np.int64)
    pointers = [_native.ffi.from_buffer("int64_t[]", array) for array in (a, b, table)]
    _native.lib.vc_pair_corners(
        _native.ffi.from_buffer("uint64_t[]", ends), *pointers, rows, value.shape[1], first, values, greatest,
        _native.ffi.from_buffer("int32_t[]", scratch),
    )  # fmt: skip
    starts = np.concatenate([[0], ends[:-1]]).astype(np.int64)
    used = int(ends[-1])
    return Corners(a[:used] + low[0], b[:used] + low[1], starts[starts < ends])


@dataclass(frozen=True, slots=True)
class PairSearch:
    """The values of an ADD with the pairs of operands that bind them, and the real slopes times 2^MAX_BITS."""

    values: Int64
    """Every value that the output less its zero point takes; ascending."""
    least: Corners
    greatest: Corners
    bottom: int
    top: int
    slopes: tuple[int, int]
    two_sided: bool

    def bounds(self, slopes: tuple[int, int]) -> tuple[Int64, Int64]:
        """The least and greatest D1 * a + D2 * b for each value."""
        return self.least.extremes(slopes, np.minimum), self.greatest.extremes(slopes, np.maximum)

    def intercepts(self, slopes: tuple[int, int], bits: int) -> tuple[int, int] | None:
        """(Q, S) at slopes; None where there are none."""
        least, greatest = self.bounds(slopes)
        reach, stay = (self.values << bits) - least, ((self.values + 1) << bits) - greatest
        raised, capped = self.values > self.bottom, self.values < self.top
        if not self.two_sided:
            low, high = _interval(reach[raised], stay[capped] - 1)
            if not raised.any():  # all at the lower clamp: any low enough Q would do
                low = min(high, 0)
            return (low, 0) if low <= high else None
        above, below = self.values >= 1, self.values <= 0
        half = np.int64(1) << (bits - 1)
        # The line above has T < 2^(K-1) where the value is negative, the line below T - S >= 2^(K-1) where positive.
        positive = _interval(
            reach[raised & above],
            np.concatenate([stay[capped & (self.values >= 0)] - 1, (half - 1 - greatest)[self.values < 0]]),
        )
        negative = _interval(
            np.concatenate([reach[raised & below], (half - least)[above]]), stay[capped & (self.values < 0)] - 1
        )
        floor, ceiling = max(positive[0], negative[0]), min(positive[1], negative[1])
        if floor <= ceiling:
            return floor, 0
        step = positive[0] - negative[1]
        possible = positive[0] <= positive[1] and negative[0] <= negative[1] and 0 <= step <= int(half)
        return (positive[0], step) if possible else None

    def at(self, bits: int) -> tuple[tuple[int, int], int, int] | None:
        """(slopes, Q, S) at K = ``bits``: where rounded slopes give none, those of a lower K, doubled as often."""
        base = tuple(slope >> (MAX_BITS - bits) for slope in self.slopes)
        if max(base) >= MOST_SLOPE:
            return None
        for da in (0, 1):
            for db in (0, 1):
                slopes = (base[0] + da, base[1] + db)
                found = self.intercepts(slopes, bits)
                if found is not None:
                    return slopes, *found
        lower = self.at(bits - 1) if bits > LEAST_BITS else None
        return lower and ((2 * lower[0][0], 2 * lower[0][1]), 2 * lower[1], 2 * lower[2])

    def least_bits(self) -> int | None:
        """The least K from which on the search finds constants up to MAX_BITS - 4, from below."""
        return next((bits for bits in range(LEAST_BITS, MAX_BITS - 3) if self.at(bits) is not None), None)


def _interval(lower: Int64, upper: Int64) -> tuple[int, int]:
    return int(lower.max(initial=-(1 << 61))), int(upper.min(initial=1 << 61))


def pair_search(
    table: Int64, node: Node, ranges: list[Range], native: bool = _native.available()
) -> tuple[PairSearch, int]:
    """The constants' search for an ADD whose output for (a, b) is ``table[a + 128, b + 128]``; natively, or by the
    readable twin: the same constants.

    Raises:
        Rejected: suite_unsupported_model.
    """
    operator = node.operator
    if not isinstance(operator, ops.Add):
        raise Rejected("not an ADD", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    rows, columns = (slice(known.low + 128, known.high + 129) for known in ranges)
    value, low = table[rows, columns] - node.output.zero_point, (ranges[0].low, ranges[1].low)
    if native:
        least, greatest = (native_corners(value, low, end) for end in (False, True))
    else:
        least = greatest = every_corner(value, low)
    values = np.flatnonzero(np.bincount(value.ravel() - value.min())) + value.min()
    scale = Fraction(operator.out.multiplier) * Fraction(2) ** (operator.out.shift - 31 + 20)
    slopes = tuple(
        int(Fraction(side.multiplier) * Fraction(2) ** (side.shift - 31 + MAX_BITS) * scale)
        for side in (operator.a, operator.b)
    )
    bottom, top = operator.low - node.output.zero_point, operator.high - node.output.zero_point
    for two_sided in (False, True):
        prepared = PairSearch(values, least, greatest, bottom, top, (slopes[0], slopes[1]), two_sided)
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
    least, greatest = prepared.bounds(slopes)
    bottom, top = int(least.min()) + offset - step, int(greatest.max()) + offset
    if max(abs(bottom), abs(top)) > MAX_T:
        raise Rejected("add: a requantisation leaves 62 bits", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    unit = bits - 1 if prepared.two_sided else bits
    return Floor(bits, prepared.two_sided, slopes, (offset,), (step,), bottom >> unit, top >> unit)
