# SPDX-License-Identifier: Apache-2.0
"""L3: the coordinator's paths. The suite plays everyone else, as its desk does."""

from collections.abc import Callable, Iterator
from typing import Final

from vcompute.conformance.case import Case, Failure, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.desk import Desk
from vcompute.conformance.scenarios.kit import expect
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes
from vcompute.messages import Answer, Cancel, Challenge, Decline, OnChallenge, Progress, Yield, seal
from vcompute.registry import ErrorCode, YieldReason

Flow = Callable[[Desk], None]


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
