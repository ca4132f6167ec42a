# SPDX-License-Identifier: Apache-2.0
"""Exact ranges: what every value and accumulator can be over **all** inputs, from the model alone.

A model is valid only where every accumulator, in whatever order its terms are added, stays within int32, so that an
implementation may add in any order without wrapping. Ranges come from the operators' clamps, never from calibration.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from vcompute.errors import TaskError
from vcompute.registry import ErrorCode
from vcompute.task.graph import Graph, Node
from vcompute.task.limits import INT32_MAX
from vcompute.task.operators import (
    Add,
    BatchMatMul,
    Concatenation,
    Constant,
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    Logistic,
    MatMul,
    Mean,
    Mul,
    Pad,
    Quantize,
    Reshape,
    Softmax,
    Transpose,
)
from vcompute.task.operators.pooling import AveragePool2D, Pool2D
from vcompute.task.tensor import DTYPE_RANGE, NDArray, ValueType

Int64Array = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Range:
    """An inclusive range of integers."""

    low: int
    high: int

    def shifted(self, zero_point: int) -> "Range":
        """The range of x - zero_point."""
        return Range(self.low - zero_point, self.high - zero_point)

    def hull(self, other: "Range") -> "Range":
        """The least range that holds both."""
        return Range(min(self.low, other.low), max(self.high, other.high))

    @property
    def magnitude(self) -> int:
        """The greatest absolute value."""
        return max(abs(self.low), abs(self.high))


@dataclass(frozen=True, slots=True)
class AccumulatorBounds:
    """Per output channel: the exact least and greatest accumulator, and the bound that holds in any order."""

    low: Int64Array
    high: Int64Array
    any_order: Int64Array


@dataclass(frozen=True, slots=True)
class FilterSums:
    """Per output channel: the sums of the positive and of the negative weights."""

    positive: Int64Array
    negative: Int64Array


Sums: TypeAlias = dict[tuple[int, bool], FilterSums]
"""Sums of the filters seen so far: filters that many nodes share are summed once."""


@dataclass(frozen=True, slots=True)
class Overflow:
    """A node whose accumulator could leave int32."""

    node: int
    bound: int
    most: int = INT32_MAX


def value_ranges(graph: Graph, constants: tuple[NDArray, ...], sums: Sums | None = None) -> tuple[Range, ...]:
    """The range of every value over all inputs, by value number."""
    cache: Sums = {} if sums is None else sums
    ranges = [Range(*DTYPE_RANGE[value.dtype]) for value in graph.inputs]
    for node in graph.nodes:
        inputs = [ranges[index] for index in node.inputs]
        ranges.append(output_range(graph.operand_types(node)[0], node, inputs, constants, cache))
    return tuple(ranges)


def output_range(
    types: tuple[ValueType, ...],
    node: Node,
    inputs: Sequence[Range],
    constants: Sequence[NDArray],
    sums: Sums | None = None,
) -> Range:
    """The range of a node's output from the types and ranges of its operands."""
    operator = node.operator
    match operator:
        case Reshape() | Transpose():
            return inputs[0]
        case Pad():
            return inputs[0].hull(Range(operator.value, operator.value))
        case Concatenation():
            result = inputs[0]
            for other in inputs[1:]:
                result = result.hull(other)
            return result
        case Constant():
            array = constants[node.constants[0]]
            return Range(int(array.min()), int(array.max()))
        case Pool2D():
            low, high = operator.low, operator.high
            return Range(min(max(inputs[0].low, low), high), min(max(inputs[0].high, low), high))
        case MatMul():
            bounds = channel_bounds(types[0], node, inputs[0], constants, sums)
            return Range(int(bounds.low.min()), int(bounds.high.max()))
        case Logistic():
            table = constants[node.constants[0]][inputs[0].low + 128 : inputs[0].high + 129]
            return Range(int(table.min()), int(table.max()))
        case Softmax():
            return Range(*DTYPE_RANGE[node.output.dtype])
        case Conv2D() | DepthwiseConv2D() | FullyConnected() | BatchMatMul() | Add() | Mul() | Mean() | Quantize():
            return Range(operator.low, operator.high)
    raise TaskError(f"{operator.name}: no range rule", code=ErrorCode.UNSUPPORTED_OPERATOR)


def accumulator_bounds(
    graph: Graph, node: Node, inputs: Sequence[Range], constants: Sequence[NDArray], sums: Sums | None = None
) -> AccumulatorBounds:
    """:func:`channel_bounds` of a node of a graph; ``inputs`` are the ranges of its operands."""
    return channel_bounds(graph.operand_types(node)[0][0], node, inputs[0], constants, sums)


