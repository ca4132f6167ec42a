# SPDX-License-Identifier: Apache-2.0
"""The keys of a book's parties: who may move whose money.

An account stands under its party's name, the thumbprint of the party's first key. A rotation is one row in the book;
no balance, bond or lease moves with it, so there is no moment at which they stand half under one key and half under
another.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from vcompute.codec import decode, encode
from vcompute.identity import Keyring
from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages import Message, Offer, Signed, open_message
from vcompute.registry import ErrorCode
from vcompute.settlement.book import Book
from vcompute.settlement.evidence import refuse
from vcompute.settlement.journal import AccountKind, account

MAX_STRANGERS: Final = 1 << 16
"""Records kept of parties that have no account: anyone can make keys."""


class PartyKeys:
    """The keyring of a book, kept in step with it."""

    def __init__(self, book: Book, authority: bytes) -> None:
        """``authority`` is the settlement's key, which may revoke any key."""
        self._book = book
        self._authority = authority
        self.forget()

    def forget(self) -> None:
        """Read everything from the book again: a transaction was taken back."""
        self._held = False
        self._ring = Keyring(self._authority)
        self._seen = 0
        self._strangers = 0

    @property
    def ring(self) -> Keyring:
        """The keyring as the book has it now; another process may have written to it, but inside :meth:`held`."""
        if not self._held:
            self._read()
        return self._ring

    @contextmanager
    def held(self) -> Iterator[None]:
        """Read the book once: inside a transaction nobody else writes to it."""
        self._read()
        before, self._held = self._held, True
        try:
            yield
        finally:
            self._held = before

    def _read(self) -> None:
        for sequence, name, data in self._book.key_records(self._seen):
            self._ring.apply(decode(KeyRecord, data), 2**62)
            self._strangers += not self._has_account(name)
            self._seen = sequence

    def take(self, record: KeyRecord, now: int) -> bytes:
        """Take a record of a party's keys, inside a transaction; the party's name.

        Raises:
            EncodingError, ProtocolError: as :meth:`Keyring.apply`; ``key_reused``: the new key has an account of its
                own; ``busy``: too many records of parties without an account.
        """
        ring = self.ring
        after = ring.preview(record, now)
        name, newest = after.name, after.current
        if newest not in (name, ring.current(name)) and self._has_account(newest):
            raise refuse("the new key has an account of its own", ErrorCode.KEY_REUSED, got=newest.hex())
        stranger = not self._has_account(name)
        if stranger and self._strangers >= MAX_STRANGERS:
            raise refuse("too many records of parties without an account", ErrorCode.BUSY)
        if ring.apply(record, now)[1]:
            self._seen = self._book.store_key_record(name, encode(record))
            self._strangers += stranger
        return name

    def _has_account(self, name: bytes) -> bool:
        return self._book.has_account(account(AccountKind.PARTY, name))

    def open(self, data: bytes) -> Signed[Message]:
        """A signed message, as its party's."""
        return open_message(data, self.ring.name_of)

    def require_live(self, data: bytes) -> None:
        """Refuse what a key signed that speaks no more.

        Raises:
            ProtocolError: ``key_revoked``, ``key_rotated``.
        """
        if len(self.ring):
            message = open_message(data)
            self.ring.require_live(message.signer, message.digest)

    def require_names(self, offer: Offer) -> None:
        """Refuse an offer whose judges are named by another key than their first, or can speak no more.

        Raises:
            ProtocolError: ``terms_not_acceptable``.
        """
        ring = self.ring
        for key in (*offer.verifiers, *(offer.fallback or ())):
            name = ring.name_of(key)
            if name != key:
                raise refuse(
                    "a verifier is named by a later key of its party; name its first",
                    ErrorCode.TERMS_NOT_ACCEPTABLE,
                    name.hex(),
                    key.hex(),
                )
            if ring.ended(name):
                raise refuse("a verifier's key is revoked", ErrorCode.TERMS_NOT_ACCEPTABLE, got=key.hex())
