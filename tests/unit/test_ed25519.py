# SPDX-License-Identifier: Apache-2.0
"""VC-IDN: Ed25519 has one answer on every edge case.

The twelve classes are those of table 6 in "Taming the many EdDSAs" (Chalkias, Garillot, Nikolaenko 2020), built here
from their definitions with arithmetic of its own. A verifier under the strict precheck accepts class 3 alone.
"""

import hashlib
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcompute.errors import ProtocolError
from vcompute.identity.ed25519 import FIELD, ORDER, SMALL_ORDER_Y, Ed25519PrivateKey, Ed25519PublicKey
from vcompute.registry import ErrorCode

P, L = FIELD, ORDER
D = -121665 * pow(121666, -1, P) % P
ROOT = pow(2, (P - 1) // 4, P)
Point = tuple[int, int]
Case = tuple[bytes, bytes, bytes]


def add(a: Point, b: Point) -> Point:
    x1, y1, x2, y2 = *a, *b
    t = D * x1 * x2 * y1 * y2 % P
    return (x1 * y2 + x2 * y1) * pow(1 + t, -1, P) % P, (y1 * y2 + x1 * x2) * pow(1 - t, -1, P) % P


def times(k: int, point: Point) -> Point:
    total = (0, 1)
    while k:
        if k & 1:
            total = add(total, point)
        point, k = add(point, point), k >> 1
    return total


def on_curve(y: int) -> Iterator[Point]:
    x2 = (y * y - 1) * pow(D * y * y + 1, -1, P) % P
    x = pow(x2, (P + 3) // 8, P)
    for root in (x, x * ROOT % P):
        if root * root % P == x2:
            yield root, y
            yield -root % P, y
            return


def encoded(point: Point) -> bytes:
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, "little")


BASE = min(on_curve(4 * pow(5, -1, P) % P), key=lambda point: point[0] & 1)
TORSION = next(torsion for y in range(2, 99) for point in on_curve(y) if times(4, torsion := times(L, point)) != (0, 1))


def challenge(r: bytes, a: bytes, message: bytes) -> int:
    return int.from_bytes(hashlib.sha512(r + a + message).digest(), "little") % L


def case(a_scalar: int, a_torsion: int, r_scalar: int, r_torsion: int, cofactorless: bool) -> Case:
    """Key, message and signature whose equation holds without the cofactor, or with it alone."""
    key = encoded(add(times(a_scalar, BASE), times(a_torsion, TORSION)))
    nonce = encoded(add(times(r_scalar, BASE), times(r_torsion, TORSION)))
    for counter in range(10_000):
        message = counter.to_bytes(2, "big")
        h = challenge(nonce, key, message)
        if ((r_torsion + h * a_torsion) % 8 == 0) is cofactorless:
            s = (r_scalar + h * a_scalar) % L
            return key, message, nonce + s.to_bytes(32, "little")
    raise AssertionError("no message found")


def with_s(plus: int) -> Case:
    key, message, signature = case(5, 0, 7, 0, True)
    return key, message, signature[:32] + (int.from_bytes(signature[32:], "little") + plus).to_bytes(32, "little")


def non_canonical(of_key: bool, y: int) -> Case:
    """A small-order key or nonce written with y + p."""
    odd = (P + y).to_bytes(32, "little")
    other = encoded(add(times(11, BASE), TORSION))
    for counter in range(10_000):
        message = counter.to_bytes(2, "big")
        nonce, key = (other, odd) if of_key else (odd, other)
        h = challenge(nonce, key, message)
        if h % 8 == 0:
            return key, message, nonce + ((11 if of_key else h * 11) % L).to_bytes(32, "little")
    raise AssertionError("no message found")


CASES = [
    lambda: case(0, 1, 0, 2, True),  # 0: S = 0, both points small
    lambda: case(0, 1, 9, 3, True),  # 1: A small, R mixed
    lambda: case(5, 1, 0, 3, True),  # 2: A mixed, R small
    lambda: case(5, 1, 9, 3, True),  # 3: both mixed, the equation holds without the cofactor
    lambda: case(5, 1, 9, 3, False),  # 4: both mixed, it holds with the cofactor alone
    lambda: case(5, 1, 9, 0, False),  # 5: A mixed, R of prime order, with the cofactor alone
    lambda: with_s(L),  # 6: S > L
    lambda: with_s(L * 15),  # 7: S >> L
    lambda: non_canonical(False, 1),  # 8: R non-canonical
    lambda: non_canonical(False, 0),  # 9: the same, of order 4
    lambda: non_canonical(True, 1),  # 10: A non-canonical
    lambda: non_canonical(True, 0),  # 11: the same, of order 4
]


@pytest.mark.parametrize("number", range(12))
def test_published_edge_cases(number: int) -> None:
    """VC-IDN-020: of the twelve published classes, class 3 alone is accepted."""
    key, message, signature = CASES[number]()
    if number == 3:
        Ed25519PublicKey.from_raw(key).verify(signature, message)
        return
    with pytest.raises(ProtocolError) as caught:
        Ed25519PublicKey.from_raw(key).verify(signature, message)
    expected = {4: ErrorCode.BAD_SIGNATURE, 5: ErrorCode.BAD_SIGNATURE}
    small_key = number in (0, 1, 10, 11)
    default = ErrorCode.INVALID_KEY if small_key else ErrorCode.NON_CANONICAL_SIGNATURE
    assert caught.value.code is expected.get(number, default)


def test_small_order_points_are_listed() -> None:
    """VC-IDN-020: the table holds the y of all eight points of the torsion and no other."""
    assert times(8, TORSION) == (0, 1)
    assert {times(k, TORSION)[1] for k in range(8)} == SMALL_ORDER_Y


def test_rfc_8032_vector() -> None:
    """VC-IDN-021: test 2 of RFC 8032 section 7.1 verifies; its COSE_Key has the thumbprint of its required members."""
    key = Ed25519PublicKey.from_raw(bytes.fromhex("3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c"))
    signature = bytes.fromhex(
        "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
        "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
    )
    key.verify(signature, b"\x72")
    assert key.cose_key[:8].hex() == "a301012006215820"
    assert key.thumbprint == hashlib.sha256(key.cose_key).digest()
    with pytest.raises(ProtocolError):
        Ed25519PublicKey(key.cose_key + b"\x00")


@given(message=st.binary(max_size=64), position=st.integers(0, 63), flip=st.integers(1, 255))
@settings(max_examples=100, deadline=None)
def test_altered_signatures_are_refused(message: bytes, position: int, flip: int) -> None:
    """VC-IDN-021: a changed byte anywhere is a typed rejection."""
    private = Ed25519PrivateKey.generate()
    signature = bytearray(private.sign(message))
    private.public.verify(bytes(signature), message)
    signature[position] ^= flip
    with pytest.raises(ProtocolError):
        private.public.verify(bytes(signature), message)
