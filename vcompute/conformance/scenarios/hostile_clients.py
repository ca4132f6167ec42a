# SPDX-License-Identifier: Apache-2.0
"""L5: hostile clients against a coordinator, each with a named fault."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.desk import Desk
from vcompute.conformance.scenarios.kit import expect
from vcompute.conformance.testee import Testee
from vcompute.messages import (
    Advertise,
    Cancel,
    Extension,
    Progress,
    Yield,
    seal,
)
from vcompute.registry import ErrorCode, Outcome, Role, YieldReason
from vcompute.session.handshake import greeting

Script = Callable[[Testee], None]
CRITICAL: Final = (Extension(1, True, b""),)


def _at_coordinator(state: str, message: Callable[[Desk], Any], code: str | None, *kinds: str) -> Script:
    def script(testee: Testee) -> None:
        desk = Desk(testee)
        getattr(desk, state)()
        before = desk.remote.state(desk.task.digest)
        step = desk.remote.receive(message(desk))
        expect("refused", code, step.error)
        expect("what is done", list(kinds), step.kinds)
        expect("the state stays", before, desk.remote.state(desk.task.digest))

    return script


COORDINATOR: Final[Mapping[str, tuple[Script, str]]] = {
    "copied-result": (
        _at_coordinator("leased", lambda d: kit.result(d.lease, kit.OTHER), None, "send:cancel"), "a result by a worker without the lease",
    ),
    "stale-lease": (
        _at_coordinator("leased", lambda d: kit.result(kit.accept(d.task, attempt=9)), None, "send:cancel"), "a result under a lease that is not the task's",
    ),
    "accept-by-other": (
        _at_coordinator("assigned", lambda d: kit.accept(d.task, kit.OTHER), None, "send:cancel"), "an acceptance by a worker that was not asked",
    ),
    "accept-other-attempt": (
        _at_coordinator("assigned", lambda d: kit.accept(d.task, attempt=2), None, "send:cancel"), "an acceptance of another attempt",
    ),
    "yield-by-other": (
        _at_coordinator("leased", lambda d: seal(kit.OTHER, Yield(d.task.digest, d.lease.digest, YieldReason.UNKNOWN)), None), "another worker yields the lease",
    ),
    "progress-by-other": (
        _at_coordinator("leased", lambda d: seal(kit.OTHER, Progress(d.task.digest, d.lease.digest, 1, 0)), None, "send:cancel"), "another worker renews the lease",
    ),
    "verdict-by-stranger": (
        _at_coordinator("judging", lambda d: kit.verdict(d.committed, kit.STRANGER), "verdict_not_admitted"), "a verdict by a key that the offer does not name",
    ),
    "verdict-early": (
        _at_coordinator("leased", lambda d: kit.verdict(kit.result(d.lease)), None), "a verdict before the result",
    ),
    "cancel-by-stranger": (
        _at_coordinator("leased", lambda d: seal(kit.STRANGER, Cancel(d.task.digest, ErrorCode.CANCELLED)), "unexpected_signer"), "a stranger cancels",
    ),
    "cancel-of-unknown": (
        _at_coordinator("opened", lambda d: seal(kit.REQUESTER, Cancel(bytes(32), ErrorCode.CANCELLED)), "unknown_task"), "the cancellation of a task that is not there",
    ),
    "advertise-without-session": (
        _at_coordinator("opened", lambda d: seal(kit.OTHER, Advertise(bytes(32), 1, Role.WORKER, 1, (kit.REPLAY,), 2, 0, 1_000, 60_000)), "unknown_session"), "an advertisement of a session that is not there",
    ),
    "hello-no-version": (
        _at_coordinator("opened", lambda d: seal(kit.OTHER, replace(greeting(Role.WORKER, bytes(16)), versions=(2, 0x0A0A))), "no_common_version"), "a client of another version",
    ),
    "hello-critical": (
        _at_coordinator("opened", lambda d: seal(kit.OTHER, replace(greeting(Role.WORKER, bytes(16)), extensions=CRITICAL)), "unknown_critical_extension"), "a client that needs an extension",
    ),
    "hello-as-coordinator": (
        _at_coordinator("opened", lambda d: seal(kit.OTHER, greeting(Role.COORDINATOR, bytes(16))), "unexpected_message"), "a client in the role of a coordinator",
    ),
    "receipt-to-coordinator": (
        _at_coordinator("opened", lambda d: kit.receipt(d.task, Outcome.PAID), "unexpected_message"), "a receipt sent to the coordinator",
    ),
}  # fmt: skip
