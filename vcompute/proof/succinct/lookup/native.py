# SPDX-License-Identifier: Apache-2.0
"""The native twin of :class:`vcompute.proof.succinct.lookup.tree.NumpyTree`: the same messages, from tables that are
hardly padded and leaves that are integers as long as they can be (see ``native/src/gkr.h``).
"""

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.field import ONE, ZERO, Ext, ExtWords, Words, from_array, to_array
from vcompute.field.native import LEAST_PART, NativeBackend
from vcompute.proof.succinct.lookup.boxes import CountedLeaves, UnitLeaves, words
from vcompute.proof.succinct.lookup.geometry import LEAVES, NODES, Geometry
from vcompute.proof.succinct.lookup.tree import Pair, Rounds
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript

GRID: Final = 27
"""Elements of a group's grid; half of VC_GRID_WORDS."""
MOST_AT_ONCE: Final = 1 << 17
"""Elements of the largest level that is taken together with all above it: a millisecond or a few until the next place
where a prover may be stopped.
"""


def _place(level: Any, start: Any, boxes: int, tail: int) -> None:
    """Lay a level out: numerators and denominators of its boxes, then of its tail."""
    level.n, level.d = start, start + 2 * boxes
    level.tail_n, level.tail_d = start + 4 * boxes, start + 4 * boxes + 2 * tail
    level.tail_count = tail


