# SPDX-License-Identifier: Apache-2.0
"""The worker's columns: every proved value, the limbs of its remainder, its sign where needed; multiplicities."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from vcompute.errors import TaskError
from vcompute.field import Backend
from vcompute.field.native import NativeBackend
from vcompute.kernels import reference
from vcompute.kernels.reference.linear import centred, exact_product, pad_image, tap
from vcompute.proof.succinct import floors as floor_kernels
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.constants import NodePlan
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.maxima import pool_of, seen_by_taps
from vcompute.proof.succinct.pools import pixel_counts
from vcompute.proof.succinct.public import requantise_revealed
from vcompute.proof.succinct.requant import Floor
from vcompute.proof.succinct.roles import LINEAR, Role
from vcompute.proof.succinct.steps import Int64
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, Node
from vcompute.task import operators as ops
from vcompute.task.tensor import ValueType

WORD = (1 << 64) - 1


@dataclass(frozen=True, slots=True)
class Witness:
    """Every value by number, the accumulators of revealed nodes, and the columns."""

    values: list[IntArray]
    accumulators: Mapping[int, Int64]
    columns: Mapping[int, IntArray]
    keys: Mapping[int, IntArray]
    """The table key of each requantised node's elements."""
    raised: Mapping[int, IntArray]
    """The highest limb of each divided node's elements, its channel's gap added."""


@dataclass(frozen=True, slots=True)
class Filling:
    """A witness in the making."""

    counts: list[Int64]
    """How often each row of each table is looked up."""
    columns: dict[int, IntArray] = field(default_factory=dict)
    keys: dict[int, IntArray] = field(default_factory=dict)
    raised: dict[int, IntArray] = field(default_factory=dict)


def accumulate(node: Node, x: IntArray, constants: tuple[IntArray, ...], zero_point: int) -> Int64:
    """The accumulators of a linear node, bias included."""
    kernel = constants[0]
    match node.operator:
        case ops.Conv2D() | ops.DepthwiseConv2D() as operator:
            image = pad_image(x.astype(np.int16) - zero_point, operator.window, 0)
            size = node.output.shape[:2]
            total = np.zeros((x.shape[0], *node.output.shape), np.int64)
            if isinstance(operator, ops.Conv2D):
                for row in range(kernel.shape[1]):
                    for column in range(kernel.shape[2]):
                        seen = tap(image, operator.window, row, column, size)
                        total += exact_product(seen, kernel[:, row, column, :].T)
            else:
                image = np.repeat(image, operator.depth_multiplier, axis=3).astype(np.int32)
                wide = kernel.astype(np.int32)
                for row in range(kernel.shape[0]):
                    for column in range(kernel.shape[1]):
                        total += tap(image, operator.window, row, column, size) * wide[row, column]
        case _:
            total = exact_product(centred(x, zero_point), kernel.T)
    return total if isinstance(node.operator, ops.MatMul) else total + constants[1].astype(np.int64)


def make_witness(
    circuit: Circuit,
    model: Model,
    floors: Mapping[int, Floor],
    plans: Mapping[int, NodePlan],
    inputs: Batch,
    backend: Backend,
    kept: dict[str, object] | None = None,
) -> Witness:
    """Run the model and fill the columns: by C kernels where the backend is native. ``kept``: what proofs share."""
    graph = circuit.graph
    values: list[IntArray] = list(inputs.arrays)
    accumulators: dict[int, Int64] = {}
    filling = Filling([np.zeros(table.rows, np.int64) for table in circuit.tables])
    columns, counts = filling.columns, filling.counts
    native = _Native(circuit, backend, {} if kept is None else kept) if isinstance(backend, NativeBackend) else None
    for index, node in enumerate(graph.nodes):
        operands = [values[i] for i in node.inputs]
        constants = tuple(model.constants[i] for i in node.constants)
        role = circuit.roles[index]
        if role is Role.REVEALED:
            if native:
                accumulators[index] = native.accumulate(index, operands[0], constants)
            else:
                zero_point = graph.values[node.inputs[0]].zero_point
                accumulators[index] = accumulate(node, operands[0], constants, zero_point)
            values.append(requantise_revealed(node, accumulators[index], constants[2:]))
        elif index in circuit.proved and circuit.proved[index].bits:
            fill = native.fill if native else _fill_node
            values.append(fill(circuit, index, floors[index], operands, constants, filling))
        elif index in circuit.proved and isinstance(node.operator, ops.MaxPool2D):
            values.append(_maximum(circuit, circuit.proved[index], operands[0], columns, counts))
        else:
            values.append(reference.evaluate(model, node, operands, constants, circuit.batch))
            if index in circuit.proved:
                proved = circuit.proved[index]
                columns[proved.column] = values[-1].reshape(circuit.columns[proved.column])
                counts[proved.table] += np.bincount(operands[0].ravel().astype(np.int64) + 128, minlength=256)
    if native:
        native.workshop.add_to(counts)
    for column, count in zip(circuit.multiplicities, counts, strict=True):
        columns[column] = count
    return Witness(values, accumulators, columns, filling.keys, filling.raised)


