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
from itertools import accumulate

import numpy as np

from vcompute.field import ONE, Backend, Ext, ExtWords, to_array
from vcompute.proof.succinct.contract import vector_sum


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

    @cached_property
    def parts(self) -> tuple[tuple[tuple[int, int], ...], ...]:
        """For each box where each axis's coordinates begin, and its length."""
        result = []
        for box in self.boxes:
            used = (0, *accumulate(map(bits_of, box)))
            result.append(tuple(zip(used, box, strict=False)))
        return tuple(result)

    def at(self, point: Sequence[Ext], backend: Backend) -> "AtPoint":
        """The boxes at a point."""
        return AtPoint(self, point, backend)

    def assemble(self, tables: Sequence[ExtWords], default: tuple[int, int]) -> ExtWords:
        """Level 0 from each box's own tensor, extension elements (*dims, 2)."""
        parts = []
        for index in self.order:
            padded = np.empty((*(1 << bits_of(size) for size in self.boxes[index]), 2), np.uint64)
            padded[...] = np.array(default, np.uint64)
            padded[tuple(slice(0, size) for size in self.boxes[index])] = tables[index]
            parts.append(padded.reshape(-1, 2))
        return np.concatenate(parts)

    def put(self, table: ExtWords, box: int, tensor: ExtWords) -> None:
        """Write a box's own tensor, extension elements (*dims, 2), to its place in level 0."""
        part, padded, inside = self._own[box]
        table[part].reshape(padded)[inside] = tensor.reshape(*self.boxes[box], 2)

    @cached_property
    def _own(self) -> tuple[tuple[slice, tuple[int, ...], tuple[slice, ...]], ...]:
        """For each box its part of level 0, the shape of that with the padding, and the box's own elements there."""
        result = []
        for place, bits, dims in zip(self.places, self.bits, self.boxes, strict=True):
            part = slice(place << bits, (place + 1) << bits)
            padded = (*(1 << bits_of(size) for size in dims), 2)
            result.append((part, padded, tuple(slice(0, size) for size in dims)))
        return tuple(result)

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


class AtPoint:
    """What each box weighs at a point. Boxes share axes and leading bits of their places: each is computed once."""

    def __init__(self, stack: Stack, point: Sequence[Ext], backend: Backend) -> None:
        self._stack, self._backend = stack, backend
        self.point = list(point)
        self._prefixes = Prefixes(list(reversed(point)))
        self._vectors: dict[tuple[int, int], ExtWords] = {}
        self._sums: dict[tuple[int, int], Ext] = {}
        self._axes: dict[tuple[tuple[int, int], ...], tuple[ExtWords, ...]] = {}

    def place(self, box: int) -> Ext:
        """eq of a box's place and the point."""
        return self._prefixes.eq(len(self.point) - self._stack.bits[box], self._stack.places[box])

    def axes(self, box: int) -> tuple[ExtWords, ...]:
        """eq of each axis of a box and the point's coordinates for it, cut to the axis's length."""
        parts = self._stack.parts[box]
        if parts not in self._axes:
            self._axes[parts] = tuple(self._vector(used, size) for used, size in parts)
        return self._axes[parts]

    def mass(self, box: int) -> Ext:
        """The sum of eq over a box: the product of its axes' sums."""
        result = ONE
        for used, size in self._stack.parts[box]:
            if (used, size) not in self._sums:
                self._sums[used, size] = vector_sum(self._vector(used, size))
            result = result * self._sums[used, size]
        return result

    def _vector(self, used: int, size: int) -> ExtWords:
        if (used, size) not in self._vectors:
            whole = self._backend.eq_tensor(self.point[used : used + bits_of(size)])
            self._vectors[used, size] = whole[:size]
        return self._vectors[used, size]


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