class NativeTree:
    """See :class:`vcompute.proof.succinct.lookup.tree.Tree`."""

    def __init__(
        self,
        stack: Stack,
        geometry: Geometry,
        unit: Mapping[int, UnitLeaves],
        general_leaves: Mapping[int, tuple[ExtWords, ExtWords] | CountedLeaves],
        backend: NativeBackend | None = None,
    ) -> None:
        """``unit`` and ``general_leaves`` (numerators and denominators, flat, or what they are made of) hold the boxes
        of leaves between them.
        """
        self.variables = stack.variables
        self._geometry = geometry
        self._backend = backend or NativeBackend()
        self._unit = [unit[box] for box in geometry.unit]
        self._leaves = _native.ffi.new("vc_gkr_leaf[]", max(len(self._unit), 1))
        for handle, leaves in zip(self._leaves, self._unit, strict=False):
            leaves.describe(handle)
        self._constants = np.concatenate([*(leaves.constants for leaves in self._unit), np.empty((0, 2), np.uint64)])
        if len(self._constants) != 4 * len(self._unit):
            raise ValueError("expected four constants for each box")
        self._levels = _native.ffi.new("vc_gkr_level[]", stack.variables)
        self._whole = self._first_whole()
        self._held = [self._lowest(general_leaves)]
        """What the levels stand in: each up to the first whole one, then all others."""
        for s in range(1, min(self._whole + 1, stack.variables)):
            self._held.append(self._add(s))
        if self._whole + 1 < stack.variables:
            self._held.append(self._add_whole())

    def _first_whole(self) -> int:
        """From this level on levels have no unit boxes and are so small that the core takes them all at once."""
        s, sizes = 2, self._geometry.sizes
        while s < self.variables and (sizes[s][0] > MOST_AT_ONCE or self._backend.part_count(8 * sizes[s][0]) > 1):
            s += 1
        return s

    def _add(self, s: int) -> ExtWords:
        """Level s from the one below."""
        geometry, size, tail = self._geometry, self._geometry.sizes[s][0], self._geometry.levels[s].tail
        arena = np.empty((2 * (size + tail), 2), np.uint64)
        _place(self._levels[s], words(arena), size, tail)
        groups = geometry.of_kind(LEAVES if s == 1 else NODES if s == 2 else 0)[s - 1]
        parts = self._backend.part_count(size)

        def part(first: int, count: int) -> None:
            for number in range(first, first + count):
                _native.lib.vc_gkr_add(
                    self._levels + s, self._levels + s - 1, words(groups), len(groups), self._leaves,
                    words(self._constants), words(geometry.lazy_nodes), number, parts,
                )  # fmt: skip

        self._backend.parts(part, parts, size)
        return arena

    def _add_whole(self) -> ExtWords:
        """All levels above the first whole one."""
        first, geometry = self._whole, self._geometry
        shapes = [(geometry.sizes[s][0], geometry.levels[s].tail) for s in range(first + 1, self.variables)]
        arena = np.empty((2 * sum(map(sum, shapes)), 2), np.uint64)
        place = words(arena) + 0
        for s, (size, tail) in enumerate(shapes, first + 1):
            _place(self._levels[s], place, size, tail)
            place += 4 * (size + tail)
        _native.lib.vc_gkr_add_levels(self._levels + first, geometry.steps(first, 0), len(shapes))
        return arena

    def _lowest(self, general: Mapping[int, tuple[ExtWords, ExtWords] | CountedLeaves]) -> ExtWords:
        """The leaves that are no unit boxes."""
        size, tail = self._geometry.sizes[0][1], self._geometry.levels[0].tail
        arena = np.empty((2 * (size + tail), 2), np.uint64)
        _place(self._levels[0], words(arena), size, tail)
        for box, length, at_n, at_d in self._geometry.general_boxes:
            leaves, n, d = general[box], arena[at_n : at_n + length], arena[at_d : at_d + length]
            if isinstance(leaves, CountedLeaves):
                leaves.put(n, d)
            else:
                used = len(leaves[0])
                n[:used], d[:used] = leaves
                n[used:], d[used:] = (0, 0), (1, 0)
        return arena

    def top(self) -> Pair:
        """See :class:`vcompute.proof.succinct.lookup.tree.Tree`."""
        s = self.variables - 1
        level, boxes = self._levels[s], self._geometry.sizes[s][0]
        # One box of one variable, or one or two values.
        if boxes:
            n, d = level.n, level.d
        else:
            n, d = level.tail_n, level.tail_d
        if boxes + level.tail_count == 1:
            return Ext(n[0], n[1]), ZERO, Ext(d[0], d[1]), ONE
        return Ext(n[0], n[1]), Ext(n[2], n[3]), Ext(d[0], d[1]), Ext(d[2], d[3])

    def upper_layers(self, transcript: ProverTranscript, r: Ext) -> list[Ext]:
        """See :class:`vcompute.proof.succinct.lookup.tree.Tree`."""
        geometry, first = self._geometry, self._whole
        count = self.variables - 1 - first
        if count < 1:
            return [r]
        ffi, tables = _native.ffi, _native.ffi.new("vc_gkr_tables *")
        places = ffi.new("vc_gkr_place[]", max(len(geometry.general[first]), 1))
        tails, weights = (np.empty((k * (geometry.boxes + 1), 2), np.uint64) for k in (4, 1))
        tables.places, place = places, words(tails)
        for j in range(4):
            tables.tail[j] = place + 2 * j * (geometry.boxes + 1)
        extra = np.empty((max(geometry.extra[first:]), 2), np.uint64)
        messages, scratch = np.empty((count * (count + 5), 2), np.uint64), np.empty(geometry.scratch(first), np.uint64)
        seed, point = bytearray(transcript.hand_over()), np.empty((count + 1, 2), np.uint64)
        point[count] = r.c0, r.c1
        _native.lib.vc_gkr_layers(
            words(messages), words(point), ffi.from_buffer("uint8_t[]", seed), tables, self._levels + first,
            geometry.steps(first, 0), count, 1, words(extra), words(weights), words(scratch),
        )  # fmt: skip
        del self._held[first:]
        transcript.take_back(bytes(seed), messages)
        return from_array(point)

    def layer(self, s: int, scale: Ext, claimed: list[Ext]) -> Rounds:
        """See :class:`vcompute.proof.succinct.lookup.tree.Tree`."""
        held = self._held[s:]
        del self._held[s:]
        return _Layer(
            self._geometry, s, (self._levels, held), self._constants, self._leaves, scale, claimed, self._backend
        )


