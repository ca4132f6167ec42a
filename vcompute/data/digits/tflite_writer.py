# SPDX-License-Identifier: Apache-2.0
"""Write small ``.tflite`` files: one subgraph, built-in operators, quantised tensors.

The writer serialises what it is told and validates nothing, so that tests can also produce malformed models.
Tensors are named by index, ``-1`` stands for an absent optional operand. The same input gives the same bytes.

Source: the TensorFlow Lite schema, version 3 (``schema.fbs``), through the accessors of the package ``tflite``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from enum import IntEnum
from typing import Any, ClassVar

import flatbuffers
import numpy as np
import numpy.typing as npt
import tflite

SCHEMA_VERSION = 3
FILE_IDENTIFIER = b"TFL3"
BUFFER_ALIGNMENT = 16
DEPRECATED_CODE_LIMIT = 127  # codes beyond one byte are written as this in the old field


class Op(IntEnum):
    """Built-in operator codes of operator set v1."""

    ADD = 0
    AVERAGE_POOL_2D = 1
    CONCATENATION = 2
    CONV_2D = 3
    DEPTHWISE_CONV_2D = 4
    FULLY_CONNECTED = 9
    LOGISTIC = 14
    MAX_POOL_2D = 17
    MUL = 18
    RESHAPE = 22
    SOFTMAX = 25
    PAD = 34
    TRANSPOSE = 39
    MEAN = 40
    QUANTIZE = 114
    BATCH_MATMUL = 126


# The versions a converter writes for int8 operands.
INT8_VERSIONS: dict[int, int] = {
    Op.CONV_2D: 3,
    Op.DEPTHWISE_CONV_2D: 3,
    Op.FULLY_CONNECTED: 4,
    Op.RESHAPE: 1,
    Op.QUANTIZE: 1,
}
INT8_VERSION_OF_OTHERS = 2


class Padding(IntEnum):
    """Padding of convolutions and pools."""

    SAME = 0
    VALID = 1


class Activation(IntEnum):
    """Fused activation functions."""

    NONE = 0
    RELU = 1
    RELU_N1_TO_1 = 2
    RELU6 = 3


@dataclass(frozen=True, slots=True)
class Options:
    """Base of the options tables: a subclass names its schema table, its fields are the table's in snake case."""

    table: ClassVar[str] = ""


@dataclass(frozen=True, slots=True)
class Conv2DOptions(Options):
    """CONV_2D: input NHWC, filter OHWI, bias O."""

    table: ClassVar[str] = "Conv2DOptions"
    padding: Padding = Padding.SAME
    stride_h: int = 1
    stride_w: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_h_factor: int = 1
    dilation_w_factor: int = 1


@dataclass(frozen=True, slots=True)
class DepthwiseConv2DOptions(Options):
    """DEPTHWISE_CONV_2D: input NHWC, filter 1HW(C * multiplier), bias C * multiplier."""

    table: ClassVar[str] = "DepthwiseConv2DOptions"
    padding: Padding = Padding.SAME
    stride_h: int = 1
    stride_w: int = 1
    depth_multiplier: int = 1
    fused_activation_function: Activation = Activation.NONE
    dilation_h_factor: int = 1
    dilation_w_factor: int = 1


@dataclass(frozen=True, slots=True)
class Pool2DOptions(Options):
    """AVERAGE_POOL_2D and MAX_POOL_2D over NHWC."""

    table: ClassVar[str] = "Pool2DOptions"
    padding: Padding = Padding.VALID
    stride_h: int = 1
    stride_w: int = 1
    filter_height: int = 1
    filter_width: int = 1
    fused_activation_function: Activation = Activation.NONE


@dataclass(frozen=True, slots=True)
class FullyConnectedOptions(Options):
    """FULLY_CONNECTED: input (..., K), weights (N, K), bias N."""

    table: ClassVar[str] = "FullyConnectedOptions"
    fused_activation_function: Activation = Activation.NONE
    keep_num_dims: bool = False


@dataclass(frozen=True, slots=True)
class BatchMatMulOptions(Options):
    """BATCH_MATMUL of (..., M, K) by (..., K, N), either operand transposed on request."""

    table: ClassVar[str] = "BatchMatMulOptions"
    adj_x: bool = False
    adj_y: bool = False


@dataclass(frozen=True, slots=True)
class AddOptions(Options):
    """ADD of two tensors that broadcast."""

    table: ClassVar[str] = "AddOptions"
    fused_activation_function: Activation = Activation.NONE


