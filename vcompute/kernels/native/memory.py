# SPDX-License-Identifier: Apache-2.0
"""Aligned memory for the native core."""

from typing import Any, Final

import numpy as np

from vcompute import _native

ALIGNMENT: Final = 64


def aligned_bytes(size: int, *, zeroed: bool = True) -> Any:
    """A pointer to ``size`` bytes at an aligned address; it owns them."""
    owner = np.zeros(size + ALIGNMENT, np.uint8) if zeroed else np.empty(size + ALIGNMENT, np.uint8)
    ffi = _native.ffi
    start = -int(ffi.cast("uintptr_t", ffi.from_buffer(owner))) % ALIGNMENT
    return ffi.from_buffer("uint8_t[]", owner[start:])
