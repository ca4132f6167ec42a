# SPDX-License-Identifier: Apache-2.0
"""The worker's side of its tasks."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Enum as EnumKind
from vcompute.codec import Uint, field
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages import (
    Accept,
    Assign,
    BlobRef,
    Cancel,
    Decline,
    Message,
    Offer,
    Progress,
    Receipt,
    Result,
    Signed,
    SuiteChoice,
    Yield,
    open_message,
    reopen,
    seal,
)
from vcompute.messages.flow import ENVELOPE, LONG_ENVELOPE
from vcompute.messages.primitives import DIGEST, TIME
from vcompute.policy.receipt import check_receipt
from vcompute.policy.verification import check_terms
from vcompute.registry import ErrorCode, Outcome, YieldReason
from vcompute.session.actions import Abort, Action, Closed, Job, Publish, Run, Save, Send
from vcompute.session.timers import Timers, resend_after


@unique
class WorkerState(IntEnum):
    """Where a task stands for a worker."""

    IDLE = 0
    WORKING = 1
    COMMITTED = 2
    PAID = 3
    SLASHED = 4
    RELEASED = 5


@unique
class WorkerEvent(Enum):
    """What happens to a worker's task."""

    TAKE = "a new assignment, taken"
    REFUSE = "a new assignment, not taken"
    ASSIGN_AGAIN = "the same assignment again"
    COMPUTED = "outputs and proof are there"
    FAILED = "the work could not be done"
    STOP = "the device must stop"
    CANCEL = "the lease or task was ended"
    PAID = "receipt: paid"
    SLASHED = "receipt: slashed"
    RETURNED = "receipt: bond returned"
    RENEW = "time to renew the lease"
    RESEND = "no answer yet"
    EXPIRED = "nothing more can come"


@unique
class WorkerEffect(Enum):
    """What a worker does about it."""

    ACCEPT = "send Accept"
    DECLINE = "send Decline"
    START = "start the work"
    ABORT = "stop the work"
    COMMIT = "send Result, upload outputs and proof"
    YIELD = "send Yield"
    RENEW = "send Progress"
    REPEAT = "send the last message again"
    CLOSE = "the task is over here"
    IGNORE = "nothing"


_S, _E, _A = WorkerState, WorkerEvent, WorkerEffect
_TAKE = Rule(_S.WORKING, (_A.ACCEPT, _A.START))
_REFUSE = Rule(_S.IDLE, (_A.DECLINE,))
_DROP = Rule(_S.RELEASED, (_A.ABORT, _A.CLOSE))
_CLOSE = (_A.CLOSE,)

