# SPDX-License-Identifier: Apache-2.0
"""L3: the coordinator's paths. The suite plays requester, workers, verifier and settlement."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from vcompute.conformance.case import Case, Failure, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, Step, expect
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes
from vcompute.errors import VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import Advertise, Answer, Cancel, Challenge, Decline, Hello, OnChallenge, Progress, Yield, seal
from vcompute.registry import ErrorCode, Role, YieldReason
from vcompute.session.handshake import greeting
from vcompute.settlement import Ledger, SqliteBook

Flow = Callable[["Desk"], None]


class Desk:
    """A coordinator under test with everyone around it."""

    def __init__(self, testee: Testee, workers: int = 1) -> None:
        self.remote = Remote(testee, "coordinator", kit.COORDINATOR)
        self.ledger = Ledger(SqliteBook(":memory:"), kit.SETTLEMENT)
        self.workers = (kit.WORKER, kit.OTHER)[:workers]
        for party in (kit.REQUESTER, kit.WORKER, kit.OTHER):
            self.ledger.fund(party.thumbprint, 1_000, party.thumbprint, kit.NOW)
        self.task = kit.offer()
        self.lease: Any = None
        self.committed: Any = None
        self.call: Any = None
        self.hello(kit.REQUESTER, Role.REQUESTER)
        self.hello(kit.VERIFIER, Role.VERIFIER)
        for worker in self.workers:
            session = self.hello(worker, Role.WORKER)
            self.remote.receive(
                seal(worker, Advertise(session, 1, Role.WORKER, 1, (kit.REPLAY,), 2, 0, 1_000, 500_000))
            )

    def hello(self, party: PrivateKey, role: Role) -> bytes:
        """Greet; the name of the session."""
        step = self.remote.receive(seal(party, greeting(role, bytes(16))))
        return step.message("hello").of(Hello).digest

    def expect(self, step: Step, state: str, *kinds: str, maybe: str = "") -> Step:
        """Compare a step's state and actions, ``maybe`` left out; remember the call it makes."""
        expect("no error", None, step.error)
        expect("what is done", sorted(kinds), sorted(kind for kind in step.kinds if kind != maybe))
        expect("state", state, self.remote.state(self.task.digest))
        calls = step.of("call")
        if calls:
            self.call = calls[-1]
        return step

    def answer(self) -> Step:
        """The settlement does what it is asked, and says so."""
        call = self.call
        task, lease, data = (to_bytes(call[name]) for name in ("task", "lease", "data"))
        now = self.remote.now
        verbs: dict[str, Callable[[], Any]] = {
            "open": lambda: self.ledger.open(data, now),
            "bond": lambda: self.ledger.bond(data, now),
            "renew": lambda: self.ledger.renew(data, now),
            "commit": lambda: self.ledger.commit(data, now),
            "challenge": lambda: self.ledger.challenge(task, lease, data or None, now),
            "answer": lambda: self.ledger.answer(data, now),
            "settle": lambda: self.ledger.settle(data, now),
            "release": lambda: self.ledger.release(task, lease, data or None, now),
            "refund": lambda: self.ledger.refund(task, data or None, now),
        }
        try:
            holding = verbs[call["operation"]]()
        except VcomputeError as error:
            raise Failure(f"a call that the settlement can answer: {error}", "an answer", dict(call)) from error
        return self.remote.tell("answered", call=call["call"], receipt=holding.receipt or b"", until=holding.until)

    def deny(self, code: str) -> Step:
        """The settlement refuses."""
        return self.remote.tell("refused", call=self.call["call"], error=code)

    def asks(self, operation: str) -> None:
        """Check what the settlement was asked last."""
        expect("what the settlement is asked", operation, self.call["operation"])

    # The path to payment, step by step.

    def opened(self) -> "Desk":
        """Offered; the escrow is open, model and inputs are wanted."""
        self.expect(self.remote.receive(self.task), "opening", "call")
        self.asks("open")
        self.expect(self.answer(), "staging", "stage")
        return self

    def assigned(self) -> "Desk":
        """Staged and assigned to a worker."""
        self.opened()
        step = self.expect(self.remote.tell("staged", task=self.task.digest), "assigned", "send:assign")
        self.worker = next(w for w in self.workers if w.thumbprint == to_bytes(step.of("send:assign")[0]["to"]))
        return self

    def leased(self) -> "Desk":
        """Accepted and bonded."""
        self.assigned()
        self.lease = kit.accept(self.task, self.worker)
        self.expect(self.remote.receive(self.lease), "bonding", "call")
        self.asks("bond")
        step = self.expect(self.answer(), "leased", "send:accept")
        expect("who hears of the lease", kit.REQUESTER.thumbprint, to_bytes(step.of("send:accept")[0]["to"]))
        return self

    def judging(self) -> "Desk":
        """Committed, collected and with the verifier."""
        self.leased()
        self.committed = kit.result(self.lease, self.worker)
        self.expect(self.remote.receive(self.committed), "committing", "call")
        self.asks("commit")
        self.expect(self.answer(), "collecting", "stage")
        self.expect(self.remote.tell("staged", task=self.task.digest), "judging", "send:check")
        return self

    def paid(self) -> "Desk":
        """Settled."""
        self.judging()
        self.expect(self.remote.receive(kit.verdict(self.committed)), "settling", "call")
        self.asks("settle")
        receipts = ("send:receipt",) * 3
        self.expect(self.answer(), "paid", "closed", *receipts)
        return self

    def money(self, requester: int, worker: int) -> None:
        """Check the balances, and that nothing was made or lost."""
        expect("balance of the requester", requester, self.ledger.balance(kit.REQUESTER.thumbprint))
        expect("balance of the worker", worker, self.ledger.balance(kit.WORKER.thumbprint))
        expect("conserved", True, self.ledger.audit().conserved)


