# SPDX-License-Identifier: Apache-2.0
"""The records of a device key's life: enrolment, rotation, revocation, evidence.

Each record is the payload of a COSE_Sign1 envelope. A rotation is signed by the old key around an envelope of the new
one, so that nobody can rotate to a key it does not hold. A revocation is signed by the key itself or by a successor. A
party's name stays the thumbprint it enrolled with; history, quota and money stay with it.
"""

from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Any, Final

from vcompute.codec import Array, Bytes, Enum, Int, Kind, Record, Text, decode, encode, field
from vcompute.codec.cbor import Value
from vcompute.errors import EncodingError, ProtocolError
from vcompute.identity.cose import open1, sign1
from vcompute.identity.keys import PrivateKey
from vcompute.registry import AttestationType, ErrorCode, RevocationReason, Role

ENROLMENT_AAD: Final = b"vcompute/1/enrolment"
ROTATION_AAD: Final = b"vcompute/1/rotation"
SUCCESSOR_AAD: Final = b"vcompute/1/successor"
REVOCATION_AAD: Final = b"vcompute/1/revocation"
EVIDENCE_AAD: Final = b"vcompute/1/evidence"
EAT_PROFILE: Final = "tag:vcompute,2026:eat/1"
MAX_EVIDENCE: Final = 1 << 14
MAX_ROTATIONS: Final = 1024
"""Rotations of one party; a peer that needs more enrols again."""
MAX_CARRIED: Final = 64
"""Messages of the old key that a rotation lets arrive late."""
MAX_RECORD: Final = 4096
"""Bytes of a signed record."""

_DIGEST: Final = Bytes(32, 32)
_TIME: Final = Int(0, 2**62)


@dataclass(frozen=True, slots=True)
class Enrolment:
    """A party's first word: what it is and which key stands behind its device key; signed by that device key."""

    role: Role = field(0, Enum(Role), "what it enrols as")
    time: int = field(1, _TIME, "when")
    recovery: bytes | None = field(
        2, _DIGEST, "thumbprint of a key kept elsewhere that may revoke and replace the party's keys", optional=True
    )


@dataclass(frozen=True, slots=True)
class Successor:
    """The new key's consent to follow the old one; signed by the new key."""

    previous: bytes = field(0, _DIGEST, "thumbprint of the key that is replaced")
    sequence: int = field(1, Int(1, MAX_ROTATIONS), "1 for the first rotation of a party, then rising by one")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A party's change of key; signed by the key that is replaced, or by the party's recovery key."""

    successor: bytes = field(0, Bytes(1, 1024), "the signed Successor")
    time: int = field(1, _TIME, "from when the new key signs and the old one no longer does")
    carried: tuple[bytes, ...] | None = field(
        2, Array(_DIGEST, 1, MAX_CARRIED), "digests of messages of the old key that may still arrive", optional=True
    )


@dataclass(frozen=True, slots=True)
class Revocation:
    """A key that must not be believed any more; signed by that key, a later one of the party or its recovery key."""

    key: bytes = field(0, _DIGEST, "thumbprint of the revoked key")
    time: int = field(1, _TIME, "from when its signatures count for nothing")
    reason: RevocationReason = field(2, Enum(RevocationReason), "why")


@unique
class RecordKind(IntEnum):
    """Which record an envelope holds."""

    ENROLMENT = 1
    ROTATION = 2
    REVOCATION = 3


@dataclass(frozen=True, slots=True)
class KeyRecord:
    """A signed record of a party's keys, as it is stored and passed on."""

    kind: RecordKind = field(0, Enum(RecordKind), "1 enrolment, 2 rotation, 3 revocation")
    data: bytes = field(1, Bytes(1, MAX_RECORD), "the signed record")


@dataclass(frozen=True, slots=True)
class Confirmation:
    """The ``cnf`` claim (RFC 8747): the key the evidence is about."""

    kid: bytes = field(3, _DIGEST, "thumbprint of the device key")


@dataclass(frozen=True, slots=True)
class Measurement:
    """One entry of the ``measurements`` claim: typed evidence."""

    type: AttestationType
    """What the evidence is; on the wire a content format of the private range."""
    data: bytes
    """The platform's own bytes, at most 16 KiB."""


