# SPDX-License-Identifier: Apache-2.0
"""A coordinator's tasks: events in, actions out, as the table says; records, timers, the queue and its workers."""

import hashlib
from collections import OrderedDict
from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from vcompute.messages import Offer, reopen
from vcompute.session.actions import Action, Call, Closed, Operation, Save
from vcompute.session.coordinator_messages import Speaker, appeal_until, reveal_within, wanted
from vcompute.session.coordinator_shelf import TaskShelf
from vcompute.session.coordinator_table import TASK_TABLE, TaskEffect, TaskEvent, TaskRecord, TaskState
from vcompute.session.roster import Roster, Standing
from vcompute.session.timers import Timers, resend_after

ACCEPT_WINDOW: Final = 5_000
"""Milliseconds a worker has to accept, or the lease where that is shorter."""
RETRY: Final = 1_000
"""Milliseconds until a settlement that did not answer is asked again."""
DISPATCH: Final = 256
"""Queued tasks looked at in one step."""
_TASK: Final = "task"
_STANDING: Final = "standing"
OPERATIONS: Final = {
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
"""What the settlement is asked in a state."""
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


class Tasks:
    """The tasks of one coordinator and the workers that carry them out."""

    def __init__(self, speaker: Speaker, roster: Roster, records: TaskShelf) -> None:
        self.roster = roster
        self.records = records
        self.timers: Timers[tuple[bytes, bool]] = Timers()
        self._speaker = speaker
        self._queue: OrderedDict[bytes, None] = OrderedDict()
        self._tries: dict[bytes, int] = {}
        self._results: dict[bytes, bytes] = {}

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
            if record.state in OPERATIONS:
                actions.append(self._call(record))
            elif record.state in _RESENT:
                actions += self.apply(record, TaskEvent.RESEND, now)
            if not TASK_TABLE.final(record.state):
                self._set_timers(record, now, entered=False)
        return actions

    def drawing(self, result: bytes) -> TaskRecord | None:
        """The task whose result is being drawn on."""
        return self.records.get(self._results.get(result, b""))

    def waits_for(self, call: Call) -> bool:
        """Whether a task still waits for the answer to a call."""
        return OPERATIONS.get(self.records[call.task].state) is call.operation

    def retry(self, task: bytes, now: int) -> None:
        """Ask the settlement again later."""
        self.timers.set((task, True), now + RETRY)

    def event(self, task: bytes, event: TaskEvent, now: int) -> list[Action]:
        """An event of a task, if there is one of that name."""
        record = self.records.get(task)
        return [] if record is None else self.apply(record, event, now)

    def apply(self, record: TaskRecord, event: TaskEvent, now: int) -> list[Action]:
        """An event of a task, whose record holds what came with it."""
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
                return actions + self.apply(self.records[record.task], TaskEvent.CANCEL, now)
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
        operation = OPERATIONS[record.state]
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

    def dispatch(self, now: int) -> list[Action]:
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
            actions += self.apply(record, TaskEvent.PICKED, now)
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
            case _ if record.state in OPERATIONS:
                end = now + RETRY
        self.timers.set((record.task, True), end)
        again: int | None = None
        if record.state in _RESENT:
            tries = self._tries[record.task] = self._tries.get(record.task, -1) + 1
            again = now + resend_after(tries)
        self.timers.set((record.task, False), again)
