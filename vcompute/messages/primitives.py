# SPDX-License-Identifier: Apache-2.0
"""Kinds and records that several messages share. Times are milliseconds since 1970-01-01 UTC, amounts integers."""

from dataclasses import dataclass
from typing import Final

from vcompute.codec import Array, Bool, Bytes, Enum, Int, Kind, Record, Uint, field
from vcompute.registry import ErrorCode

DIGEST: Final[Kind] = Bytes(32, 32)
NONCE: Final[Kind] = Bytes(16, 16)
AMOUNT: Final[Kind] = Int(0, 2**62)
"""The settlement's smallest unit; 2^62 leaves room for sums in 63 bits."""
TIME: Final[Kind] = Int(0, 2**62)
DURATION: Final[Kind] = Int(1, 2**40)
"""Milliseconds, at least one."""
ID16: Final[Kind] = Uint(16)
CODE: Final[Kind] = Enum(ErrorCode)
MAX_EXTENSIONS: Final = 16


@dataclass(frozen=True, slots=True)
class BlobRef:
    """Content by name: the root of its chunk tree, which covers the size."""

    digest: bytes = field(0, DIGEST, "digest of the content")
    size: int = field(1, Int(0, 2**40), "bytes")


@dataclass(frozen=True, slots=True)
class Extension:
    """A registered addition. A receiver that does not know a critical one refuses the message."""

    id: int = field(0, ID16, "registered extension")
    critical: bool = field(1, Bool(), "must be understood")
    data: bytes = field(2, Bytes(0, 1024), "its content")


EXTENSIONS: Final[Kind] = Array(Record(Extension), 0, MAX_EXTENSIONS)
