# SPDX-License-Identifier: Apache-2.0
"""Linear forms of the columns: what every claim about values, keys and tables becomes.

A value is weighed by one vector for each axis. A proved value is its column; a value that only moves others (PAD,
CONCATENATION, RESHAPE, TRANSPOSE) becomes its operands with other vectors; a public value is evaluated by both sides.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from vcompute.errors import Rejected
from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, from_array
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.contract import IntArray, contract, outer, vector_sum
from vcompute.proof.succinct.roles import Role
from vcompute.registry import ErrorCode
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

    def add_value(self, value: int, scale: Ext, axes: Sequence[Axis]) -> None:
        """Add scale * <axes, value>; ``axes`` has the batch first.

        Raises:
            Rejected: suite_unsupported_model, where an axis is cut otherwise than its vectors.
        """
        circuit = self.circuit
        role = Role.PUBLIC if value < circuit.first else circuit.roles[value - circuit.first]
        if role in (Role.PUBLIC, Role.REVEALED):
            self.values.append(ValueTerm(value, scale, tuple(full(axis, self.backend) for axis in axes)))
        elif role is Role.PROVED:
            factors = circuit.factors[value]
            vectors = [full(axes[0], self.backend)]
            for axis, sizes in zip(axes[1:], factors, strict=True):
                scale, aligned = _align(axis, sizes, scale, self.backend)
                vectors += aligned
            self.add_column(circuit.proved[value - circuit.first].column, scale, vectors)
        else:
            self._add_layout(value, scale, axes)

    def _add_layout(self, value: int, scale: Ext, axes: Sequence[Axis]) -> None:
        node = self.circuit.graph.nodes[value - self.circuit.first]
        match node.operator:
            case ops.Transpose(permutation=permutation):
                order = sorted(range(len(permutation)), key=permutation.__getitem__)
                self.add_value(node.inputs[0], scale, [axes[0], *(axes[1 + axis] for axis in order)])
            case ops.Reshape():
                self._add_reshape(value, node.inputs[0], scale, axes)
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

    def _add_reshape(self, value: int, source: int, scale: Ext, axes: Sequence[Axis]) -> None:
        """Both shapes have one list of factors: deal the vectors out again."""
        vectors: list[ExtWords] = []
        for axis, sizes in zip(axes[1:], self.circuit.factors[value], strict=True):
            scale, aligned = _align(axis, sizes, scale, self.backend)
            vectors += aligned
        dealt: list[Axis] = [axes[0]]
        for sizes in self.circuit.factors[source]:
            dealt.append(tuple(vectors[: len(sizes)]))
            vectors = vectors[len(sizes) :]
        self.add_value(source, scale, dealt)


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


def _align(axis: Axis, sizes: tuple[int, ...], scale: Ext, backend: Backend) -> tuple[Ext, list[ExtWords]]:
    """An axis's vectors as its factors need them; what an axis of size 1 weighs goes to the scale."""
    if tuple(vector.shape[0] for vector in axis) == sizes:
        return scale, list(axis)
    whole = full(axis, backend)
    if not sizes:
        return scale * from_array(whole)[0], []
    if len(sizes) == 1:
        return scale, [whole]
    raise Rejected("an axis is cut otherwise than its reader needs", code=ErrorCode.SUITE_UNSUPPORTED_MODEL, got=sizes)


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
    result = np.zeros((size, 2), np.uint64)
    starts = np.arange(positions.shape[0]) * stride - before
    for k in range(taps.shape[0]):
        place = starts + k * dilation
        inside = (place >= 0) & (place < size)
        part = backend.ext_mul(np.ascontiguousarray(positions[inside]), taps[k : k + 1])
        result[place[inside]] = backend.add(np.ascontiguousarray(result[place[inside]]), part)
    return result
