# SPDX-License-Identifier: Apache-2.0
"""The random point of a Freivalds check, and what it is worth.

A row of the difference D = A B - C is tested as the sum over j of D[j] * eq(r, j): a multilinear polynomial in r,
and not the zero polynomial where the row is not zero. At a uniform point r of F^v, v = ceil(log2(columns)), it is zero
with probability at most v / |F| (Schwartz-Zippel), |F| = p^2. Entries of D are below p in magnitude, so a row that is
not zero over the integers is not zero over F. One point serves any number of rows and matrices: a false claim passes
only where its own test does, so the greatest v counts.
"""

import math
import secrets
from collections.abc import Callable
from typing import Final, TypeAlias

import numpy as np

from vcompute.errors import Rejected
from vcompute.field.backend import Backend
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import P
from vcompute.field.scalar import Ext
from vcompute.proof.suite import Security
from vcompute.registry import ErrorCode
from vcompute.transcript import Transcript

RandomBytes: TypeAlias = Callable[[int], bytes]
"""A source of secret uniform bytes, such as :func:`secrets.token_bytes`."""

FIELD_BITS: Final = 2 * math.log2(P)
BLOCK: Final = 4096
"""Bytes that :func:`absorb_blocks` hashes to one digest."""


def variables(columns: int) -> int:
    """Coordinates of a point for matrices of so many columns."""
    return (columns - 1).bit_length()


def security(columns: int, floor: int) -> Security:
    """The bits of a check whose widest product has ``columns`` columns.

    With public coins these are bits against a prover who grinds: every try costs it a hash of the whole statement.

    Raises:
        Rejected: ``security_unreachable`` below ``floor``.
    """
    bits = FIELD_BITS - math.log2(max(1, variables(columns)))
    if bits < floor:
        raise Rejected("too many columns", code=ErrorCode.SECURITY_UNREACHABLE, expected=floor, got=bits)
    return Security(bits, bits)


def private_point(count: int, random: RandomBytes = secrets.token_bytes) -> list[Ext]:
    """``count`` uniform elements from the verifier's own randomness, by rejection."""
    return [Ext(_word(random), _word(random)) for _ in range(count)]


def _word(random: RandomBytes) -> int:
    while (word := int.from_bytes(random(8), "little")) >= P:
        pass
    return word


def weights(backend: Backend, point: list[Ext], columns: int) -> ExtWords:
    """eq(point, j) for j < columns, over the first variables of the point: (columns, 2)."""
    return backend.eq_tensor(point[: variables(columns)])[:columns]


def absorb_blocks(transcript: Transcript, backend: Backend, label: str, data: bytes | memoryview) -> None:
    """Absorb many bytes: their number, then the digests of their blocks, the last one filled up with zeros.

    The digests, of 216 bits, are those of :meth:`vcompute.field.backend.Backend.hash_rows`, which hashes many blocks
    side by side.
    """
    transcript.absorb_int(label, len(data))
    whole = len(data) // BLOCK * BLOCK
    tail = bytes(data[whole:])
    for part in (data[:whole], tail.ljust(BLOCK, b"\x00") if tail else b""):
        if len(part):
            rows = np.frombuffer(part, "<u8").reshape(-1, BLOCK // 8)
            transcript.absorb_bytes(label, backend.hash_rows(np.require(rows, np.uint64, ["C", "A"])).tobytes())
