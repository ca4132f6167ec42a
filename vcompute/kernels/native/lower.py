# SPDX-License-Identifier: Apache-2.0
"""From a graph's nodes to the operations of the native core.

A buffer is a place for one value of each sample; RESHAPE only renames one. An operation names its buffers and the
fields of ``vc_op`` (``native/include/vcompute.h``) that its kind uses; offsets come later (:mod:`.arena`).
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from enum import IntEnum, unique
from typing import Any, Final, TypeAlias

import numpy as np

from vcompute.errors import TaskError
from vcompute.registry import ErrorCode
from vcompute.task import operators as ops
from vcompute.task.graph import Graph, Node
from vcompute.task.model import Model
from vcompute.task.tensor import NUMPY_DTYPE, NDArray, Shape, ValueType


@unique
class Kind(IntEnum):
    """``VC_KIND_*`` of the header."""

    CONV = 1
    DEPTHWISE = 2
    BATCH_MATMUL = 3
    ADD = 4
    MUL = 5
    AVERAGE_POOL = 6
    MAX_POOL = 7
    MEAN = 8
    COPY = 9
    FILL = 10
    SOFTMAX = 11
    LOOKUP = 12
    CONSTANT = 13


NO_BUFFER: Final = -1
Fields: TypeAlias = dict[str, int | Sequence[int]]
"""Fields of ``vc_op`` by name."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One ``vc_op``: its buffers, its other fields, the constants it packs (filter, bias, multiplier, shift)."""

    kind: Kind
    a: int
    b: int
    out: int
    fields: Fields
    constants: tuple[NDArray, ...] = ()


@dataclass(slots=True)
class Program:
    """A graph lowered: the bytes of each buffer, the buffer of each value, the operations in order."""

    buffers: list[int] = field(default_factory=list)
    values: list[int] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)

    def new_buffer(self, size: int) -> int:
        """A buffer of ``size`` bytes for each sample."""
        self.buffers.append(size)
        return len(self.buffers) - 1


@dataclass(frozen=True, slots=True)
class Context:
    """What lowering one node needs."""

    program: Program
    operands: tuple[int, ...]
    types: tuple[ValueType, ...]
    constants: tuple[NDArray, ...]
    output: ValueType
    out: int

    def emit(self, kind: Kind, *parts: Fields, constants: tuple[NDArray, ...] = ()) -> None:
        """Append an operation on the node's own operands and output, with the fields of all parts."""
        fields = {name: value for part in parts for name, value in part.items()}
        a = self.operands[0] if self.operands else NO_BUFFER
        b = self.operands[1] if len(self.operands) > 1 else NO_BUFFER
        self.program.operations.append(Operation(kind, a, b, self.out, fields, constants))


def lower(model: Model) -> Program:
    """Lower a validated model.

    Raises:
        TaskError: ``unsupported_operator``, naming the operator.
    """
    graph = model.graph
    program = Program()
    for value in graph.inputs:
        program.values.append(program.new_buffer(value_bytes(value)))
    for node in graph.nodes:
        program.values.append(_lower_node(program, graph, node, model.constants))
    return program


def lower_linear(graph: Graph, node: Node, constants: tuple[NDArray, ...], rows: int) -> Operation | None:
    """A linear node by itself, to int32 accumulators and for one sample; a product takes ``rows`` rows of a matrix.

    None where one operation does not do.
    """
    types, _ = graph.operand_types(node)
    program = Program(buffers=[0, 0])
    RULES[type(node.operator)](node.operator, Context(program, (0,), types, constants, node.output, 1))
    (operation, *more) = program.operations
    if more:
        return None
    fields = {**operation.fields, "rounding": 0}
    if not isinstance(node.operator, (ops.Conv2D, ops.DepthwiseConv2D)):
        fields |= {"h": rows, "out_h": rows, "w": 1, "out_w": 1}
    return replace(operation, fields=fields, constants=operation.constants[:2])


def value_bytes(value: ValueType) -> int:
    """Bytes of one sample of a value."""
    return value.elements * NUMPY_DTYPE[value.dtype].itemsize


