# SPDX-License-Identifier: Apache-2.0
"""The keys of many parties: who a signer is, whether it may still speak, and the records that show it.

A party is named by the thumbprint of its first key. Money, reputation and leases stand under the name, so that a
rotation moves nothing: it changes which key speaks for the name. A key without a record is a party of its own.
"""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from vcompute.codec import decode
from vcompute.errors import ProtocolError
from vcompute.identity.cose import reopen1
from vcompute.identity.history import KeyHistory
from vcompute.identity.lifecycle import Enrolment, KeyRecord, RecordKind, Revocation, Rotation, Successor
from vcompute.registry import ErrorCode

MAX_SKEW: Final = 300_000
"""Milliseconds by which a record may be dated ahead of the receiver's clock."""


@dataclass(frozen=True, slots=True)
class Party:
    """A party's history and the records that made it."""

    history: KeyHistory
    records: tuple[KeyRecord, ...]


@dataclass(frozen=True, slots=True)
class _About:
    """What a record says before it is checked: the key it is about, its time, the key it brings."""

    key: bytes
    time: int
    new: bytes | None = None


class Keyring:
    """What is known of the keys of parties. Every record is checked; the same one again changes nothing."""

    def __init__(self, authority: bytes | None = None, parties: int | None = None) -> None:
        """``authority`` is the thumbprint of the settlement's key, whose revocations count for every party.

        ``parties`` bounds the parties kept: whose records came first is forgotten first. None keeps all.
        """
        self.authority = authority
        self._limit = parties
        self._parties: OrderedDict[bytes, Party] = OrderedDict()
        self._names: dict[bytes, bytes] = {}

    def __len__(self) -> int:
        return len(self._parties)

    def name_of(self, key: bytes) -> bytes:
        """The party that a key speaks or spoke for: the thumbprint it enrolled with."""
        return self._names.get(key, key)

    def current(self, name: bytes) -> bytes:
        """The newest key of a party; it may be revoked."""
        party = self._parties.get(name)
        return name if party is None else party.history.current

    def ended(self, name: bytes) -> bool:
        """Whether the newest key of a party is revoked, so that nobody speaks for it."""
        party = self._parties.get(name)
        return party is not None and party.history.ended

    def revoked_at(self, key: bytes) -> int | None:
        """From when the signatures of a key count for nothing; None where it is not revoked."""
        party = self._parties.get(self.name_of(key))
        return None if party is None else party.history.revoked_at(key)

    def rotation_to(self, key: bytes) -> bytes | None:
        """Digest of the signed rotation that made ``key`` its party's; None for a party's first key."""
        party = self._parties.get(self.name_of(key))
        return None if party is None else party.history.rotation_to(key)

    def records(self, key: bytes) -> tuple[KeyRecord, ...]:
        """The records of a key's party, in the order in which they were taken."""
        party = self._parties.get(self.name_of(key))
        return () if party is None else tuple(party.records)

    def recovery(self, name: bytes) -> bytes | None:
        """The key that stands behind a party's device keys."""
        party = self._parties.get(name)
        return None if party is None else party.history.recovery

    def all_ended(self) -> list[bytes]:
        """The parties whose newest key is revoked."""
        return [name for name, party in self._parties.items() if party.history.ended]

    def all_records(self) -> tuple[KeyRecord, ...]:
        """The records of all parties, party by party."""
        return tuple(record for party in self._parties.values() for record in party.records)

    def require_live(self, key: bytes, message: bytes) -> None:
        """Refuse what a key signed that speaks no more; ``message`` is the digest of what it signed.

        Raises:
            ProtocolError: ``key_revoked``; ``key_rotated``, unless the rotation carried the message over.
        """
        party = self._parties.get(self.name_of(key))
        if party is None:
            return
        history = party.history
        if history.revoked_at(key) is not None:
            raise ProtocolError("the signer's key is revoked", code=ErrorCode.KEY_REVOKED, got=key.hex())
        carries = len(history.keys) > 1 and key == history.keys[-2] and message in history.carried
        if key != history.current and not carries:
            raise ProtocolError(
                "the signer's party signs with another key now",
                code=ErrorCode.KEY_ROTATED,
                expected=history.current.hex(),
                got=key.hex(),
            )

    def preview(self, record: KeyRecord, now: int) -> KeyHistory:
        """Check a record without taking it; the history of its party with it.

        Raises:
            EncodingError, ProtocolError: as :meth:`apply`.
        """
        return self._applied(record, now)[1]

    def apply(self, record: KeyRecord, now: int) -> tuple[bytes, bool]:
        """Take a record; the name of its party, and whether it was new.

        Raises:
            EncodingError: not the schema.
            ProtocolError: as :class:`KeyHistory` says; ``not_due``: dated ahead of ``now``; ``key_reused``: the new key
                is a party of its own.
        """
        known, history = self._applied(record, now)
        if known is not None and known.history == history:
            return history.name, False
        records = () if known is None else known.records
        self._parties[history.name] = Party(history, (*records, record))
        for key in history.keys:
            self._names[key] = history.name
        while self._limit is not None and len(self._parties) > self._limit:
            _, oldest = self._parties.popitem(last=False)
            for key in oldest.history.keys:
                del self._names[key]
        return history.name, True

    def _applied(self, record: KeyRecord, now: int) -> tuple[Party | None, KeyHistory]:
        """What is known of a record's party, and its history with the record."""
        about = _about(record)
        known = self._parties.get(self.name_of(about.key))
        history = KeyHistory(about.key, 0, self.authority) if known is None else known.history.copy(self.authority)
        history.apply(record)
        if about.time > now + MAX_SKEW:
            raise ProtocolError(
                "the record is dated ahead", code=ErrorCode.NOT_DUE, expected=f"<= {now + MAX_SKEW}", got=about.time
            )
        if about.new is not None and self._names.get(about.new, history.name) != history.name:
            raise ProtocolError("the new key is a party of its own", code=ErrorCode.KEY_REUSED, got=about.new.hex())
        return known, history


def _about(record: KeyRecord) -> _About:
    """Which key a record is about, read before anything is checked."""
    sealed = reopen1(record.data)
    match record.kind:
        case RecordKind.ENROLMENT:
            return _About(sealed.signer.thumbprint, decode(Enrolment, sealed.payload).time)
        case RecordKind.ROTATION:
            rotation = decode(Rotation, sealed.payload)
            consent = reopen1(rotation.successor)
            previous = decode(Successor, consent.payload).previous
            return _About(previous, rotation.time, consent.signer.thumbprint)
        case RecordKind.REVOCATION:
            revocation = decode(Revocation, sealed.payload)
            return _About(revocation.key, revocation.time)
