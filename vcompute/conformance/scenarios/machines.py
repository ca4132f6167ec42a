# SPDX-License-Identifier: Apache-2.0
"""L3: every state and event of requester, worker and verifier, and the coordinator's paths, on a virtual clock.

What is expected comes from the transition tables of the specification: the next state and what is sent or done.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.coordinators import coordinator_cases
from vcompute.conformance.scenarios.kit import Remote, Step, expect
from vcompute.conformance.testee import Testee
from vcompute.messages import Cancel, Check, Decline, seal
from vcompute.registry import ErrorCode, Outcome
from vcompute.session.requester import REQUESTER_TABLE, RequesterEffect, RequesterEvent, RequesterState
from vcompute.session.verifier_table import VERIFIER_TABLE, VerifierEffect, VerifierEvent, VerifierState
from vcompute.session.worker_table import WORKER_TABLE, WorkerEffect, WorkerEvent, WorkerState

Do = Callable[["Stage"], Step]


@dataclass
class Stage:
    """One task at one client, driven to a state."""

    remote: Remote
    task: Any
    attempt: int = 0
    entry: int = 10
    lease: bytes | None = None
    taken: Any = None
    evidence: Any = None

    def take(self, *, willing: bool = True) -> Step:
        """Assign the task again, with or without a sufficient escrow."""
        self.attempt += 1
        escrow = kit.TERMS.price if willing else kit.TERMS.price - 1
        step = self.remote.receive(kit.assign(self.task, self.attempt, escrow=escrow))
        if "send:accept" in step.kinds:
            self.taken = step.message("accept")
            self.lease = self.taken.digest
        return step

    def receipt(self, outcome: Outcome) -> Step:
        """A receipt for the task's lease."""
        self.entry += 1
        parts: dict[str, Any] = {"lease": self.lease or bytes(32), "worker": kit.WORKER.thumbprint}
        if outcome in (Outcome.PAID, Outcome.SLASHED):
            taken = self.taken or kit.accept(self.task)
            parts |= {"lease": taken.digest, "result": kit.result(taken).data}
        return self.remote.receive(kit.receipt(self.task, outcome, self.entry, **parts))

    def computed(self) -> Step:
        """The work is done."""
        return self.remote.tell("computed", lease=self.lease or bytes(32), outputs=kit.ref(b"o").digest, size=1)


def _cancel(stage: Stage) -> Step:
    return stage.remote.receive(seal(kit.COORDINATOR, Cancel(stage.task.digest, ErrorCode.CANCELLED)))


