# SPDX-License-Identifier: Apache-2.0
"""Windows of pools at the image's edge: how many pixels each of them holds.

A mean over n pixels has its own constants for each n. The n of a position is the product of the rows and the columns
its window holds, and either takes few values: a weight on positions splits into one outer product for each pair.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from vcompute.task import operators as ops
from vcompute.task.tensor import Shape

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Counts:
    """Pixels of the image in a pool's windows: for each output row the rows, for each output column the columns."""

    rows: Int64
    columns: Int64

    @property
    def distinct(self) -> tuple[int, ...]:
        """All numbers of pixels, ascending: the order of a pool's constants."""
        return tuple(sorted({row * column for row in _values(self.rows) for column in _values(self.columns)}))

    @property
    def numbers(self) -> Int64:
        """For each position (row, column) the place of its number of pixels in ``distinct``."""
        return np.searchsorted(self.distinct, np.multiply.outer(self.rows, self.columns))

    def regions(self) -> Iterator[tuple[int, npt.NDArray[np.bool_], npt.NDArray[np.bool_]]]:
        """Positions of one number of rows and one of columns: (place in ``distinct``, which rows, which columns)."""
        places = {count: place for place, count in enumerate(self.distinct)}
        for row in _values(self.rows):
            for column in _values(self.columns):
                yield places[row * column], self.rows == row, self.columns == column


def _values(counts: Int64) -> list[int]:
    """The values that occur, ascending (numpy's own function first imports masked arrays)."""
    return sorted(set(counts.tolist()))


def pixel_counts(operator: ops.AveragePool2D, image: Shape, output: Shape) -> Counts:
    """The counts of a pool over an image (H, W, C) with an output (H', W', C)."""
    window = operator.window

    def along(size: int, places: int, taps: int, stride: int, before: int) -> Int64:
        start = np.arange(places, dtype=np.int64) * stride - before
        return np.minimum(start + taps, size) - np.maximum(start, 0)

    return Counts(
        along(image[0], output[0], operator.kernel_h, window.stride_h, window.pad_top),
        along(image[1], output[1], operator.kernel_w, window.stride_w, window.pad_left),
    )


def split_constants(scalars: Sequence[int], parts: int) -> tuple[tuple[int, ...], ...]:
    """A pool's constants: slopes, offsets and steps, one for each number of pixels."""
    size = len(scalars) // parts
    return tuple(tuple(scalars[start : start + size]) for start in range(0, size * parts, size))
