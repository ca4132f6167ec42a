# SPDX-License-Identifier: Apache-2.0
"""Exact ranges: what every value and accumulator can be over **all** inputs, from the model alone.

A model is valid only where every accumulator, in whatever order its terms are added, stays within int32, so that an
implementation may add in any order without wrapping. Ranges come from the operators' clamps, never from calibration.
"""

from dataclasses import dataclass

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
from vcompute.task.tensor import DTYPE_RANGE, NDArray

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


def value_ranges(graph: Graph, constants: tuple[NDArray, ...]) -> tuple[Range, ...]:
    """The range of every value over all inputs, by value number."""
    ranges = [Range(*DTYPE_RANGE[value.dtype]) for value in graph.inputs]
    for node in graph.nodes:
        ranges.append(_output_range(graph, node, [ranges[index] for index in node.inputs], constants))
    return tuple(ranges)


def _output_range(graph: Graph, node: Node, inputs: list[Range], constants: tuple[NDArray, ...]) -> Range:
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
            bounds = accumulator_bounds(graph, node, inputs, constants)
            return Range(int(bounds.low.min()), int(bounds.high.max()))
        case Logistic() | Softmax():
            return Range(*DTYPE_RANGE[node.output.dtype])
        case Conv2D() | DepthwiseConv2D() | FullyConnected() | BatchMatMul() | Add() | Mul() | Mean() | Quantize():
            return Range(operator.low, operator.high)
    raise TaskError(f"{operator.name}: no range rule", code=ErrorCode.UNSUPPORTED_OPERATOR)


def accumulator_bounds(
    graph: Graph, node: Node, inputs: list[Range], constants: tuple[NDArray, ...]
) -> AccumulatorBounds:
    """The exact accumulator range of each output channel of a linear node with constant weights.

    ``inputs`` are the ranges of its operands. The accumulator holds the bias and sum of w * (x - zero_point); taps
    outside the image add nothing.
    """
    operator = node.operator
    zero_point = graph.operand_types(node)[0][0].zero_point
    x = inputs[0].shifted(zero_point)
    kernel = constants[node.constants[0]].astype(np.int64)
    if isinstance(operator, DepthwiseConv2D):
        terms = kernel.reshape(-1, kernel.shape[-1]).T
    else:
        terms = kernel.reshape(kernel.shape[0], -1)
    if isinstance(operator, (Conv2D, DepthwiseConv2D)) and operator.window.padded:
        x = x.hull(Range(0, 0))
    if isinstance(operator, MatMul):
        bias = np.zeros(terms.shape[0], np.int64)
    else:
        bias = constants[node.constants[1]].astype(np.int64)
    low = bias + np.minimum(terms * x.low, terms * x.high).sum(axis=1)
    high = bias + np.maximum(terms * x.low, terms * x.high).sum(axis=1)
    return AccumulatorBounds(low, high, np.abs(bias) + np.abs(terms).sum(axis=1) * x.magnitude)


def check_accumulators(graph: Graph, constants: tuple[NDArray, ...]) -> None:
    """Refuse a model whose accumulators, or their left shifts, could leave int32.

    Raises:
        TaskError: ``accumulator_overflow`` or ``value_out_of_range``, naming the node.
    """
    ranges = value_ranges(graph, constants)
    for position, node in enumerate(graph.nodes):
        inputs = [ranges[index] for index in node.inputs]
        bound, shift = _bound_and_shift(graph, node, inputs, constants)
        if bound is not None and bool(np.any(_shifted(bound, shift) > INT32_MAX)):
            raise TaskError(
                f"node {position} ({node.operator.name}): an accumulator could leave int32",
                code=ErrorCode.ACCUMULATOR_OVERFLOW,
                expected=f"<= {INT32_MAX}",
                got=int(_shifted(bound, shift).max()),
            )


def _shifted(bound: Int64Array, shift: Int64Array) -> Int64Array:
    """``bound << shift`` where the shift is to the left, saturating far above int32."""
    left = np.maximum(shift, 0)
    shifted: Int64Array = np.left_shift(np.minimum(bound, 1 << 32), left)
    return shifted


def _bound_and_shift(
    graph: Graph, node: Node, inputs: list[Range], constants: tuple[NDArray, ...]
) -> tuple[Int64Array | None, Int64Array]:
    """The accumulator bound that holds in any order, and the shift applied to it."""
    operator = node.operator
    types = graph.operand_types(node)[0]
    spans = [r.shifted(t.zero_point).magnitude for r, t in zip(inputs, types, strict=True)]
    none = np.zeros(1, np.int64)
    match operator:
        case Conv2D() | DepthwiseConv2D() | FullyConnected():
            return accumulator_bounds(graph, node, inputs, constants).any_order, _checked_shifts(node, constants)
        case MatMul():
            return accumulator_bounds(graph, node, inputs, constants).any_order, none
        case BatchMatMul():
            depth = operator.sizes(types)[2]
            return np.array([depth * spans[0] * spans[1]], np.int64), np.array([operator.requant.shift])
        case Mul():
            return np.array([spans[0] * spans[1]], np.int64), np.array([operator.requant.shift])
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
