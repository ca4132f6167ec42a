# SPDX-License-Identifier: Apache-2.0
"""Keys, messages and remote sessions that the scenarios share."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

from vcompute.conformance.case import Failure, Skip
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Accept,
    Always,
    Assign,
    BlobRef,
    Hello,
    Message,
    Offer,
    Receipt,
    Result,
    Signed,
    SuiteChoice,
    Verdict,
    open_message,
    reopen,
    seal,
)
from vcompute.registry import Basis, ErrorCode, Outcome, ParameterSetId
from vcompute.session.handshake import answer
from vcompute.task.digest import blob_digest

NOW: Final = 1_700_000_000_000
REPLAY: Final = SuiteChoice.of(ParameterSetId.EXACT)


def key(name: str) -> PrivateKey:
    """The key of a party of the scenarios."""
    return PrivateKey.from_seed(b"conformance/" + name.encode())


REQUESTER: Final = key("requester")
WORKER: Final = key("worker")
OTHER: Final = key("other worker")
VERIFIER: Final = key("verifier")
COORDINATOR: Final = key("coordinator")
SETTLEMENT: Final = key("settlement")
STRANGER: Final = key("stranger")


def ref(content: bytes) -> BlobRef:
    """A reference to some content."""
    return BlobRef(blob_digest(content), len(content))


TERMS: Final = Offer(
    nonce=bytes(16),
    settlement=SETTLEMENT.thumbprint,
    model=ref(b"model"),
    inputs=ref(b"inputs"),
    batch=4,
    work_units=1000,
    policy=Always((REPLAY,)),
    verifiers=(VERIFIER.thumbprint,),
    quorum=1,
    price=50,
    bond=20,
    deadline=NOW + 600_000,
    lease=6_000,
    verdict_within=10_000,
    extensions=(),
)
"""The terms of the scenarios' offers."""


def offer(by: PrivateKey = REQUESTER, **changes: Any) -> Signed[Offer]:
    """A signed offer with some terms changed."""
    return seal(by, replace(TERMS, **changes)).of(Offer)


def assign(task: Signed[Offer], attempt: int = 1, *, escrow: int = TERMS.price) -> bytes:
    """The coordinator's assignment of an offer."""
    return seal(COORDINATOR, Assign(task.data, attempt, escrow)).data


def accept(task: Signed[Offer], by: PrivateKey = WORKER, attempt: int = 1, bond: int = TERMS.bond) -> Signed[Accept]:
    """A worker's acceptance."""
    return seal(by, Accept(task.digest, attempt, bond)).of(Accept)


def result(
    lease: Signed[Accept], by: PrivateKey = WORKER, outputs: bytes = b"outputs", suite: SuiteChoice = REPLAY
) -> Signed[Result]:
    """A worker's result under a lease."""
    return seal(by, Result(lease.body.task, lease.digest, ref(outputs), suite)).of(Result)


def verdict(
    judged: Signed[Result],
    by: PrivateKey = VERIFIER,
    *,
    accepted: bool = True,
    basis: Basis = Basis.REPLAYED,
    **changes: Any,
) -> Signed[Verdict]:
    """A verifier's verdict on a result."""
    code = None if accepted else ErrorCode.OUTPUT_MISMATCH
    body = Verdict(judged.body.task, judged.body.lease, judged.digest, accepted, basis, code)
    return seal(by, replace(body, **changes)).of(Verdict)


def receipt(task: Signed[Offer], outcome: Outcome, entry: int = 5, by: PrivateKey = SETTLEMENT, **parts: Any) -> bytes:
    """A receipt; ``parts`` are lease, worker, result and changes. A judged result gets the verdict it needs."""
    given = parts.get("result")
    if "verdicts" not in parts and given is not None and outcome in (Outcome.PAID, Outcome.SLASHED):
        judged = reopen(given).of(Result)
        parts["verdicts"] = (verdict(judged, accepted=outcome is Outcome.PAID).data,)
    moved = task.body.price if outcome in (Outcome.PAID, Outcome.REFUNDED) else 0
    body = Receipt(
        task=task.digest,
        outcome=outcome,
        requester=task.signer,
        amount=moved,
        bond=0 if outcome is Outcome.REFUNDED else task.body.bond,
        work_units=task.body.work_units if outcome is Outcome.PAID else 0,
        time=NOW,
        entry=entry,
        verdicts=(),
    )
    body = replace(body, **parts)
    return seal(by, body).data


def secret(owner: PrivateKey) -> str:
    """The private scalar of a key, as the testee protocol sends it."""
    return to_text(owner.wrapped.private_numbers().private_value.to_bytes(32, "big"))


