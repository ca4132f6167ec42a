# SPDX-License-Identifier: Apache-2.0
"""Merkle trees over rows of field elements, and openings of many rows at once.

A leaf is SHA-256 of the row's words, a node SHA-256 of the byte 1 and its two children, all truncated to 27 bytes
(collisions cost 2^108); a node's preimage has 55 bytes and a leaf's a multiple of eight, so neither passes for the
other. The tree's height and the row width come from the parameters, never from the peer.

An opening of a set of positions has one form: the rows in order of position, then level by level from the leaves, in
order of position, each sibling that cannot be computed. The number of digests follows from the positions alone.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from vcompute.errors import Rejected
from vcompute.field.backend import DIGEST_BYTES, Backend, Digests
from vcompute.field.goldilocks import Words
from vcompute.registry import ErrorCode

CHUNK: Final = 1 << 13
"""Rows whose digests are made at a time: they stay in the cache until their parents are made."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The rows, and the levels above their digests, which are half of a tree and are made again where they are sent."""

    rows: Words
    levels: tuple[Digests, ...]
    """From the leaves' parents to the root alone; of a single row the leaf, which is the root."""

    @property
    def root(self) -> bytes:
        """The root's digest."""
        return self.levels[-1].tobytes()


def build(rows: Words, backend: Backend) -> Tree:
    """The tree over rows (n, w), n a power of two. The rows are kept, not copied."""
    count = rows.shape[0]
    if count == 1:
        return Tree(rows, (backend.hash_rows(rows),))
    levels = [np.empty((count // 2, DIGEST_BYTES), dtype=np.uint8)]
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        levels[0][start // 2 : stop // 2] = backend.hash_pairs(backend.hash_rows(rows[start:stop]))
    while levels[-1].shape[0] > 1:
        levels.append(backend.hash_pairs(levels[-1]))
    return Tree(rows, tuple(levels))


def missing_siblings(positions: Sequence[int], height: int) -> list[list[int]]:
    """For each level from the leaves, the sorted positions of siblings that an opening must carry.

    Preconditions: ``positions`` sorted, distinct, below 2^height.
    """
    known, missing = list(positions), []
    for _ in range(height):
        present = set(known)
        missing.append([position ^ 1 for position in known if position ^ 1 not in present])
        known = sorted({position >> 1 for position in known})
    return missing


def open_positions(tree: Tree, positions: Sequence[int], backend: Backend) -> Digests:
    """The siblings of an opening, in order."""
    height = tree.rows.shape[0].bit_length() - 1
    if not height:
        return np.empty((0, DIGEST_BYTES), dtype=np.uint8)
    leaves, *above = _missing_siblings(np.array(positions, dtype=np.intp), height)
    parts = [level[at] for level, at in zip(tree.levels, above, strict=False)]
    return np.concatenate([backend.hash_rows(tree.rows[leaves]), *parts])


def _missing_siblings(known: NDArray[np.intp], height: int) -> list[NDArray[np.intp]]:
    """As :func:`missing_siblings`: of sorted positions a sibling that is known stands beside its own."""
    missing = []
    for _ in range(height):
        paired = known[1:] == known[:-1] ^ 1
        first, last = np.append(True, ~paired), np.append(~paired, True)
        missing.append(known[first & last] ^ 1)
        known = known[first] >> 1
    return missing


def check_opening(
    root: bytes, height: int, positions: Sequence[int], rows: Words, siblings: Digests, backend: Backend
) -> None:
    """Check that rows stand at sorted distinct positions of the tree with this root.

    Raises:
        Rejected: merkle_path.
    """
    nodes = backend.hash_rows(rows)
    known, used = list(positions), 0
    for missing in missing_siblings(positions, height):
        provided = siblings[used : used + len(missing)]
        used += len(missing)
        order = np.argsort(np.array(known + missing, dtype=np.int64))
        nodes = backend.hash_pairs(np.ascontiguousarray(np.concatenate([nodes, provided])[order]))
        known = sorted({position >> 1 for position in known})
    if nodes.tobytes() != root or used != len(siblings):
        raise Rejected("opened rows do not hash to the committed root", code=ErrorCode.MERKLE_PATH)
