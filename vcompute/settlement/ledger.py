# SPDX-License-Identifier: Apache-2.0
"""The ledger: checks the evidence of each operation, then lets the escrow step by its table."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

from vcompute.codec import decode
from vcompute.identity import Keyring, PrivateKey
from vcompute.identity.lifecycle import KeyRecord
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
from vcompute.settlement.keys import PartyKeys
from vcompute.settlement.receipts import holding_of, unchallenged
from vcompute.settlement.rules import EscrowEvent, EscrowState


class Ledger(Settlement):
    """A settlement over a :class:`~vcompute.settlement.book.Book`."""

    driver = SettlementId.LEDGER

    def __init__(self, book: Book, key: PrivateKey) -> None:
        self.book = book
        self._key = key
        self._parties = PartyKeys(book, key.thumbprint)
        self._escrows = Escrows(book, key, self._parties)

    @property
    def thumbprint(self) -> bytes:
        """The key that signs receipts."""
        return self._key.thumbprint

    @contextmanager
    def group(self) -> Iterator[None]:
        """One transaction around several operations."""
        done = False
        try:
            with self.book.transaction(), self._parties.held():
                yield
            done = True
        finally:
            if not done:
                self._parties.forget()

    def balance(self, party: bytes) -> int:
        """The free balance of a party."""
        return self.book.balance(account(AccountKind.PARTY, self.keys.name_of(party)))

    def holding(self, task: bytes) -> Holding | None:
        """What is held for a task."""
        row = self.book.escrow(task)
        return None if row is None else holding_of(row)

    @property
    def keys(self) -> Keyring:
        """The keys of the parties."""
        return self._parties.ring

    def take(self, record: KeyRecord, now: int) -> bytes:
        """Record a rotation, revocation or enrolment; the party's name.

        Raises:
            EncodingError, ProtocolError: as :meth:`PartyKeys.take`.
        """
        with self.group():
            return self._parties.take(record, now)

    def audit(self) -> AuditReport:
        """Recompute everything from the journal and the evidence."""
        return audit(self.book, self.thumbprint)

    # Operations. Each checks its evidence, then asks the table.

    def fund(self, party: bytes, amount: int, operation: bytes, now: int) -> int:
        """Add to a party's balance, once for each operation id.

        Raises:
            ProtocolError: ``operation_conflict`` where the id was used for another amount or party.
        """
        party = self.keys.name_of(party)
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

    def transfer(self, party: bytes, to: bytes, operation: bytes, now: int) -> int:
        """Move the whole balance of a party whose key is revoked to another party, once for each operation id; what
        was moved. The operator has made sure who the owner is.

        Raises:
            ProtocolError: ``not_due``: the party's key is not revoked; ``terms_not_acceptable``: to itself or to a
                revoked party; ``operation_conflict``: the id was used for others.
        """
        keys = self.keys
        party, to = keys.name_of(party), keys.name_of(to)
        name = operation_id(b"transfer", operation)
        with self.group():
            done = self.book.answer(name)
            if done is not None:
                if done[8:] != party + to:
                    raise refuse("this operation moved something else before", ErrorCode.OPERATION_CONFLICT)
                return int.from_bytes(done[:8], "big")
            if not keys.ended(party):
                raise refuse("the key of the party is not revoked", ErrorCode.NOT_DUE, got=party.hex())
            if to == party or keys.ended(to):
                raise refuse("the balance goes to another party that can use it", ErrorCode.TERMS_NOT_ACCEPTABLE)
            amount = self.balance(party)
            source, target = (account(AccountKind.PARTY, each) for each in (party, to))
            self._escrows.move(EntryKind.TRANSFER, source, target, amount, name, now)
            self.book.store_answer(name, amount.to_bytes(8, "big") + party + to)
            return amount

    def open(self, offer: bytes, now: int) -> Holding:
        """Hold the price of an offer.

        Raises:
            ProtocolError: ``wrong_settlement``, ``deadline_passed``, ``terms_not_acceptable``,
                ``insufficient_funds``, or the envelope's own errors.
        """
        signed = self._parties.open(offer).of(Offer)

        def prepare() -> Prepared:
            self._parties.require_live(offer)
            if signed.body.settlement != self.thumbprint:
                raise refuse("the offer names another settlement", ErrorCode.WRONG_SETTLEMENT)
            check_terms(signed.body, now)
            self._parties.require_names(signed.body)
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
        signed = self._parties.open(accept).of(Accept)

        def prepare() -> Prepared:
            self._parties.require_live(accept)
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
        signed = self._parties.open(progress).of(Progress)

        def prepare() -> Prepared:
            self._parties.require_live(progress)
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
        signed = self._parties.open(result).of(Result)

        def prepare() -> Prepared:
            self._parties.require_live(result)
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
        signed = self._parties.open(record)
        if not isinstance(signed.body, SampleCommit | SampleReveal):
            raise refuse("not a record of a draw", ErrorCode.UNKNOWN_MESSAGE, got=type(signed.body).__name__)
        with self.book.transaction():
            done = self.book.answer(signed.digest)
            if done is not None:
                return decode(Holding, done)
            self._parties.require_live(record)
            row, offer = self._escrows.row(task)
            rules.require_state(row, EscrowState.COMMITTED)
            after = draws.record(row, offer, signed, now, self.keys.name_of)
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
        signed = None if challenge is None else self._parties.open(challenge).of(Challenge)

        def prepare() -> Prepared:
            row, offer = self._escrows.active(task, lease)
            if signed is None:
                rules.check_demand(row, offer, now, self.keys.name_of)
                return replace(row, until=now + offer.verdict_within), EscrowEvent.DEMAND
            if (signed.body.task, signed.body.lease) != (task, lease):
                raise refuse("the challenge is of another lease", ErrorCode.STALE_LEASE)
            self._parties.require_live(signed.data)
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
        signed = self._parties.open(answer).of(Answer)

        def prepare() -> Prepared:
            self._parties.require_live(answer)
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
        signed = self._parties.open(verdict).of(Verdict)
        with self.book.transaction():
            done = self.book.answer(signed.digest)
            if done is not None:
                return decode(Holding, done)
            self._parties.require_live(verdict)
            row, offer = self._escrows.active(signed.body.task, signed.body.lease)
            rules.check_verdict(row, offer, signed, now, self.keys.name_of)
            row = replace(row, verdicts=(*row.verdicts, signed.data))
            event = EscrowEvent.ACCEPT if signed.body.accepted else EscrowEvent.REJECT
            if signed.signer in (offer.fallback or ()):
                return self._escrows.apply(signed.digest, replace(row, verdicts=(signed.data,)), event, now)
            agreeing = [v for v in row.verdicts if self._counts(offer, v, signed.body)]
            if len(agreeing) < offer.quorum:
                self.book.store_escrow(row)
                return self._escrows.answered(signed.digest, holding_of(row))
            return self._escrows.apply(signed.digest, replace(row, verdicts=tuple(agreeing)), event, now)

    def _counts(self, offer: Offer, verdict: bytes, with_: Verdict) -> bool:
        """Whether a recorded verdict counts together with another: its key was not revoked since."""
        known = reopen(verdict).of(Verdict)
        return self.keys.revoked_at(known.signer) is None and _agree(offer, known.body, with_)

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
                rules.check_release(row, lease, evidence, self.keys)
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
                rules.check_cancellation(row, evidence, self.keys)
            return row, EscrowEvent.REFUND

        return self._escrows.once(operation_id(b"refund", task), now, prepare)


def _agree(offer: Offer, one: Verdict, other: Verdict) -> bool:
    """Whether two verdicts count together; a certificate is on one basis."""
    same_basis = offer.verifier_set is None or one.basis is other.basis
    return one.accepted is other.accepted and same_basis