def _lower_node(program: Program, graph: Graph, node: Node, constants: tuple[NDArray, ...]) -> int:
    operands = tuple(program.values[index] for index in node.inputs)
    if isinstance(node.operator, ops.Reshape):
        return operands[0]
    rule = RULES.get(type(node.operator))
    if rule is None:
        raise TaskError(f"{node.operator.name}: no native kernel", code=ErrorCode.UNSUPPORTED_OPERATOR)
    types, _ = graph.operand_types(node)
    out = program.new_buffer(value_bytes(node.output))
    rule(
        node.operator,
        Context(program, operands, types, tuple(constants[index] for index in node.constants), node.output, out),
    )
    return out


def strides_of(shape: Shape) -> tuple[int, ...]:
    """Row-major strides, elements."""
    return tuple(math.prod(shape[axis + 1 :]) for axis in range(len(shape)))


def broadcast_strides(shape: Shape, result: Shape) -> tuple[int, ...]:
    """Strides by which an operand of ``shape`` is read as if it had the shape ``result``."""
    padded = (1,) * (len(result) - len(shape)) + shape
    return tuple(0 if size == 1 else stride for size, stride in zip(padded, strides_of(padded), strict=True))


def collapse(dims: Shape, *strides: tuple[int, ...]) -> tuple[Shape, list[tuple[int, ...]]]:
    """The same loops with as few axes as possible: axes of 1 dropped, neighbours joined where all strides allow."""
    axes = [(size, *each) for size, *each in zip(dims, *strides, strict=True) if size != 1]
    joined: list[tuple[int, ...]] = []
    for axis in axes:
        if joined and all(outer == inner * axis[0] for outer, inner in zip(joined[-1][1:], axis[1:], strict=True)):
            joined[-1] = (joined[-1][0] * axis[0], *axis[1:])
        else:
            joined.append(axis)
    if not joined:
        joined.append((1,) * (1 + len(strides)))
    columns = list(zip(*joined, strict=True))
    return columns[0], columns[1:]


def _rounding(operator: Any) -> Fields:
    return {"rounding": operator.rounding}


def _clamp(operator: Any) -> Fields:
    return {"low": operator.low, "high": operator.high}


def _scalar(*requants: ops.Requant) -> Fields:
    return {"multiplier": [r.multiplier for r in requants], "shift": [r.shift for r in requants]}


def _window(window: ops.Window, kernel: tuple[int, int], image: Shape, output: Shape) -> Fields:
    return {
        "h": image[0],
        "w": image[1],
        "c": image[2],
        "out_h": output[0],
        "out_w": output[1],
        "out_c": output[2],
        "kernel_h": kernel[0],
        "kernel_w": kernel[1],
        "stride_h": window.stride_h,
        "stride_w": window.stride_w,
        "dilation_h": window.dilation_h,
        "dilation_w": window.dilation_w,
        "pad_top": window.pad_top,
        "pad_left": window.pad_left,
    }


ONE_TAP: Final = ops.Window(1, 1, 1, 1, 0, 0, 0, 0)


def _conv_2d(operator: ops.Conv2D, c: Context) -> None:
    kernel = c.constants[0].shape
    fields = _window(operator.window, (kernel[1], kernel[2]), c.types[0].shape, c.output.shape)
    c.emit(Kind.CONV, fields, _zeros(c), _clamp(operator), _rounding(operator), constants=c.constants)


def _zeros(c: Context) -> Fields:
    zeros: Fields = {"zero_out": c.output.zero_point}
    for name, value in zip(("zero_a", "zero_b"), c.types, strict=False):
        zeros[name] = value.zero_point
    return zeros


