# SPDX-License-Identifier: Apache-2.0
"""BLS signatures over BLS12-381 with proof of possession: the scheme, over an exchangeable backend.

Ciphersuite ``BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_`` of draft-irtf-cfrg-bls-signature: keys of 48 bytes in G1,
signatures of 96 bytes in G2, so that many verifiers' signatures on one message are one signature that a chain checks
(EIP-2537). Aggregation is safe against rogue keys only among keys whose proof of possession was checked: a
:class:`PossessedKey` is such a key, and nothing else is accepted for aggregation.
"""

import importlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol, cast

from vcompute.errors import ProtocolError, UsageError
from vcompute.registry import ErrorCode

SIGN_DST: Final = b"BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
POP_DST: Final = b"BLS_POP_BLS12381G2_XMD:SHA-256_SSWU_RO_POP_"
KEY_SIZE: Final = 48
SIGNATURE_SIZE: Final = 96
GROUP_ORDER: Final = 0x73EDA753299D7D483339D80809A1D80553BDA402FFFE5BFEFFFFFFFF00000001
FIELD: Final = int(
    "1a0111ea397fe69a4b1ba7b6434bacd764774b84f38512bf6730d2a0f6b0f6241eabfffeb153ffffb9feffffffffaaab", 16
)


class Backend(Protocol):
    """The group operations. Keys and signatures come in already checked by :func:`check_encoding`."""

    def public_key(self, secret: int) -> bytes:
        """The key of a secret scalar in [1, GROUP_ORDER)."""

    def sign(self, secret: int, message: bytes, dst: bytes) -> bytes:
        """The secret times the message hashed to G2 under ``dst`` (RFC 9380)."""

    def key_in_group(self, key: bytes) -> bool:
        """Whether the bytes are a point of the subgroup of G1."""

    def aggregate(self, signatures: Sequence[bytes]) -> bytes | None:
        """The sum of signatures; None where one is not in the subgroup of G2."""

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes, dst: bytes) -> bool:
        """Whether ``signature`` is in the subgroup and is that of the sum of ``keys`` on ``message``.

        The keys are of the subgroup; a sum that is the identity verifies nothing.
        """


def load_backend(name: str | None = None) -> Backend:
    """A backend by name: ``arkworks`` (extra ``bls``) or ``reference`` (py_ecc); by default the first installed.

    Raises:
        UsageError: the package it needs is not installed.
    """
    modules = {"arkworks": "vcompute.identity.bls_arkworks", "reference": "vcompute.identity.bls_reference"}
    for candidate in [name] if name is not None else list(modules):
        try:
            return cast("Backend", importlib.import_module(modules[candidate]).BACKEND)
        except ModuleNotFoundError:
            continue
        except KeyError as error:
            raise UsageError("no such BLS backend", expected=sorted(modules), got=candidate) from error
    raise UsageError("BLS needs a backend: pip install 'vcompute[bls]'")


def check_encoding(data: bytes, size: int, what: str, code: ErrorCode) -> None:
    """Refuse bytes that are not the one compressed form of a point other than the identity.

    Raises:
        ProtocolError: ``code``.
    """
    halves = [data[i : i + KEY_SIZE] for i in range(0, len(data), KEY_SIZE)]
    if len(data) == size:
        flags, first = data[0] >> 5, int.from_bytes(halves[0], "big") & (1 << 381) - 1
        rest = [int.from_bytes(half, "big") for half in halves[1:]]
        if flags & 0b110 == 0b100 and all(value < FIELD for value in (first, *rest)):
            return
    raise ProtocolError(
        f"{what} is a compressed point of BLS12-381 other than the identity", code=code, expected=f"{size} bytes"
    )


@dataclass(frozen=True, slots=True)
class PossessedKey:
    """A key whose owner has shown that it knows the secret. Made by :func:`register` alone."""

    key: bytes


def register(backend: Backend, key: bytes, proof: bytes) -> PossessedKey:
    """Check a key and its proof of possession (``KeyValidate`` and ``PopVerify``).

    Raises:
        ProtocolError: ``invalid_key``: not a point of the subgroup, or the identity; ``bad_signature``: the proof does
            not verify; ``non_canonical_signature``: the proof is not a signature.
    """
    check_encoding(key, KEY_SIZE, "a BLS key", ErrorCode.INVALID_KEY)
    if not backend.key_in_group(key):
        raise ProtocolError("the BLS key is not in the subgroup", code=ErrorCode.INVALID_KEY)
    check_encoding(proof, SIGNATURE_SIZE, "a proof of possession", ErrorCode.NON_CANONICAL_SIGNATURE)
    if not backend.verify([key], key, proof, POP_DST):
        raise ProtocolError("the proof of possession does not verify", code=ErrorCode.BAD_SIGNATURE)
    return PossessedKey(key)


def aggregate(backend: Backend, signatures: Sequence[bytes]) -> bytes:
    """One signature out of several on the same message.

    Raises:
        ProtocolError: ``non_canonical_signature``: none is given, or one is not a point of the subgroup.
    """
    for signature in signatures:
        check_encoding(signature, SIGNATURE_SIZE, "a BLS signature", ErrorCode.NON_CANONICAL_SIGNATURE)
    total = backend.aggregate(signatures) if signatures else None
    if total is None:
        raise ProtocolError("signatures of the subgroup, at least one", code=ErrorCode.NON_CANONICAL_SIGNATURE)
    return total


def verify(backend: Backend, keys: Sequence[PossessedKey], message: bytes, signature: bytes) -> None:
    """Check an aggregate on one message (``FastAggregateVerify``).

    Raises:
        ProtocolError: ``non_canonical_signature`` or ``bad_signature``.
    """
    check_encoding(signature, SIGNATURE_SIZE, "a BLS signature", ErrorCode.NON_CANONICAL_SIGNATURE)
    if not keys or not backend.verify([item.key for item in keys], message, signature, SIGN_DST):
        raise ProtocolError("the aggregate signature does not verify", code=ErrorCode.BAD_SIGNATURE)


@dataclass(frozen=True, slots=True)
class SecretKey:
    """A secret scalar; ``repr`` never shows it."""

    scalar: int
    backend: Backend

    def __post_init__(self) -> None:
        if not 0 < self.scalar < GROUP_ORDER:
            raise ProtocolError("a BLS secret is a scalar in [1, r)", code=ErrorCode.INVALID_KEY)

    def __repr__(self) -> str:
        return "SecretKey(...)"

    @property
    def public(self) -> bytes:
        """The public key, 48 bytes."""
        return self.backend.public_key(self.scalar)

    def prove_possession(self) -> bytes:
        """``PopProve``: the signature on the own key under the domain of proofs."""
        return self.backend.sign(self.scalar, self.public, POP_DST)

    def sign(self, message: bytes) -> bytes:
        """The signature on a message, 96 bytes."""
        return self.backend.sign(self.scalar, message, SIGN_DST)
