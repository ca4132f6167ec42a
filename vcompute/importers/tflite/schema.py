# SPDX-License-Identifier: Apache-2.0
"""What the importer reads of a ``.tflite``: the tables of its schema as plain records.

Field ids count the fields of each table of ``schema.fbs`` (TensorFlow Lite schema version 3,
``tensorflow/compiler/mlir/lite/schema/schema.fbs``) in order; a union counts twice, its type first.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcompute.errors import ImportFailed
from vcompute.importers.tflite.flatbuffer import Reader, Table
from vcompute.task.limits import MAX_VALUES
from vcompute.task.tensor import Shape

IDENTIFIER: Final = b"TFL3"
SCHEMA_VERSION: Final = 3
MAX_TENSORS: Final = 1 << 16
MAX_FILE_RANK: Final = 8
DEPRECATED_CODE_LIMIT: Final = 127


@unique
class TensorType(IntEnum):
    """Element types of the schema."""

    FLOAT32 = 0
    FLOAT16 = 1
    INT32 = 2
    UINT8 = 3
    INT64 = 4
    STRING = 5
    BOOL = 6
    INT16 = 7
    COMPLEX64 = 8
    INT8 = 9
    FLOAT64 = 10
    COMPLEX128 = 11
    UINT64 = 12
    RESOURCE = 13
    VARIANT = 14
    UINT32 = 15
    UINT16 = 16
    INT4 = 17


NUMPY_TYPE: Final[dict[TensorType, np.dtype[Any]]] = {
    TensorType.INT8: np.dtype("i1"),
    TensorType.UINT8: np.dtype("u1"),
    TensorType.INT32: np.dtype("<i4"),
    TensorType.INT64: np.dtype("<i8"),
}
"""The types whose constants are read."""


@unique
class BuiltinOperator(IntEnum):
    """The operators that are imported."""

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


@dataclass(frozen=True, slots=True, eq=False)
class Tensor:
    """A tensor of the subgraph."""

    index: int
    name: str
    shape: Shape
    type: int
    buffer: int
    scales: npt.NDArray[np.float32]
    zero_points: npt.NDArray[np.int64]
    quantized_dimension: int
    unsupported: str
    """Why the tensor cannot be imported whatever it holds; empty where it can."""

    def __str__(self) -> str:
        return f"tensor {self.index} {self.name[:80]!r}"

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def type_name(self) -> str:
        """The schema's name of the element type."""
        return TensorType(self.type).name if self.type in list(TensorType) else f"type {self.type}"


@dataclass(frozen=True, slots=True, eq=False)
class OperatorCall:
    """An operator of the subgraph; operands are tensor indices, -1 where one is left out."""

    index: int
    code: int
    custom: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options_type: int
    options: Table | None

    def __str__(self) -> str:
        if self.custom:
            return f"operator {self.index} (custom {self.custom[:80]!r})"
        known = self.code in list(BuiltinOperator)
        return f"operator {self.index} ({BuiltinOperator(self.code).name if known else f'builtin {self.code}'})"


