# SPDX-License-Identifier: Apache-2.0
"""Inputs that only the worker (and whom the policy names) may read: salted commitments, sealed openings.

The offer carries a commitment, not the digest of the inputs, because the digest of a small input can be guessed. The
opening (salt and inputs) is sealed to each reader's HPKE key with the task's configuration as associated data, so that
a ciphertext cannot be replayed to another reader, task, model or role.
"""

from dataclasses import dataclass
from typing import Final

from cryptography.hazmat.primitives.asymmetric import ec

from vcompute.codec import Bytes, Enum, Int, encode, field
from vcompute.errors import ProtocolError
from vcompute.identity import hpke
from vcompute.registry import ErrorCode, Role
from vcompute.task.digest import blob_digest, tagged

SALT_SIZE: Final = 32
INFO: Final = b"vcompute/1 input"
"""HPKE ``info`` of a sealed input."""
READER_TAG: Final = b"vcompute/reader-key/1\x00"
COMMITMENT_TAG: Final = b"vcompute/input-commitment/1\x00"
_DIGEST: Final = Bytes(32, 32)


@dataclass(frozen=True, slots=True)
class EncryptionKey:
    """The key a party's confidential inputs are sealed to; sent in an envelope signed by its device key."""

    public: bytes = field(0, Bytes(hpke.POINT_SIZE, hpke.POINT_SIZE), "HPKE public key, an uncompressed P-256 point")
    not_after: int = field(1, Int(0, 2**62), "last time it may be sealed to")


@dataclass(frozen=True, slots=True)
class TaskConfiguration:
    """What a sealed input is bound to. Never sent: both sides build it from the signed offer and the accept."""

    task: bytes = field(0, _DIGEST, "digest of the signed offer")
    model: bytes = field(1, _DIGEST, "digest of the model")
    commitment: bytes = field(2, _DIGEST, "salted commitment to the inputs")
    reader: bytes = field(3, _DIGEST, "thumbprint of the reader's device key")
    role: Role = field(4, Enum(Role), "worker, or verifier where the policy opens the inputs to it")


@dataclass(frozen=True, slots=True)
class SealedInput:
    """An input for one reader."""

    encapsulation: bytes = field(0, Bytes(hpke.POINT_SIZE, hpke.POINT_SIZE), "HPKE encapsulation")
    ciphertext: bytes = field(1, Bytes(hpke.TAG_SIZE + SALT_SIZE, 1 << 30), "HPKE ciphertext of salt and inputs")


def commit_input(salt: bytes, inputs: bytes) -> bytes:
    """The commitment to inputs under a salt of 32 random bytes: hiding, and binding by the collision resistance.

    Raises:
        ProtocolError: ``schema_violation``: the salt has another size.
    """
    if len(salt) != SALT_SIZE:
        raise ProtocolError("a salt has another size", expected=f"{SALT_SIZE} bytes", got=f"{len(salt)} bytes")
    return tagged(COMMITMENT_TAG, salt, blob_digest(inputs))


def seal_input(
    configuration: TaskConfiguration,
    reader_key: bytes,
    salt: bytes,
    inputs: bytes,
    *,
    ephemeral: ec.EllipticCurvePrivateKey | None = None,
) -> SealedInput:
    """Seal the opening of a commitment to one reader.

    Raises:
        ProtocolError: ``digest_mismatch``: salt and inputs do not open the configuration's commitment; ``invalid_key``.
    """
    _check_opening(configuration, salt, inputs)
    return SealedInput(
        *hpke.seal(reader_key, INFO, encode(configuration), salt + inputs, ephemeral=ephemeral),
    )


def open_input(configuration: TaskConfiguration, key: ec.EllipticCurvePrivateKey, sealed: SealedInput) -> bytes:
    """The inputs, once they are shown to be those the offer commits to.

    Raises:
        ProtocolError: ``decryption_failed``: sealed to another key or for another configuration; ``digest_mismatch``:
            not what the offer commits to.
    """
    opening = hpke.open_sealed(key, sealed.encapsulation, INFO, encode(configuration), sealed.ciphertext)
    salt, inputs = opening[:SALT_SIZE], opening[SALT_SIZE:]
    _check_opening(configuration, salt, inputs)
    return inputs


def reader_key(seed: bytes, lease: bytes) -> ec.EllipticCurvePrivateKey:
    """The key a reader opens the inputs of one lease with, out of its own seed of at least 32 random bytes: nothing of
    it need be stored, and two leases share no key."""
    return hpke.derive_key_pair(tagged(READER_TAG, seed, lease))


def _check_opening(configuration: TaskConfiguration, salt: bytes, inputs: bytes) -> None:
    if commit_input(salt, inputs) != configuration.commitment:
        raise ProtocolError(
            "salt and inputs do not open the commitment of the offer",
            code=ErrorCode.DIGEST_MISMATCH,
            expected=configuration.commitment.hex(),
        )
