# SPDX-License-Identifier: Apache-2.0
"""The worker's side of its tasks."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.identity.confidential import reader_key
from vcompute.identity.hpke import public_bytes
from vcompute.messages import (
    Accept,
    Answer,
    Assign,
    BlobRef,
    Cancel,
    Challenge,
    Decline,
    Draw,
    Keys,
    Message,
    Offer,
    OnChallenge,
    Opening,
    Progress,
    Reader,
    Receipt,
    Result,
    Sampled,
    Signed,
    SuiteChoice,
    Yield,
    by_name,
    reopen,
    seal,
)
from vcompute.policy.receipt import check_receipt
from vcompute.policy.sampling import RoundState, SamplingRound
from vcompute.policy.verification import appeal_of, check_terms, owes_proof
from vcompute.registry import ErrorCode, Outcome, Role, YieldReason
from vcompute.session.actions import Abort, Action, Closed, Job, Prove, Publish, Run, Save, Send
from vcompute.session.identity import ClientIdentity
from vcompute.session.shelf import MAX_CLOSED, Shelf
from vcompute.session.timers import Timers, resend_after
from vcompute.session.worker_table import WORKER_TABLE, WorkerEffect, WorkerEvent, WorkerRecord, WorkerState


@dataclass(frozen=True, slots=True)
class Product:
    """What a worker has to show for a job."""

    outputs: BlobRef
    suite: SuiteChoice
    proof: BlobRef | None
    energy: int | None = None


_GRACE: Final = 60_000
"""How long after the verdict's window a worker still waits for a receipt."""
_KIND: Final = "worker"
_SENT: Final = (WorkerState.COMMITTED, WorkerState.PROVING, WorkerState.ANSWERED)