@dataclass(frozen=True, slots=True, eq=False)
class Subgraph:
    """The one subgraph of a model, and the buffers its constants stand in."""

    reader: Reader
    tensors: tuple[Tensor, ...]
    operators: tuple[OperatorCall, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    buffers: tuple[Table, ...]

    def is_constant(self, tensor: Tensor) -> bool:
        """Whether the tensor's content stands in the file."""
        return self._content(tensor) is not None

    def constant(self, tensor: Tensor) -> npt.NDArray[Any]:
        """A constant's elements under its shape, a read-only view into the file.

        Raises:
            ImportFailed: not a constant, not an integer type, or another size than the shape says.
        """
        raw = self._content(tensor)
        if raw is None:
            raise ImportFailed(f"{tensor} is not a constant")
        if tensor.type not in NUMPY_TYPE or tensor.unsupported:
            reason = tensor.unsupported or f"a constant of type {tensor.type_name}"
            raise ImportFailed(f"{tensor}: {reason} is not supported")
        dtype = NUMPY_TYPE[TensorType(tensor.type)]
        if raw.nbytes != tensor.elements * dtype.itemsize:
            raise ImportFailed(
                f"{tensor}: its buffer has another size than its shape {tensor.shape}",
                expected=tensor.elements * dtype.itemsize,
                got=raw.nbytes,
            )
        array: npt.NDArray[Any] = raw.view(dtype).reshape(tensor.shape)
        return array

    def _content(self, tensor: Tensor) -> npt.NDArray[Any] | None:
        if tensor.buffer >= len(self.buffers):
            raise ImportFailed(f"{tensor}: its buffer is not there", expected=len(self.buffers), got=tensor.buffer)
        buffer = self.buffers[tensor.buffer]
        # Buffer: data 0, offset 1, size 2. An offset places the data behind the FlatBuffer (files over 2 GiB).
        if buffer.uint64(1) > 1:
            raise ImportFailed(f"{tensor}: data outside the FlatBuffer is not supported")
        data = buffer.numbers(0, "u1")
        return None if data is None or not data.size else data


def read_subgraph(data: bytes) -> Subgraph:
    """The subgraph of a ``.tflite`` with one subgraph.

    Raises:
        ImportFailed: not a well-formed file of schema version 3.
    """
    reader = Reader(data)
    # Model: version 0, operator_codes 1, subgraphs 2, description 3, buffers 4
    model = reader.root(IDENTIFIER)
    if model.uint32(0) != SCHEMA_VERSION:
        raise ImportFailed("version of the .tflite schema", expected=SCHEMA_VERSION, got=model.uint32(0))
    codes = [_operator_code(table) for table in model.tables(1, MAX_VALUES)]
    subgraphs = model.tables(2, MAX_VALUES)
    if len(subgraphs) != 1:
        raise ImportFailed("number of subgraphs (control flow is not supported)", expected=1, got=len(subgraphs))
    # SubGraph: tensors 0, inputs 1, outputs 2, operators 3
    main = subgraphs[0]
    tensors = tuple(_tensor(index, table) for index, table in enumerate(main.tables(0, MAX_TENSORS)))
    operators = tuple(
        _operator(index, table, codes, len(tensors)) for index, table in enumerate(main.tables(3, MAX_VALUES))
    )
    inputs = _references(main, 1, "the subgraph's inputs", len(tensors), least=0)
    outputs = _references(main, 2, "the subgraph's outputs", len(tensors), least=0)
    return Subgraph(reader, tensors, operators, inputs, outputs, tuple(model.tables(4, MAX_TENSORS)))


def _operator_code(table: Table) -> tuple[int, str]:
    # OperatorCode: deprecated_builtin_code 0, custom_code 1, version 2, builtin_code 3
    code = max(table.int8(0), table.int32(3))
    return code, table.text(1)


def _tensor(index: int, table: Table) -> Tensor:
    # Tensor: shape 0, type 1, buffer 2, name 3, quantization 4, is_variable 5, sparsity 6
    name, shape = table.text(3), _integers(table, 0)
    if len(shape) > MAX_FILE_RANK:
        raise ImportFailed(f"tensor {index} {name[:80]!r}: number of axes", expected=MAX_FILE_RANK, got=len(shape))
    unsupported = ""
    if table.boolean(5):
        unsupported = "a variable (the state of a streaming model)"
    elif table.table(6) is not None:
        unsupported = "a sparse tensor"
    # QuantizationParameters: min 0, max 1, scale 2, zero_point 3, details_type 4, details 5, quantized_dimension 6
    quantization = table.table(4)
    scales = zero_points = None
    dimension = 0
    if quantization is not None:
        scales, zero_points = quantization.numbers(2, "<f4"), quantization.numbers(3, "<i8")
        dimension = quantization.int32(6)
        if quantization.uint8(4):
            unsupported = "custom quantization"
    return Tensor(
        index,
        name,
        shape,
        table.int8(1),
        table.uint32(2),
        np.zeros(0, np.float32) if scales is None else scales,
        np.zeros(0, np.int64) if zero_points is None else zero_points,
        dimension,
        unsupported,
    )


def _operator(index: int, table: Table, codes: list[tuple[int, str]], tensors: int) -> OperatorCall:
    # Operator: opcode_index 0, inputs 1, outputs 2, builtin_options_type 3, builtin_options 4
    number = table.uint32(0)
    if number >= len(codes):
        raise ImportFailed(f"operator {index}: its code is not in the table", expected=len(codes), got=number)
    code, custom = codes[number]
    inputs = _references(table, 1, f"the inputs of operator {index}", tensors, least=-1)
    outputs = _references(table, 2, f"the outputs of operator {index}", tensors, least=0)
    return OperatorCall(index, code, custom, inputs, outputs, table.uint8(3), table.table(4))


def _integers(table: Table, field_id: int) -> tuple[int, ...]:
    numbers = table.numbers(field_id, "<i4")
    return () if numbers is None else tuple(numbers.tolist())


def _references(table: Table, field_id: int, what: str, tensors: int, least: int) -> tuple[int, ...]:
    numbers = _integers(table, field_id)
    for number in numbers:
        if not least <= number < tensors:
            raise ImportFailed(f"{what} name a tensor that is not there", expected=f"< {tensors}", got=number)
    return numbers
