# SPDX-License-Identifier: Apache-2.0
"""The chunk tree of :mod:`vcompute.task.digest` for many chunks: all audit paths at once, and a root in a stream.

The tree of RFC 9162 section 2.1 splits at the largest power of two below the count, so level by level it pairs
neighbours and carries an odd last node up unchanged; both classes below rest on that.
"""

import hashlib
from collections.abc import Iterable


def _node(left: bytes, right: bytes) -> bytes:
    return hashlib.sha256(b"\x01" + left + right).digest()


class AuditTree:
    """All nodes of a tree: 64 bytes a chunk, audit paths in logarithmic time."""

    def __init__(self, leaves: Iterable[bytes]) -> None:
        """Build the tree over at least one leaf digest."""
        level = list(leaves)
        self._levels = [level]
        while len(level) > 1:
            pairs = [_node(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
            level = [*pairs, level[-1]] if len(level) % 2 else pairs
            self._levels.append(level)

    @property
    def count(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    @property
    def root(self) -> bytes:
        """The root, 32 bytes."""
        return self._levels[-1][0]

    def path(self, index: int) -> tuple[bytes, ...]:
        """The audit path of a leaf, from the leaf up."""
        path = []
        for level in self._levels[:-1]:
            sibling = index ^ 1
            if sibling < len(level):
                path.append(level[sibling])
            index >>= 1
        return tuple(path)


class RootStream:
    """The root over leaf digests that arrive in order, in logarithmic memory."""

    __slots__ = ("_count", "_stack")

    def __init__(self) -> None:
        self._stack: list[bytes] = []
        self._count = 0

    def add(self, leaf: bytes) -> None:
        """The next leaf."""
        digest, position = leaf, self._count
        while position & 1:
            digest = _node(self._stack.pop(), digest)
            position >>= 1
        self._stack.append(digest)
        self._count += 1

    def root(self) -> bytes:
        """The root over the leaves so far, at least one."""
        *rest, digest = self._stack
        for left in reversed(rest):
            digest = _node(left, digest)
        return digest
