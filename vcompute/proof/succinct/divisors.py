# SPDX-License-Identifier: Apache-2.0
"""Floors with a divisor for each channel: one that need not be a power of two can be small, and so can a remainder.

The real slopes that give a channel's step function are an open interval (:meth:`Lines.slope_ranges`), and every
fraction D / M within it has an intercept: what Q must reach, and what it must stay below, are integers, and the one is
less than the other (two-sided, S as well). So the least divisor m * 2^shift is that of the simplest fraction within the
interval times 2^shift. A power of two must be far larger, since one is to have a fraction within every channel's
interval.

Slopes are kept within the octaves around the real one: where few thresholds are reached, a much steeper line would do
too, and its quotients would want a long table.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np

from vcompute import _native
from vcompute.proof.succinct.requant import Floor, Search
from vcompute.proof.succinct.steps import Int64

MAX_T: Final = 1 << 50
"""|T| stays within this, so that a quotient by way of binary64 is off by one at most."""
OCTAVES: Final = range(-30, 20)
"""The exponents e of real slopes, 2^(e-1) <= slope < 2^e, that are looked at."""
MOST_SHIFT: Final = 30


@dataclass(frozen=True, slots=True)
class Divisors:
    """The divisors of one layer's channels."""

    search: Search
    ranges: Int64
    """For each channel (a, b, c, d): slopes between a/b and c/d, in units of T an accumulator."""
    narrow: bool
    """Whether some channel has no slope at all."""

    def least(self, shift: int) -> tuple[Int64, Int64] | None:
        """(D, m) of each channel with the least divisor m * 2^shift; None where a channel has none."""
        if self.narrow or shift > MOST_SHIFT:
            return None
        ranges = self.ranges.copy()
        ranges[:, 0] <<= shift
        ranges[:, 2] <<= shift
        slope, divisor = simplest_fractions(ranges)
        constant = self.search.constant
        return np.where(constant, 0, slope), np.where(constant, 1, divisor)

    def floor(self, width: int, limbs: int) -> Floor | None:
        """The constants with divisors m * 2^shift whose m is a limb, or one more than the greatest; None where some
        channel has none, or T leaves its bound.
        """
        shift = width * (limbs - 1)
        found = self.least(shift)
        if found is None or int(found[1].max()) > 1 << width:
            return None
        prepared, (slope, high) = self.search, found
        divisor = high << shift
        run = prepared.steps.high - prepared.steps.low
        if max((d * r for d, r in zip(slope.tolist(), run.tolist(), strict=True)), default=0) > MAX_T:
            return None
        chosen = self._intercepts(slope, divisor)
        if chosen is None:
            return None
        intercept, step = chosen
        tops, bottoms = slope * run + intercept, intercept - step
        if max(int(np.abs(tops).max()), int(np.abs(bottoms).max())) > MAX_T:
            return None
        offset = intercept - slope * prepared.steps.low
        least, greatest = int((bottoms // divisor).min()), int((tops // divisor).max())
        d, q, s, m = (tuple(array.tolist()) for array in (slope, offset, step, divisor))
        return Floor(width * limbs + prepared.two_sided, prepared.two_sided, d, q, s, least, greatest, m)

    def _intercepts(self, slope: Int64, divisor: Int64) -> tuple[Int64, Int64] | None:
        """T at the least accumulator, and S; None where a channel has none."""
        prepared = self.search
        if prepared.two_sided:
            possible, intercept, step = prepared.lines.intercepts(slope, divisor)
            whole = 2 * prepared.bottom * divisor
        else:  # of 2 T, so that half a value is an integer
            possible, intercept, step = prepared.lines.intercepts(2 * slope, divisor)
            intercept, whole = intercept >> 1, prepared.bottom * divisor
        constant = prepared.constant
        if not bool((possible | constant).all()):
            return None
        return np.where(constant, whole, intercept), np.where(constant, 0, step)


def find_divisors(prepared: Search) -> Divisors:
    """What the divisors of a layer are found by."""
    steps = prepared.steps
    ranges = prepared.lines.slope_ranges()
    if not prepared.two_sided:  # from half values to values
        ranges[:, 1] *= 2
        ranges[:, 3] *= 2
    multiplier = np.maximum(steps.multiplier, 1)
    octave = np.frexp(multiplier.astype(np.float64))[1].astype(np.int64) + steps.shift - 31 + int(prepared.two_sided)
    inside = (octave >= OCTAVES.start) & (octave < OCTAVES.stop)
    octave = np.clip(octave, OCTAVES.start, OCTAVES.stop)
    ranges = _within(ranges, octave - 2, octave + 1)
    open_ = inside & (ranges[:, 0] * ranges[:, 3] < ranges[:, 2] * ranges[:, 1])
    ranges = np.where(prepared.constant[:, None], np.array([0, 1, 1, 0]), ranges)
    return Divisors(prepared, ranges, not bool((open_ | prepared.constant).all()))


def _within(ranges: Int64, low: Int64, high: Int64) -> Int64:
    """The part of each interval between 2^low and 2^high."""
    least = np.stack([np.int64(1) << np.maximum(low, 0), np.int64(1) << np.maximum(-low, 0)], axis=1)
    greatest = np.stack([np.int64(1) << np.maximum(high, 0), np.int64(1) << np.maximum(-high, 0)], axis=1)
    flat = ranges[:, 0] * least[:, 1] < least[:, 0] * ranges[:, 1]
    steep = greatest[:, 0] * ranges[:, 3] < ranges[:, 2] * greatest[:, 1]
    return np.hstack([np.where(flat[:, None], least, ranges[:, :2]), np.where(steep[:, None], greatest, ranges[:, 2:])])


def simplest_fractions(ranges: Int64, native: bool = _native.available()) -> tuple[Int64, Int64]:
    """Numerators and denominators of the fractions of least denominator strictly between a/b and c/d, for each row
    (a, b, c, d); 0 <= a/b < c/d, and d may be 0.
    """
    if native:
        numerators, denominators = (np.empty(ranges.shape[0], np.int64) for _ in range(2))
        words = (
            _native.ffi.from_buffer("int64_t[]", x) for x in (numerators, denominators, np.ascontiguousarray(ranges))
        )
        _native.lib.vc_simplest_fractions(*words, ranges.shape[0])
        return numerators, denominators
    found = np.array([_simplest(*row) for row in ranges.tolist()], np.int64).reshape(-1, 2)
    return found[:, 0], found[:, 1]


def _simplest(a: int, b: int, c: int, d: int) -> tuple[int, int]:
    """By continued fractions: where no whole number lies between, all that does is whole + 1 / y, and the simplest y
    gives the simplest.
    """
    whole = a // b
    if (whole + 1) * d < c:
        return whole + 1, 1
    numerator, denominator = _simplest(d, c - whole * d, b, a - whole * b)
    return whole * numerator + denominator, numerator
