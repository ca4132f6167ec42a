# SPDX-License-Identifier: Apache-2.0
"""L5: hostile peers against a worker, each with a named fault."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.hostile_clients import CRITICAL
from vcompute.conformance.scenarios.hostile_greetings import Script, grease, misdirected
from vcompute.conformance.scenarios.kit import Remote, expect, expect_state, ignored, refused
from vcompute.conformance.testee import Testee
from vcompute.messages import (
    Assign,
    Cancel,
    seal,
)
from vcompute.registry import ErrorCode, Outcome


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
    "misdirected": (misdirected("worker"), "a message for another role"),
    "grease": (grease, "values reserved so that unknown ones stay ignored"),
}  # fmt: skip
