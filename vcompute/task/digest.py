# SPDX-License-Identifier: Apache-2.0
"""Content digests: domain-separated SHA-256, and a chunk tree for content that travels in pieces.

The tree is that of RFC 9162 section 2.1 (leaf prefix 0x00, node prefix 0x01, the largest power of two to the left)
over chunks of fixed size. The digest of a blob binds its length and chunk size besides the root, so that a receiver
can check every chunk on arrival and knows how many there are.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Final

from vcompute.errors import EncodingError
from vcompute.registry import ErrorCode

CHUNK_SIZE: Final = 1 << 16
"""Bytes of every chunk but the last."""
DIGEST_SIZE: Final = 32

GRAPH_TAG: Final = b"vcompute/graph/1\x00"
MODEL_TAG: Final = b"vcompute/model/1\x00"
BLOB_TAG: Final = b"vcompute/blob/1\x00"


def tagged(tag: bytes, *parts: bytes) -> bytes:
    """SHA-256 over a domain tag and parts of fixed size."""
    state = hashlib.sha256(tag)
    for part in parts:
        state.update(part)
    return state.digest()


def chunks(data: bytes | memoryview) -> Iterator[memoryview]:
    """The chunks of a blob; an empty blob has one empty chunk."""
    view = memoryview(data)
    for start in range(0, max(len(view), 1), CHUNK_SIZE):
        yield view[start : start + CHUNK_SIZE]


def chunk_count(length: int) -> int:
    """How many chunks a blob of ``length`` bytes has."""
    return max(1, -(-length // CHUNK_SIZE))


def leaf_digest(chunk: bytes | memoryview) -> bytes:
    """The leaf of one chunk."""
    return hashlib.sha256(b"\x00" + bytes(chunk)).digest()


def tree_root(leaves: Sequence[bytes]) -> bytes:
    """The root over leaf digests; at least one leaf."""
    if len(leaves) == 1:
        return leaves[0]
    split = _split(len(leaves))
    return _node(tree_root(leaves[:split]), tree_root(leaves[split:]))


def tree_path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of one leaf, from the leaf up."""
    if len(leaves) == 1:
        return []
    split = _split(len(leaves))
    if index < split:
        return [*tree_path(leaves[:split], index), tree_root(leaves[split:])]
    return [*tree_path(leaves[split:], index - split), tree_root(leaves[:split])]


def root_from_path(leaf: bytes, index: int, count: int, path: Sequence[bytes]) -> bytes:
    """The root that a leaf and its audit path give.

    Raises:
        EncodingError: ``digest_mismatch`` where the path has the wrong length for ``index`` of ``count``.
    """
    sides: list[bool] = []
    while count > 1:
        split = _split(count)
        right = index >= split
        sides.append(right)
        index, count = (index - split, count - split) if right else (index, split)
    if len(sides) != len(path):
        raise EncodingError(
            "an audit path has the wrong length", code=ErrorCode.DIGEST_MISMATCH, expected=len(sides), got=len(path)
        )
    digest = leaf
    for right, sibling in zip(reversed(sides), path, strict=True):
        digest = _node(sibling, digest) if right else _node(digest, sibling)
    return digest


def blob_digest_of_root(length: int, root: bytes) -> bytes:
    """The digest of a blob from its length and tree root."""
    return tagged(BLOB_TAG, length.to_bytes(8, "big"), CHUNK_SIZE.to_bytes(4, "big"), root)


def blob_digest(data: bytes | memoryview) -> bytes:
    """The content digest of a blob."""
    return blob_digest_of_root(len(data), tree_root([leaf_digest(chunk) for chunk in chunks(data)]))


def graph_digest(encoded: bytes) -> bytes:
    """The digest of an encoded graph."""
    return tagged(GRAPH_TAG, encoded)


def model_digest(graph: bytes, weights: bytes) -> bytes:
    """The digest of a model from the digests of its graph and of its weights."""
    return tagged(MODEL_TAG, graph, weights)


def _split(count: int) -> int:
    """The largest power of two below ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()