def _depthwise(operator: ops.DepthwiseConv2D, c: Context) -> None:
    """One input channel is an ordinary convolution; several copies of each channel are made first."""
    image, kernel = c.types[0].shape, c.constants[0].shape
    fields = _window(operator.window, (kernel[0], kernel[1]), image, c.output.shape) | _zeros(c)
    fields |= _clamp(operator) | _rounding(operator)
    if image[2] == 1 and operator.depth_multiplier > 1:
        filters = np.ascontiguousarray(c.constants[0].transpose(2, 0, 1))
        c.emit(Kind.CONV, fields, constants=(filters, *c.constants[1:]))
        return
    source, copies = c.operands[0], operator.depth_multiplier
    if copies > 1:
        pixels = math.prod(image)
        source = c.program.new_buffer(pixels * copies)
        dims, (read, write) = collapse((pixels, copies), (1, 0), (copies, 1))
        loops: Fields = {"dim": dims, "a_stride": read, "out_stride": write, "rank": len(dims)}
        c.program.operations.append(Operation(Kind.COPY, c.operands[0], NO_BUFFER, source, loops))
        fields["c"] = image[2] * copies
    c.program.operations.append(Operation(Kind.DEPTHWISE, source, NO_BUFFER, c.out, fields, c.constants))


def _product(operator: ops.FullyConnected | ops.MatMul, c: Context) -> None:
    """An image of one row, a kernel of one tap."""
    depth, columns = c.types[0].shape[-1], c.constants[0].shape[0]
    rows = math.prod(c.types[0].shape[:-1])
    fields = _window(ONE_TAP, (1, 1), (1, rows, depth), (1, rows, columns))
    if isinstance(operator, ops.MatMul):
        c.emit(Kind.CONV, fields, {"zero_a": c.types[0].zero_point}, constants=c.constants)
    else:
        c.emit(Kind.CONV, fields, _zeros(c), _clamp(operator), _rounding(operator), constants=c.constants)


def _batch_matmul(operator: ops.BatchMatMul, c: Context) -> None:
    leading, m, k, n = operator.sizes(c.types)
    a, b = (value.shape for value in c.types)
    a_rows, b_rows = strides_of(a)[-2:], strides_of(b)[-2:]
    a_inner = a_rows[::-1] if operator.transpose_a else a_rows
    b_inner = b_rows[::-1] if operator.transpose_b else b_rows
    loops: Fields = {
        "rank": len(leading),
        "dim": leading,
        "a_stride": (*broadcast_strides_of_matrices(a, leading), *a_inner),
        "b_stride": (*broadcast_strides_of_matrices(b, leading), *b_inner),
        "h": m,
        "c": k,
        "out_c": n,
    }
    requant = _scalar(operator.requant)
    c.emit(Kind.BATCH_MATMUL, loops, requant, _zeros(c), _clamp(operator), _rounding(operator))


def broadcast_strides_of_matrices(shape: Shape, leading: Shape) -> tuple[int, ...]:
    """Strides between the matrices of an operand whose leading axes are stretched to ``leading``."""
    matrix = shape[-2] * shape[-1]
    return tuple(stride * matrix for stride in broadcast_strides(shape[:-2], leading))


def _elementwise_loops(c: Context) -> Fields:
    shape = c.output.shape
    dims, (a, b) = collapse(shape, *(broadcast_strides(value.shape, shape) for value in c.types))
    return {"rank": len(dims), "dim": dims, "a_stride": a, "b_stride": b}


def _add(operator: ops.Add, c: Context) -> None:
    requants = _scalar(operator.a, operator.b, operator.out)
    c.emit(Kind.ADD, _elementwise_loops(c), requants, _zeros(c), _clamp(operator))


def _mul(operator: ops.Mul, c: Context) -> None:
    loops, requant = _elementwise_loops(c), _scalar(operator.requant)
    c.emit(Kind.MUL, loops, requant, _zeros(c), _clamp(operator), _rounding(operator))


def _pool(kind: Kind) -> Callable[[Any, Context], None]:
    def rule(operator: ops.AveragePool2D | ops.MaxPool2D, c: Context) -> None:
        kernel = (operator.kernel_h, operator.kernel_w)
        fields = _window(operator.window, kernel, c.types[0].shape, c.output.shape)
        c.emit(kind, fields, _clamp(operator))

    return rule


