# SPDX-License-Identifier: Apache-2.0
"""The raw matrix product: int8 by int8 into int32."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import lru_cache
from math import prod
from threading import local
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.errors import TaskError
from vcompute.kernels.native.memory import ALIGNMENT, aligned_bytes
from vcompute.registry import ErrorCode
from vcompute.task.tensor import NDArray, Shape, require_array

MAX_DEPTH: Final = (1 << 17) - 1
"""The longest inner axis whose sums of products stay in int32 for all int8 values."""
ROWS: Final = 64
"""Rows that a kernel takes at once: threads share out multiples of it."""
KEPT: Final = 1 << 22
"""Bytes of packed columns and scratch that a thread keeps at most for its next product: fresh pages cost more than
packing does."""
ALIGNED: Final = 1 << 18
"""Bytes from which a result is worth a line of its own: a kernel's stores then cross none."""
INT8: Final = np.dtype(np.int8)

_kept = local()


@dataclass(frozen=True, slots=True, eq=False)
class PackedMatrix:
    """The right-hand side of products, arranged for the kernels once; make one with ``vcompute.pack``.

    It is a copy: what is written to the array afterwards does not reach it. It belongs to this process, whose threads
    may share it.
    """

    shape: Shape
    """(..., K, N), the shape of the array it was made from."""
    columns: Any = field(repr=False)
    """The arranged copy, which only the executor that made it can read."""

    @property
    def ndim(self) -> int:
        """How many axes there are."""
        return len(self.shape)


def matmul(a: NDArray, b: NDArray | PackedMatrix, threads: int = 1) -> NDArray:
    """The exact product (..., M, K) x (..., K, N) -> int32 (..., M, N); leading axes broadcast as in numpy.

    Raises:
        TaskError: ``invalid_input`` for operands of another type, fewer than two axes or shapes that do not fit,
            ``accumulator_overflow`` for K above 131,071.
        UsageError: ``native_unavailable``.
    """
    _native.require()
    leading = check_operands(a, b)
    rows, (depth, columns) = a.shape[-2], b.shape[-2:]
    out, target = _result((*leading, rows, columns))
    if 0 in (out.size, depth):
        out.fill(0)
    elif b.ndim == 2:  # one tall product
        _product(target, a, b.columns if isinstance(b, PackedMatrix) else b, depth, columns, threads)
    else:
        left = np.broadcast_to(a, (*leading, rows, depth))
        for index, right in zip(np.ndindex(*leading), _matrices(b, leading), strict=True):
            _product(target, left[index], right, depth, columns, threads)
            target += rows * columns
    return out


def pack(b: NDArray) -> PackedMatrix:
    """Arrange int8 (..., K, N) once for any number of products.

    Raises:
        TaskError: ``invalid_input`` for another type or fewer than two axes, ``accumulator_overflow`` for K above
            131,071.
        UsageError: ``native_unavailable``.
    """
    _native.require()
    check_columns(b)
    depth, columns = b.shape[-2:]
    if b.size == 0:
        return PackedMatrix(b.shape, None)
    ffi, lib = _native.ffi, _native.lib
    size, _ = _sizes(depth, columns)
    matrices = np.ascontiguousarray(b).reshape(-1, depth, columns)
    memory = aligned_bytes(size * len(matrices), zeroed=False)
    for index, matrix in enumerate(matrices):
        lib.vc_matmul_pack(memory + index * size, ffi.from_buffer("int8_t[]", matrix), depth, columns)
    return PackedMatrix(b.shape, memory)


def _check_operand(name: str, operand: NDArray) -> None:
    """Refuse what is no int8 array of at least two axes.

    Raises:
        TaskError: ``invalid_input``.
    """
    require_array(operand, name)
    if operand.dtype != INT8 or operand.ndim < 2:
        raise TaskError(
            "a matrix product takes int8 operands of at least two axes",
            code=ErrorCode.INVALID_INPUT,
            got=f"{operand.dtype} {operand.shape}",
        )


def _check_depth(depth: int) -> None:
    """Refuse an inner axis whose sums could leave int32.

    Raises:
        TaskError: ``accumulator_overflow``.
    """
    if depth > MAX_DEPTH:
        raise TaskError(
            "sums could leave int32", code=ErrorCode.ACCUMULATOR_OVERFLOW, expected=f"K <= {MAX_DEPTH}", got=depth
        )


def check_columns(b: NDArray) -> None:
    """Refuse what no product takes as its right-hand side.

    Raises:
        TaskError: as for :func:`pack`.
    """
    _check_operand("b", b)
    _check_depth(b.shape[-2])