class WorkerSession:
    """All tasks of one worker.

    ``willing(offer, now)`` raises a ProtocolError with the reason where the worker does not take an offer.
    """

    def __init__(
        self,
        key: PrivateKey,
        willing: Callable[[Signed[Offer], int], None],
        seed: bytes | None = None,
        *,
        who: ClientIdentity | None = None,
        recall: Callable[[bytes], WorkerRecord | None] = lambda _: None,
        closed: int = MAX_CLOSED,
    ) -> None:
        """``seed``: at least 32 secret bytes that keys for confidential inputs come from; None to decline them.
        ``who``: the party's name and what it knows of others, where the key is not its first; ``recall`` reads back
        what was stored of a task, or gives None; ``closed`` records stay in memory."""
        self._seed = seed
        self._key = key
        self._who = who or ClientIdentity(key)
        self._willing = willing
        self.records = Shelf(_closed, recall, closed)
        self.timers: Timers[bytes] = Timers()
        self._tries: dict[bytes, int] = {}
        self._reason = YieldReason.UNKNOWN
        self._code = ErrorCode.TERMS_NOT_ACCEPTABLE
        self._product: Product | None = None
        self._proof: BlobRef | None = None

    @property
    def active(self) -> list[WorkerRecord]:
        """The tasks under way."""
        return [record for record in self.records.under_way if record.state is WorkerState.WORKING]

    def restore(self, records: Iterable[WorkerRecord], now: int) -> list[Action]:
        """Go on after a restart: work under way starts again, what is unanswered is sent again."""
        actions: list[Action] = []
        for record in records:
            self.records[record.task] = record
            if record.state is WorkerState.WORKING:
                actions.append(self._start(record))
                self._set_timer(record, now)
            elif record.state in _SENT:
                actions += self._apply(record, WorkerEvent.RESEND, now)
        return actions

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from the coordinator.

        Raises:
            ProtocolError: the message is refused.
        """
        message = by_name(message, self._who.name_of)
        match message.body:
            case Keys():
                self._who.learn(message.body, now)
                return []
            case Assign():
                return self._assigned(message.body, now)
            case Cancel(task, _, lease):
                record = self.records.get(task)
                if record is None or (lease is not None and lease != record.lease):
                    return []
                return self._apply(record, WorkerEvent.CANCEL, now)
            case Challenge():
                return self._challenged(message.of(Challenge), now)
            case Draw():
                return self._drawn(message.body, now)
            case Opening():
                return self._opened(message.of(Opening), now)
            case Receipt():
                return self._received(message.of(Receipt), now)
            case _:
                raise ProtocolError(
                    f"a worker does not take a {type(message.body).__name__}", code=ErrorCode.UNEXPECTED_MESSAGE
                )

    def computed(self, lease: bytes, product: Product, now: int) -> list[Action]:
        """The work of a lease is done."""
        self._product = product
        return self._of_lease(lease, WorkerEvent.COMPUTED, now)

    def failed(self, lease: bytes, reason: YieldReason, now: int) -> list[Action]:
        """The work of a lease could not be done."""
        self._reason = reason
        return self._of_lease(lease, WorkerEvent.FAILED, now)

    def proved(self, lease: bytes, proof: BlobRef | None, now: int) -> list[Action]:
        """The proof of a lease's result is there."""
        self._proof = proof
        for record in self.records.under_way:
            if record.state is WorkerState.PROVING and record.lease == lease:
                return self._apply(record, WorkerEvent.PROVED, now)
        return []

    def stop(self, reason: YieldReason, now: int) -> list[Action]:
        """The device must stop: give every lease back."""
        self._reason = reason
        actions: list[Action] = []
        for record in self.active:
            actions += self._apply(record, WorkerEvent.STOP, now)
        return actions

    def tick(self, now: int) -> list[Action]:
        """Time has passed; the driver has done everything that earlier steps asked of it."""
        self.records.trim()
        actions: list[Action] = []
        for task in self.timers.due(now):
            record = self.records[task]
            actions += self._apply(record, self._timed(record, now), now)
        return actions

    # From messages to events.

    def _assigned(self, assign: Assign, now: int) -> list[Action]:
        offer = self._who.open(assign.offer).of(Offer)
        record = self.records.get(offer.digest)
        if record is None:
            record = WorkerRecord(offer.digest, WorkerState.IDLE, offer.data, 0, now, 0)
        if assign.attempt < record.attempt:
            return []
        if assign.attempt == record.attempt:
            return self._apply(record, WorkerEvent.ASSIGN_AGAIN, now)
        record = replace(record, attempt=assign.attempt)
        try:
            if assign.escrow < offer.body.price:
                raise ProtocolError("the escrow does not cover the price", code=ErrorCode.INSUFFICIENT_FUNDS)
            check_terms(offer.body, now)
            self.records.require_place()
            if offer.body.confidential is not None and self._seed is None:
                raise ProtocolError("no confidential inputs here", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
            self._willing(offer, now)
        except ProtocolError as error:
            self._code = error.code
            return self._apply(record, WorkerEvent.REFUSE, now)
        return self._apply(record, WorkerEvent.TAKE, now)

    def _challenged(self, challenge: Signed[Challenge], now: int) -> list[Action]:
        """Anyone asks for the proof of a result; the settlement has the stake."""
        body = challenge.body
        record = self.records.get(body.task)
        if record is None or record.result is None or body.lease != record.lease:
            return []
        if body.result != hashlib.sha256(record.result).digest():
            raise ProtocolError("the challenge is of another result", code=ErrorCode.STATEMENT_MISMATCH)
        if not isinstance(reopen(record.offer).of(Offer).body.policy, OnChallenge):
            raise ProtocolError("the offer's policy has no challenges", code=ErrorCode.UNEXPECTED_MESSAGE)
        return self._apply(record, WorkerEvent.ASKED, now)

    def _opened(self, opening: Signed[Opening], now: int) -> list[Action]:
        """The requester's opening of the inputs, for this worker and lease."""
        body = opening.body
        record = self.records.get(body.task)
        if record is None or body.lease != record.lease or record.opening is not None:
            return []
        opening.require_signer(self._who.reopen(record.offer).signer)
        if body.reader != self._who.name:
            raise ProtocolError("an opening for another reader", code=ErrorCode.UNEXPECTED_MESSAGE)
        return self._apply(replace(record, opening=opening.data), WorkerEvent.OPENED, now)

    def _drawn(self, draw: Draw, now: int) -> list[Action]:
        """The draw is over; it asks for the proof unless every party's nonce spares the result."""
        record = self.records.get(draw.task)
        if record is None or record.result is None or draw.lease != record.lease or not draw.closed:
            return []
        offer = self._who.reopen(record.offer).of(Offer)
        policy = offer.body.policy
        if not isinstance(policy, Sampled) or not owes_proof(policy, reopen(record.result).of(Result).body):
            raise ProtocolError("no draw asks for this proof", code=ErrorCode.UNEXPECTED_MESSAGE)
        parties = frozenset({offer.signer, *offer.body.verifiers})
        names = self._who.name_of
        state = SamplingRound.replay(record.result, parties, policy.rate, draw.commits, draw.reveals, names).state
        return [] if state is RoundState.NOT_SAMPLED else self._apply(record, WorkerEvent.ASKED, now)

    def _received(self, receipt: Signed[Receipt], now: int) -> list[Action]:
        record = self.records.get(receipt.body.task)
        if record is None or receipt.body.lease is None or receipt.body.lease != record.lease:
            return []
        check_receipt(receipt, reopen(record.offer).of(Offer), self._who.keys)
        event = {
            Outcome.PAID: WorkerEvent.PAID,
            Outcome.SLASHED: WorkerEvent.SLASHED,
            Outcome.RETURNED: WorkerEvent.RETURNED,
        }.get(receipt.body.outcome)
        if event is None:
            return []
        return self._apply(replace(record, receipt=receipt.data), event, now)

    def _of_lease(self, lease: bytes, event: WorkerEvent, now: int) -> list[Action]:
        for record in self.active:
            if record.lease == lease:
                return self._apply(record, event, now)
        return []

    def _timed(self, record: WorkerRecord, now: int) -> WorkerEvent:
        offer = reopen(record.offer).of(Offer).body
        if record.state is WorkerState.WORKING:
            return WorkerEvent.EXPIRED if now >= offer.deadline else WorkerEvent.RENEW
        over = now >= record.since + _patience(record.state, offer) + _GRACE
        return WorkerEvent.EXPIRED if over else WorkerEvent.RESEND

    # From events to actions.

    def _apply(self, record: WorkerRecord, event: WorkerEvent, now: int) -> list[Action]:
        rule = WORKER_TABLE.rule(record.state, event)
        if rule.effects == (WorkerEffect.IGNORE,):
            return []
        if rule.to is not record.state:
            record = replace(record, state=rule.to, since=now)
            self._tries.pop(record.task, None)
        actions: list[Action] = []
        for effect in rule.effects:
            record = self._effect(effect, record, actions)
        self.records[record.task] = record
        self._set_timer(record, now)
        return [Save(_KIND, record.task, record, _closed(record)), *actions]

    def _effect(self, effect: WorkerEffect, record: WorkerRecord, actions: list[Action]) -> WorkerRecord:
        task, lease = record.task, record.lease or bytes(32)
        match effect:
            case WorkerEffect.ACCEPT:
                bond = reopen(record.offer).of(Offer).body.bond
                accept = seal(self._key, Accept(task, record.attempt, bond)).data
                actions.append(Send(None, accept))
                return replace(record, accept=accept, last=accept, renewals=0, receipt=None, result=None, opening=None)
            case WorkerEffect.DECLINE:
                return self._say(record, Decline(task, record.attempt, self._code), actions)
            case WorkerEffect.YIELD:
                return self._say(record, Yield(task, lease, self._reason), actions)
            case WorkerEffect.RENEW:
                return self._renew(record, lease, actions)
            case WorkerEffect.COMMIT:
                return self._commit(record, lease, actions)
            case WorkerEffect.PROVE | WorkerEffect.ANSWER:
                return self._answer(effect, record, lease, actions)
            case WorkerEffect.REPEAT:
                self._repeat(record, actions)
            case WorkerEffect.START:
                actions.append(self._start(record))
            case WorkerEffect.ABORT:
                actions.append(Abort(lease))
            case WorkerEffect.CLOSE:
                actions.append(Closed(task))
            case _:
                pass
        return record

    def _renew(self, record: WorkerRecord, lease: bytes, actions: list[Action]) -> WorkerRecord:
        # The Accept may have been lost: it goes along with the first renewals.
        if record.renewals < 3 and record.accept is not None:
            actions.append(Send(None, record.accept))
        if self._waits(record):
            actions.append(self._start(record))
        step = Progress(record.task, lease, record.renewals + 1, 0)
        actions.append(Send(None, seal(self._key, step).data))
        return replace(record, renewals=record.renewals + 1)

    def _say(self, record: WorkerRecord, body: Message, actions: list[Action]) -> WorkerRecord:
        data = seal(self._key, body).data
        actions.append(Send(None, data))
        return replace(record, last=data)

    def _commit(self, record: WorkerRecord, lease: bytes, actions: list[Action]) -> WorkerRecord:
        product = self._product
        if product is None:
            return record
        body = Result(record.task, lease, product.outputs, product.suite, product.proof, product.energy)
        record = self._say(record, body, actions)
        record = replace(record, result=record.last)
        actions.append(Publish(record.task, self._uploads(record)))
        return record

    def _answer(self, effect: WorkerEffect, record: WorkerRecord, lease: bytes, actions: list[Action]) -> WorkerRecord:
        if record.result is None:
            return record
        result = reopen(record.result).of(Result)
        if effect is WorkerEffect.PROVE:
            actions.append(Prove(self._job(record), result))
            return record
        record = self._say(record, Answer(record.task, lease, result.digest, self._proof), actions)
        actions.append(Publish(record.task, self._uploads(record)))
        return record

    def _repeat(self, record: WorkerRecord, actions: list[Action]) -> None:
        if record.last is None:
            return
        actions.append(Send(None, record.last))
        if record.state in _SENT:
            actions.append(Publish(record.task, self._uploads(record)))

    @staticmethod
    def _uploads(record: WorkerRecord) -> tuple[BlobRef, ...]:
        """What the result and the answer name."""
        if record.result is None:
            return ()
        result = reopen(record.result).of(Result).body
        said = None if record.last is None else reopen(record.last).body
        proof = said.proof if isinstance(said, Answer) else result.proof
        return (result.outputs,) if proof is None else (result.outputs, proof)

    def _job(self, record: WorkerRecord) -> Job:
        offer = self._who.reopen(record.offer).of(Offer)
        opening = None if record.opening is None else reopen(record.opening).of(Opening)
        return Job(record.task, record.lease or bytes(32), self._who.name, offer, opening)

    @staticmethod
    def _waits(record: WorkerRecord) -> bool:
        """Whether the inputs are confidential and not opened yet."""
        return record.opening is None and reopen(record.offer).of(Offer).body.confidential is not None

    def _start(self, record: WorkerRecord) -> Action:
        """The work, or the request for the opening of its inputs."""
        if not self._waits(record):
            return Run(self._job(record))
        lease = record.lease or bytes(32)
        key = public_bytes(reader_key(self._seed or b"", lease).public_key())
        return Send(None, seal(self._key, Reader(record.task, lease, Role.WORKER, key)).data)

    def _set_timer(self, record: WorkerRecord, now: int) -> None:
        time: int | None = None
        if record.state is WorkerState.WORKING:
            lease = reopen(record.offer).of(Offer).body.lease
            time = now + max(lease // 3, 1)
        elif record.state in _SENT:
            tries = self._tries[record.task] = self._tries.get(record.task, -1) + 1
            time = now + resend_after(tries)
        self.timers.set(record.task, time)


def _closed(record: WorkerRecord) -> bool:
    """Whether nothing is held or expected under a record: what was declined is over as well."""
    return record.state is WorkerState.IDLE or WORKER_TABLE.final(record.state)


def _patience(state: WorkerState, offer: Offer) -> int:
    """How long a state may last before the settlement has ended it."""
    policy = offer.policy
    if isinstance(policy, OnChallenge) and state is not WorkerState.ANSWERED:
        return policy.window if state is WorkerState.COMMITTED else policy.answer_within
    return offer.verdict_within + appeal_of(offer)
