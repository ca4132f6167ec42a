# SPDX-License-Identifier: Apache-2.0
"""L3 and L5: the settlement. Every state and operation, and evidence that must move no money; challenges have a file
of their own."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, expect
from vcompute.conformance.testee import Testee
from vcompute.messages import Cancel, Progress, Yield, seal
from vcompute.registry import Basis, ErrorCode, YieldReason

Run = Callable[["Till"], Any]
START: Final = 1_000


class Till:
    """A settlement under test, funded."""

    def __init__(self, testee: Testee) -> None:
        self.remote = Remote(testee, "settlement", kit.SETTLEMENT)
        self.task = kit.offer()
        self.lease = kit.accept(self.task)
        self.result = kit.result(self.lease)
        for party in (kit.REQUESTER, kit.WORKER, kit.OTHER):
            self.do("fund", data=party.thumbprint, party=party.thumbprint, amount=START)

    def do(self, operation: str, **request: Any) -> str:
        """``done``, or the name of the error."""
        out = self.remote.settle(operation, **request)
        return out if isinstance(out, str) else "done"

    def open(self) -> str:
        return self.do("open", data=self.task.data)

    def bond(self) -> str:
        return self.do("bond", data=self.lease.data)

    def commit(self) -> str:
        return self.do("commit", data=self.result.data)

    def settle(self, **change: Any) -> str:
        return self.do("settle", data=kit.verdict(self.result, **change).data)

    def renew(self) -> str:
        return self.do("renew", data=seal(kit.WORKER, Progress(self.task.digest, self.lease.digest, 1, 0)).data)

    def give_back(self) -> str:
        evidence = seal(kit.WORKER, Yield(self.task.digest, self.lease.digest, YieldReason.UNKNOWN))
        return self.do("release", data=evidence.data, task=self.task.digest, lease=self.lease.digest)

    def refund(self) -> str:
        evidence = seal(kit.REQUESTER, Cancel(self.task.digest, ErrorCode.CANCELLED))
        return self.do("refund", data=evidence.data, task=self.task.digest)

    def balances(self, requester: int, worker: int) -> None:
        for party, amount in ((kit.REQUESTER, requester), (kit.WORKER, worker)):
            facts = self.remote.facts(party.thumbprint)
            expect("balance", amount, facts.get("balance"))
            expect("conserved", True, facts.get("conserved"))

    def to(self, state: str) -> None:
        """Bring the escrow to a state."""
        path = ("none", "open", "leased", "committed", "paid")
        steps = (self.open, self.bond, self.commit, self.settle)
        if state == "refunded":
            self.open()
            expect("refund", "done", self.refund())
            return
        for step in steps[: path.index(state)]:
            expect(f"on the way to {state}", "done", step())


VERBS: Final[Mapping[str, Run]] = {
    "bond": Till.bond,
    "renew": Till.renew,
    "commit": Till.commit,
    "settle": Till.settle,
    "reject": lambda till: till.settle(accepted=False),
    "release": Till.give_back,
    "refund": Till.refund,
}
# state -> operation -> the state after it; what is not named is refused and moves nothing
ALLOWED: Final[Mapping[str, Mapping[str, str]]] = {
    "none": {},
    "open": {"bond": "leased", "refund": "refunded"},
    "leased": {"renew": "leased", "commit": "committed", "release": "open"},
    "committed": {"settle": "paid", "reject": "open"},
    "paid": {},
    "refunded": {},
}
# what was done already and is answered again, without moving anything
REPEATED: Final[Mapping[str, tuple[str, ...]]] = {
    "leased": ("bond",),
    "committed": ("bond", "commit"),
    "paid": ("bond", "commit", "settle"),
    "refunded": ("refund",),
}
BALANCES: Final = {
    "none": (1_000, 1_000),
    "open": (950, 1_000),
    "leased": (950, 980),
    "committed": (950, 980),
    "paid": (950, 1_050),
    "refunded": (1_000, 1_000),
}


def _transition(state: str, verb: str) -> Callable[[Testee], None]:
    def script(testee: Testee) -> None:
        till = Till(testee)
        till.to(state)
        answer = VERBS[verb](till)
        after = ALLOWED[state].get(verb)
        if after is None:
            if verb in REPEATED.get(state, ()):
                expect("the same operation again", "done", answer)
            elif answer == "done":
                expect("refused", "an error", answer)
            after = state
        else:
            expect("accepted", "done", answer)
        till.balances(*((970, 980) if verb == "reject" and answer == "done" else BALANCES[after]))
        if after != "none":
            expect("state", after, till.remote.state(till.task.digest))

    return script


def _refused(code: str, state: str, do: Run) -> Callable[[Testee], None]:
    def script(testee: Testee) -> None:
        till = Till(testee)
        till.to(state)
        expect("refused", code, do(till))
        till.balances(*BALANCES[state])

    return script


def _late(milliseconds: int, do: Run) -> Run:
    def run(till: Till) -> Any:
        till.remote.now += milliseconds
        return do(till)

    return run


ATTACKS: Final[Mapping[str, tuple[str, str, Run, str]]] = {
    "double-voucher": (
        "lease_conflict", "paid",
        lambda t: t.do("settle", data=kit.verdict(t.result, accepted=False).data), "a second verdict on a paid task",
    ),
    "verdict-by-stranger": (
        "verdict_not_admitted", "committed", lambda t: t.settle(by=kit.STRANGER), "a verdict of a key the offer does not name",
    ),
    "verdict-by-worker": (
        "verdict_not_admitted", "committed", lambda t: t.settle(by=kit.WORKER), "the worker judges itself",
    ),
    "basis-not-sampled": (
        "verdict_not_admitted", "committed", lambda t: t.settle(basis=Basis.NOT_SAMPLED), "a basis the policy does not admit",
    ),
    "basis-unchallenged": (
        "verdict_not_admitted", "committed", lambda t: t.settle(basis=Basis.UNCHALLENGED), "a basis the policy does not admit",
    ),
    "verdict-of-other-result": (
        "verdict_not_admitted", "committed", lambda t: t.settle(result=bytes(32)), "a verdict on another result",
    ),
    "verdict-of-other-lease": (
        "stale_lease", "committed", lambda t: t.settle(lease=bytes(32)), "a verdict on another lease",
    ),
    "copied-result": (
        "unexpected_signer", "leased", lambda t: t.do("commit", data=kit.result(t.lease, kit.OTHER).data), "another worker commits under the lease",
    ),
    "other-bond": (
        "terms_not_acceptable", "open", lambda t: t.do("bond", data=kit.accept(t.task, bond=1).data), "a smaller bond than the offer's",
    ),
    "second-worker": (
        "lease_conflict", "leased", lambda t: t.do("bond", data=kit.accept(t.task, kit.OTHER).data), "a second worker takes the same task",
    ),
    "verifier-works": (
        "terms_not_acceptable", "open", lambda t: t.do("bond", data=kit.accept(t.task, kit.VERIFIER).data), "the verifier takes the task",
    ),
    "bond-unfunded": (
        "insufficient_bond", "open", lambda t: t.do("bond", data=kit.accept(t.task, kit.STRANGER).data), "a worker without money",
    ),
    "offer-unfunded": (
        "insufficient_funds", "none", lambda t: t.do("open", data=kit.offer(kit.STRANGER).data), "a requester without money",
    ),
    "offer-too-dear": (
        "insufficient_funds", "none", lambda t: t.do("open", data=kit.offer(price=1_001).data), "a price above the balance",
    ),
    "other-settlement": (
        "wrong_settlement", "none", lambda t: t.do("open", data=kit.offer(settlement=bytes(32)).data), "an offer for another settlement",
    ),
    "offer-too-late": (
        "deadline_passed", "none", _late(600_000, Till.open), "an offer after its deadline",
    ),
    "bond-without-escrow": (
        "escrow_missing", "none", Till.bond, "a bond for a task that was never opened",
    ),
    "commit-late": (
        "lease_expired", "leased", _late(6_000, Till.commit), "a result after the lease",
    ),
    "renew-late": (
        "lease_expired", "leased", _late(6_000, Till.renew), "a renewal after the lease",
    ),
    "renew-by-other": (
        "unexpected_signer", "leased",
        lambda t: t.do("renew", data=seal(kit.OTHER, Progress(t.task.digest, t.lease.digest, 1, 0)).data), "another worker renews",
    ),
    "release-early": (
        "not_due", "leased", lambda t: t.do("release", task=t.task.digest, lease=t.lease.digest), "a release before the lease is over",
    ),
    "release-by-other": (
        "unexpected_signer", "leased",
        lambda t: t.do("release", data=seal(kit.OTHER, Yield(t.task.digest, t.lease.digest, YieldReason.UNKNOWN)).data, task=t.task.digest, lease=t.lease.digest),
        "another worker yields the lease",
    ),
    "refund-early": (
        "not_due", "open", lambda t: t.do("refund", task=t.task.digest), "a refund before the deadline without a Cancel",
    ),
    "refund-by-other": (
        "unexpected_signer", "open",
        lambda t: t.do("refund", data=seal(kit.STRANGER, Cancel(t.task.digest, ErrorCode.CANCELLED)).data, task=t.task.digest),
        "a stranger cancels",
    ),
    "fund-conflict": (
        "operation_conflict", "none",
        lambda t: t.do("fund", data=kit.WORKER.thumbprint, party=kit.WORKER.thumbprint, amount=2), "another amount under a used operation",
    ),
    "forged-verdict": (
        "bad_signature", "committed",
        lambda t: t.do("settle", data=kit.verdict(t.result).data[:-1] + bytes([kit.verdict(t.result).data[-1] ^ 1])), "a verdict with a broken signature",
    ),
    "suite-not-in-policy": (
        "verdict_not_admitted", "committed", lambda t: t.settle(basis=Basis.PROVED), "proved, where the policy asks for a replay",
    ),
}  # fmt: skip


def _quorum(testee: Testee) -> None:
    till = Till(testee)
    judges = (kit.VERIFIER, kit.STRANGER)
    till.task = kit.offer(verifiers=tuple(judge.thumbprint for judge in judges), quorum=2)
    till.lease = kit.accept(till.task)
    till.result = kit.result(till.lease)
    till.to("committed")
    expect("the first verdict is counted", "done", till.settle())
    till.balances(*BALANCES["committed"])
    expect("the same verifier twice", "verdict_not_admitted", till.settle(accepted=False))
    till.balances(*BALANCES["committed"])
    expect("the second verifier", "done", till.settle(by=kit.STRANGER))
    till.balances(*BALANCES["paid"])


TIMED: Final = ("offer-too-late", "commit-late", "renew-late", "release-early", "refund-early")


def cases() -> Iterator[Case]:
    """Transitions at L3, attacks at L5."""
    yield Case(
        id="adversary/settlement/quorum",
        level=Level.L5,
        requirements=("VC-SET-001", "VC-SET-003", "VC-SET-006"),
        script=_quorum,
        roles=("coordinator",),
        text="One verifier of a quorum of two judges twice.",
    )
    for state in ALLOWED:
        for verb in VERBS:
            yield Case(
                id=f"settlement/{state}/{verb}",
                level=Level.L3,
                requirements=("VC-SET-001", "VC-SET-002", "VC-SET-005"),
                script=_transition(state, verb),
                roles=("coordinator",),
                text=f"A settlement asked to {verb} where the escrow is {state}.",
            )
    for name, (code, state, do, text) in ATTACKS.items():
        yield Case(
            id=f"adversary/settlement/{name}",
            level=Level.L5,
            requirements=("VC-SET-003", "VC-SET-004") if name in TIMED else ("VC-SET-003",),
            script=_refused(code, state, do),
            roles=("coordinator",),
            flags=("negative",),
            text=f"{text[0].upper()}{text[1:]}.",
        )