def _fill_node(
    circuit: Circuit,
    index: int,
    floor: Floor,
    operands: list[IntArray],
    constants: tuple[IntArray, ...],
    filling: Filling,
) -> IntArray:
    """The columns of one requantised node; returns its value."""
    node = circuit.graph.nodes[index]
    t = _affine(node, operands, constants, floor, circuit.graph.operand_types(node)[0])
    return _fill(circuit, circuit.proved[index], floor, t, filling)


class _Native:
    """The nodes that the C kernels do."""

    def __init__(self, circuit: Circuit, backend: NativeBackend, kept: dict[str, object]) -> None:
        self.workshop = floor_kernels.Workshop(circuit, backend)
        self._circuit, self._kept = circuit, kept

    def accumulate(self, index: int, x: IntArray, constants: tuple[IntArray, ...]) -> Int64:
        """As :func:`accumulate`, for the node of this number."""
        graph, batch = self._circuit.graph, self._circuit.batch
        node = graph.nodes[index]
        linear = floor_kernels.linear_of(graph, index, constants, batch, self._kept)
        if linear is None:
            return accumulate(node, x, constants, graph.values[node.inputs[0]].zero_point)
        return linear.accumulators(x).astype(np.int64).reshape(batch, *node.output.shape)

    def fill(
        self,
        circuit: Circuit,
        index: int,
        floor: Floor,
        operands: list[IntArray],
        constants: tuple[IntArray, ...],
        filling: Filling,
    ) -> IntArray:
        """As :func:`_fill_node`."""
        graph, proved, kept = circuit.graph, circuit.proved[index], self._kept
        node = graph.nodes[index]
        filled = floor_kernels.Filled(self.workshop, proved)
        linear = None
        if isinstance(node.operator, LINEAR):
            linear = floor_kernels.linear_of(graph, index, constants, circuit.batch, kept)
        if linear:
            affine = floor_kernels.affine_of(index, floor, circuit.limb_bits, kept)
            floor_kernels.fill_linear(self.workshop, filled, linear, affine, operands[0])
        elif isinstance(node.operator, ops.Add) and operands[0].shape == operands[1].shape:
            floor_kernels.fill_sums(self.workshop, filled, operands, floor)
        else:
            t = _affine(node, operands, constants, floor, graph.operand_types(node)[0])
            if floor.divisors or len(set(floor.step)) > 1:  # constants for each channel or window
                return _fill(circuit, proved, floor, t, filling)
            floor_kernels.fill_values(self.workshop, filled, t, floor)
        filled.keep(filling)
        value: IntArray = filled.value.reshape(circuit.batch, *node.output.shape)
        return value


def matrix_product(
    operator: ops.BatchMatMul, operands: list[IntArray], types: tuple[ValueType, ...], output: ValueType
) -> Int64:
    """The accumulators of a BATCH_MATMUL."""
    rank = len(output.shape)
    left, right = (centred(x, kind.zero_point) for x, kind in zip(operands, types, strict=True))
    left = reference.linear.align(left.swapaxes(-1, -2) if operator.transpose_a else left, rank)
    right = reference.linear.align(right.swapaxes(-1, -2) if operator.transpose_b else right, rank)
    return exact_product(left, right)


def _maximum(
    circuit: Circuit, proved: Proved, x: IntArray, columns: dict[int, IntArray], counts: list[Int64]
) -> IntArray:
    """The columns of a MAX_POOL_2D; returns its value."""
    taps = seen_by_taps(circuit, proved, x)
    greatest = taps[0]
    for column, seen in zip(proved.maxima, taps[1:], strict=True):
        difference = greatest.astype(np.int64) - seen
        first = circuit.tables[proved.maxima_table].first
        counts[proved.maxima_table] += _counted(difference - first, counts[proved.maxima_table].size)
        greatest = np.maximum(greatest, seen)
        columns[column] = greatest
    if proved.column not in proved.maxima:
        table = circuit.tables[proved.table]
        counts[proved.table] += _counted(greatest.astype(np.int64) - table.first, table.rows)
        operator = pool_of(circuit, proved)
        greatest = np.clip(greatest, operator.low, operator.high)
        columns[proved.column] = greatest
    return greatest.reshape(circuit.batch, *circuit.graph.nodes[proved.node].output.shape)


def _counted(rows: Int64, size: int) -> Int64:
    return np.bincount(rows.ravel(), minlength=size)


