# SPDX-License-Identifier: Apache-2.0
"""Integer tensors against extension vectors, exactly, on the machine's fast floating-point products.

A word is cut into limbs of 16 bits; a product of a limb and a small integer is exact in a double, and so is the sum of
many of them.
"""

from collections.abc import Sequence
from functools import reduce
from math import prod
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute.field import Backend, Ext, ExtWords, from_array
from vcompute.field.extension import lift
from vcompute.field.goldilocks import element, elements
from vcompute.proof.succinct.program.backend import RecordingBackend
from vcompute.proof.succinct.program.values import as_recorded

IntArray = npt.NDArray[Any]
EXACT: Final = 1 << 46
"""Sums stay below this: exact in a double, and still in 64 bits with the next limb's sum, shifted by 16, added."""
MOST_ROWS: Final = 1 << 16
SPLIT: Final = 12
"""Bits of the low half of integers too large for one product."""


def outer(vectors: Sequence[ExtWords], backend: Backend) -> ExtWords:
    """The outer product of vectors, flattened."""
    if isinstance(backend, RecordingBackend):
        recorded: ExtWords = backend.outer(vectors)
        return recorded
    if not vectors:
        return np.array([[1, 0]], np.uint64)
    result, *others = vectors
    for vector in others:
        if backend.name == "native":
            result = _outer_native(result, vector)
            continue
        left = np.repeat(result, vector.shape[0], axis=0)
        result = backend.ext_mul(left, np.tile(vector, (result.shape[0], 1)))
    return result


def _outer_native(outer: ExtWords, inner: ExtWords) -> ExtWords:
    """The outer product of two vectors by one call of the core."""
    (m, _), (n, _) = outer.shape, inner.shape
    result = np.empty((m * n, 2), np.uint64)
    out, left, right = (_native.ffi.from_buffer("uint64_t[]", np.ascontiguousarray(x)) for x in (result, outer, inner))
    _native.lib.vc_ext_outer(out, left, m, right, n)
    return result


def project(vectors: Sequence[ExtWords], matrix: IntArray, backend: Backend, zero_point: int = 0) -> Sequence[ExtWords]:
    """For each vector (R, 2) the sum over r of vector[r] * (matrix[r, :] - zero_point), as (C, 2); integers of at most
    2^32, with a zero point int8.
    """
    rows, columns = matrix.shape
    if not columns or not rows:
        return [np.zeros((columns, 2), np.uint64) for _ in vectors]
    if backend.name == "native" and matrix.dtype == np.int8:
        return list(_project_native(vectors, matrix, zero_point))
    if zero_point:
        matrix = matrix.astype(np.int16) - np.int16(zero_point)
    if rows > MOST_ROWS:
        parts = (
            project(
                [vector[start : start + MOST_ROWS] for vector in vectors], matrix[start : start + MOST_ROWS], backend
            )
            for start in range(0, rows, MOST_ROWS)
        )
        return [reduce(backend.add, group) for group in zip(*parts, strict=True)]
    limbs = np.stack([_limbs(vector) for vector in vectors]).reshape(len(vectors), 8, rows)
    largest = max(abs(int(matrix.max())), abs(int(matrix.min())), 1)
    if largest << 16 >= EXACT // rows:
        wide = matrix.astype(np.int64)
        low, high = wide & ((1 << SPLIT) - 1), wide >> SPLIT
        scale = element(1 << SPLIT)
        halves = zip(project(vectors, low, backend), project(vectors, high, backend), strict=True)
        return [backend.add(a, backend.mul(b, np.broadcast_to(scale, b.shape))) for a, b in halves]
    sums = (limbs.reshape(-1, rows) @ matrix.astype(np.float64)).astype(np.int64).reshape(len(vectors), 2, 4, columns)
    lower = elements(sums[:, :, 0] + (sums[:, :, 1] << 16))
    upper = elements(sums[:, :, 2] + (sums[:, :, 3] << 16))
    words = backend.add(lower, backend.mul(upper, np.broadcast_to(element(1 << 32), upper.shape)))
    return [np.ascontiguousarray(words[index].T) for index in range(len(vectors))]


def _project_native(vectors: Sequence[ExtWords], matrix: IntArray, zero_point: int) -> ExtWords:
    """:func:`project` of int8 by one call of the core."""
    rows, columns = matrix.shape
    result = np.empty((len(vectors), columns, 2), np.uint64)
    joined = np.ascontiguousarray(vectors[0] if len(vectors) == 1 else np.stack(vectors))
    ffi = _native.ffi
    _native.lib.vc_project(
        ffi.from_buffer("uint64_t[]", result), ffi.from_buffer("int8_t[]", np.ascontiguousarray(matrix)),
        rows, columns, zero_point, ffi.from_buffer("uint64_t[]", joined), len(vectors),
    )  # fmt: skip
    return result