def _mean(operator: ops.Mean, c: Context) -> None:
    shape = c.types[0].shape
    strides = strides_of(shape)
    kept = [axis for axis in range(len(shape)) if axis not in operator.axes]
    dims, (stride,) = collapse(tuple(shape[i] for i in kept), tuple(strides[i] for i in kept))
    reduced, (step,) = collapse(tuple(shape[i] for i in operator.axes), tuple(strides[i] for i in operator.axes))
    loops: Fields = {
        "rank": len(dims),
        "dim": dims,
        "a_stride": stride,
        "reduce_rank": len(reduced),
        "reduce_dim": reduced,
        "reduce_stride": step,
    }
    c.emit(Kind.MEAN, loops, _scalar(operator.requant), _zeros(c), _clamp(operator), _rounding(operator))


def _copy(c: Context, operand: int, dims: Shape, read: tuple[int, ...], write: tuple[int, ...], base: int) -> None:
    sizes, (a, out) = collapse(dims, read, write)
    loops: Fields = {"rank": len(sizes), "dim": sizes, "a_stride": a, "out_stride": out}
    c.program.operations.append(Operation(Kind.COPY, operand, NO_BUFFER, c.out, {**loops, "out_base": base}))


def _pad(operator: ops.Pad, c: Context) -> None:
    shape, strides = c.types[0].shape, strides_of(c.output.shape)
    c.program.operations.append(Operation(Kind.FILL, NO_BUFFER, NO_BUFFER, c.out, {"zero_out": operator.value}))
    base = sum(before * stride for before, stride in zip(operator.before, strides, strict=True))
    _copy(c, c.operands[0], shape, strides_of(shape), strides, base)


def _concatenation(operator: ops.Concatenation, c: Context) -> None:
    strides, start = strides_of(c.output.shape), 0
    for operand, value in zip(c.operands, c.types, strict=True):
        _copy(c, operand, value.shape, strides_of(value.shape), strides, start * strides[operator.axis])
        start += value.shape[operator.axis]


def _transpose(operator: ops.Transpose, c: Context) -> None:
    strides = strides_of(c.types[0].shape)
    read = tuple(strides[axis] for axis in operator.permutation)
    _copy(c, c.operands[0], c.output.shape, read, strides_of(c.output.shape), 0)


def _softmax(operator: ops.Softmax, c: Context) -> None:
    fields: Fields = {"multiplier": [operator.multiplier], "shift": [operator.shift]}
    c.emit(Kind.SOFTMAX, fields, {"dim": (c.types[0].shape[-1],)})


def _logistic(operator: ops.Logistic, c: Context) -> None:
    """The model's table starts at -128, the core's at 0."""
    c.emit(Kind.LOOKUP, {"rounding": ops.Rounding.DOUBLE}, constants=(np.roll(c.constants[0], 128),))


def _quantize(operator: ops.Quantize, c: Context) -> None:
    c.emit(Kind.LOOKUP, _scalar(operator.requant), _zeros(c), _clamp(operator), _rounding(operator))


def _constant(operator: ops.Constant, c: Context) -> None:
    c.emit(Kind.CONSTANT, constants=c.constants)


RULES: Final[dict[type[ops.Operator], Callable[[Any, Context], None]]] = {
    ops.Conv2D: _conv_2d,
    ops.DepthwiseConv2D: _depthwise,
    ops.FullyConnected: _product,
    ops.MatMul: _product,
    ops.BatchMatMul: _batch_matmul,
    ops.Add: _add,
    ops.Mul: _mul,
    ops.AveragePool2D: _pool(Kind.AVERAGE_POOL),
    ops.MaxPool2D: _pool(Kind.MAX_POOL),
    ops.Mean: _mean,
    ops.Pad: _pad,
    ops.Concatenation: _concatenation,
    ops.Transpose: _transpose,
    ops.Softmax: _softmax,
    ops.Logistic: _logistic,
    ops.Quantize: _quantize,
    ops.Constant: _constant,
}
