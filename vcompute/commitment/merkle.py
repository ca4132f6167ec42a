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

from vcompute import _native
from vcompute.errors import Rejected
from vcompute.field.backend import DIGEST_BYTES, Backend, Digests
from vcompute.field.goldilocks import Words
from vcompute.field.native import NativeBackend
from vcompute.registry import ErrorCode

Positions = NDArray[np.uint64]

CHUNK: Final = 1 << 13
"""Rows whose digests are made at a time: they stay in the cache until their parents are made."""


@dataclass(frozen=True, slots=True)
class Tree:
    """The rows, and the nodes above their digests, which are half of a tree and are made again where they are sent."""

    rows: Words
    nodes: Digests
    """Level by level, from the leaves' parents to the root alone; of a single row the leaf, which is the root."""

    @property
    def root(self) -> bytes:
        """The root's digest."""
        root: bytes = self.nodes[-1].tobytes()
        return root


def build(rows: Words, backend: Backend) -> Tree:
    """The tree over rows (n, w), n a power of two. The rows are kept, not copied."""
    count = rows.shape[0]
    if count == 1:
        return Tree(rows, backend.hash_rows(rows))
    nodes = np.empty((count - 1, DIGEST_BYTES), dtype=np.uint8)
    for start in range(0, count, CHUNK):
        stop = min(start + CHUNK, count)
        nodes[start // 2 : stop // 2] = backend.hash_pairs(backend.hash_rows(rows[start:stop]))
    first, size = 0, count // 2
    while size > 1:
        if size <= CHUNK and isinstance(backend, NativeBackend):  # too little for threads
            backend.hash_levels(nodes[first:], size)
            break
        nodes[first + size : first + size + size // 2] = backend.hash_pairs(nodes[first : first + size])
        first, size = first + size, size // 2
    return Tree(rows, nodes)


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
    places_of = _places_natively if isinstance(backend, NativeBackend) else _places
    leaves, above = places_of(positions, tree.rows.shape[0].bit_length() - 1)
    return np.concatenate([backend.hash_rows(tree.rows[leaves]), tree.nodes[above]])


def _places(positions: Sequence[int], height: int) -> tuple[Positions, Positions]:
    """Of :func:`missing_siblings` those that are leaves, and of the others their places among a tree's nodes."""
    leaves, above = list[int](), list[int]()
    for level, missing in enumerate(missing_siblings(positions, height)):
        if level == 0:
            leaves = missing
            continue
        begin = (1 << height) - (1 << height >> (level - 1))  # behind the levels below
        above += [begin + position for position in missing]
    return np.array(leaves, np.uint64), np.array(above, np.uint64)


def _places_natively(positions: Sequence[int], height: int) -> tuple[Positions, Positions]:
    """:func:`_places` by the core."""
    ffi, used = _native.ffi, np.array(positions, np.uint64)
    places, leaves = np.empty(len(positions) * height, np.uint64), ffi.new("size_t *")
    count = _native.lib.vc_missing_siblings(
        ffi.from_buffer("uint64_t[]", places), leaves, ffi.from_buffer("uint64_t[]", used), len(positions), height
    )
    return places[: leaves[0]], places[leaves[0] : count]


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
