# SPDX-License-Identifier: Apache-2.0
"""L5: hostile greetings and bytes, against every role."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final

from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.hostile_clients import CRITICAL
from vcompute.conformance.scenarios.kit import Remote, Step, expect, refused
from vcompute.conformance.testee import Testee
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Extension,
    Hello,
    Progress,
    seal,
)
from vcompute.registry import Role
from vcompute.session.handshake import answer

Script = Callable[[Testee], None]


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


def greeting(role: str, code: str, change: dict[str, Any]) -> Script:
    """An answer to the greeting with something changed."""

    def script(testee: Testee) -> None:
        remote = Remote(testee, role, OWNERS[role])
        refused(_hello(remote, **change), code)

    return script


def grease(testee: Testee) -> None:
    """An answer with values that nobody registered."""
    remote = Remote(testee, "worker", kit.WORKER)
    hello = remote.started.message("hello").of(Hello)
    reply = answer(hello, bytes(16), kit.SETTLEMENT.thumbprint)
    greased = replace(
        reply, versions=(1, 0x3A3A), suites=(*reply.suites, 0x4A4A), extensions=(Extension(0x5A5A, False, b"x"),)
    )
    step = remote.receive(seal(kit.COORDINATOR, greased))
    expect("unregistered values are ignored", ["send:advertise"], step.kinds)


def misdirected(role: str) -> Script:
    """A message that is for another role."""

    def script(testee: Testee) -> None:
        remote = Remote(testee, role, OWNERS[role])
        remote.greet()
        body = Progress(bytes(32), bytes(32), 1, 0)
        refused(remote.receive(seal(kit.COORDINATOR, body)), "unexpected_message")

    return script


def garbage(role: str) -> Script:
    """Bytes that are no message."""

    def script(testee: Testee) -> None:
        remote = Remote(testee, role, kit.COORDINATOR if role == "coordinator" else OWNERS[role])
        good = kit.offer().data
        refused(remote.receive(b""), "malformed_encoding")
        refused(remote.receive(good[:-1]), "malformed_encoding")
        refused(remote.receive(good + b"\x00"), "malformed_encoding")
        refused(remote.receive(good[:-1] + bytes([good[-1] ^ 1])), "bad_signature")
        refused(remote.receive(bytes(40_000)), "limit_exceeded")

    return script
