# SPDX-License-Identifier: Apache-2.0
"""Requantisation as an affine floor: constants that give exactly the integers of the semantics.

A channel's output is a rising step function of its accumulator. The proof needs it as a floor of one affine function:

- *one-sided*: T = D * acc + Q = q * 2^K + rem, 0 <= rem < 2^K, output clamp(q + zero_point);
- *two-sided*: T = h * 2^(K-1) + s * S + rem, 0 <= rem < 2^(K-1), s = [h <= 0], output clamp(floor(h / 2) + zero_point).

Both halves of an accumulator range have their own intercept in the two-sided form (Q above, Q - S below), which is
what ties away from zero need. The constants are *searched*: a step function is a list of thresholds, each threshold is
two points that the line must pass on the right side, and the room between them is a concave function of D.

Everything is exact integer arithmetic; nothing is claimed of the constants but what :func:`solve` has checked at every
reachable threshold, at both ends of the accumulator's range and, two-sided, around the change of sign.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcompute.errors import Rejected
from vcompute.registry import ErrorCode
from vcompute.task.operators import Rounding

Int64 = npt.NDArray[np.int64]

FAR: Final = np.int64(1 << 40)
"""Beyond every accumulator."""
MAX_BITS: Final = 44
"""The greatest K of the first search."""
MOST_BITS: Final = 53
"""The greatest K: the second search has room for slopes of extreme multipliers, and values at it fit 63 bits."""
GREATEST_BITS: Final = 60
"""The greatest K of any constants, rounded up to whole limbs."""
MAX_T: Final = 1 << 62
"""T stays within this, so that equality in the field is equality of integers."""
UNBOUNDED: Final = np.int64((1 << 62) - 1)


@dataclass(frozen=True, slots=True)
class Steps:
    """Rising step functions, one for each channel.

    ``thresholds[c, i]`` is the least accumulator at which channel c's value before the zero point is at least
    ``levels[i]`` (saturated at +-FAR), for the levels above the lower clamp; ``low`` and ``high`` are the accumulator's
    range.
    """

    levels: Int64
    thresholds: Int64
    low: Int64
    high: Int64
    multiplier: Int64
    shift: Int64
    """The real slope of each channel is multiplier * 2^(shift - 31): a candidate for D beside the search's own."""

    @property
    def bottom(self) -> int:
        """The clamped value below the first level."""
        return int(self.levels[0]) - 1

    @property
    def top(self) -> int:
        """The greatest value."""
        return int(self.levels[-1])

    def value(self, accumulator: Int64) -> Int64:
        """The clamped value (before the zero point) of one accumulator for each channel."""
        reached: Int64 = (self.thresholds <= accumulator[:, None]).sum(axis=1)
        return self.bottom + reached


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

    @property
    def remainder_bits(self) -> int:
        """Bits of rem."""
        return self.bits - 1 if self.two_sided else self.bits


def keys_fit(least: int, greatest: int, unit: int) -> bool:
    """Whether T = key * 2^unit + rem in the field is that equation of integers for every key of a table.

    Both sides differ by a multiple of p; |T| + S <= 2^62 + 2^60, so it is 0 where keys stay within 2^63.
    """
    return unit <= GREATEST_BITS and (max(abs(least), abs(greatest)) + 1) << unit <= 1 << 63


def levels_of(zero_point: int, low: int, high: int) -> Int64:
    """The levels above the lower clamp, before the zero point; at least one, so that every function has a step."""
    return np.arange(low - zero_point + 1, max(high - zero_point, low - zero_point + 1) + 1, dtype=np.int64)


