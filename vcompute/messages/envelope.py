# SPDX-License-Identifier: Apache-2.0
"""Messages as they travel: ``[type, body]`` in a COSE_Sign1 envelope.

The version of the protocol is part of what is signed (``external_aad``), so a message of one version never passes for
one of another. A message is named by the SHA-256 of its envelope as received: the task is the digest of its Offer,
the lease that of its Accept.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Final, Generic, TypeAlias, TypeVar, cast

from vcompute.codec import Limits, Variant, dumps, loads
from vcompute.errors import EncodingError, ProtocolError
from vcompute.identity import MAX_PAYLOAD, PrivateKey, Sealed, open1, reopen1, sign1
from vcompute.messages.draw import Draw, SampleCommit, SampleReveal
from vcompute.messages.flow import (
    Accept,
    Answer,
    Assign,
    Cancel,
    Challenge,
    Check,
    Decline,
    Progress,
    Result,
    Verdict,
    Yield,
)
from vcompute.messages.keys import Enrol, KeyChange, Keys, Lookup
from vcompute.messages.money import Receipt
from vcompute.messages.offer import Offer
from vcompute.messages.secret import Opening, Reader
from vcompute.messages.session import Advertise, Error, Fetch, Hello
from vcompute.registry import ErrorCode, MessageType

AAD: Final = b"vcompute/1"
"""What every signature of protocol version 1 covers besides the payload."""

MAX_MESSAGE: Final = MAX_PAYLOAD + 256
"""The longest message in bytes."""

Message: TypeAlias = (
    Hello
    | Advertise
    | Offer
    | Assign
    | Accept
    | Decline
    | Progress
    | Yield
    | Result
    | Check
    | Verdict
    | Receipt
    | Cancel
    | Error
    | Fetch
    | SampleCommit
    | SampleReveal
    | Draw
    | Challenge
    | Answer
    | Reader
    | Opening
    | KeyChange
    | Lookup
    | Keys
    | Enrol
)

TYPES: Final[tuple[tuple[MessageType, type[Any]], ...]] = (
    (MessageType.HELLO, Hello),
    (MessageType.ADVERTISE, Advertise),
    (MessageType.OFFER, Offer),
    (MessageType.ASSIGN, Assign),
    (MessageType.ACCEPT, Accept),
    (MessageType.DECLINE, Decline),
    (MessageType.PROGRESS, Progress),
    (MessageType.YIELD, Yield),
    (MessageType.RESULT, Result),
    (MessageType.CHECK, Check),
    (MessageType.VERDICT, Verdict),
    (MessageType.RECEIPT, Receipt),
    (MessageType.CANCEL, Cancel),
    (MessageType.ERROR, Error),
    (MessageType.FETCH, Fetch),
    (MessageType.SAMPLE_COMMIT, SampleCommit),
    (MessageType.SAMPLE_REVEAL, SampleReveal),
    (MessageType.DRAW, Draw),
    (MessageType.CHALLENGE, Challenge),
    (MessageType.ANSWER, Answer),
    (MessageType.READER, Reader),
    (MessageType.OPENING, Opening),
    (MessageType.KEY_CHANGE, KeyChange),
    (MessageType.LOOKUP, Lookup),
    (MessageType.KEYS, Keys),
    (MessageType.ENROL, Enrol),
)
BODY: Final = Variant("message", TYPES)
"""What an envelope's payload holds."""
_KNOWN: Final = frozenset(int(tag) for tag, _ in TYPES)
KNOWN_MESSAGES: Final = 8192
KNOWN_BYTES: Final = 1 << 24
"""Bounds of the messages kept decoded."""
_LIMITS: Final = Limits(bytes=MAX_PAYLOAD, depth=8, items=1024)

M_co = TypeVar("M_co", covariant=True)
M = TypeVar("M")
Names: TypeAlias = Callable[[bytes], bytes]
"""Which party a key speaks or spoke for, by thumbprint: a keyring's :meth:`~vcompute.identity.Keyring.name_of`."""


def itself(key: bytes) -> bytes:
    """The names of parties that never changed their keys."""
    return key