class _Measurements(Kind):
    """``[+ [type, bytes]]`` of RFC 9711 section 4.2.16, with one entry."""

    def to_wire(self, value: Any, path: str) -> Value:
        return [[Enum(AttestationType).to_wire(value.type, path), Bytes(1, MAX_EVIDENCE).to_wire(value.data, path)]]

    def from_wire(self, wire: Value, path: str) -> Measurement:
        entry = wire[0] if isinstance(wire, list) and len(wire) == 1 else None
        if not isinstance(entry, list) or len(entry) != 2:
            raise EncodingError(f"{path}: one measurement of type and bytes", code=ErrorCode.SCHEMA_VIOLATION)
        kind = AttestationType(Enum(AttestationType).from_wire(entry[0], path))
        return Measurement(kind, Bytes(1, MAX_EVIDENCE).from_wire(entry[1], path))

    def cddl(self) -> str:
        types = f"{min(AttestationType)}..{max(AttestationType)}"  # a choice inside an array is a group to some readers
        return f"[[{types}, {Bytes(1, MAX_EVIDENCE).cddl()}]]"


@dataclass(frozen=True, slots=True)
class Evidence:
    """An Entity Attestation Token (RFC 9711) about a device key: a signal that a policy may weigh, never a proof."""

    issued_at: int = field(6, _TIME, "iat: when, in seconds since 1970-01-01 UTC")
    confirmation: Confirmation = field(8, Record(Confirmation), "cnf: the key it is about")
    nonce: bytes = field(10, Bytes(8, 64), "eat_nonce: the enrolling party's challenge")
    profile: str = field(265, Text(64), "eat_profile: the profile of this page")
    measurement: Measurement = field(273, _Measurements(), "measurements: the platform's evidence")


def enrol(key: PrivateKey, role: Role, time: int, recovery: bytes | None = None) -> bytes:
    """The signed enrolment of a device key; ``recovery`` is the thumbprint of the key behind it."""
    return sign1(key, encode(Enrolment(role, time, recovery)), ENROLMENT_AAD)


def rotate(old: PrivateKey, new: PrivateKey, sequence: int, time: int, carried: tuple[bytes, ...] = ()) -> bytes:
    """The signed rotation from one key to another, effective at ``time`` (milliseconds).

    ``carried`` are the digests of messages that the old key signed and that may arrive after the rotation.
    """
    successor = sign1(new, encode(Successor(old.thumbprint, sequence)), SUCCESSOR_AAD)
    return sign1(old, encode(Rotation(successor, time, carried or None)), ROTATION_AAD)


def recover(recovery: PrivateKey, lost: bytes, new: PrivateKey, sequence: int, time: int) -> bytes:
    """The rotation that a recovery key signs in the place of the lost key of thumbprint ``lost``."""
    successor = sign1(new, encode(Successor(lost, sequence)), SUCCESSOR_AAD)
    return sign1(recovery, encode(Rotation(successor, time)), ROTATION_AAD)


def revoke(signer: PrivateKey, key: bytes, time: int, reason: RevocationReason) -> bytes:
    """The signed revocation of the key of thumbprint ``key``, effective at ``time`` (milliseconds)."""
    return sign1(signer, encode(Revocation(key, time, reason)), REVOCATION_AAD)


def attest(key: PrivateKey, nonce: bytes, issued_at: int, measurement: Measurement) -> bytes:
    """The signed evidence about the own key for an enrolling party's challenge."""
    return sign1(
        key, encode(Evidence(issued_at, Confirmation(key.thumbprint), nonce, EAT_PROFILE, measurement)), EVIDENCE_AAD
    )


def open_evidence(data: bytes, nonce: bytes) -> Evidence:
    """Check an evidence envelope's form, signature, key and freshness. What the evidence is worth, policy says.

    Raises:
        EncodingError: not the schema.
        ProtocolError: the envelope is refused; ``unexpected_signer``: about another key than its signer's;
            ``evidence_stale``: for another challenge; ``schema_violation``: another profile.
    """
    sealed = open1(data, EVIDENCE_AAD)
    evidence = decode(Evidence, sealed.payload)
    if evidence.profile != EAT_PROFILE:
        raise ProtocolError("another evidence profile", expected=EAT_PROFILE, got=evidence.profile)
    if evidence.confirmation.kid != sealed.signer.thumbprint:
        raise ProtocolError("evidence about another key than its signer's", code=ErrorCode.UNEXPECTED_SIGNER)
    if evidence.nonce != nonce:
        raise ProtocolError("evidence for another challenge", code=ErrorCode.EVIDENCE_STALE)
    return evidence
