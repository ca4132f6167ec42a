# SPDX-License-Identifier: Apache-2.0
"""L5: receipts whose seal is right and whose evidence is not, against requester and worker."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, expect_state, refused
from vcompute.conformance.testee import Testee
from vcompute.registry import Basis, Outcome

Script = Callable[[Testee], None]


RECEIPTS: Final[Mapping[str, tuple[str, Outcome, dict[str, Any], Callable[[Any], dict[str, Any]], str]]] = {
    "without-verdicts": (
        "quorum_not_reached", Outcome.PAID, {}, lambda r: {"verdicts": ()}, "a payment that nobody judged",
    ),
    "verdict-by-stranger": (
        "verdict_not_admitted", Outcome.PAID, {}, lambda r: {"verdicts": (kit.verdict(r, kit.STRANGER).data,)}, "a verdict of a key the offer does not name",
    ),
    "verdict-by-worker": (
        "verdict_not_admitted", Outcome.PAID, {}, lambda r: {"verdicts": (kit.verdict(r, kit.WORKER).data,)}, "the worker's own verdict",
    ),
    "verdict-refuses": (
        "verdict_not_admitted", Outcome.PAID, {}, lambda r: {"verdicts": (kit.verdict(r, accepted=False).data,)}, "a payment on a refusing verdict",
    ),
    "verdict-accepts": (
        "verdict_not_admitted", Outcome.SLASHED, {}, lambda r: {"verdicts": (kit.verdict(r).data,)}, "a slashing on an accepting verdict",
    ),
    "verdict-of-other-result": (
        "verdict_not_admitted", Outcome.PAID, {}, lambda r: {"verdicts": (kit.verdict(r, result=bytes(32)).data,)}, "a verdict on another result",
    ),
    "verdict-of-other-basis": (
        "verdict_not_admitted", Outcome.PAID, {}, lambda r: {"verdicts": (kit.verdict(r, basis=Basis.NOT_SAMPLED).data,)}, "a basis that the policy does not admit",
    ),
    "verdict-twice": (
        "quorum_not_reached", Outcome.PAID, {"verifiers": (kit.VERIFIER.thumbprint, kit.STRANGER.thumbprint), "quorum": 2},
        lambda r: {"verdicts": (kit.verdict(r).data,) * 2}, "one verdict counted twice",
    ),
    "forged-verdict": (
        "bad_signature", Outcome.PAID, {}, lambda r: {"verdicts": (kit.verdict(r).data[:-1] + bytes([kit.verdict(r).data[-1] ^ 1]),)}, "a verdict with a broken signature",
    ),
    "result-of-other-worker": (
        "unexpected_signer", Outcome.PAID, {}, lambda r: {"worker": kit.OTHER.thumbprint}, "a result that its worker did not sign",
    ),
    "other-amount": (
        "receipt_mismatch", Outcome.PAID, {}, lambda r: {"amount": 49}, "a smaller amount than the price",
    ),
    "other-bond": (
        "receipt_mismatch", Outcome.SLASHED, {}, lambda r: {"bond": 21}, "a larger bond than the offer's",
    ),
    "other-work": (
        "receipt_mismatch", Outcome.PAID, {}, lambda r: {"work_units": 1}, "other work units than the offer's",
    ),
    "other-requester": (
        "receipt_mismatch", Outcome.PAID, {}, lambda r: {"requester": kit.STRANGER.thumbprint}, "another requester",
    ),
}  # fmt: skip


def receipt_at(role: str, name: str) -> Script:
    """The script that sends one of them to a role."""
    code, outcome, terms, change, _ = RECEIPTS[name]

    def script(testee: Testee) -> None:
        offer = kit.offer(**terms)
        if role == "requester":
            remote, state = Remote(testee, "requester", kit.REQUESTER), "offered"
            remote.greet()
            remote.tell("offer", message=offer.data)
            lease: Any = kit.accept(offer)
        else:
            remote, state = Remote(testee, "worker", kit.WORKER), "working"
            remote.greet()
            lease = remote.receive(kit.assign(offer)).message("accept")
        result = kit.result(lease)
        parts: dict[str, Any] = {"lease": lease.digest, "worker": kit.WORKER.thumbprint, "result": result.data}
        data = kit.receipt(offer, outcome, 5, **{**parts, **change(result)})
        refused(remote.receive(data), code)
        expect_state(remote, offer.digest, state)

    return script
