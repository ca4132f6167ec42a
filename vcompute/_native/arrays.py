# SPDX-License-Identifier: Apache-2.0
"""Arrays as the core sees them."""

from typing import Any

import numpy.typing as npt

from vcompute import _native


def pointer(kind: str, array: npt.NDArray[Any]) -> Any:
    """The elements of a contiguous array, as a C array of this kind; holds a reference to the array. The caller knows
    that the kind is the array's.
    """
    if not array.flags.c_contiguous:
        raise ValueError("expected a contiguous array")
    return _native.ffi.from_buffer(kind, array)
