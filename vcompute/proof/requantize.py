# SPDX-License-Identifier: Apache-2.0
"""Requantisation of products that somebody else computed."""

import numpy as np

from vcompute import _native
from vcompute.kernels.reference.linear import requantize_channels
from vcompute.task.operators import FullyConnected
from vcompute.task.tensor import NDArray, ValueType


def requantize(
    products: NDArray, constants: tuple[NDArray, ...], operator: FullyConnected, output: ValueType
) -> NDArray:
    """The outputs of a FULLY_CONNECTED from its products, int32 (..., N), by the native core where there is one.

    ``constants`` are the node's. Products are within the range that the weights allow.
    """
    if not _native.available():
        return requantize_channels(products.astype(np.int64), constants, operator, output)
    _, bias, multiplier, shift = constants
    out = np.empty(products.shape, np.int8)
    buffer, columns = _native.ffi.from_buffer, products.shape[-1]
    _native.lib.vc_requantize_rows(
        buffer("int8_t[]", out), buffer("int32_t[]", np.ascontiguousarray(products)), products.size // columns, columns,
        buffer("int32_t[]", bias), buffer("int32_t[]", multiplier), buffer("int8_t[]", shift),
        int(operator.rounding), output.zero_point, operator.low, operator.high,
    )  # fmt: skip
    return out
