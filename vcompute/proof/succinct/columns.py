# SPDX-License-Identifier: Apache-2.0
"""Columns in a committed table, and weights on them as the commitment takes them."""

from collections.abc import Mapping, Sequence
from typing import Final

import numpy as np

from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, Words, to_array
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.contract import IntArray, outer
from vcompute.proof.succinct.forms import ColumnTerm
from vcompute.proof.succinct.layout import Layout, Piece


def fill(layout: Layout, columns: Mapping[int, IntArray]) -> Words:
    """The table of columns of integers or field words; columns have their box's shape."""
    table = np.zeros(layout.length, np.uint64)
    for piece in layout.pieces:
        source = columns[piece.column]
        block = source[tuple(slice(start, start + (1 << bits)) for start, bits in piece.parts)]
        target = table[piece.offset : piece.offset + (1 << piece.variables)]
        view = target.reshape([1 << bits for _, bits in piece.parts])
        view[tuple(slice(0, size) for size in block.shape)] = elements(block)
    return table


ROW_BITS: Final = 9
"""Rows of an outer product are at least so long, where axes allow."""


class ColumnWeight:
    """The sum of column terms, as a weight on the committed table."""

    def __init__(self, layout: Layout, terms: Sequence[ColumnTerm], backend: Backend) -> None:
        self._pieces = layout.pieces
        self._backend = backend
        self._terms: dict[int, list[ColumnTerm]] = {}
        for term in terms:
            self._terms.setdefault(term.column, []).append(term)

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        """Add scale * weight to a table in place."""
        for piece in self._pieces:
            block = table[piece.offset : piece.offset + (1 << piece.variables)]
            for term in self._terms.get(piece.column, ()):
                parts = [_part(vector, piece, axis) for axis, vector in enumerate(term.vectors)]
                split = len(parts) - 1
                while split > 1 and sum(bits for _, bits in piece.parts[split:]) < ROW_BITS:
                    split -= 1
                heads = outer([to_array([scale * term.scale]), *parts[:split]], backend)
                backend.add_outer(block, heads, outer(parts[split:], backend))

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


class Prefixes:
    """eq of a point's first coordinates and a number, most significant bit first: numbers share their leading bits."""

    def __init__(self, point: Sequence[Ext]) -> None:
        self._choices = [(ONE - r, r) for r in point]
        self._known: dict[tuple[int, int], Ext] = {(0, 0): ONE}

    def eq(self, bits: int, number: int) -> Ext:
        """eq of ``number`` < 2^bits and the first ``bits`` coordinates."""
        known = self._known.get((bits, number))
        if known is None:
            known = self.eq(bits - 1, number >> 1) * self._choices[bits - 1][number & 1]
            self._known[bits, number] = known
        return known


def _part(vector: ExtWords, piece: Piece, axis: int) -> ExtWords:
    """A vector on one part of an axis, zero past its end."""
    start, bits = piece.parts[axis]
    part = vector[start : start + (1 << bits)]
    if part.shape[0] == 1 << bits:
        return part
    padded = np.zeros((1 << bits, 2), np.uint64)
    padded[: part.shape[0]] = part
    return padded
