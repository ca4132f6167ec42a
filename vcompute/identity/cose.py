# SPDX-License-Identifier: Apache-2.0
"""COSE_Sign1 envelopes (RFC 9052 section 4.2) that carry their signer's key.

One strict form: tag 18, a protected header of algorithm ES256 and the signer's key (``kccs``, label 14 of RFC 9528: a
claims set whose ``cnf`` claim holds the COSE_Key), an empty unprotected header, the payload and the signature. The
key in the header makes each envelope checkable by itself; who the key belongs to is the thumbprint's business.

A signature covers ``Sig_structure`` with the caller's ``external_aad``, so that nothing signed for one purpose passes
for another. Envelopes are hashed and kept as received, never encoded again.
"""

import hashlib
from dataclasses import dataclass
from typing import Final

from vcompute.codec import Limits, Tagged, dumps, loads
from vcompute.errors import ProtocolError
from vcompute.identity.keys import SIGNATURE_SIZE, PrivateKey, PublicKey
from vcompute.registry import ErrorCode

MAX_PAYLOAD: Final = 1 << 15
"""The longest payload, in bytes; content travels as blobs."""

MAX_SIGNERS: Final = 1 << 14
"""Keys of known signers kept decoded, about 2 kB each."""

_HEADER: Final = bytes.fromhex("a201260ea108a101")  # {1: -7, 14: {8: {1: COSE_Key}}}, the key follows
_OVERHEAD: Final = 256
_LIMITS: Final = Limits(bytes=MAX_PAYLOAD + _OVERHEAD, depth=3, items=8)


@dataclass(frozen=True, slots=True)
class Sealed:
    """An envelope whose signature was checked."""

    signer: PublicKey
    """Who signed."""
    payload: bytes
    """What was signed."""
    data: bytes
    """The whole envelope as received."""
    digest: bytes
    """SHA-256 of ``data``: the envelope's name."""


_SIGNERS: Final[dict[bytes, PublicKey]] = {}


def _remember(signer: PublicKey) -> None:
    """Keep a key whose signature verified, so that its point is decoded and checked once."""
    while len(_SIGNERS) >= MAX_SIGNERS:
        _SIGNERS.pop(next(iter(_SIGNERS)), None)
    _SIGNERS[signer.cose_key] = signer


def _to_be_signed(protected: bytes, aad: bytes, payload: bytes) -> bytes:
    return dumps(["Signature1", protected, aad, payload])


def sign1(key: PrivateKey, payload: bytes, aad: bytes) -> bytes:
    """Sign ``payload`` under ``key`` with the additional data ``aad``.

    Raises:
        ProtocolError: ``limit_exceeded``: the payload is over :data:`MAX_PAYLOAD`.
    """
    if len(payload) > MAX_PAYLOAD:
        raise ProtocolError(
            "the payload is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=f"<= {MAX_PAYLOAD}", got=len(payload)
        )
    protected = _HEADER + key.public.cose_key
    signature = key.sign(_to_be_signed(protected, aad, payload))
    return dumps(Tagged(18, [protected, {}, payload, signature]))


def open1(data: bytes, aad: bytes) -> Sealed:
    """Check an envelope: bounds, form, key, signature.

    Raises:
        EncodingError: not deterministic CBOR, or over a bound.
        ProtocolError: ``schema_violation``, ``invalid_key``, ``non_canonical_signature`` or ``bad_signature``.
    """
    sealed, protected, signature = _parse(data)
    sealed.signer.verify(signature, _to_be_signed(protected, aad, sealed.payload))
    _remember(sealed.signer)
    return sealed


def reopen1(data: bytes) -> Sealed:
    """Read an envelope that this party checked before and kept in its own store; the signature is not checked.

    Raises:
        EncodingError: not deterministic CBOR, or over a bound.
        ProtocolError: ``schema_violation``, ``invalid_key``.
    """
    return _parse(data)[0]


def _parse(data: bytes) -> tuple[Sealed, bytes, bytes]:
    """The envelope, its protected header and its signature, unchecked."""
    envelope = loads(data, _LIMITS)
    parts = envelope.value if isinstance(envelope, Tagged) else None
    if not isinstance(parts, list) or len(parts) != 4:
        raise ProtocolError("an envelope is tag 18 around an array of 4")
    protected, unprotected, payload, signature = parts
    if unprotected != {} or not isinstance(unprotected, dict):
        raise ProtocolError("the unprotected header is an empty map")
    if not isinstance(protected, bytes) or not protected.startswith(_HEADER):
        raise ProtocolError("the protected header is {1: -7, 14: {8: {1: COSE_Key}}}")
    if not isinstance(payload, bytes) or len(payload) > MAX_PAYLOAD:
        raise ProtocolError("the payload is a byte string", expected=f"<= {MAX_PAYLOAD} bytes")
    if not isinstance(signature, bytes) or len(signature) != SIGNATURE_SIZE:
        raise ProtocolError("the signature is 64 bytes", code=ErrorCode.NON_CANONICAL_SIGNATURE)
    cose_key = protected[len(_HEADER) :]
    signer = _SIGNERS.get(cose_key) or PublicKey(cose_key, check=False)
    return Sealed(signer, payload, bytes(data), hashlib.sha256(data).digest()), protected, signature
