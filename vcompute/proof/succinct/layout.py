# SPDX-License-Identifier: Apache-2.0
"""Columns in one committed table: each axis is cut into a few power-of-two parts, so a column is a few aligned blocks.

Padding a box to powers of two would nearly double it; three parts an axis leave a few percent.
"""

from dataclasses import dataclass
from itertools import product
from typing import Final

from vcompute.proof.succinct.stack import bits_of

MOST_PARTS: Final = 3
PIECE_COST: Final = 256
"""What one more piece may cost in elements: the verifier's work grows with pieces."""


@dataclass(frozen=True, slots=True)
class Piece:
    """A block of a column: for each axis (start, variables), and its offset in the table."""

    column: int
    parts: tuple[tuple[int, int], ...]
    offset: int

    @property
    def variables(self) -> int:
        """Variables of the block."""
        return sum(bits for _, bits in self.parts)


@dataclass(frozen=True, slots=True, eq=False)
class Layout:
    """The pieces of a table, larger first, and its length. Equal to itself alone, by which things are kept."""

    pieces: tuple[Piece, ...]
    length: int


def cut_axis(size: int, most: int) -> tuple[tuple[int, int], ...]:
    """At most ``most`` parts (start, variables) that cover an axis: its highest bits, the last part rounded up."""
    parts: list[tuple[int, int]] = []
    start = 0
    while start < size:
        rest = size - start
        bits = bits_of(rest) if len(parts) + 1 == most or rest & (rest - 1) == 0 else rest.bit_length() - 1
        parts.append((start, bits))
        start += 1 << bits
    return tuple(parts)


def _cut(box: tuple[int, ...]) -> tuple[tuple[tuple[int, int], ...], ...]:
    """The cut of every axis with the least elements and pieces together."""
    choices = [sorted({cut_axis(size, most) for most in range(1, MOST_PARTS + 1)}, key=len) for size in box]

    def cost(cuts: tuple[tuple[tuple[int, int], ...], ...]) -> int:
        elements, pieces = 1, 1
        for axis in cuts:
            elements *= sum(1 << bits for _, bits in axis)
            pieces *= len(axis)
        return elements + PIECE_COST * pieces

    return min(product(*choices), key=cost)


def lay_out(columns: tuple[tuple[int, ...], ...]) -> Layout:
    """The layout of columns of these boxes; deterministic."""
    blocks = [(column, parts) for column, box in enumerate(columns) for parts in product(*_cut(box))]
    blocks.sort(key=lambda block: -sum(bits for _, bits in block[1]))
    pieces, offset = [], 0
    for column, parts in blocks:
        piece = Piece(column, parts, offset)
        pieces.append(piece)
        offset += 1 << piece.variables
    return Layout(tuple(pieces), max(offset, 1))
