# SPDX-License-Identifier: Apache-2.0
"""SHA-256 digests of contents: a chunk tree as of RFC 9162."""

import hashlib
from collections.abc import Sequence

CHUNK = 1 << 16


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaves(data: bytes) -> list[bytes]:
    return [sha(b"\0", data[start : start + CHUNK]) for start in range(0, max(len(data), 1), CHUNK)]


def root(nodes: Sequence[bytes]) -> bytes:
    """RFC 9162, section 2.1.1."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    return sha(b"\1", root(nodes[:split]), root(nodes[split:]))


def audit_path(nodes: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 9162, section 2.1.3.1."""
    if len(nodes) == 1:
        return []
    split = 1 << (len(nodes) - 1).bit_length() - 1
    if index < split:
        return [*audit_path(nodes[:split], index), root(nodes[split:])]
    return [*audit_path(nodes[split:], index - split), root(nodes[:split])]


def blob(data: bytes) -> bytes:
    size = len(data).to_bytes(8, "big") + CHUNK.to_bytes(4, "big")
    return sha(b"vcompute/blob/1\0", size, root(leaves(data)))
