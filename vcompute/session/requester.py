# SPDX-License-Identifier: Apache-2.0
"""The requester's side of its tasks."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Enum as EnumKind
from vcompute.codec import Record, Uint, field
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages import (
    Accept,
    BlobRef,
    Cancel,
    Decline,
    Keys,
    Message,
    Offer,
    Opening,
    Reader,
    Receipt,
    Result,
    Signed,
    by_name,
    reopen,
    seal,
)
from vcompute.messages.flow import ENVELOPE, LONG_ENVELOPE
from vcompute.messages.primitives import CODE, DIGEST
from vcompute.policy.receipt import check_receipt
from vcompute.registry import ErrorCode, Outcome, Role
from vcompute.session.actions import Action, Closed, Publish, Save, Seal, Send, Stage
from vcompute.session.coordinator_messages import contents
from vcompute.session.identity import ClientIdentity
from vcompute.session.shelf import MAX_CLOSED, Shelf
from vcompute.session.timers import Timers, resend_after


@unique
class RequesterState(IntEnum):
    """Where a task stands for its requester."""

    OFFERED = 1
    RUNNING = 2
    CANCELLING = 3
    FETCHING = 4
    DONE = 5
    REFUNDED = 6
    REFUSED = 7


@unique
class RequesterEvent(Enum):
    """What happens to a requester's task."""

    OFFER = "the user offers it, or tries again"
    ACCEPTED = "a worker took it"
    DECLINED = "the coordinator or settlement refused it"
    PAID = "receipt: paid"
    SLASHED = "receipt: a result was refused"
    RETURNED = "receipt: a lease ended without fault"
    REFUNDED = "receipt: refunded"
    FETCHED = "the outputs are here"
    CANCEL = "the user cancels"
    RESEND = "no end yet"


@unique
class RequesterEffect(Enum):
    """What a requester does about it."""

    OFFER = "send Offer, upload model and inputs"
    CANCEL = "send Cancel"
    FETCH = "fetch the outputs"
    COUNT_REJECTED = "count a refused result"
    COUNT_MOVED = "count a lease that ended"
    CLOSE = "the task is over here"
    IGNORE = "nothing"


_S, _E, _A = RequesterState, RequesterEvent, RequesterEffect
_OPEN = (_S.OFFERED, _S.RUNNING, _S.CANCELLING)

REQUESTER_TABLE: Final = Table(
    "requester",
    {
        _S.OFFERED: StateInfo("deadline", Owner.REQUESTER, "offered, no worker known"),
        _S.RUNNING: StateInfo("lease, verdict_within, deadline", Owner.REQUESTER_AND_WORKER, "a worker works"),
        _S.CANCELLING: StateInfo("deadline", Owner.REQUESTER_AND_WORKER, "cancelled, no receipt yet"),
        _S.FETCHING: StateInfo("none needed: the money moved", Owner.WORKER, "paid, the outputs are on their way"),
        _S.DONE: StateInfo("final", Owner.WORKER, "paid, the outputs are here"),
        _S.REFUNDED: StateInfo("final", Owner.REQUESTER, "the price is back"),
        _S.REFUSED: StateInfo("final", Owner.REQUESTER, "never opened"),
    },
    RequesterEvent,
    {
        (_S.OFFERED, _E.OFFER): Rule(_S.OFFERED, (_A.OFFER,)),
        (_S.REFUSED, _E.OFFER): Rule(_S.OFFERED, (_A.OFFER,)),
        (_S.OFFERED, _E.ACCEPTED): Rule(_S.RUNNING, ()),
        (_S.OFFERED, _E.DECLINED): Rule(_S.REFUSED, (_A.CLOSE,)),
        **{(state, _E.PAID): Rule(_S.FETCHING, (_A.FETCH,)) for state in _OPEN},
        **{(state, _E.REFUNDED): Rule(_S.REFUNDED, (_A.CLOSE,)) for state in _OPEN},
        (_S.OFFERED, _E.SLASHED): Rule(_S.OFFERED, (_A.COUNT_REJECTED,)),
        (_S.RUNNING, _E.SLASHED): Rule(_S.OFFERED, (_A.COUNT_REJECTED,)),
        (_S.CANCELLING, _E.SLASHED): Rule(_S.CANCELLING, (_A.COUNT_REJECTED,)),
        (_S.OFFERED, _E.RETURNED): Rule(_S.OFFERED, (_A.COUNT_MOVED,)),
        (_S.RUNNING, _E.RETURNED): Rule(_S.OFFERED, (_A.COUNT_MOVED,)),
        (_S.OFFERED, _E.CANCEL): Rule(_S.CANCELLING, (_A.CANCEL,)),
        (_S.RUNNING, _E.CANCEL): Rule(_S.CANCELLING, (_A.CANCEL,)),
        (_S.OFFERED, _E.RESEND): Rule(_S.OFFERED, (_A.OFFER,)),
        (_S.RUNNING, _E.RESEND): Rule(_S.RUNNING, (_A.OFFER,)),
        (_S.CANCELLING, _E.RESEND): Rule(_S.CANCELLING, (_A.OFFER, _A.CANCEL)),
        (_S.CANCELLING, _E.DECLINED): Rule(_S.REFUSED, (_A.CLOSE,)),
        (_S.FETCHING, _E.RESEND): Rule(_S.FETCHING, (_A.FETCH,)),
        (_S.FETCHING, _E.FETCHED): Rule(_S.DONE, (_A.CLOSE,)),
    },
    dict.fromkeys(RequesterEvent, (_A.IGNORE,)),
)
"""A requester's transitions for one task."""