@dataclass(frozen=True, slots=True)
class Signed(Generic[M_co]):
    """A message whose signature and schema were checked."""

    body: M_co
    """The message."""
    signer: bytes
    """Who signed: thumbprint of the signer's key, or its party's name where the reader knows names."""
    data: bytes
    """The envelope as received: what is stored, forwarded and hashed."""
    digest: bytes
    """SHA-256 of ``data``: the message's name."""

    def of(self, cls: type[M]) -> "Signed[M]":
        """This message as one of class ``cls``.

        Raises:
            ProtocolError: ``unknown_message``: it is another.
        """
        if not isinstance(self.body, cls):
            raise ProtocolError(
                "another message is needed here",
                code=ErrorCode.UNKNOWN_MESSAGE,
                expected=cls.__name__,
                got=type(self.body).__name__,
            )
        return cast("Signed[M]", self)

    def require_signer(self, thumbprint: bytes) -> None:
        """Refuse a message signed by another key.

        Raises:
            ProtocolError: ``unexpected_signer``.
        """
        if self.signer != thumbprint:
            raise ProtocolError(
                f"the {type(self.body).__name__} is signed by another key",
                code=ErrorCode.UNEXPECTED_SIGNER,
                expected=thumbprint.hex(),
                got=self.signer.hex(),
            )


def message_type(body: Message) -> MessageType:
    """The registered type of a message."""
    return next(tag for tag, cls in TYPES if type(body) is cls)


def seal(key: PrivateKey, body: Message) -> Signed[Message]:
    """Encode and sign a message.

    Raises:
        EncodingError: a field is outside its schema.
        ProtocolError: ``limit_exceeded``: the message is too long.
    """
    data = sign1(key, dumps(BODY.to_wire(body, "message")), AAD)
    return Signed(body, key.thumbprint, data, hashlib.sha256(data).digest())


class _Known:
    """The last messages read, by their bytes: reading is a pure function, and one message is read by many."""

    def __init__(self) -> None:
        self._read: dict[bytes, Signed[Message]] = {}
        self._size = 0

    def get(self, data: bytes) -> "Signed[Message] | None":
        return self._read.get(data)

    def add(self, data: bytes, message: "Signed[Message]") -> None:
        self._read[data] = message
        self._size += len(data)
        while len(self._read) > KNOWN_MESSAGES or self._size > KNOWN_BYTES:
            oldest = next(iter(self._read))
            if self._read.pop(oldest, None) is not None:
                self._size -= len(oldest)


_CHECKED: Final = _Known()
_UNCHECKED: Final = _Known()


def open_message(data: bytes, names: Names = itself) -> Signed[Message]:
    """Check and decode a message: bounds, signature, schema; its signer as ``names`` calls it.

    Raises:
        EncodingError: not the deterministic profile, the schema or the bounds.
        ProtocolError: the envelope or its signature is refused, or the type is unknown.
    """
    known = _CHECKED.get(data)
    if known is None:
        known = read(open1(data, AAD))
        _CHECKED.add(known.data, known)
    return by_name(known, names)


def reopen(data: bytes, names: Names = itself) -> Signed[Message]:
    """Decode a message that this party opened before and kept in its own store, without checking it again.

    Raises:
        EncodingError: the bytes were damaged in the store.
        ProtocolError: likewise.
    """
    known = _CHECKED.get(data) or _UNCHECKED.get(data)
    if known is None:
        known = read(reopen1(data))
        _UNCHECKED.add(known.data, known)
    return by_name(known, names)


def by_name(message: Signed[M], names: Names) -> Signed[M]:
    """A message as its party's."""
    name = names(message.signer)
    return message if name == message.signer else replace(message, signer=name)


def read(sealed: Sealed) -> Signed[Message]:
    wire = loads(sealed.payload, _LIMITS)
    if isinstance(wire, list) and len(wire) == 2 and type(wire[0]) is int and wire[0] not in _KNOWN:
        raise EncodingError("the message type is not registered", code=ErrorCode.UNKNOWN_MESSAGE, got=wire[0])
    body: Message = BODY.from_wire(wire, "message")
    return Signed(body, sealed.signer.thumbprint, sealed.data, sealed.digest)
