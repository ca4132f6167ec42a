# SPDX-License-Identifier: Apache-2.0
"""The arena behind large arrays: blocks never overlap, zeros are zero, memory is used again and given back."""

import concurrent.futures
import threading
from collections.abc import Iterator
from contextvars import copy_context

import numpy as np
import pytest

from vcompute import _native
from vcompute._native import memory

pytestmark = pytest.mark.skipif(not _native.available(), reason="the arena belongs to the native core")

BIG = 1 << 20


@pytest.fixture(autouse=True)
def nothing_held() -> None:
    memory.release()


@pytest.fixture
def arena() -> Iterator[None]:
    with memory.reused():
        yield


def held() -> memory.Figures:
    found = memory.figures()
    assert found is not None
    return found


def figures_of(arena: memory._Arena | None) -> memory.Figures:
    assert arena is not None
    numbers = _native.ffi.new("size_t[2]")
    _native.lib.vc_arena_figures(arena.pointer, numbers)
    return memory.Figures(numbers[0], numbers[1])


def of_arena(array: np.ndarray) -> bool:
    core = getattr(np, "_core", None) or np.core  # before numpy 2
    return str(core.multiarray.get_handler_name(array)) == "vcompute arena"


def test_what_is_given_back_is_used_again(arena: None) -> None:
    for _ in range(100):
        assert np.full(BIG, 7, np.uint8).all()
    assert held() == memory.Figures(BIG, 0)


def test_zeros_are_zero_where_something_else_was(arena: None) -> None:
    dirty = np.full(BIG, 255, np.uint8)
    address = dirty.ctypes.data
    del dirty
    longer = np.zeros(3 * BIG, np.uint8)
    assert longer.ctypes.data == address
    assert not longer.any()


def test_small_arrays_are_left_to_malloc(arena: None) -> None:
    small = np.ones(100)
    assert of_arena(small)
    assert held().blocks == 0


def test_blocks_do_not_meet(arena: None) -> None:
    rng = np.random.default_rng(1)
    kept: list[tuple[int, np.ndarray]] = []
    for step in range(2000):
        if kept and rng.random() < 0.5:
            value, array = kept.pop(int(rng.integers(len(kept))))
            assert (array == value).all()
        else:
            size = int(rng.choice([70_000, 100_000, 300_001, 1_000_000]))
            kept.append((step, np.full(size // 4, step, np.uint32)))
    array = None
    assert all((array == value).all() for value, array in kept)
    assert held().blocks == len(kept)
    kept.clear()
    assert held().blocks == 0
    whole = np.empty(held().touched, np.uint8)  # neighbours joined again
    assert held().touched == whole.size


def test_growing_in_place_keeps_the_contents(arena: None) -> None:
    array = np.arange(BIG, dtype=np.uint32)
    for size in (2 * BIG, BIG // 2, 10, 4 * BIG):
        before = array.copy()
        array.resize(size, refcheck=False)
        same = min(size, before.size)
        assert (array[:same] == before[:same]).all()
        assert not array[same:].any()
    del array, before
    assert held().blocks == 0


def test_more_than_one_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "STRETCH", 1 << 20)
    monkeypatch.setattr(memory, "_idle", [])
    with memory.reused():
        arrays = [
            np.full(size, index, np.uint8) for index, size in enumerate((BIG // 2, BIG // 2, BIG, 5 * BIG, 70_000))
        ]
        assert all((array == index).all() for index, array in enumerate(arrays))
        assert held().blocks == 5
        del arrays
        assert held().blocks == 0


def test_an_array_may_outlive_its_context_and_die_in_another_thread() -> None:
    with memory.reused():
        kept = [np.full(5 * BIG, 3, np.uint8), np.full(5 * BIG, 4, np.uint8)]
        arena = memory._current.get()
    assert memory.figures() is None
    memory.release()
    assert (kept[0] == 3).all()
    assert (kept[1] == 4).all()
    assert figures_of(arena) == memory.Figures(10 * BIG, 2)
    thread = threading.Thread(target=kept.clear)
    thread.start()
    thread.join()
    assert figures_of(arena) == memory.Figures(0, 0)


def test_a_context_ends_after_an_error_and_its_memory_can_be_released() -> None:
    found = []

    def fail() -> None:
        with memory.reused():
            found.append(memory._current.get())
            _ = np.ones(BIG) / (1 // 0)

    with pytest.raises(ZeroDivisionError):
        fail()
    assert memory._current.get() is None
    assert not of_arena(np.ones(BIG))
    memory.release()
    assert figures_of(found[0]) == memory.Figures(0, 0)


def test_only_the_last_arena_keeps_memory_and_the_next_context_takes_it() -> None:
    with memory.reused():
        first = memory._current.get()
        np.ones(BIG)
        with concurrent.futures.ThreadPoolExecutor(1) as threads:
            second = threads.submit(arena_of_a_context).result()
        assert second is not first
    assert figures_of(second).touched == 0
    with memory.reused():
        assert memory._current.get() is first


def arena_of_a_context() -> object:
    with memory.reused():
        np.ones(BIG)
        return memory._current.get()


def test_contexts_nest_and_plain_arrays_are_numpys_own() -> None:
    with memory.reused():
        outer = memory._current.get()
        with memory.reused():
            assert memory._current.get() is outer
        assert of_arena(np.ones(BIG))
        with memory.plain():
            assert not of_arena(np.ones(BIG))
        assert of_arena(np.ones(BIG))
    with memory.plain():
        assert not of_arena(np.ones(BIG))


def test_threads_have_arenas_of_their_own_and_may_share_one() -> None:
    failed: list[int] = []

    def work(seed: int) -> None:
        rng = np.random.default_rng(seed)
        with memory.reused():
            for step in range(300):
                arrays = [np.full(int(rng.integers(70_000, 200_000)), step & 255, np.uint8) for _ in range(4)]
                if not all((array == step & 255).all() for array in arrays):
                    failed.append(seed)

    with memory.reused():  # two threads in copies of this context share its arena, two have their own
        own = [threading.Thread(target=work, args=(seed,)) for seed in (1, 2)]
        shared = [threading.Thread(target=copy_context().run, args=(work, seed)) for seed in (3, 4)]
        for thread in own + shared:
            thread.start()
        for thread in own + shared:
            thread.join()
        assert held().blocks == 0
    assert not failed


def test_without_the_hook_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "_set_handler", lambda: None)
    with memory.reused():
        assert memory.figures() is None
        assert not of_arena(np.ones(BIG))
