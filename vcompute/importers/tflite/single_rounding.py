# SPDX-License-Identifier: Apache-2.0
"""Integer multipliers for kernels that requantise in binary64.

LiteRT's FULLY_CONNECTED computes round(accumulator * factor), half away from zero, in binary64. Our *single* rounding
computes floor((accumulator * m + 2**(30 - s)) / 2**(31 - s)). Both are staircases that never fall, with at most 255
steps between the clamps; they are equal on an interval when they are equal on both sides of every step and at its ends.
The multiplier nearest to the factor has a relative error of up to 2**-32, which can move a step past an accumulator,
and rounds ties up instead of away from zero. Both are settled here, once: of the multipliers under which every step
lies where it should, for every accumulator the model can reach, the one nearest to the factor is taken.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcompute.errors import ImportFailed
from vcompute.importers.tflite.scales import quantize_multiplier

Int64Array = npt.NDArray[np.int64]
Float64Array = npt.NDArray[np.float64]

_SLACK: Final = 2
"""How far a step computed in binary64 can be from the true one, in accumulators."""


@dataclass(frozen=True, slots=True)
class Staircase:
    """What one channel must give: ``factor`` and the reachable accumulators, and the least and greatest quotient."""

    factor: float
    low: int
    high: int
    least: int
    greatest: int

    def quotients(self, accumulators: Int64Array) -> Int64Array:
        """The kernel's rounded quotients, clamped."""
        product = accumulators.astype(np.float64) * self.factor
        whole = np.trunc(product)
        away = np.where(np.abs(product - whole) >= 0.5, np.copysign(1.0, product), 0.0)
        quotients: Int64Array = np.clip(whole + away, self.least, self.greatest).astype(np.int64)
        return quotients

    def steps(self) -> tuple[Int64Array, Int64Array]:
        """For each quotient above the least reachable one: the quotient, and the least accumulator that reaches it."""
        ends = self.quotients(np.array([self.low, self.high], np.int64))
        wanted = np.arange(ends[0] + 1, ends[1] + 1, dtype=np.int64)
        if not wanted.size:
            return wanted, wanted
        guess = np.clip(np.ceil((wanted - 0.5) / self.factor), self.low, self.high).astype(np.int64)
        candidates = np.clip(guess[:, None] + np.arange(-_SLACK, _SLACK + 1), self.low, self.high)
        reached = self.quotients(candidates.ravel()).reshape(candidates.shape) >= wanted[:, None]
        least: Int64Array = np.where(reached, candidates, self.high).min(axis=1)
        return wanted, least


def single_rounding(factor: float, low: Int64Array, high: Int64Array, clamp: tuple[int, int]) -> list[tuple[int, int]]:
    """Multiplier and shift for each channel of a factor; ``low`` and ``high`` are what its accumulators can reach.

    One multiplier serves all channels where there is one that does.

    Raises:
        ImportFailed: some channel has none of 31 bits.
    """
    common = _multiplier(Staircase(factor, int(low.min()), int(high.max()), *clamp))
    if common is not None:
        return [common] * len(low)
    pairs = []
    for channel, ends in enumerate(zip(low.tolist(), high.tolist(), strict=True)):
        pair = _multiplier(Staircase(factor, *ends, *clamp))
        if pair is None:
            raise ImportFailed(
                f"output channel {channel}: no multiplier of 31 bits rounds like the runtime's binary64 for every "
                "accumulator; classic semantics has no such arithmetic",
                got=f"factor {factor!r} on {list(ends)}",
            )
        pairs.append(pair)
    return pairs


def _multiplier(staircase: Staircase) -> tuple[int, int] | None:
    """The multiplier and shift under which *single* rounding gives the staircase's quotients on its whole interval."""
    multiplier, shift = quantize_multiplier(staircase.factor)
    if multiplier == 0:
        return multiplier, shift
    wanted, steps = staircase.steps()
    if _agrees(staircase, multiplier, shift, steps):
        return multiplier, shift
    nearest, farthest = 1, (1 << 31) - 1
    for quotient, step in zip(wanted.tolist(), steps.tolist(), strict=True):
        # single(a) >= quotient exactly when a * m >= edge
        edge = (2 * quotient - 1) << (30 - shift)
        bounds = [(step, True)] + ([(step - 1, False)] if step > staircase.low else [])
        for accumulator, reaches in bounds:
            nearest, farthest = _narrowed(nearest, farthest, accumulator, edge, reaches)
    chosen = min(max(multiplier, nearest), farthest)
    return (chosen, shift) if nearest <= farthest and _agrees(staircase, chosen, shift, steps) else None


def _narrowed(nearest: int, farthest: int, accumulator: int, edge: int, reaches: bool) -> tuple[int, int]:
    """The multipliers m in [nearest, farthest] for which ``accumulator * m >= edge`` is ``reaches``."""
    if accumulator == 0:
        return (nearest, farthest) if (edge <= 0) is reaches else (1, 0)
    if accumulator > 0:
        least = -(-edge // accumulator)  # accumulator * m >= edge exactly when m >= least
        return (max(nearest, least), farthest) if reaches else (nearest, min(farthest, least - 1))
    most = edge // accumulator  # exactly when m <= most
    return (nearest, min(farthest, most)) if reaches else (max(nearest, most + 1), farthest)


def _agrees(staircase: Staircase, multiplier: int, shift: int, steps: Int64Array) -> bool:
    """Whether *single* rounding gives the kernel's quotients at the ends and on both sides of every step."""
    points = np.concatenate([[staircase.low, staircase.high], steps, np.maximum(steps - 1, staircase.low)])
    single = (points * multiplier + (1 << (30 - shift))) >> (31 - shift)
    return bool(np.array_equal(np.clip(single, staircase.least, staircase.greatest), staircase.quotients(points)))
