# SPDX-License-Identifier: Apache-2.0
"""The ledger: checks evidence, moves money by the escrow's table, keeps the journal."""

import hashlib
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TypeAlias

from vcompute.codec import decode, encode
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Accept,
    Answer,
    Challenge,
    Offer,
    OnChallenge,
    Progress,
    Receipt,
    Result,
    SampleCommit,
    SampleReveal,
    Signed,
    Verdict,
    open_message,
    reopen,
    seal,
)
from vcompute.policy.certificate import certify
from vcompute.policy.verification import appeal_of, check_terms
from vcompute.registry import Basis, ErrorCode, Outcome, SettlementId
from vcompute.settlement import draws
from vcompute.settlement import evidence as rules
from vcompute.settlement.audit import audit
from vcompute.settlement.base import AuditReport, Holding, Settlement
from vcompute.settlement.book import Book, EscrowRow
from vcompute.settlement.evidence import refuse
from vcompute.settlement.journal import ISSUE, AccountKind, Entry, EntryKind, account
from vcompute.settlement.rules import BONDED, ESCROW_TABLE, EscrowEvent, EscrowState, Movement

_OUTCOMES = {
    EscrowEvent.ACCEPT: Outcome.PAID,
    EscrowEvent.REJECT: Outcome.SLASHED,
    EscrowEvent.RELEASE: Outcome.RETURNED,
    EscrowEvent.REFUND: Outcome.REFUNDED,
    EscrowEvent.UNCHALLENGED: Outcome.PAID,
    EscrowEvent.DEFAULT: Outcome.SLASHED,
}
Prepared: TypeAlias = tuple[EscrowRow, EscrowEvent]


def _operation(name: bytes, *parts: bytes) -> bytes:
    return hashlib.sha256(b"vcompute/operation/1\x00" + name + b"\x00" + b"".join(parts)).digest()