def _paid(desk: Desk) -> None:
    desk.paid().money(950, 1_050)


def _offer_again(desk: Desk) -> None:
    desk.paid()
    desk.expect(desk.remote.receive(desk.task), "paid", "send:receipt", "send:receipt", "send:receipt")
    desk.money(950, 1_050)


def _verdict_again(desk: Desk) -> None:
    desk.paid()
    desk.expect(desk.remote.receive(kit.verdict(desk.committed)), "paid", "send:receipt")
    desk.money(950, 1_050)


def _no_funds(desk: Desk) -> None:
    desk.expect(desk.remote.receive(desk.task), "opening", "call")
    desk.expect(desk.deny("insufficient_funds"), "refused", "send:decline", "closed")


def _settlement_silent(desk: Desk) -> None:
    desk.expect(desk.remote.receive(desk.task), "opening", "call")
    desk.expect(desk.remote.tell("unknown", call=desk.call["call"]), "opening")
    desk.expect(desk.remote.tick(1_000), "opening", "call")
    desk.asks("open")
    desk.expect(desk.answer(), "staging", "stage")


def _settle_unknown(desk: Desk) -> None:
    desk.judging()
    desk.expect(desk.remote.receive(kit.verdict(desk.committed)), "settling", "call")
    desk.ledger.settle(to_bytes(desk.call["data"]), desk.remote.now)  # it paid, and its answer is lost
    desk.expect(desk.remote.tell("unknown", call=desk.call["call"]), "settling")
    desk.expect(desk.remote.tick(1_000), "settling", "call")
    desk.asks("settle")
    desk.expect(desk.answer(), "paid", "closed", *("send:receipt",) * 3)
    desk.money(950, 1_050)


def _decline(desk: Desk) -> None:
    desk.assigned()
    message = seal(desk.worker, Decline(desk.task.digest, 1, ErrorCode.PRICE_TOO_LOW))
    desk.expect(desk.remote.receive(message), "queued")


def _decline_goes_on(desk: Desk) -> None:
    desk.assigned()
    first = desk.worker
    message = seal(first, Decline(desk.task.digest, 1, ErrorCode.PRICE_TOO_LOW))
    step = desk.expect(desk.remote.receive(message), "assigned", "send:assign")
    if to_bytes(step.of("send:assign")[0]["to"]) == first.thumbprint:
        raise Failure("the task goes to the other worker")


def _no_accept(desk: Desk) -> None:
    desk.assigned()
    desk.expect(desk.remote.tick(5_000), "queued", maybe="send:assign")


def _bond_denied(desk: Desk) -> None:
    desk.assigned()
    desk.expect(desk.remote.receive(kit.accept(desk.task, desk.worker)), "bonding", "call")
    desk.expect(desk.deny("insufficient_bond"), "queued", "send:cancel")


def _renew(desk: Desk) -> None:
    desk.leased()
    desk.remote.now += 4_000
    step = seal(desk.worker, Progress(desk.task.digest, desk.lease.digest, 1, 0))
    desk.expect(desk.remote.receive(step), "leased", "call")
    desk.asks("renew")
    desk.expect(desk.answer(), "leased")
    desk.expect(desk.remote.tick(4_000), "leased")


