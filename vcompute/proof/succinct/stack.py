# SPDX-License-Identifier: Apache-2.0
"""Boxes of different sizes in one cube of M variables.

A box is a row-major tensor. Its axes are padded to powers of two, which gives it m variables, the bits of its index,
most significant first: its own variables. The boxes, larger first, stand one behind the other in a cube of M variables,
each on an aligned subcube whose place is the bits of its number (offset / 2^m). **A point's coordinates are a box's own
variables first, then its place, least significant bit first.** So binding variable 0, then 1, ... halves every box by
itself until it is one value, which then meets its neighbours.

A *level* s holds the table after s variables are bound, as one flat array: the boxes that still have variables, then
the tail of single values. What no box covers has a known default and is not stored.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vcompute.field import ONE, Backend, Ext, ExtWords, to_array
from vcompute.field.scalar import eq_index


def bits_of(size: int) -> int:
    """Variables of an axis."""
    return (size - 1).bit_length()


@dataclass(frozen=True, slots=True)
class Level:
    """The shape of a level: (number of boxes, variables left) of each size, and the length of the tail."""

    groups: tuple[tuple[int, int], ...]
    tail: int
    tail_start: int
    """The place of the tail's first value among all values of the level."""

    @property
    def size(self) -> int:
        """Values stored."""
        return sum(count << bits for count, bits in self.groups) + self.tail


class Stack:
    """The places of boxes; immutable."""

    def __init__(self, boxes: Sequence[tuple[int, ...]]) -> None:
        self.boxes = tuple(boxes)
        self.bits = tuple(sum(map(bits_of, box)) for box in boxes)
        self.order = tuple(sorted(range(len(boxes)), key=lambda i: (-self.bits[i], i)))
        places, total = [0] * len(boxes), 0
        for index in self.order:
            places[index] = total >> self.bits[index]
            total += 1 << self.bits[index]
        self.places = tuple(places)
        self.variables = max(1, bits_of(total))

    @cached_property
    def levels(self) -> tuple[Level, ...]:
        """Every level from 0 to ``variables``."""
        sizes = [self.bits[index] for index in self.order]
        levels, tail = [], 0
        for s in range(self.variables + 1):
            tail = sizes.count(s) + ((tail + 1) // 2 if s else 0)
            left = sorted({size - s for size in sizes if size > s}, reverse=True)
            groups = tuple((sizes.count(bits + s), bits) for bits in left)
            levels.append(Level(groups, tail, sum(count << bits for count, bits in groups)))
        return tuple(levels)

    def place(self, box: int, point: Sequence[Ext]) -> Ext:
        """eq of a box's place and the point."""
        return eq_index(self.places[box], list(reversed(point[self.bits[box] :])))

    def axes(self, box: int, point: Sequence[Ext], backend: Backend) -> list[ExtWords]:
        """eq of each axis of a box and the point's coordinates for it, cut to the axis's length."""
        vectors, used = [], 0
        for size in self.boxes[box]:
            bits = bits_of(size)
            vectors.append(backend.eq_tensor(point[used : used + bits])[:size])
            used += bits
        return vectors

    def assemble(self, tables: Sequence[ExtWords], default: tuple[int, int]) -> ExtWords:
        """Level 0 from each box's own tensor, extension elements (*dims, 2)."""
        parts = []
        for index in self.order:
            padded = np.empty((*(1 << bits_of(size) for size in self.boxes[index]), 2), np.uint64)
            padded[...] = np.array(default, np.uint64)
            padded[tuple(slice(0, size) for size in self.boxes[index])] = tables[index]
            parts.append(padded.reshape(-1, 2))
        return np.concatenate(parts)

    def halves(self, table: ExtWords, s: int, default: ExtWords) -> tuple[ExtWords, ExtWords]:
        """The values of level s with its first variable 0, and 1; each in the shape of level s + 1."""
        low, high, start = [], [], 0
        for count, bits in self.levels[s].groups:
            block = table[start : start + (count << bits)].reshape(count, 2, -1, 2)
            start += count << bits
            low.append(block[:, 0].reshape(-1, 2))
            high.append(block[:, 1].reshape(-1, 2))
        tail = table[start:]
        if tail.shape[0] % 2:
            tail = np.concatenate([tail, default.reshape(1, 2)])
        return np.concatenate([*low, tail[0::2]]), np.concatenate([*high, tail[1::2]])

    def eq(self, s: int, rest: Sequence[Ext], backend: Backend) -> ExtWords:
        """eq of every stored value of level s and the coordinates ``rest`` of variables s, s + 1, ..."""
        level, parts, start = self.levels[s], [], 0
        for count, bits in level.groups:
            inner = backend.eq_tensor(rest[:bits])
            outer = eq_places_numpy(start >> bits, count, rest[bits:], backend)
            parts.append(backend.ext_mul(_spread(outer, inner.shape[0]), np.tile(inner, (count, 1))))
            start += count << bits
        parts.append(eq_places_numpy(level.tail_start, level.tail, rest, backend))
        return np.concatenate(parts)


def _spread(outer: ExtWords, inner: int) -> ExtWords:
    """Each element ``inner`` times in a row."""
    return np.repeat(outer, inner, axis=0)


def eq_places_numpy(first: int, count: int, point: Sequence[Ext], backend: Backend) -> ExtWords:
    """eq of the numbers first, first + 1, ... and a point, least significant bit first."""
    result = np.tile(to_array([ONE]), (count, 1))
    numbers = np.arange(first, first + count)
    for place, r in enumerate(point):
        choice = to_array([ONE - r, r])
        result = backend.ext_mul(result, choice[(numbers >> place) & 1])
    return result
