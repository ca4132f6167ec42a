# SPDX-License-Identifier: Apache-2.0
"""The native twin of :class:`vcompute.proof.succinct.lines.NumpyLines`: only points that can bind."""

from typing import Any

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute._native.arrays import pointer
from vcompute.proof.succinct.steps import Int64, Steps

SAFE = float(1 << 61)
"""Values of at most so much are added and subtracted within 64 bits."""


class NativeLines:
    """See :class:`vcompute.proof.succinct.lines.Lines`."""

    def __init__(self, steps: Steps, two_sided: bool, bits: Int64, greatest: Int64) -> None:
        """No question is about a K above ``bits`` or, where its products would leave 64 bits, a slope above
        ``greatest`` (such channels keep all their points: which of them binds is no matter of hulls then).
        """
        channels, levels = steps.thresholds.shape
        room = channels * (2 * levels + 4)
        self._ends = np.empty(channels * (4 if two_sided else 2), np.uint64)
        self._at, self._twice = np.empty(room, np.int64), np.empty(room, np.int64)
        steepest = (greatest.astype(np.float64) + 2) * (steps.high - steps.low + 2)
        highest = np.exp2(bits.astype(np.float64)) * (max(abs(steps.bottom), abs(steps.top)) + 2)
        keep = (steepest > SAFE) | (highest > SAFE)
        _native.lib.vc_floor_points(
            pointer("uint64_t[]", self._ends), _words(self._at), _words(self._twice), _words(steps.thresholds),
            channels, levels, int(steps.levels[0]), _words(steps.low), _words(steps.high),
            pointer("uint8_t[]", keep), int(two_sided),
        )  # fmt: skip
        self._handle = _native.ffi.new("vc_floor_lines *")
        self._handle.channels, self._handle.sets = channels, 4 if two_sided else 2
        self._handle.ends = pointer("uint64_t[]", self._ends)
        self._handle.at, self._handle.twice = _words(self._at), _words(self._twice)

    def best_slopes(self, bits: Int64, low: Int64, high: Int64) -> Int64:
        """See :class:`vcompute.proof.succinct.lines.Lines`."""
        slopes = np.empty_like(low)
        _native.lib.vc_floor_slopes(_words(slopes), self._handle, _words(bits), _words(low), _words(high))
        return slopes

    def intercepts(self, slope: Int64, half: Int64) -> tuple[npt.NDArray[np.bool_], Int64, Int64]:
        """See :class:`vcompute.proof.succinct.lines.Lines`."""
        possible, above, step = np.empty(slope.shape, np.bool_), np.empty_like(slope), np.empty_like(slope)
        _native.lib.vc_floor_intercepts(
            pointer("uint8_t[]", possible), _words(above), _words(step), self._handle, _words(slope), _words(half)
        )
        return possible, above, step

    def slope_ranges(self) -> Int64:
        """See :class:`vcompute.proof.succinct.lines.Lines`."""
        ranges = np.empty((self._handle.channels, 4), np.int64)
        _native.lib.vc_floor_slope_ranges(_words(ranges), self._handle)
        return ranges


def _words(array: Int64) -> Any:
    return pointer("int64_t[]", array)
