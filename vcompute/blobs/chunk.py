# SPDX-License-Identifier: Apache-2.0
"""One chunk of a blob as it travels: its index, its bytes and the audit path that ties it to the blob's name."""

from dataclasses import dataclass
from typing import Final

from vcompute.codec import Array, Bytes, Int, Limits, decode, encode, field
from vcompute.errors import EncodingError
from vcompute.registry import ErrorCode
from vcompute.task.digest import (
    CHUNK_SIZE,
    DIGEST_SIZE,
    blob_digest_of_root,
    chunk_count,
    leaf_digest,
    root_from_path,
)

MAX_BLOB: Final = 1 << 40
"""The largest blob, in bytes."""
MAX_PATH: Final = (chunk_count(MAX_BLOB) - 1).bit_length()
"""The longest audit path, in digests."""
CHUNK_LIMITS: Final = Limits(bytes=CHUNK_SIZE + 34 * MAX_PATH + 64, depth=2, items=MAX_PATH + 8)


@dataclass(frozen=True, slots=True)
class Chunk:
    """A chunk with its audit path."""

    index: int = field(0, Int(0, chunk_count(MAX_BLOB) - 1), "position in the blob, from 0")
    data: bytes = field(1, Bytes(0, CHUNK_SIZE), "the chunk's bytes")
    path: tuple[bytes, ...] = field(2, Array(Bytes(DIGEST_SIZE, DIGEST_SIZE), 0, MAX_PATH), "audit path, leaf upward")

    def encode(self) -> bytes:
        """The chunk's one encoding."""
        return encode(self)

    @classmethod
    def decode(cls, data: bytes) -> "Chunk":
        """Read a chunk; what it holds is not yet tied to any blob.

        Raises:
            EncodingError: malformed, or larger than a chunk can be.
        """
        return decode(cls, data, CHUNK_LIMITS)


def check_size(size: int) -> None:
    """Refuse the size of a blob that no implementation has to hold.

    Raises:
        EncodingError: ``limit_exceeded``.
    """
    if not 0 <= size <= MAX_BLOB:
        raise EncodingError(
            "the size of a blob", code=ErrorCode.LIMIT_EXCEEDED, expected=f"0 to {MAX_BLOB} bytes", got=size
        )


def chunk_length(size: int, index: int) -> int:
    """Bytes of chunk ``index`` in a blob of ``size`` bytes: :data:`CHUNK_SIZE`, but for the last."""
    return min(CHUNK_SIZE, size - index * CHUNK_SIZE)


def verified_leaf(digest: bytes, size: int, chunk: Chunk) -> bytes:
    """The leaf digest of a chunk that belongs to the blob of this name.

    Bounds first, then the length the size gives, then the digest.

    Raises:
        EncodingError: ``limit_exceeded`` for an index outside the blob; ``digest_mismatch`` where the chunk is not the
            blob's.
    """
    count = chunk_count(size)
    if chunk.index >= count:
        raise EncodingError(
            "a chunk beyond the end of the blob", code=ErrorCode.LIMIT_EXCEEDED, expected=f"< {count}", got=chunk.index
        )
    expected = chunk_length(size, chunk.index)
    if len(chunk.data) != expected:
        raise EncodingError(
            f"the length of chunk {chunk.index}", code=ErrorCode.DIGEST_MISMATCH, expected=expected, got=len(chunk.data)
        )
    leaf = leaf_digest(chunk.data)
    computed = blob_digest_of_root(size, root_from_path(leaf, chunk.index, count, chunk.path))
    if computed != digest:
        raise EncodingError(
            f"chunk {chunk.index} is not of this blob",
            code=ErrorCode.DIGEST_MISMATCH,
            expected=digest.hex(),
            got=computed.hex(),
        )
    return leaf
