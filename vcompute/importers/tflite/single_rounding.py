# SPDX-License-Identifier: Apache-2.0
"""Integer multipliers for kernels that requantise in binary64.

LiteRT's FULLY_CONNECTED computes round(accumulator * factor), half away from zero, in binary64. Our *single* rounding
computes floor((accumulator * m + 2**(30 - s)) / 2**(31 - s)). Both are staircases that never fall, with at most 255
steps between the clamps; they are equal on an interval when they are equal on both sides of every step and at its ends.
The multiplier nearest to the factor has a relative error of up to 2**-32, which can move a step past an accumulator,
and rounds ties up instead of away from zero. Both are settled here, once: of the multipliers under which every step
lies where it should, for every accumulator the channel can reach, the one nearest to the factor is taken.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcompute.errors import ImportFailed
from vcompute.importers.tflite.scales import quantize_multiplier

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

SEARCH_COST: Final = 1 << 8
"""What the search for one channel's multiplier is charged as, in bytes of the file."""
_BLOCK: Final = 1 << 10
"""Channels looked at together."""
_SLACK: Final = 1
"""How far a step computed in binary64 can be from the true one, in accumulators."""


@dataclass(frozen=True, slots=True)
class Staircases:
    """What C channels must give; every array is (C, 1).

    ``low`` and ``high`` are the least and greatest accumulator that a channel can reach, ``least`` and ``greatest``
    the clamps of the quotient.
    """

    factor: Float64Array
    low: Int64Array
    high: Int64Array
    least: int
    greatest: int

    def __getitem__(self, channels: slice) -> "Staircases":
        return Staircases(self.factor[channels], self.low[channels], self.high[channels], self.least, self.greatest)

    def quotients(self, accumulators: Int64Array) -> Int64Array:
        """The kernel's rounded and clamped quotients of accumulators (C, n)."""
        product = accumulators * self.factor
        whole = np.trunc(product)
        away = np.where(np.abs(product - whole) >= 0.5, np.copysign(1.0, product), 0.0)
        quotients: Int64Array = np.clip(whole + away, self.least, self.greatest).astype(np.int64)
        return quotients

    def single(self, accumulators: Int64Array, multiplier: Int64Array, shift: Int64Array) -> Int64Array:
        """*Single* rounding of accumulators (C, n), clamped."""
        rounded = (accumulators * multiplier + (np.int64(1) << (30 - shift))) >> (31 - shift)
        clamped: Int64Array = np.clip(rounded, self.least, self.greatest)
        return clamped

    def steps(self) -> Int64Array:
        """The least accumulator that reaches each quotient from ``least + 1`` to ``greatest``: (C, greatest - least).

        ``high`` where no reachable accumulator does, ``low`` where all do.
        """
        wanted = np.arange(self.least + 1, self.greatest + 1, dtype=np.int64)
        with np.errstate(divide="ignore", over="ignore"):  # a factor near zero: no accumulator reaches the quotient
            exact = np.ceil((wanted - 0.5) / self.factor)
        step = np.clip(exact, self.low, self.high).astype(np.int64) - _SLACK
        for _ in range(2 * _SLACK):
            step = step + (self.quotients(step) < wanted)
        result: Int64Array = np.clip(step, self.low, self.high)
        return result

    def agree(self, multiplier: Int64Array, shift: Int64Array) -> npt.NDArray[np.bool_]:
        """Whether *single* rounding is right for every accumulator: (C,)."""
        steps = self.steps()
        points = np.concatenate([self.low, self.high, steps, np.maximum(steps - 1, self.low)], axis=1)
        right: npt.NDArray[np.bool_] = (self.single(points, multiplier, shift) == self.quotients(points)).all(axis=1)
        return right


def single_rounding(stairs: Staircases, charge: Callable[[int], None]) -> list[tuple[int, int]]:
    """Multiplier and shift for each channel. ``charge`` is called with the cost of every search that is needed.

    Raises:
        ImportFailed: some channel has no multiplier of 31 bits.
    """
    nearest = {factor: quantize_multiplier(factor) for factor in set(stairs.factor.ravel().tolist())}
    pairs = [nearest[factor] for factor in stairs.factor[:, 0].tolist()]
    numbers = np.array(pairs, np.int64)
    for start in range(0, len(pairs), _BLOCK):
        block = slice(start, start + _BLOCK)
        for channel in np.flatnonzero(~stairs[block].agree(numbers[block, :1], numbers[block, 1:])) + start:
            charge(SEARCH_COST)
            pairs[channel] = _search(stairs[channel : channel + 1], int(channel), *pairs[channel])
    return pairs


def _search(stairs: Staircases, channel: int, multiplier: int, shift: int) -> tuple[int, int]:
    """The multiplier nearest to ``multiplier`` under which every step of one channel lies where it should."""
    low, high = int(stairs.low[0, 0]), int(stairs.high[0, 0])
    nearest, farthest = 1, (1 << 31) - 1
    steps = stairs.steps()[0].tolist()
    for quotient, step in enumerate(steps, start=stairs.least + 1):
        # single(a) >= quotient exactly when a * m >= edge
        edge = (2 * quotient - 1) << (30 - shift)
        for accumulator in {step, max(step - 1, low)}:
            reaches = int(stairs.quotients(np.array([[accumulator]], np.int64))[0, 0]) >= quotient
            nearest, farthest = _narrowed(nearest, farthest, accumulator, edge, reaches)
    chosen = min(max(multiplier, nearest), farthest)
    if nearest > farthest or not stairs.agree(np.array([[chosen]]), np.array([[shift]])).all():
        raise ImportFailed(
            f"output channel {channel}: no multiplier of 31 bits rounds like the runtime's binary64 for every "
            "accumulator; classic semantics has no such arithmetic",
            got=f"factor {float(stairs.factor[0, 0])!r} on [{low}, {high}]",
        )
    return chosen, shift


def _narrowed(nearest: int, farthest: int, accumulator: int, edge: int, reaches: bool) -> tuple[int, int]:
    """The multipliers m in [nearest, farthest] for which ``accumulator * m >= edge`` is ``reaches``."""
    if accumulator == 0:
        return (nearest, farthest) if (edge <= 0) is reaches else (1, 0)
    if accumulator > 0:
        least = -(-edge // accumulator)  # accumulator * m >= edge exactly when m >= least
        return (max(nearest, least), farthest) if reaches else (nearest, min(farthest, least - 1))
    most = edge // accumulator  # exactly when m <= most
    return (nearest, min(farthest, most)) if reaches else (max(nearest, most + 1), farthest)
