# SPDX-License-Identifier: Apache-2.0
"""One step of an escrow: money moves by the table; row, journal, receipt and answer are stored together, once."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

from vcompute.codec import decode, encode
from vcompute.identity import PrivateKey
from vcompute.messages import Offer, reopen
from vcompute.registry import ErrorCode, Outcome
from vcompute.settlement import draws
from vcompute.settlement.base import Holding
from vcompute.settlement.book import Book, EscrowRow
from vcompute.settlement.evidence import refuse
from vcompute.settlement.journal import ISSUE, AccountKind, Entry, EntryKind, account
from vcompute.settlement.keys import PartyKeys
from vcompute.settlement.receipts import holding_of, sign_receipt
from vcompute.settlement.rules import ESCROW_TABLE, EscrowEvent, EscrowState, Movement

_OUTCOMES = {
    EscrowEvent.ACCEPT: Outcome.PAID,
    EscrowEvent.REJECT: Outcome.SLASHED,
    EscrowEvent.RELEASE: Outcome.RETURNED,
    EscrowEvent.REFUND: Outcome.REFUNDED,
    EscrowEvent.UNCHALLENGED: Outcome.PAID,
    EscrowEvent.DEFAULT: Outcome.SLASHED,
}
Prepared: TypeAlias = tuple[EscrowRow, EscrowEvent]
"""A row as the operation leaves it to the table, and the table's event."""


def operation_id(name: bytes, *parts: bytes) -> bytes:
    """The id of an operation that no signed message names."""
    return hashlib.sha256(b"vcompute/operation/1\x00" + name + b"\x00" + b"".join(parts)).digest()


