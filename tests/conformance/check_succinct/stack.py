# SPDX-License-Identifier: Apache-2.0
"""Boxes in one cube, and columns in one committed table."""

import itertools
import math
from collections.abc import Sequence

from field import ONE, Element, bits_of, eq_bits, eq_table, mul

Box = tuple[int, ...]


class Stack:
    """Boxes in one cube, larger first: a point's coordinates are a box's own, then its place's, least first."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        self.boxes, self.bits = list(boxes), [sum(map(bits_of, box)) for box in boxes]
        total, self.places = 0, [0] * len(boxes)
        for index in sorted(range(len(boxes)), key=lambda i: (-self.bits[i], i)):
            self.places[index] = total >> self.bits[index]
            total += 1 << self.bits[index]
        self.variables = max(1, bits_of(total))

    def place(self, box: int, point: Sequence[Element]) -> Element:
        return eq_bits(self.places[box], list(point[self.bits[box] :])[::-1])

    def axes(self, box: int, point: Sequence[Element]) -> list[list[Element]]:
        """For each axis of a box eq of the point and its indices."""
        vectors, used = [], 0
        for size in self.boxes[box]:
            vectors.append(eq_table(point[used : used + bits_of(size)])[:size])
            used += bits_of(size)
        return vectors

    def at(self, box: int, point: Sequence[Element]) -> tuple[Element, list[list[Element]]]:
        """The place's and the axes' part of what each element of a box weighs."""
        return self.place(box, point), self.axes(box, point)


def outer(vectors: Sequence[Sequence[Element]]) -> list[Element]:
    result = [ONE]
    for vector in vectors:
        result = [mul(a, b) for a in result for b in vector]
    return result


def cut(size: int, most: int) -> tuple[tuple[int, int], ...]:
    parts, start = [], 0
    while start < size:
        rest = size - start
        last = len(parts) + 1 == most or rest & rest - 1 == 0
        bits = bits_of(rest) if last else rest.bit_length() - 1
        parts.append((start, bits))
        start += 1 << bits
    return tuple(parts)


def cost(cuts: tuple[tuple[tuple[int, int], ...], ...]) -> int:
    """Elements, and 256 for each piece."""
    return math.prod(sum(1 << bits for _, bits in axis) for axis in cuts) + 256 * math.prod(map(len, cuts))


class Layout:
    """Where each element of columns stands in their committed table."""

    def __init__(self, boxes: Sequence[Box]) -> None:
        blocks = []
        for number, box in enumerate(boxes):
            choices = [sorted({cut(size, most) for most in (1, 2, 3)}, key=len) for size in box]
            best = min(itertools.product(*choices), key=cost)
            blocks += [(number, parts) for parts in itertools.product(*best)]
        blocks.sort(key=lambda block: -sum(bits for _, bits in block[1]))
        self.places = [[0] * math.prod(box) for box in boxes]
        """By column, then by row-major index."""
        offset = 0
        for number, parts in blocks:
            box = boxes[number]
            for inner in itertools.product(*(range(1 << bits) for _, bits in parts)):
                flat = 0
                for (start, _), i, size in zip(parts, inner, box, strict=True):
                    if start + i >= size:
                        break
                    flat = flat * size + start + i
                else:
                    self.places[number][flat] = offset
                offset += 1
        self.length = max(offset, 1)
