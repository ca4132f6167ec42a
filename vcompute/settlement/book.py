# SPDX-License-Identifier: Apache-2.0
"""What a ledger needs of a database: a few keyed rows, balances and an append-only journal, in transactions."""

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, Protocol

from vcompute.codec import Array, Bytes, Enum, Int, Kind, field
from vcompute.messages.draw import MAX_PARTIES
from vcompute.messages.primitives import AMOUNT, DIGEST, TIME
from vcompute.settlement.journal import Entry
from vcompute.settlement.rules import EscrowState

_ENVELOPE: Final[Kind] = Bytes(1, 1 << 16)
_RECORDS: Final[Kind] = Array(_ENVELOPE, 0, MAX_PARTIES)


@dataclass(frozen=True, slots=True)
class EscrowRow:
    """The escrow of one task."""

    task: bytes = field(0, DIGEST, "task")
    state: EscrowState = field(1, Enum(EscrowState), "state")
    offer: bytes = field(2, _ENVELOPE, "the signed Offer")
    requester: bytes = field(3, DIGEST, "who offered")
    attempts: int = field(4, Int(0, 2**32), "leases so far")
    until: int = field(5, TIME, "end of the lease or of the verdict's window; 0 where none")
    verdicts: tuple[bytes, ...] = field(6, Array(_ENVELOPE, 0, 32), "signed Verdicts on the active lease")
    commits: tuple[bytes, ...] = field(11, _RECORDS, "signed SampleCommits on the result")
    reveals: tuple[bytes, ...] = field(12, _RECORDS, "signed SampleReveals on the result")
    draw_since: int = field(13, TIME, "when the first commitment came; 0 where none did")
    reveal_since: int = field(14, TIME, "when the last commitment came; 0 where one is missing")
    lease: bytes | None = field(7, DIGEST, "active lease", optional=True)
    worker: bytes | None = field(8, DIGEST, "the active lease's worker", optional=True)
    bond: int | None = field(9, AMOUNT, "the active lease's bond", optional=True)
    result: bytes | None = field(10, _ENVELOPE, "the signed Result", optional=True)
    challenge: bytes | None = field(15, _ENVELOPE, "the signed Challenge of the result", optional=True)
    answer: bytes | None = field(16, _ENVELOPE, "the signed Answer", optional=True)


class Book(Protocol):
    """Storage of a ledger. All calls of one operation happen inside one ``transaction``."""

    def transaction(self) -> AbstractContextManager[None]:
        """Begin, then commit at the end or roll back where an exception leaves the block.

        Inside another transaction: what the inner block did is taken back where an exception leaves it, and becomes
        durable with the outer one.
        """

    def answer(self, operation: bytes) -> bytes | None:
        """The stored answer of an operation, or None where it was never done."""

    def store_answer(self, operation: bytes, answer: bytes) -> None:
        """Store an operation's answer."""

    def escrow(self, task: bytes) -> EscrowRow | None:
        """The escrow of a task."""

    def store_escrow(self, row: EscrowRow) -> None:
        """Insert or replace an escrow."""

    def balance(self, account: bytes) -> int:
        """The balance of an account; 0 where it was never used."""

    def has_account(self, account: bytes) -> bool:
        """Whether an account was ever used."""

    def key_records(self, after: int) -> Iterator[tuple[int, bytes, bytes]]:
        """Records of parties' keys in the order in which they came, after the ``after``-th: number, party, record."""

    def store_key_record(self, party: bytes, record: bytes) -> int:
        """Append a record of a party's keys; its number, from 1."""

    def head(self) -> tuple[int, bytes]:
        """Sequence and digest of the last entry; 0 and the genesis digest where there is none."""

    def append(self, entry: Entry) -> None:
        """Append an entry and move its amount between its accounts."""

    def entries(self) -> Iterator[tuple[bytes, bytes]]:
        """Every entry in order: encoded entry, stored digest."""

    def balances(self) -> Iterator[tuple[bytes, int]]:
        """Every account and its balance."""

    def escrows(self) -> Iterator[EscrowRow]:
        """Every escrow."""
