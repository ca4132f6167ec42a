# SPDX-License-Identifier: Apache-2.0
"""What follows from a graph, its public constants and the batch size: columns, tables, boxes, layouts."""

import itertools
from dataclasses import dataclass, field

from field import Element, demand
from graph import BILINEAR, CONV, DEPTHWISE, MAPS, MATRICES, MAXIMUM, PROVED, Node
from holder import Holder, Plan
from semantics import Tensor, clamp, evaluate, signed
from stack import Box, Layout, Stack, outer

POSITIVE_PART = (0, 255)
Rows = list[tuple[int, int, int]]
"""(u, v, s) of each row of a table."""


@dataclass
class Proved:
    """A proved node's columns, by number, and tables."""

    node: Node
    plan: Plan | None = None
    column: int = -1
    limbs: list[int] = field(default_factory=list)
    raised: int = -1
    """The leaf of a divided node's highest limbs plus their gaps."""
    sign: int = -1
    table: int = -1
    maxima: list[int] = field(default_factory=list)
    positive: int = -1
    """The table of the maxima."""


@dataclass
class Boxes:
    """The boxes of a linear node in the stack of products, and its columns of weights; -1 for none."""

    step: int
    inverse: int
    kernel: int
    bias: int
    weights: dict[str, int]


def keys_fit(least: int, greatest: int, unit: int) -> bool:
    """VC-SUC-025, for keys before the zero point."""
    return unit <= 60 and (max(abs(least), abs(greatest)) + 1) << unit <= 1 << 63


def clamped(first: int, last: int, low: int, high: int) -> Rows:
    return [(u, clamp(u, low, high), 0) for u in range(first, last + 1)]


