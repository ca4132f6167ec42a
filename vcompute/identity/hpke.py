# SPDX-License-Identifier: Apache-2.0
"""HPKE (RFC 9180), base mode: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM; one message an encapsulation.

``cryptography`` has HPKE, but without associated data; this is RFC 9180 sections 4 and 5 for the one suite of the
protocol over its primitives. Every output of HKDF here is at most one block of SHA-256 long.
"""

import hmac
from dataclasses import dataclass
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode

KEM_ID: Final = 0x0010
KDF_ID: Final = 0x0001
AEAD_ID: Final = 0x0001
POINT_SIZE: Final = 65
"""Bytes of a public key or encapsulation: an uncompressed point."""
TAG_SIZE: Final = 16

_KEM: Final = b"KEM" + KEM_ID.to_bytes(2, "big")
_HPKE: Final = b"HPKE" + b"".join(i.to_bytes(2, "big") for i in (KEM_ID, KDF_ID, AEAD_ID))
_MODE_BASE: Final = b"\x00"
_CURVE: Final = ec.SECP256R1()
_ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


@dataclass(frozen=True, slots=True)
class KeySchedule:
    """The secrets of one encapsulation: section 5.1."""

    key: bytes
    base_nonce: bytes


def _extract(suite: bytes, salt: bytes, label: bytes, ikm: bytes) -> bytes:
    """``LabeledExtract``."""
    return hmac.digest(salt or bytes(32), b"HPKE-v1" + suite + label + ikm, "sha256")


def _expand(suite: bytes, prk: bytes, label: bytes, info: bytes, length: int) -> bytes:
    """``LabeledExpand``, for at most 32 bytes."""
    return hmac.digest(prk, length.to_bytes(2, "big") + b"HPKE-v1" + suite + label + info + b"\x01", "sha256")[:length]


def public_bytes(key: ec.EllipticCurvePublicKey) -> bytes:
    """``SerializePublicKey``: 65 bytes."""
    return key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)


def read_public(data: bytes) -> ec.EllipticCurvePublicKey:
    """``DeserializePublicKey``, with the validation of section 7.1.4.

    Raises:
        ProtocolError: ``invalid_key``: not the uncompressed form of a point of P-256.
    """
    if len(data) != POINT_SIZE or data[0] != 4:
        raise ProtocolError(
            "an HPKE key is an uncompressed point of P-256",
            code=ErrorCode.INVALID_KEY,
            expected=f"{POINT_SIZE} bytes that begin with 04",
            got=f"{len(data)} bytes",
        )
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVE, data)
    except ValueError as error:
        raise ProtocolError("the HPKE key is not a point of P-256", code=ErrorCode.INVALID_KEY) from error


def derive_key_pair(ikm: bytes) -> ec.EllipticCurvePrivateKey:
    """``DeriveKeyPair`` of section 7.1.3; ``ikm`` has at least 32 bytes of entropy."""
    prk = _extract(_KEM, b"", b"dkp_prk", ikm)
    for counter in range(256):
        scalar = int.from_bytes(_expand(_KEM, prk, b"candidate", bytes([counter]), 32), "big")
        if 0 < scalar < _ORDER:
            return ec.derive_private_key(scalar, _CURVE)
    raise ProtocolError("no key can be derived", code=ErrorCode.INVALID_KEY)  # chance below 2^-8000


def shared_secret(dh: bytes, encapsulation: bytes, recipient: bytes) -> bytes:
    """``ExtractAndExpand`` of section 4.1."""
    prk = _extract(_KEM, b"", b"eae_prk", dh)
    return _expand(_KEM, prk, b"shared_secret", encapsulation + recipient, 32)


def key_schedule(secret: bytes, info: bytes) -> KeySchedule:
    """``KeySchedule`` of section 5.1 in base mode."""
    context = _MODE_BASE + _extract(_HPKE, b"", b"psk_id_hash", b"") + _extract(_HPKE, b"", b"info_hash", info)
    prk = _extract(_HPKE, secret, b"secret", b"")
    return KeySchedule(_expand(_HPKE, prk, b"key", context, 16), _expand(_HPKE, prk, b"base_nonce", context, 12))


def seal(
    recipient: bytes,
    info: bytes,
    aad: bytes,
    plaintext: bytes,
    *,
    ephemeral: ec.EllipticCurvePrivateKey | None = None,
) -> tuple[bytes, bytes]:
    """Encrypt to a key: encapsulation and ciphertext (``SealBase``).

    Args:
        recipient: the recipient's public key, 65 bytes.
        info: what the key is used for, bound into the keys.
        aad: what the ciphertext is bound to, authenticated and not sent.
        plaintext: what to encrypt.
        ephemeral: the sender's one-time key; given by vectors alone.

    Raises:
        ProtocolError: ``invalid_key``.
    """
    point = read_public(recipient)
    one_time = ec.generate_private_key(_CURVE) if ephemeral is None else ephemeral
    encapsulation = public_bytes(one_time.public_key())
    schedule = key_schedule(shared_secret(one_time.exchange(ec.ECDH(), point), encapsulation, recipient), info)
    return encapsulation, AESGCM(schedule.key).encrypt(schedule.base_nonce, plaintext, aad)


def open_sealed(
    key: ec.EllipticCurvePrivateKey, encapsulation: bytes, info: bytes, aad: bytes, ciphertext: bytes
) -> bytes:
    """Decrypt what was sealed to ``key`` under the same ``info`` and ``aad`` (``OpenBase``).

    Raises:
        ProtocolError: ``invalid_key`` for a bad encapsulation; ``decryption_failed`` where key, info, aad or a byte of
            the ciphertext is another.
    """
    dh = key.exchange(ec.ECDH(), read_public(encapsulation))
    secret = shared_secret(dh, encapsulation, public_bytes(key.public_key()))
    schedule = key_schedule(secret, info)
    if len(ciphertext) < TAG_SIZE:
        raise ProtocolError("the ciphertext is too short", code=ErrorCode.DECRYPTION_FAILED, got=len(ciphertext))
    try:
        return AESGCM(schedule.key).decrypt(schedule.base_nonce, ciphertext, aad)
    except InvalidTag as error:
        raise ProtocolError("the ciphertext does not open", code=ErrorCode.DECRYPTION_FAILED) from error
