# SPDX-License-Identifier: Apache-2.0
"""Operators that only move elements. Arrays are batches: (N, *shape of one sample)."""

from collections.abc import Sequence

import numpy as np

from vcompute.task.operators import Concatenation, Pad, Transpose
from vcompute.task.tensor import NDArray, ValueType


def pad(operator: Pad, x: NDArray) -> NDArray:
    """The operand with ``value`` around it."""
    amounts = ((0, 0), *zip(operator.before, operator.after, strict=True))
    return np.pad(x, amounts, constant_values=operator.value)


def concatenation(operator: Concatenation, operands: Sequence[NDArray]) -> NDArray:
    """The operands one after the other along the axis."""
    return np.concatenate(operands, axis=operator.axis + 1)


def reshape(x: NDArray, output: ValueType) -> NDArray:
    """The same elements in row-major order."""
    return x.reshape((x.shape[0], *output.shape))


def transpose(operator: Transpose, x: NDArray) -> NDArray:
    """Output axis i is operand axis ``permutation[i]``."""
    return np.ascontiguousarray(x.transpose((0, *(axis + 1 for axis in operator.permutation))))


def constant(value: NDArray, batch: int) -> NDArray:
    """The constant, once for every sample."""
    return np.broadcast_to(value, (batch, *value.shape))
