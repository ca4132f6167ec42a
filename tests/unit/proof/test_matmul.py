# SPDX-License-Identifier: Apache-2.0
"""The check of one product: honest products pass, every altered one is refused, wrong arrays get typed errors."""

import numpy as np
import pytest

from vcompute.errors import Rejected, TaskError
from vcompute.field.scalar import Ext
from vcompute.proof.matmul import MAX_DEPTH, check_matmul, check_projection, public_point
from vcompute.proof.projection import NativeProjection, NumpyProjection
from vcompute.registry import ErrorCode

RNG = np.random.default_rng(5)
EXTREMES = [np.full((3, 700), value, np.int8) for value in (-128, 127)]


def product(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return (a.astype(np.int64) @ b.astype(np.int64)).astype("<i4")


def matrices(m: int, k: int, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    a, b = RNG.integers(-128, 128, (m, k), np.int8), RNG.integers(-128, 128, (k, n), np.int8)
    return a, b, product(a, b)


@pytest.mark.parametrize("public", [False, True])
@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 7, 1), (5, 1, 3), (16, 16, 16), (33, 65, 17), (2, 300, 129)])
def test_honest_products_pass(shape: tuple[int, int, int], public: bool) -> None:
    a, b, c = matrices(*shape)
    bits = check_matmul(a, b, c, public=public).bits
    assert bits is not None
    assert 100 <= bits <= 128
    for left in EXTREMES:
        for right in EXTREMES:
            check_matmul(left, right.T.copy(), product(left, right.T), public=public)


def test_views_in_any_order_are_taken() -> None:
    a, b, c = matrices(9, 8, 7)
    check_matmul(np.asfortranarray(a), b.T.copy().T, c[::-1][::-1])


@pytest.mark.parametrize("public", [False, True])
def test_every_altered_element_is_refused(public: bool) -> None:
    a, b, c = matrices(6, 5, 7)
    for place in np.ndindex(c.shape):
        for delta in (1, -1, 256, 1 << 30, -(1 << 31)):
            wrong = c.copy()
            wrong[place] ^= delta
            with pytest.raises(Rejected, match=f"got row {place[0]}") as caught:
                check_matmul(a, b, wrong, public=public)
            assert caught.value.code is ErrorCode.PROOF_REJECTED
    for operand in (a, b):
        for place in np.ndindex(operand.shape):
            other = [np.array(x) for x in (a, b)]
            other[operand is b][place] ^= 1
            if (product(*other) != c).any():
                with pytest.raises(Rejected):
                    check_matmul(*other, c, public=public)


def test_differences_that_cancel_along_a_row_are_refused() -> None:
    """What a sum with small or equal weights misses."""
    a, b, c = matrices(4, 5, 8)
    for public in (False, True):
        for first, second in ((0, 1), (0, 7), (3, 4)):
            wrong = c.copy()
            wrong[1, first] += 1
            wrong[1, second] -= 1
            with pytest.raises(Rejected):
                check_matmul(a, b, wrong, public=public)
        with pytest.raises(Rejected):
            check_matmul(a, b, c[:, ::-1].copy(), public=public)
        with pytest.raises(Rejected):
            check_matmul(a, b, c[::-1].copy(), public=public)


def test_the_public_challenge_is_bound_to_everything() -> None:
    a, b, c = matrices(3, 4, 5)
    points = [public_point(a, b, c, b"")]
    points.append(public_point(a, b, c, b"x"))
    for index in range(3):
        for place in np.ndindex((a, b, c)[index].shape):
            changed = [np.array(x) for x in (a, b, c)]
            changed[index][place] ^= 1
            points.append(public_point(*changed, b""))
    assert len({tuple(map(repr, point)) for point in points}) == len(points)


def test_the_random_source_is_the_caller_s() -> None:
    a, b, c = matrices(2, 3, 4)
    asked: list[int] = []

    def random(size: int) -> bytes:
        asked.append(size)
        return bytes(size)

    check_matmul(a, b, c, random=random)
    assert asked == [8] * 4  # two variables of two words


def test_a_point_the_prover_knows_convinces_of_a_wrong_product() -> None:
    """Why the challenge must come after the product: with r known, a wrong row passes."""
    a, b, c = matrices(2, 3, 2)

    point = [Ext(5)]  # weights 1 - 5 and 5
    wrong = c.copy()
    wrong[0] += np.array([5, 4], "<i4")
    for projection in (NumpyProjection(), NativeProjection()):
        check_projection(a, b, wrong, point, projection)
    with pytest.raises(Rejected):
        check_matmul(a, b, wrong)


@pytest.mark.parametrize(
    ("a", "b", "code"),
    [
        (np.zeros((2, 3), np.int16), np.zeros((3, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((2, 3), np.int8), np.zeros((3, 2), np.uint8), ErrorCode.INVALID_INPUT),
        (np.zeros((2, 3), np.int8), np.zeros((2, 3), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros(3, np.int8), np.zeros((3, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((2, 3, 1), np.int8), np.zeros((3, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((0, 3), np.int8), np.zeros((3, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((2, 0), np.int8), np.zeros((0, 2), np.int8), ErrorCode.INVALID_INPUT),
        (np.zeros((1, MAX_DEPTH + 1), np.int8), np.zeros((MAX_DEPTH + 1, 1), np.int8), ErrorCode.ACCUMULATOR_OVERFLOW),
        (np.broadcast_to(np.int8(0), (1 << 25, 1)), np.zeros((1, 1), np.int8), ErrorCode.LIMIT_EXCEEDED),
    ],
)
def test_wrong_operands_get_typed_errors(a: np.ndarray, b: np.ndarray, code: ErrorCode) -> None:
    with pytest.raises(TaskError) as caught:
        check_matmul(a, b, np.zeros((2, 2), "<i4"))
    assert caught.value.code is code


@pytest.mark.parametrize(
    "c", [np.zeros((2, 2), np.int64), np.zeros((2, 3), "<i4"), np.zeros(4, "<i4"), np.zeros((2, 2), ">i4")]
)
def test_a_product_of_another_type_or_shape_is_refused(c: np.ndarray) -> None:
    with pytest.raises(Rejected) as caught:
        check_matmul(np.zeros((2, 3), np.int8), np.zeros((3, 2), np.int8), c)
    assert caught.value.code is ErrorCode.STATEMENT_MISMATCH
