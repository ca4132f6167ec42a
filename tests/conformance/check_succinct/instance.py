# SPDX-License-Identifier: Apache-2.0
"""What follows from a commitment and the batch size: columns, tables, boxes, layouts."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2
from field import ONE, Element, bits_of, demand, eq_bits, eq_table, mul


class Stack:
    """Boxes in one cube, larger first: a point's coordinates are a box's own, then its place's, least first."""

    def __init__(self, boxes: Sequence[tuple[int, ...]]) -> None:
        self.boxes, self.bits = list(boxes), [sum(map(bits_of, box)) for box in boxes]
        total, self.places = 0, [0] * len(boxes)
        for index in sorted(range(len(boxes)), key=lambda i: (-self.bits[i], i)):
            self.places[index] = total >> self.bits[index]
            total += 1 << self.bits[index]
        self.variables = max(1, bits_of(total))

    def place(self, box: int, point: Sequence[Element]) -> Element:
        return eq_bits(self.places[box], list(point[self.bits[box] :])[::-1])

    def axes(self, box: int, point: Sequence[Element]) -> list[list[Element]]:
        vectors, used = [], 0
        for size in self.boxes[box]:
            vectors.append(eq_table(point[used : used + bits_of(size)])[:size])
            used += bits_of(size)
        return vectors


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


def layout(boxes: Sequence[tuple[int, ...]]) -> tuple[dict[tuple[int, ...], int], int]:
    """The place of every element (box number, then index) in the committed table, and the table's length."""
    blocks = []
    for number, box in enumerate(boxes):
        choices = [sorted({cut(size, most) for most in (1, 2, 3)}, key=len) for size in box]
        best = min(
            itertools.product(*choices),
            key=lambda cuts: (
                math.prod(sum(1 << bits for _, bits in axis) for axis in cuts) + 256 * math.prod(map(len, cuts))
            ),
        )
        blocks += [(number, parts) for parts in itertools.product(*best)]
    blocks.sort(key=lambda block: -sum(bits for _, bits in block[1]))
    places, offset = {}, 0
    for number, parts in blocks:
        for inner in itertools.product(*(range(1 << bits) for _, bits in parts)):
            index = tuple(start + i for (start, _), i in zip(parts, inner, strict=True))
            if all(i < size for i, size in zip(index, boxes[number], strict=True)):
                places[(number, *index)] = offset
            offset += 1
    return places, max(offset, 1)


@dataclass
class Table:
    """A lookup table: (u, v, s) of each row."""

    rows: list[tuple[int, int, int]]


@dataclass
class Node:
    """A FULLY_CONNECTED node."""

    width: int
    depth: int
    zero: int
    low: int
    high: int
    rounding: int
    clear: list[list[int]] = field(default_factory=list)
    limbs: int = 0
    two_sided: bool = False
    least: int = 0
    greatest: int = 0
    column: int = 0
    limb_columns: list[int] = field(default_factory=list)
    sign: int = -1
    table: int = 0


class Instance:
    """What follows from a commitment and the batch size."""

    def __init__(self, record: dict[int, Any], batch: int) -> None:
        graph = cbor2.loads(record[2])
        self.batch, self.limb_bits, self.input_zero = batch, record[5], graph[1][0][2]
        clear = {item[0]: item[1] for item in record[7]}
        self.nodes: list[Node] = []
        for index, node in enumerate(graph[3]):
            opcode, attributes = node[0]
            demand(opcode == 3 and node[1] == [index], "not FULLY_CONNECTED nodes in a row")
            width, depth = graph[2][node[2][0]][1]
            made = Node(width, depth, node[3][2], attributes[1], attributes[2], attributes[0])
            if index == len(graph[3]) - 1:
                multiplier, shift = (clear[number] for number in node[2][2:])
                made.clear = [signed(multiplier, 4), signed(shift, 1)]
            self.nodes.append(made)
        self.clear_order = sorted(clear)
        demand([item[0] for item in record[6]] == list(range(len(self.nodes) - 1)), "constants of other nodes")
        for item in record[6]:
            made, plan = self.nodes[item[0]], item[1]
            made.limbs, made.two_sided, made.least, made.greatest = plan[0], bool(plan[1]), plan[2], plan[3]
        self.compile()

    def compile(self) -> None:
        """Columns, tables, leaves, products and layouts."""
        proved = self.nodes[:-1]
        spans: dict[tuple[int, int], list[int]] = {}
        for node in proved:
            if not node.two_sided:
                spans.setdefault((node.low, node.high), []).extend((node.least + node.zero, node.greatest + node.zero))
        self.tables = [Table([(i, 0, 0) for i in range(1 << self.limb_bits)])]
        numbers = {}
        for (low, high), ends in sorted(spans.items()):
            numbers[low, high] = len(self.tables)
            rows = range(min(ends), max(ends) + 1)
            self.tables.append(Table([(u, min(max(u, low), high), 0) for u in rows]))
        self.columns: list[tuple[int, ...]] = []
        leaves: list[int] = []
        for node in proved:
            box = (self.batch, node.width)
            node.column, node.limb_columns = len(self.columns), []
            leaves.append(node.column)
            self.columns.append(box)
            for _ in range(node.limbs):
                node.limb_columns.append(len(self.columns))
                leaves.append(len(self.columns))
                self.columns.append(box)
            if node.two_sided:
                node.sign = len(self.columns)
                self.columns.append(box)
                node.table = len(self.tables)
                first = node.least - node.least % 2
                rows = [(h, min(max(h // 2 + node.zero, node.low), node.high), int(h <= 0))
                        for h in range(first, node.greatest + 1)]  # fmt: skip
                self.tables.append(Table(rows))
            else:
                node.table = numbers[node.low, node.high]
        self.counts = []
        for table in self.tables:
            self.counts.append(len(self.columns))
            leaves.append(len(self.columns))
            self.columns.append((len(table.rows),))
        self.leaf_of = {column: leaf for leaf, column in enumerate(leaves)}
        self.leaves = Stack([self.columns[column] for column in leaves])
        boxes: list[tuple[int, ...]] = []
        self.boxes: list[tuple[int, int, int]] = []
        weights: list[tuple[int, ...]] = []
        self.weight_of: dict[tuple[int, str], int] = {}
        for index, node in enumerate(self.nodes):
            step = -1
            if node.two_sided:
                step = len(boxes)
                boxes.append((node.width,))
            boxes += [(node.depth,), ()]
            self.boxes.append((len(boxes) - 2, len(boxes) - 1, step))
            for part, box in (("kernel", (node.width, node.depth)), ("bias", (node.width,)), ("step", (node.width,))):
                if part != "step" or node.two_sided:
                    self.weight_of[index, part] = len(weights)
                    weights.append(box)
        self.products = Stack(boxes)
        self.places, self.length = layout(self.columns)
        self.weight_places, self.weight_length = layout(weights)


def signed(data: bytes, size: int) -> list[int]:
    return [int.from_bytes(data[at : at + size], "little", signed=True) for at in range(0, len(data), size)]
