# SPDX-License-Identifier: Apache-2.0
"""L5: hostile peers with named faults, against each role; those against a coordinator and with receipts have files of
their own."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.hostile_clients import COORDINATOR, CRITICAL
from vcompute.conformance.scenarios.hostile_receipts import RECEIPTS, receipt_at
from vcompute.conformance.scenarios.kit import Remote, Step, expect, expect_state, ignored, refused
from vcompute.conformance.testee import Testee
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Assign,
    Cancel,
    Check,
    Decline,
    Extension,
    Hello,
    Progress,
    SuiteChoice,
    seal,
)
from vcompute.registry import ErrorCode, Outcome, Role
from vcompute.session.handshake import answer

Script = Callable[[Testee], None]
# Greetings.


def _hello(remote: Remote, by: PrivateKey = kit.COORDINATOR, **change: Any) -> Step:
    hello = remote.started.message("hello").of(Hello)
    reply = answer(hello, bytes(16), kit.SETTLEMENT.thumbprint)
    return remote.receive(seal(by, replace(reply, **change)))


GREETINGS: Final[Mapping[str, tuple[str, dict[str, Any], str]]] = {
    "downgrade": ("downgrade_detected", {"version": 0}, "another version than the best of both lists"),
    "impostor": ("unexpected_signer", {"by": kit.STRANGER}, "another coordinator answers"),
    "other-hello": ("unexpected_message", {"answers": bytes(32)}, "an answer to another greeting"),
    "not-an-answer": ("unexpected_message", {"answers": None}, "a greeting instead of an answer"),
    "other-role": ("unexpected_message", {"role": Role.WORKER}, "an answer in the role of a worker"),
    "critical-extension": ("unknown_critical_extension", {"extensions": CRITICAL}, "a critical extension that is not known"),
    "no-common-version": ("no_common_version", {"versions": (2, 3), "version": 2}, "versions that the client does not speak"),
}  # fmt: skip
OWNERS: Final = {"worker": kit.WORKER, "requester": kit.REQUESTER, "verifier": kit.VERIFIER}


def _greeting(role: str, code: str, change: dict[str, Any]) -> Script:
    def script(testee: Testee) -> None:
        remote = Remote(testee, role, OWNERS[role])
        refused(_hello(remote, **change), code)

    return script


# Against a worker.


def _worker(testee: Testee) -> Remote:
    remote = Remote(testee, "worker", kit.WORKER)
    expect("it advertises", ["send:advertise"], remote.greet().kinds)
    return remote


def _declines(code: str, *, later: int = 0, escrow: int = kit.TERMS.price, **terms: Any) -> Script:
    def script(testee: Testee) -> None:
        remote = _worker(testee)
        remote.now += later
        step = remote.receive(kit.assign(kit.offer(**terms), escrow=escrow))
        expect("it declines", ["send:decline"], step.kinds)
        body: Any = step.message("decline").body
        expect("why", code, ErrorCode(body.code).name.lower())

    return script


def _forged_offer(testee: Testee) -> None:
    remote = _worker(testee)
    offer = kit.offer()
    broken = replace(offer, data=offer.data[:-1] + bytes([offer.data[-1] ^ 1]))
    refused(remote.receive(kit.assign(broken)), "bad_signature")


def _taken(testee: Testee) -> tuple[Remote, Any, Any]:
    remote, offer = _worker(testee), kit.offer()
    step = remote.receive(kit.assign(offer))
    expect("it accepts and works", ["send:accept", "run"], step.kinds)
    return remote, offer, step.message("accept")


def _paid_by_stranger(testee: Testee) -> None:
    remote, offer, lease = _taken(testee)
    parts: dict[str, Any] = {"lease": lease.digest, "worker": kit.WORKER.thumbprint}
    refused(remote.receive(kit.receipt(offer, Outcome.PAID, by=kit.STRANGER, **parts)), "unexpected_signer")
    expect_state(remote, offer.digest, "working")


def _receipt_of_other_lease(testee: Testee) -> None:
    remote, offer, _ = _taken(testee)
    parts: dict[str, Any] = {"lease": bytes(32), "worker": kit.WORKER.thumbprint}
    ignored(remote.receive(kit.receipt(offer, Outcome.RETURNED, **parts)))
    expect_state(remote, offer.digest, "working")


def _cancel_of_other_lease(testee: Testee) -> None:
    remote, offer, _ = _taken(testee)
    ignored(remote.receive(seal(kit.COORDINATOR, Cancel(offer.digest, ErrorCode.CANCELLED, bytes(32)))))
    expect_state(remote, offer.digest, "working")


def _stale_assignment(testee: Testee) -> None:
    remote, offer = _worker(testee), kit.offer()
    remote.receive(kit.assign(offer, 2))
    ignored(remote.receive(kit.assign(offer, 1)))


def _context_of_the_lease(testee: Testee) -> None:
    remote, offer, lease = _taken(testee)
    step = remote.tell("computed", lease=lease.digest, outputs=kit.ref(b"outputs").digest, size=7)
    body: Any = step.message("result").body
    expect("the result names the task", offer.digest.hex(), body.task.hex())
    expect("the result names the lease", lease.digest.hex(), body.lease.hex())
    expect("the worker signs it", kit.WORKER.thumbprint.hex(), step.message("result").signer.hex())


def _full(testee: Testee) -> None:
    remote = _worker(testee)
    for index in range(2):
        remote.receive(kit.assign(kit.offer(memo=bytes([index]))))
    step = remote.receive(kit.assign(kit.offer(memo=b"one more")))
    expect("it declines", ["send:decline"], step.kinds)


def _cancel_by_stranger(testee: Testee) -> None:
    remote, offer, lease = _taken(testee)
    refused(
        remote.receive(seal(kit.STRANGER, Cancel(offer.digest, ErrorCode.CANCELLED, lease.digest))), "unexpected_signer"
    )
    expect_state(remote, offer.digest, "working")


def _assign_by_stranger(testee: Testee) -> None:
    remote, offer = _worker(testee), kit.offer()
    refused(remote.receive(seal(kit.STRANGER, Assign(offer.data, 1, kit.TERMS.price))), "unexpected_signer")
    expect_state(remote, offer.digest, None)


def _misdirected(role: str) -> Script:
    def script(testee: Testee) -> None:
        remote = Remote(testee, role, OWNERS[role])
        remote.greet()
        body = Progress(bytes(32), bytes(32), 1, 0)
        refused(remote.receive(seal(kit.COORDINATOR, body)), "unexpected_message")

    return script


def _garbage(role: str) -> Script:
    def script(testee: Testee) -> None:
        remote = Remote(testee, role, kit.COORDINATOR if role == "coordinator" else OWNERS[role])
        good = kit.offer().data
        refused(remote.receive(b""), "malformed_encoding")
        refused(remote.receive(good[:-1]), "malformed_encoding")
        refused(remote.receive(good + b"\x00"), "malformed_encoding")
        refused(remote.receive(good[:-1] + bytes([good[-1] ^ 1])), "bad_signature")
        refused(remote.receive(bytes(40_000)), "limit_exceeded")

    return script


# Against a requester.


def _offered(testee: Testee) -> tuple[Remote, Any]:
    remote, offer = Remote(testee, "requester", kit.REQUESTER), kit.offer()
    remote.greet()
    remote.tell("offer", message=offer.data)
    return remote, offer


def _paid_receipt(offer: Any, entry: int = 5, by: PrivateKey = kit.SETTLEMENT, **parts: Any) -> bytes:
    lease = kit.accept(offer)
    given = {"lease": lease.digest, "worker": kit.WORKER.thumbprint, "result": kit.result(lease).data, **parts}
    return kit.receipt(offer, Outcome.PAID, entry, by, **given)


def _requester_stranger(testee: Testee) -> None:
    remote, offer = _offered(testee)
    refused(remote.receive(_paid_receipt(offer, by=kit.STRANGER)), "unexpected_signer")
    expect_state(remote, offer.digest, "offered")


def _paid_without_result(testee: Testee) -> None:
    remote, offer = _offered(testee)
    refused(remote.receive(_paid_receipt(offer, result=None)), "schema_violation")
    expect_state(remote, offer.digest, "offered")


def _replayed_receipt(testee: Testee) -> None:
    remote, offer = _offered(testee)
    moved = kit.receipt(offer, Outcome.RETURNED, 7, lease=kit.accept(offer).digest, worker=kit.WORKER.thumbprint)
    remote.receive(moved)
    ignored(remote.receive(moved))
    ignored(remote.receive(_paid_receipt(offer, entry=6)))
    expect_state(remote, offer.digest, "offered")


def _unknown_task(testee: Testee) -> None:
    remote, _ = _offered(testee)
    other = kit.offer(memo=b"never offered")
    ignored(remote.receive(kit.accept(other)))
    ignored(remote.receive(_paid_receipt(other)))


def _forged_result_in_receipt(testee: Testee) -> None:
    remote, offer = _offered(testee)
    result = kit.result(kit.accept(offer)).data
    refused(remote.receive(_paid_receipt(offer, result=result[:-1] + bytes([result[-1] ^ 1]))), "bad_signature")


def _declined_by_stranger(testee: Testee) -> None:
    remote, offer = _offered(testee)
    decline = Decline(offer.digest, 0, ErrorCode.INSUFFICIENT_FUNDS)
    refused(remote.receive(seal(kit.STRANGER, decline)), "unexpected_signer")
    expect_state(remote, offer.digest, "offered")


def _paid_for_other(code: str, make: Callable[[Any], Any]) -> Script:
    def script(testee: Testee) -> None:
        remote, offer = _offered(testee)
        refused(remote.receive(_paid_receipt(offer, result=make(offer).data)), code)
        expect_state(remote, offer.digest, "offered")

    return script


# Against a verifier.


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


def _grease(testee: Testee) -> None:
    remote = Remote(testee, "worker", kit.WORKER)
    hello = remote.started.message("hello").of(Hello)
    reply = answer(hello, bytes(16), kit.SETTLEMENT.thumbprint)
    greased = replace(
        reply, versions=(1, 0x3A3A), suites=(*reply.suites, 0x4A4A), extensions=(Extension(0x5A5A, False, b"x"),)
    )
    step = remote.receive(seal(kit.COORDINATOR, greased))
    expect("unregistered values are ignored", ["send:advertise"], step.kinds)


WORKER: Final[Mapping[str, tuple[Script, str]]] = {
    "escrow-too-small": (_declines("insufficient_funds", escrow=49), "an escrow below the price"),
    "deadline-passed": (_declines("deadline_passed", later=600_000), "an offer after its deadline"),
    "quorum-impossible": (_declines("terms_not_acceptable", quorum=2), "a quorum of two with one verifier"),
    "verifier-twice": (
        _declines("terms_not_acceptable", verifiers=(kit.VERIFIER.thumbprint,) * 2, quorum=2), "one verifier named twice",
    ),
    "critical-extension": (_declines("unknown_critical_extension", extensions=CRITICAL), "an offer that needs an extension"),
    "forged-offer": (_forged_offer, "an offer with a broken signature"),
    "paid-by-stranger": (_paid_by_stranger, "a receipt that the settlement did not sign"),
    "receipt-of-other-lease": (_receipt_of_other_lease, "a receipt for another lease"),
    "cancel-of-other-lease": (_cancel_of_other_lease, "the cancellation of another lease"),
    "cancel-by-stranger": (_cancel_by_stranger, "a cancellation that the coordinator did not sign"),
    "assign-by-stranger": (_assign_by_stranger, "an assignment that the coordinator did not sign"),
    "stale-assignment": (_stale_assignment, "an assignment older than the last one"),
    "result-is-bound": (_context_of_the_lease, "a result names task and lease"),
    "no-room": (_full, "more tasks than the capacity advertised"),
    "misdirected": (_misdirected("worker"), "a message for another role"),
    "grease": (_grease, "values reserved so that unknown ones stay ignored"),
}  # fmt: skip
REQUESTER: Final[Mapping[str, tuple[Script, str]]] = {
    "paid-by-stranger": (_requester_stranger, "a receipt that the settlement did not sign"),
    "paid-without-result": (_paid_without_result, "a receipt of payment without the result"),
    "replayed-receipt": (_replayed_receipt, "receipts older than the last one"),
    "unknown-task": (_unknown_task, "messages about a task that was never offered"),
    "declined-by-stranger": (_declined_by_stranger, "a refusal that the coordinator did not sign"),
    "paid-for-other-lease": (
        _paid_for_other("stale_lease", lambda o: kit.result(kit.accept(o, attempt=2))),
        "a receipt of payment with the result of another lease",
    ),
    "paid-for-other-task": (
        _paid_for_other("stale_lease", lambda _: kit.result(kit.accept(kit.offer(memo=b"x")))),
        "a receipt of payment with the result of another task",
    ),
    "paid-to-other-worker": (
        _paid_for_other("unexpected_signer", lambda o: kit.result(kit.accept(o), kit.OTHER)),
        "a receipt of payment with the result of another worker",
    ),
    "forged-result": (_forged_result_in_receipt, "a receipt around a result with a broken signature"),
    "misdirected": (_misdirected("requester"), "a message for another role"),
}
VERIFIER: Final[Mapping[str, tuple[Script, str]]] = {
    **{name: (_evidence(change, code), text) for name, (code, change, text) in EVIDENCE.items()},
    "check-by-stranger": (_check_by_stranger, "evidence that the coordinator did not send"),
    "second-result": (_second_result, "a second result under a lease"),
    "verdict-says-why": (_verdict_says_why, "the verdict on a wrong result"),
    "misdirected": (_misdirected("verifier"), "a message for another role"),
}


def _requirement(role: str, name: str) -> str:
    """The requirement that a fault breaks."""
    if name.removeprefix("receipt-") in RECEIPTS and role in ("worker", "requester"):
        return "VC-SET-010"
    if "hello" in name or name == "grease":
        return "VC-SES-008"
    if name.endswith("by-stranger") and role != "coordinator":
        return "VC-SES-009"
    return "VC-SES-010" if name.startswith(("paid-", "forged-result")) else "VC-SES-007"


def cases() -> Iterator[Case]:
    """Every named fault."""
    groups = {"worker": WORKER, "requester": REQUESTER, "verifier": VERIFIER, "coordinator": COORDINATOR}
    for role, faults in groups.items():
        rows = dict(faults)
        rows["garbage"] = (_garbage(role), "bytes that are no message")
        if role != "coordinator":
            rows |= {
                f"hello-{name}": (_greeting(role, code, change), text)
                for name, (code, change, text) in GREETINGS.items()
            }
        if role in ("worker", "requester"):
            rows |= {f"receipt-{name}": (receipt_at(role, name), row[-1]) for name, row in RECEIPTS.items()}
        for name, (script, text) in rows.items():
            yield Case(
                id=f"adversary/{role}/{name}",
                level=Level.L5,
                requirements=(_requirement(role, name),),
                script=script,
                roles=(role,),
                flags=("negative",),
                text=f"{text[0].upper()}{text[1:]}.",
            )
