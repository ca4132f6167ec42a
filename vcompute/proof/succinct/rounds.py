# SPDX-License-Identifier: Apache-2.0
"""The rounds of a layer of fractions, in numpy: the readable twin of ``native/src/gkr_rounds.c``."""

import numpy as np

from vcompute.field import Backend, Ext, ExtWords, from_array, to_array
from vcompute.proof.succinct.stack import Stack

ONE_VALUE = np.array([1, 0], np.uint64)
NOTHING = np.array([0, 0], np.uint64)


class NumpyRounds:
    """The state of one layer's sumcheck: four tables a, b, c, d in the shape of a level, weights eq(claimed, .)."""

    def __init__(
        self, stack: Stack, s: int, tables: list[ExtWords], scale: Ext, claimed: list[Ext], backend: Backend
    ) -> None:
        self._stack, self._s, self._tables, self._claimed, self._backend = stack, s, tables, claimed, backend
        self._at = to_array([scale])
        self._defaults = [self._at[0], ONE_VALUE, NOTHING, ONE_VALUE]
        self._low: list[ExtWords] = []
        self._step: list[ExtWords] = []

    def message(self) -> list[Ext]:
        """The sum of weight * (a b + c d - lambda) with the next variable at 0, and the leading coefficient."""
        backend = self._backend
        pairs = [self._stack.halves(t, self._s, d) for t, d in zip(self._tables, self._defaults, strict=True)]
        weights = self._stack.eq(self._s + 1, self._claimed[1:], backend)
        self._low = [pair[0] for pair in pairs]
        self._step = [backend.sub(pair[1], pair[0]) for pair in pairs]
        at_zero = backend.sub(_terms(self._low, backend), self._at)
        return [backend.dot_ext(weights, at_zero), backend.dot_ext(weights, _terms(self._step, backend))]

    def bind(self, r: Ext) -> None:
        """Bind the next variable."""
        backend, bound = self._backend, to_array([r])
        self._tables = [backend.add(a, backend.ext_mul(b, bound)) for a, b in zip(self._low, self._step, strict=True)]
        self._s, self._claimed = self._s + 1, self._claimed[1:]

    def ends(self) -> list[Ext]:
        """The four values when every variable is bound."""
        return [from_array(table)[0] for table in self._tables]


def _terms(tables: list[ExtWords], backend: Backend) -> ExtWords:
    a, b, c, d = tables
    return backend.add(backend.ext_mul(a, b), backend.ext_mul(c, d))
