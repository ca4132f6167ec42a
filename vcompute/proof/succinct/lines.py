# SPDX-License-Identifier: Apache-2.0
"""The lines that constants are searched for: points they must reach and points they must stay below."""

from dataclasses import dataclass
from typing import Final, Protocol

import numpy as np
import numpy.typing as npt

from vcompute.proof.succinct.steps import FAR, Int64, Steps

UNBOUNDED: Final = np.int64((1 << 62) - 1)


class Lines(Protocol):
    """The one line (one-sided) or two lines (two-sided: above and below zero) of every channel of a layer."""

    def best_slopes(self, bits: Int64, low: Int64, high: Int64) -> Int64:
        """For each channel the slope of most room at K = ``bits``, between low and high."""
        ...

    def intercepts(self, slope: Int64, half: Int64) -> tuple[npt.NDArray[np.bool_], Int64, Int64]:
        """Whether intercepts exist at a slope, where T rises by 2 ``half`` from a value to the next, and the choice:
        (T at the least accumulator, S).
        """
        ...

    def slope_ranges(self) -> Int64:
        """For each channel the open interval of the real slopes, in half values an accumulator, that its points admit:
        (a, b, c, d) for a/b < slope < c/d; 0/1 and 1/0 where they bound nothing.
        """
        ...


@dataclass(frozen=True, slots=True)
class _Points:
    """Points the line must reach (lower) or stay below (upper), one row a channel: accumulators from ``low`` on and
    twice the value; ``valid`` marks those that are there.
    """

    at: Int64
    twice: Int64
    valid: npt.NDArray[np.bool_]

    def bound(self, slope: Int64, half: Int64, greatest: bool) -> tuple[Int64, Int64]:
        """The binding value of value * 2 half - D * at, and where it is."""
        room = self.twice * half[:, None] - slope[:, None] * self.at
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
    """The lines of a form and all their points; the constraints of the docstring of :mod:`requant`."""
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


def _room(lines: list[_Line], slope: Int64, half: Int64) -> tuple[Int64, Int64]:
    """The least number of free intercepts over the lines less one, and the sign of the way to more."""
    least, way = np.full(slope.shape, UNBOUNDED), np.zeros(slope.shape, np.int64)
    for line in lines:
        lower, at_lower = line.lower.bound(slope, half, greatest=True)
        upper, at_upper = line.upper.bound(slope, half, greatest=False)
        free = (lower == -UNBOUNDED) | (upper == UNBOUNDED)
        room = np.where(free, UNBOUNDED, upper - lower - 1)
        way = np.where(room < least, at_lower - at_upper, way)
        least = np.minimum(least, room)
    return least, np.sign(way)


class NumpyLines:
    """The readable twin of :class:`vcompute.proof.succinct.lines_native.NativeLines`: all points at every slope."""

    def __init__(self, steps: Steps, two_sided: bool) -> None:
        self._lines = _lines(steps, two_sided)
        self._channels = steps.low.size

    def best_slopes(self, bits: Int64, low: Int64, high: Int64) -> Int64:
        """See :class:`Lines`; by bisection: the room is concave in the slope."""
        while bool((low < high).any()):
            middle = (low + high) >> 1
            _, way = _room(self._lines, middle, np.int64(1) << (bits - 1))
            rising, open_ = way > 0, low < high
            low = np.where(open_ & rising, middle + 1, low)
            high = np.where(open_ & ~rising, middle, high)
        return low

    def intercepts(self, slope: Int64, half: Int64) -> tuple[npt.NDArray[np.bool_], Int64, Int64]:
        """See :class:`Lines`."""
        intervals = _intervals(self._lines, slope, half)
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
        return possible & (step >= 0) & (step <= half), above, step

    def slope_ranges(self) -> Int64:
        """See :class:`Lines`; by all pairs of a point to reach and one to stay below."""
        return np.array([_slope_range(self._lines, channel) for channel in range(self._channels)], np.int64)


def _intervals(lines: list[_Line], slope: Int64, half: Int64) -> list[tuple[Int64, Int64]]:
    """For each line its interval of intercepts (of T at the least accumulator)."""
    intervals = []
    for line in lines:
        lower, _ = line.lower.bound(slope, half, greatest=True)
        upper, _ = line.upper.bound(slope, half, greatest=False)
        intervals.append((lower, np.where(upper == UNBOUNDED, UNBOUNDED, upper - 1)))
    return intervals


def _slope_range(lines: list[_Line], channel: int) -> tuple[int, int, int, int]:
    """One channel's interval.

    A line through height v at t, below height w at u: its slope is less than (w - v) / (u - t) where u > t, and more
    where u < t. Numerators have 10 bits and denominators 32, so quotients in binary64 are told apart exactly. Two lines
    are S apart, and 0 <= S <= 2^(K-1), half a value: so the lower one reaches nothing that the upper one stays below,
    and the upper one nothing that is half a value over what the lower one stays below.
    """
    least, greatest = (0, 1), (1, 0)
    pairs = [(line.lower, line.upper, 0) for line in lines]
    if len(lines) == 2:
        positive, negative = lines
        pairs += [(negative.lower, positive.upper, 0), (positive.lower, negative.upper, 1)]
    for lower, upper, more in pairs:
        reach, below = lower.valid[channel], upper.valid[channel]
        run = upper.at[channel][below][None, :] - lower.at[channel][reach][:, None]
        rise = upper.twice[channel][below][None, :] + more - lower.twice[channel][reach][:, None]
        for sign in (1, -1):
            there = sign * run > 0
            if not there.any():
                continue
            rises, runs = sign * rise[there], sign * run[there]
            quotients = rises / runs
            if sign > 0:
                place = int(quotients.argmin())
                greatest = min(greatest, (int(rises[place]), int(runs[place])), key=_real)
            else:
                place = int(quotients.argmax())
                least = max(least, (int(rises[place]), int(runs[place])), key=_real)
    return *least, *greatest


def _real(fraction: tuple[int, int]) -> float:
    return fraction[0] / fraction[1] if fraction[1] else float("inf")
