# SPDX-License-Identifier: Apache-2.0
"""Run a model with the fastest executor there is: the native core, else the numpy reference. Results are the same."""

from functools import lru_cache
from typing import Final

import numpy as np

from vcompute import _native
from vcompute.kernels import native, reference
from vcompute.kernels.native import PackedMatrix, Plan, compile_plan
from vcompute.kernels.native.matmul import check_columns, check_operands
from vcompute.kernels.reference.linear import exact_product
from vcompute.task import Batch, Model, make_batch
from vcompute.task.tensor import NDArray

PLANS: Final = 4
"""How many compiled plans are kept: a worker runs few models, and each plan holds its weights once more."""


@lru_cache(maxsize=PLANS)
def plan_of(model: Model) -> Plan:
    """The compiled plan of a model; models with the same digest share one."""
    return compile_plan(model)


def run(model: Model, inputs: Batch, threads: int = 1) -> Batch:
    """The outputs of a run.

    Raises:
        TaskError: ``invalid_input`` where the batch is not of the graph's input types.
    """
    if not _native.available():
        _native.warn_fallback()
        return reference.run(model, inputs)
    if not all(array.flags.c_contiguous for array in inputs.arrays):
        inputs = make_batch(inputs.arrays)
    return plan_of(model).run_batch(inputs, threads)


def matmul(a: NDArray, b: NDArray | PackedMatrix, threads: int = 1) -> NDArray:
    """The exact int8 product (..., M, K) x (..., K, N) -> int32 (..., M, N); leading axes broadcast as in numpy.

    Raises:
        TaskError: ``invalid_input`` for operands of another type, fewer than two axes or shapes that do not fit,
            ``accumulator_overflow`` for K above 131,071.
    """
    if _native.available():
        return native.matmul(a, b, threads)
    check_operands(a, b)
    _native.warn_fallback()
    product: NDArray = exact_product(a, b.columns if isinstance(b, PackedMatrix) else b).astype("<i4")
    return np.ascontiguousarray(product)


def pack(b: NDArray) -> PackedMatrix:
    """The right-hand side of products, arranged once.

    Raises:
        TaskError: ``invalid_input`` for another type than int8 or fewer than two axes, ``accumulator_overflow`` for K
            above 131,071.
    """
    if _native.available():
        return native.pack(b)
    check_columns(b)
    _native.warn_fallback()
    return PackedMatrix(b.shape, b.copy())