def _lapse(desk: Desk) -> None:
    desk.leased()
    desk.expect(desk.remote.tick(kit.TERMS.lease), "releasing", "send:cancel", "call")
    desk.asks("release")
    desk.expect(desk.answer(), "queued", "send:receipt", "send:receipt")
    desk.money(950, 1_000)


def _yield(desk: Desk) -> None:
    desk.leased()
    message = seal(desk.worker, Yield(desk.task.digest, desk.lease.digest, YieldReason.UNKNOWN))
    desk.expect(desk.remote.receive(message), "releasing", "call")
    desk.asks("release")
    desk.expect(desk.answer(), "queued", "send:receipt", "send:receipt")
    desk.money(950, 1_000)


def _slashed(desk: Desk) -> None:
    desk.judging()
    desk.expect(desk.remote.receive(kit.verdict(desk.committed, accepted=False)), "settling", "call")
    desk.expect(desk.answer(), "queued", *("send:receipt",) * 3)
    desk.money(970, 980)


def _slashed_goes_on(desk: Desk) -> None:
    desk.judging()
    first = desk.worker
    desk.expect(desk.remote.receive(kit.verdict(desk.committed, accepted=False)), "settling", "call")
    step = desk.expect(desk.answer(), "assigned", "send:assign", *("send:receipt",) * 3)
    if to_bytes(step.of("send:assign")[0]["to"]) == first.thumbprint:
        raise Failure("a convicted worker does not get the task again")


def _no_verdict(desk: Desk) -> None:
    desk.judging()
    step = desk.remote.tick(kit.TERMS.verdict_within)
    desk.expect(step, "releasing", "send:cancel", "call", maybe="send:check")
    desk.asks("release")


def _deadline(desk: Desk) -> None:
    desk.opened()
    desk.expect(desk.remote.tick(600_000), "refunding", "call", maybe="stage")
    desk.asks("refund")
    desk.expect(desk.answer(), "refunded", "send:receipt", "closed")
    desk.money(1_000, 1_000)


def _cancel(desk: Desk) -> None:
    desk.opened()
    message = seal(kit.REQUESTER, Cancel(desk.task.digest, ErrorCode.CANCELLED))
    desk.expect(desk.remote.receive(message), "refunding", "call")
    desk.asks("refund")
    desk.expect(desk.answer(), "refunded", "send:receipt", "closed")
    desk.money(1_000, 1_000)


def _cancel_leased(desk: Desk) -> None:
    desk.leased()
    message = seal(kit.REQUESTER, Cancel(desk.task.digest, ErrorCode.CANCELLED))
    desk.expect(desk.remote.receive(message), "releasing", "send:cancel", "call")
    desk.asks("release")


def _restart(desk: Desk) -> None:
    desk.leased()
    desk.expect(desk.remote.restart(), "leased")
    desk.committed = kit.result(desk.lease, desk.worker)
    desk.expect(desk.remote.receive(desk.committed), "committing", "call")
    desk.expect(desk.remote.restart(), "committing", "call")
    desk.asks("commit")
    desk.expect(desk.answer(), "collecting", "stage")


def _resends(desk: Desk) -> None:
    desk.assigned()
    desk.expect(desk.remote.tick(1_000), "assigned", "send:assign")
    desk.lease = kit.accept(desk.task, desk.worker)
    desk.expect(desk.remote.receive(desk.lease), "bonding", "call")


def _waiting(desk: Desk) -> None:
    desk.task = kit.offer(policy=OnChallenge((kit.REPLAY,), 4_000, 3_000, 5))
    desk.leased()
    desk.committed = kit.result(desk.lease, desk.worker)
    desk.expect(desk.remote.receive(desk.committed), "committing", "call")
    desk.expect(desk.answer(), "waiting", "stage", "send:check", "send:check")


def _unchallenged(desk: Desk) -> None:
    _waiting(desk)
    step = desk.remote.tick(4_000)
    expect("nothing is decided before", True, "call" in step.kinds)
    desk.call = step.of("call")[-1]
    desk.asks("release")
    desk.expect(desk.answer(), "paid", "closed", *("send:receipt",) * 3)
    desk.money(950, 1_050)


def _challenge(desk: Desk) -> None:
    _waiting(desk)
    body = Challenge(desk.task.digest, desk.lease.digest, desk.committed.digest)
    desk.expect(desk.remote.receive(seal(kit.REQUESTER, body)), "challenging", "call")
    desk.asks("challenge")
    step = desk.expect(desk.answer(), "proving", "send:challenge")
    expect("who hears of it", desk.worker.thumbprint, to_bytes(step.of("send:challenge")[0]["to"]))


