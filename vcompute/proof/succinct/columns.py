# SPDX-License-Identifier: Apache-2.0
"""Columns in a committed table, and weights on them as the commitment takes them."""

from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.commitment import TableShape
from vcompute.commitment.weights import Block, Blocks, Product, Terms, in_one_memory
from vcompute.field import ZERO, Backend, Ext, ExtWords, Words, to_array
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.contract import IntArray, outer
from vcompute.proof.succinct.forms import ColumnTerm
from vcompute.proof.succinct.layout import Layout, Piece
from vcompute.proof.succinct.stack import Prefixes


def fill(
    layout: Layout,
    columns: Mapping[int, IntArray],
    shape: TableShape,
    native: bool = _native.available(),
    kept: dict[str, object] | None = None,
) -> Words:
    """The table of columns of integers or field words, with all that a shape stores; columns have their box's shape.
    Natively, or by the readable loop: the same words. ``kept`` holds what tables of one layout share.
    """
    if native and all(len(piece.parts) <= MOST_AXES for piece in layout.pieces):
        kept = {} if kept is None else kept
        if "blocks" not in kept:
            kept["blocks"] = _blocks(layout, columns)
        table = np.empty(shape.stored, np.uint64)
        _fill_native(table, layout, columns, kept["blocks"])
        return table
    table = np.zeros(shape.stored, np.uint64)
    for piece in layout.pieces:
        source = columns[piece.column]
        block = source[tuple(slice(start, start + (1 << bits)) for start, bits in piece.parts)]
        target = table[piece.offset : piece.offset + (1 << piece.variables)]
        view = target.reshape([1 << bits for _, bits in piece.parts])
        view[tuple(slice(0, size) for size in block.shape)] = elements(block)
    return table


STREAMED: Final = 1 << 22
"""Tables of so many words are written around the caches, which do not hold them."""
WIDTHS: Final = {np.dtype(np.int8): 1, np.dtype(np.int32): 4, np.dtype(np.int64): 8}


def _blocks(layout: Layout, columns: Mapping[int, IntArray]) -> Any:
    """The pieces as the core takes them; of the columns their shapes alone."""
    blocks = _native.ffi.new("vc_block[]", max(len(layout.pieces), 1))
    for handle, piece in zip(blocks, layout.pieces, strict=False):
        shape, start, stride = columns[piece.column].shape, 0, 1
        handle.column, handle.offset, handle.axes = piece.column, piece.offset, len(piece.parts)
        for axis in range(len(piece.parts) - 1, -1, -1):
            (first, bits), size = piece.parts[axis], shape[axis]
            handle.bits[axis], handle.valid[axis] = bits, min(1 << bits, size - first)
            handle.stride[axis], start, stride = stride, start + first * stride, stride * size
        handle.start = start
    return blocks


def _fill_native(table: Words, layout: Layout, columns: Mapping[int, IntArray], blocks: Any) -> None:
    """:func:`fill` by one call of the core."""
    ffi, count = _native.ffi, len(layout.pieces)
    held = []
    sources = ffi.new("vc_column[]", max(columns, default=0) + 1)
    for number in {piece.column for piece in layout.pieces}:
        source = columns[number]
        taken = source if source.dtype in WIDTHS else elements(source)
        held.append(ffi.from_buffer(np.ascontiguousarray(taken)))
        sources[number].data, sources[number].width = held[-1], WIDTHS.get(source.dtype, 0)
    _native.lib.vc_fill_blocks(
        ffi.from_buffer("uint64_t[]", table), sources, blocks, count, table.size >= STREAMED
    )  # fmt: skip
    # Blocks stand one behind the other and are filled whole; what is left of the table is zero.
    last = layout.pieces[-1] if layout.pieces else Piece(0, (), -1)
    table[last.offset + (1 << last.variables) :] = 0


MOST_AXES: Final = 16
"""Axes of a block of the native kernel (``vc_block``)."""
ROW_BITS: Final = 9
"""Rows of an outer product are at least so long, where axes allow."""


