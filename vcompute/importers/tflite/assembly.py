# SPDX-License-Identifier: Apache-2.0
"""A task graph under construction: tensors of the file -> values, constants and nodes of ours.

TensorFlow Lite's leading axis of 1 is our batch axis: shapes of values leave it out, axes count one less.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from vcompute.errors import ImportFailed
from vcompute.importers.tflite.schema import OperatorCall, Subgraph, Tensor, TensorType
from vcompute.task.bounds import Range, Sums, output_range
from vcompute.task.graph import GRAPH_VERSION, Graph, Node
from vcompute.task.operators import Constant, Operator
from vcompute.task.tensor import (
    DTYPE_RANGE,
    ConstantType,
    DType,
    NDArray,
    QuantizationScale,
    Shape,
    ValueType,
    check_size,
    check_value_type,
    dtype_of,
)

UINT8_OFFSET: Final = 128
"""A uint8 tensor is the int8 tensor that is 128 less, zero point and all: the same reals."""


@dataclass(slots=True)
class Assembly:
    """Values, constants and nodes so far. ``source`` is the file."""

    source: Subgraph
    inputs: list[ValueType] = field(default_factory=list)
    constants: list[NDArray] = field(default_factory=list)
    nodes: list[Node] = field(default_factory=list)
    origins: list[OperatorCall] = field(default_factory=list)
    """The operator that each node comes from."""
    value_of: dict[int, int] = field(default_factory=dict)
    """Values by tensor index."""
    constant_of: dict[tuple[int, Shape], int] = field(default_factory=dict)
    """Constants that stand in the file, by tensor index and shape."""
    ranges: list[Range] = field(default_factory=list)
    """The range of each value."""
    sums: Sums = field(default_factory=dict)
    node_of: dict[tuple[int, Shape], int] = field(default_factory=dict)
    """Values of CONSTANT nodes, by tensor index and shape."""

    def type_of(self, value: int) -> ValueType:
        """The type of a value."""
        first = len(self.inputs)
        return self.inputs[value] if value < first else self.nodes[value - first].output

    def add_input(self, tensor: Tensor) -> None:
        """Make a tensor an input; all inputs come before the first node."""
        if tensor.index in self.value_of:
            raise ImportFailed(f"{tensor} is named twice as an input")
        self.value_of[tensor.index] = len(self.inputs)
        self.inputs.append(value_type(tensor))
        self.ranges.append(Range(*DTYPE_RANGE[DType.INT8]))

    def operand(self, call: OperatorCall, position: int, rank: int | None = None) -> int:
        """The value an operator reads; a constant int8 operand becomes a CONSTANT node.

        ``rank`` is the number of axes, the batch axis among them, that a constant is aligned to: a constant of that
        rank has a leading axis of 1, which is the batch's; one of lower rank broadcasts over the batch.
        """
        tensor = self.tensor(call, position)
        if tensor.index in self.value_of:
            return self.value_of[tensor.index]
        shape = sample_shape(tensor) if len(tensor.shape) == rank else tensor.shape
        key = (tensor.index, shape)
        if key not in self.node_of:
            if not self.source.is_constant(tensor):
                raise ImportFailed(f"{tensor} is read before anything has written it")
            scale_of(tensor)
            if tensor.type != TensorType.INT8:
                raise ImportFailed(f"{tensor}: a constant operand must be INT8", got=tensor.type_name)
            zero_point = int(tensor.zero_points[0])
            self.node_of[key] = self.add_node(
                call, Constant(), (), (self.file_constant(tensor, shape),), ValueType(DType.INT8, shape, zero_point)
            )
        return self.node_of[key]

    def tensor(self, call: OperatorCall, position: int) -> Tensor:
        """The tensor at one position of an operator's inputs."""
        if position >= len(call.inputs) or call.inputs[position] < 0:
            raise ImportFailed(f"input {position} is missing")
        return self.source.tensors[call.inputs[position]]

    def optional(self, call: OperatorCall, position: int) -> Tensor | None:
        """The tensor at a position that may be left out."""
        return self.tensor(call, position) if position < len(call.inputs) and call.inputs[position] >= 0 else None

    def output(self, call: OperatorCall) -> Tensor:
        """The one output of an operator."""
        if len(call.outputs) != 1:
            raise ImportFailed("number of outputs", expected=1, got=len(call.outputs))
        return self.source.tensors[call.outputs[0]]

    def file_constant(self, tensor: Tensor, shape: Shape) -> int:
        """The constant that holds a tensor of the file under ``shape``; the same for every reader."""
        key = (tensor.index, shape)
        if key not in self.constant_of:
            array = self.source.constant(tensor)
            self.constant_of[key] = self._add_constant(array.reshape(shape))
        return self.constant_of[key]

    def made_constant(self, array: NDArray) -> int:
        """A constant that the importer computed; its size is charged to what the file may ask for."""
        self.source.reader.charge(array.size)
        return self._add_constant(array)

    def _add_constant(self, array: NDArray) -> int:
        kind = ConstantType(dtype_of(array), array.shape)
        check_size("a constant", kind.shape)
        self.constants.append(array)
        return len(self.constants) - 1

    def add_node(
        self, call: OperatorCall, operator: Operator, inputs: Sequence[int], constants: Sequence[int], output: ValueType
    ) -> int:
        """Append a node whose shape rule holds and return its value."""
        types = tuple(self.type_of(value) for value in inputs)
        kinds = tuple(ConstantType(dtype_of(a), a.shape) for a in (self.constants[index] for index in constants))
        check_value_type("the output", output)
        for value in types:
            if value.dtype not in operator.operand_dtypes:
                raise ImportFailed(f"{operator.name} does not read {value.dtype.name.lower()}")
        if output.dtype not in operator.output_dtypes:
            raise ImportFailed(f"{operator.name} does not write {output.dtype.name.lower()}")
        least, most = operator.operands
        if not least <= len(types) <= most:
            raise ImportFailed("number of operands", expected=f"{least} to {most}", got=len(types))
        shape = operator.output_shape(types, kinds)
        if shape is not None and shape != output.shape:
            raise ImportFailed(
                "the output's declared shape is not what the operator gives",
                expected=(1, *shape),
                got=(1, *output.shape),
            )
        operator.check_output(types, output)
        node = Node(operator, tuple(inputs), tuple(constants), output)
        self.ranges.append(output_range(types, node, [self.ranges[i] for i in inputs], self.constants, self.sums))
        self.nodes.append(node)
        self.origins.append(call)
        return len(self.inputs) + len(self.nodes) - 1

    def finish(
        self, call: OperatorCall, operator: Operator, inputs: Sequence[int], constants: Sequence[int] = ()
    ) -> None:
        """Append the node that writes the operator's output tensor."""
        self.alias(call, self.add_node(call, operator, inputs, constants, value_type(self.output(call))))

    def alias(self, call: OperatorCall, value: int) -> None:
        """Let the operator's output tensor be a value that is there already."""
        tensor = self.output(call)
        if tensor.index in self.value_of:
            raise ImportFailed(f"{tensor} is written twice")
        self.value_of[tensor.index] = value

    def graph(self) -> Graph:
        """The graph so far with the file's outputs."""
        outputs = []
        for index in self.source.outputs:
            if index not in self.value_of or self.value_of[index] < len(self.inputs):
                raise ImportFailed(f"output {self.source.tensors[index]} is not written by any operator")
            outputs.append(self.value_of[index])
        return Graph(
            GRAPH_VERSION,
            tuple(self.inputs),
            tuple(ConstantType(dtype_of(array), array.shape) for array in self.constants),
            tuple(self.nodes),
            tuple(outputs),
            tuple(QuantizationScale.of(scale_of(self.source.tensors[index])) for index in self.source.inputs),
            tuple(QuantizationScale.of(scale_of(self.source.tensors[index])) for index in self.source.outputs),
        )