@dataclass
class Step:
    """What a testee did in one step."""

    actions: Sequence[Mapping[str, Any]] = ()
    error: str | None = None

    @property
    def kinds(self) -> list[str]:
        """The actions in short: ``send:accept``, ``run``."""
        return [f"send:{item['type']}" if item["do"] == "send" else str(item["do"]) for item in self.actions]

    def of(self, kind: str) -> list[Mapping[str, Any]]:
        """The actions of one kind, in short form."""
        return [item for item, name in zip(self.actions, self.kinds, strict=True) if name == kind]

    def message(self, name: str) -> Signed[Message]:
        """The one message of a type that was sent.

        Raises:
            Failure: there is none, or there are several.
            VcomputeError: it does not open; the runner counts that against the testee.
        """
        found = self.of(f"send:{name}")
        if len(found) != 1:
            raise Failure(f"one {name} is sent", [f"send:{name}"], self.kinds)
        return open_message(to_bytes(found[0]["message"]))


@dataclass
class Remote:
    """A session of the testee."""

    testee: Testee
    role: str
    owner: PrivateKey
    session: int = 0
    now: int = NOW
    sent: list[bytes] = field(default_factory=list)
    started: Step = field(default_factory=Step)
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        request = {
            "role": self.role,
            "private": secret(self.owner),
            "coordinator": to_text(COORDINATOR.thumbprint),
            "settlement": to_text(SETTLEMENT.thumbprint),
            "now": self.now,
            **self.extra,
        }
        out = self._ask("session.start", request)
        if isinstance(out, str):
            raise Failure("a session starts", {"session": 0}, {"error": out})
        self.session = int(out["session"])
        self.started = self._step(out)

    def _ask(self, op: str, request: Mapping[str, Any]) -> Mapping[str, Any] | str:
        answered = self.testee.ask(op, request)
        if answered.unsupported:
            raise Skip(f"{op} is not supported")
        if answered.error is not None:
            return answered.error
        return answered.out or {}

    def _step(self, out: Mapping[str, Any] | str) -> Step:
        if isinstance(out, str):
            return Step(error=out)
        step = Step(tuple(out["actions"]))
        self.sent += [to_bytes(item["message"]) for item in step.actions if item["do"] == "send"]
        return step

    def receive(self, message: bytes | Signed[Any]) -> Step:
        """Deliver a message."""
        data = message if isinstance(message, bytes) else message.data
        request = {"session": self.session, "now": self.now, "message": to_text(data)}
        return self._step(self._ask("session.receive", request))

    def tick(self, milliseconds: int = 0) -> Step:
        """Let time pass."""
        self.now += milliseconds
        return self._step(self._ask("session.tick", {"session": self.session, "now": self.now}))

    def tell(self, what: str, **request: Any) -> Step:
        """Tell of something beside the messages."""
        given = {key: to_text(value) if isinstance(value, bytes) else value for key, value in request.items()}
        return self._step(self._ask("session.tell", {"session": self.session, "now": self.now, "what": what, **given}))

    def restart(self) -> Step:
        """Kill the session and start it again from its store."""
        return self._step(self._ask("session.restart", {"session": self.session, "now": self.now}))

    def state(self, name: bytes) -> Any:
        """Where a task (for a verifier: a lease) stands."""
        out = self._ask("session.state", {"session": self.session, "name": to_text(name)})
        return out if isinstance(out, str) else out.get("state")

    def facts(self, name: bytes) -> Mapping[str, Any]:
        """Everything that ``session.state`` says."""
        out = self._ask("session.state", {"session": self.session, "name": to_text(name)})
        return {"error": out} if isinstance(out, str) else out

    def settle(self, operation: str, **request: Any) -> Mapping[str, Any] | str:
        """Ask a settlement; the name of the error where it refuses."""
        given = {key: to_text(value) if isinstance(value, bytes) else value for key, value in request.items()}
        return self._ask("session.settle", {"session": self.session, "now": self.now, "operation": operation, **given})

    def greet(self) -> Step:
        """Answer the client's Hello as an honest coordinator."""
        hello = self.started.message("hello").of(Hello)
        reply = seal(COORDINATOR, answer(hello, bytes(16), SETTLEMENT.thumbprint))
        return self.receive(reply)


def expect(what: str, expected: Any, got: Any) -> None:
    """Fail where two JSON values differ."""
    if expected != got:
        raise Failure(what, expected, got)


def expect_state(remote: Remote, name: bytes, state: str | None) -> None:
    """Fail where a task stands elsewhere."""
    expect("state", state, remote.state(name))


def refused(step: Step, code: str) -> None:
    """The message is refused under a code, and nothing else is done."""
    expect("refused", code, step.error)
    expect("nothing is done", [], step.kinds)


def ignored(step: Step) -> None:
    """The message has no effect."""
    expect("no error", None, step.error)
    expect("nothing is done", [], step.kinds)
