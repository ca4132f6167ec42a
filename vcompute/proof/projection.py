# SPDX-License-Identifier: Apache-2.0
"""Integer matrices times vectors over F = F_p[x]/(x^2 - 7): the one heavy step of a Freivalds check.

Two implementations give the same words: :class:`NumpyProjection`, the readable one, and :class:`NativeProjection`
(``native/src/freivalds*.c``), which splits the vector into digits so that every product is a small integer's.
"""

from typing import Any, Final, Protocol

import numpy as np

from vcompute import _native
from vcompute.field import goldilocks as base
from vcompute.field.extension import ExtWords
from vcompute.task.tensor import NDArray

_CHUNK: Final = 1 << 14
"""Columns at a time: 2^31 * 2^16 * 2^14 stays within int64."""


class Projection(Protocol):
    """Products of matrices and vectors. Matrices are C-contiguous, int8 or little-endian int32."""

    name: str

    def project(self, matrix: NDArray, vector: ExtWords) -> ExtWords:
        """matrix (M, K) times vector (K, 2): (M, 2)."""
        ...

    def project_transposed(self, matrix: NDArray, vector: ExtWords) -> ExtWords:
        """The transpose of an int8 matrix (K, N) times vector (K, 2): (N, 2)."""
        ...


class NumpyProjection:
    """The readable twin: digits of 16 bits and int64 sums."""

    name = "numpy"

    def project(self, matrix: NDArray, vector: ExtWords) -> ExtWords:
        result = np.zeros((matrix.shape[0], 2), np.uint64)
        for start in range(0, matrix.shape[1], _CHUNK):
            block = matrix[:, start : start + _CHUNK].astype(np.int64)
            part = vector[start : start + _CHUNK]
            for digit in range(4):
                sums = block @ (part >> np.uint64(16 * digit) & np.uint64(0xFFFF)).astype(np.int64)
                scaled = base.mul(base.elements(sums), base.element(1 << (16 * digit)))
                result = base.add(result, scaled)
        return result

    def project_transposed(self, matrix: NDArray, vector: ExtWords) -> ExtWords:
        return self.project(matrix.T, vector)


class NativeProjection:
    """The C kernels."""

    name = "native"

    def project(self, matrix: NDArray, vector: ExtWords) -> ExtWords:
        rows, cols = matrix.shape
        out = np.empty((rows, 2), np.uint64)
        if matrix.dtype == np.int8:
            scratch = np.empty(_native.lib.vc_freivalds_scratch_i8(cols), np.uint64)
            _native.lib.vc_freivalds_project_i8(
                _words(out), _pointer("int8_t[]", matrix), rows, cols, _words(vector), _words(scratch)
            )
        else:
            scratch = np.empty(_native.lib.vc_freivalds_scratch_i32(cols), np.uint64)
            _native.lib.vc_freivalds_project_i32(
                _words(out), _pointer("int32_t[]", matrix), rows, cols, _words(vector), _words(scratch)
            )
        return out

    def project_transposed(self, matrix: NDArray, vector: ExtWords) -> ExtWords:
        rows, cols = matrix.shape
        out = np.empty((cols, 2), np.uint64)
        scratch = np.empty(_native.lib.vc_freivalds_scratch_i8_transposed(rows), np.uint64)
        _native.lib.vc_freivalds_project_i8_transposed(
            _words(out), _pointer("int8_t[]", matrix), rows, cols, _words(vector), _words(scratch)
        )
        return out


def _pointer(ctype: str, array: NDArray) -> Any:
    return _native.ffi.from_buffer(ctype, np.require(array, requirements=("C", "A")))


def _words(array: NDArray) -> Any:
    return _pointer("uint64_t[]", array)


def default_projection() -> Projection:
    """The native kernels where the core was built, else the numpy twin (with one warning that it is slow)."""
    if _native.available():
        return NativeProjection()
    _native.warn_fallback()
    return NumpyProjection()
