# SPDX-License-Identifier: Apache-2.0
"""Who a client is, and what it knows of other parties' keys."""

from typing import Final

from vcompute.errors import ProtocolError
from vcompute.identity import Keyring, PrivateKey
from vcompute.messages import Keys, Message, Signed, open_message, reopen
from vcompute.registry import ErrorCode

MAX_KNOWN: Final = 4_096
"""Parties with changed keys that a client remembers; it is told again when it matters."""


class ClientIdentity:
    """A client's key, its name, and a keyring that the coordinator's Keys messages fill.

    Every record in them is checked by itself: a coordinator can keep records back, never forge one.
    """

    def __init__(self, key: PrivateKey, name: bytes | None = None) -> None:
        """``name`` is the thumbprint the party enrolled with, where it signs with a later key."""
        self.key: Final = key
        self.name: Final = name or key.thumbprint
        self.keys: Final = Keyring(parties=MAX_KNOWN)

    def name_of(self, key: bytes) -> bytes:
        """The party a key speaks for."""
        return self.name if key == self.key.thumbprint else self.keys.name_of(key)

    def open(self, data: bytes) -> Signed[Message]:
        """A signed message, as its party's."""
        return open_message(data, self.name_of)

    def reopen(self, data: bytes) -> Signed[Message]:
        """A signed message that was checked before, as its party's."""
        return reopen(data, self.name_of)

    def learn(self, keys: Keys, now: int) -> None:
        """Take the records of a party's keys; those known already change nothing.

        Raises:
            EncodingError, ProtocolError: as :meth:`Keyring.apply`; ``receipt_mismatch``: of another party than named.
        """
        for record in keys.records:
            name, _ = self.keys.apply(record, now)
            if name != keys.party:
                raise ProtocolError(
                    "a record of another party's keys", code=ErrorCode.UNEXPECTED_SIGNER, expected=keys.party.hex()
                )
