# SPDX-License-Identifier: Apache-2.0
"""MUL and BATCH_MATMUL: products of two activations, as one sumcheck over three stacked tables.

The sum of a node's T over the leaves' point is, but for public terms, a sum over a box of weight * left * right:

- MUL: the box of the output, weights from the point, both operands less their zero points, stretched to the box;
- BATCH_MATMUL: the box (batch, leading axes, K); left is the first operand summed over M with the point's weights,
  right the second one summed over N.

The weight at a point is a product over axes, which the verifier computes; left and right at it are linear forms.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from vcompute.errors import TaskError
from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, to_array
from vcompute.kernels.reference.linear import align, centred
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.claims import Load, broadcast_axes
from vcompute.proof.succinct.contract import lifted, outer, project, vector_sum
from vcompute.proof.succinct.forms import Axis, Form, full, mass
from vcompute.proof.succinct.witness import Witness
from vcompute.registry import ErrorCode
from vcompute.task import operators as ops


@dataclass(frozen=True, slots=True)
class BilinearClaims:
    """The three stacked tables at a point."""

    weight: Ext
    left: Form
    right: Form


@dataclass(frozen=True, slots=True)
class _Operand:
    """One operand of a node: its axes of one sample, in the order of its shape, are ``leading`` and then ``last``."""

    value: int
    zero_point: int
    leading: tuple[int, ...]
    last: tuple[Axis, ...]
    """The vectors of the last two axes of a matrix; none for MUL."""


def _operands(
    circuit: Circuit, index: int, load: Load, inner: ExtWords | None, backend: Backend
) -> tuple[_Operand, _Operand]:
    """Both operands; ``inner`` weighs the axis K of a matrix product."""
    node = circuit.graph.nodes[index]
    types = [circuit.graph.values[value] for value in node.inputs]
    match node.operator:
        case ops.Mul():
            first, second = (
                _Operand(value, kind.zero_point, kind.shape, ()) for value, kind in zip(node.inputs, types, strict=True)
            )
            return first, second
        case ops.BatchMatMul() as operator if inner is not None:
            rows, columns, shared = (full(load.axes[-2], backend),), (full(load.axes[-1], backend),), (inner,)
            last = (
                (shared, rows) if operator.transpose_a else (rows, shared),
                (columns, shared) if operator.transpose_b else (shared, columns),
            )
            first, second = (
                _Operand(value, kind.zero_point, kind.shape[:-2], axes)
                for value, kind, axes in zip(node.inputs, types, last, strict=True)
            )
            return first, second
    raise TaskError(f"{node.operator.name} is no product of two values", code=ErrorCode.UNSUPPORTED_OPERATOR)


def bilinear_claims(circuit: Circuit, loads: Mapping[int, Load], point: list[Ext], backend: Backend) -> BilinearClaims:
    """The tables of weights, left and right operands at a point."""
    stack, at = circuit.bilinear_boxes, circuit.bilinear_boxes.at(point, backend)
    weight, left, right = ZERO, Form(circuit, backend), Form(circuit, backend)
    for index, load in loads.items():
        box = circuit.bilinear[index]
        place, vectors = at.place(box), at.axes(box)
        weight = weight + place * load.scale * _weight(load, vectors, backend)
        inner = vectors[-1] if isinstance(circuit.graph.nodes[index].operator, ops.BatchMatMul) else None
        outer_vectors = vectors if inner is None else vectors[:-1]
        axes: tuple[Axis, ...] = tuple((vector,) for vector in outer_vectors)
        shape = stack.boxes[box][1 : len(outer_vectors)]
        for form, operand in zip((left, right), _operands(circuit, index, load, inner, backend), strict=True):
            scale, seen = broadcast_axes(place, axes, operand.leading, shape, backend)
            seen += operand.last
            form.add_value(operand.value, scale, seen)
            form.constant = form.constant - scale * operand.zero_point * mass(seen)
    return BilinearClaims(weight, left, right)


def _weight(load: Load, vectors: tuple[ExtWords, ...], backend: Backend) -> Ext:
    """The table of weights of one box at the point of these vectors; 1 along an axis K."""
    result = ONE
    outer_axes = load.axes if len(load.axes) == len(vectors) else load.axes[:-2]
    for axis, vector in zip(outer_axes, vectors, strict=False):
        result = result * backend.dot_ext(full(axis, backend), vector)
    if len(outer_axes) < len(vectors):
        result = result * vector_sum(vectors[-1])
    return result


def bilinear_tables(
    circuit: Circuit, witness: Witness, loads: Mapping[int, Load], backend: Backend
) -> tuple[ExtWords, ExtWords, ExtWords]:
    """Level 0 of the tables of weights, left and right operands."""
    stack = circuit.bilinear_boxes
    tables: list[list[ExtWords]] = [[np.zeros((0, 2), np.uint64)] * len(stack.boxes) for _ in range(3)]
    for index, load in loads.items():
        box = stack.boxes[circuit.bilinear[index]]
        matrix = isinstance(circuit.graph.nodes[index].operator, ops.BatchMatMul)
        weights = [full(axis, backend) for axis in (load.axes[:-2] if matrix else load.axes)]
        if matrix:
            weights.append(np.tile(to_array([ONE]), (box[-1], 1)))
        parts = [backend.ext_mul(outer(weights, backend), to_array([load.scale]))]
        parts += [_folded(circuit, index, side, witness, load, box, backend) for side in (0, 1)]
        for table, part in zip(tables, parts, strict=True):
            table[circuit.bilinear[index]] = part.reshape(*box, 2)
    first, second, third = (stack.assemble(table, (0, 0)) for table in tables)
    return first, second, third


def _folded(
    circuit: Circuit, index: int, side: int, witness: Witness, load: Load, box: tuple[int, ...], backend: Backend
) -> ExtWords:
    """One operand in the box of its node: less its zero point, stretched, a matrix summed over its outer axis."""
    node = circuit.graph.nodes[index]
    value, operator = node.inputs[side], node.operator
    x, zero_point = witness.values[value], circuit.graph.values[value].zero_point
    if not isinstance(operator, ops.BatchMatMul):
        x = centred(x, zero_point)
        return lifted(np.broadcast_to(align(x, len(box) - 1), box).reshape(-1))
    transposed = operator.transpose_b if side else operator.transpose_a
    own = x.ndim - (1 if transposed != bool(side) else 2)  # the axis M of the first operand, N of the second
    rows = np.moveaxis(x, own, 0)
    vectors = [full(load.axes[-1 if side else -2], backend)]
    folded = project(vectors, rows.reshape(rows.shape[0], -1), backend, zero_point)[0]
    shape = (rows.shape[1], *(1,) * (len(box) + 1 - rows.ndim), *rows.shape[2:])
    return np.ascontiguousarray(np.broadcast_to(folded.reshape(*shape, 2), (*box, 2))).reshape(-1, 2)
