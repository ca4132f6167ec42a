# SPDX-License-Identifier: Apache-2.0
"""The ledger: checks the evidence of each operation, then lets the escrow step by its table."""

import hashlib
from contextlib import AbstractContextManager
from dataclasses import replace

from vcompute.codec import decode
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Accept,
    Answer,
    Challenge,
    Offer,
    OnChallenge,
    Progress,
    Result,
    SampleCommit,
    SampleReveal,
    Verdict,
    open_message,
    reopen,
)
from vcompute.policy.verification import appeal_of, check_terms
from vcompute.registry import ErrorCode, SettlementId
from vcompute.settlement import draws
from vcompute.settlement import evidence as rules
from vcompute.settlement.audit import audit
from vcompute.settlement.base import AuditReport, Holding, Settlement
from vcompute.settlement.book import Book, EscrowRow
from vcompute.settlement.escrows import Escrows, Prepared, operation_id
from vcompute.settlement.evidence import refuse
from vcompute.settlement.journal import ISSUE, AccountKind, EntryKind, account
from vcompute.settlement.receipts import holding_of, unchallenged
from vcompute.settlement.rules import EscrowEvent, EscrowState


class Ledger(Settlement):
    """A settlement over a :class:`~vcompute.settlement.book.Book`."""

    driver = SettlementId.LEDGER

    def __init__(self, book: Book, key: PrivateKey) -> None:
        self.book = book
        self._key = key
        self._escrows = Escrows(book, key)

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
        return None if row is None else holding_of(row)

    def audit(self) -> AuditReport:
        """Recompute everything from the journal and the evidence."""
        return audit(self.book, self.thumbprint)

    # Operations. Each checks its evidence, then asks the table.

    def fund(self, party: bytes, amount: int, operation: bytes, now: int) -> int:
        """Add to a party's balance, once for each operation id.

        Raises:
            ProtocolError: ``operation_conflict`` where the id was used for another amount or party.
        """
        name = operation_id(b"fund", operation)
        content = hashlib.sha256(party + amount.to_bytes(8, "big")).digest()
        with self.book.transaction():
            done = self.book.answer(name)
            if done is not None and done != content:
                raise refuse("this operation funded something else before", ErrorCode.OPERATION_CONFLICT)
            if done is None:
                self._escrows.move(EntryKind.FUND, ISSUE, account(AccountKind.PARTY, party), amount, name, now)
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
            self._escrows.covers(signed.signer, signed.body.price, ErrorCode.INSUFFICIENT_FUNDS)
            row = EscrowRow(signed.digest, EscrowState.NONE, signed.data, signed.signer, 0, 0, (), (), (), 0, 0)
            return row, EscrowEvent.OPEN

        return self._escrows.once(signed.digest, now, prepare)

    def bond(self, accept: bytes, now: int) -> Holding:
        """Hold the bond of a worker that accepts.

        Raises:
            ProtocolError: ``escrow_missing``, ``deadline_passed``, ``lease_conflict``, ``terms_not_acceptable`` for
                another bond than the offer's or a verifier of the task, ``insufficient_bond``.
        """
        signed = open_message(accept).of(Accept)

        def prepare() -> Prepared:
            row, offer = self._escrows.row(signed.body.task)
            rules.require_state(row, EscrowState.OPEN)
            if now >= offer.deadline:
                raise refuse("the task's deadline has passed", ErrorCode.DEADLINE_PASSED)
            if signed.signer in offer.verifiers:
                raise refuse("a verifier of the task cannot work on it", ErrorCode.TERMS_NOT_ACCEPTABLE)
            if signed.body.bond != offer.bond:
                raise refuse("the bond is the offer's", ErrorCode.TERMS_NOT_ACCEPTABLE, offer.bond, signed.body.bond)
            self._escrows.covers(signed.signer, offer.bond, ErrorCode.INSUFFICIENT_BOND)
            until = min(now + offer.lease, offer.deadline)
            leased = replace(
                row, lease=signed.digest, worker=signed.signer, bond=offer.bond, until=until, attempts=row.attempts + 1
            )
            return leased, EscrowEvent.BOND

        return self._escrows.once(signed.digest, now, prepare)

    def renew(self, progress: bytes, now: int) -> Holding:
        """Extend the active lease.

        Raises:
            ProtocolError: ``stale_lease``, ``lease_expired``, ``unexpected_signer``.
        """
        signed = open_message(progress).of(Progress)

        def prepare() -> Prepared:
            row, offer = self._escrows.active(signed.body.task, signed.body.lease)
            rules.require_live(row, signed, now)
            return replace(row, until=max(row.until, min(now + offer.lease, offer.deadline))), EscrowEvent.RENEW

        return self._escrows.once(signed.digest, now, prepare)

    def commit(self, result: bytes, now: int) -> Holding:
        """Record a result.

        Raises:
            ProtocolError: ``stale_lease``, ``lease_expired``, ``unexpected_signer``, ``lease_conflict``,
                ``no_common_suite`` for a suite that the policy does not admit.
        """
        signed = open_message(result).of(Result)

        def prepare() -> Prepared:
            row, offer = self._escrows.active(signed.body.task, signed.body.lease)
            rules.require_live(row, signed, now)
            if signed.body.suite not in offer.policy.suites:
                raise refuse("the offer's policy does not admit this suite", ErrorCode.NO_COMMON_SUITE)
            within = offer.policy.window if isinstance(offer.policy, OnChallenge) else offer.verdict_within
            return replace(row, result=signed.data, until=now + within), EscrowEvent.COMMIT

        return self._escrows.once(signed.digest, now, prepare)

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
            row, offer = self._escrows.row(task)
            rules.require_state(row, EscrowState.COMMITTED)
            after = draws.record(row, offer, signed, now)
            if len(after.commits) > len(row.commits):
                stake = draws.stake_of(offer)
                self._escrows.covers(signed.signer, stake, ErrorCode.INSUFFICIENT_BOND)
                held = draws.account_of(row, signed.signer)
                party = account(AccountKind.PARTY, signed.signer)
                self._escrows.move(EntryKind.HOLD_STAKE, party, held, stake, signed.digest, now)
            self.book.store_escrow(after)
            return self._escrows.answered(signed.digest, holding_of(after))

    def challenge(self, task: bytes, lease: bytes, challenge: bytes | None, now: int) -> Holding:
        """Ask for the proof of a recorded result.

        Raises:
            ProtocolError: ``stale_lease``, ``insufficient_bond``; for a Challenge ``lease_conflict``,
                ``terms_not_acceptable``, ``statement_mismatch``, ``unexpected_signer``, ``not_due``; for a draw
                ``lease_conflict``, ``verdict_not_admitted``, ``not_due``.
        """
        signed = None if challenge is None else open_message(challenge).of(Challenge)

        def prepare() -> Prepared:
            row, offer = self._escrows.active(task, lease)
            if signed is None:
                rules.check_demand(row, offer, now)
                return replace(row, until=now + offer.verdict_within), EscrowEvent.DEMAND
            if (signed.body.task, signed.body.lease) != (task, lease):
                raise refuse("the challenge is of another lease", ErrorCode.STALE_LEASE)
            policy = rules.check_challenge(row, offer, signed, now)
            self._escrows.covers(signed.signer, policy.stake, ErrorCode.INSUFFICIENT_BOND)
            return replace(row, challenge=signed.data, until=now + policy.answer_within), EscrowEvent.CHALLENGE

        operation = operation_id(b"demand", task, lease) if signed is None else signed.digest
        return self._escrows.once(operation, now, prepare)

    def answer(self, answer: bytes, now: int) -> Holding:
        """Record a worker's proof.

        Raises:
            ProtocolError: ``stale_lease``, ``unexpected_signer``, ``lease_conflict``, ``statement_mismatch``,
                ``not_due``.
        """
        signed = open_message(answer).of(Answer)

        def prepare() -> Prepared:
            row, offer = self._escrows.active(signed.body.task, signed.body.lease)
            rules.check_answer(row, signed, now)
            return replace(row, answer=signed.data, until=now + offer.verdict_within), EscrowEvent.ANSWER

        return self._escrows.once(signed.digest, now, prepare)

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
            row, offer = self._escrows.active(signed.body.task, signed.body.lease)
            rules.check_verdict(row, offer, signed, now)
            row = replace(row, verdicts=(*row.verdicts, signed.data))
            event = EscrowEvent.ACCEPT if signed.body.accepted else EscrowEvent.REJECT
            if signed.signer in (offer.fallback or ()):
                return self._escrows.apply(signed.digest, replace(row, verdicts=(signed.data,)), event, now)
            agreeing = [v for v in row.verdicts if _agree(offer, reopen(v).of(Verdict).body, signed.body)]
            if len(agreeing) < offer.quorum:
                self.book.store_escrow(row)
                return self._escrows.answered(signed.digest, holding_of(row))
            return self._escrows.apply(signed.digest, replace(row, verdicts=tuple(agreeing)), event, now)

    def release(self, task: bytes, lease: bytes, evidence: bytes | None, now: int) -> Holding:
        """End a lease without fault, or do what is due once its time is over.

        Raises:
            ProtocolError: ``stale_lease``, ``unexpected_signer``, ``lease_conflict`` where a result is recorded and
                the verdict's window is open, ``not_due`` where the time is not over.
        """

        def prepare() -> Prepared:
            row, offer = self._escrows.active(task, lease)
            if now < row.until:
                rules.require_state(row, EscrowState.LEASED)
                rules.check_release(row, lease, evidence)
            by_time = row.state in (EscrowState.LEASED, EscrowState.CHALLENGED) or isinstance(offer.policy, OnChallenge)
            judged = row.state is EscrowState.ANSWERED or not by_time
            if judged and now < row.until + appeal_of(offer):
                raise refuse("a fallback may still judge", ErrorCode.LEASE_CONFLICT)
            if row.state is EscrowState.COMMITTED and isinstance(offer.policy, OnChallenge):
                return replace(row, verdicts=(unchallenged(self._key, row).data,)), EscrowEvent.UNCHALLENGED
            return row, EscrowEvent.DEFAULT if row.state is EscrowState.CHALLENGED else EscrowEvent.RELEASE

        return self._escrows.once(operation_id(b"release", task, lease), now, prepare)

    def refund(self, task: bytes, evidence: bytes | None, now: int) -> Holding:
        """Give the escrow back.

        Raises:
            ProtocolError: ``escrow_missing``, ``lease_conflict`` while a lease is active, ``not_due``,
                ``unexpected_signer``.
        """

        def prepare() -> Prepared:
            row, offer = self._escrows.row(task)
            rules.require_state(row, EscrowState.OPEN)
            if now < offer.deadline:
                rules.check_cancellation(row, evidence)
            return row, EscrowEvent.REFUND

        return self._escrows.once(operation_id(b"refund", task), now, prepare)


def _agree(offer: Offer, one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts count together; a certificate is on one basis."""
    same_basis = offer.verifier_set is None or one.basis is other.basis
    return one.accepted is other.accepted and same_basis