def check_operands(a: NDArray, b: NDArray | PackedMatrix) -> Shape:
    """The leading axes of a product.

    Raises:
        TaskError: as for :func:`matmul`.
    """
    plain = isinstance(a, np.ndarray) and isinstance(b, np.ndarray) and a.dtype is INT8 and b.dtype is INT8
    if plain and a.ndim == b.ndim == 2 and a.shape[1] == b.shape[0] <= MAX_DEPTH:
        return ()  # the usual case, told in few steps: small products take microseconds
    _check_operand("a", a)
    if not isinstance(b, PackedMatrix):
        _check_operand("b", b)
    if a.shape[-1] != b.shape[-2]:
        raise TaskError("inner sizes differ", code=ErrorCode.INVALID_INPUT, expected=a.shape[-1], got=b.shape[-2])
    _check_depth(a.shape[-1])
    if a.ndim == b.ndim == 2:
        return ()
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise TaskError(
            "leading axes do not broadcast", code=ErrorCode.INVALID_INPUT, expected=a.shape, got=b.shape
        ) from error


def _result(shape: Shape) -> tuple[NDArray, Any]:
    """An array to be written, at an aligned address where it is large, and a pointer to it."""
    ffi, size = _native.ffi, prod(shape)
    if 4 * size < ALIGNED:
        out = np.empty(shape, np.int32)
        return out, ffi.from_buffer("int32_t[]", out)
    memory = np.empty(size + ALIGNMENT // 4, np.int32)
    pointer = ffi.from_buffer("int32_t[]", memory)
    start = -int(ffi.cast("uintptr_t", pointer)) % ALIGNMENT // 4
    return memory[start : start + size].reshape(shape), pointer + start


def _matrices(b: NDArray | PackedMatrix, leading: Shape) -> Iterator[Any]:
    """The right-hand side of each product of a batch, as :func:`_product` takes it."""
    if isinstance(b, PackedMatrix):
        size, _ = _sizes(*b.shape[-2:])
        numbers = np.arange(prod(b.shape[:-2])).reshape(b.shape[:-2])
        return (b.columns + int(number) * size for number in np.broadcast_to(numbers, leading).flat)
    right = np.broadcast_to(b, (*leading, *b.shape[-2:]))
    return (right[index] for index in np.ndindex(*leading))


@lru_cache(maxsize=256)
def _sizes(depth: int, columns: int) -> tuple[int, int]:
    """Aligned bytes of packed columns and of a thread's scratch."""
    lib = _native.lib
    scratch = -(-lib.vc_matmul_scratch_bytes(depth, columns) // ALIGNMENT) * ALIGNMENT
    return lib.vc_matmul_packed_bytes(depth, columns), scratch


def _borrow(size: int) -> tuple[int, Any]:
    """At least ``size`` aligned bytes: how many and where. They are nobody else's until they are given back."""
    kept: tuple[int, Any] | None = getattr(_kept, "memory", None)
    _kept.memory = None
    return kept if kept and kept[0] >= size else (size, aligned_bytes(size, zeroed=False))


def _give_back(size: int, memory: Any) -> None:
    if size <= KEPT:
        _kept.memory = (size, memory)


def _product(target: Any, a: NDArray, b: Any, depth: int, columns: int, threads: int) -> None:
    """One product, written to ``target``; ``b`` is a matrix or a pointer to one that is packed."""
    ffi, lib = _native.ffi, _native.lib
    left = np.ascontiguousarray(a)
    source, rows = ffi.from_buffer("int8_t[]", left), left.size // depth
    parts = min(max(1, threads), -(-rows // ROWS))
    packed_size, scratch_size = _sizes(depth, columns)
    if isinstance(b, np.ndarray):
        right = ffi.from_buffer("int8_t[]", np.ascontiguousarray(b))
        size, memory = _borrow(packed_size + parts * scratch_size)
        lib.vc_matmul_pack(memory, right, depth, columns)
        packed, scratch = memory, memory + packed_size
    else:
        size, memory = _borrow(parts * scratch_size)
        packed, scratch = b, memory
    if parts == 1:
        lib.vc_matmul_rows(target, source, packed, rows, depth, columns, scratch)
    else:
        _shared_out(target, source, packed, (rows, depth, columns), scratch, parts)
    _give_back(size, memory)


def _shared_out(target: Any, source: Any, packed: Any, shape: tuple[int, int, int], scratch: Any, parts: int) -> None:
    """The product's rows in so many threads, each with a scratch of its own."""
    rows, depth, columns = shape
    share = -(-rows // (parts * ROWS)) * ROWS
    _, scratch_size = _sizes(depth, columns)

    def part(index: int) -> None:
        first = index * share
        _native.lib.vc_matmul_rows(
            target + first * columns, source + first * depth, packed, min(share, rows - first), depth, columns,
            scratch + index * scratch_size,
        )  # fmt: skip

    with ThreadPoolExecutor(parts) as pool:
        for job in [pool.submit(part, index) for index in range(-(-rows // share))]:
            job.result()
