# SPDX-License-Identifier: Apache-2.0
"""Linear forms of the columns: what every claim about values, keys and tables becomes.

A value is weighed by one vector for each axis. A proved value is its column; a value that only moves others (PAD,
CONCATENATION, RESHAPE, TRANSPOSE) becomes its operands with other vectors; a public value is evaluated by both sides.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from vcompute import _native
from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.contract import IntArray, contract, first_element, outer, vector_sum
from vcompute.proof.succinct.program.values import as_recorded
from vcompute.proof.succinct.roles import Role
from vcompute.task import operators as ops

Axis = tuple[ExtWords, ...]
"""The vectors of one axis, one for each factor."""


@dataclass(frozen=True, slots=True)
class ColumnTerm:
    """scale * the sum of a column weighed by a vector for each of its axes."""

    column: int
    scale: Ext
    vectors: tuple[ExtWords, ...]


@dataclass(frozen=True, slots=True)
class ValueTerm:
    """scale * the sum of a public value weighed by a vector for each of its axes."""

    value: int
    scale: Ext
    vectors: tuple[ExtWords, ...]


@dataclass(slots=True)
class Form:
    """constant + terms."""

    circuit: Circuit
    backend: Backend
    constant: Ext = ZERO
    columns: list[ColumnTerm] = field(default_factory=list)
    values: list[ValueTerm] = field(default_factory=list)

    def add_column(self, column: int, scale: Ext, vectors: Sequence[ExtWords]) -> None:
        """Add scale * <vectors, column>."""
        self.columns.append(ColumnTerm(column, scale, tuple(vectors)))

    def add_column_of(self, value: int, column: int, scale: Ext, axes: Sequence[Axis]) -> None:
        """Add scale * <axes, column>, a column of a proved value; the axes may be cut otherwise than the column."""
        sizes = [size for factors in self.circuit.factors[value] for size in factors]
        vectors = [vector for axis in axes[1:] for vector in axis]
        for term in deal(vectors, sizes, self.backend):
            self.add_column(column, scale * term.scale, [full(axes[0], self.backend), *term.vectors])

    def add_value(self, value: int, scale: Ext, axes: Sequence[Axis]) -> None:
        """Add scale * <axes, value>; ``axes`` has the batch first."""
        circuit = self.circuit
        role = Role.PUBLIC if value < circuit.first else circuit.roles[value - circuit.first]
        if role in (Role.PUBLIC, Role.REVEALED):
            self.values.append(ValueTerm(value, scale, tuple(full(axis, self.backend) for axis in axes)))
        elif role is Role.PROVED:
            self.add_column_of(value, circuit.proved[value - circuit.first].column, scale, axes)
        else:
            self._add_layout(value, scale, axes)

    def _add_layout(self, value: int, scale: Ext, axes: Sequence[Axis]) -> None:
        node = self.circuit.graph.nodes[value - self.circuit.first]
        match node.operator:
            case ops.Transpose(permutation=permutation):
                order = sorted(range(len(permutation)), key=permutation.__getitem__)
                self.add_value(node.inputs[0], scale, [axes[0], *(axes[1 + axis] for axis in order)])
            case ops.Reshape():
                self._add_reshape(node.inputs[0], scale, axes)
            case ops.Pad() as operator:
                inner = [axes[0]]
                shape = self.circuit.graph.values[node.inputs[0]].shape
                for axis, before, size, after in zip(axes[1:], operator.before, shape, operator.after, strict=True):
                    whole = full(axis, self.backend)
                    inner.append((whole[before : before + size],) if before or after else axis)
                self.add_value(node.inputs[0], scale, inner)
                self.constant = self.constant + scale * operator.value * (mass(axes) - mass(inner))
            case ops.Concatenation() as operator:
                start, along = 0, full(axes[1 + operator.axis], self.backend)
                for index in node.inputs:
                    size = self.circuit.graph.values[index].shape[operator.axis]
                    part = [*axes]
                    part[1 + operator.axis] = (along[start : start + size],)
                    self.add_value(index, scale, part)
                    start += size

    def _add_reshape(self, source: int, scale: Ext, axes: Sequence[Axis]) -> None:
        """Both shapes have one row-major order: deal the vectors out again."""
        factors = self.circuit.factors[source]
        vectors = [vector for axis in axes[1:] for vector in axis]
        for term in deal(vectors, [size for sizes in factors for size in sizes], self.backend):
            rest = iter(term.vectors)
            dealt: list[Axis] = [axes[0], *(tuple(islice(rest, len(sizes))) for sizes in factors)]
            self.add_value(source, scale * term.scale, dealt)


def full(axis: Axis, backend: Backend) -> ExtWords:
    """The vector of a whole axis."""
    return axis[0] if len(axis) == 1 else outer(axis, backend)


def mass(axes: Sequence[Axis]) -> Ext:
    """The product of all vectors' sums."""
    result = ONE
    for axis in axes:
        for vector in axis:
            result = result * vector_sum(vector)
    return result


