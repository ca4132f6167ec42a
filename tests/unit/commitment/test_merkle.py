# SPDX-License-Identifier: Apache-2.0
"""Openings of many leaves against a tree written out with hashlib, and their one form."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcompute.commitment import merkle
from vcompute.errors import Rejected
from vcompute.field import P, default_backend
from vcompute.field.portable import NumpyBackend
from vcompute.registry import ErrorCode

BACKEND = default_backend()


def rows_of(height: int, width: int = 3) -> np.ndarray:
    return np.random.default_rng(height).integers(0, P, (1 << height, width), dtype=np.uint64)


def root_by_hand(rows: np.ndarray) -> bytes:
    level = [hashlib.sha256(row.astype("<u8").tobytes()).digest()[:27] for row in rows]
    while len(level) > 1:
        level = [hashlib.sha256(b"\1" + level[i] + level[i + 1]).digest()[:27] for i in range(0, len(level), 2)]
    return level[0]


@settings(deadline=None)
@given(st.integers(0, 6), st.data())
def test_openings_lead_to_the_root(height: int, data: st.DataObject) -> None:
    """VC-COM-001, VC-COM-002."""
    rows = rows_of(height)
    tree = merkle.build(rows, BACKEND)
    assert tree.root == root_by_hand(rows)
    positions = sorted(data.draw(st.sets(st.integers(0, (1 << height) - 1), min_size=1)))
    siblings = merkle.open_positions(tree, positions, BACKEND)
    assert len(siblings) == sum(map(len, merkle.missing_siblings(positions, height)))
    assert np.array_equal(siblings, merkle.open_positions(tree, positions, NumpyBackend()))
    merkle.check_opening(tree.root, height, positions, rows[positions], siblings, BACKEND)


def test_a_tree_made_in_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(merkle, "CHUNK", 8)
    rows = rows_of(6)
    tree = merkle.build(rows, BACKEND)
    assert tree.root == root_by_hand(rows)
    siblings = merkle.open_positions(tree, [9, 40], BACKEND)
    merkle.check_opening(tree.root, 6, [9, 40], rows[[9, 40]], siblings, BACKEND)


@settings(deadline=None)
@given(st.integers(1, 6), st.data())
def test_anything_else_is_refused(height: int, data: st.DataObject) -> None:
    """VC-COM-002: a changed row, sibling or root, siblings in another order, rows at another position."""
    rows = rows_of(height)
    tree = merkle.build(rows, BACKEND)
    positions = sorted(data.draw(st.sets(st.integers(0, (1 << height) - 1), min_size=1, max_size=5)))
    siblings = merkle.open_positions(tree, positions, BACKEND)
    opened = rows[positions]

    def refused(root=tree.root, at=positions, with_rows=opened, with_siblings=siblings) -> None:  # type: ignore[no-untyped-def]
        with pytest.raises(Rejected) as caught:
            merkle.check_opening(root, height, at, with_rows, with_siblings, BACKEND)
        assert caught.value.code is ErrorCode.MERKLE_PATH

    row = opened.copy()
    row[data.draw(st.integers(0, len(positions) - 1)), 1] ^= 1
    refused(with_rows=row)
    refused(root=tree.root[:-1] + bytes([tree.root[-1] ^ 1]))
    if len(siblings):
        changed = siblings.copy()
        changed[data.draw(st.integers(0, len(siblings) - 1)), 26] ^= 1
        refused(with_siblings=changed)
    if len(siblings) > 1:
        refused(with_siblings=np.ascontiguousarray(siblings[::-1]))
    if len(positions) == 1:
        refused(at=[positions[0] ^ 1])
