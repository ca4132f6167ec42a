# SPDX-License-Identifier: Apache-2.0
"""The shapes of every level of a tree of fractions, as the core takes them (see ``native/src/gkr.h``)."""

from dataclasses import dataclass
from itertools import groupby
from math import prod
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.field import Words
from vcompute.proof.succinct.stack import Stack, bits_of

ROW: Final = 24
"""Words of a group's description; VC_GKR_ROW."""
MOST_AXES: Final = ROW - 8
MOST_BOUND: Final = 3
"""Variables that are bound before a unit box is stored; VC_MOST_BOUND."""
MOST_NODES_BOUND: Final = 2
"""Variables that are bound before nodes are stored; two to their power is VC_MOST_NODES."""
LEAVES, NODES = 1, 2
"""Kinds of groups: unit boxes, and the fractions of their leaves in pairs; VC_GKR_LEAVES and VC_GKR_NODES."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A box with some of its variables bound."""

    first: int
    """Variables left of its first axis."""
    rest: tuple[int, ...]

    @property
    def half(self) -> int:
        """Elements when one more is bound."""
        return prod(self.rest) << (self.first - 1)

    @property
    def pad(self) -> int:
        """Padding when one more is bound: the next axis becomes the first one."""
        return (1 << bits_of(self.rest[0])) * prod(self.rest[1:]) - self.half if self.first == 1 and self.rest else 0


def _shapes(axes: tuple[int, ...]) -> list[_Shape]:
    """A box at every level until it is one value."""
    return [_Shape(bits, axes[index + 1 :]) for index, size in enumerate(axes) for bits in range(bits_of(size), 0, -1)]


class Geometry:
    """The groups of every level: runs of boxes of one shape, in the stack's order; immutable."""

    def __init__(self, stack: Stack, unit: frozenset[int]) -> None:
        self.levels = stack.levels
        self.boxes = len(stack.boxes)
        runs = groupby(stack.order, key=lambda box: (axes_of(stack, box), box in unit and stack.bits[box] > 1))
        self.unit: list[int] = []
        """The unit boxes, in order."""
        found: list[tuple[list[_Shape], bool, int, int]] = []
        self.row_sizes: list[tuple[int, int]] = []
        for (axes, is_unit), group in runs:
            boxes = list(group)
            found.append((_shapes(axes), is_unit, len(boxes), stack.places[boxes[0]]))
            self.unit += boxes if is_unit else []
            self.row_sizes.append((axes[0], 1 << bits_of(axes[0])) if is_unit else (0, 0))
        self.row_stride = 2 * max((1 << bits_of(n) for box in self.unit for n in stack.boxes[box]), default=1)
        self.groups: list[Words] = []
        self.sizes: list[tuple[int, int]] = []
        """Values stored of all boxes, and of those that are no unit boxes, at every level."""
        for s in range(stack.variables):
            rows, every, general = [], 0, 0
            for shapes, is_unit, count, place in found:
                if s < len(shapes):
                    shape, bits = shapes[s], len(shapes) - s
                    row = [
                        count,
                        shape.half,
                        shape.pad,
                        is_unit,
                        place,
                        bits,
                        shape.first,
                        len(shape.rest),
                        *shape.rest,
                    ]
                    rows.append([*row, *[0] * (ROW - len(row))])
                    every += 2 * count * shape.half
                    general += 0 if is_unit else 2 * count * shape.half
            self.groups.append(np.array(rows, np.uint64).reshape(-1, ROW))
            self.sizes.append((every, general))
        self.sizes.append((0, 0))
        self._lay_out(found)
        self.general_boxes = self._general_boxes(stack)
        """The boxes of leaves that are no unit boxes: number, length (padded along the first axis), and where
        numerators and denominators stand at level 0: those of all boxes with variables, then those of single values.
        """
        self.general = [groups.copy() for groups in self.groups]
        """The groups of levels above the leaves, where no box is a unit box."""
        for groups in self.general:
            groups[:, 3] = 0
        self.nodes = [groups.copy() for groups in self.groups]
        """The groups of levels above the leaves in the layer of nodes."""
        for groups in self.nodes:
            groups[groups[:, 3] == LEAVES, 3] = NODES
        self._steps = [self._described(levels) for levels in (self.general, self.groups, self.nodes)]
        least = 8 * (self.boxes + 1)
        words = [_native.lib.vc_gkr_scratch(step.groups, step.count) for step in self._steps[0][0 : len(self.groups)]]
        self._scratch: list[int] = [max(most, least) for most in words]

    def _lay_out(self, found: list[tuple[list[_Shape], bool, int, int]]) -> None:
        """What the tables of each layer take beside the level itself."""
        self.lazy = np.zeros(len(found), np.uint64)
        """For each group of leaves: variables of its first axis that are bound before a unit box is stored."""
        self.unit_sizes = np.zeros(len(found), np.uint64)
        """Elements of a unit box then."""
        self.lazy_nodes = np.zeros(len(found), np.uint64)
        """For each group of unit boxes: variables that are bound before their nodes are stored."""
        self.extra = [0] * (len(self.groups) + 1)
        """Elements of the boxes that a layer pads at once, all four tables."""
        for number, (shapes, is_unit, count, _) in enumerate(found):
            if is_unit:
                lazy = min(MOST_BOUND, shapes[0].first - 1)
                self.lazy_nodes[number] = max(min(MOST_NODES_BOUND, shapes[0].first - 2), 0)
                self.lazy[number], self.unit_sizes[number] = lazy, shapes[lazy].half + shapes[lazy].pad
            for s, shape in enumerate(shapes):
                if shape.pad and (s or not is_unit):
                    self.extra[s] += 4 * count * (shape.half + shape.pad)
        counts = np.array([count for _, _, count, _ in found], np.uint64)
        self.unit_elements = int((2 * counts * self.unit_sizes).sum())
        """Elements of both tables of all unit boxes."""

    def _general_boxes(self, stack: Stack) -> list[tuple[int, int, int, int]]:
        result, unit, size, tail = [], set(self.unit), self.sizes[0][1], self.levels[0].tail
        at, single = 0, 2 * size
        for box in stack.order:
            if not stack.bits[box]:
                result.append((box, 1, single, single + tail))
                single += 1
            elif box not in unit:
                axes = axes_of(stack, box)
                length = prod(axes[1:]) << bits_of(axes[0])
                result.append((box, length, at, size + at))
                at += length
        return result

    def _described(self, levels: list[Words]) -> Any:
        """Every level as C sees it."""
        steps = _native.ffi.new("vc_gkr_step[]", len(levels) + 1)
        for step, rows, level in zip(steps, levels, self.levels, strict=False):
            step.groups, step.count, step.tail_place = (
                _native.ffi.from_buffer("uint64_t[]", rows),
                len(rows),
                level.tail_start // 2,
            )
        return steps

    def steps(self, s: int, kind: int) -> Any:
        """Levels s, s + 1, ... as C sees them, unit boxes of a kind."""
        return self._steps[kind] + s

    def scratch(self, s: int) -> int:
        """Words that the rounds of layer s take."""
        return self._scratch[s]

    def of_kind(self, kind: int) -> list[Words]:
        """The groups of every level, unit boxes of a kind."""
        return (self.general, self.groups, self.nodes)[kind]


def axes_of(stack: Stack, box: int) -> tuple[int, ...]:
    return tuple(size for size in stack.boxes[box] if size > 1)


def supports(stack: Stack) -> bool:
    """Whether every box fits the kernel's description of a level."""
    return all(len(axes_of(stack, box)) <= MOST_AXES for box in range(len(stack.boxes)))
