# SPDX-License-Identifier: Apache-2.0
"""ES256 device keys: P-256, signatures of 64 bytes with low s, COSE_Key and its thumbprint.

P-256 is mandatory because secure elements of phones hold P-256 keys. A key is written as the COSE_Key map of its
required parameters alone (RFC 9052 section 7), uncompressed, in one deterministic form; its name is the SHA-256 of
exactly these bytes, the COSE Key Thumbprint of RFC 9679.
"""

import hashlib
from functools import cached_property
from typing import Final

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode

ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The order n of the P-256 group."""

_KTY_CRV_X: Final = bytes.fromhex("a401022001215820")  # {1: 2, -1: 1, -2: bstr .size 32
_Y: Final = bytes.fromhex("225820")  # -3: bstr .size 32}
COSE_KEY_SIZE: Final = len(_KTY_CRV_X) + 32 + len(_Y) + 32
SIGNATURE_SIZE: Final = 64
_SHA256: Final = hashes.SHA256()


class PublicKey:
    """A P-256 public key, checked to be a point of the curve."""

    def __init__(self, cose_key: bytes, *, check: bool = True) -> None:
        """Read a COSE_Key. Without ``check`` the point is checked when a signature is: for keys that were checked.

        Raises:
            ProtocolError: ``invalid_key``: not the one encoding, or not a point of the curve.
        """
        x_end = len(_KTY_CRV_X) + 32
        if (
            len(cose_key) != COSE_KEY_SIZE
            or not cose_key.startswith(_KTY_CRV_X)
            or cose_key[x_end : x_end + len(_Y)] != _Y
        ):
            raise ProtocolError(
                "a key is the COSE_Key {1: 2, -1: 1, -2: x, -3: y} of P-256 in deterministic CBOR",
                code=ErrorCode.INVALID_KEY,
                expected=f"{COSE_KEY_SIZE} bytes",
                got=f"{len(cose_key)} bytes",
            )
        self.cose_key: Final = bytes(cose_key)
        self.thumbprint: Final = hashlib.sha256(cose_key).digest()
        if check:
            self._key  # noqa: B018 - loads and thereby checks the point

    @cached_property
    def _key(self) -> ec.EllipticCurvePublicKey:
        x_end = len(_KTY_CRV_X) + 32
        point = b"\x04" + self.cose_key[len(_KTY_CRV_X) : x_end] + self.cose_key[x_end + len(_Y) :]
        try:
            return ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), point)
        except ValueError as error:
            raise ProtocolError("the key is not a point of P-256", code=ErrorCode.INVALID_KEY) from error

    def verify(self, signature: bytes, data: bytes) -> None:
        """Check an ES256 signature over ``data``.

        Raises:
            ProtocolError: ``non_canonical_signature`` where r or s is out of range or s is high;
                ``bad_signature`` where it does not verify.
        """
        r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
        if len(signature) != SIGNATURE_SIZE or not 0 < r < ORDER or not 0 < s <= ORDER // 2:
            raise ProtocolError(
                "an ES256 signature is r and s of 32 bytes, in range, s low", code=ErrorCode.NON_CANONICAL_SIGNATURE
            )
        try:
            self._key.verify(encode_dss_signature(r, s), data, ec.ECDSA(_SHA256))
        except InvalidSignature as error:
            raise ProtocolError("the signature does not verify", code=ErrorCode.BAD_SIGNATURE) from error

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PublicKey) and self.cose_key == other.cose_key

    def __hash__(self) -> int:
        return hash(self.cose_key)

    def __repr__(self) -> str:
        return f"PublicKey({self.thumbprint.hex()[:16]})"


class PrivateKey:
    """A P-256 private key. ``repr`` and errors never show the secret."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, *, deterministic: bool = False) -> None:
        """Wrap a key; ``deterministic`` takes nonces from RFC 6979, so that vectors are reproducible."""
        if not isinstance(key.curve, ec.SECP256R1):
            raise ProtocolError("a device key is on P-256", code=ErrorCode.INVALID_KEY, got=key.curve.name)
        self.wrapped: Final = key
        self._algorithm = ec.ECDSA(_SHA256, deterministic_signing=deterministic)

    @classmethod
    def generate(cls) -> "PrivateKey":
        """A fresh key from the operating system's randomness."""
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_seed(cls, seed: bytes) -> "PrivateKey":
        """The key that a seed names, with deterministic nonces: for vectors and tests, never for money."""
        wide = hashlib.sha512(b"vcompute test key\0" + seed).digest()
        secret = int.from_bytes(wide, "big") % (ORDER - 1) + 1
        return cls(ec.derive_private_key(secret, ec.SECP256R1()), deterministic=True)

    @cached_property
    def public(self) -> PublicKey:
        """The public half."""
        numbers = self.wrapped.public_key().public_numbers()
        x, y = numbers.x.to_bytes(32, "big"), numbers.y.to_bytes(32, "big")
        return PublicKey(_KTY_CRV_X + x + _Y + y)

    @property
    def thumbprint(self) -> bytes:
        """The name of the public half: 32 bytes."""
        return self.public.thumbprint

    def sign(self, data: bytes) -> bytes:
        """The ES256 signature of ``data``: r then s, 32 bytes each, s low."""
        r, s = decode_dss_signature(self.wrapped.sign(data, self._algorithm))
        return r.to_bytes(32, "big") + min(s, ORDER - s).to_bytes(32, "big")

    def __repr__(self) -> str:
        return f"PrivateKey({self.thumbprint.hex()[:16]})"
