# SPDX-License-Identifier: Apache-2.0
"""Requantisations as rising step functions: for each channel its value's thresholds over the accumulator."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcompute.task.operators import Rounding

Int64 = npt.NDArray[np.int64]

FAR: Final = np.int64(1 << 40)
"""Beyond every accumulator."""


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


def levels_of(zero_point: int, low: int, high: int) -> Int64:
    """The levels above the lower clamp, before the zero point; at least one, so that every function has a step."""
    return np.arange(low - zero_point + 1, max(high - zero_point, low - zero_point + 1) + 1, dtype=np.int64)


def channel_steps(
    multiplier: Int64, shift: Int64, rounding: Rounding, clamp: tuple[int, int, int], low: Int64, high: Int64
) -> Steps:
    """The step functions of per-channel multipliers; ``clamp`` is (zero point, low, high)."""
    levels = levels_of(*clamp)
    multiplier, shift = multiplier.astype(np.int64)[:, None], shift.astype(np.int64)[:, None]
    double = rounding is Rounding.DOUBLE
    shifts = np.array(sorted(set(shift.ravel().tolist())), np.int64)  # the channels of a layer have a few
    which = np.searchsorted(shifts, shift.ravel())
    numerator, reach = (_double_numerators if double else _single_numerators)(levels[None, :], shifts[:, None])
    divisor = multiplier << np.maximum(shift, 0) if double else multiplier
    quotient = -(-numerator[which] // np.maximum(divisor, 1))
    limit = np.clip(quotient, -FAR, FAR)
    if reach.any():
        reach = reach[which]
        limit = np.where(reach > 0, FAR, np.where(reach < 0, -FAR, limit))
    constant = np.where(levels[None, :] > 0, FAR, -FAR)  # a multiplier of 0 gives 0
    thresholds = np.ascontiguousarray(np.where(multiplier == 0, constant, limit))
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