@dataclass(frozen=True, slots=True)
class RequesterRecord:
    """What a requester keeps of a task."""

    task: bytes = field(0, DIGEST, "task")
    state: RequesterState = field(1, EnumKind(RequesterState), "state")
    offer: bytes = field(2, ENVELOPE, "the signed Offer")
    rejected: int = field(3, Uint(32), "results refused")
    moved: int = field(4, Uint(32), "leases that ended without a result")
    seen: int = field(5, Uint(53), "last journal entry a receipt named")
    receipt: bytes | None = field(6, LONG_ENVELOPE, "the signed Receipt that ended it", optional=True)
    cancel: bytes | None = field(7, ENVELOPE, "the signed Cancel", optional=True)
    code: ErrorCode | None = field(8, CODE, "why it was refused", optional=True)
    accept: bytes | None = field(9, ENVELOPE, "the latest signed Accept", optional=True)
    salt: bytes | None = field(10, DIGEST, "salt of confidential inputs", optional=True)
    inputs: BlobRef | None = field(11, Record(BlobRef), "confidential inputs in the clear, held here", optional=True)

    @property
    def result(self) -> Result | None:
        """The result paid for."""
        receipt = None if self.receipt is None else reopen(self.receipt).of(Receipt).body
        return None if receipt is None or receipt.result is None else reopen(receipt.result).of(Result).body


_KIND: Final = "requester"


def _closed(record: RequesterRecord) -> bool:
    return REQUESTER_TABLE.final(record.state)


