# SPDX-License-Identifier: Apache-2.0
"""L3 and L5: enrolment for a session, with evidence that a coordinator ignores, prefers or requires."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from vcompute.conformance.case import Case, Level, Skip
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, Step, expect, refused
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.identity import PrivateKey
from vcompute.identity.attestation import DebugStatus, issue_token
from vcompute.identity.lifecycle import Measurement, attest
from vcompute.messages import Advertise, Enrol, Hello, seal
from vcompute.registry import AttestationType, Role
from vcompute.session.handshake import greeting

ATTESTER: Final = kit.key("attester")
DEVICE: Final = bytes(range(1, 18))
SECONDS: Final = kit.NOW // 1000


class Gate:
    """A coordinator under test that trusts one attester, and workers before it."""

    def __init__(self, testee: Testee, weight: str) -> None:
        policy = {"weight": weight, "attesters": [to_text(ATTESTER.thumbprint)]}
        self.remote = Remote(testee, "coordinator", kit.COORDINATOR, extra={"attestation": policy})
        self.session = self.hello(kit.WORKER)

    def hello(self, worker: PrivateKey, role: Role = Role.WORKER) -> bytes:
        """Greet; the name of the session, which is the challenge."""
        return self.remote.receive(seal(worker, greeting(role, bytes(16)))).message("hello").of(Hello).digest

    def advertise(self, worker: PrivateKey = kit.WORKER, session: bytes | None = None) -> Step:
        """Advertise."""
        body = Advertise(session or self.session, 1, Role.WORKER, 1, (kit.REPLAY,), 4, 0, 1_000, 500_000)
        return self.remote.receive(seal(worker, body))

    def enrol(
        self,
        evidence: bytes | None,
        by: PrivateKey = kit.WORKER,
        session: bytes | None = None,
        role: Role = Role.WORKER,
    ) -> Step:
        """Enrol; a testee that does not know the message is skipped."""
        step = self.remote.receive(seal(by, Enrol(session or self.session, role, evidence)))
        if step.error in ("unknown_message", "unexpected_message") and role is Role.WORKER:
            raise Skip("enrolment is not supported")
        return step

    def evidence(self, by: PrivateKey = kit.WORKER, **changes: Any) -> bytes:
        """Good evidence, but for the changes: to the token, ``issued`` and ``challenge`` to the evidence."""
        challenge = changes.pop("challenge", self.session)
        issued, kind = changes.pop("issued", SECONDS), changes.pop("kind", AttestationType.ATTESTER_TOKEN)
        given: dict[str, Any] = {"attester": ATTESTER, "key": by.thumbprint, "nonce": challenge, "issued_at": SECONDS}
        token = issue_token(**{**given, "ueid": DEVICE, **changes})
        return attest(by, challenge, issued, Measurement(kind, token))


def _taken(gate: Gate) -> None:
    refused(gate.advertise(), "evidence_rejected")
    expect("good evidence", None, gate.enrol(gate.evidence()).error)
    expect("then it advertises", None, gate.advertise().error)


def _without(gate: Gate) -> None:
    refused(gate.enrol(None), "evidence_rejected")
    refused(gate.advertise(), "evidence_rejected")


def _stranger(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(attester=kit.STRANGER)), "evidence_rejected")


def _self_made(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(attester=kit.WORKER)), "evidence_rejected")


def _debugged(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(debug=DebugStatus.ENABLED)), "evidence_rejected")


def _lent(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(key=kit.OTHER.thumbprint)), "evidence_rejected")
    other = gate.evidence(by=kit.OTHER, key=kit.OTHER.thumbprint)
    refused(gate.enrol(other), "unexpected_signer")


def _stale(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(challenge=bytes(32))), "evidence_stale")
    refused(gate.enrol(gate.evidence(nonce=bytes(32))), "evidence_stale")
    refused(gate.enrol(gate.evidence(issued_at=SECONDS - 601)), "evidence_stale")
    refused(gate.enrol(gate.evidence(issued=SECONDS + 601)), "evidence_stale")


def _replayed(gate: Gate) -> None:
    old = gate.evidence()
    expect("good evidence", None, gate.enrol(old).error)
    again = gate.remote.receive(seal(kit.WORKER, greeting(Role.WORKER, bytes(15) + b"x"))).message("hello").digest
    refused(gate.enrol(old, session=again), "evidence_stale")
    refused(gate.advertise(session=again), "evidence_rejected")


def _other_platform(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(kind=AttestationType.ANDROID_KEY)), "evidence_rejected")


def _garbage(gate: Gate) -> None:
    refused(gate.enrol(b"\x00" * 64), "malformed_encoding")
    good = gate.evidence()
    refused(gate.enrol(good[:-1] + bytes([good[-1] ^ 1])), "bad_signature")
    junk = attest(kit.WORKER, gate.session, SECONDS, Measurement(AttestationType.ATTESTER_TOKEN, b"\x01"))
    refused(gate.enrol(junk), "schema_violation")
    expect("and the good one still counts", None, gate.enrol(good).error)


def _session(gate: Gate) -> None:
    refused(gate.enrol(gate.evidence(), session=bytes(32)), "unknown_session")
    refused(gate.enrol(gate.evidence(), role=Role.VERIFIER), "unexpected_message")


def _ignored(gate: Gate) -> None:
    expect("whatever it is", None, gate.enrol(b"\x00").error)
    expect("it advertises", None, gate.advertise().error)


def _preferred(gate: Gate) -> None:
    expect("without evidence", None, gate.advertise().error)
    other = gate.hello(kit.OTHER)
    good = gate.evidence(by=kit.OTHER, challenge=other)
    expect("with evidence", None, gate.enrol(good, by=kit.OTHER, session=other).error)
    expect("later in line", None, gate.advertise(kit.OTHER, other).error)
    gate.hello(kit.REQUESTER, Role.REQUESTER)
    given = []
    for index in range(3):
        task = kit.offer(memo=bytes([index]))
        call = gate.remote.receive(task).of("call")[0]["call"]
        gate.remote.tell("answered", call=call, receipt=b"", until=0)
        step = gate.remote.tell("staged", task=task.digest)
        given += [to_bytes(item["to"]) for item in step.of("send:assign")]
    names = ["attested" if to == kit.OTHER.thumbprint else "other" for to in given]
    expect("two for the attested worker, then one for the other", ["attested", "attested", "other"], names)


TABLE: Final[dict[str, tuple[Callable[[Gate], None], str, str, str]]] = {
    "taken": (_taken, "require", "VC-IDN-041 VC-IDN-042", "good evidence opens the way"),
    "without": (_without, "require", "VC-IDN-042", "no evidence where it is required"),
    "stranger": (_stranger, "require", "VC-IDN-040", "an attester that nobody trusts"),
    "self-made": (_self_made, "require", "VC-IDN-040", "a device that vouches for itself"),
    "debugged": (_debugged, "require", "VC-IDN-040", "a device that can be debugged"),
    "lent": (_lent, "require", "VC-IDN-040 VC-IDN-041", "a token or evidence about another key"),
    "stale": (_stale, "require", "VC-IDN-040 VC-IDN-041", "another challenge, another time"),
    "replayed": (_replayed, "require", "VC-IDN-041 VC-IDN-042", "the evidence of an earlier session"),
    "other-platform": (_other_platform, "require", "VC-IDN-041", "a type without an appraiser"),
    "garbage": (_garbage, "require", "VC-IDN-033 VC-IDN-041", "bytes that are no evidence"),
    "session": (_session, "require", "VC-IDN-041", "another session, another role"),
    "ignored": (_ignored, "ignore", "VC-IDN-042", "evidence that nobody looks at"),
    "preferred": (_preferred, "prefer", "VC-IDN-042", "attested workers get tasks first, and one more"),
}


def cases() -> Iterator[Case]:
    """A case for each path."""
    for name, (run, weight, requirements, text) in TABLE.items():
        yield Case(
            id=f"attestation/{name}",
            level=Level.L3,
            requirements=tuple(requirements.split()),
            script=_script(run, weight),
            roles=("coordinator",),
            text=f"Enrolment at a coordinator: {text}.",
        )


def _script(run: Callable[[Gate], None], weight: str) -> Callable[[Testee], None]:
    return lambda testee: run(Gate(testee, weight))