@lru_cache(maxsize=1 << 7)
def places(layout: Layout, used: tuple[tuple[int, int, tuple[int, ...]], ...]) -> Blocks:
    """The blocks of columns (number, terms, sizes of its axes): the same for every proof of a model."""
    numbers = {column: number for number, (column, _, _) in enumerate(used)}
    places = []
    for piece in layout.pieces:
        number = numbers.get(piece.column)
        if number is not None:
            bits, start = tuple(bits for _, bits in piece.parts), tuple(start for start, _ in piece.parts)
            sizes = zip(piece.parts, used[number][2], strict=True)
            valid = tuple(min(size - first, 1 << wide) for (first, wide), size in sizes)
            places.append(Block(piece.offset, bits, start, valid, number))
    return Blocks(tuple(places), tuple(terms for _, terms, _ in used))


class ColumnWeight:
    """The sum of column terms, as a weight on the committed table."""

    def __init__(self, layout: Layout, terms: Sequence[ColumnTerm], backend: Backend) -> None:
        self._layout = layout
        self.extent = layout.length
        self._backend = backend
        self._terms: dict[int, list[ColumnTerm]] = {}
        merged: dict[tuple[int, ...], ColumnTerm] = {}
        for term in terms:  # terms of the same vectors are one
            key = (term.column, *map(id, term.vectors))
            known = merged.get(key)
            merged[key] = term if known is None else ColumnTerm(term.column, known.scale + term.scale, term.vectors)
        for term in merged.values():
            self._terms.setdefault(term.column, []).append(term)

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        """Add scale * weight to a table in place."""
        for piece in self._layout.pieces:
            block = table[piece.offset : piece.offset + (1 << piece.variables)]
            for term in self._terms.get(piece.column, ()):
                parts = [_part(vector, piece, axis) for axis, vector in enumerate(term.vectors)]
                split = len(parts) - 1
                while split > 1 and sum(bits for _, bits in piece.parts[split:]) < ROW_BITS:
                    split -= 1
                heads = outer([to_array([scale * term.scale]), *parts[:split]], backend)
                backend.add_outer(block, heads, outer(parts[split:], backend))

    def blocks(self) -> Blocks:
        """See :class:`vcompute.commitment.weights.ProductWeight`."""
        used = [(column, len(terms), tuple(map(len, terms[0].vectors))) for column, terms in self._terms.items()]
        return places(self._layout, tuple(used))

    def terms(self, scale: Ext) -> Terms:
        """See :class:`vcompute.commitment.weights.ProductWeight`."""
        return in_one_memory([Product(t.vectors, scale * t.scale) for terms in self._terms.values() for t in terms])

    def evaluate(self, point: Sequence[Ext]) -> Ext:
        """The weight's multilinear extension at a point of the table's variables."""
        tables: dict[tuple[int, int], ExtWords] = {}
        dots: dict[tuple[int, int, int, int], Ext] = {}
        result, places = ZERO, Prefixes(point)
        for piece in self._layout.pieces:
            terms = self._terms.get(piece.column)
            if not terms:
                continue
            used = len(point) - piece.variables
            axes = []
            for axis, (start, bits) in enumerate(piece.parts):
                axes.append((axis, start, bits, used))
                used += bits
            total = ZERO
            for term in terms:
                product = term.scale
                for axis, start, bits, at in axes:
                    vector = term.vectors[axis]
                    key = (id(vector), start, bits, at)
                    if key not in dots:
                        if (at, bits) not in tables:
                            tables[at, bits] = self._backend.eq_tensor(point[at : at + bits])
                        part = vector[start : start + (1 << bits)]
                        weights = tables[at, bits][: part.shape[0]]
                        dots[key] = self._backend.dot_ext(part, weights)
                    product = product * dots[key]
                total = total + product
            result = result + places.eq(len(point) - piece.variables, piece.offset >> piece.variables) * total
        return result


def _part(vector: ExtWords, piece: Piece, axis: int) -> ExtWords:
    """A vector on one part of an axis, zero past its end."""
    start, bits = piece.parts[axis]
    part = vector[start : start + (1 << bits)]
    if part.shape[0] == 1 << bits:
        return part
    padded = np.zeros((1 << bits, 2), np.uint64)
    padded[: part.shape[0]] = part
    return padded
