# SPDX-License-Identifier: Apache-2.0
"""Which keys spoke for a party and when: the records of one party, applied in order."""

from dataclasses import dataclass, replace
from typing import Final

from vcompute.codec import decode
from vcompute.errors import ProtocolError
from vcompute.identity.cose import Sealed, open1
from vcompute.identity.lifecycle import (
    ENROLMENT_AAD,
    REVOCATION_AAD,
    ROTATION_AAD,
    SUCCESSOR_AAD,
    Enrolment,
    KeyRecord,
    RecordKind,
    Revocation,
    Rotation,
    Successor,
)
from vcompute.registry import ErrorCode


@dataclass(frozen=True, slots=True)
class Tenure:
    """A key of a party and the times, in milliseconds, between which it signs."""

    key: bytes
    since: int
    until: int | None = None
    revoked: int | None = None
    rotation: bytes | None = None
    """Digest of the signed rotation to this key."""

    def valid_at(self, time: int) -> bool:
        """Whether the key signs at a time."""
        ends = [end for end in (self.until, self.revoked) if end is not None]
        return time >= self.since and all(time < end for end in ends)


class KeyHistory:
    """The keys of one party, named by the thumbprint it enrolled with. Fails closed."""

    def __init__(self, enrolled: bytes, since: int, authority: bytes | None = None) -> None:
        """Begin with the key of thumbprint ``enrolled``, valid from ``since`` (milliseconds).

        ``authority`` is the thumbprint of the operator's key whose revocations count too.
        """
        self.name: Final = enrolled
        self.authority: Final = authority
        self.recovery: bytes | None = None
        self.carried: frozenset[bytes] = frozenset()
        self._tenures = [Tenure(enrolled, since)]
        self._enrolment: bytes | None = None

    @property
    def current(self) -> bytes:
        """Thumbprint of the newest key; it may be revoked."""
        return self._tenures[-1].key

    @property
    def ended(self) -> bool:
        """Whether the newest key is revoked: nobody speaks for the party."""
        return self._tenures[-1].revoked is not None

    @property
    def keys(self) -> tuple[bytes, ...]:
        """Thumbprints of all keys, oldest first."""
        return tuple(tenure.key for tenure in self._tenures)

    def valid_at(self, key: bytes, time: int) -> bool:
        """Whether a signature made by ``key`` at ``time`` counts for this party."""
        return any(tenure.key == key and tenure.valid_at(time) for tenure in self._tenures)

    def revoked_at(self, key: bytes) -> int | None:
        """From when the signatures of ``key`` count for nothing; None where it is not revoked."""
        return next((tenure.revoked for tenure in self._tenures if tenure.key == key), None)

    def copy(self, authority: bytes | None) -> "KeyHistory":
        """A history of its own with the same records behind it."""
        other = KeyHistory(self.name, 0, authority)
        other.recovery, other.carried, other._enrolment = self.recovery, self.carried, self._enrolment
        other._tenures = list(self._tenures)
        return other

    def __eq__(self, other: object) -> bool:
        return isinstance(other, KeyHistory) and self._state == other._state

    __hash__ = None  # type: ignore[assignment]  # it changes

    @property
    def _state(self) -> tuple[object, ...]:
        return self.name, self._enrolment, self.carried, self._tenures

    def rotation_to(self, key: bytes) -> bytes | None:
        """Digest of the signed rotation that made ``key`` the party's; None for its first key."""
        return next((tenure.rotation for tenure in self._tenures if tenure.key == key), None)

    def apply(self, record: KeyRecord) -> None:
        """Apply a record of any kind.

        Raises:
            EncodingError, ProtocolError: as the method for its kind says.
        """
        match record.kind:
            case RecordKind.ENROLMENT:
                self.apply_enrolment(record.data)
            case RecordKind.ROTATION:
                self.apply_rotation(record.data)
            case RecordKind.REVOCATION:
                self.apply_revocation(record.data)

    def apply_enrolment(self, data: bytes) -> None:
        """Apply a signed enrolment; the same one again changes nothing.

        Raises:
            EncodingError: not the schema.
            ProtocolError: the envelope is refused; ``unexpected_signer``: not by the key that names the party;
                ``operation_conflict``: it enrolled otherwise, rotated or was revoked before.
        """
        sealed = open1(data, ENROLMENT_AAD)
        enrolment = decode(Enrolment, sealed.payload)
        if sealed.signer.thumbprint != self.name:
            raise ProtocolError("an enrolment by another key than the party's first", code=ErrorCode.UNEXPECTED_SIGNER)
        if self._enrolment == sealed.payload:
            return
        if self._enrolment is not None or len(self._tenures) > 1 or self.ended:
            raise ProtocolError(
                "a party enrols once, before its key is rotated or revoked", code=ErrorCode.OPERATION_CONFLICT
            )
        self._enrolment, self.recovery = sealed.payload, enrolment.recovery

    def apply_rotation(self, data: bytes) -> None:
        """Apply a signed rotation; the same one again changes nothing.

        Raises:
            EncodingError: not the schema.
            ProtocolError: the envelope is refused; ``unexpected_signer``: not by the newest key or the recovery key,
                or the newest key is revoked and signed itself; ``key_reused``: the new key was used before;
                ``schema_violation``: out of sequence, or effective before the key it replaces.
        """
        sealed = open1(data, ROTATION_AAD)
        rotation = decode(Rotation, sealed.payload)
        new = open1(rotation.successor, SUCCESSOR_AAD)
        successor = decode(Successor, new.payload)
        if self._already(sealed, new, successor, rotation):
            return
        last = self._tenures[-1]
        by_recovery = self.recovery is not None and sealed.signer.thumbprint == self.recovery
        by_newest = sealed.signer.thumbprint == last.key and last.revoked is None
        if not (by_newest or by_recovery) or successor.previous != last.key:
            raise ProtocolError(
                "a rotation by another key than the newest one",
                code=ErrorCode.UNEXPECTED_SIGNER,
                expected=last.key.hex(),
            )
        if successor.sequence != len(self._tenures):
            raise ProtocolError("a rotation out of sequence", expected=len(self._tenures), got=successor.sequence)
        if rotation.time < last.since:
            raise ProtocolError("a rotation before the key it replaces", expected=f">= {last.since}", got=rotation.time)
        if new.signer.thumbprint in (*self.keys, self.recovery):
            raise ProtocolError("a key cannot come back", code=ErrorCode.KEY_REUSED, got=new.signer.thumbprint.hex())
        self._tenures[-1] = replace(last, until=rotation.time)
        self._tenures.append(Tenure(new.signer.thumbprint, rotation.time, rotation=sealed.digest))
        self.carried = frozenset(rotation.carried or ())

    def _already(self, sealed: Sealed, new: Sealed, successor: Successor, rotation: Rotation) -> bool:
        at = successor.sequence
        if at >= len(self._tenures):
            return False
        before, after = self._tenures[at - 1], self._tenures[at]
        signers = {before.key, self.recovery}
        return (
            sealed.signer.thumbprint in signers
            and (after.key, after.since) == (new.signer.thumbprint, rotation.time)
            and successor.previous == before.key
        )

    def apply_revocation(self, data: bytes) -> None:
        """Apply a signed revocation; of two for one key the earlier time counts.

        Raises:
            EncodingError: not the schema.
            ProtocolError: the envelope is refused; ``unexpected_signer``: not a key of this party at or after the
                revoked one, its recovery key or the operator's; ``invalid_key``: the revoked key is not of this party.
        """
        sealed = open1(data, REVOCATION_AAD)
        revocation = decode(Revocation, sealed.payload)
        if revocation.key not in self.keys:
            raise ProtocolError("not a key of this party", code=ErrorCode.INVALID_KEY, got=revocation.key.hex())
        position = self.keys.index(revocation.key)
        others = [key for key in (self.recovery, self.authority) if key is not None]
        if sealed.signer.thumbprint not in (*self.keys[position:], *others):
            raise ProtocolError(
                "a revocation is signed by the key itself or a later one of the party", code=ErrorCode.UNEXPECTED_SIGNER
            )
        tenure = self._tenures[position]
        earlier = revocation.time if tenure.revoked is None else min(tenure.revoked, revocation.time)
        self._tenures[position] = replace(tenure, revoked=earlier)
