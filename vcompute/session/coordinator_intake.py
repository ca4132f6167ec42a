# SPDX-License-Identifier: Apache-2.0
"""What a coordinator does with a message: who may say it, about which task and lease, and the event that it is."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Accept,
    Advertise,
    Answer,
    Cancel,
    Challenge,
    Decline,
    Hello,
    Message,
    Names,
    Offer,
    Opening,
    Progress,
    Reader,
    Receipt,
    Result,
    SampleCommit,
    SampleReveal,
    Signed,
    Verdict,
    Yield,
    reopen,
    seal,
)
from vcompute.registry import ErrorCode, Role
from vcompute.session.actions import Action, Call, Operation, Send, Stage
from vcompute.session.coordinator_messages import Speaker, draw_parties
from vcompute.session.coordinator_table import TASK_TABLE, TaskEffect, TaskEvent, TaskRecord, TaskState
from vcompute.session.coordinator_tasks import Tasks
from vcompute.session.handshake import answer

MAX_OPENINGS: Final = 4_096
"""Openings of inputs on their way to readers."""


class Intake:
    """Takes a coordinator's messages. ``nonce`` gives 16 fresh random bytes."""

    def __init__(
        self,
        key: PrivateKey,
        settlement: bytes,
        nonce: Callable[[], bytes],
        speaker: Speaker,
        tasks: Tasks,
        names: Names,
    ) -> None:
        self._key = key
        self._settlement = settlement
        self._nonce = nonce
        self._speaker = speaker
        self._tasks = tasks
        self._names = names
        self._roster = tasks.roster
        self._records = tasks.records
        self._openings: dict[bytes, tuple[bytes, bytes]] = {}

    def received(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from any party.

        Raises:
            ProtocolError: the message is refused.
        """
        match message.body:
            case Hello():
                return self._greeted(message.of(Hello))
            case Advertise():
                self._roster.advertise(message.of(Advertise), now)
                return []
            case Offer():
                return self._offered(message.of(Offer), now)
            case Accept() | Decline() | Progress() | Yield() | Result() | Answer():
                return self._from_worker(message, now)
            case Verdict():
                return self._judged(message.of(Verdict), now)
            case Challenge():
                return self._challenged(message.of(Challenge), now)
            case Reader():
                return self._asked(message.of(Reader))
            case Opening():
                return self._opened(message.of(Opening))
            case SampleCommit() | SampleReveal():
                return self._drawn(message, message.body.result)
            case Cancel():
                return self._cancelled(message.of(Cancel), now)
            case _:
                raise ProtocolError(
                    f"a coordinator does not take a {type(message.body).__name__}", code=ErrorCode.UNEXPECTED_MESSAGE
                )

    def opening(self, name: bytes) -> list[Action]:
        """The sealed input of an opening is here; empty where it is none's."""
        reader, data = self._openings.pop(name, (None, b""))
        return [] if reader is None else [Send(reader, data)]

    def _greeted(self, hello: Signed[Hello]) -> list[Action]:
        known = self._roster.parties.get(hello.signer)
        if known is None or known.hello != hello.digest:
            reply = seal(self._key, answer(hello, self._nonce(), self._settlement)).of(Hello)
            self._roster.greet(hello, reply)
            known = self._roster.parties[hello.signer]
        return [Send(hello.signer, known.answer)]

    def _offered(self, offer: Signed[Offer], now: int) -> list[Action]:
        record = self._records.get(offer.digest)
        if record is None:
            self._records.admit(offer.signer)
            record = TaskRecord(
                offer.digest, TaskState.OPENING, offer.data, offer.signer, 0, 0, 0, 0, (), (), (), (), 0
            )
        return self._tasks.apply(record, TaskEvent.OFFER, now)

    def _task(self, task: bytes) -> TaskRecord:
        record = self._records.get(task)
        if record is None:
            raise ProtocolError("no task of this name", code=ErrorCode.UNKNOWN_TASK, got=task.hex())
        return record

    def _from_worker(self, message: Signed[Message], now: int) -> list[Action]:
        body = message.body
        match body:
            case Accept(task, attempt) | Decline(task, attempt):
                record = self._task(task)
                if message.signer != record.worker or attempt != record.attempt:
                    return self._stale(record, message)
                if isinstance(body, Accept):
                    return self._tasks.apply(
                        replace(record, accept=record.accept or message.data), TaskEvent.ACCEPT, now
                    )
                busy = body.code in (ErrorCode.BUSY, ErrorCode.DEVICE_UNAVAILABLE)
                return self._tasks.apply(record, TaskEvent.BUSY if busy else TaskEvent.DECLINE, now)
            case Progress(task, lease) | Yield(task, lease) | Result(task, lease) | Answer(task, lease):
                record = self._task(task)
                if message.signer != record.worker or lease != record.lease:
                    return self._stale(record, message)
                if isinstance(body, Progress):
                    return self._progress(record, message.data, now)
                if isinstance(body, Yield):
                    return self._tasks.apply(replace(record, evidence=message.data), TaskEvent.YIELD, now)
                if isinstance(body, Answer):
                    if record.state is TaskState.PROVING:
                        record = replace(record, answer=message.data)
                    return self._tasks.apply(record, TaskEvent.ANSWER, now)
                return self._tasks.apply(replace(record, result=record.result or message.data), TaskEvent.RESULT, now)
            case _:
                return []

    def _progress(self, record: TaskRecord, data: bytes, now: int) -> list[Action]:
        if self._may(record, TaskEvent.PROGRESS):
            return [Call(Operation.RENEW, record.task, record.lease, data)]
        return []

    @staticmethod
    def _may(record: TaskRecord, event: TaskEvent) -> bool:
        """Whether the settlement is to be asked about an event that changes no state by itself."""
        effects = TASK_TABLE.rule(record.state, event).effects
        return TaskEffect.RENEW in effects or TaskEffect.RECORD in effects

    def _stale(self, record: TaskRecord, message: Signed[Any]) -> list[Action]:
        """The answer to a lease that is over: its receipt, or a Cancel."""
        body = message.body
        lease = message.digest if isinstance(body, Accept) else getattr(body, "lease", None)
        for receipt in record.receipts:
            known = reopen(receipt).of(Receipt).body
            if lease is not None and known.lease == lease and message.signer in _concerned(known, self._names):
                return [Send(message.signer, receipt)]
        if isinstance(body, Decline | Yield):
            return []
        return [self._speaker.cancel_to(message.signer, record.task, lease, ErrorCode.STALE_LEASE)]

    def _judged(self, verdict: Signed[Verdict], now: int) -> list[Action]:
        record = self._task(verdict.body.task)
        offer = reopen(record.offer).of(Offer).body
        if verdict.signer not in (*offer.verifiers, *(offer.fallback or ())):
            raise ProtocolError("the offer names other verifiers", code=ErrorCode.VERDICT_NOT_ADMITTED)
        if verdict.body.lease != record.lease or TASK_TABLE.final(record.state):
            return self._stale_verdict(record, verdict)
        if record.state not in (TaskState.JUDGING, TaskState.APPEALING):
            return []
        return self._tasks.apply(replace(record, verdict=verdict.data), TaskEvent.VERDICT, now)

    def _challenged(self, challenge: Signed[Challenge], now: int) -> list[Action]:
        """Anyone challenges a result; the settlement judges whether it may."""
        record = self._task(challenge.body.task)
        if challenge.body.lease != record.lease or TASK_TABLE.final(record.state):
            return self._stale(record, challenge.of(Challenge))
        if record.state is not TaskState.WAITING:
            return []
        return self._tasks.apply(replace(record, challenge=challenge.data), TaskEvent.CHALLENGE, now)

    def _asked(self, reader: Signed[Reader]) -> list[Action]:
        """A reader of confidential inputs asks; its requester answers, who alone can."""
        record = self._task(reader.body.task)
        offer = reopen(record.offer).of(Offer).body
        if reader.body.lease != record.lease or TASK_TABLE.final(record.state):
            return self._stale(record, reader)
        readers = (record.worker,) if reader.body.role is Role.WORKER else offer.verifiers
        if offer.confidential is None or reader.signer not in readers:
            raise ProtocolError("not a reader of this task", code=ErrorCode.UNEXPECTED_SIGNER)
        return [Send(record.requester, reader.data)]

    def _opened(self, opening: Signed[Opening]) -> list[Action]:
        """A requester answers a reader: passed on once the sealed input is here."""
        record = self._task(opening.body.task)
        opening.require_signer(record.requester)
        if opening.body.lease != record.lease or TASK_TABLE.final(record.state):
            return []
        while len(self._openings) >= MAX_OPENINGS:
            self._openings.pop(next(iter(self._openings)))  # its reader asks again
        self._openings[opening.digest] = (opening.body.reader, opening.data)
        return [Stage(opening.digest, (opening.body.sealed,))]

    def _drawn(self, message: Signed[Message], result: bytes) -> list[Action]:
        """A party of a draw commits or reveals; the settlement judges whether it may."""
        record = self._tasks.drawing(result)
        if record is None or not self._may(record, TaskEvent.RECORD) or message.signer not in draw_parties(record):
            return []
        return [Call(Operation.DRAW, record.task, record.lease, message.data)]

    def _stale_verdict(self, record: TaskRecord, verdict: Signed[Verdict]) -> list[Action]:
        for receipt in record.receipts:
            if reopen(receipt).of(Receipt).body.lease == verdict.body.lease:
                return [Send(verdict.signer, receipt)]
        return [self._speaker.cancel_to(verdict.signer, record.task, verdict.body.lease, ErrorCode.STALE_LEASE)]

    def _cancelled(self, cancel: Signed[Cancel], now: int) -> list[Action]:
        record = self._task(cancel.body.task)
        cancel.require_signer(record.requester)
        if cancel.body.lease is not None:
            raise ProtocolError("a requester cancels the whole task", code=ErrorCode.UNEXPECTED_MESSAGE)
        if TASK_TABLE.final(record.state):
            return [Send(cancel.signer, receipt) for receipt in record.receipts[-1:]]
        return self._tasks.apply(replace(record, cancel=cancel.data), TaskEvent.CANCEL, now)


def _concerned(receipt: Receipt, names: Names) -> set[bytes | None]:
    """Whose lease or challenge a receipt ended."""
    challenger = None if receipt.challenge is None else reopen(receipt.challenge, names).signer
    return {receipt.worker, challenger}
