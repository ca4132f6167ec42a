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

from vcompute.errors import Rejected
from vcompute.field.backend import Backend
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import P
from vcompute.field.scalar import Ext
from vcompute.proof.suite import Security
from vcompute.registry import ErrorCode

RandomBytes: TypeAlias = Callable[[int], bytes]
"""A source of secret uniform bytes, such as :func:`secrets.token_bytes`."""

FIELD_BITS: Final = 2 * math.log2(P)


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
