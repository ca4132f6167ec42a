# SPDX-License-Identifier: Apache-2.0
"""The one encoding of field elements: eight bytes, little-endian, below p; c0 before c1 in the extension."""

import numpy as np

from vcompute.errors import Rejected
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words, is_canonical
from vcompute.registry import ErrorCode

ELEMENT_BYTES = 8
EXT_BYTES = 16


def to_bytes(a: Words) -> bytes:
    """The elements of an array in row-major order, eight bytes each."""
    return np.ascontiguousarray(a, dtype="<u8").tobytes()


def base_from_bytes(data: bytes, count: int) -> Words:
    """Exactly ``count`` base elements.

    Raises:
        Rejected: the length is not 8 * count (proof_malformed), or a word is not below p (noncanonical_element).
    """
    if len(data) != ELEMENT_BYTES * count:
        raise Rejected(
            "field elements of another length", code=ErrorCode.PROOF_MALFORMED,
            expected=ELEMENT_BYTES * count, got=len(data),
        )  # fmt: skip
    words = np.frombuffer(data, dtype="<u8").astype(np.uint64)
    if not is_canonical(words):
        raise Rejected("a field element is not below p", code=ErrorCode.NONCANONICAL_ELEMENT)
    return words


def ext_from_bytes(data: bytes, count: int) -> ExtWords:
    """Exactly ``count`` extension elements, shape (count, 2); errors as :func:`base_from_bytes`."""
    return base_from_bytes(data, 2 * count).reshape(count, 2)