class Instance:
    """What follows from a graph, its public constants and the batch size."""

    def __init__(self, holder: Holder, batch: int) -> None:
        self.graph, self.holder, self.batch, self.limb_bits = holder.graph, holder, batch, holder.limb_bits
        self.columns: list[Box] = []
        self.boxes_of_leaves: list[Box] = []
        self.leaf_of: dict[int, int] = {}
        """The leaf of each column that has one."""
        self.tables: list[Rows] = [[(i, 0, 0) for i in range(1 << self.limb_bits)]]
        self.shared = self._shared_tables()
        self.proved = {node.index: self._prove(node) for node in self.graph.nodes_of(PROVED)}
        self.counts = [self._column((len(table),)) for table in self.tables]
        self.leaves = Stack(self.boxes_of_leaves)
        self.boxes: dict[int, Boxes] = {}
        self._stack_products()
        crossed = {index: self._crossed(proved.node) for index, proved in self.proved.items()
                   if proved.node.operator in BILINEAR}  # fmt: skip
        self.crossed = {index: box for box, index in enumerate(crossed)}
        self.crossings = Stack(list(crossed.values()) or [()])
        self.layout = Layout(self.columns)

    def box(self, node: int) -> Box:
        """The box of a node's columns."""
        return (self.batch, *itertools.chain(*self.graph.factors[self.graph.first + node]))

    def by_axis(self, node: int, vectors: list[list[Element]]) -> list[list[Element]]:
        """The vectors of a node's box, samples and then factors, as one for the samples and one for each axis."""
        rest = iter(vectors[1:])
        return [
            vectors[0],
            *(outer([next(rest) for _ in part]) for part in self.graph.factors[self.graph.first + node]),
        ]

    def _column(self, box: Box, leaf: bool = True) -> int:
        if leaf:
            self.leaf_of[len(self.columns)] = self._leaf(box)
        self.columns.append(box)
        return len(self.columns) - 1

    def _leaf(self, box: Box) -> int:
        self.boxes_of_leaves.append(box)
        return len(self.boxes_of_leaves) - 1

    def _shared_tables(self) -> dict[tuple[int, int], int]:
        """One table for each clamp, over all keys of the nodes that have it."""
        spans: dict[tuple[int, int], list[int]] = {}
        for index, plan in self.holder.plans.items():
            node = self.graph.nodes[index]
            if not plan.two_sided:
                spans.setdefault(node.clamp, []).extend((plan.least + node.added, plan.greatest + node.added))
        for node in self.graph.nodes_of(PROVED):
            if node.operator == MAXIMUM:
                spans.setdefault(POSITIVE_PART, []).extend((-255, 255))
                if self._clamps(node):
                    spans.setdefault(node.clamp, []).extend((-128, 127))
        numbers = {}
        for span in sorted(spans):
            numbers[span] = len(self.tables)
            self.tables.append(clamped(min(spans[span]), max(spans[span]), *span))
        return numbers

    @staticmethod
    def _clamps(node: Node) -> bool:
        return node.clamp != (-128, 127) or node.attributes[1] * node.attributes[2] == 1

    def _prove(self, node: Node) -> Proved:
        box, proved = self.box(node.index), Proved(node)
        if node.operator == MAXIMUM:
            proved.maxima = [self._column(box) for _ in range(1, node.attributes[1] * node.attributes[2])]
            proved.positive = self.shared[POSITIVE_PART]
            if self._clamps(node):
                proved.column, proved.table = self._column(box), self.shared[node.clamp]
            else:
                proved.column = proved.maxima[-1]
            return proved
        proved.column = self._column(box)
        if node.operator in MAPS:
            proved.table = self._own(self._map(node))
            return proved
        plan = proved.plan = self.holder.plans[node.index]
        proved.limbs = [self._column(box) for _ in range(plan.limbs)]
        if plan.divided:
            proved.raised = self._leaf(box)
        unit = plan.limbs * self.limb_bits
        if plan.two_sided:
            demand(keys_fit(plan.least, plan.greatest, unit), "keys that wrap in the field")
            proved.sign = self._column(box, leaf=False)
            first = plan.least - plan.least % 2
            proved.table = self._own(
                [(h, clamp(h // 2 + node.added, *node.clamp), int(h <= 0)) for h in range(first, plan.greatest + 1)]
            )
            return proved
        proved.table = self.shared[node.clamp]
        keys = [row[0] - node.added for row in self.tables[proved.table]]
        if not keys_fit(keys[0], keys[-1], unit):
            demand(keys_fit(plan.least, plan.greatest, unit), "keys that wrap in the field")
            ends = plan.least + node.added, plan.greatest + node.added
            proved.table = self._own(clamped(*ends, *node.clamp))
        return proved

    def _own(self, rows: Rows) -> int:
        self.tables.append(rows)
        return len(self.tables) - 1

    def _map(self, node: Node) -> Rows:
        """The 256 rows of a QUANTIZE or LOGISTIC."""
        zero = self.graph.values[node.inputs[0]].zero
        constants = [Tensor((256,), signed(self.holder.constants[number], 1)) for number in node.constants]
        operand, out = Tensor((256,), list(range(-128, 128)), zero), node.value.zero
        found = evaluate(node.operator, node.attributes, [operand], constants, (256,), out)
        return [(u, v, 0) for u, v in zip(range(-128, 128), found, strict=True)]

    def _stack_products(self) -> None:
        boxes: list[Box] = []
        for node in self.graph.weighted:
            kernel = self.graph.constants[node.constants[0]][1]
            window = {CONV: kernel[1:3], DEPTHWISE: kernel[:2]}.get(node.operator, ())
            step = inverse = -1
            proved, channels = self.proved.get(node.index), self.graph.factors[self.graph.first + node.index][-1]
            if proved and proved.sign >= 0:
                step = len(boxes)
                boxes.append(channels)
            if proved and proved.raised >= 0:
                inverse = len(boxes)
                boxes.append(channels)
            boxes += [(*window, *self.graph.factors[node.inputs[0]][-1]), ()]
            weights = self.holder.weight_columns[node.index]
            self.boxes[node.index] = Boxes(step, inverse, len(boxes) - 2, len(boxes) - 1, weights)
        self.products = Stack(boxes or [()])

    def _crossed(self, node: Node) -> Box:
        """The box of a product of two values: a matrix product's has its inner axis last."""
        if node.operator != MATRICES:
            return (self.batch, *node.value.shape)
        shape = self.graph.values[node.inputs[0]].shape
        return (self.batch, *node.value.shape[:-2], shape[-2 if node.attributes[0] else -1])