class Ledger(Settlement):
    """A settlement over a :class:`~vcompute.settlement.book.Book`."""

    driver = SettlementId.LEDGER

    def __init__(self, book: Book, key: PrivateKey) -> None:
        self.book = book
        self._key = key

    @property
    def thumbprint(self) -> bytes:
        """The key that signs receipts."""
        return self._key.thumbprint

    def group(self) -> AbstractContextManager[None]:
        """One transaction around several operations."""
        return self.book.transaction()

    def balance(self, party: bytes) -> int:
        """The free balance of a party."""
        return self.book.balance(account(AccountKind.PARTY, party))

    def holding(self, task: bytes) -> Holding | None:
        """What is held for a task."""
        row = self.book.escrow(task)
        return None if row is None else _holding(row)

    def audit(self) -> AuditReport:
        """Recompute everything from the journal and the evidence."""
        return audit(self.book, self.thumbprint)

    # Operations. Each checks its evidence, then asks the table.

    def fund(self, party: bytes, amount: int, operation: bytes, now: int) -> int:
        """Add to a party's balance, once for each operation id.

        Raises:
            ProtocolError: ``operation_conflict`` where the id was used for another amount or party.
        """
        name = _operation(b"fund", operation)
        content = hashlib.sha256(party + amount.to_bytes(8, "big")).digest()
        with self.book.transaction():
            done = self.book.answer(name)
            if done is not None and done != content:
                raise refuse("this operation funded something else before", ErrorCode.OPERATION_CONFLICT)
            if done is None:
                self._move(EntryKind.FUND, ISSUE, account(AccountKind.PARTY, party), amount, name, now)
                self.book.store_answer(name, content)
            return self.balance(party)

    def open(self, offer: bytes, now: int) -> Holding:
        """Hold the price of an offer.

        Raises:
            ProtocolError: ``wrong_settlement``, ``deadline_passed``, ``terms_not_acceptable``,
                ``insufficient_funds``, or the envelope's own errors.
        """
        signed = open_message(offer).of(Offer)

        def prepare() -> Prepared:
            if signed.body.settlement != self.thumbprint:
                raise refuse("the offer names another settlement", ErrorCode.WRONG_SETTLEMENT)
            check_terms(signed.body, now)
            self._covers(signed.signer, signed.body.price, ErrorCode.INSUFFICIENT_FUNDS)
            row = EscrowRow(signed.digest, EscrowState.NONE, signed.data, signed.signer, 0, 0, (), (), (), 0, 0)
            return row, EscrowEvent.OPEN

        return self._once(signed.digest, now, prepare)

    def bond(self, accept: bytes, now: int) -> Holding:
        """Hold the bond of a worker that accepts.

        Raises:
            ProtocolError: ``escrow_missing``, ``deadline_passed``, ``lease_conflict``, ``terms_not_acceptable`` for
                another bond than the offer's or a verifier of the task, ``insufficient_bond``.
        """
        signed = open_message(accept).of(Accept)

        def prepare() -> Prepared:
            row, offer = self._row(signed.body.task)
            rules.require_state(row, EscrowState.OPEN)
            if now >= offer.deadline:
                raise refuse("the task's deadline has passed", ErrorCode.DEADLINE_PASSED)
            if signed.signer in offer.verifiers:
                raise refuse("a verifier of the task cannot work on it", ErrorCode.TERMS_NOT_ACCEPTABLE)
            if signed.body.bond != offer.bond:
                raise refuse("the bond is the offer's", ErrorCode.TERMS_NOT_ACCEPTABLE, offer.bond, signed.body.bond)
            self._covers(signed.signer, offer.bond, ErrorCode.INSUFFICIENT_BOND)
            until = min(now + offer.lease, offer.deadline)
            leased = replace(
                row, lease=signed.digest, worker=signed.signer, bond=offer.bond, until=until, attempts=row.attempts + 1
            )
            return leased, EscrowEvent.BOND

        return self._once(signed.digest, now, prepare)

    def renew(self, progress: bytes, now: int) -> Holding:
        """Extend the active lease.

        Raises:
            ProtocolError: ``stale_lease``, ``lease_expired``, ``unexpected_signer``.
        """
        signed = open_message(progress).of(Progress)

        def prepare() -> Prepared:
            row, offer = self._active(signed.body.task, signed.body.lease)
            rules.require_live(row, signed, now)
            return replace(row, until=max(row.until, min(now + offer.lease, offer.deadline))), EscrowEvent.RENEW

        return self._once(signed.digest, now, prepare)

    def commit(self, result: bytes, now: int) -> Holding:
        """Record a result.

        Raises:
            ProtocolError: ``stale_lease``, ``lease_expired``, ``unexpected_signer``, ``lease_conflict``,
                ``no_common_suite`` for a suite that the policy does not admit.
        """
        signed = open_message(result).of(Result)

        def prepare() -> Prepared:
            row, offer = self._active(signed.body.task, signed.body.lease)
            rules.require_live(row, signed, now)
            if signed.body.suite not in offer.policy.suites:
                raise refuse("the offer's policy does not admit this suite", ErrorCode.NO_COMMON_SUITE)
            within = offer.policy.window if isinstance(offer.policy, OnChallenge) else offer.verdict_within
            return replace(row, result=signed.data, until=now + within), EscrowEvent.COMMIT

        return self._once(signed.digest, now, prepare)

    def draw(self, task: bytes, record: bytes, now: int) -> Holding:
        """Record a commitment, whose signer's stake is held, or a nonce.

        Raises:
            ProtocolError: ``lease_conflict`` without a recorded result, ``insufficient_bond``, or the draw's own.
        """
        signed = open_message(record)
        if not isinstance(signed.body, SampleCommit | SampleReveal):
            raise refuse("not a record of a draw", ErrorCode.UNKNOWN_MESSAGE, got=type(signed.body).__name__)
        with self.book.transaction():
            done = self.book.answer(signed.digest)
            if done is not None:
                return decode(Holding, done)
            row, offer = self._row(task)
            rules.require_state(row, EscrowState.COMMITTED)
            after = draws.record(row, offer, signed, now)
            if len(after.commits) > len(row.commits):
                stake = draws.stake_of(offer)
                self._covers(signed.signer, stake, ErrorCode.INSUFFICIENT_BOND)
                held = draws.account_of(row, signed.signer)
                party = account(AccountKind.PARTY, signed.signer)
                self._move(EntryKind.HOLD_STAKE, party, held, stake, signed.digest, now)
            self.book.store_escrow(after)
            return self._answered(signed.digest, _holding(after))

    def challenge(self, task: bytes, lease: bytes, challenge: bytes | None, now: int) -> Holding:
        """Ask for the proof of a recorded result.

        Raises:
            ProtocolError: ``stale_lease``, ``insufficient_bond``; for a Challenge ``lease_conflict``,
                ``terms_not_acceptable``, ``statement_mismatch``, ``unexpected_signer``, ``not_due``; for a draw
                ``lease_conflict``, ``verdict_not_admitted``, ``not_due``.
        """
        signed = None if challenge is None else open_message(challenge).of(Challenge)

        def prepare() -> Prepared:
            row, offer = self._active(task, lease)
            if signed is None:
                rules.check_demand(row, offer, now)
                return replace(row, until=now + offer.verdict_within), EscrowEvent.DEMAND
            if (signed.body.task, signed.body.lease) != (task, lease):
                raise refuse("the challenge is of another lease", ErrorCode.STALE_LEASE)
            policy = rules.check_challenge(row, offer, signed, now)
            self._covers(signed.signer, policy.stake, ErrorCode.INSUFFICIENT_BOND)
            return replace(row, challenge=signed.data, until=now + policy.answer_within), EscrowEvent.CHALLENGE

        operation = _operation(b"demand", task, lease) if signed is None else signed.digest
        return self._once(operation, now, prepare)

    def answer(self, answer: bytes, now: int) -> Holding:
        """Record a worker's proof.

        Raises:
            ProtocolError: ``stale_lease``, ``unexpected_signer``, ``lease_conflict``, ``statement_mismatch``,
                ``not_due``.
        """
        signed = open_message(answer).of(Answer)

        def prepare() -> Prepared:
            row, offer = self._active(signed.body.task, signed.body.lease)
            rules.check_answer(row, signed, now)
            return replace(row, answer=signed.data, until=now + offer.verdict_within), EscrowEvent.ANSWER

        return self._once(signed.digest, now, prepare)

    def settle(self, verdict: bytes, now: int) -> Holding:
        """Count a verdict; pay or slash when the quorum agrees.

        Raises:
            ProtocolError: ``stale_lease``, ``lease_conflict``, ``verdict_not_admitted`` for a signer or basis
                outside the policy, a verdict on another result or a second one of the same verifier.
        """
        signed = open_message(verdict).of(Verdict)
        with self.book.transaction():
            done = self.book.answer(signed.digest)
            if done is not None:
                return decode(Holding, done)
            row, offer = self._active(signed.body.task, signed.body.lease)
            rules.check_verdict(row, offer, signed, now)
            row = replace(row, verdicts=(*row.verdicts, signed.data))
            event = EscrowEvent.ACCEPT if signed.body.accepted else EscrowEvent.REJECT
            if signed.signer in (offer.fallback or ()):
                return self._apply(signed.digest, replace(row, verdicts=(signed.data,)), event, now)
            agreeing = [v for v in row.verdicts if _agree(offer, reopen(v).of(Verdict).body, signed.body)]
            if len(agreeing) < offer.quorum:
                self.book.store_escrow(row)
                return self._answered(signed.digest, _holding(row))
            return self._apply(signed.digest, replace(row, verdicts=tuple(agreeing)), event, now)

    def release(self, task: bytes, lease: bytes, evidence: bytes | None, now: int) -> Holding:
        """End a lease without fault, or do what is due once its time is over.

        Raises:
            ProtocolError: ``stale_lease``, ``unexpected_signer``, ``lease_conflict`` where a result is recorded and
                the verdict's window is open, ``not_due`` where the time is not over.
        """

        def prepare() -> Prepared:
            row, offer = self._active(task, lease)
            if now < row.until:
                rules.require_state(row, EscrowState.LEASED)
                rules.check_release(row, lease, evidence)
            by_time = row.state in (EscrowState.LEASED, EscrowState.CHALLENGED) or isinstance(offer.policy, OnChallenge)
            judged = row.state is EscrowState.ANSWERED or not by_time
            if judged and now < row.until + appeal_of(offer):
                raise refuse("a fallback may still judge", ErrorCode.LEASE_CONFLICT)
            if row.state is EscrowState.COMMITTED and isinstance(offer.policy, OnChallenge):
                return replace(row, verdicts=(self._unchallenged(row).data,)), EscrowEvent.UNCHALLENGED
            return row, EscrowEvent.DEFAULT if row.state is EscrowState.CHALLENGED else EscrowEvent.RELEASE

        return self._once(_operation(b"release", task, lease), now, prepare)

    def refund(self, task: bytes, evidence: bytes | None, now: int) -> Holding:
        """Give the escrow back.

        Raises:
            ProtocolError: ``escrow_missing``, ``lease_conflict`` while a lease is active, ``not_due``,
                ``unexpected_signer``.
        """

        def prepare() -> Prepared:
            row, offer = self._row(task)
            rules.require_state(row, EscrowState.OPEN)
            if now < offer.deadline:
                rules.check_cancellation(row, evidence)
            return row, EscrowEvent.REFUND

        return self._once(_operation(b"refund", task), now, prepare)

    # The parts they share.

    def _covers(self, party: bytes, amount: int, code: ErrorCode) -> None:
        balance = self.balance(party)
        if balance < amount:
            raise refuse("the balance does not cover the amount to hold", code, amount, balance)

    def _row(self, task: bytes) -> tuple[EscrowRow, Offer]:
        row = self.book.escrow(task)
        if row is None:
            raise refuse("no escrow is open for this task", ErrorCode.ESCROW_MISSING, got=task.hex())
        return row, reopen(row.offer).of(Offer).body

    def _active(self, task: bytes, lease: bytes) -> tuple[EscrowRow, Offer]:
        row, offer = self._row(task)
        if row.lease != lease:
            raise refuse("the lease is not the task's active one", ErrorCode.STALE_LEASE, got=lease.hex())
        return row, offer

    def _once(self, operation: bytes, now: int, prepare: Callable[[], Prepared]) -> Holding:
        """Run an operation, or give the stored answer of an earlier run."""
        with self.book.transaction():
            done = self.book.answer(operation)
            if done is not None:
                return decode(Holding, done)
            row, event = prepare()
            return self._apply(operation, row, event, now)

    def _apply(self, operation: bytes, row: EscrowRow, event: EscrowEvent, now: int) -> Holding:
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
            receipt = self._receipt(_OUTCOMES[event], row, offer, now).data
        after = replace(row, state=rule.to)
        if rule.to in (EscrowState.OPEN, EscrowState.REFUNDED):
            after = replace(after, lease=None, worker=None, bond=None, result=None, verdicts=(), until=0)
            after = replace(after, commits=(), reveals=(), draw_since=0, reveal_since=0, challenge=None, answer=None)
        self.book.store_escrow(after)
        return self._answered(operation, _holding(after, receipt))

    def _end_draw(self, row: EscrowRow, offer: Offer, event: EscrowEvent, operation: bytes, now: int) -> None:
        """Give stakes back when a lease ends; a silent party's goes to the worker, or past a convicted one."""
        if not row.commits or event not in _OUTCOMES:
            return
        draw, stake = draws.replay(row, offer, now), draws.stake_of(offer)
        convicted = event in (EscrowEvent.REJECT, EscrowEvent.DEFAULT)
        harmed = row.requester if convicted else row.worker or row.requester
        for party in sorted(draw.staked):
            silent = party in draw.silent
            kind = EntryKind.FORFEIT_STAKE if silent else EntryKind.RETURN_STAKE
            target = account(AccountKind.PARTY, harmed if silent else party)
            self._move(kind, draws.account_of(row, party), target, stake, operation, now)

    def _movement(self, movement: Movement, row: EscrowRow, offer: Offer, operation: bytes, now: int) -> None:
        escrow = account(AccountKind.ESCROW, row.task)
        requester = account(AccountKind.PARTY, row.requester)
        bond = account(AccountKind.BOND, row.lease or bytes(32))
        worker = account(AccountKind.PARTY, row.worker or bytes(32))
        held = row.bond or 0
        stake, challenger, staked = draws.challenge_stake(row, offer)
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
        self._move(kind, source, target, amount, operation, now)

    def _move(self, kind: EntryKind, source: bytes, target: bytes, amount: int, operation: bytes, now: int) -> None:
        if source != ISSUE and self.book.balance(source) < amount:
            raise refuse("an account would become negative", ErrorCode.JOURNAL_BROKEN, amount)
        sequence, previous = self.book.head()
        self.book.append(Entry(sequence + 1, previous, kind, source, target, amount, operation, now))

    def _receipt(self, outcome: Outcome, row: EscrowRow, offer: Offer, now: int) -> Signed[Receipt]:
        judged = outcome in (Outcome.PAID, Outcome.SLASHED)
        by_verifiers = judged and offer.verifier_set is not None and _by_verifiers(row, offer)
        certificate = certify(offer, [reopen(v).of(Verdict) for v in row.verdicts]) if by_verifiers else None
        body = Receipt(
            task=row.task,
            outcome=outcome,
            requester=row.requester,
            amount=offer.price if outcome in (Outcome.PAID, Outcome.REFUNDED) else 0,
            bond=row.bond or 0,
            work_units=offer.work_units if outcome is Outcome.PAID else 0,
            time=now,
            entry=self.book.head()[0],
            verdicts=row.verdicts if judged and certificate is None else (),
            worker=row.worker,
            lease=row.lease,
            result=row.result if judged else None,
            certificate=certificate,
            challenge=row.challenge if judged else None,
            draw=((*row.commits, *row.reveals) or None) if judged else None,
        )
        return seal(self._key, body).of(Receipt)

    def _unchallenged(self, row: EscrowRow) -> Signed[Verdict]:
        """The settlement's own word that nobody challenged the result: it keeps the record of challenges and time."""
        result = hashlib.sha256(row.result or b"").digest()
        body = Verdict(row.task, row.lease or bytes(32), result, True, Basis.UNCHALLENGED)
        return seal(self._key, body).of(Verdict)

    def _answered(self, operation: bytes, holding: Holding) -> Holding:
        self.book.store_answer(operation, encode(holding))
        return holding


def _by_verifiers(row: EscrowRow, offer: Offer) -> bool:
    """Whether verifiers judged, rather than time."""
    return bool(row.verdicts) and all(reopen(v).signer in offer.verifiers for v in row.verdicts)


def _agree(offer: Offer, one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts count together; a certificate is on one basis."""
    same_basis = offer.verifier_set is None or one.basis is other.basis
    return one.accepted is other.accepted and same_basis


def _holding(row: EscrowRow, receipt: bytes | None = None) -> Holding:
    offer = reopen(row.offer).of(Offer).body
    bonded = row.state in BONDED
    challenged = row.state in (EscrowState.CHALLENGED, EscrowState.ANSWERED)
    staked = draws.challenge_stake(row, offer)[2] if challenged else 0
    return Holding(
        task=row.task,
        state=row.state,
        escrow=offer.price if bonded or row.state is EscrowState.OPEN else 0,
        bond=(row.bond or 0) if bonded else 0,
        until=row.until,
        attempts=row.attempts,
        stakes=staked + (len(row.commits) * draws.stake_of(offer) if bonded else 0),
        lease=row.lease,
        receipt=receipt,
    )
