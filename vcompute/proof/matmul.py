# SPDX-License-Identifier: Apache-2.0
"""The check of one matrix product C = A B, int8 by int8 into int32, by random projection: O(n^2) for an n^3 product.

Instead of A B the verifier computes A (B r) and compares it with C r, for a random r over a field of 128 bits.
Source: R. Freivalds, Probabilistic machines can use less running time (1977).
"""

import secrets
from typing import Final

import numpy as np

from vcompute.errors import Rejected, TaskError
from vcompute.field.backend import default_backend
from vcompute.field.scalar import Ext
from vcompute.proof import challenge
from vcompute.proof.challenge import RandomBytes
from vcompute.proof.projection import Projection, default_projection
from vcompute.proof.suite import Security
from vcompute.registry import PARAMETER_SETS, ErrorCode, ParameterSetId
from vcompute.task.limits import INT32_MAX, MAX_DIMENSION, MAX_ELEMENTS
from vcompute.task.tensor import NUMPY_DTYPE, DType, NDArray, Shape, require_array
from vcompute.transcript import Transcript

PROTOCOL: Final = "freivalds-matmul"
MAX_DEPTH: Final = INT32_MAX >> 14
"""The most columns of A: no product of int8 matrices leaves int32."""


def check_shapes(a: NDArray, b: NDArray) -> Shape:
    """M, K, N of a product of int8 matrices (M, K) and (K, N).

    Raises:
        TaskError: ``invalid_input`` for another type or rank, or inner sizes that differ; ``limit_exceeded`` for sizes
            over the bounds of the task encoding; ``accumulator_overflow`` where a sum could leave int32.
    """
    for name, matrix in (("a", a), ("b", b)):
        _check_matrix(name, matrix, DType.INT8)
    if a.shape[1] != b.shape[0]:
        raise TaskError(
            "inner sizes differ", code=ErrorCode.INVALID_INPUT, expected=f"b of {a.shape[1]} rows", got=b.shape[0]
        )
    if a.shape[1] > MAX_DEPTH:
        raise TaskError(
            "a sum could leave int32", code=ErrorCode.ACCUMULATOR_OVERFLOW, expected=f"K <= {MAX_DEPTH}", got=a.shape[1]
        )
    return a.shape[0], a.shape[1], b.shape[1]


def _check_matrix(name: str, matrix: NDArray, dtype: DType) -> None:
    require_array(matrix, name)
    if matrix.dtype != NUMPY_DTYPE[dtype] or matrix.ndim != 2 or matrix.size == 0:
        raise TaskError(
            f"{name} is not a matrix of the type asked for",
            code=ErrorCode.INVALID_INPUT,
            expected=f"{dtype.name.lower()}, two axes, not empty",
            got=f"{matrix.dtype} {matrix.shape}",
        )
    if max(matrix.shape) > MAX_DIMENSION or matrix.size > MAX_ELEMENTS:
        raise TaskError(f"{name} is too large", code=ErrorCode.LIMIT_EXCEEDED, got=matrix.shape)


def check_matmul(
    a: NDArray,
    b: NDArray,
    c: NDArray,
    *,
    public: bool = False,
    context: bytes = b"",
    random: RandomBytes = secrets.token_bytes,
    projection: Projection | None = None,
) -> Security:
    """Check that c = a @ b exactly.

    Args:
        a: int8 (M, K).
        b: int8 (K, N).
        c: int32 (M, N), the claimed product.
        public: draw the challenge from a hash of the context and all three matrices instead of from ``random``, so
            that anyone who repeats the check gets the same verdict; it costs the hashing.
        context: bytes that a public challenge is bound to.
        random: the verifier's secret randomness. It must be drawn after c is fixed, as it is here.
        projection: the kernels; the fastest without.

    Returns:
        The probability that a wrong product passes, as bits: about 124 for matrices of 2,048 columns.

    Raises:
        TaskError: a or b is not of the type, or out of bounds.
        Rejected: ``statement_mismatch`` for a c of another type or shape, ``proof_rejected`` for a wrong product,
            naming the first wrong row.

    >>> a, b = np.array([[1, -2]], np.int8), np.array([[3, 5], [4, 6]], np.int8)
    >>> check_matmul(a, b, np.array([[-5, -7]], np.int32)).bits > 100
    True
    >>> check_matmul(a, b, np.array([[-5, -8]], np.int32))
    Traceback (most recent call last):
        ...
    vcompute.errors.Rejected: the product is wrong; got row 0
    """
    rows, _, columns = check_shapes(a, b)
    require_array(c, "c")
    if c.dtype != NUMPY_DTYPE[DType.INT32] or c.shape != (rows, columns):
        raise Rejected(
            "the product has another type or shape",
            code=ErrorCode.STATEMENT_MISMATCH,
            expected=f"int32 {(rows, columns)}",
            got=f"{c.dtype} {c.shape}",
        )
    kind = ParameterSetId.PUBLIC_128 if public else ParameterSetId.PRIVATE_128
    security = challenge.security(columns, PARAMETER_SETS[kind].security_bits)
    a, b, c = (np.ascontiguousarray(matrix) for matrix in (a, b, c))
    count = challenge.variables(columns)
    point = public_point(a, b, c, context) if public else challenge.private_point(count, random)
    check_projection(a, b, c, point, projection or default_projection())
    return security


def public_point(a: NDArray, b: NDArray, c: NDArray, context: bytes) -> list[Ext]:
    """The challenge bound to the context, the sizes and every byte of the three matrices."""
    transcript, backend = Transcript(PROTOCOL), default_backend()
    transcript.absorb_int("parameter set", ParameterSetId.PUBLIC_128)
    transcript.absorb_bytes("context", context)
    for name, size in zip("MKN", (*a.shape, b.shape[1]), strict=True):
        transcript.absorb_int(name, size)
    for name, matrix in (("a", a), ("b", b), ("c", c)):
        challenge.absorb_blocks(transcript, backend, name, matrix.data.cast("B"))
    return transcript.challenges("point", challenge.variables(b.shape[1]))


def check_projection(a: NDArray, b: NDArray, c: NDArray, point: list[Ext], projection: Projection) -> None:
    """Compare a (b r) with c r at a point; matrices are C-contiguous and fit one another.

    Raises:
        Rejected: ``proof_rejected``.
    """
    vector = challenge.weights(default_backend(), point, b.shape[1])
    refuse_differences(
        projection.project(a, projection.project(b, vector)), projection.project(c, vector), "the product"
    )


def refuse_differences(computed: NDArray, claimed: NDArray, what: str) -> None:
    """Refuse two projections (rows, 2) that differ, naming the first row.

    Raises:
        Rejected: ``proof_rejected``.
    """
    wrong = (computed != claimed).any(axis=1)
    if bool(wrong.any()):
        raise Rejected(f"{what} is wrong", code=ErrorCode.PROOF_REJECTED, got=f"row {int(wrong.argmax())}")