class Escrows:
    """The escrows, accounts and answers of a book, changed in whole steps."""

    def __init__(self, book: Book, key: PrivateKey, parties: PartyKeys) -> None:
        self.book = book
        self._key = key
        self._parties = parties

    def covers(self, party: bytes, amount: int, code: ErrorCode) -> None:
        """Refuse to hold more than a party has.

        Raises:
            ProtocolError: ``code``.
        """
        balance = self.book.balance(account(AccountKind.PARTY, party))
        if balance < amount:
            raise refuse("the balance does not cover the amount to hold", code, amount, balance)

    def row(self, task: bytes) -> tuple[EscrowRow, Offer]:
        """The escrow of a task and its offer.

        Raises:
            ProtocolError: ``escrow_missing``.
        """
        row = self.book.escrow(task)
        if row is None:
            raise refuse("no escrow is open for this task", ErrorCode.ESCROW_MISSING, got=task.hex())
        return row, reopen(row.offer).of(Offer).body

    def active(self, task: bytes, lease: bytes) -> tuple[EscrowRow, Offer]:
        """The escrow of a task whose active lease this is, and its offer.

        Raises:
            ProtocolError: ``escrow_missing``, ``stale_lease``.
        """
        row, offer = self.row(task)
        if row.lease != lease:
            raise refuse("the lease is not the task's active one", ErrorCode.STALE_LEASE, got=lease.hex())
        return row, offer

    def once(self, operation: bytes, now: int, prepare: Callable[[], Prepared]) -> Holding:
        """Run an operation, or give the stored answer of an earlier run."""
        with self.book.transaction():
            done = self.book.answer(operation)
            if done is not None:
                return decode(Holding, done)
            row, event = prepare()
            return self.apply(operation, row, event, now)

    def apply(self, operation: bytes, row: EscrowRow, event: EscrowEvent, now: int) -> Holding:
        """Move by the table and store row, entries and answer."""
        rule = ESCROW_TABLE.rule(row.state, event)
        if Movement.REFUSE in rule.effects:
            raise refuse(f"the escrow is {row.state.name.lower()}: cannot {event.value}", ErrorCode.LEASE_CONFLICT)
        offer = reopen(row.offer).of(Offer).body
        for movement in rule.effects:
            self._movement(movement, row, offer, operation, now)
        self._end_draw(row, offer, event, operation, now)
        receipt = None
        if event in _OUTCOMES:
            receipt = sign_receipt(
                self._key, self.book.head()[0], _OUTCOMES[event], row, offer, now, self._parties.ring
            ).data
        after = replace(row, state=rule.to)
        if rule.to in (EscrowState.OPEN, EscrowState.REFUNDED):
            after = replace(after, lease=None, worker=None, bond=None, result=None, verdicts=(), until=0)
            after = replace(after, commits=(), reveals=(), draw_since=0, reveal_since=0, challenge=None, answer=None)
        self.book.store_escrow(after)
        return self.answered(operation, holding_of(after, receipt))

    def _end_draw(self, row: EscrowRow, offer: Offer, event: EscrowEvent, operation: bytes, now: int) -> None:
        """Give stakes back when a lease ends; a silent party's goes to the worker, or past a convicted one."""
        if not row.commits or event not in _OUTCOMES:
            return
        draw, stake = draws.replay(row, offer, now, self._parties.ring.name_of), draws.stake_of(offer)
        convicted = event in (EscrowEvent.REJECT, EscrowEvent.DEFAULT)
        harmed = row.requester if convicted else row.worker or row.requester
        for party in sorted(draw.staked):
            silent = party in draw.silent
            kind = EntryKind.FORFEIT_STAKE if silent else EntryKind.RETURN_STAKE
            target = account(AccountKind.PARTY, harmed if silent else party)
            self.move(kind, draws.account_of(row, party), target, stake, operation, now)

    def _movement(self, movement: Movement, row: EscrowRow, offer: Offer, operation: bytes, now: int) -> None:
        escrow = account(AccountKind.ESCROW, row.task)
        requester = account(AccountKind.PARTY, row.requester)
        bond = account(AccountKind.BOND, row.lease or bytes(32))
        worker = account(AccountKind.PARTY, row.worker or bytes(32))
        held = row.bond or 0
        stake, challenger, staked = draws.challenge_stake(row, offer, self._parties.ring.name_of)
        moves = {
            Movement.HOLD_PRICE: (EntryKind.HOLD_PRICE, requester, escrow, offer.price),
            Movement.HOLD_BOND: (EntryKind.HOLD_BOND, worker, bond, held),
            Movement.PAY: (EntryKind.PAY, escrow, worker, offer.price),
            Movement.RETURN_BOND: (EntryKind.RETURN_BOND, bond, worker, held),
            Movement.SLASH: (EntryKind.SLASH, bond, requester, held),
            Movement.GIVE_BACK: (EntryKind.GIVE_BACK, escrow, requester, offer.price),
            Movement.HOLD_STAKE: (EntryKind.HOLD_STAKE, challenger, stake, staked),
            Movement.PAY_STAKE: (EntryKind.FORFEIT_STAKE, stake, worker, staked),
            Movement.RETURN_STAKE: (EntryKind.RETURN_STAKE, stake, challenger, staked),
        }
        kind, source, target, amount = moves[movement]
        if row.challenge is None and stake in (source, target):
            return  # a draw asked for the proof: nobody put up a stake for a challenge
        self.move(kind, source, target, amount, operation, now)

    def move(self, kind: EntryKind, source: bytes, target: bytes, amount: int, operation: bytes, now: int) -> None:
        """Write one entry into the journal.

        Raises:
            ProtocolError: ``journal_broken``: an account would become negative.
        """
        if source != ISSUE and self.book.balance(source) < amount:
            raise refuse("an account would become negative", ErrorCode.JOURNAL_BROKEN, amount)
        sequence, previous = self.book.head()
        self.book.append(Entry(sequence + 1, previous, kind, source, target, amount, operation, now))

    def answered(self, operation: bytes, holding: Holding) -> Holding:
        """Store the answer that the operation gets from now on."""
        self.book.store_answer(operation, encode(holding))
        return holding