def _challenge_answered(desk: Desk) -> None:
    _challenge(desk)
    answer = Answer(desk.task.digest, desk.lease.digest, desk.committed.digest, None)
    desk.expect(desk.remote.receive(seal(desk.worker, answer)), "answering", "call")
    desk.asks("answer")
    desk.expect(desk.answer(), "collecting", "stage")
    desk.expect(desk.remote.tell("staged", task=desk.task.digest), "judging", "send:check", "send:check")
    desk.expect(desk.remote.receive(kit.verdict(desk.committed)), "settling", "call")
    desk.expect(desk.answer(), "paid", "closed", *("send:receipt",) * 3)
    desk.money(945, 1_055)


def _challenge_unanswered(desk: Desk) -> None:
    _challenge(desk)
    step = desk.remote.tick(3_000)
    desk.call = step.of("call")[-1]
    desk.asks("release")
    desk.expect(desk.answer(), "queued", *("send:receipt",) * 3)
    desk.money(970, 980)


def _challenge_denied(desk: Desk) -> None:
    _waiting(desk)
    body = Challenge(desk.task.digest, desk.lease.digest, desk.committed.digest)
    desk.expect(desk.remote.receive(seal(kit.STRANGER, body)), "challenging", "call")
    desk.expect(desk.deny("insufficient_bond"), "waiting")


def _messages_repeated(desk: Desk) -> None:
    desk.leased()
    expect("the same Accept again", [], desk.remote.receive(desk.lease).kinds)
    desk.committed = kit.result(desk.lease, desk.worker)
    desk.expect(desk.remote.receive(desk.committed), "committing", "call")
    expect("the same Result again", [], desk.remote.receive(desk.committed).kinds)
    desk.expect(desk.answer(), "collecting", "stage")


FLOWS: Final[dict[str, tuple[Flow, int, str]]] = {
    "paid": (_paid, 1, "an offer, carried out, judged and paid"),
    "offer-again": (_offer_again, 1, "the offer of a paid task again: its receipt, and no second payment"),
    "verdict-again": (_verdict_again, 1, "the verdict of a paid task again"),
    "no-funds": (_no_funds, 1, "a requester without the money"),
    "settlement-silent": (_settlement_silent, 1, "a settlement that does not answer is asked again"),
    "settle-unknown": (_settle_unknown, 1, "a settlement whose answer is lost pays once"),
    "decline": (_decline, 1, "the only worker declines"),
    "decline-goes-on": (_decline_goes_on, 2, "a worker declines and another one is asked"),
    "no-accept": (_no_accept, 1, "a worker that does not answer"),
    "bond-denied": (_bond_denied, 1, "a worker without a bond"),
    "renew": (_renew, 1, "a lease that is renewed outlives its first end"),
    "lapse": (_lapse, 1, "a lease that is not renewed ends without fault"),
    "yield": (_yield, 1, "a worker that yields"),
    "slashed": (_slashed, 1, "a result that is refused"),
    "slashed-goes-on": (_slashed_goes_on, 2, "a refused result, and the task goes to another worker"),
    "no-verdict": (_no_verdict, 1, "no verdict in time"),
    "deadline": (_deadline, 1, "the deadline passes before a worker is found"),
    "cancel": (_cancel, 1, "cancelled before a lease"),
    "cancel-leased": (_cancel_leased, 1, "cancelled during a lease"),
    "restart": (_restart, 1, "killed and started again, twice"),
    "resends": (_resends, 1, "an assignment that is not answered is sent again"),
    "unchallenged": (_unchallenged, 1, "a result that nobody challenges is paid when the window is over"),
    "challenge-answered": (_challenge_answered, 1, "a challenge is passed on, answered and judged"),
    "challenge-unanswered": (_challenge_unanswered, 1, "a challenge that is not answered convicts"),
    "challenge-denied": (_challenge_denied, 1, "a challenge that the settlement refuses changes nothing"),
    "messages-repeated": (_messages_repeated, 1, "messages that arrive twice act once"),
}


def _script(flow: Flow, workers: int) -> Callable[[Testee], None]:
    return lambda testee: flow(Desk(testee, workers))


def coordinator_cases() -> Iterator[Case]:
    """A case for each path."""
    for name, (flow, workers, text) in FLOWS.items():
        yield Case(
            id=f"machine/coordinator/{name}",
            level=Level.L3,
            requirements=("VC-SES-001", "VC-SES-005"),
            script=_script(flow, workers),
            roles=("coordinator",),
            text=f"A coordinator: {text}.",
        )