def channel_steps(
    multiplier: Int64, shift: Int64, rounding: Rounding, clamp: tuple[int, int, int], low: Int64, high: Int64
) -> Steps:
    """The step functions of per-channel multipliers; ``clamp`` is (zero point, low, high)."""
    levels = levels_of(*clamp)
    multiplier, shift = multiplier.astype(np.int64)[:, None], shift.astype(np.int64)[:, None]
    if rounding is Rounding.DOUBLE:
        numerator, reach = _double_numerators(levels[None, :], shift)
        divisor = multiplier << np.maximum(shift, 0)
    else:
        numerator, reach = _single_numerators(levels[None, :], shift)
        divisor = multiplier
    quotient = -(-numerator // np.maximum(divisor, 1))
    limit = np.where(reach > 0, FAR, np.where(reach < 0, -FAR, np.clip(quotient, -FAR, FAR)))
    constant = np.where(levels[None, :] > 0, FAR, -FAR)  # a multiplier of 0 gives 0
    thresholds = np.where(multiplier == 0, constant, limit)
    if clamp[1] >= clamp[2]:
        thresholds = np.full_like(thresholds, FAR)  # low = high: one value
    return Steps(
        levels, thresholds, low.astype(np.int64), high.astype(np.int64), multiplier[:, 0].copy(), shift[:, 0].copy()
    )


def _double_numerators(levels: Int64, shift: Int64) -> tuple[Int64, Int64]:
    """acc * multiplier * 2^left must reach this for the level; and whether that is beyond (+1, -1) all reach.

    The high product h reaches a level v at v * 2^e - 2^(e-1), one more where v <= 0 (ties away from zero); h reaches n
    where the product reaches n * 2^31 - 2^30.
    """
    right = np.maximum(-shift, 0)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    product = levels << right
    high = product - half + np.where((levels <= 0) & (right > 0), 1, 0)
    reach = np.where(high > 1 << 31, 1, np.where(high < -(1 << 31), -1, 0))
    clipped = np.clip(high, -(1 << 31), 1 << 31)
    return (2 * clipped - 1) << 30, reach


def _single_numerators(levels: Int64, shift: Int64) -> tuple[Int64, Int64]:
    """As :func:`_double_numerators` for one rounding: v is reached at (2v - 1) * 2^(30 - shift)."""
    odd, power = 2 * levels - 1, 30 - shift
    largest = np.int64(1) << np.clip(62 - power, 0, 62)
    reach = np.where(odd > largest, 1, np.where(odd < -largest, -1, 0))
    return np.clip(odd, -largest, largest) << power, reach


def pool_steps(counts: Sequence[int], clamp: tuple[int, int, int], low: int, high: int) -> Steps:
    """The step functions of means of so many values from ``low`` to ``high``, rounded half away from zero."""
    levels, count = levels_of(*clamp), np.array(counts, np.int64)[:, None]
    above = levels * count - count // 2
    below = count // 2 - (1 - levels) * count + 1
    thresholds = np.where(levels > 0, above, below)
    if clamp[1] >= clamp[2]:
        thresholds = np.full_like(thresholds, FAR)
    natural = (1 << 31) // count[:, 0]
    return Steps(levels, thresholds, count[:, 0] * low, count[:, 0] * high, natural, natural * 0)


@dataclass(frozen=True, slots=True)
class _Points:
    """Points the line must reach (lower) or stay below (upper), one row a channel: accumulators from ``low`` on and
    twice the value; ``valid`` marks those that are there.
    """

    at: Int64
    twice: Int64
    valid: npt.NDArray[np.bool_]

    def bound(self, slope: Int64, bits: Int64, greatest: bool) -> tuple[Int64, Int64]:
        """The binding value of value * 2^K - D * at, and where it is."""
        room = (self.twice << (bits - 1)[:, None]) - slope[:, None] * self.at
        room = np.where(self.valid, room, -UNBOUNDED if greatest else UNBOUNDED)
        index = room.argmax(axis=1) if greatest else room.argmin(axis=1)
        rows = np.arange(room.shape[0])
        return room[rows, index], self.at[rows, index]


@dataclass(frozen=True, slots=True)
class _Line:
    """What one line (one intercept) must do."""

    lower: _Points
    upper: _Points


def _points(steps: Steps, at: Int64, twice: Int64, valid: npt.NDArray[np.bool_]) -> _Points:
    return _Points(np.where(valid, at - steps.low[:, None], 0), np.where(valid, twice, 0), valid)


def _lines(steps: Steps, two_sided: bool) -> list[_Line]:
    """The lines of a form and all their points; the constraints of the module's docstring."""
    t, v = steps.thresholds, np.broadcast_to(steps.levels, steps.thresholds.shape)
    reached = (t > steps.low[:, None]) & (t <= steps.high[:, None])
    first, last = steps.value(steps.low)[:, None], steps.value(steps.high)[:, None]
    low, high = steps.low[:, None], steps.high[:, None]
    starts, ends = first > steps.bottom, last < steps.top
    at_lower, value_lower, ok_lower = np.hstack([t, low]), np.hstack([v, first]), np.hstack([reached, starts])
    at_upper, value_upper, ok_upper = np.hstack([t - 1, high]), np.hstack([v, last + 1]), np.hstack([reached, ends])
    if not two_sided:
        return [
            _Line(
                _points(steps, at_lower, 2 * value_lower, ok_lower), _points(steps, at_upper, 2 * value_upper, ok_upper)
            )
        ]
    # The sign: T < 2^(K-1) below the first accumulator of value 0, T - S >= 2^(K-1) from the first of value 1.
    zero, one = _threshold_of(steps, 0)[:, None], _threshold_of(steps, 1)[:, None]
    half = np.ones_like(low)
    positive = _Line(
        _points(steps, at_lower, 2 * value_lower, ok_lower & (value_lower >= 1)),
        _points(
            steps,
            np.hstack([at_upper, np.minimum(zero - 1, high)]),
            np.hstack([2 * value_upper, half]),
            np.hstack([ok_upper & (value_upper >= 1), zero > low]),
        ),
    )
    negative = _Line(
        _points(
            steps,
            np.hstack([at_lower, np.maximum(one, low)]),
            np.hstack([2 * value_lower, half]),
            np.hstack([ok_lower & (value_lower <= 0), one <= high]),
        ),
        _points(steps, at_upper, 2 * value_upper, ok_upper & (value_upper <= 0)),
    )
    return [positive, negative]


def _threshold_of(steps: Steps, level: int) -> Int64:
    """The least accumulator of a value of at least ``level``, FAR where none, -FAR where all."""
    if level <= steps.bottom:
        return np.full(steps.low.shape, -FAR)
    if level > steps.top:
        return np.full(steps.low.shape, FAR)
    column: Int64 = steps.thresholds[:, level - steps.bottom - 1]
    return column


def _room(lines: list[_Line], slope: Int64, bits: Int64) -> tuple[Int64, Int64]:
    """The least number of free intercepts over the lines less one, and the sign of the way to more."""
    least, way = np.full(slope.shape, UNBOUNDED), np.zeros(slope.shape, np.int64)
    for line in lines:
        lower, at_lower = line.lower.bound(slope, bits, greatest=True)
        upper, at_upper = line.upper.bound(slope, bits, greatest=False)
        free = (lower == -UNBOUNDED) | (upper == UNBOUNDED)
        room = np.where(free, UNBOUNDED, upper - lower - 1)
        way = np.where(room < least, at_lower - at_upper, way)
        least = np.minimum(least, room)
    return least, np.sign(way)


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
    unknown = 512.0 if most == MAX_BITS else np.exp2(steps.shift - 30.0) * steps.multiplier
    steepest = np.where(run > 8, (rise + 1) / np.maximum(run - 8, 1), unknown)
    room = 60 - np.ceil(np.log2(np.maximum(steepest * np.maximum(steps.high - steps.low, 1), 1.0))).astype(np.int64)
    bits: Int64 = np.clip(room, 2, most)
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


def _best_slopes(steps: Steps, lines: list[_Line], bits: Int64) -> Int64:
    """For each channel the slope of most room at its K, by bisection: the room is concave in the slope."""
    low, high = _bracket(steps, bits)
    while bool((low < high).any()):
        middle = (low + high) >> 1
        _, way = _room(lines, middle, bits)
        rising, open_ = way > 0, low < high
        low = np.where(open_ & rising, middle + 1, low)
        high = np.where(open_ & ~rising, middle, high)
    return low


def _choose(lines: list[_Line], slope: Int64, bits: Int64) -> list[tuple[Int64, Int64]]:
    """For each line its interval of intercepts (of T at the least accumulator)."""
    intervals = []
    for line in lines:
        lower, _ = line.lower.bound(slope, bits, greatest=True)
        upper, _ = line.upper.bound(slope, bits, greatest=False)
        intervals.append((lower, np.where(upper == UNBOUNDED, UNBOUNDED, upper - 1)))
    return intervals


def _intercepts(lines: list[_Line], slope: Int64, bits: Int64) -> tuple[npt.NDArray[np.bool_], Int64, Int64]:
    """Whether intercepts exist at a slope, and the choice: (T at the least accumulator, S)."""
    intervals = _choose(lines, slope, bits)
    if len(intervals) == 1:
        lower, upper = intervals[0]
        return lower <= upper, np.where(lower == -UNBOUNDED, np.minimum(upper, 0), lower), np.zeros_like(lower)
    (positive_low, positive_high), (negative_low, negative_high) = intervals
    floor = np.maximum(positive_low, negative_low)
    ceiling = np.minimum(positive_high, negative_high)
    common = floor <= ceiling
    same = np.where(floor == -UNBOUNDED, np.minimum(ceiling, 0), floor)
    above = np.where(common, same, positive_low)
    step = np.where(common, 0, positive_low - negative_high)
    possible = (positive_low <= positive_high) & (negative_low <= negative_high)
    return possible & (step >= 0) & (step <= np.int64(1) << (bits - 1)), above, step


@dataclass(frozen=True, slots=True)
class Search:
    """A layer's step functions with the slopes of most room: answers for every K."""

    steps: Steps
    two_sided: bool
    lines: list[_Line]
    slopes: Int64
    fine: Int64
    """The K each channel's slope is for."""
    constant: npt.NDArray[np.bool_]
    most: int
    """The greatest K it looks for."""

    def at(self, bits: int) -> tuple[list[int], ...] | None:
        """(D, T at the least accumulator, S) of each channel at K = ``bits``; None where a channel has none."""
        own = np.minimum(np.int64(bits), self.fine)  # what serves at K serves at K + 1, all constants doubled
        found, slope = self.constant.copy(), np.zeros_like(self.slopes)
        intercept, step = np.where(found, self.steps.value(self.steps.low) << own, 0), np.zeros_like(self.slopes)
        base, natural = self.slopes >> (self.fine - own), _natural(self.steps, own)
        for candidate in (base, base + 1, natural, natural + 1):
            possible, above, jump = _intercepts(self.lines, candidate, own)
            new = possible & ~found
            slope, intercept = np.where(new, candidate, slope), np.where(new, above, intercept)
            step, found = np.where(new, jump, step), found | new
        if not bool(found.all()):
            return None
        scale = [1 << int(more) for more in bits - own]
        return tuple([int(x) * k for x, k in zip(array, scale, strict=True)] for array in (slope, intercept, step))

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


def search(steps: Steps, two_sided: bool, most: int = MAX_BITS) -> Search:
    """Prepare the search for constants of one form."""
    lines = _lines(steps, two_sided)
    constant = steps.value(steps.low) == steps.value(steps.high)
    fine = _fine_bits(steps, most)
    return Search(steps, two_sided, lines, _best_slopes(steps, lines, fine), fine, constant, most)


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
    steps = prepared.steps
    slope, intercept, step = found
    low, high = [int(x) for x in steps.low], [int(x) for x in steps.high]
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
