# SPDX-License-Identifier: Apache-2.0
"""Ed25519 (RFC 8032), a registered option for devices without P-256, with one answer on every edge case.

Libraries disagree on signatures with small-order points and non-canonical encodings. Before the library's cofactorless
equation runs, this module refuses S not below the group order, and A or R not canonical or of small order. What is
left has one answer everywhere, and no signature can be valid for two messages or bind no key.
"""

import hashlib
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ed25519

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode

FIELD: Final = 2**255 - 19
ORDER: Final = 2**252 + 27742317777372353535851937790883648493
"""The order L of the prime-order subgroup."""
SIGNATURE_SIZE: Final = 64
SMALL_ORDER_Y: Final = frozenset(
    {
        0,
        1,
        FIELD - 1,
        0x7A03AC9277FDC74EC6CC392CFA53202A0F67100D760B3CBA4FD84D3D706A17C7,
        0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826,
    }
)
"""The y coordinates of the eight points whose order divides the cofactor."""

_PREFIX: Final = bytes.fromhex("a301012006215820")  # {1: 1 (OKP), -1: 6 (Ed25519), -2: bstr .size 32
COSE_KEY_SIZE: Final = len(_PREFIX) + 32


def check_point(encoded: bytes, what: str, code: ErrorCode) -> None:
    """Refuse an encoded point that is not canonical or has small order.

    The encodings with x = 0 and a set sign bit are of small order, so that a canonical y is all there is to check.

    Raises:
        ProtocolError: ``code``.
    """
    y = int.from_bytes(encoded, "little") & (2**255 - 1)
    if len(encoded) != 32 or y >= FIELD or y in SMALL_ORDER_Y:
        raise ProtocolError(f"{what} is a canonical Ed25519 point that is not of small order", code=code)


class Ed25519PublicKey:
    """An Ed25519 public key under the checks of this module."""

    def __init__(self, cose_key: bytes) -> None:
        """Read the COSE_Key ``{1: 1, -1: 6, -2: x}``.

        Raises:
            ProtocolError: ``invalid_key``.
        """
        if len(cose_key) != COSE_KEY_SIZE or not cose_key.startswith(_PREFIX):
            raise ProtocolError(
                "a key is the COSE_Key {1: 1, -1: 6, -2: x} of Ed25519 in deterministic CBOR",
                code=ErrorCode.INVALID_KEY,
                expected=f"{COSE_KEY_SIZE} bytes",
                got=f"{len(cose_key)} bytes",
            )
        raw = cose_key[len(_PREFIX) :]
        check_point(raw, "a public key", ErrorCode.INVALID_KEY)
        self._key = ed25519.Ed25519PublicKey.from_public_bytes(raw)
        self.cose_key: Final = bytes(cose_key)
        self.thumbprint: Final = hashlib.sha256(cose_key).digest()

    @classmethod
    def from_raw(cls, raw: bytes) -> "Ed25519PublicKey":
        """The key of 32 bytes in the form of RFC 8032; see the constructor."""
        return cls(_PREFIX + raw)

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check a signature over ``data``.

        Raises:
            ProtocolError: ``non_canonical_signature``: R or S is not admitted; ``bad_signature``: it does not verify.
        """
        if len(signature) != SIGNATURE_SIZE or int.from_bytes(signature[32:], "little") >= ORDER:
            raise ProtocolError(
                "an Ed25519 signature is R and S of 32 bytes, S below the group order",
                code=ErrorCode.NON_CANONICAL_SIGNATURE,
            )
        check_point(signature[:32], "R of a signature", ErrorCode.NON_CANONICAL_SIGNATURE)
        try:
            self._key.verify(signature, data)
        except InvalidSignature as error:
            raise ProtocolError("the signature does not verify", code=ErrorCode.BAD_SIGNATURE) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ed25519PublicKey) and self.cose_key == other.cose_key

    def __hash__(self) -> int:
        return hash(self.cose_key)


class Ed25519PrivateKey:
    """An Ed25519 private key; signatures are deterministic."""

    def __init__(self, key: ed25519.Ed25519PrivateKey) -> None:
        self.wrapped: Final = key
        self.public: Final = Ed25519PublicKey.from_raw(key.public_key().public_bytes_raw())

    @classmethod
    def generate(cls) -> "Ed25519PrivateKey":
        """A fresh key from the operating system's randomness."""
        return cls(ed25519.Ed25519PrivateKey.generate())

    def sign(self, data: bytes) -> bytes:
        """The signature of ``data``: R then S."""
        return self.wrapped.sign(data)

    def __repr__(self) -> str:
        return f"Ed25519PrivateKey({self.public.thumbprint.hex()[:16]})"