class RequesterSession:
    """All tasks of one requester."""

    def __init__(
        self,
        key: PrivateKey,
        *,
        who: ClientIdentity | None = None,
        recall: Callable[[bytes], RequesterRecord | None] = lambda _: None,
        closed: int = MAX_CLOSED,
    ) -> None:
        """``who``: the party's name and what it knows of others, where the key is not its first;
        ``recall`` reads back what was stored of a task, or gives None; ``closed`` records stay in memory."""
        self._key = key
        self._who = who or ClientIdentity(key)
        self.records = Shelf(_closed, recall, closed)
        self.timers: Timers[bytes] = Timers()
        self._tries: dict[bytes, int] = {}

    def restore(self, records: Iterable[RequesterRecord], now: int) -> list[Action]:
        """Go on after a restart."""
        actions: list[Action] = []
        for record in records:
            self.records[record.task] = record
            if not _closed(record):
                actions += self._apply(record, RequesterEvent.RESEND, now)
        return actions

    def offer(
        self, offer: Signed[Offer], now: int, salt: bytes | None = None, inputs: BlobRef | None = None
    ) -> list[Action]:
        """Offer a task; the same offer again is the same task. Confidential inputs come with their salt."""
        record = self.records.get(offer.digest)
        if record is None:
            record = RequesterRecord(
                offer.digest, RequesterState.OFFERED, offer.data, 0, 0, 0, salt=salt, inputs=inputs
            )
        return self._apply(record, RequesterEvent.OFFER, now)

    def cancel(self, task: bytes, now: int) -> list[Action]:
        """Cancel a task; it ends with a receipt, refunded or, where a result was already judged, paid.

        Raises:
            ProtocolError: ``unknown_task``.
        """
        return self._apply(self.records[task], RequesterEvent.CANCEL, now)

    def fetched(self, task: bytes, now: int) -> list[Action]:
        """The outputs of a paid task are here."""
        return self._apply(self.records[task], RequesterEvent.FETCHED, now)

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
            case Accept(task=task):
                return self._accepted(task, message.data, now)
            case Reader():
                return self._asked(message.of(Reader))
            case Decline(task, 0, code, _):
                record = self.records.get(task)
                return [] if record is None else self._apply(replace(record, code=code), RequesterEvent.DECLINED, now)
            case Receipt():
                return self._received(message.of(Receipt), now)
            case _:
                raise ProtocolError(
                    f"a requester does not take a {type(message.body).__name__}", code=ErrorCode.UNEXPECTED_MESSAGE
                )

    def tick(self, now: int) -> list[Action]:
        """Time has passed; the driver has done everything that earlier steps asked of it."""
        self.records.trim()
        actions: list[Action] = []
        for task in self.timers.due(now):
            actions += self._apply(self.records[task], RequesterEvent.RESEND, now)
        return actions

    def sealed(self, seal_: Seal, blob: BlobRef) -> list[Action]:
        """The inputs are sealed for a reader."""
        body = Opening(seal_.task, seal_.lease, seal_.reader, blob)
        return [Publish(seal_.task, (blob,)), Send(None, seal(self._key, body).data)]

    def _accepted(self, task: bytes, data: bytes, now: int) -> list[Action]:
        record = self.records.get(task)
        if record is None:
            return []
        if record.state in _OPEN and record.accept != data:
            record = self.records[task] = replace(record, accept=data)
            return [Save(_KIND, task, record), *self._apply(record, RequesterEvent.ACCEPTED, now)]
        return self._apply(record, RequesterEvent.ACCEPTED, now)

    def _asked(self, reader: Signed[Reader]) -> list[Action]:
        """A reader of confidential inputs: the worker whose Accept is known, or a verifier that the offer admits.

        Raises:
            ProtocolError: ``unexpected_signer``.
        """
        body = reader.body
        record = self.records.get(body.task)
        if record is None or record.state not in _OPEN or record.accept is None:
            return []
        offer = reopen(record.offer).of(Offer).body
        accept = self._who.reopen(record.accept)
        if body.lease != accept.digest or record.salt is None or offer.confidential is None:
            return []
        worker = body.role is Role.WORKER and reader.signer == accept.signer
        verifier = body.role is Role.VERIFIER and offer.confidential.verifiers and reader.signer in offer.verifiers
        if not (worker or verifier):
            raise ProtocolError("not a reader of this task", code=ErrorCode.UNEXPECTED_SIGNER, got=reader.signer.hex())
        return [Seal(body.task, body.lease, reader.signer, body.role, body.key)]

    def _received(self, receipt: Signed[Receipt], now: int) -> list[Action]:
        record = self.records.get(receipt.body.task)
        if record is None or receipt.body.entry <= record.seen:
            return []
        check_receipt(receipt, reopen(record.offer).of(Offer), self._who.keys)
        record = replace(record, seen=receipt.body.entry)
        match receipt.body.outcome:
            case Outcome.PAID:
                return self._apply(replace(record, receipt=receipt.data), RequesterEvent.PAID, now)
            case Outcome.REFUNDED:
                return self._apply(replace(record, receipt=receipt.data), RequesterEvent.REFUNDED, now)
            case Outcome.SLASHED:
                return self._apply(record, RequesterEvent.SLASHED, now)
            case Outcome.RETURNED:
                return self._apply(record, RequesterEvent.RETURNED, now)

    def _apply(self, record: RequesterRecord, event: RequesterEvent, now: int) -> list[Action]:
        rule = REQUESTER_TABLE.rule(record.state, event)
        if rule.effects == (RequesterEffect.IGNORE,):
            return []
        if rule.to is not record.state:
            record = replace(record, state=rule.to)
            self._tries.pop(record.task, None)
        actions: list[Action] = []
        for effect in rule.effects:
            record = self._effect(effect, record, actions)
        self.records[record.task] = record
        time: int | None = None
        if not _closed(record):
            tries = self._tries[record.task] = self._tries.get(record.task, -1) + 1
            time = now + resend_after(tries)
        self.timers.set(record.task, time)
        return [Save(_KIND, record.task, record, _closed(record)), *actions]

    def _effect(self, effect: RequesterEffect, record: RequesterRecord, actions: list[Action]) -> RequesterRecord:
        match effect:
            case RequesterEffect.OFFER:
                offer = reopen(record.offer).of(Offer).body
                actions += [Send(None, record.offer), Publish(record.task, contents(offer))]
            case RequesterEffect.CANCEL:
                cancel = record.cancel or seal(self._key, Cancel(record.task, ErrorCode.CANCELLED)).data
                actions.append(Send(None, cancel))
                return replace(record, cancel=cancel)
            case RequesterEffect.FETCH:
                result = record.result
                if result is not None:
                    actions.append(Stage(record.task, (result.outputs,)))
            case RequesterEffect.COUNT_REJECTED:
                return replace(record, rejected=record.rejected + 1)
            case RequesterEffect.COUNT_MOVED:
                return replace(record, moved=record.moved + 1)
            case RequesterEffect.CLOSE:
                actions.append(Closed(record.task))
            case RequesterEffect.IGNORE:
                pass
        return record