class _Layer:
    """The rounds of a layer, whose tables stand where its level stood; see
    :class:`vcompute.proof.succinct.lookup.tree.Rounds`.
    """

    def __init__(
        self, geometry: Geometry, s: int, levels: tuple[Any, list[ExtWords]], constants: ExtWords, leaves: Any,
        scale: Ext, claimed: list[Ext], backend: NativeBackend,
    ) -> None:  # fmt: skip
        lowest, ffi = s == 0, _native.ffi
        self._kind = LEAVES if lowest else NODES if s == 1 and geometry.lazy_nodes.any() else 0
        self._geometry, self._lowest, self._scale, self._levels = geometry, lowest, scale, levels
        self._backend = backend
        self._inverse = scale.inverse() if lowest else ZERO
        self._s, self._point = s + 1, to_array(claimed)
        self._lambda, self._defaults = to_array([scale]), to_array([scale, ONE, ZERO, ZERO if lowest else ONE])
        self._groups = geometry.of_kind(self._kind)[s]
        count = len(self._groups)
        self._tail = [np.empty((geometry.boxes + 1, 2), np.uint64) for _ in range(4)]
        self._rows = [np.zeros((count if lowest else 1, geometry.row_stride), np.uint64) for _ in range(2)]
        self._places = ffi.new("vc_gkr_place[]", max(count, 1))
        self._tables = ffi.new("vc_gkr_tables *")
        self._tables.places, self._tables.row_stride = self._places, geometry.row_stride
        for j in range(4):
            self._tables.tail[j] = words(self._tail[j])
        for j in range(2):
            self._tables.rows[j] = words(self._rows[j])
        self._unit = np.empty((geometry.unit_elements if lowest else 0, 2), np.uint64)
        self._extra = np.empty((geometry.extra[s], 2), np.uint64)
        self._box_weights = np.empty((geometry.boxes, 2), np.uint64)
        self._constants, self._leaves = constants, leaves
        if lowest:
            self._constants = self._scaled(constants)
            self._fill_rows()
        self._tables.leaves, self._tables.constants = leaves, words(self._constants)
        self._tables.lazy = words(geometry.lazy if lowest else geometry.lazy_nodes)
        self._tables.unit_sizes, self._tables.scale = words(geometry.unit_sizes), words(self._lambda)
        _native.lib.vc_gkr_begin(
            self._tables, levels[0] + s, words(self._groups), count, words(self._unit), words(self._extra),
            words(self._box_weights), words(self._point), len(self._point), words(self._lambda),
            words(to_array([self._inverse])) if lowest else ffi.NULL, words(self._defaults),
        )  # fmt: skip
        self._scratch = np.empty(geometry.scratch(s), np.uint64)
        self._next_groups()
        if self._kind:
            self._grids = self._make_grids()
            self._tables.grids = words(self._grids)

    def _make_grids(self) -> Words:
        """What the first rounds of unit boxes are made of."""
        shape = len(self._groups) + 1, GRID, 2
        parts = self._backend.part_count(8 * self._geometry.sizes[0][0])
        found: list[Words] = []

        def part(first: int, count: int) -> None:
            for number in range(first, first + count):
                own = np.zeros(shape, np.uint64)
                scratch = np.empty(self._scratch.size + _native.lib.vc_gkr_moments_scratch(), np.uint64)
                _native.lib.vc_gkr_moments(
                    words(own), self._tables, self._geometry.steps(self._s, self._kind), words(self._point),
                    words(self._defaults), number, parts, words(scratch),
                )  # fmt: skip
                found.append(own)

        self._backend.parts(part, parts, parts * LEAST_PART)
        grids, *others = found
        for one in others:
            grids = self._backend.add(grids, one)
        return grids

    def _scaled(self, constants: ExtWords) -> ExtWords:
        """Of every unit box the constants of table a, lambda * d0 + 1, and of table b, d1 + 1 / lambda."""
        both = np.empty((constants.shape[0] // 4, 2, 4, 2), np.uint64)
        factor = np.broadcast_to(self._lambda, constants.shape)
        both[:, 0] = self._backend.ext_mul(constants, factor).reshape(-1, 4, 2)
        both[:, 1] = constants.reshape(-1, 4, 2)
        for table, more in enumerate((ONE, self._inverse)):
            first = np.ascontiguousarray(both[:, table, 0])
            both[:, table, 0] = self._backend.add(first, np.broadcast_to(to_array([more]), first.shape))
        return both.reshape(-1, 2)

    def _fill_rows(self) -> None:
        """c = n0 and d = -n1 / lambda of unit boxes along their first axis, at level 1."""
        factor = to_array([-self._inverse])[0]
        for group, (size, padded) in enumerate(self._geometry.row_sizes):
            if not size:
                continue
            half, rows = padded // 2, [row[group].reshape(-1, 2) for row in self._rows]
            first, second = half, size - half
            if half == 1:  # the next axis is the first one now
                first = second = int(self._groups[group][8])
            rows[0][:first, 0] = 1
            rows[1][:second] = factor

    def _next_groups(self) -> None:
        """The groups that have variables left at the level reached."""
        s = self._s
        if s < len(self._geometry.groups):
            self._groups = self._geometry.of_kind(self._kind)[s]

    @property
    def _parts(self) -> int:
        """Parts that the round at hand deserves."""
        return self._backend.part_count(8 * self._geometry.sizes[self._s][0])

    def message(self) -> list[Ext]:
        """See :class:`vcompute.proof.succinct.lookup.tree.Rounds`."""
        place, parts, found = self._geometry.levels[self._s].tail_start // 2, self._parts, []
        point, groups = words(self._point[1:]), words(self._groups)

        def part(first: int, count: int) -> None:
            for number in range(first, first + count):
                sums, scratch = np.empty(4, np.uint64), np.empty(self._scratch.size, np.uint64)
                _native.lib.vc_gkr_tree_round(
                    words(sums), self._tables, groups, len(self._groups), place, point, len(self._point) - 1,
                    words(self._lambda), number, parts, words(scratch),
                )  # fmt: skip
                found.append((_ext(sums[:2]), _ext(sums[2:])))

        self._backend.parts(part, parts, parts * LEAST_PART)
        return [sum((sums[side] for sums in found), ZERO) for side in (0, 1)]

    def bind(self, r: Ext) -> None:
        """See :class:`vcompute.proof.succinct.lookup.tree.Rounds`."""
        groups, at, parts = words(self._groups), words(to_array([r])), self._parts
        defaults = words(self._defaults)

        def part(first: int, count: int) -> None:
            for number in range(first, first + count):
                _native.lib.vc_gkr_bind_boxes(self._tables, groups, len(self._groups), at, defaults, number, parts)

        self._backend.parts(part, parts, parts * LEAST_PART)
        _native.lib.vc_gkr_bind_rest(self._tables, groups, len(self._groups), at, defaults, words(self._scratch))
        self._s, self._point = self._s + 1, self._point[1:]
        self._next_groups()

    def run(self, transcript: ProverTranscript) -> list[Ext]:
        """See :class:`vcompute.proof.succinct.lookup.tree.Rounds`; rounds that threads share one by one, the others in
        one call of the core.
        """
        bound: list[Ext] = []
        while len(self._point) and self._parts > 1:
            transcript.send_ext("fraction sumcheck", self.message())
            bound.append(transcript.challenge("fraction sumcheck"))
            self.bind(bound[-1])
        variables = len(self._point)
        if not variables:
            return bound
        seed, messages = bytearray(transcript.hand_over()), np.empty((2 * variables, 2), np.uint64)
        point, steps = np.empty((variables, 2), np.uint64), self._geometry.steps(self._s, self._kind)
        _native.lib.vc_gkr_layer(
            words(messages), words(point), _native.ffi.from_buffer("uint8_t[]", seed), self._tables, steps,
            words(self._point), variables, words(self._lambda), words(self._defaults), words(self._scratch),
        )  # fmt: skip
        transcript.take_back(bytes(seed), messages)
        return bound + from_array(point)

    def ends(self) -> Pair:
        """See :class:`vcompute.proof.succinct.lookup.tree.Rounds`."""
        a, b, c, d = (_ext(table[0]) for table in self._tail)
        if self._lowest:
            return c, -self._scale * d, (a - c) * self._inverse, b + d
        return a - self._scale * d, c, d, b


def _ext(words: Words) -> Ext:
    return Ext(int(words[0]), int(words[1]))
