# SPDX-License-Identifier: Apache-2.0
"""L5: hostile peers against a requester, each with a named fault."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.hostile_greetings import Script, misdirected
from vcompute.conformance.scenarios.kit import Remote, expect_state, ignored, refused
from vcompute.conformance.testee import Testee
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Decline,
    seal,
)
from vcompute.registry import ErrorCode, Outcome


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
    "misdirected": (misdirected("requester"), "a message for another role"),
}
