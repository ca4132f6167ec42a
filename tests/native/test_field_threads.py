# SPDX-License-Identifier: Apache-2.0
"""Kernels cut into parts for threads give the same words as in one piece."""

import threading

import numpy as np
import pytest

from vcompute import _native
from vcompute.field import Ext, P
from vcompute.field import native as field_native
from vcompute.field.native import NativeBackend

pytestmark = pytest.mark.skipif(not _native.available(), reason="threads belong to the native core")


@pytest.fixture(params=[2, 3, 7])
def threaded(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> NativeBackend:
    monkeypatch.setattr(field_native, "LEAST_PART", 1)
    return NativeBackend(request.param)


@pytest.mark.parametrize("seed", range(12))
def test_parts_are_the_whole(threaded: NativeBackend, seed: int) -> None:
    one, rng = NativeBackend(), np.random.default_rng(seed)
    n, r = int(rng.integers(1, 100)) if seed else 0, Ext(*map(int, rng.integers(0, P, 2, dtype=np.uint64)))
    for shape in ((n,), (n, 2)):
        low, high, other = (rng.integers(0, P, shape, dtype=np.uint64) for _ in range(3))
        w0, w1 = rng.integers(0, P, (2, n, 2), dtype=np.uint64)
        assert np.array_equal(threaded.fold_halves(low, high, r), one.fold_halves(low, high, r))
        assert threaded.round_halves((low, w0), (high, w1)) == one.round_halves((low, w0), (high, w1))
        first, second = np.empty((2, n, 2), np.uint64)
        threaded.scale(other, r, first)
        one.scale(other, r, second)
        assert np.array_equal(first, second)
    folded = w0.copy()
    threaded.fold_halves(folded, w1, r, folded)  # in place
    assert np.array_equal(folded, one.fold_halves(w0, w1, r))
    rows = rng.integers(0, P, (n, int(rng.integers(1, 30))), dtype=np.uint64)
    assert np.array_equal(threaded.hash_rows(rows), one.hash_rows(rows))
    nodes = rng.integers(0, 256, (2 * n, 27), dtype=np.uint8)
    assert np.array_equal(threaded.hash_pairs(nodes), one.hash_pairs(nodes))


@pytest.mark.parametrize("log_lane", [*range(9), 11, 12, 13])
@pytest.mark.parametrize(("lanes", "words", "rate_bits"), [(1, 1, 0), (3, 2, 1), (11, 1, 1), (16, 2, 3)])
def test_codes(threaded: NativeBackend, log_lane: int, lanes: int, words: int, rate_bits: int) -> None:
    shape = (lanes << log_lane, 2)[:words]
    table = np.random.default_rng(log_lane).integers(0, P, shape, dtype=np.uint64)
    assert np.array_equal(threaded.encode(table, lanes, rate_bits), NativeBackend().encode(table, lanes, rate_bits))


def test_work_is_really_cut_and_an_error_waits_for_the_others(threaded: NativeBackend) -> None:
    seen: list[tuple[int, int, str]] = []
    ended = threading.Event()

    def work(first: int, count: int) -> None:
        seen.append((first, count, threading.current_thread().name))
        if not first:
            raise ZeroDivisionError
        ended.wait(0.05)
        seen.append((first, 0, "done"))

    with pytest.raises(ZeroDivisionError):
        threaded.parts(work, 10, 10)
    begun = sorted(part for part in seen if part[1])
    assert sum(count for _, count, _ in begun) == 10
    assert len(begun) > 1
    assert {first for first, _, name in seen if name == "done"} == {first for first, _, _ in begun if first}
