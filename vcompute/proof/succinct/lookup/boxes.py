# SPDX-License-Identifier: Apache-2.0
"""Boxes of leaves as the native tree takes them (see ``native/src/gkr.h``): integers as far as they can be."""

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute._native.arrays import pointer
from vcompute.field import ExtWords, Words

MOST_KEYS: Final = 1 << 27
"""Keys of unit leaves are below: the core adds up multiples of eight of them."""


@dataclass(frozen=True, slots=True, eq=False)
class UnitLeaves:
    """A box of leaves of numerator 1 and denominator c0 + c1 * key + c2 * value + c3 * sign; arrays of any shape."""

    key: npt.NDArray[np.uint32]
    value: npt.NDArray[np.uint8] | None
    sign: npt.NDArray[np.uint8] | None
    constants: ExtWords
    """c0 .. c3."""
    below: int
    """Above every key; at most MOST_KEYS."""

    def describe(self, handle: Any) -> None:
        """As C sees it; the arrays are held here."""
        handle.key, handle.valid = pointer("uint32_t[]", self.key), self.key.size
        handle.below = self.below
        handle.value = _native.ffi.NULL if self.value is None else pointer("uint8_t[]", self.value)
        handle.sign = _native.ffi.NULL if self.sign is None else pointer("uint8_t[]", self.sign)


@dataclass(frozen=True, slots=True, eq=False)
class CountedLeaves:
    """The same denominators, and for numerators minus how often each is looked up: the rows of a table."""

    rows: UnitLeaves
    counts: npt.NDArray[np.int64]

    def put(self, n: ExtWords, d: ExtWords) -> None:
        """Write numerators and denominators to their part of a level; behind them fractions 0 / 1."""
        handle, counts = _native.ffi.new("vc_gkr_leaf *"), np.ascontiguousarray(self.counts, np.int64)
        size = self.rows.key.size
        if counts.size != size or len(n) < size or len(n) != len(d) or len(self.rows.constants) != 4:
            raise ValueError("expected as many counts as rows, room for them and four constants")
        self.rows.describe(handle)
        _native.lib.vc_gkr_rows(
            words(n), words(d), len(n), handle, words(self.rows.constants), pointer("int64_t[]", counts)
        )  # fmt: skip


def words(array: Words) -> Any:
    """An array of words as C sees it."""
    return pointer("uint64_t[]", array)