def project_limbs(vector: ExtWords, limbs: Sequence[IntArray], width: int, backend: Backend) -> ExtWords:
    """The sum over r of vector[r] * x[r, :], x = the sum of 2^(width i) limbs[i], as (C, 2). Entries of int32 limbs are
    from 0 to 2^20.
    """
    rows, columns = limbs[0].shape
    result = np.zeros((columns, 2), np.uint64)
    if backend.name != "native" or any(limb.dtype != np.int32 for limb in limbs):
        for place, limb in enumerate(limbs):
            folded = project([vector], limb, backend)[0]
            scale = np.broadcast_to(element(1 << width * place), folded.shape)
            result = backend.add(result, backend.mul(folded, scale))
        return result
    ffi = _native.ffi
    words = [ffi.from_buffer("int32_t[]", np.ascontiguousarray(limb)) for limb in limbs]
    _native.lib.vc_project_limbs(
        ffi.from_buffer("uint64_t[]", result), words, len(words), width, rows, columns,
        ffi.from_buffer("uint64_t[]", np.ascontiguousarray(vector)),
    )  # fmt: skip
    return result


def _limbs(vector: ExtWords) -> npt.NDArray[np.float64]:
    """(8, R): limbs of word 0, then of word 1, least significant first."""
    shifts = np.array([0, 16, 32, 48], np.uint64)
    parts = (vector.T[:, None, :] >> shifts[None, :, None]) & np.uint64(0xFFFF)
    return parts.reshape(8, -1).astype(np.float64)


def contract(tensor: IntArray, vectors: Sequence[ExtWords], backend: Backend) -> Ext:
    """The sum over all indices of tensor[i, j, ...] * vectors[0][i] * vectors[1][j] * ..."""
    if isinstance(backend, RecordingBackend):
        return backend.contract(tensor, vectors)
    if tensor.dtype != np.int8:
        return backend.dot_base(outer(vectors, backend), elements(tensor.reshape(-1)))
    shape = tensor.shape
    split = next((axis for axis in range(len(shape)) if prod(shape[axis:]) <= 4096), len(shape))
    split = max(split, 1) if shape else 0
    head, tail = outer(vectors[:split], backend), outer(vectors[split:], backend)
    middle = project([head], tensor.reshape(head.shape[0], tail.shape[0]), backend)[0]
    return backend.dot_ext(middle, tail)


def contract_axis(table: ExtWords, vectors: ExtWords, backend: Backend) -> ExtWords:
    """(L, K, R, 2) against each of (T, K, 2): (L, T, R, 2)."""
    left, size, right, _ = table.shape
    result = np.zeros((left, vectors.shape[0], right, 2), np.uint64)
    if backend.name == "native":
        words = [_native.ffi.from_buffer("uint64_t[]", np.ascontiguousarray(x)) for x in (result, table, vectors)]
        _native.lib.vc_ext_contract(words[0], words[1], left, size, right, words[2], vectors.shape[0])
        return result
    for place, vector in enumerate(vectors):
        total = np.zeros((left * right, 2), np.uint64)
        for k in range(size):
            block = np.ascontiguousarray(table[:, k]).reshape(-1, 2)
            total = backend.add(total, backend.ext_mul(block, vector[k : k + 1]))
        result[:, place] = total.reshape(left, right, 2)
    return result


def first_element(vector: ExtWords) -> Ext:
    """A vector's first element."""
    recorded = as_recorded(vector)
    return from_array(vector[:1])[0] if recorded is None else recorded.element(0)


def vector_sum(vector: ExtWords, native: bool = _native.available()) -> Ext:
    """The sum of a vector's elements."""
    recorded = as_recorded(vector)
    if recorded is not None:
        return recorded.total()
    if native:
        total = _native.ffi.new("uint64_t[2]")
        words = _native.ffi.from_buffer("uint64_t[]", np.ascontiguousarray(vector))
        _native.lib.vc_ext_sum(total, words, vector.shape[0])
        return Ext(total[0], total[1])
    low = (vector & np.uint64(0xFFFFFFFF)).sum(axis=0, dtype=np.uint64)
    high = (vector >> np.uint64(32)).sum(axis=0, dtype=np.uint64)
    return Ext(*(int(a) + (int(b) << 32) for a, b in zip(low, high, strict=True)))


def scaled(vector: ExtWords, factors: Sequence[int], backend: Backend) -> ExtWords:
    """vector[i] * factors[i], factors any integers."""
    return backend.ext_mul_base(vector, elements(np.array(factors, dtype=object)))


def lifted(values: IntArray) -> ExtWords:
    """Integers as extension elements."""
    return lift(elements(values))
