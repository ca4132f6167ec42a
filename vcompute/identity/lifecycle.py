# SPDX-License-Identifier: Apache-2.0
"""The life of a device key: enrolment with optional evidence, rotation, revocation.

Each record is the payload of a COSE_Sign1 envelope. A rotation is signed by the old key around an envelope of the new
one, so that nobody can rotate to a key it does not hold. A revocation is signed by the key itself or by a successor. A
party's name stays the thumbprint it enrolled with; history, quota and money stay with it.
"""

from dataclasses import dataclass, replace
from typing import Any, Final

from vcompute.codec import Bytes, Enum, Int, Kind, Record, Text, decode, encode, field
from vcompute.codec.cbor import Value
from vcompute.errors import EncodingError, ProtocolError
from vcompute.identity.cose import Sealed, open1, sign1
from vcompute.identity.keys import PrivateKey
from vcompute.registry import AttestationType, ErrorCode, RevocationReason

ROTATION_AAD: Final = b"vcompute/1/rotation"
SUCCESSOR_AAD: Final = b"vcompute/1/successor"
REVOCATION_AAD: Final = b"vcompute/1/revocation"
EVIDENCE_AAD: Final = b"vcompute/1/evidence"
EAT_PROFILE: Final = "tag:vcompute,2026:eat/1"
MAX_EVIDENCE: Final = 1 << 14
MAX_ROTATIONS: Final = 1024
"""Rotations of one party; a peer that needs more enrols again."""

_DIGEST: Final = Bytes(32, 32)
_TIME: Final = Int(0, 2**62)


@dataclass(frozen=True, slots=True)
class Successor:
    """The new key's consent to follow the old one; signed by the new key."""

    previous: bytes = field(0, _DIGEST, "thumbprint of the key that is replaced")
    sequence: int = field(1, Int(1, MAX_ROTATIONS), "1 for the first rotation of a party, then rising by one")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A party's change of key; signed by the key that is replaced."""

    successor: bytes = field(0, Bytes(1, 1024), "the signed Successor")
    time: int = field(1, _TIME, "from when the new key signs and the old one no longer does")


@dataclass(frozen=True, slots=True)
class Revocation:
    """A key that must not be believed any more; signed by that key or a later one of the same party."""

    key: bytes = field(0, _DIGEST, "thumbprint of the revoked key")
    time: int = field(1, _TIME, "from when its signatures count for nothing")
    reason: RevocationReason = field(2, Enum(RevocationReason), "why")


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


def rotate(old: PrivateKey, new: PrivateKey, sequence: int, time: int) -> bytes:
    """The signed rotation from one key to another, effective at ``time`` (milliseconds)."""
    successor = sign1(new, encode(Successor(old.thumbprint, sequence)), SUCCESSOR_AAD)
    return sign1(old, encode(Rotation(successor, time)), ROTATION_AAD)


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


@dataclass(frozen=True, slots=True)
class _Tenure:
    """A key of a party and the times, in milliseconds, between which it signs."""

    key: bytes
    since: int
    until: int | None = None
    revoked: int | None = None

    def valid_at(self, time: int) -> bool:
        ends = [end for end in (self.until, self.revoked) if end is not None]
        return time >= self.since and all(time < end for end in ends)


class KeyHistory:
    """The keys of one party, named by the thumbprint it enrolled with. Fails closed."""

    def __init__(self, enrolled: bytes, since: int) -> None:
        """Begin with the key of thumbprint ``enrolled``, valid from ``since`` (milliseconds)."""
        self.name: Final = enrolled
        self._tenures = [_Tenure(enrolled, since)]

    @property
    def current(self) -> bytes:
        """Thumbprint of the newest key; it may be revoked."""
        return self._tenures[-1].key

    def valid_at(self, key: bytes, time: int) -> bool:
        """Whether a signature made by ``key`` at ``time`` counts for this party."""
        return any(tenure.key == key and tenure.valid_at(time) for tenure in self._tenures)

    def apply_rotation(self, data: bytes) -> None:
        """Apply a signed rotation; the same one again changes nothing.

        Raises:
            EncodingError: not the schema.
            ProtocolError: the envelope is refused; ``unexpected_signer``: not by the newest key, or that key is
                revoked; ``key_reused``: the new key was used before; ``schema_violation``: out of sequence, or
                effective before the key it replaces.
        """
        sealed = open1(data, ROTATION_AAD)
        rotation = decode(Rotation, sealed.payload)
        new = open1(rotation.successor, SUCCESSOR_AAD)
        successor = decode(Successor, new.payload)
        if self._already(sealed, new, successor, rotation):
            return
        last = self._tenures[-1]
        if sealed.signer.thumbprint != last.key or successor.previous != last.key or last.revoked is not None:
            raise ProtocolError(
                "a rotation by another key than the newest one",
                code=ErrorCode.UNEXPECTED_SIGNER,
                expected=last.key.hex(),
            )
        if successor.sequence != len(self._tenures):
            raise ProtocolError("a rotation out of sequence", expected=len(self._tenures), got=successor.sequence)
        if rotation.time < last.since:
            raise ProtocolError("a rotation before the key it replaces", expected=f">= {last.since}", got=rotation.time)
        if any(tenure.key == new.signer.thumbprint for tenure in self._tenures):
            raise ProtocolError("a key cannot come back", code=ErrorCode.KEY_REUSED, got=new.signer.thumbprint.hex())
        self._tenures[-1] = replace(last, until=rotation.time)
        self._tenures.append(_Tenure(new.signer.thumbprint, rotation.time))

    def _already(self, sealed: Sealed, new: Sealed, successor: Successor, rotation: Rotation) -> bool:
        at = successor.sequence
        if at >= len(self._tenures):
            return False
        before, after = self._tenures[at - 1], self._tenures[at]
        return (before.key, after.key, after.since) == (
            sealed.signer.thumbprint,
            new.signer.thumbprint,
            rotation.time,
        ) and successor.previous == before.key

    def apply_revocation(self, data: bytes) -> None:
        """Apply a signed revocation; of two for one key the earlier time counts.

        Raises:
            EncodingError: not the schema.
            ProtocolError: the envelope is refused; ``unexpected_signer``: not a key of this party at or after the
                revoked one; ``invalid_key``: the revoked key is not of this party.
        """
        sealed = open1(data, REVOCATION_AAD)
        revocation = decode(Revocation, sealed.payload)
        keys = [tenure.key for tenure in self._tenures]
        if revocation.key not in keys:
            raise ProtocolError("not a key of this party", code=ErrorCode.INVALID_KEY, got=revocation.key.hex())
        position = keys.index(revocation.key)
        if sealed.signer.thumbprint not in keys[position:]:
            raise ProtocolError(
                "a revocation is signed by the key itself or a later one of the party", code=ErrorCode.UNEXPECTED_SIGNER
            )
        tenure = self._tenures[position]
        earlier = revocation.time if tenure.revoked is None else min(tenure.revoked, revocation.time)
        self._tenures[position] = replace(tenure, revoked=earlier)