def _affine(
    node: Node, operands: list[IntArray], constants: tuple[IntArray, ...], floor: Floor, types: tuple[ValueType, ...]
) -> Int64:
    """T of every element, in int64: it fits, so wrapping on the way does no harm."""
    if isinstance(node.operator, LINEAR):
        total = accumulate(node, operands[0], constants, types[0].zero_point)
        total *= np.array([slope & WORD for slope in floor.slope], np.uint64).view(np.int64)
        total += np.array([offset & WORD for offset in floor.offset], np.uint64).view(np.int64)
        return total
    offset = floor.offset[0]
    match node.operator:
        case ops.Add():
            rank = len(node.output.shape)
            a, b = (reference.linear.align(x.astype(np.int64), rank) for x in operands)
            return np.asarray(a * floor.slope[0] + b * floor.slope[1] + offset)
        case ops.Mul():
            rank = len(node.output.shape)
            a, b = (
                reference.linear.align(centred(x, kind.zero_point), rank)
                for x, kind in zip(operands, types, strict=True)
            )
            return np.asarray(a * b * floor.slope[0] + offset)
        case ops.BatchMatMul() as operator:
            return np.asarray(matrix_product(operator, operands, types, node.output) * floor.slope[0] + offset)
        case ops.Mean() as operator:
            axes = tuple(axis + 1 for axis in operator.axes)
            total = centred(operands[0], types[0].zero_point).sum(axis=axes, keepdims=operator.keep_dims)
            return np.asarray(total * floor.slope[0] + offset)
        case ops.AveragePool2D() as operator:
            window, (height, width) = operator.window, node.output.shape[:2]
            image = pad_image(operands[0].astype(np.int64), window, 0)
            total = _sums_along(image, 1, operator.kernel_h, window.stride_h, height)
            total = _sums_along(total, 2, operator.kernel_w, window.stride_w, width)
            numbers = pixel_counts(operator, types[0].shape, node.output.shape).numbers[..., None]
            return np.asarray(total * np.array(floor.slope)[numbers] + np.array(floor.offset)[numbers])
    raise TaskError(f"{node.operator.name}: no affine form", code=ErrorCode.UNSUPPORTED_OPERATOR)


def _sums_along(image: Int64, axis: int, taps: int, stride: int, places: int) -> Int64:
    """The sums of windows of ``taps`` elements along an axis."""
    before = (slice(None),) * axis
    windows = [image[(*before, slice(k, k + (places - 1) * stride + 1, stride))] for k in range(taps)]
    total: Int64 = np.add.reduce(windows)
    return total


def _steps(node: Node, floor: Floor, operand: ValueType) -> Int64:
    """S of every element, in a shape that broadcasts: one for each channel, or for each window of a pool."""
    steps = np.array(floor.step, np.int64)
    if not isinstance(node.operator, ops.AveragePool2D):
        return steps
    selected: Int64 = steps[pixel_counts(node.operator, operand.shape, node.output.shape).numbers][..., None]
    return selected


def _fill(circuit: Circuit, proved: Proved, floor: Floor, t: Int64, filling: Filling) -> IntArray:
    """The columns of one requantised node; returns its value."""
    node, box = circuit.graph.nodes[proved.node], circuit.columns[proved.column]
    operator, types = node.operator, circuit.graph.operand_types(node)[0]
    low, high = getattr(operator, "low", -128), getattr(operator, "high", 127)
    zero_point = 0 if isinstance(operator, ops.AveragePool2D) else node.output.zero_point
    table, columns, counts = circuit.tables[proved.table], filling.columns, filling.counts
    divisor = np.array(floor.divisors or 1 << floor.remainder_bits, np.int64)
    if proved.two_sided:
        steps = _steps(node, floor, types[0])
        # At the change of sign both lines give the same value; the lower one is taken wherever it may be.
        sign = (t - steps) < divisor
        t = np.where(sign, t - steps, t)
        key = t // divisor
        y = np.clip((key >> 1) + zero_point, low, high).astype(np.int8)
        columns[proved.sign if proved.sign is not None else -1] = sign.astype(np.int8).reshape(box)
        rem = t - key * divisor
    else:
        quotient = t // divisor
        key, rem = quotient + zero_point, t - quotient * divisor
        y = np.clip(key, low, high).astype(np.int8)
    filling.keys[proved.node] = key.reshape(box)
    counts[proved.table] += _counted(key - table.first, table.rows)
    columns[proved.column] = y.reshape(box)
    _cut(circuit, proved, floor, rem, filling)
    value: IntArray = y.reshape(y.shape[0], *node.output.shape)
    return value


def _cut(circuit: Circuit, proved: Proved, floor: Floor, rem: Int64, filling: Filling) -> None:
    """The limbs of the remainders; the highest of a divided node once more, with the gaps."""
    box, width = circuit.columns[proved.column], circuit.limb_bits
    limb, size = rem, 1 << width
    for place, column in enumerate(proved.limbs):
        limb = (rem >> (place * width)) & (size - 1)
        filling.columns[column] = limb.astype(np.int32).reshape(box)
        filling.counts[0] += _counted(limb, size)
    if proved.raised is not None:
        raised = limb + np.array(floor.gaps(width), np.int64)
        filling.raised[proved.node] = raised.astype(np.int32).reshape(box)
        filling.counts[0] += _counted(raised, size)
