# SPDX-License-Identifier: Apache-2.0
"""Requantisation as an affine floor: constants that give exactly the integers of the semantics.

A channel's output is a rising step function of its accumulator. The proof needs it as a floor of one affine function:

- *one-sided*: T = D * acc + Q = q * 2^K + rem, 0 <= rem < 2^K, output clamp(q + zero_point);
- *two-sided*: T = h * 2^(K-1) + s * S + rem, 0 <= rem < 2^(K-1), s = [h <= 0], output clamp(floor(h / 2) + zero_point);
- *divided*: either with a divisor M of the channel's own in place of that power of two (see :mod:`divisors`).

Both halves of an accumulator range have their own intercept in the two-sided form (Q above, Q - S below), which is
what ties away from zero need. The constants are *searched*: a step function is a list of thresholds, each threshold is
two points that the line must pass on the right side, and the room between them is a concave function of D.

Everything is exact integer arithmetic; nothing is claimed of the constants but what :func:`solve` has checked at every
reachable threshold, at both ends of the accumulator's range and, two-sided, around the change of sign.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute.errors import Rejected
from vcompute.proof.succinct.lines import Lines, NumpyLines
from vcompute.proof.succinct.lines_native import NativeLines
from vcompute.proof.succinct.steps import Int64, Steps
from vcompute.registry import ErrorCode

MAX_BITS: Final = 44
"""The greatest K of the first search."""
MOST_BITS: Final = 53
"""The greatest K: the second search has room for slopes of extreme multipliers, and values at it fit 63 bits."""
GREATEST_BITS: Final = 60
"""The greatest K of any constants, rounded up to whole limbs."""
MAX_T: Final = 1 << 62
"""T stays within this, so that equality in the field is equality of integers."""


@dataclass(frozen=True, slots=True)
class Floor:
    """The constants of an affine floor, one D, Q and S for each channel.

    ``offset`` and ``step`` are lists of Python integers: an offset alone can be larger than 64 bits.
    """

    bits: int
    """K"""
    two_sided: bool
    slope: tuple[int, ...]
    offset: tuple[int, ...]
    step: tuple[int, ...]
    least: int
    """The least quotient (q, or h) over all accumulators."""
    greatest: int
    divisors: tuple[int, ...] = ()
    """M of each channel, at most 2^(bits of rem), where the form is divided."""

    @property
    def remainder_bits(self) -> int:
        """Bits of rem."""
        return self.bits - 1 if self.two_sided else self.bits

    def gaps(self, width: int) -> tuple[int, ...]:
        """What a divided channel's highest limb, of ``width`` bits, is short of 2^width at least: rem < M says that the
        limb and this stay below 2^width.
        """
        shift = self.remainder_bits - width
        return tuple((1 << width) - (divisor >> shift) for divisor in self.divisors)


def keys_fit(least: int, greatest: int, unit: int) -> bool:
    """Whether T = key * 2^unit + rem in the field is that equation of integers for every key of a table.

    Both sides differ by a multiple of p; |T| + S <= 2^62 + 2^60, so it is 0 where keys stay within 2^63.
    """
    return unit <= GREATEST_BITS and (max(abs(least), abs(greatest)) + 1) << unit <= 1 << 63


def _secants(steps: Steps) -> tuple[Int64, Int64, npt.NDArray[np.bool_]]:
    """Rise and run between the first and last reached thresholds, and whether there is any."""
    t = steps.thresholds
    reached = (t > steps.low[:, None]) & (t <= steps.high[:, None])
    rows = np.arange(t.shape[0])
    first, last = reached.argmax(axis=1), t.shape[1] - 1 - reached[:, ::-1].argmax(axis=1)
    rise: Int64 = (last - first).astype(np.int64)
    run: Int64 = t[rows, last] - t[rows, first]
    return rise, run, np.asarray(reached.any(axis=1))


def _fine_bits(steps: Steps, most: int) -> Int64:
    """For each channel the K its slope is searched at: as fine as T's bound admits."""
    rise, run, _ = _secants(steps)
    # Few accumulators between thresholds say little about the slope; the second search trusts the real one.
    unknown = 512.0 if most == MAX_BITS else np.ldexp(steps.multiplier.astype(np.float64), steps.shift - 30)
    steepest = np.where(run > 8, (rise + 1) / np.maximum(run - 8, 1), unknown)
    # The least power of two that is not below: read off the binary64 itself, so that no mathematical library decides.
    mantissa, exponent = np.frexp(np.maximum(steepest * np.maximum(steps.high - steps.low, 1), 1.0))
    bits: Int64 = np.clip(60 - (exponent.astype(np.int64) - (mantissa == 0.5)), 2, most)
    return bits


