# SPDX-License-Identifier: Apache-2.0
"""The raw product against numpy's int64 one, its right-hand side packed or not."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from vcompute import _native
from vcompute.errors import TaskError
from vcompute.kernels import executor
from vcompute.kernels.native.matmul import ALIGNED, KEPT, MAX_DEPTH, _borrow, _give_back, matmul, pack
from vcompute.registry import ErrorCode

SHAPES = [(1, 1, 1), (1, 7, 1), (2, 3, 5), (63, 64, 65), (64, 4, 16), (65, 131, 33), (7, 6200, 17), (130, 8200, 70)]
EDGES = {
    "m": (1, 15, 16, 17, 63, 64, 65),
    "k": (1, 2, 3, 5, 1025, 3073, 4097, 6145, 8195),
    "n": (1, 31, 33, 127, 128, 129, 257),
}
"""Sizes around tiles, blocks of rows, pieces of the depth and strips of columns."""


def exact(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.matmul(a.astype(np.int64), b.astype(np.int64))


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("threads", [1, 2])
def test_any_shape(shape: tuple[int, int, int], threads: int) -> None:
    m, k, n = shape
    rng = np.random.default_rng(m + k + n)
    a, b = (rng.integers(-128, 128, size, np.int8) for size in ((m, k), (k, n)))
    np.testing.assert_array_equal(matmul(a, b, threads), exact(a, b))
    np.testing.assert_array_equal(matmul(a, pack(b), threads), exact(a, b))
    np.testing.assert_array_equal(matmul(a.T.copy().T, b[:, ::-1], threads), exact(a, b[:, ::-1]))
    np.testing.assert_array_equal(matmul(a[::-1], pack(b[:, ::-1]), threads), exact(a[::-1], b[:, ::-1]))


@pytest.mark.parametrize("seed", range(40))
def test_odd_and_misaligned(seed: int) -> None:
    rng = np.random.default_rng(seed)
    m, k, n = (int(rng.choice(sizes)) if rng.random() < 0.7 else int(rng.integers(1, 90)) for sizes in EDGES.values())
    a, b = (
        rng.integers(-128, 128, rows * columns + 64, np.int8)[skew:][: rows * columns].reshape(rows, columns)
        for rows, columns, skew in ((m, k, int(rng.integers(64))), (k, n, int(rng.integers(64))))
    )
    np.testing.assert_array_equal(matmul(a, b), exact(a, b))
    np.testing.assert_array_equal(matmul(a, pack(b)), exact(a, b))


LEADING = [
    ((), (3,)),
    ((3,), ()),
    ((2, 1), (4,)),
    ((2, 3), (2, 3)),
    ((4,), (2, 1)),
    ((0,), ()),
    ((), (0,)),
    ((2,), (1,)),
]


@pytest.mark.parametrize("leading", LEADING)
def test_leading_axes_broadcast(leading: tuple[tuple[int, ...], tuple[int, ...]]) -> None:
    rng = np.random.default_rng(1)
    a, b = rng.integers(-128, 128, (*leading[0], 5, 9), np.int8), rng.integers(-128, 128, (*leading[1], 9, 4), np.int8)
    product = matmul(a, b)
    assert product.dtype == np.int32
    np.testing.assert_array_equal(product, exact(a, b))
    np.testing.assert_array_equal(matmul(a, pack(b)), exact(a, b))


@pytest.mark.parametrize("shape", [(0, 3, 4), (2, 0, 3), (2, 3, 0), (0, 0, 0)])
def test_an_empty_axis(shape: tuple[int, int, int]) -> None:
    m, k, n = shape
    for leading in ((), (2,)):
        a, b = np.zeros((*leading, m, k), np.int8), np.zeros((*leading, k, n), np.int8)
        for right in (b, pack(b)):
            product = matmul(a, right)
            assert product.dtype == np.int32
            np.testing.assert_array_equal(product, np.zeros((*leading, m, n)))


def test_large_results_are_aligned_and_their_own() -> None:
    a = np.ones((256, 8), np.int8)
    first, second = matmul(a, a.T), matmul(a, a.T)
    assert first.nbytes >= ALIGNED
    assert first.ctypes.data % 64 == 0
    assert first.flags.c_contiguous
    assert first.flags.writeable
    first[:] = 0
    assert (second == 8).all()


def test_what_is_packed_is_a_copy_that_threads_share() -> None:
    rng = np.random.default_rng(8)
    a, b = (rng.integers(-128, 128, size, np.int8) for size in ((70, 150), (150, 90)))
    packed, wanted = pack(b), exact(a, b)
    b[:] = 0
    assert packed.shape == (150, 90)
    with ThreadPoolExecutor(4) as pool:
        for product in pool.map(lambda threads: matmul(a, packed, threads), [1, 2] * 20):
            np.testing.assert_array_equal(product, wanted)


def test_without_the_core_packing_keeps_the_array(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_native, "lib", None)
    monkeypatch.setattr(_native, "_warned", True)
    rng = np.random.default_rng(9)
    a, b = rng.integers(-128, 128, (5, 9), np.int8), rng.integers(-128, 128, (3, 9, 4), np.int8)
    packed, wanted = executor.pack(b), exact(a, b)
    b[:] = 0
    np.testing.assert_array_equal(executor.matmul(a, packed), wanted)
    with pytest.raises(TaskError):
        executor.pack(b.astype(np.int16))


@pytest.mark.parametrize("threads", [1, 2])
def test_memory_is_used_again(threads: int) -> None:
    rng = np.random.default_rng(7)
    for m, k, n in [(130, 900, 300), (3, 5, 7), (65, 64, 40), (200, 1300, 500), (9, 1, 1), (130, 900, 300)]:
        a, b = (rng.integers(-128, 128, size, np.int8) for size in ((m, k), (k, n)))
        np.testing.assert_array_equal(matmul(a, b, threads), exact(a, b))


def test_memory_in_use_is_not_lent_twice_and_much_is_not_kept() -> None:
    size, first = _borrow(1000)
    assert _borrow(1000)[1] != first
    _give_back(size, first)
    assert _borrow(size) == (size, first)
    _give_back(size, first)
    assert _borrow(size + 1)[0] == size + 1
    _give_back(KEPT + 1, first)
    assert _borrow(1)[1] != first


def test_extremes_reach_the_ends_of_int32() -> None:
    a = np.full((2, MAX_DEPTH), -128, np.int8)
    np.testing.assert_array_equal(matmul(a, a.T), exact(a, a.T))
    np.testing.assert_array_equal(matmul(a, np.full((MAX_DEPTH, 1), 127, np.int8)), -128 * 127 * MAX_DEPTH)


@pytest.mark.parametrize(
    ("a", "b", "code"),
    [
        (np.zeros((2, 2), np.int16), np.zeros((2, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros(2, np.int8), np.zeros((2, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((2, 3), np.int8), np.zeros((2, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((3, 2, 2), np.int8), np.zeros((2, 2, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((1, MAX_DEPTH + 1), np.int8), np.zeros((MAX_DEPTH + 1, 1), np.int8), ErrorCode.ACCUMULATOR_OVERFLOW),
    ],
)
def test_refusals(a: np.ndarray, b: np.ndarray, code: ErrorCode) -> None:
    with pytest.raises(TaskError) as caught:
        matmul(a, b)
    assert caught.value.code is code
    with pytest.raises(TaskError) as caught:
        matmul(a, pack(b))
    assert caught.value.code is code


@pytest.mark.parametrize(
    ("b", "code"),
    [
        ([[1]], ErrorCode.INVALID_INPUT),
        (np.zeros((2, 2), np.uint8), ErrorCode.INVALID_INPUT),
        (np.zeros(2, np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((MAX_DEPTH + 1, 0), np.int8), ErrorCode.ACCUMULATOR_OVERFLOW),
    ],
)
def test_what_cannot_be_packed(b: np.ndarray, code: ErrorCode) -> None:
    with pytest.raises(TaskError) as caught:
        pack(b)
    assert caught.value.code is code