def channel_bounds(
    operand: ValueType, node: Node, values: Range, constants: Sequence[NDArray], sums: Sums | None = None
) -> AccumulatorBounds:
    """The exact accumulator range of each output channel of a linear node with constant weights.

    ``operand`` and ``values`` are the type and the range of what it reads. The accumulator holds the bias and sum of
    w * (x - zero_point); taps outside the image add nothing.
    """
    operator = node.operator
    x = values.shifted(operand.zero_point)
    cache: Sums = {} if sums is None else sums
    key = (node.constants[0], isinstance(operator, DepthwiseConv2D))
    if key not in cache:
        cache[key] = _filter_sums(constants[node.constants[0]], depthwise=key[1])
    terms = cache[key]
    if isinstance(operator, (Conv2D, DepthwiseConv2D)) and operator.window.padded:
        x = x.hull(Range(0, 0))
    if isinstance(operator, MatMul):
        bias = np.zeros_like(terms.positive)
    else:
        bias = constants[node.constants[1]].astype(np.int64)
    low = bias + terms.positive * x.low + terms.negative * x.high
    high = bias + terms.positive * x.high + terms.negative * x.low
    return AccumulatorBounds(low, high, np.abs(bias) + (terms.positive - terms.negative) * x.magnitude)


def _filter_sums(kernel: NDArray, depthwise: bool) -> FilterSums:
    terms = kernel.reshape(-1, kernel.shape[-1]).T if depthwise else kernel.reshape(kernel.shape[0], -1)
    return FilterSums(
        np.maximum(terms, 0).sum(axis=1, dtype=np.int64), np.minimum(terms, 0).sum(axis=1, dtype=np.int64)
    )


def check_accumulators(graph: Graph, constants: tuple[NDArray, ...]) -> None:
    """Refuse a model whose accumulators, or their left shifts, could leave int32.

    Raises:
        TaskError: ``accumulator_overflow`` or ``value_out_of_range``, naming the node.
    """
    overflow = overflowing_node(graph, constants)
    if overflow is not None:
        raise TaskError(
            f"node {overflow.node} ({graph.nodes[overflow.node].operator.name}): an accumulator could leave int32",
            code=ErrorCode.ACCUMULATOR_OVERFLOW,
            expected=f"<= {overflow.most}",
            got=overflow.bound,
        )


def overflowing_node(graph: Graph, constants: tuple[NDArray, ...]) -> Overflow | None:
    """The first node whose accumulators, or their left shifts, could leave int32; None where there is none.

    Raises:
        TaskError: ``value_out_of_range`` for requantisation constants out of range.
    """
    sums: Sums = {}
    ranges = value_ranges(graph, constants, sums)
    for position, node in enumerate(graph.nodes):
        inputs = [ranges[index] for index in node.inputs]
        bound, shift = _bound_and_shift(graph, node, inputs, constants, sums)
        if bound is not None:
            worst = int(_shifted(bound, shift).max())
            if worst > INT32_MAX:
                return Overflow(position, worst)
    return None


def _shifted(bound: Int64Array, shift: Int64Array) -> Int64Array:
    """``bound << shift`` where the shift is to the left, saturating far above int32."""
    left = np.maximum(shift, 0)
    shifted: Int64Array = np.left_shift(np.minimum(bound, 1 << 32), left)
    return shifted


def _bound_and_shift(
    graph: Graph, node: Node, inputs: list[Range], constants: tuple[NDArray, ...], sums: Sums
) -> tuple[Int64Array | None, Int64Array]:
    """The accumulator bound that holds in any order, and the shift applied to it."""
    operator = node.operator
    types = graph.operand_types(node)[0]
    spans = [r.shifted(t.zero_point).magnitude for r, t in zip(inputs, types, strict=True)]
    none = np.zeros(1, np.int64)
    match operator:
        case Conv2D() | DepthwiseConv2D() | FullyConnected():
            bounds = accumulator_bounds(graph, node, inputs, constants, sums)
            return bounds.any_order, _checked_shifts(node, constants)
        case MatMul():
            return accumulator_bounds(graph, node, inputs, constants, sums).any_order, none
        case BatchMatMul():
            depth = operator.sizes(types)[2]
            return np.array([depth * spans[0] * spans[1]], np.int64), np.array([operator.requant.shift])
        case Mul():
            return np.array([spans[0] * spans[1]], np.int64), np.array([operator.requant.shift])
        case Quantize():
            return np.array([spans[0]], np.int64), np.array([operator.requant.shift])
        case Mean():
            # The sum is of raw values; the zero point is taken off count times.
            total = operator.count(types) * (inputs[0].magnitude + abs(types[0].zero_point))
            return np.array([total], np.int64), np.array([operator.requant.shift])
        case AveragePool2D():
            return np.array([operator.kernel_h * operator.kernel_w * inputs[0].magnitude * 2], np.int64), none
    return None, none


def _checked_shifts(node: Node, constants: tuple[NDArray, ...]) -> Int64Array:
    """The per-channel shifts of a linear node, its requantisation constants checked."""
    multiplier = constants[node.constants[2]]
    shift = constants[node.constants[3]].astype(np.int64)
    if bool(np.any(multiplier < 0)) or bool(np.any(shift < -31)) or bool(np.any(shift > 30)):
        raise TaskError(
            f"{node.operator.name}: requantisation constants out of range",
            code=ErrorCode.VALUE_OUT_OF_RANGE,
            expected="0 <= multiplier < 2**31 and -31 <= shift <= 30",
            got=f"multiplier from {int(multiplier.min())}, shift {int(shift.min())} to {int(shift.max())}",
        )
    return shift
