# SPDX-License-Identifier: Apache-2.0
"""The first rounds of an opening: the weights of all claims on each committed table, and the sumcheck over the
variables that tell its lanes apart. This is the readable twin; :mod:`lanes_native` sends the same messages.
"""

from collections.abc import Sequence
from typing import Protocol

import numpy as np

from vcompute.commitment.parameters import TableShape
from vcompute.commitment.weights import Weight
from vcompute.field.backend import Backend
from vcompute.field.extension import ExtWords, lift
from vcompute.field.goldilocks import Words
from vcompute.field.scalar import Ext

Scaled = tuple[Weight, Ext]
"""A weight and what it is scaled by."""


class Lanes(Protocol):
    """A table and its weights while the variables of its lanes are bound, one after the other."""

    def message(self) -> tuple[Ext, Ext]:
        """h(0) and the leading coefficient of h(X) = sum of table * weights with the next variable at X."""
        ...

    def bind(self, alpha: Ext) -> None:
        """Bind the next variable."""
        ...

    def take(self, table: ExtWords, weights: ExtWords) -> None:
        """Write table and weights when one lane is left."""
        ...


class NumpyLanes:
    """See :class:`Lanes`: the halves of whole tables."""

    def __init__(
        self, shape: TableShape, table: Words, weights: Sequence[Scaled], variables: int, backend: Backend
    ) -> None:
        """``variables``: how many are bound; a table of fewer lanes is zero beyond them."""
        self._half, self._backend = shape.lane_length << variables, backend
        self._table, self._weights = table, dense(shape, weights, backend)

    def message(self) -> tuple[Ext, Ext]:
        """See :class:`Lanes`. Tables may end early, the table not after the weights: the rest is zero."""
        self._half //= 2
        f, w, half, backend = self._table, self._weights, self._half, self._backend
        both, low = max(f.shape[0] - half, 0), min(f.shape[0], half)
        at_zero, leading = backend.round_halves((f[:both], w[:both]), (f[half:], w[half : half + both]))
        if both == low:
            return at_zero, leading
        dot = backend.dot_base if f.ndim == 1 else backend.dot_ext
        alone, high = dot(w[both:low], f[both:low]), w[half + both : half + low]
        return at_zero + alone, leading + alone - dot(high, f[both : both + high.shape[0]])

    def bind(self, alpha: Ext) -> None:
        """See :class:`Lanes`."""
        self._table = _fold(self._table, self._half, alpha, self._backend)
        self._weights = _fold(self._weights, self._half, alpha, self._backend)

    def take(self, table: ExtWords, weights: ExtWords) -> None:
        """See :class:`Lanes`."""
        table[...] = self._table if self._table.ndim == 2 else lift(self._table)
        weights[...] = self._weights


def dense(shape: TableShape, weights: Sequence[Scaled], backend: Backend) -> ExtWords:
    """The sum of scaled weights, as long as the table if no weight is longer."""
    length = max([shape.stored, *(weight.extent for weight, _ in weights)])
    table = np.zeros((-(-length // shape.lane_length) * shape.lane_length, 2), dtype=np.uint64)
    for weight, scale in weights:
        weight.add_to(table, scale, backend)
    return table


def _fold(f: Words, half: int, r: Ext, backend: Backend) -> ExtWords:
    """Bind the first variable of a table of 2 * half values that may end early; over the extension in place."""
    both, low = max(f.shape[0] - half, 0), min(f.shape[0], half)
    out = f[:low] if f.ndim == 2 else np.empty((low, 2), dtype=np.uint64)
    backend.fold_halves(f[:both], f[half:], r, out[:both])
    backend.scale(f[both:low], Ext(1) - r, out[both:])
    return out


def make_lanes(shape: TableShape, table: Words, weights: Sequence[Scaled], variables: int, backend: Backend) -> Lanes:
    """The lanes of a committed table: native where the backend is and a lane is long enough."""
    from vcompute.commitment.lanes_native import NativeLanes, supports
    from vcompute.field.native import NativeBackend

    if isinstance(backend, NativeBackend) and supports(shape, weights):
        return NativeLanes(shape, table, weights, variables, backend)
    return NumpyLanes(shape, table, weights, variables, backend)
