# SPDX-License-Identifier: Apache-2.0
"""The durable state of a party: records by kind and key in one SQLite file of its state directory."""

import sqlite3
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, TypeVar

from vcompute.codec import Limits, decode, encode
from vcompute.errors import UsageError
from vcompute.registry import ErrorCode
from vcompute.session import Save

R = TypeVar("R")
BROKEN: Final = (sqlite3.Error, UnicodeDecodeError)
"""What SQLite raises on a file it cannot use; the second where its own message holds bytes of the damage."""
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS records (kind TEXT, key BLOB, data BLOB NOT NULL, PRIMARY KEY (kind, key)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS final (id INTEGER PRIMARY KEY, kind TEXT, key BLOB, data BLOB NOT NULL, UNIQUE (kind, key));
"""
KEPT: Final = 1 << 18
"""Final records kept, for those who ask late."""
_LIMITS: Final = Limits(bytes=1 << 22, depth=8, items=1 << 16)


class Store:
    """Records on disk, each step's in one transaction.

    A crash of the process at any moment loses nothing. A power cut may lose the last steps, never tear one: the other
    parties send again what they got no answer to, and the ledger, which is synced at every step, is the truth on money.
    """

    def __init__(self, path: Path | str, kept: int = KEPT) -> None:
        """Open or create the file, which keeps the last ``kept`` final records.

        Raises:
            UsageError: ``unreadable_file``.
        """
        self._kept = kept
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False, timeout=10)
            self._db.execute("PRAGMA journal_mode = WAL")
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        except BROKEN as error:
            raise UsageError(f"cannot open the state {path}: {error}", code=ErrorCode.UNREADABLE_FILE) from error

    def save(self, saves: Iterable[Save]) -> None:
        """Write the records of a step; the last of equal keys wins.

        Raises:
            UsageError: ``storage_full``: the database does not take them, and none is written.
        """
        steps = {(save.kind, save.key): save for save in saves}
        if not steps:
            return
        rows: dict[bool, list[tuple[str, bytes, bytes]]] = {False: [], True: []}
        for (kind, key), save in steps.items():
            rows[save.final].append((kind, key, encode(save.record)))
        try:
            with self._db:
                self._db.execute("BEGIN IMMEDIATE")
                self._write(rows[False], rows[True])
        except BROKEN as error:
            raise UsageError(f"cannot write the state: {error}", code=ErrorCode.STORAGE_FULL) from error

    def _write(self, living: list[tuple[str, bytes, bytes]], final: list[tuple[str, bytes, bytes]]) -> None:
        """A record is in one of the two tables."""
        write = self._db.executemany
        if living:
            write("INSERT OR REPLACE INTO records VALUES (?, ?, ?)", living)
            write("DELETE FROM final WHERE kind = ? AND key = ?", [row[:2] for row in living])
        if final:
            write("INSERT OR REPLACE INTO final (kind, key, data) VALUES (?, ?, ?)", final)
            write("DELETE FROM records WHERE kind = ? AND key = ?", [row[:2] for row in final])
            self._db.execute("DELETE FROM final WHERE id <= (SELECT max(id) FROM final) - ?", (self._kept,))

    def load(self, kind: str, cls: type[R]) -> list[R]:
        """All records of a kind that are not final.

        Raises:
            UsageError: ``unreadable_file``: the file is damaged.
            EncodingError: it holds something else.
        """
        return self._read(cls, "SELECT data FROM records WHERE kind = ? ORDER BY key", kind)

    def recall(self, kind: str, key: bytes, cls: type[R]) -> R | None:
        """One record, final or not; None where none is kept.

        Raises:
            UsageError: ``unreadable_file``: the file is damaged.
            EncodingError: it holds something else.
        """
        for table in ("final", "records"):
            found = self._read(cls, f"SELECT data FROM {table} WHERE kind = ? AND key = ?", kind, key)  # noqa: S608
            if found:
                return found[0]
        return None

    def _read(self, cls: type[R], query: str, *arguments: object) -> list[R]:
        try:
            rows = self._db.execute(query, arguments).fetchall()
        except BROKEN as error:
            raise UsageError(f"cannot read the state: {error}", code=ErrorCode.UNREADABLE_FILE) from error
        if not all(isinstance(data, bytes) for (data,) in rows):
            raise UsageError("cannot read the state: a record is no byte string", code=ErrorCode.UNREADABLE_FILE)
        return [decode(cls, data, _LIMITS) for (data,) in rows]

    def close(self) -> None:
        """Close the file."""
        self._db.close()


def state_directory(path: Path) -> Path:
    """Make a state directory that only its owner reads.

    Raises:
        UsageError: ``unreadable_file``.
    """
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise UsageError(
            f"cannot make the state directory {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE
        ) from error
    return path


def lock(path: Path) -> Any:
    """Hold a state directory for this process alone; keep the returned object as long as it is used.

    Raises:
        UsageError: another process holds it.
    """
    try:
        db = sqlite3.connect(path / "lock", isolation_level=None, timeout=0)
        db.execute("PRAGMA locking_mode = EXCLUSIVE")
        db.execute("BEGIN EXCLUSIVE")
    except BROKEN as error:
        raise UsageError(f"the state directory {path} is in use by another process") from error
    return db
