# SPDX-License-Identifier: Apache-2.0
"""Columns in a committed table, and weights on them as the commitment takes them."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.commitment import TableShape
from vcompute.commitment.weights import Product
from vcompute.field import ZERO, Backend, Ext, ExtWords, Words, to_array
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.contract import IntArray, outer
from vcompute.proof.succinct.forms import ColumnTerm
from vcompute.proof.succinct.layout import Layout, Piece
from vcompute.proof.succinct.stack import Prefixes


def fill(
    layout: Layout, columns: Mapping[int, IntArray], shape: TableShape, native: bool = _native.available()
) -> Words:
    """The table of columns of integers or field words, with all that a shape stores; columns have their box's shape.
    Natively, or by the readable loop: the same words.
    """
    table = np.zeros(shape.stored, np.uint64)
    if native and all(len(piece.parts) <= MOST_AXES for piece in layout.pieces):
        _fill_native(table, layout, columns)
        return table
    for piece in layout.pieces:
        source = columns[piece.column]
        block = source[tuple(slice(start, start + (1 << bits)) for start, bits in piece.parts)]
        target = table[piece.offset : piece.offset + (1 << piece.variables)]
        view = target.reshape([1 << bits for _, bits in piece.parts])
        view[tuple(slice(0, size) for size in block.shape)] = elements(block)
    return table


WIDTHS: Final = {np.dtype(np.int8): 1, np.dtype(np.int32): 4, np.dtype(np.int64): 8}


def _fill_native(table: Words, layout: Layout, columns: Mapping[int, IntArray]) -> None:
    """:func:`fill` by one call of the core."""
    ffi = _native.ffi
    addresses: dict[int, Any] = {}  # these hold the arrays
    blocks = ffi.new("vc_block[]", max(len(layout.pieces), 1))
    for handle, piece in zip(blocks, layout.pieces, strict=False):
        source, start = columns[piece.column], 0
        if piece.column not in addresses:
            taken = source if source.dtype in WIDTHS else elements(source)
            addresses[piece.column] = ffi.from_buffer(np.ascontiguousarray(taken))
        handle.source, handle.width = addresses[piece.column], WIDTHS.get(source.dtype, 0)
        handle.offset, handle.axes = piece.offset, len(piece.parts)
        stride = 1
        for axis in range(len(piece.parts) - 1, -1, -1):
            (first, bits), size = piece.parts[axis], source.shape[axis]
            handle.bits[axis], handle.valid[axis] = bits, min(1 << bits, size - first)
            handle.stride[axis], start, stride = stride, start + first * stride, stride * size
        handle.start = start
    _native.lib.vc_fill_blocks(ffi.from_buffer("uint64_t[]", table), blocks, len(layout.pieces))


MOST_AXES: Final = 16
"""Axes of a term of the native kernel (``vc_tensor_term``)."""
ROW_BITS: Final = 9
"""Rows of an outer product are at least so long, where axes allow."""


class ColumnWeight:
    """The sum of column terms, as a weight on the committed table."""

    def __init__(self, layout: Layout, terms: Sequence[ColumnTerm], backend: Backend) -> None:
        self._pieces = layout.pieces
        self.extent = layout.length
        self._backend = backend
        self._terms: dict[int, list[ColumnTerm]] = {}
        merged: dict[tuple[int, ...], ColumnTerm] = {}
        for term in terms:  # terms of the same vectors are one
            key = (term.column, *map(id, term.vectors))
            known = merged.get(key)
            scale = term.scale if known is None else known.scale + term.scale
            merged[key] = ColumnTerm(term.column, scale, term.vectors)
        for term in merged.values():
            self._terms.setdefault(term.column, []).append(term)

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        """Add scale * weight to a table in place."""
        if backend.name == "native" and all(len(piece.parts) <= MOST_AXES for piece in self._pieces):
            self._add_native(table, scale)
            return
        for piece in self._pieces:
            block = table[piece.offset : piece.offset + (1 << piece.variables)]
            for term in self._terms.get(piece.column, ()):
                parts = [_part(vector, piece, axis) for axis, vector in enumerate(term.vectors)]
                split = len(parts) - 1
                while split > 1 and sum(bits for _, bits in piece.parts[split:]) < ROW_BITS:
                    split -= 1
                heads = outer([to_array([scale * term.scale]), *parts[:split]], backend)
                backend.add_outer(block, heads, outer(parts[split:], backend))

    def products(self, scale: Ext) -> Iterator[Product]:
        """scale * weight, product by product."""
        for piece in self._pieces:
            terms = self._terms.get(piece.column)
            if terms:
                start, bits = zip(*piece.parts, strict=True) if piece.parts else ((), ())
                valid = tuple(
                    min(1 << size, vector.shape[0] - first)
                    for first, size, vector in zip(start, bits, terms[0].vectors, strict=True)
                )
                for term in terms:
                    yield Product(piece.offset, bits, start, valid, term.vectors, scale * term.scale)

    def _add_native(self, table: ExtWords, scale: Ext) -> None:
        """:meth:`add_to` by one call of the core."""
        ffi, addresses, kept = _native.ffi, {}, []
        found = [(piece, term) for piece in self._pieces for term in self._terms.get(piece.column, ())]
        terms = ffi.new("vc_tensor_term[]", max(len(found), 1))
        for handle, (piece, term) in zip(terms, found, strict=False):
            factor = scale * term.scale
            handle.offset, handle.axes = piece.offset, len(piece.parts)
            handle.scale[0], handle.scale[1] = factor.c0, factor.c1
            for axis, (vector, (start, bits)) in enumerate(zip(term.vectors, piece.parts, strict=True)):
                if id(vector) not in addresses:
                    kept.append(np.ascontiguousarray(vector))
                    addresses[id(vector)] = ffi.from_buffer("uint64_t[]", kept[-1])
                handle.vectors[axis] = addresses[id(vector)] + 2 * start
                handle.bits[axis], handle.valid[axis] = bits, min(1 << bits, vector.shape[0] - start)
        scratch = np.empty(_native.lib.vc_add_tensors_scratch(terms, len(found)), np.uint64)
        _native.lib.vc_add_tensors(
            ffi.from_buffer("uint64_t[]", table), terms, len(found), ffi.from_buffer("uint64_t[]", scratch)
        )

    def evaluate(self, point: Sequence[Ext]) -> Ext:
        """The weight's multilinear extension at a point of the table's variables."""
        tables: dict[tuple[int, int], ExtWords] = {}
        dots: dict[tuple[int, int, int, int], Ext] = {}
        result, places = ZERO, Prefixes(point)
        for piece in self._pieces:
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
