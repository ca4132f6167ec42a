# SPDX-License-Identifier: Apache-2.0
"""L3 and L5: the settlement under a policy of challenges."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import expect
from vcompute.conformance.scenarios.money import Till
from vcompute.conformance.testee import Testee
from vcompute.identity import PrivateKey
from vcompute.messages import Answer, Challenge, OnChallenge, SuiteChoice, seal
from vcompute.registry import Basis, ParameterSetId

PROOF: Final = SuiteChoice.of(ParameterSetId.PUBLIC_128)


class Contested(Till):
    """A settlement asked about results that may be challenged."""

    WINDOW = 4_000
    ANSWER = 2_000
    STAKE = 5

    def __init__(self, testee: Testee) -> None:
        super().__init__(testee)
        policy = OnChallenge((PROOF,), self.WINDOW, self.ANSWER, self.STAKE)
        self.task = kit.offer(policy=policy)
        self.lease = kit.accept(self.task)
        self.result = kit.result(self.lease, suite=PROOF)

    def challenge(self, by: PrivateKey = kit.OTHER, **change: Any) -> str:
        body = Challenge(self.task.digest, self.lease.digest, self.result.digest)
        data = seal(by, replace(body, **change)).data
        return self.do("challenge", data=data, task=self.task.digest, lease=self.lease.digest)

    def answer(self, by: PrivateKey = kit.WORKER, **change: Any) -> str:
        body = Answer(self.task.digest, self.lease.digest, self.result.digest, kit.ref(b"proof"))
        return self.do("answer", data=seal(by, replace(body, **change)).data)

    def due(self) -> str:
        return self.do("release", task=self.task.digest, lease=self.lease.digest)

    def wait(self, milliseconds: int) -> None:
        self.remote.now += milliseconds

    def ends(self, requester: int, worker: int, challenger: int) -> None:
        self.balances(requester, worker)
        expect("balance of the challenger", challenger, self.remote.facts(kit.OTHER.thumbprint).get("balance"))


def _unchallenged(till: Contested) -> None:
    expect("not before the window is over", "lease_conflict", till.due())
    till.wait(till.WINDOW)
    expect("then it is paid", "done", till.due())
    till.ends(950, 1_050, 1_000)


def _proved(till: Contested) -> None:
    expect("challenged", "done", till.challenge())
    till.ends(950, 980, 995)
    expect("answered", "done", till.answer())
    expect("accepted", "done", till.settle(basis=Basis.PROVED))
    till.ends(950, 1_055, 995)


def _refuted(till: Contested) -> None:
    expect("challenged", "done", till.challenge())
    expect("answered", "done", till.answer())
    expect("refused", "done", till.settle(basis=Basis.PROVED, accepted=False))
    till.ends(970, 980, 1_000)


def _unanswered(till: Contested) -> None:
    expect("challenged", "done", till.challenge())
    till.wait(till.ANSWER)
    expect("too late", "not_due", till.answer())
    expect("convicted", "done", till.due())
    till.ends(970, 980, 1_000)


def _unjudged(till: Contested) -> None:
    expect("challenged", "done", till.challenge())
    expect("answered", "done", till.answer())
    till.wait(kit.TERMS.verdict_within)
    expect("nobody judged", "done", till.due())
    till.ends(950, 1_005, 995)


def _challenged_first(change: Callable[[Contested], str]) -> Callable[[Contested], str]:
    def do(till: Contested) -> str:
        expect("challenged", "done", till.challenge())
        return change(till)

    return do


CONTESTS: Final[Mapping[str, tuple[str, Callable[[Contested], None], str]]] = {
    "unchallenged": ("VC-POL-032 VC-POL-033", _unchallenged, "a result that nobody challenges"),
    "proved": ("VC-POL-034 VC-POL-035", _proved, "a challenge that is answered"),
    "refuted": ("VC-POL-034 VC-POL-035", _refuted, "a challenge whose answer is refused"),
    "unanswered": ("VC-POL-034 VC-POL-035", _unanswered, "a challenge that is not answered"),
    "unjudged": ("VC-POL-035", _unjudged, "an answer that no verifier judges"),
}
CONTESTED_ATTACKS: Final[Mapping[str, tuple[str, str, Callable[[Contested], str], str]]] = {
    "early-verdict": ("lease_conflict", "VC-POL-032", lambda t: t.settle(basis=Basis.PROVED), "a verdict in the window"),
    "verifier-says-unchallenged": (
        "verdict_not_admitted", "VC-POL-033", lambda t: t.settle(basis=Basis.UNCHALLENGED), "a verifier in the place of time",
    ),
    "of-other-result": ("statement_mismatch", "VC-POL-034", lambda t: t.challenge(result=bytes(32)), "a challenge of another result"),
    "by-worker": ("unexpected_signer", "VC-POL-034", lambda t: t.challenge(kit.WORKER), "a worker challenges itself"),
    "unfunded": ("insufficient_bond", "VC-POL-034", lambda t: t.challenge(kit.STRANGER), "a challenge without the stake"),
    "answer-unasked": ("lease_conflict", "VC-POL-034", Contested.answer, "an answer that nobody asked for"),
    "twice": (
        "lease_conflict", "VC-POL-034", _challenged_first(lambda t: t.challenge(kit.REQUESTER)), "a second challenge",
    ),
    "answer-by-other": (
        "unexpected_signer", "VC-POL-034", _challenged_first(lambda t: t.answer(kit.OTHER)), "an answer by another worker",
    ),
    "answer-of-other-result": (
        "statement_mismatch", "VC-POL-034", _challenged_first(lambda t: t.answer(result=bytes(32))), "an answer on another result",
    ),
    "verdict-before-answer": (
        "lease_conflict", "VC-POL-034", _challenged_first(lambda t: t.settle(basis=Basis.PROVED)), "a verdict before the answer",
    ),
}  # fmt: skip


def _contest(check: Callable[[Contested], None]) -> Callable[[Testee], None]:
    def script(testee: Testee) -> None:
        till = Contested(testee)
        till.to("committed")
        check(till)

    return script


def _refused_contest(code: str, do: Callable[[Contested], str]) -> Callable[[Contested], None]:
    return lambda till: expect("refused", code, do(till))


def cases() -> Iterator[Case]:
    """Challenges at L3, attacks on them at L5."""
    for name, (requirements, check, text) in CONTESTS.items():
        yield Case(
            id=f"settlement/challenge/{name}",
            level=Level.L3,
            requirements=tuple(requirements.split()),
            script=_contest(check),
            roles=("coordinator",),
            text=f"{text[0].upper()}{text[1:]}.",
        )
    for name, (code, requirement, do, text) in CONTESTED_ATTACKS.items():
        yield Case(
            id=f"adversary/settlement/challenge-{name}",
            level=Level.L5,
            requirements=(requirement,),
            script=_contest(_refused_contest(code, do)),
            roles=("coordinator",),
            flags=("negative",),
            text=f"{text[0].upper()}{text[1:]}.",
        )
