# SPDX-License-Identifier: Apache-2.0
"""The rounds of a layer of fractions: the numpy twin and the C kernel, with one interface and the same values."""

from typing import Any, Protocol

import numpy as np

from vcompute import _native
from vcompute.field import Backend, Ext, ExtWords, from_array, to_array
from vcompute.proof.succinct.stack import Stack, eq_places

ONE_VALUE = np.array([1, 0], np.uint64)
NOTHING = np.array([0, 0], np.uint64)


class Rounds(Protocol):
    """The state of one layer's sumcheck: four tables a, b, c, d in the shape of a level, weights eq(claimed, .)."""

    def message(self) -> list[Ext]:
        """The sum of weight * (a b + c d - lambda) with the next variable at 0, and the leading coefficient."""
        ...

    def bind(self, r: Ext) -> None:
        """Bind the next variable."""
        ...

    def ends(self) -> list[Ext]:
        """The four values when every variable is bound."""
        ...


class NumpyRounds:
    """The readable twin."""

    def __init__(
        self, stack: Stack, s: int, tables: list[ExtWords], scale: Ext, claimed: list[Ext], backend: Backend
    ) -> None:
        self._stack, self._s, self._tables, self._claimed, self._backend = stack, s, tables, claimed, backend
        self._at = to_array([scale])
        self._defaults = [self._at[0], ONE_VALUE, NOTHING, ONE_VALUE]
        self._low: list[ExtWords] = []
        self._step: list[ExtWords] = []

    def message(self) -> list[Ext]:
        """See :class:`Rounds`."""
        backend = self._backend
        pairs = [self._stack.halves(t, self._s, d) for t, d in zip(self._tables, self._defaults, strict=True)]
        weights = self._stack.eq(self._s + 1, self._claimed[1:], backend)
        self._low = [pair[0] for pair in pairs]
        self._step = [backend.sub(pair[1], pair[0]) for pair in pairs]
        at_zero = backend.sub(_terms(self._low, backend), self._at)
        return [backend.dot_ext(weights, at_zero), backend.dot_ext(weights, _terms(self._step, backend))]

    def bind(self, r: Ext) -> None:
        """See :class:`Rounds`."""
        backend, bound = self._backend, to_array([r])
        self._tables = [backend.add(a, backend.ext_mul(b, bound)) for a, b in zip(self._low, self._step, strict=True)]
        self._s, self._claimed = self._s + 1, self._claimed[1:]

    def ends(self) -> list[Ext]:
        """See :class:`Rounds`."""
        return [from_array(table)[0] for table in self._tables]


def _terms(tables: list[ExtWords], backend: Backend) -> ExtWords:
    a, b, c, d = tables
    return backend.add(backend.ext_mul(a, b), backend.ext_mul(c, d))


class NativeRounds:
    """The C kernel: a round reads the tables once, and the fold once more."""

    def __init__(
        self, stack: Stack, s: int, tables: list[ExtWords], scale: Ext, claimed: list[Ext], backend: Backend
    ) -> None:
        self._stack, self._s, self._tables, self._claimed, self._backend = stack, s, tables, claimed, backend
        self._scale = to_array([scale])
        self._defaults = [self._scale[0], ONE_VALUE, NOTHING, ONE_VALUE]
        self._outer = self._places()

    def _places(self) -> dict[int, ExtWords]:
        """eq of every box's place, by the box's own size: fixed while its own variables are bound."""
        places, start = {}, 0
        for count, bits in self._stack.levels[self._s].groups:
            places[bits + self._s] = eq_places(start >> bits, count, self._claimed[bits:])
            start += count << bits
        return places

    def _groups(self) -> ExtWords:
        level = self._stack.levels[self._s]
        return np.array([(count, 1 << (bits - 1)) for count, bits in level.groups], np.uint64).reshape(-1, 2)

    def message(self) -> list[Ext]:
        """See :class:`Rounds`."""
        level, backend = self._stack.levels[self._s], self._backend
        if level.tail % 2:
            self._tables = [
                np.concatenate([t, d.reshape(1, 2)]) for t, d in zip(self._tables, self._defaults, strict=True)
            ]
        inner = [backend.eq_tensor(self._claimed[1:bits]) for _, bits in level.groups]
        outer = [self._outer[bits + self._s] for _, bits in level.groups]
        pairs = (level.tail + 1) // 2
        tail = eq_places(level.tail_start // 2, pairs, self._claimed[1:])
        sums = np.empty(4, np.uint64)
        _native.lib.vc_gkr_round(
            _words(sums), *map(_words, self._tables), _words(self._groups()), len(level.groups), pairs,
            _words(_joined(inner)), _words(_joined(outer)), _words(tail), _words(self._scale),
        )  # fmt: skip
        return [Ext(int(sums[0]), int(sums[1])), Ext(int(sums[2]), int(sums[3]))]

    def bind(self, r: Ext) -> None:
        """See :class:`Rounds`."""
        level, groups, bound = self._stack.levels[self._s], self._groups(), to_array([r])
        folded = []
        for table in self._tables:
            out = np.empty((table.shape[0] // 2, 2), np.uint64)
            _native.lib.vc_gkr_fold(
                _words(out), _words(table), _words(groups), len(level.groups), (level.tail + 1) // 2, _words(bound)
            )
            folded.append(out)
        self._tables = folded
        self._s, self._claimed = self._s + 1, self._claimed[1:]

    def ends(self) -> list[Ext]:
        """See :class:`Rounds`."""
        return [from_array(table)[0] for table in self._tables]


def _joined(parts: list[ExtWords]) -> ExtWords:
    return np.concatenate([*parts, np.zeros((0, 2), np.uint64)])


def _words(array: ExtWords) -> Any:
    return _native.ffi.from_buffer("uint64_t[]", np.ascontiguousarray(array))


def rounds(stack: Stack, s: int, tables: list[ExtWords], scale: Ext, claimed: list[Ext], backend: Backend) -> Rounds:
    """The rounds of a layer whose tables have the shape of level s: native where the backend is."""
    kind = NativeRounds if backend.name == "native" else NumpyRounds
    return kind(stack, s, tables, scale, claimed, backend)
