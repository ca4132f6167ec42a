# SPDX-License-Identifier: Apache-2.0
"""The default book: SQLite in WAL mode, every commit on disk before an answer is given."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from vcompute.codec import Limits, decode, encode
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey
from vcompute.registry import ErrorCode
from vcompute.settlement.book import EscrowRow
from vcompute.settlement.journal import GENESIS, Entry
from vcompute.settlement.ledger import Ledger

_SCHEMA = """
CREATE TABLE IF NOT EXISTS balances (account BLOB PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS escrows (task BLOB PRIMARY KEY, data BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS operations (id BLOB PRIMARY KEY, answer BLOB NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS keys (sequence INTEGER PRIMARY KEY, party BLOB NOT NULL, record BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS journal (sequence INTEGER PRIMARY KEY, entry BLOB NOT NULL, digest BLOB NOT NULL);
"""
BROKEN = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises on a file it cannot use; the second where its own message holds bytes of the damage."""
_ROW_LIMITS = Limits(bytes=1 << 21, depth=4, items=256)


def _blob(value: object) -> bytes:
    if not isinstance(value, bytes):
        raise ProtocolError("the ledger's file is damaged", code=ErrorCode.JOURNAL_BROKEN, got=type(value).__name__)
    return value


def _integer(value: object) -> int:
    if not isinstance(value, int):
        raise ProtocolError("the ledger's file is damaged", code=ErrorCode.JOURNAL_BROKEN, got=type(value).__name__)
    return value


class SqliteBook:
    """A book in one SQLite file, or in memory for ``:memory:``."""

    def __init__(self, path: Path | str) -> None:
        """Open or create the file.

        Raises:
            UsageError: the file cannot be opened or is not a ledger.
        """
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = FULL")
            self._db.executescript(_SCHEMA)
        except BROKEN as error:
            raise UsageError(f"cannot open the ledger {path}: {error}", code=ErrorCode.UNREADABLE_FILE) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """One write transaction, or inside another a savepoint of it.

        Raises:
            ProtocolError: ``settlement_unknown`` where the database does not answer; the operation may be retried.
        """
        try:
            with self._savepoint() if self._db.in_transaction else self._immediate():
                yield
        except BROKEN as error:
            raise ProtocolError(
                f"the ledger's database did not answer: {error}", code=ErrorCode.SETTLEMENT_UNKNOWN
            ) from error

    @contextmanager
    def _immediate(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self._db.execute("COMMIT")
        finally:
            if self._db.in_transaction:
                self._db.execute("ROLLBACK")

    @contextmanager
    def _savepoint(self) -> Iterator[None]:
        self._db.execute("SAVEPOINT operation")
        done = False
        try:
            yield
            done = True
        finally:
            if self._db.in_transaction:
                if not done:
                    self._db.execute("ROLLBACK TO operation")
                self._db.execute("RELEASE operation")

    def answer(self, operation: bytes) -> bytes | None:
        """The stored answer of an operation."""
        row = self._db.execute("SELECT answer FROM operations WHERE id = ?", (operation,)).fetchone()
        return None if row is None else _blob(row[0])

    def store_answer(self, operation: bytes, answer: bytes) -> None:
        """Store an operation's answer."""
        self._db.execute("INSERT INTO operations VALUES (?, ?)", (operation, answer))

    def escrow(self, task: bytes) -> EscrowRow | None:
        """The escrow of a task."""
        row = self._db.execute("SELECT data FROM escrows WHERE task = ?", (task,)).fetchone()
        return None if row is None else decode(EscrowRow, _blob(row[0]), _ROW_LIMITS)

    def store_escrow(self, row: EscrowRow) -> None:
        """Insert or replace an escrow."""
        self._db.execute("INSERT OR REPLACE INTO escrows VALUES (?, ?)", (row.task, encode(row)))

    def balance(self, account: bytes) -> int:
        """The balance of an account."""
        row = self._db.execute("SELECT amount FROM balances WHERE account = ?", (account,)).fetchone()
        return 0 if row is None else _integer(row[0])

    def has_account(self, account: bytes) -> bool:
        """Whether an account was ever used."""
        return self._db.execute("SELECT 1 FROM balances WHERE account = ?", (account,)).fetchone() is not None

    def key_records(self, after: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Records of parties' keys in order.

        Raises:
            ProtocolError: ``settlement_unknown`` where the database does not answer.
        """
        query = "SELECT sequence, party, record FROM keys WHERE sequence > ? ORDER BY sequence"
        try:
            rows = self._db.execute(query, (after,)).fetchall()
        except BROKEN as error:
            raise ProtocolError(
                f"the ledger's database did not answer: {error}", code=ErrorCode.SETTLEMENT_UNKNOWN
            ) from error
        for sequence, party, record in rows:
            yield _integer(sequence), _blob(party), _blob(record)

    def store_key_record(self, party: bytes, record: bytes) -> int:
        """Append a record of a party's keys."""
        row = self._db.execute("INSERT INTO keys (party, record) VALUES (?, ?) RETURNING sequence", (party, record))
        return _integer(row.fetchone()[0])

    def head(self) -> tuple[int, bytes]:
        """Sequence and digest of the last entry."""
        row = self._db.execute("SELECT sequence, digest FROM journal ORDER BY sequence DESC LIMIT 1").fetchone()
        return (0, GENESIS) if row is None else (_integer(row[0]), _blob(row[1]))

    def append(self, entry: Entry) -> None:
        """Append an entry and move its amount."""
        move = (
            "INSERT INTO balances VALUES (?, ?) ON CONFLICT (account) DO UPDATE SET amount = amount + excluded.amount"
        )
        self._db.execute("INSERT INTO journal VALUES (?, ?, ?)", (entry.sequence, encode(entry), entry.digest))
        self._db.execute(move, (entry.source, -entry.amount))
        self._db.execute(move, (entry.target, entry.amount))

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry in order."""
        for entry, digest in self._db.execute("SELECT entry, digest FROM journal ORDER BY sequence"):
            yield _blob(entry), _blob(digest)

    def balances(self) -> Iterator[tuple[bytes, int]]:
        """Every account and its balance."""
        for account, amount in self._db.execute("SELECT account, amount FROM balances"):
            yield _blob(account), _integer(amount)

    def escrows(self) -> Iterator[EscrowRow]:
        """Every escrow."""
        for (data,) in self._db.execute("SELECT data FROM escrows"):
            yield decode(EscrowRow, _blob(data), _ROW_LIMITS)


def open_ledger(path: Path | str, key: PrivateKey) -> Ledger:
    """The ledger in a SQLite file, signing receipts with ``key``.

    Raises:
        UsageError: the file cannot be opened or is not a ledger.
    """
    return Ledger(SqliteBook(path), key)