def sample_shape(tensor: Tensor) -> Shape:
    """The tensor's shape without its leading axis of 1.

    Raises:
        ImportFailed: the leading axis is not 1.
    """
    if not tensor.shape or tensor.shape[0] != 1:
        raise ImportFailed(f"{tensor}: the leading axis must be 1: it is the batch axis", got=tensor.shape)
    if min(tensor.shape) < 1:
        raise ImportFailed(f"{tensor}: an axis without elements or of unknown size", got=tensor.shape)
    return tensor.shape[1:]


def scale_of(tensor: Tensor) -> float:
    """The one scale of a tensor quantised as a whole.

    Raises:
        ImportFailed: not quantised so, or an unsupported tensor.
    """
    if tensor.unsupported:
        raise ImportFailed(f"{tensor}: {tensor.unsupported} is not supported")
    if tensor.scales.size != 1 or tensor.zero_points.size != 1:
        raise ImportFailed(
            f"{tensor} ({tensor.type_name}) is not quantised with one scale and zero point",
            got=f"{tensor.scales.size} scales, {tensor.zero_points.size} zero points",
        )
    scale = float(tensor.scales[0])
    if not 0 < scale < float("inf"):
        raise ImportFailed(f"{tensor}: the scale is not a positive number", got=scale)
    return scale


def value_type(tensor: Tensor) -> ValueType:
    """The type of the value that holds a quantised tensor; uint8 becomes int8.

    Raises:
        ImportFailed: another element type than int8 or uint8, or not quantised as a whole.
    """
    scale_of(tensor)
    if tensor.type not in (TensorType.INT8, TensorType.UINT8):
        raise ImportFailed(f"{tensor}: element type", expected="INT8 or UINT8", got=tensor.type_name)
    zero_point = int(tensor.zero_points[0]) - (UINT8_OFFSET if tensor.type == TensorType.UINT8 else 0)
    if not -128 <= zero_point <= 127:
        raise ImportFailed(f"{tensor}: zero point out of range", got=int(tensor.zero_points[0]))
    return ValueType(DType.INT8, sample_shape(tensor), zero_point)


def channel_scales(tensor: Tensor, channels: int, axis: int) -> list[float]:
    """The scales of a filter, one for each output channel; one scale is repeated.

    Raises:
        ImportFailed: not symmetric, or scales that do not belong to the channels.
    """
    scales, zero_points = tensor.scales, tensor.zero_points
    if scales.size not in (1, channels) or (scales.size > 1 and tensor.quantized_dimension != axis):
        raise ImportFailed(
            f"{tensor}: quantised along another axis than its output channels",
            expected=f"1 or {channels} scales along axis {axis}",
            got=f"{scales.size} along axis {tensor.quantized_dimension}",
        )
    if np.any(zero_points != 0):
        raise ImportFailed(f"{tensor}: weights must be symmetric (zero point 0)")
    if not np.all((scales >= 0) & np.isfinite(scales)):
        raise ImportFailed(f"{tensor}: a scale is negative or not a number")
    numbers = [float(scale) for scale in scales]
    return numbers * channels if len(numbers) == 1 else numbers