def _bracket(steps: Steps, bits: Int64) -> tuple[Int64, Int64]:
    """Slopes between which the best one lies: the secants of the first and last reached thresholds, loosened by what
    an accumulator more or less at both ends (and two intercepts) can change.
    """
    rise, run, reached = _secants(steps)
    steep = np.where(run > 8, ((rise + 1) << bits) // np.maximum(run - 8, 1) + 1, np.int64(512) << bits)
    flat = np.where(run > 8, (np.maximum(rise - 1, 0) << bits) // (run + 8), 0)
    high = np.where(reached, steep, 0)
    return np.minimum(flat, high), high


@dataclass(frozen=True, slots=True)
class Search:
    """A layer's step functions with the slopes of most room: answers for every K."""

    steps: Steps
    two_sided: bool
    lines: Lines
    slopes: Int64
    fine: Int64
    """The K each channel's slope is for."""
    bottom: Int64
    """The value at the least accumulator."""
    constant: npt.NDArray[np.bool_]
    most: int
    """The greatest K it looks for."""

    def at(self, bits: int) -> tuple[Int64, Int64, Int64, Int64] | None:
        """(D, T at the least accumulator, S) of each channel and the K they are for, at most ``bits``; None where a
        channel has none. What serves at K serves at K + 1, all constants doubled.
        """
        own = np.minimum(np.int64(bits), self.fine)
        found, slope = self.constant.copy(), np.zeros_like(self.slopes)
        intercept, step = np.where(found, self.bottom << own, 0), np.zeros_like(self.slopes)
        base, natural = self.slopes >> (self.fine - own), _natural(self.steps, own)
        for candidate in (base, base + 1, natural, natural + 1):
            possible, above, jump = self.lines.intercepts(candidate, np.int64(1) << (own - 1))
            new = possible & ~found
            slope, intercept = np.where(new, candidate, slope), np.where(new, above, intercept)
            step, found = np.where(new, jump, step), found | new
            if bool(found.all()):
                return slope, intercept, step, own
        return None

    def least_bits(self) -> int | None:
        """The least K that serves all channels; None where ``most`` does not. What K serves, K + 1 serves."""
        if self.at(self.most) is None:
            return None
        low, high = 2, self.most
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if self.at(middle) is not None else (middle + 1, high)
        return low


def _natural(steps: Steps, bits: Int64) -> Int64:
    """The real slopes times 2^K, rounded down."""
    place = bits + steps.shift - 31
    real = np.where(place >= 0, steps.multiplier << np.clip(place, 0, 31), steps.multiplier >> np.clip(-place, 0, 62))
    bounded: Int64 = np.minimum(real, MAX_T // 4 // np.maximum(steps.high - steps.low, 1))
    return bounded


def search(steps: Steps, two_sided: bool, most: int = MAX_BITS, native: bool = _native.available()) -> Search:
    """Prepare the search for constants of one form; natively, or by the readable twin: the same constants."""
    bottom = steps.value(steps.low)
    fine = _fine_bits(steps, most)
    low, high = _bracket(steps, fine)
    lines: Lines = NativeLines(steps, two_sided, fine, high) if native else NumpyLines(steps, two_sided)
    constant = bottom == steps.value(steps.high)
    return Search(steps, two_sided, lines, lines.best_slopes(fine, low, high), fine, bottom, constant, most)


def solve(prepared: Search, bits: int) -> Floor:
    """The constants at K = ``bits``.

    Raises:
        Rejected: suite_unsupported_model, where there are none or T leaves its bound.
    """
    found = prepared.at(bits)
    if found is None:
        raise Rejected(
            "no requantisation constants of this size", code=ErrorCode.SUITE_UNSUPPORTED_MODEL, got=f"K = {bits}"
        )
    scale = [1 << more for more in (bits - found[3]).tolist()]
    slope, intercept, step = ([x * k for x, k in zip(array.tolist(), scale, strict=True)] for array in found[:3])
    low, high = prepared.steps.low.tolist(), prepared.steps.high.tolist()
    tops = [d * (b - a) + t for d, t, a, b in zip(slope, intercept, low, high, strict=True)]
    bottoms = [t - s for t, s in zip(intercept, step, strict=True)]
    if max(map(abs, tops + bottoms)) > MAX_T:
        raise Rejected("a requantisation leaves 62 bits", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    if prepared.two_sided:
        least, greatest = min(b >> (bits - 1) for b in bottoms), max(t >> (bits - 1) for t in tops)
    else:
        least, greatest = min(t >> bits for t in bottoms), max(t >> bits for t in tops)
    offset = tuple(t - d * a for t, d, a in zip(intercept, slope, low, strict=True))
    return Floor(bits, prepared.two_sided, tuple(slope), offset, tuple(step), least, greatest)
