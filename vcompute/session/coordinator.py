# SPDX-License-Identifier: Apache-2.0
"""The coordinator: matches offers with workers, relays, keeps time, asks the settlement. It holds no trust: every
message it relays is signed by who says it, and the settlement checks the evidence itself."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Iterable
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
    Offer,
    OnChallenge,
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
from vcompute.registry import ErrorCode, Outcome, Role
from vcompute.session.actions import Action, Call, Closed, Operation, Save, Send, Stage
from vcompute.session.coordinator_messages import (
    Speaker,
    appeal_until,
    draw_asks,
    draw_parties,
    has_draw,
    policy_of,
    reveal_within,
    wanted,
)
from vcompute.session.coordinator_table import TASK_TABLE, TaskEffect, TaskEvent, TaskRecord, TaskState
from vcompute.session.handshake import answer
from vcompute.session.roster import Roster, Standing
from vcompute.session.shelf import MAX_CLOSED, Shelf
from vcompute.session.timers import Timers, resend_after

ACCEPT_WINDOW: Final = 5_000
"""Milliseconds a worker has to accept, or the lease where that is shorter."""
RETRY: Final = 1_000
"""Milliseconds until a settlement that did not answer is asked again."""
DISPATCH: Final = 256
"""Queued tasks looked at in one step."""
MAX_OPENINGS: Final = 4_096
"""Openings of inputs on their way to readers."""
MAX_RECEIPTS: Final = 16
_TASK: Final = "task"
_STANDING: Final = "standing"
_OPERATIONS: Final = {
    TaskState.OPENING: Operation.OPEN,
    TaskState.BONDING: Operation.BOND,
    TaskState.COMMITTING: Operation.COMMIT,
    TaskState.CHALLENGING: Operation.CHALLENGE,
    TaskState.DEMANDING: Operation.CHALLENGE,
    TaskState.ANSWERING: Operation.ANSWER,
    TaskState.SETTLING: Operation.SETTLE,
    TaskState.RELEASING: Operation.RELEASE,
    TaskState.REFUNDING: Operation.REFUND,
}
_RESENT: Final = (
    TaskState.STAGING,
    TaskState.ASSIGNED,
    TaskState.COLLECTING,
    TaskState.DRAWING,
    TaskState.WAITING,
    TaskState.PROVING,
    TaskState.JUDGING,
    TaskState.APPEALING,
)


class CoordinatorSession:
    """All tasks and parties of one coordinator. ``nonce`` gives 16 fresh random bytes; ``recall`` and ``standing`` read
    back what was stored of a task and of a worker, or give None."""

    def __init__(
        self,
        key: PrivateKey,
        settlement: bytes,
        nonce: Callable[[], bytes],
        *,
        recall: Callable[[bytes], TaskRecord | None] = lambda _: None,
        standing: Callable[[bytes], Standing | None] = lambda _: None,
        closed: int = MAX_CLOSED,
    ) -> None:
        self._key = key
        self._speaker = Speaker(key)
        self._settlement = settlement
        self._nonce = nonce
        self.roster = Roster(standing)
        self.records = Shelf(recall, closed)
        self.timers: Timers[tuple[bytes, bool]] = Timers()
        self._queue: OrderedDict[bytes, None] = OrderedDict()
        self._tries: dict[bytes, int] = {}
        self._results: dict[bytes, bytes] = {}
        self._openings: dict[bytes, tuple[bytes, bytes]] = {}

    def restore(self, records: Iterable[TaskRecord], standings: Iterable[Standing], now: int) -> list[Action]:
        """Go on after a restart: every open task asks again for what its state waits for."""
        actions: list[Action] = []
        for standing in standings:
            self.roster.standings[standing.worker] = standing
        for record in records:
            self.records[record.task] = record
            if record.worker is not None and not TASK_TABLE.final(record.state):
                self.roster.active[record.worker].add(record.task)
            if record.state is TaskState.QUEUED:
                self._queue[record.task] = None
            if record.state is TaskState.DRAWING:
                self._results[hashlib.sha256(record.result or b"").digest()] = record.task
            if record.state in _OPERATIONS:
                actions.append(self._call(record))
            elif record.state in _RESENT:
                actions += self._apply(record, TaskEvent.RESEND, now)
            if not TASK_TABLE.final(record.state):
                self._set_timers(record, now, entered=False)
        return actions

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from any party.

        Raises:
            ProtocolError: the message is refused.
        """
        return self._received(message, now) + self._dispatch(now)

    def _received(self, message: Signed[Message], now: int) -> list[Action]:
        match message.body:
            case Hello():
                return self._greeted(message.of(Hello))
            case Advertise():
                self.roster.advertise(message.of(Advertise), now)
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

    def staged(self, task: bytes, now: int) -> list[Action]:
        """The blobs a task waits for are here."""
        if task in self._openings:
            reader, data = self._openings.pop(task)
            return [Send(reader, data)]
        record = self.records.get(task)
        draws = record is not None and record.state is TaskState.COLLECTING and has_draw(record)
        draws = draws and record is not None and record.answer is None
        return self._event(task, TaskEvent.DRAWABLE if draws else TaskEvent.STAGED, now) + self._dispatch(now)

    def answered(self, call: Call, receipt: bytes | None, until: int, now: int) -> list[Action]:
        """The settlement did as asked; ``receipt`` is what it signed, ``until`` the end of lease or window."""
        record = self.records[call.task]
        if call.operation is Operation.RENEW:
            if record.lease != call.lease or record.state is not TaskState.LEASED:
                return []
            return self._apply(replace(record, until=until), TaskEvent.RENEWED, now)
        if call.operation is Operation.DRAW:
            return self._recorded(record, call, now)
        if _OPERATIONS.get(record.state) is not call.operation:
            return []
        event = TaskEvent.DONE
        if receipt is not None:
            record = replace(record, receipts=(*record.receipts, receipt)[-MAX_RECEIPTS:])
            outcome = reopen(receipt).of(Receipt).body.outcome
            event = {Outcome.PAID: TaskEvent.PAID, Outcome.SLASHED: TaskEvent.SLASHED}.get(outcome, TaskEvent.DONE)
        elif call.operation is Operation.COMMIT and isinstance(policy_of(record), OnChallenge):
            event = TaskEvent.WINDOW
        return self._apply(replace(record, until=until), event, now) + self._dispatch(now)

    def refused(self, call: Call, code: ErrorCode, now: int) -> list[Action]:
        """The settlement refused."""
        return self._outcome(call, TaskEvent.DENIED, code, now) + self._dispatch(now)

    def unknown(self, call: Call, now: int) -> list[Action]:
        """The settlement did not answer; it is asked again later, and never does twice what it did."""
        record = self.records[call.task]
        if _OPERATIONS.get(record.state) is call.operation:
            self.timers.set((call.task, True), now + RETRY)
        return []

    def tick(self, now: int) -> list[Action]:
        """Time has passed; the driver has done everything that earlier steps asked of it."""
        self.records.trim()
        actions: list[Action] = []
        for task, is_timeout in self.timers.due(now):
            event = self._timed(self.records[task], now) if is_timeout else TaskEvent.RESEND
            actions += self._event(task, event, now)
        return actions + self._dispatch(now)

    @staticmethod
    def _timed(record: TaskRecord, now: int) -> TaskEvent:
        """What the end of a state's time means."""
        if record.state is TaskState.DRAWING and draw_asks(record):
            return TaskEvent.DEMAND
        appeals = record.state is TaskState.JUDGING and appeal_until(record) > now
        return TaskEvent.APPEAL if appeals else TaskEvent.TIMEOUT

    # From messages to events.

    def _greeted(self, hello: Signed[Hello]) -> list[Action]:
        known = self.roster.parties.get(hello.signer)
        if known is None or known.hello != hello.digest:
            reply = seal(self._key, answer(hello, self._nonce(), self._settlement)).of(Hello)
            self.roster.greet(hello, reply)
            known = self.roster.parties[hello.signer]
        return [Send(hello.signer, known.answer)]

    def _offered(self, offer: Signed[Offer], now: int) -> list[Action]:
        record = self.records.get(offer.digest)
        if record is None:
            self.records.admit(offer.signer)
            record = TaskRecord(
                offer.digest, TaskState.OPENING, offer.data, offer.signer, 0, 0, 0, 0, (), (), (), (), 0
            )
        return self._apply(record, TaskEvent.OFFER, now)

    def _task(self, task: bytes) -> TaskRecord:
        record = self.records.get(task)
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
                    return self._apply(replace(record, accept=record.accept or message.data), TaskEvent.ACCEPT, now)
                busy = body.code in (ErrorCode.BUSY, ErrorCode.DEVICE_UNAVAILABLE)
                return self._apply(record, TaskEvent.BUSY if busy else TaskEvent.DECLINE, now)
            case Progress(task, lease) | Yield(task, lease) | Result(task, lease) | Answer(task, lease):
                record = self._task(task)
                if message.signer != record.worker or lease != record.lease:
                    return self._stale(record, message)
                if isinstance(body, Progress):
                    return self._progress(record, message.data, now)
                if isinstance(body, Yield):
                    return self._apply(replace(record, evidence=message.data), TaskEvent.YIELD, now)
                if isinstance(body, Answer):
                    if record.state is TaskState.PROVING:
                        record = replace(record, answer=message.data)
                    return self._apply(record, TaskEvent.ANSWER, now)
                return self._apply(replace(record, result=record.result or message.data), TaskEvent.RESULT, now)
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
            if lease is not None and known.lease == lease and message.signer in _concerned(known):
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
        return self._apply(replace(record, verdict=verdict.data), TaskEvent.VERDICT, now)

    def _challenged(self, challenge: Signed[Challenge], now: int) -> list[Action]:
        """Anyone challenges a result; the settlement judges whether it may."""
        record = self._task(challenge.body.task)
        if challenge.body.lease != record.lease or TASK_TABLE.final(record.state):
            return self._stale(record, challenge.of(Challenge))
        if record.state is not TaskState.WAITING:
            return []
        return self._apply(replace(record, challenge=challenge.data), TaskEvent.CHALLENGE, now)

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
        record = self.records.get(self._results.get(result, b""))
        if record is None or not self._may(record, TaskEvent.RECORD) or message.signer not in draw_parties(record):
            return []
        return [Call(Operation.DRAW, record.task, record.lease, message.data)]

    def _recorded(self, record: TaskRecord, call: Call, now: int) -> list[Action]:
        data = call.data or b""
        if record.state is not TaskState.DRAWING or record.lease != call.lease:
            return []
        if data in (*record.commits, *record.reveals):
            return []  # the timer sends again what was lost; an answer here would let two parties echo for ever
        if isinstance(reopen(data).body, SampleCommit):
            record = replace(record, commits=(*record.commits, data))
            if len(record.commits) == len(draw_parties(record)):
                record = replace(record, draw_until=now + reveal_within(record))
        else:
            record = replace(record, reveals=(*record.reveals, data))
        if len(record.reveals) < len(draw_parties(record)):
            return self._apply(record, TaskEvent.RECORDED, now)
        return self._apply(record, TaskEvent.DEMAND if draw_asks(record) else TaskEvent.DRAWN, now)

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
        return self._apply(replace(record, cancel=cancel.data), TaskEvent.CANCEL, now)

    def _event(self, task: bytes, event: TaskEvent, now: int) -> list[Action]:
        record = self.records.get(task)
        return [] if record is None else self._apply(record, event, now)

    def _outcome(self, call: Call, event: TaskEvent, code: ErrorCode, now: int) -> list[Action]:
        record = self.records[call.task]
        if _OPERATIONS.get(record.state) is not call.operation:
            return []
        if call.operation in (Operation.RELEASE, Operation.REFUND):
            # Not due by the settlement's clock, or a race: ask again.
            self.timers.set((call.task, True), now + RETRY)
            return []
        return self._apply(replace(record, code=code), event, now)

    # From events to actions.

    def _apply(self, record: TaskRecord, event: TaskEvent, now: int) -> list[Action]:
        rule = TASK_TABLE.rule(record.state, event)
        if rule.effects == (TaskEffect.IGNORE,):
            return []
        entered = rule.to is not record.state or record.task not in self.records
        if rule.to is not record.state:
            self._leave(record)
        record = replace(record, state=rule.to)
        actions: list[Action] = []
        for effect in rule.effects:
            record = self._effect(effect, record, actions, now)
        self.records[record.task] = record
        self._set_timers(record, now, entered=entered)
        final = TASK_TABLE.final(record.state)
        actions.insert(0, Save(_TASK, record.task, self.records[record.task], final))
        if entered and record.cancel is not None:
            pending = TASK_TABLE.rule(record.state, TaskEvent.CANCEL)
            if pending.to is not record.state:
                return actions + self._apply(self.records[record.task], TaskEvent.CANCEL, now)
        return actions

    def _leave(self, record: TaskRecord) -> None:
        """Forget what only the state that is left needs."""
        if record.state is TaskState.QUEUED:
            self._queue.pop(record.task, None)
        elif record.state is TaskState.DRAWING:
            self._results.pop(hashlib.sha256(record.result or b"").digest(), None)

    def _effect(self, effect: TaskEffect, record: TaskRecord, actions: list[Action], now: int) -> TaskRecord:
        match effect:
            case TaskEffect.CALL:
                actions.append(self._call(record))
            case TaskEffect.STAGE | TaskEffect.COLLECT:
                actions.append(wanted(effect, record))
            case TaskEffect.ENQUEUE:
                self._queue[record.task] = None
            case (
                TaskEffect.ASSIGN
                | TaskEffect.CHECK
                | TaskEffect.DRAW
                | TaskEffect.ASK_PROOF
                | TaskEffect.APPEAL
                | TaskEffect.FORWARD_ACCEPT
                | TaskEffect.CANCEL_WORKER
            ):
                self._speaker.send(effect, record, actions)
            case TaskEffect.RECEIPTS | TaskEffect.STATUS | TaskEffect.TELL_REFUSED:
                self._speaker.tell(effect, record, actions)
            case TaskEffect.REST if record.worker is not None:
                self.roster.rest(record.worker)
            case TaskEffect.FREE | TaskEffect.LAPSE | TaskEffect.REWARD | TaskEffect.PUNISH:
                return self._standing(effect, record, actions, now)
            case TaskEffect.EXCLUDE:
                if record.worker is not None and record.worker not in record.excluded:
                    return replace(record, excluded=(*record.excluded, record.worker)[-1024:])
            case TaskEffect.FORGET_LEASE:
                record = replace(record, worker=None, accept=None, result=None, verdict=None, evidence=None, until=0)
                return replace(record, commits=(), reveals=(), draw_until=0, challenge=None, answer=None)
            case TaskEffect.CLOSE:
                actions.append(Closed(record.task))
            case _:
                pass  # the record holds the cancellation; renewals are sent by _progress
        return record

    def _call(self, record: TaskRecord) -> Call:
        operation = _OPERATIONS[record.state]
        data = {
            Operation.OPEN: record.offer,
            Operation.BOND: record.accept,
            Operation.COMMIT: record.result,
            Operation.CHALLENGE: record.challenge,
            Operation.ANSWER: record.answer,
            Operation.SETTLE: record.verdict,
            Operation.RELEASE: record.evidence or record.cancel,
            Operation.REFUND: record.cancel,
        }[operation]
        return Call(operation, record.task, record.lease, data)

    def _standing(self, effect: TaskEffect, record: TaskRecord, actions: list[Action], now: int) -> TaskRecord:
        worker = record.worker
        if worker is None:
            return record
        if effect is TaskEffect.FREE:
            self.roster.free(worker, record.task)
            moved = record.moved + (record.state is not TaskState.PAID)
            return replace(record, moved=moved)
        if effect is TaskEffect.REWARD:
            standing = self.roster.reward(worker)
        elif effect is TaskEffect.PUNISH:
            standing = self.roster.punish(worker, now)
            record = replace(record, rejected=record.rejected + 1)
        else:
            standing = self.roster.lapse(worker)
        actions.append(Save(_STANDING, worker, standing))
        return record

    def _dispatch(self, now: int) -> list[Action]:
        """Give queued tasks to workers, as far as both last; a step looks at a bounded part of the queue."""
        actions: list[Action] = []
        for _ in range(min(len(self._queue), DISPATCH)):
            if self.roster.idle:
                break
            task, _ = self._queue.popitem(last=False)
            record = self.records[task]
            offer = reopen(record.offer).of(Offer).body
            worker = self.roster.pick(offer, record.requester, record.excluded, now)
            if worker is None:
                self._queue[task] = None
                continue
            self.roster.take(worker, task)
            record = replace(record, worker=worker, attempt=record.attempt + 1, code=None)
            actions += self._apply(record, TaskEvent.PICKED, now)
        return actions

    def _set_timers(self, record: TaskRecord, now: int, *, entered: bool) -> None:
        """One timer for the state's end, one for sending again."""
        offer = reopen(record.offer).of(Offer).body
        if entered:
            self._tries.pop(record.task, None)
        end: int | None = None
        match record.state:
            case TaskState.STAGING | TaskState.QUEUED:
                end = offer.deadline
            case TaskState.ASSIGNED:
                if entered:
                    record = replace(record, until=now + min(ACCEPT_WINDOW, offer.lease))
                    self.records[record.task] = record
                end = record.until
            case TaskState.DRAWING:
                if entered:
                    record = replace(record, draw_until=now + reveal_within(record))
                    self.records[record.task] = record
                    self._results[hashlib.sha256(record.result or b"").digest()] = record.task
                end = record.draw_until
            case TaskState.LEASED | TaskState.COLLECTING | TaskState.WAITING | TaskState.PROVING | TaskState.JUDGING:
                end = record.until
            case TaskState.APPEALING:
                end = appeal_until(record)
            case _ if record.state in _OPERATIONS:
                end = now + RETRY
        self.timers.set((record.task, True), end)
        again: int | None = None
        if record.state in _RESENT:
            tries = self._tries[record.task] = self._tries.get(record.task, -1) + 1
            again = now + resend_after(tries)
        self.timers.set((record.task, False), again)


def _concerned(receipt: Receipt) -> set[bytes | None]:
    """Whose lease or challenge a receipt ended."""
    challenger = None if receipt.challenge is None else reopen(receipt.challenge).signer
    return {receipt.worker, challenger}
