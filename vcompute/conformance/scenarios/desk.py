# SPDX-License-Identifier: Apache-2.0
"""A coordinator under test: the suite plays requester, workers, verifier and settlement around it."""

from collections.abc import Callable
from typing import Any

from vcompute.conformance.case import Failure
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, Step, expect
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes
from vcompute.errors import VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import Advertise, Hello, seal
from vcompute.registry import Role
from vcompute.session.handshake import greeting
from vcompute.settlement import Ledger, SqliteBook


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
