# SPDX-License-Identifier: Apache-2.0
"""L5: hostile evidence against a verifier, each piece with a named fault."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.hostile_greetings import Script, misdirected
from vcompute.conformance.scenarios.kit import Remote, expect, expect_state, refused
from vcompute.conformance.testee import Testee
from vcompute.messages import (
    Check,
    SuiteChoice,
    seal,
)
from vcompute.registry import ErrorCode


def _check_by_stranger(testee: Testee) -> None:
    remote = Remote(testee, "verifier", kit.VERIFIER)
    remote.greet()
    offer = kit.offer()
    lease = kit.accept(offer)
    refused(
        remote.receive(seal(kit.STRANGER, Check(offer.data, lease.data, kit.result(lease).data))), "unexpected_signer"
    )
    expect_state(remote, lease.digest, None)


def _evidence(change: Callable[[Any, Any, Any], Check], code: str) -> Script:
    def script(testee: Testee) -> None:
        remote = Remote(testee, "verifier", kit.VERIFIER)
        remote.greet()
        offer = kit.offer()
        lease = kit.accept(offer)
        refused(remote.receive(seal(kit.COORDINATOR, change(offer, lease, kit.result(lease)))), code)

    return script


EVIDENCE: Final[Mapping[str, tuple[str, Callable[[Any, Any, Any], Check], str]]] = {
    "copied-result": (
        "unexpected_signer", lambda o, a, r: Check(o.data, a.data, kit.result(a, kit.OTHER).data), "the result of another worker under the lease",
    ),
    "swapped-offer": (
        "stale_lease", lambda o, a, r: Check(kit.offer(memo=b"x").data, a.data, r.data), "another offer, with another model",
    ),
    "result-of-other-lease": (
        "stale_lease", lambda o, a, r: Check(o.data, a.data, kit.result(kit.accept(o, attempt=2)).data), "a result under another lease",
    ),
    "suite-downgrade": (
        "no_common_suite", lambda o, a, r: Check(o.data, a.data, kit.result(a, suite=SuiteChoice(3, 4)).data), "a suite the policy does not admit",
    ),
    "not-my-task": (
        "unexpected_message", lambda o, a, r: _for_others(), "an offer that names other verifiers",
    ),
    "accept-as-result": (
        "unknown_message", lambda o, a, r: Check(o.data, a.data, a.data), "an Accept in the place of the Result",
    ),
    "forged-accept": (
        "bad_signature", lambda o, a, r: Check(o.data, a.data[:-1] + bytes([a.data[-1] ^ 1]), r.data), "an Accept with a broken signature",
    ),
}  # fmt: skip


def _for_others() -> Check:
    offer = kit.offer(verifiers=(kit.STRANGER.thumbprint,))
    lease = kit.accept(offer)
    return Check(offer.data, lease.data, kit.result(lease).data)


def _second_result(testee: Testee) -> None:
    remote = Remote(testee, "verifier", kit.VERIFIER)
    remote.greet()
    offer = kit.offer()
    lease = kit.accept(offer)
    remote.receive(seal(kit.COORDINATOR, Check(offer.data, lease.data, kit.result(lease).data)))
    other = Check(offer.data, lease.data, kit.result(lease, outputs=b"other outputs").data)
    refused(remote.receive(seal(kit.COORDINATOR, other)), "unexpected_message")


def _verdict_says_why(testee: Testee) -> None:
    remote = Remote(testee, "verifier", kit.VERIFIER)
    remote.greet()
    offer = kit.offer()
    lease = kit.accept(offer)
    judged = kit.result(lease)
    remote.receive(seal(kit.COORDINATOR, Check(offer.data, lease.data, judged.data)))
    body: Any = remote.tell("judged", lease=lease.digest, error="output_mismatch").message("verdict").body
    expect("it is refused", False, body.accepted)
    expect("why", "output_mismatch", ErrorCode(body.code).name.lower())
    expect("the result it names", judged.digest.hex(), body.result.hex())


VERIFIER: Final[Mapping[str, tuple[Script, str]]] = {
    **{name: (_evidence(change, code), text) for name, (code, change, text) in EVIDENCE.items()},
    "check-by-stranger": (_check_by_stranger, "evidence that the coordinator did not send"),
    "second-result": (_second_result, "a second result under a lease"),
    "verdict-says-why": (_verdict_says_why, "the verdict on a wrong result"),
    "misdirected": (misdirected("verifier"), "a message for another role"),
}
