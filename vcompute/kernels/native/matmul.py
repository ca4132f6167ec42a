# SPDX-License-Identifier: Apache-2.0
"""The raw matrix product: int8 by int8 into int32."""

from concurrent.futures import ThreadPoolExecutor
from threading import local
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.errors import TaskError
from vcompute.kernels.native.memory import ALIGNMENT, aligned_bytes
from vcompute.registry import ErrorCode
from vcompute.task.tensor import NDArray, require_array

MAX_DEPTH: Final = (1 << 17) - 1
"""The longest inner axis whose sums of products stay in int32 for all int8 values."""
ROWS: Final = 64
"""Rows that a kernel takes at once: threads share out multiples of it."""
KEPT: Final = 1 << 22
"""Bytes of packed columns and scratch that a thread keeps at most for its next product: fresh pages cost more than
packing does."""

_kept = local()


def matmul(a: NDArray, b: NDArray, threads: int = 1) -> NDArray:
    """The exact product (..., M, K) x (..., K, N) -> int32 (..., M, N); leading axes broadcast as in numpy.

    Raises:
        TaskError: ``invalid_input`` for operands of another type, fewer than two axes or shapes that do not fit,
            ``accumulator_overflow`` for K above 131,071.
        UsageError: ``native_unavailable``.
    """
    _native.require()
    leading = check_operands(a, b)
    rows, depth, columns = a.shape[-2], a.shape[-1], b.shape[-1]
    out = np.empty((*leading, rows, columns), np.int32)
    if 0 in (out.size, depth):
        out.fill(0)
        return out
    if b.ndim == 2:  # one tall product
        _product(out.reshape(-1, columns), np.ascontiguousarray(a).reshape(-1, depth), b, threads)
        return out
    left = np.broadcast_to(a, (*leading, rows, depth))
    right = np.broadcast_to(b, (*leading, depth, columns))
    for index in np.ndindex(*leading):
        _product(out[index], left[index], right[index], threads)
    return out


def check_operands(a: NDArray, b: NDArray) -> tuple[int, ...]:
    """The leading axes of a product.

    Raises:
        TaskError: as for :func:`matmul`.
    """
    for name, operand in (("a", a), ("b", b)):
        require_array(operand, name)
        if operand.dtype != np.int8 or operand.ndim < 2:
            raise TaskError(
                "a matrix product takes int8 operands of at least two axes",
                code=ErrorCode.INVALID_INPUT,
                got=f"{operand.dtype} {operand.shape}",
            )
    if a.shape[-1] != b.shape[-2]:
        raise TaskError("inner sizes differ", code=ErrorCode.INVALID_INPUT, expected=a.shape[-1], got=b.shape[-2])
    if a.shape[-1] > MAX_DEPTH:
        raise TaskError(
            "sums could leave int32", code=ErrorCode.ACCUMULATOR_OVERFLOW, expected=f"K <= {MAX_DEPTH}", got=a.shape[-1]
        )
    if a.ndim == b.ndim == 2:
        return ()
    try:
        return np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    except ValueError as error:
        raise TaskError(
            "leading axes do not broadcast", code=ErrorCode.INVALID_INPUT, expected=a.shape, got=b.shape
        ) from error


def _borrow(size: int) -> tuple[int, Any]:
    """At least ``size`` aligned bytes: how many and where. They are nobody else's until they are given back."""
    kept: tuple[int, Any] | None = getattr(_kept, "memory", None)
    _kept.memory = None
    return kept if kept and kept[0] >= size else (size, aligned_bytes(size, zeroed=False))


def _give_back(size: int, memory: Any) -> None:
    if size <= KEPT:
        _kept.memory = (size, memory)


def _product(out: NDArray, a: NDArray, b: NDArray, threads: int) -> None:
    """One product of C-contiguous ``out`` with matrices of any strides."""
    ffi, lib = _native.ffi, _native.lib
    left, right = np.ascontiguousarray(a), np.ascontiguousarray(b)
    (rows, depth), columns = left.shape, right.shape[1]
    share = -(-rows // (max(1, threads) * ROWS)) * ROWS
    starts = range(0, rows, share)
    packed_size = lib.vc_matmul_packed_bytes(depth, columns)
    scratch_size = -(-lib.vc_matmul_scratch_bytes(depth, columns) // ALIGNMENT) * ALIGNMENT
    # each thread's scratch stands after the packed columns, whose size is a multiple of the alignment
    size, packed = _borrow(packed_size + len(starts) * scratch_size)
    lib.vc_matmul_pack(packed, ffi.from_buffer("int8_t[]", right), depth, columns)
    source, target = ffi.from_buffer("int8_t[]", left), ffi.from_buffer("int32_t[]", out)

    def part(first: int) -> None:
        count, scratch = min(share, rows - first), packed + packed_size + first // share * scratch_size
        lib.vc_matmul_rows(target + first * columns, source + first * depth, packed, count, depth, columns, scratch)

    if len(starts) == 1:
        part(0)
    else:
        with ThreadPoolExecutor(threads) as pool:
            for job in [pool.submit(part, first) for first in starts]:
                job.result()
    _give_back(size, packed)
