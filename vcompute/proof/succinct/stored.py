# SPDX-License-Identifier: Apache-2.0
"""Terms in the memory of a record that was carried out (:mod:`vcompute.proof.succinct.program.claims`).

Where they stand is the same for every proof of a setting: an opening takes their vectors in place, and all scales at
once.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, TypeVar, overload

import numpy as np
import numpy.typing as npt

from vcompute.commitment.weights import Blocks, Terms, Weight
from vcompute.field import Backend, Ext, ExtWords, Words, from_array, to_array
from vcompute.proof.succinct.columns import ColumnWeight, places
from vcompute.proof.succinct.forms import ColumnTerm
from vcompute.proof.succinct.layout import Layout

T = TypeVar("T")
Head = tuple[Any, ...]
"""What names a term's column."""


@dataclass(frozen=True, eq=False)
class Places(Generic[T]):
    """Where terms stand: those of a column one behind the other, columns in any order."""

    make: Callable[..., T]
    """A term, of its head, its scale and its vectors."""
    columns: tuple[tuple[Head, int, tuple[int, ...]], ...]
    """Each column's head, how many terms, and the sizes of its axes."""
    heads: tuple[Head, ...]
    """Of each term."""
    scales: npt.NDArray[np.intp]
    starts: Words
    """Of each term's vectors; zero beyond its axes."""
    lengths: Words
    blocks: dict[Layout, Blocks] = field(default_factory=dict)
    """On a layout, kept."""


class StoredTerms(Sequence[T]):
    """Terms at places of a memory."""

    def __init__(self, places: Places[T], memory: ExtWords) -> None:
        self.places, self.memory = places, memory

    def __len__(self) -> int:
        return len(self.places.heads)

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return [self[each] for each in range(*index.indices(len(self)))]
        where, memory = self.places, self.memory
        ends = zip(where.starts[index].tolist(), where.lengths[index].tolist(), strict=True)
        vectors = tuple(memory[start : start + length] for start, length in ends if length)
        (scale,) = from_array(memory[where.scales[index]])
        return where.make(*where.heads[index], scale, vectors)


class StoredWeight:
    """:class:`ColumnWeight` of stored terms; ``column_of`` is the column of a head."""

    def __init__(
        self, layout: Layout, terms: StoredTerms[Any], column_of: Callable[..., int], backend: Backend
    ) -> None:
        self.extent = layout.length
        self._layout, self._terms, self._column_of, self._backend = layout, terms, column_of, backend

    def blocks(self) -> Blocks:
        """See :class:`vcompute.commitment.weights.ProductWeight`."""
        where = self._terms.places
        found = where.blocks.get(self._layout)
        if found is None:
            columns = tuple((self._column_of(*head), count, sizes) for head, count, sizes in where.columns)
            found = where.blocks[self._layout] = places(self._layout, columns)
        return found

    def terms(self, scale: Ext) -> Terms:
        """See :class:`vcompute.commitment.weights.ProductWeight`."""
        where, memory = self._terms.places, self._terms.memory
        scales = self._backend.ext_mul(memory[where.scales], to_array([scale]))
        return Terms(memory, where.starts, where.lengths, scales)

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        """See :class:`vcompute.commitment.weights.Weight`."""
        self._plain().add_to(table, scale, backend)

    def evaluate(self, point: Sequence[Ext]) -> Ext:
        """See :class:`vcompute.commitment.weights.Weight`."""
        return self._plain().evaluate(point)

    def _plain(self) -> ColumnWeight:
        terms = zip(self._terms.places.heads, self._terms, strict=True)
        plain = [ColumnTerm(self._column_of(*head), term.scale, term.vectors) for head, term in terms]
        return ColumnWeight(self._layout, plain, self._backend)


def column_weight(layout: Layout, terms: Sequence[ColumnTerm], backend: Backend) -> Weight:
    """The sum of column terms, as a weight on the committed table."""
    if isinstance(terms, StoredTerms):
        return StoredWeight(layout, terms, lambda column: column, backend)
    return ColumnWeight(layout, terms, backend)