WORKER_TABLE: Final = Table(
    "worker",
    {
        _S.IDLE: StateInfo("none needed: nothing is held", Owner.NONE, "no lease"),
        _S.WORKING: StateInfo("lease", Owner.REQUESTER_AND_WORKER, "the work is under way"),
        _S.COMMITTED: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the result is sent, no receipt yet"),
        _S.PAID: StateInfo("final", Owner.WORKER, "paid"),
        _S.SLASHED: StateInfo("final", Owner.REQUESTER, "the bond is lost"),
        _S.RELEASED: StateInfo("final", Owner.REQUESTER_AND_WORKER, "the lease ended without fault"),
    },
    WorkerEvent,
    {
        **{(state, _E.TAKE): _TAKE for state in (_S.IDLE, _S.COMMITTED, _S.RELEASED, _S.SLASHED)},
        **{(state, _E.REFUSE): _REFUSE for state in (_S.IDLE, _S.RELEASED, _S.SLASHED)},
        (_S.WORKING, _E.TAKE): Rule(_S.WORKING, (_A.ABORT, _A.ACCEPT, _A.START)),
        (_S.WORKING, _E.REFUSE): Rule(_S.RELEASED, (_A.ABORT, _A.DECLINE, _A.CLOSE)),
        (_S.WORKING, _E.COMPUTED): Rule(_S.COMMITTED, (_A.COMMIT,)),
        (_S.WORKING, _E.FAILED): Rule(_S.RELEASED, (_A.YIELD, _A.CLOSE)),
        (_S.WORKING, _E.STOP): Rule(_S.RELEASED, (_A.ABORT, _A.YIELD, _A.CLOSE)),
        (_S.WORKING, _E.CANCEL): _DROP,
        (_S.WORKING, _E.RETURNED): _DROP,
        (_S.WORKING, _E.EXPIRED): _DROP,
        (_S.WORKING, _E.RENEW): Rule(_S.WORKING, (_A.RENEW,)),
        (_S.COMMITTED, _E.REFUSE): Rule(_S.COMMITTED, (_A.DECLINE,)),
        (_S.COMMITTED, _E.RESEND): Rule(_S.COMMITTED, (_A.REPEAT,)),
        (_S.COMMITTED, _E.CANCEL): Rule(_S.RELEASED, _CLOSE),
        (_S.COMMITTED, _E.RETURNED): Rule(_S.RELEASED, _CLOSE),
        (_S.COMMITTED, _E.EXPIRED): Rule(_S.RELEASED, _CLOSE),
        **{(state, _E.PAID): Rule(_S.PAID, _CLOSE) for state in (_S.COMMITTED, _S.RELEASED)},
        **{(state, _E.SLASHED): Rule(_S.SLASHED, _CLOSE) for state in (_S.COMMITTED, _S.RELEASED)},
    },
    {**dict.fromkeys(WorkerEvent, (_A.IGNORE,)), _E.ASSIGN_AGAIN: (_A.REPEAT,)},
)
"""A worker's transitions for one task."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """What a worker keeps of a task."""

    task: bytes = field(0, DIGEST, "task")
    state: WorkerState = field(1, EnumKind(WorkerState), "state")
    offer: bytes = field(2, ENVELOPE, "the signed Offer")
    attempt: int = field(3, Uint(32), "latest attempt assigned")
    since: int = field(4, TIME, "when the state was entered or the lease renewed")
    renewals: int = field(5, Uint(32), "Progress messages sent")
    accept: bytes | None = field(6, ENVELOPE, "the signed Accept", optional=True)
    last: bytes | None = field(7, ENVELOPE, "the last message sent", optional=True)
    receipt: bytes | None = field(8, LONG_ENVELOPE, "the signed Receipt", optional=True)

    @property
    def lease(self) -> bytes | None:
        """The name of the lease."""
        return None if self.accept is None else hashlib.sha256(self.accept).digest()


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


class WorkerSession:
    """All tasks of one worker.

    ``willing(offer, now)`` raises a ProtocolError with the reason where the worker does not take an offer.
    """

    def __init__(self, key: PrivateKey, willing: Callable[[Signed[Offer], int], None]) -> None:
        self._key = key
        self._willing = willing
        self.records: dict[bytes, WorkerRecord] = {}
        self.timers: Timers[bytes] = Timers()
        self._tries: dict[bytes, int] = {}
        self._reason = YieldReason.UNKNOWN
        self._code = ErrorCode.TERMS_NOT_ACCEPTABLE
        self._product: Product | None = None

    @property
    def active(self) -> list[WorkerRecord]:
        """The tasks under way."""
        return [record for record in self.records.values() if record.state is WorkerState.WORKING]

    def restore(self, records: Iterable[WorkerRecord], now: int) -> list[Action]:
        """Go on after a restart: work under way starts again, what is unanswered is sent again."""
        actions: list[Action] = []
        for record in records:
            self.records[record.task] = record
            if record.state is WorkerState.WORKING:
                actions.append(Run(self._job(record)))
                self._set_timer(record, now)
            elif record.state is WorkerState.COMMITTED:
                actions += self._apply(record, WorkerEvent.RESEND, now)
        return actions

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from the coordinator.

        Raises:
            ProtocolError: the message is refused.
        """
        match message.body:
            case Assign():
                return self._assigned(message.body, now)
            case Cancel(task, _, lease):
                record = self.records.get(task)
                if record is None or (lease is not None and lease != record.lease):
                    return []
                return self._apply(record, WorkerEvent.CANCEL, now)
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

    def stop(self, reason: YieldReason, now: int) -> list[Action]:
        """The device must stop: give every lease back."""
        self._reason = reason
        actions: list[Action] = []
        for record in self.active:
            actions += self._apply(record, WorkerEvent.STOP, now)
        return actions

    def tick(self, now: int) -> list[Action]:
        """Time has passed."""
        actions: list[Action] = []
        for task in self.timers.due(now):
            record = self.records[task]
            actions += self._apply(record, self._timed(record, now), now)
        return actions

    # From messages to events.

    def _assigned(self, assign: Assign, now: int) -> list[Action]:
        offer = open_message(assign.offer).of(Offer)
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
            self._willing(offer, now)
        except ProtocolError as error:
            self._code = error.code
            return self._apply(record, WorkerEvent.REFUSE, now)
        return self._apply(record, WorkerEvent.TAKE, now)

    def _received(self, receipt: Signed[Receipt], now: int) -> list[Action]:
        record = self.records.get(receipt.body.task)
        if record is None or receipt.body.lease is None or receipt.body.lease != record.lease:
            return []
        check_receipt(receipt, reopen(record.offer).of(Offer))
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
        over = now >= record.since + offer.verdict_within + _GRACE
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
        return [Save(_KIND, record.task, record), *actions]

    def _effect(self, effect: WorkerEffect, record: WorkerRecord, actions: list[Action]) -> WorkerRecord:
        task, lease = record.task, record.lease or bytes(32)
        match effect:
            case WorkerEffect.ACCEPT:
                bond = reopen(record.offer).of(Offer).body.bond
                accept = seal(self._key, Accept(task, record.attempt, bond)).data
                actions.append(Send(None, accept))
                return replace(record, accept=accept, last=accept, renewals=0, receipt=None)
            case WorkerEffect.DECLINE:
                return self._say(record, Decline(task, record.attempt, self._code), actions)
            case WorkerEffect.YIELD:
                return self._say(record, Yield(task, lease, self._reason), actions)
            case WorkerEffect.RENEW:
                # The Accept may have been lost: it goes along with the first renewals.
                if record.renewals < 3 and record.accept is not None:
                    actions.append(Send(None, record.accept))
                step = Progress(task, lease, record.renewals + 1, 0)
                actions.append(Send(None, seal(self._key, step).data))
                return replace(record, renewals=record.renewals + 1)
            case WorkerEffect.COMMIT:
                return self._commit(record, lease, actions)
            case WorkerEffect.REPEAT:
                self._repeat(record, actions)
            case WorkerEffect.START:
                actions.append(Run(self._job(record)))
            case WorkerEffect.ABORT:
                actions.append(Abort(lease))
            case WorkerEffect.CLOSE:
                actions.append(Closed(task))
            case WorkerEffect.IGNORE:
                pass
        return record

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
        actions.append(Publish(record.task, _blobs(body)))
        return record

    def _repeat(self, record: WorkerRecord, actions: list[Action]) -> None:
        if record.last is None:
            return
        actions.append(Send(None, record.last))
        if record.state is WorkerState.COMMITTED:
            actions.append(Publish(record.task, _blobs(reopen(record.last).of(Result).body)))

    def _job(self, record: WorkerRecord) -> Job:
        offer = reopen(record.offer).of(Offer)
        return Job(record.task, record.lease or bytes(32), self._key.thumbprint, offer)

    def _set_timer(self, record: WorkerRecord, now: int) -> None:
        time: int | None = None
        if record.state is WorkerState.WORKING:
            lease = reopen(record.offer).of(Offer).body.lease
            time = now + max(lease // 3, 1)
        elif record.state is WorkerState.COMMITTED:
            tries = self._tries[record.task] = self._tries.get(record.task, -1) + 1
            time = now + resend_after(tries)
        self.timers.set(record.task, time)


def _blobs(result: Result) -> tuple[BlobRef, ...]:
    return (result.outputs,) if result.proof is None else (result.outputs, result.proof)