@dataclass(frozen=True, slots=True)
class MulOptions(Options):
    """MUL of two tensors that broadcast."""

    table: ClassVar[str] = "MulOptions"
    fused_activation_function: Activation = Activation.NONE


@dataclass(frozen=True, slots=True)
class ReducerOptions(Options):
    """MEAN; the axes are the second operand, an int32 constant."""

    table: ClassVar[str] = "ReducerOptions"
    keep_dims: bool = False


@dataclass(frozen=True, slots=True)
class ConcatenationOptions(Options):
    """CONCATENATION along one axis."""

    table: ClassVar[str] = "ConcatenationOptions"
    axis: int = 0
    fused_activation_function: Activation = Activation.NONE


@dataclass(frozen=True, slots=True)
class ReshapeOptions(Options):
    """RESHAPE; the shape stands here, in an int32 second operand, or in both."""

    table: ClassVar[str] = "ReshapeOptions"
    new_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class SoftmaxOptions(Options):
    """SOFTMAX over the last axis."""

    table: ClassVar[str] = "SoftmaxOptions"
    beta: float = 1.0


@dataclass(frozen=True, slots=True)
class PadOptions(Options):
    """PAD; the int32 second operand holds (before, after) for each axis."""

    table: ClassVar[str] = "PadOptions"


@dataclass(frozen=True, slots=True)
class TransposeOptions(Options):
    """TRANSPOSE; the int32 second operand is the permutation."""

    table: ClassVar[str] = "TransposeOptions"


@dataclass(frozen=True, slots=True)
class QuantizeOptions(Options):
    """QUANTIZE between quantised types or scales."""

    table: ClassVar[str] = "QuantizeOptions"


@dataclass(frozen=True, slots=True, eq=False)
class TensorSpec:
    """A tensor of the subgraph."""

    name: str
    shape: tuple[int, ...]
    dtype: npt.DTypeLike = np.int8
    scales: tuple[float, ...] = ()
    """One scale, or one for each slice along ``quantized_dimension``; empty: not quantised."""
    zero_points: tuple[int, ...] = ()
    """As many as scales."""
    quantized_dimension: int = 0
    data: npt.NDArray[Any] | None = None
    """The values of a constant, converted to ``dtype`` and written in row-major order."""


@dataclass(frozen=True, slots=True)
class OperatorSpec:
    """An operator of the subgraph, in execution order."""

    code: int
    """A built-in operator code, of :class:`Op` or any other."""
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Options | None = None
    version: int | None = None
    """None: the version a converter writes for int8 operands."""


@dataclass(slots=True)
class GraphBuilder:
    """Collects tensors and operators, hands out indices, and writes the model."""

    tensors: list[TensorSpec] = field(default_factory=list)
    operators: list[OperatorSpec] = field(default_factory=list)

    def tensor(self, spec: TensorSpec) -> int:
        """Append a tensor and return its index."""
        self.tensors.append(spec)
        return len(self.tensors) - 1

    def constant(self, name: str, values: Sequence[int]) -> int:
        """Append a one-dimensional int32 constant (axes, a shape, a permutation) and return its index."""
        data = np.array(values, np.int32)
        return self.tensor(TensorSpec(name, data.shape, np.int32, data=data))

    def operator(self, code: int, inputs: Sequence[int], output: TensorSpec, options: Options | None = None) -> int:
        """Append an operator with one new output tensor and return the tensor's index."""
        index = self.tensor(output)
        self.operators.append(OperatorSpec(code, tuple(inputs), (index,), options))
        return index

    def write(self, inputs: Sequence[int], outputs: Sequence[int], description: str = "") -> bytes:
        """Return the model as the bytes of a ``.tflite`` file."""
        return write_tflite(self.tensors, self.operators, inputs, outputs, description)


def write_tflite(
    tensors: Sequence[TensorSpec],
    operators: Sequence[OperatorSpec],
    inputs: Sequence[int],
    outputs: Sequence[int],
    description: str = "",
) -> bytes:
    """Serialise a model of one subgraph.

    ``inputs`` and ``outputs`` are tensor indices. Returns the bytes of a ``.tflite`` file with identifier ``TFL3``.
    """
    return _Writer().model(tensors, operators, inputs, outputs, description)


