# SPDX-License-Identifier: Apache-2.0
"""The keys of a state directory: the one in use, the records of how it came to be, a change under way.

A change is on the disk before anyone hears of it, and the new key is in use once the coordinator has it: killed at any
moment, the same command again goes on where it stopped.
"""

import os
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from vcompute.codec import Array, Limits, Record, decode, encode, field
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey, load_key, save_key
from vcompute.identity.lifecycle import MAX_CARRIED, MAX_ROTATIONS, KeyRecord, RecordKind, rotate
from vcompute.messages import Hello, KeyChange, open_message, seal
from vcompute.node.store import Store
from vcompute.registry import ErrorCode, Role
from vcompute.session.handshake import ClientHandshake
from vcompute.session.identity import ClientIdentity
from vcompute.session.requester import RequesterRecord
from vcompute.session.rotation import in_flight
from vcompute.session.verifier_table import VerifierRecord
from vcompute.session.worker_table import WorkerRecord
from vcompute.transport import Link

_LIMITS: Final = Limits(bytes=1 << 23, depth=4, items=1 << 12)
_FOREVER: Final = 2**62
_STORED: Final = (("worker", WorkerRecord), ("verifier", VerifierRecord), ("requester", RequesterRecord))


@dataclass(frozen=True, slots=True)
class KeyFile:
    """The records of a party's keys, as its state directory keeps them."""

    records: tuple[KeyRecord, ...] = field(0, Array(Record(KeyRecord), 0, 2 * MAX_ROTATIONS + 2), "in order")


class Keychain:
    """The key of a state directory and its party's name."""

    def __init__(self, directory: Path, passphrase: bytes | None = None) -> None:
        """Read the directory, which holds ``key.pem``.

        Raises:
            UsageError: a file cannot be read.
        """
        self._directory = directory
        self._passphrase = passphrase
        self.key: PrivateKey = load_key(directory / "key.pem", passphrase)
        self.records = self._read(directory / "keys.cbor")

    @property
    def who(self) -> ClientIdentity:
        """Who this party is."""
        known = ClientIdentity(self.key)
        for record in self.records:
            known.keys.apply(record, _FOREVER)
        who = ClientIdentity(self.key, known.keys.name_of(self.key.thumbprint))
        for record in self.records:
            who.keys.apply(record, _FOREVER)
        return who

    @property
    def pending(self) -> KeyRecord | None:
        """A rotation that was begun and not finished."""
        found = self._read(self._directory / "next.cbor")
        return found[-1] if found else None

    def require_settled(self) -> None:
        """Refuse to go on with a key that may be replaced already.

        Raises:
            UsageError: a rotation was begun and not finished.
        """
        if self.pending is not None:
            raise UsageError("a rotation of this key was begun and not finished: run 'vcompute key rotate' again")

    def begin(self, now: int) -> KeyRecord:
        """Begin a rotation, or go on with the one under way; its record.

        Raises:
            UsageError: messages of an earlier key are still under way, or too many of this one.
        """
        known = self.pending
        if known is not None:
            return known
        carried = self._carried()
        path = self._directory / "next.pem"
        if not path.exists():
            save_key(PrivateKey.generate(), path, self._passphrase)
        new = load_key(path, self._passphrase)
        sequence = 1 + sum(record.kind is RecordKind.ROTATION for record in self.records)
        record = KeyRecord(RecordKind.ROTATION, rotate(self.key, new, sequence, now, carried))
        self._write("next.cbor", [record])
        return record

    def finish(self) -> None:
        """The coordinator has the rotation: use the new key."""
        record = self.pending
        if record is None:
            return
        self.keep([*self.records, record])
        if (self._directory / "next.pem").exists():  # else it was killed after this step
            os.replace(self._directory / "next.pem", self._directory / "key.pem")
        (self._directory / "next.cbor").unlink()
        self.key = load_key(self._directory / "key.pem", self._passphrase)

    def keep(self, records: Iterable[KeyRecord]) -> None:
        """Store the records of this party."""
        self.records = tuple(dict.fromkeys(records))
        self._write("keys.cbor", self.records)

    def _carried(self) -> tuple[bytes, ...]:
        """What the key has said and not heard of."""
        path = self._directory / "state.db"
        if not path.exists():
            return ()
        store = Store(path)
        try:
            said = [item for kind, cls in _STORED for item in in_flight(store.load(kind, cls))]
        finally:
            store.close()
        who = self.who
        own = [(digest, key) for digest, key in said if who.name_of(key) == who.name]
        if any(key != self.key.thumbprint for _, key in own):
            raise UsageError("messages of an earlier key are under way: rotate again once their tasks have ended")
        if len(own) > MAX_CARRIED:
            raise UsageError(
                "too many messages are under way: rotate again once tasks have ended",
                expected=f"<= {MAX_CARRIED}",
                got=len(own),
            )
        return tuple(digest for digest, _ in own)

    @staticmethod
    def _read(path: Path) -> tuple[KeyRecord, ...]:
        return read_records(path) if path.exists() else ()

    def _write(self, name: str, records: Iterable[KeyRecord]) -> None:
        """Replace a file in one step that survives a power cut."""
        path = self._directory / f"{name}.new"
        try:
            with path.open("wb") as file:
                file.write(encode(KeyFile(tuple(records))))
                file.flush()
                os.fsync(file.fileno())
            os.replace(path, self._directory / name)
        except OSError as error:
            raise UsageError(f"cannot write {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE) from error


def read_records(path: Path) -> tuple[KeyRecord, ...]:
    """The records in a file.

    Raises:
        UsageError: it cannot be read.
        EncodingError: it is no file of records.
    """
    try:
        return decode(KeyFile, path.read_bytes(), _LIMITS).records
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE) from error


async def bring(link: Link, signer: PrivateKey, record: KeyRecord) -> None:
    """Bring a record to a coordinator; it is recorded when this returns.

    Raises:
        ProtocolError: it is refused, or nobody answers.
    """
    await link.exchange(seal(signer, KeyChange(record)).data)


async def records_of(link: Link, key: bytes, now: Callable[[], int]) -> ClientIdentity:
    """What a coordinator says of the party of a key, every record checked: in the keyring of a nobody that takes the
    revocations of the settlement it names.

    Raises:
        ProtocolError: nobody answers, or a record is refused.
        EncodingError: the answer is none.
    """
    nobody = ClientIdentity(PrivateKey.generate())
    handshake = ClientHandshake(nobody.key, Role.REQUESTER, os.urandom(16), None)
    answer = await link.exchange(handshake.hello.data)
    if answer is None:
        raise ProtocolError("the coordinator did not answer the greeting", code=ErrorCode.TRANSPORT_FAILED)
    handshake.receive(open_message(answer).of(Hello))
    nobody.keys.authority = None if handshake.peer is None else handshake.peer.body.settlement
    after, more = 0, True
    while more:
        page = await link.keys(key, after)
        if page.after != after or (page.more and not page.records):
            raise ProtocolError("not the page of records that was asked for", code=ErrorCode.UNEXPECTED_MESSAGE)
        nobody.learn(page, now())
        after, more = after + len(page.records), page.more
    return nobody
