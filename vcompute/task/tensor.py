# SPDX-License-Identifier: Apache-2.0
"""Tensor types: element type, shape of one sample, zero point.

A batch is first-class: the shape of a value leaves the batch axis out, and every value of a run has one leading
batch axis of the same length. Constants have no batch axis.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from vcompute.codec import Array, Enum, Int, Uint, field
from vcompute.errors import TaskError
from vcompute.registry import ErrorCode
from vcompute.task.limits import MAX_DIMENSION, MAX_ELEMENTS, MAX_RANK

Shape: TypeAlias = tuple[int, ...]
NDArray: TypeAlias = npt.NDArray[Any]


@unique
class DType(IntEnum):
    """Element types; arrays travel in little-endian row-major order."""

    INT8 = 1
    INT32 = 2


NUMPY_DTYPE: Final[dict[DType, np.dtype[Any]]] = {
    DType.INT8: np.dtype("i1"),
    DType.INT32: np.dtype("<i4"),
}
DTYPE_RANGE: Final[dict[DType, tuple[int, int]]] = {
    DType.INT8: (-128, 127),
    DType.INT32: (-(1 << 31), (1 << 31) - 1),
}
SHAPE_KIND: Final = Array(Int(1, MAX_DIMENSION), 0, MAX_RANK)


def require_array(value: object, name: str = "a value") -> None:
    """Refuse what is not a numpy array: a list has no element type, and to guess one would make other bytes of it.

    Raises:
        TaskError: ``invalid_input``.
    """
    if not isinstance(value, np.ndarray):
        raise TaskError(
            f"{name} is not an array",
            code=ErrorCode.INVALID_INPUT,
            expected="a numpy array of int8 or int32: np.array(values, np.int8)",
            got=type(value).__name__,
        )


def dtype_of(array: NDArray) -> DType:
    """The element type of an array.

    Raises:
        TaskError: ``invalid_input`` for no array, or not of a type of the task encoding.
    """
    require_array(array)
    for dtype, numpy_dtype in NUMPY_DTYPE.items():
        if array.dtype == numpy_dtype:
            return dtype
    raise TaskError(
        "an array has a type outside the task encoding",
        code=ErrorCode.INVALID_INPUT,
        expected="int8 or int32",
        got=str(array.dtype),
    )


@dataclass(frozen=True, slots=True)
class ConstantType:
    """The type of a constant; its bytes stand in the weights, not in the graph."""

    dtype: DType = field(0, Enum(DType), "element type")
    shape: Shape = field(1, SHAPE_KIND, "shape, no batch axis")

    @property
    def elements(self) -> int:
        """Number of elements."""
        return math.prod(self.shape)

    @property
    def nbytes(self) -> int:
        """Size in the weights, bytes."""
        return self.elements * NUMPY_DTYPE[self.dtype].itemsize


@dataclass(frozen=True, slots=True)
class ValueType:
    """The type of a value: an input of the graph or the output of a node."""

    dtype: DType = field(0, Enum(DType), "element type")
    shape: Shape = field(1, SHAPE_KIND, "shape of one sample")
    zero_point: int = field(2, Int(-128, 127), "the integer that stands for real zero")

    @property
    def elements(self) -> int:
        """Number of elements of one sample."""
        return math.prod(self.shape)


@dataclass(frozen=True, slots=True)
class QuantizationScale:
    """How people read a value's integers: real = scale * (q - zero_point). Informative; no rule uses it."""

    bits: int = field(0, Uint(32), "the IEEE 754 binary32 bits of the scale; 0 where unknown")

    @property
    def scale(self) -> float:
        """The scale as a number."""
        return float(np.uint32(self.bits).view(np.float32))

    @classmethod
    def of(cls, scale: float) -> "QuantizationScale":
        """From a number, rounded to binary32."""
        return cls(int(np.float32(scale).view(np.uint32)))


def check_size(what: str, shape: Shape) -> None:
    """Refuse a tensor with more elements than the encoding admits."""
    if math.prod(shape) > MAX_ELEMENTS:
        raise TaskError(
            f"{what} is too large",
            code=ErrorCode.LIMIT_EXCEEDED,
            expected=f"at most {MAX_ELEMENTS} elements",
            got=math.prod(shape),
        )


def check_value_type(what: str, value: ValueType) -> None:
    """Refuse a value whose size or zero point is out of range."""
    check_size(what, value.shape)
    low, high = DTYPE_RANGE[value.dtype]
    if not low <= value.zero_point <= high or (value.dtype is DType.INT32 and value.zero_point != 0):
        raise TaskError(
            f"{what}: zero point out of range for {value.dtype.name.lower()}",
            code=ErrorCode.VALUE_OUT_OF_RANGE,
            got=value.zero_point,
        )