class _Writer:
    """A flatbuffer under construction. Every method appends one object and returns its offset."""

    def __init__(self) -> None:
        self._builder: Any = flatbuffers.Builder(1024)

    def model(
        self,
        tensors: Sequence[TensorSpec],
        operators: Sequence[OperatorSpec],
        inputs: Sequence[int],
        outputs: Sequence[int],
        description: str,
    ) -> bytes:
        # Buffer 0 is the empty one that tensors without data share.
        constants = [spec for spec in tensors if spec.data is not None]
        buffers = [self._buffer(b""), *(self._buffer(_little_endian(spec)) for spec in constants)]
        buffer_of = {id(spec): number for number, spec in enumerate(constants, start=1)}
        codes = sorted({(spec.code, _version(spec)) for spec in operators})
        subgraph = self._table(
            "SubGraph",
            tensors=self._offsets([self._tensor(spec, buffer_of.get(id(spec), 0)) for spec in tensors]),
            inputs=self._vector(inputs, np.int32),
            outputs=self._vector(outputs, np.int32),
            operators=self._offsets(
                [self._operator(spec, codes.index((spec.code, _version(spec)))) for spec in operators]
            ),
            name=self._string("main"),
        )
        root = self._table(
            "Model",
            version=SCHEMA_VERSION,
            operator_codes=self._offsets([self._operator_code(code, version) for code, version in codes]),
            subgraphs=self._offsets([subgraph]),
            description=self._string(description),
            buffers=self._offsets(buffers),
        )
        self._builder.Finish(root, FILE_IDENTIFIER)
        return bytes(self._builder.Output())

    def _tensor(self, spec: TensorSpec, buffer: int) -> int:
        columns: dict[str, int] = {}
        if spec.scales:
            columns["quantization"] = self._table(
                "QuantizationParameters",
                scale=self._vector(spec.scales, np.float32),
                zero_point=self._vector(spec.zero_points, np.int64),
                quantized_dimension=spec.quantized_dimension,
            )
        return self._table(
            "Tensor",
            shape=self._vector(spec.shape, np.int32),
            type=getattr(tflite.TensorType, np.dtype(spec.dtype).name.upper()),
            buffer=buffer,
            name=self._string(spec.name),
            **columns,
        )

    def _operator(self, spec: OperatorSpec, opcode_index: int) -> int:
        columns: dict[str, int] = {}
        if spec.options is not None:
            columns["builtin_options_type"] = getattr(tflite.BuiltinOptions, spec.options.table)
            columns["builtin_options"] = self._options(spec.options)
        return self._table(
            "Operator",
            opcode_index=opcode_index,
            inputs=self._vector(spec.inputs, np.int32),
            outputs=self._vector(spec.outputs, np.int32),
            **columns,
        )

    def _options(self, options: Options) -> int:
        columns: dict[str, Any] = {}
        for column in fields(options):
            value = getattr(options, column.name)
            if isinstance(value, tuple):
                columns[column.name] = self._vector(value, np.int32)
            elif value is not None:
                columns[column.name] = value
        return self._table(options.table, **columns)

    def _operator_code(self, code: int, version: int) -> int:
        return self._table(
            "OperatorCode",
            deprecated_builtin_code=min(code, DEPRECATED_CODE_LIMIT),
            version=version,
            builtin_code=code,
        )

    def _buffer(self, data: bytes) -> int:
        if not data:
            return self._table("Buffer")
        self._builder.Prep(BUFFER_ALIGNMENT, len(data))
        return self._table("Buffer", data=self._builder.CreateByteVector(data))

    def _table(self, table: str, **columns: Any) -> int:
        """Append a table through its generated builder functions; column names are the schema's."""
        getattr(tflite, f"{table}Start")(self._builder)
        for name, value in columns.items():
            camel = "".join(part.capitalize() for part in name.split("_"))
            getattr(tflite, f"{table}Add{camel}")(self._builder, value)
        return int(getattr(tflite, f"{table}End")(self._builder))

    def _vector(self, values: Sequence[float], dtype: npt.DTypeLike) -> int:
        return int(self._builder.CreateNumpyVector(np.array(values, dtype)))

    def _offsets(self, offsets: Sequence[int]) -> int:
        self._builder.StartVector(4, len(offsets), 4)
        for offset in reversed(offsets):
            self._builder.PrependUOffsetTRelative(offset)
        return int(self._builder.EndVector())

    def _string(self, text: str) -> int:
        return int(self._builder.CreateString(text))


def _version(spec: OperatorSpec) -> int:
    return INT8_VERSIONS.get(spec.code, INT8_VERSION_OF_OTHERS) if spec.version is None else spec.version


def _little_endian(spec: TensorSpec) -> bytes:
    return np.ascontiguousarray(spec.data, np.dtype(spec.dtype).newbyteorder("<")).tobytes()
