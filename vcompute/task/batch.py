# SPDX-License-Identifier: Apache-2.0
"""A batch of samples: the inputs or outputs of a task, as arrays with one leading batch axis, and its encoding."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from vcompute.codec import Array, Bytes, Enum, Int, Record, decode, encode, field
from vcompute.errors import TaskError
from vcompute.registry import ErrorCode
from vcompute.task import digest
from vcompute.task.limits import BATCH_LIMITS, MAX_BATCH, MAX_ELEMENTS
from vcompute.task.tensor import NUMPY_DTYPE, SHAPE_KIND, DType, NDArray, Shape, ValueType, dtype_of, require_array


@dataclass(frozen=True, slots=True)
class TensorRecord:
    """The samples of one value."""

    dtype: DType = field(0, Enum(DType), "element type")
    shape: Shape = field(1, SHAPE_KIND, "shape of one sample")
    data: bytes = field(2, Bytes(0, 1 << 32), "samples one after the other, row-major, little-endian")


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch on the wire."""

    size: int = field(0, Int(1, MAX_BATCH), "number of samples")
    tensors: tuple[TensorRecord, ...] = field(1, Array(Record(TensorRecord), 1, 64), "one for each value")


@dataclass(frozen=True, eq=False)
class Batch:
    """Arrays (N, *shape), all with the same N >= 1, read-only."""

    arrays: tuple[NDArray, ...]

    @property
    def size(self) -> int:
        """Number of samples."""
        return int(self.arrays[0].shape[0])

    @cached_property
    def encoded(self) -> bytes:
        """The one encoding."""
        records = tuple(TensorRecord(dtype_of(a), tuple(a.shape[1:]), a.tobytes()) for a in self.arrays)
        return encode(BatchRecord(self.size, records))

    @cached_property
    def digest(self) -> bytes:
        """Content digest of the encoding, 32 bytes."""
        return digest.blob_digest(self.encoded)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Batch) and self.encoded == other.encoded

    def __hash__(self) -> int:
        return hash(self.digest)


def make_batch(arrays: NDArray | Sequence[NDArray]) -> Batch:
    """A batch from one array or several.

    Raises:
        TaskError: ``invalid_input`` for a wrong type, a missing batch axis or unequal batch sizes.
    """
    if not isinstance(arrays, (list, tuple)):
        require_array(arrays, "the batch")
    group = [arrays] if isinstance(arrays, np.ndarray) else list(arrays)
    if not group:
        raise TaskError("a batch needs at least one array", code=ErrorCode.INVALID_INPUT)
    frozen = []
    for array in group:
        dtype = dtype_of(array)
        if array.ndim < 1 or not 1 <= array.shape[0] <= MAX_BATCH or array.shape[0] != group[0].shape[0]:
            raise TaskError(
                "every array of a batch has the same leading batch axis, of at least one sample",
                code=ErrorCode.INVALID_INPUT,
                got=[a.shape for a in group],
            )
        copy = np.array(array, NUMPY_DTYPE[dtype], order="C")
        copy.flags.writeable = False
        frozen.append(copy)
    return Batch(tuple(frozen))


def decode_batch(data: bytes) -> Batch:
    """Decode a batch.

    Raises:
        EncodingError: not the encoding of a batch.
        TaskError: ``invalid_shape`` where data and shape disagree.
    """
    record = decode(BatchRecord, data, BATCH_LIMITS)
    arrays = []
    for tensor in record.tensors:
        count = record.size
        for size in tensor.shape:
            count *= size
        dtype = NUMPY_DTYPE[tensor.dtype]
        if count * dtype.itemsize != len(tensor.data):
            raise TaskError(
                "a tensor's data does not have its shape",
                code=ErrorCode.INVALID_SHAPE,
                expected=count * dtype.itemsize,
                got=len(tensor.data),
            )
        arrays.append(np.frombuffer(tensor.data, dtype).reshape((record.size, *tensor.shape)))
    return Batch(tuple(arrays))


def check_batch(what: str, batch: Batch, types: tuple[ValueType, ...]) -> None:
    """Refuse a batch whose arrays are not of these types.

    Raises:
        TaskError: ``invalid_input``.
    """
    if len(batch.arrays) != len(types):
        raise TaskError(
            f"{what}: number of tensors", code=ErrorCode.INVALID_INPUT, expected=len(types), got=len(batch.arrays)
        )
    for index, (array, expected) in enumerate(zip(batch.arrays, types, strict=True)):
        if array.dtype != NUMPY_DTYPE[expected.dtype] or tuple(array.shape[1:]) != expected.shape:
            raise TaskError(
                f"{what} {index} has the wrong type or shape",
                code=ErrorCode.INVALID_INPUT,
                expected=f"{expected.dtype.name.lower()} (N, {', '.join(map(str, expected.shape))})",
                got=f"{array.dtype} {array.shape}",
            )
    if batch.size * max(value.elements for value in types) > MAX_ELEMENTS << 4:
        raise TaskError(f"{what}: the batch is too large", code=ErrorCode.LIMIT_EXCEEDED, got=batch.size)