WORKER_PATHS: Final[Mapping[Enum, tuple[Do, ...]]] = {
    WorkerState.IDLE: (lambda s: s.take(willing=False),),
    WorkerState.WORKING: (lambda s: s.take(),),
    WorkerState.COMMITTED: (lambda s: s.take(), lambda s: s.computed()),
    WorkerState.PAID: (lambda s: s.take(), lambda s: s.computed(), lambda s: s.receipt(Outcome.PAID)),
    WorkerState.SLASHED: (lambda s: s.take(), lambda s: s.computed(), lambda s: s.receipt(Outcome.SLASHED)),
    WorkerState.RELEASED: (lambda s: s.take(), lambda s: s.remote.tell("stop")),
}
WORKER_EVENTS: Final[Mapping[Enum, Do]] = {
    WorkerEvent.TAKE: lambda s: s.take(),
    WorkerEvent.REFUSE: lambda s: s.take(willing=False),
    WorkerEvent.ASSIGN_AGAIN: lambda s: s.remote.receive(kit.assign(s.task, s.attempt)),
    WorkerEvent.COMPUTED: lambda s: s.computed(),
    WorkerEvent.FAILED: lambda s: s.remote.tell("failed", lease=s.lease or bytes(32)),
    WorkerEvent.STOP: lambda s: s.remote.tell("stop"),
    WorkerEvent.CANCEL: _cancel,
    WorkerEvent.PAID: lambda s: s.receipt(Outcome.PAID),
    WorkerEvent.SLASHED: lambda s: s.receipt(Outcome.SLASHED),
    WorkerEvent.RETURNED: lambda s: s.receipt(Outcome.RETURNED),
    WorkerEvent.RENEW: lambda s: s.remote.tick(kit.TERMS.lease // 3),
    WorkerEvent.RESEND: lambda s: s.remote.tick(1_000),
    WorkerEvent.EXPIRED: lambda s: s.remote.tick(601_000),
}
WORKER_KINDS: Final[Mapping[Enum, tuple[str, ...]]] = {
    WorkerEffect.ACCEPT: ("send:accept",),
    WorkerEffect.DECLINE: ("send:decline",),
    WorkerEffect.START: ("run",),
    WorkerEffect.ABORT: ("abort",),
    WorkerEffect.COMMIT: ("send:result", "publish"),
    WorkerEffect.YIELD: ("send:yield",),
    WorkerEffect.RENEW: ("send:accept", "send:progress"),
    WorkerEffect.CLOSE: ("closed",),
}
REQUESTER_PATHS: Final[Mapping[Enum, tuple[Do, ...]]] = {
    RequesterState.OFFERED: (lambda s: s.remote.tell("offer", message=s.task.data),),
    RequesterState.RUNNING: (
        lambda s: s.remote.tell("offer", message=s.task.data),
        lambda s: s.remote.receive(kit.accept(s.task)),
    ),
    RequesterState.CANCELLING: (
        lambda s: s.remote.tell("offer", message=s.task.data),
        lambda s: s.remote.tell("cancel", task=s.task.digest),
    ),
    RequesterState.FETCHING: (
        lambda s: s.remote.tell("offer", message=s.task.data),
        lambda s: s.receipt(Outcome.PAID),
    ),
    RequesterState.DONE: (
        lambda s: s.remote.tell("offer", message=s.task.data),
        lambda s: s.receipt(Outcome.PAID),
        lambda s: s.remote.tell("fetched", task=s.task.digest),
    ),
    RequesterState.REFUNDED: (
        lambda s: s.remote.tell("offer", message=s.task.data),
        lambda s: s.receipt(Outcome.REFUNDED),
    ),
    RequesterState.REFUSED: (
        lambda s: s.remote.tell("offer", message=s.task.data),
        lambda s: s.remote.receive(seal(kit.COORDINATOR, Decline(s.task.digest, 0, ErrorCode.INSUFFICIENT_FUNDS))),
    ),
}
REQUESTER_EVENTS: Final[Mapping[Enum, Do]] = {
    RequesterEvent.OFFER: lambda s: s.remote.tell("offer", message=s.task.data),
    RequesterEvent.ACCEPTED: lambda s: s.remote.receive(kit.accept(s.task)),
    RequesterEvent.DECLINED: lambda s: s.remote.receive(
        seal(kit.COORDINATOR, Decline(s.task.digest, 0, ErrorCode.INSUFFICIENT_FUNDS))
    ),
    RequesterEvent.PAID: lambda s: s.receipt(Outcome.PAID),
    RequesterEvent.SLASHED: lambda s: s.receipt(Outcome.SLASHED),
    RequesterEvent.RETURNED: lambda s: s.receipt(Outcome.RETURNED),
    RequesterEvent.REFUNDED: lambda s: s.receipt(Outcome.REFUNDED),
    RequesterEvent.FETCHED: lambda s: s.remote.tell("fetched", task=s.task.digest),
    RequesterEvent.CANCEL: lambda s: s.remote.tell("cancel", task=s.task.digest),
    RequesterEvent.RESEND: lambda s: s.remote.tick(1_000),
}
REQUESTER_KINDS: Final[Mapping[Enum, tuple[str, ...]]] = {
    RequesterEffect.OFFER: ("send:offer", "publish"),
    RequesterEffect.CANCEL: ("send:cancel",),
    RequesterEffect.FETCH: ("stage",),
    RequesterEffect.CLOSE: ("closed",),
}


def _check(stage: Stage) -> Step:
    taken = stage.taken = kit.accept(stage.task)
    stage.lease = taken.digest
    stage.evidence = Check(stage.task.data, taken.data, kit.result(taken).data)
    return stage.remote.receive(seal(kit.COORDINATOR, stage.evidence))


def _judged(stage: Stage) -> Step:
    return stage.remote.tell("judged", lease=stage.lease, error=None)


VERIFIER_PATHS: Final[Mapping[Enum, tuple[Do, ...]]] = {
    VerifierState.CHECKING: (_check,),
    VerifierState.JUDGED: (_check, _judged),
    VerifierState.CLOSED: (_check, _judged, lambda s: s.receipt(Outcome.PAID)),
}
VERIFIER_EVENTS: Final[Mapping[Enum, Do]] = {
    VerifierEvent.CHECK: lambda s: s.remote.receive(seal(kit.COORDINATOR, s.evidence)),
    VerifierEvent.JUDGED: _judged,
    VerifierEvent.SETTLED: lambda s: s.receipt(Outcome.PAID),
    VerifierEvent.CANCEL: lambda s: s.remote.receive(
        seal(kit.COORDINATOR, Cancel(s.task.digest, ErrorCode.CANCELLED, s.lease))
    ),
    VerifierEvent.RESEND: lambda s: s.remote.tick(1_000),
    VerifierEvent.EXPIRED: lambda s: s.remote.tick(90_000),
}
VERIFIER_KINDS: Final[Mapping[Enum, tuple[str, ...]]] = {
    VerifierEffect.START: ("judge",),
    VerifierEffect.SPEAK: ("send:verdict",),
    VerifierEffect.CLOSE: ("closed",),
}


@dataclass(frozen=True)
class Machine:
    """One client role's table and how to drive it."""

    role: str
    table: Any
    paths: Mapping[Enum, tuple[Do, ...]]
    events: Mapping[Enum, Do]
    kinds: Mapping[Enum, tuple[str, ...]]
    owner: Any

    def stage(self, testee: Testee) -> Stage:
        """A fresh session with a greeted coordinator and a task of its own."""
        remote = Remote(testee, self.role, self.owner)
        remote.greet()
        return Stage(remote, kit.offer())

    def name(self, stage: Stage) -> bytes:
        """What the role's records are named by."""
        return (stage.lease or bytes(32)) if self.role == "verifier" else bytes(stage.task.digest)

    def check(self, testee: Testee, state: Enum, event: Enum) -> None:
        """Drive to a state, let an event happen, compare with the table."""
        stage = self.stage(testee)
        last: list[str] = []
        for do in self.paths[state]:
            last = _spoken(do(stage), state) or last
        expect("the state before the event", state.name.lower(), stage.remote.state(self.name(stage)))
        rule = self.table.rule(state, event)
        step = self.events[event](stage)
        expect("no error", None, step.error)
        expect("the state after the event", rule.to.name.lower(), stage.remote.state(self.name(stage)))
        kinds: list[str] = []
        for effect in rule.effects:
            if effect is WorkerEffect.REPEAT:
                kinds += last
            else:
                kinds += self.kinds.get(effect, ())
        expect("what is done", kinds, [kind for kind in step.kinds if kind not in ("send:hello", "send:advertise")])


def _spoken(step: Step, state: Enum) -> list[str]:
    """What a repetition says again: the last messages and, while a result waits, its upload."""
    again = ("publish",) if state is WorkerState.COMMITTED else ()
    return [kind for kind in step.kinds if kind in again or (kind.startswith("send:") and kind != "send:advertise")]


MACHINES: Final = (
    Machine("worker", WORKER_TABLE, WORKER_PATHS, WORKER_EVENTS, WORKER_KINDS, kit.WORKER),
    Machine("requester", REQUESTER_TABLE, REQUESTER_PATHS, REQUESTER_EVENTS, REQUESTER_KINDS, kit.REQUESTER),
    Machine("verifier", VERIFIER_TABLE, VERIFIER_PATHS, VERIFIER_EVENTS, VERIFIER_KINDS, kit.VERIFIER),
)
REQUIREMENT: Final = {"worker": "VC-SES-002", "requester": "VC-SES-003", "verifier": "VC-SES-004"}
UNREACHABLE: Final = {
    # A timer that no such state has set; time that passes is another event there.
    ("worker", "working", "resend"),
    ("worker", "committed", "renew"),
}


def _script(machine: Machine, state: Enum, event: Enum) -> Callable[[Testee], None]:
    return lambda testee: machine.check(testee, state, event)


def cases() -> Iterator[Case]:
    """A case for each state and event."""
    for machine in MACHINES:
        for state in machine.paths:
            for event in machine.events:
                names = (machine.role, state.name.lower(), event.name.lower())
                if names in UNREACHABLE:
                    continue
                yield Case(
                    id=f"machine/{names[0]}/{names[1]}/{names[2].replace('_', '-')}",
                    level=Level.L3,
                    requirements=("VC-SES-001", REQUIREMENT[machine.role]),
                    script=_script(machine, state, event),
                    roles=(machine.role,),
                    text=f"A {machine.role} in state {names[1]}: {event.value}.",
                )
    yield from coordinator_cases()