@dataclass(frozen=True, slots=True)
class Dealt:
    """scale * the outer product of vectors."""

    scale: Ext
    vectors: tuple[ExtWords, ...]


def deal(vectors: Sequence[ExtWords], sizes: Sequence[int], backend: Backend) -> list[Dealt]:
    """The outer product of ``vectors``, one weight for each row-major index, as a sum of outer products of vectors of
    ``sizes`` (none of them 1).

    One term where both cut the index alike. Where they cut across each other, the part between two common cuts becomes
    one term for each choice of all its indices but those of its longest axis.
    """
    scale, terms = ONE, [Dealt(ONE, ())]
    for vector in vectors:
        if vector.shape[0] == 1:
            scale = scale * first_element(vector)
    given = iter([vector for vector in vectors if vector.shape[0] != 1])
    wanted = iter(sizes)
    for vector in given:
        own, needed = [vector], [next(wanted)]
        have, want = vector.shape[0], needed[0]
        while have != want:
            if have < want:
                own.append(next(given))
                have *= own[-1].shape[0]
            else:
                needed.append(next(wanted))
                want *= needed[-1]
        terms = [Dealt(ONE, (*term.vectors, *more)) for term in terms for more in _between_cuts(own, needed, backend)]
    return [Dealt(scale, term.vectors) for term in terms]


def _between_cuts(own: list[ExtWords], sizes: list[int], backend: Backend) -> list[tuple[ExtWords, ...]]:
    """The terms of one part that has no inner cut in common."""
    whole = full(tuple(own), backend)
    if len(sizes) == 1:
        return [(whole,)]
    longest = max(range(len(sizes)), key=lambda axis: sizes[axis])
    stride = math.prod(sizes[longest + 1 :])
    terms = []
    for index in np.ndindex(*(1 if axis == longest else size for axis, size in enumerate(sizes))):
        start = int(np.ravel_multi_index(index, sizes))
        places = range(start, start + sizes[longest] * stride, stride)
        chosen = whole[start : places.stop] if stride == 1 else np.concatenate([whole[p : p + 1] for p in places])
        parts = [_unit(size, place) for size, place in zip(sizes, index, strict=True)]
        parts[longest] = chosen
        terms.append(tuple(parts))
    return terms


def _unit(size: int, place: int) -> ExtWords:
    vector = np.zeros((size, 2), np.uint64)
    vector[place, 0] = 1
    return vector


def committed_part(form: Form, value: Ext, values: Mapping[int, IntArray], backend: Backend) -> Ext:
    """What the columns' part of a form must be for the whole to be ``value``, public values given by number."""
    value = value - form.constant
    for term in form.values:
        value = value - term.scale * contract(values[term.value], term.vectors, backend)
    return value


def window_axis(
    positions: ExtWords, taps: ExtWords, size: int, stride: int, dilation: int, before: int, backend: Backend
) -> ExtWords:
    """The weight of each input place: the sum over taps k and positions p with stride * p + dilation * k - before at it
    of taps[k] * positions[p].
    """
    recorded = as_recorded(positions)
    if recorded is not None:
        return recorded.window(taps, size, stride, dilation, before)
    if backend.name == "native":
        return _window_axis_native(positions, taps, size, stride, dilation, before)
    result = np.zeros((size, 2), np.uint64)
    for k in range(taps.shape[0]):
        start = k * dilation - before  # of position 0; position p stands at start + stride * p
        first = max(0, -(start // stride))
        stop = min(positions.shape[0], (size - 1 - start) // stride + 1)
        if first < stop:
            part = backend.ext_mul(np.ascontiguousarray(positions[first:stop]), taps[k : k + 1])
            inside = slice(start + stride * first, start + stride * (stop - 1) + 1, stride)
            result[inside] = part if k == 0 else backend.add(np.ascontiguousarray(result[inside]), part)
    return result


def _window_axis_native(
    positions: ExtWords, taps: ExtWords, size: int, stride: int, dilation: int, before: int
) -> ExtWords:
    """:func:`window_axis` by one call of the core."""
    result = np.empty((size, 2), np.uint64)
    out, own, weights = (
        _native.ffi.from_buffer("uint64_t[]", np.ascontiguousarray(x)) for x in (result, positions, taps)
    )
    _native.lib.vc_window_axis(out, size, own, positions.shape[0], weights, taps.shape[0], stride, dilation, before)
    return result
