# SPDX-License-Identifier: Apache-2.0
"""The coordinator: matches offers with workers, relays, keeps time, asks the settlement. It holds no trust: every
message it relays is signed by who says it, and the settlement checks the evidence itself.

Messages become events in :mod:`~vcompute.session.coordinator_intake`, events become actions in
:mod:`~vcompute.session.coordinator_tasks`; here is what time and the settlement's answers mean.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from vcompute.identity import Keyring, PrivateKey
from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages import Enrol, KeyChange, Lookup, Message, OnChallenge, Receipt, SampleCommit, Signed, reopen
from vcompute.policy.attestation import AttestationPolicy
from vcompute.registry import ErrorCode, Outcome
from vcompute.session.actions import Action, Call, Operation
from vcompute.session.coordinator_intake import Intake
from vcompute.session.coordinator_keys import Registrar
from vcompute.session.coordinator_messages import (
    Speaker,
    appeal_until,
    draw_asks,
    draw_parties,
    has_draw,
    policy_of,
    reveal_within,
)
from vcompute.session.coordinator_shelf import TaskShelf
from vcompute.session.coordinator_table import TaskEvent, TaskRecord, TaskState
from vcompute.session.coordinator_tasks import Tasks
from vcompute.session.roster import Roster, Standing
from vcompute.session.shelf import MAX_CLOSED

MAX_RECEIPTS: Final = 16


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
        attestation: AttestationPolicy | None = None,
    ) -> None:
        self.keys = Keyring(settlement)
        speaker = Speaker(key)
        self.roster = Roster(standing, attestation)
        self.records = TaskShelf(recall, closed)
        self._tasks = Tasks(speaker, self.roster, self.records)
        self._intake = Intake(key, settlement, nonce, speaker, self._tasks, self.keys.name_of)
        self._registrar = Registrar(key, self.keys, self._tasks)
        self.timers = self._tasks.timers

    def restore(
        self,
        records: Iterable[TaskRecord],
        standings: Iterable[Standing],
        now: int,
        keys: tuple[KeyRecord, ...] = (),
    ) -> list[Action]:
        """Go on after a restart: every open task asks again for what its state waits for. ``keys`` are the records of
        keys that the settlement holds."""
        actions = self._tasks.restore(records, standings, now)
        actions += self._registrar.restore(keys, now)
        return self._registrar.with_keys(actions)

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from any party.

        Raises:
            ProtocolError: the message is refused.
        """
        match message.body:
            case KeyChange():
                return self._registrar.changed(message.body, now)
            case Lookup():
                return self._registrar.looked_up(message.of(Lookup))
            case Enrol():
                admitted = self._registrar.admit(message)
                self.roster.enrol(admitted.of(Enrol), message.signer, now)
                return self._done([], now)
            case _:
                admitted = self._registrar.admit(message)
        return self._done(self._intake.received(admitted, now), now)

    def recorded(self, record: KeyRecord, now: int) -> list[Action]:
        """The settlement recorded a change of a party's keys: it is in force."""
        return self._done(self._registrar.recorded(record, now), now)

    def _done(self, actions: list[Action], now: int) -> list[Action]:
        """The actions of a step, with the tasks that it leaves to give out and the keys that it speaks of."""
        return self._registrar.with_keys(actions + self._tasks.dispatch(now))

    def staged(self, task: bytes, now: int) -> list[Action]:
        """The blobs a task waits for are here."""
        opened = self._intake.opening(task)
        if opened:
            return self._registrar.with_keys(opened)
        record = self.records.get(task)
        draws = record is not None and record.state is TaskState.COLLECTING and has_draw(record)
        draws = draws and record is not None and record.answer is None
        return self._done(self._tasks.event(task, TaskEvent.DRAWABLE if draws else TaskEvent.STAGED, now), now)

    def answered(self, call: Call, receipt: bytes | None, until: int, now: int) -> list[Action]:
        """The settlement did as asked; ``receipt`` is what it signed, ``until`` the end of lease or window."""
        record = self.records[call.task]
        if call.operation is Operation.RENEW:
            if record.lease != call.lease or record.state is not TaskState.LEASED:
                return []
            return self._tasks.apply(replace(record, until=until), TaskEvent.RENEWED, now)
        if call.operation is Operation.DRAW:
            return self._registrar.with_keys(self._drawn(record, call, now))
        if not self._tasks.waits_for(call):
            return []
        event = TaskEvent.DONE
        if receipt is not None:
            record = replace(record, receipts=(*record.receipts, receipt)[-MAX_RECEIPTS:])
            outcome = reopen(receipt).of(Receipt).body.outcome
            event = {Outcome.PAID: TaskEvent.PAID, Outcome.SLASHED: TaskEvent.SLASHED}.get(outcome, TaskEvent.DONE)
        elif call.operation is Operation.COMMIT and isinstance(policy_of(record), OnChallenge):
            event = TaskEvent.WINDOW
        return self._done(self._tasks.apply(replace(record, until=until), event, now), now)

    def refused(self, call: Call, code: ErrorCode, now: int) -> list[Action]:
        """The settlement refused."""
        return self._done(self._outcome(call, TaskEvent.DENIED, code, now), now)

    def unknown(self, call: Call, now: int) -> list[Action]:
        """The settlement did not answer; it is asked again later, and never does twice what it did."""
        if self._tasks.waits_for(call):
            self._tasks.retry(call.task, now)
        return []

    def tick(self, now: int) -> list[Action]:
        """Time has passed; the driver has done everything that earlier steps asked of it."""
        self.records.trim()
        actions: list[Action] = []
        for task, is_timeout in self.timers.due(now):
            event = self._timed(self.records[task], now) if is_timeout else TaskEvent.RESEND
            actions += self._tasks.event(task, event, now)
        return self._done(actions, now)

    def _timed(self, record: TaskRecord, now: int) -> TaskEvent:
        """What the end of a state's time means."""
        if record.state is TaskState.DRAWING and draw_asks(record, self.keys.name_of):
            return TaskEvent.DEMAND
        appeals = record.state is TaskState.JUDGING and appeal_until(record) > now
        return TaskEvent.APPEAL if appeals else TaskEvent.TIMEOUT

    def _drawn(self, record: TaskRecord, call: Call, now: int) -> list[Action]:
        data = call.data or b""
        if record.state is not TaskState.DRAWING or record.lease != call.lease:
            return []
        message, names = reopen(data, self.keys.name_of), self.keys.name_of
        said = record.commits if isinstance(message.body, SampleCommit) else record.reveals
        if message.signer in {reopen(known, names).signer for known in said}:
            return []  # the timer sends again what was lost; an answer here would let two parties echo for ever
        if isinstance(message.body, SampleCommit):
            record = replace(record, commits=(*record.commits, data))
            if len(record.commits) == len(draw_parties(record)):
                record = replace(record, draw_until=now + reveal_within(record))
        else:
            record = replace(record, reveals=(*record.reveals, data))
        if len(record.reveals) < len(draw_parties(record)):
            return self._tasks.apply(record, TaskEvent.RECORDED, now)
        return self._tasks.apply(
            record, TaskEvent.DEMAND if draw_asks(record, self.keys.name_of) else TaskEvent.DRAWN, now
        )

    def _outcome(self, call: Call, event: TaskEvent, code: ErrorCode, now: int) -> list[Action]:
        record = self.records[call.task]
        if not self._tasks.waits_for(call):
            return []
        if call.operation in (Operation.RELEASE, Operation.REFUND):
            # Not due by the settlement's clock, or a race: ask again.
            self._tasks.retry(call.task, now)
            return []
        return self._tasks.apply(replace(record, code=code), event, now)
