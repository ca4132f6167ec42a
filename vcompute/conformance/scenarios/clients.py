# SPDX-License-Identifier: Apache-2.0
"""Cases against a running worker, verifier or requester: ``vcompute conformance run --url URL --role worker``.

The suite listens at the URL and plays coordinator, settlement and everyone else; the client under test connects to it
as to any coordinator. Every offer is new, so that a run can be repeated against the same client.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from vcompute.conformance.case import Case, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.host import Host
from vcompute.conformance.scenarios.kit import expect
from vcompute.errors import VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Accept,
    Advertise,
    Assign,
    Check,
    Decline,
    Extension,
    Offer,
    Result,
    Signed,
    Verdict,
    seal,
)
from vcompute.registry import Basis, ErrorCode, Role

Script = Callable[[Host], None]


@dataclass(frozen=True, slots=True)
class Job:
    """A task of the suite's, with what it must come to."""

    offer: Signed[Offer]
    outputs: bytes


@cache
def _content() -> tuple[bytes, bytes, bytes, int, int]:
    """Model, inputs, outputs, samples and work units of the jobs: a small network on two digits."""
    from vcompute.api import load_model
    from vcompute.data import digits_model, digits_samples
    from vcompute.kernels import reference
    from vcompute.node.compute import work_units
    from vcompute.task import encode_model, make_batch

    model = load_model(digits_model())
    inputs = make_batch(digits_samples()[0][:2])
    units = work_units(model, inputs.size)
    return encode_model(model), inputs.encoded, reference.run(model, inputs).encoded, inputs.size, units


def _job(host: Host, *, by: PrivateKey = kit.REQUESTER, **changes: Any) -> Job:
    model, inputs, outputs, size, units = _content()
    terms = replace(
        kit.TERMS,
        nonce=PrivateKey.generate().thumbprint[:16],
        settlement=host.settlement.thumbprint,
        model=host.offer_blob(model),
        inputs=host.offer_blob(inputs),
        batch=size,
        work_units=units,
        price=1_000_000_000,
        bond=0,
        deadline=int(time.time() * 1000) + 600_000,
        lease=30_000,
        verdict_within=60_000,
    )
    return Job(seal(by, replace(terms, **changes)).of(Offer), outputs)


def _assign(host: Host, job: Job, *, by: PrivateKey | None = None, escrow: int | None = None) -> None:
    held = job.offer.body.price if escrow is None else escrow
    host.put(seal(by or host.coordinator, Assign(job.offer.data, 1, held)))


def _of(job: Job) -> Callable[[Signed[Any]], bool]:
    return lambda message: bool(message.body.task == job.offer.digest)


# A worker.


def _connects(host: Host) -> None:
    host.connected()
    body = host.expect(Advertise).body
    expect("a worker advertises", "worker", body.role.name.lower())
    expect("the suite replay among its suites", True, kit.REPLAY in body.suites)


def _take(host: Host, job: Job) -> Signed[Accept]:
    host.connected()
    _assign(host, job)
    accept = host.expect(Accept, _of(job))
    expect("attempt and bond are the assignment's and the offer's", [1, 0], [accept.body.attempt, accept.body.bond])
    return accept


def _finish(host: Host, job: Job, accept: Signed[Accept]) -> None:
    result = host.expect(Result, _of(job))
    expect("the result names the lease", accept.digest.hex(), result.body.lease.hex())
    expect("one key accepts and commits", accept.signer.hex(), result.signer.hex())
    proof = result.body.proof
    expect("the result names a proof", True, proof is not None)
    if proof is not None:
        expect("the proof convinces", None, _refusal(job, accept.signer, host.uploaded(proof)))
    expect(
        "the outputs are those of the model, byte for byte", job.outputs.hex(), host.uploaded(result.body.outputs).hex()
    )


def _proof(job: Job, worker: bytes) -> bytes:
    """The proof that a worker of this key makes by the suite replay."""
    from vcompute.proof.api import prove
    from vcompute.task import decode_batch, decode_model

    model, inputs = decode_model(_content()[0]), decode_batch(_content()[1])
    return prove(model, inputs, "replay", job.offer.digest + worker)[1]


def _refusal(job: Job, worker: bytes, proof: bytes) -> str | None:
    """Why a proof does not convince."""
    from vcompute.proof.api import verify
    from vcompute.proof.statement import Statement
    from vcompute.proof.suite import Policy
    from vcompute.task import decode_batch, decode_model

    model, inputs, outputs = _content()[:3]
    context = job.offer.digest + worker
    statement = Statement(decode_model(model), decode_batch(inputs), decode_batch(outputs), context)
    try:
        verify(statement, proof, Policy(frozenset({kit.REPLAY.parameter_set})))
    except VcomputeError as error:
        return f"{error.code.name.lower()}: {error}"
    return None


def _runs(host: Host) -> None:
    job = _job(host)
    _finish(host, job, _take(host, job))


def _assigned_twice(host: Host) -> None:
    job = _job(host)
    accept = _take(host, job)
    _assign(host, job)
    _finish(host, job, accept)
    host.silence(Accept, lambda message: _of(job)(message) and message.digest != accept.digest)


def _spoilt(host: Host) -> None:
    job = _job(host)
    host.spoil |= {job.offer.body.model.digest}
    _finish(host, job, _take(host, job))


def _declines(code: str, *, escrow: int | None = None, **terms: Any) -> Script:
    def script(host: Host) -> None:
        job = _job(host, **terms)
        host.connected()
        _assign(host, job, escrow=escrow)
        expect("why it declines", code, host.expect(Decline, _of(job)).body.code.name.lower())

    return script


def _forged(host: Host) -> None:
    job = _job(host)
    host.connected()
    data = job.offer.data
    host.put(seal(host.coordinator, Assign(data[:-1] + bytes([data[-1] ^ 1]), 1, job.offer.body.price)))
    host.silence(Accept, lambda message: True)


def _assigned_by_stranger(host: Host) -> None:
    job = _job(host)
    host.connected()
    _assign(host, job, by=kit.STRANGER)
    host.silence(Accept, _of(job))


# A verifier.


def _evidence(
    host: Host, outputs: bytes | None = None, *, proved: bool = True, **changes: Any
) -> tuple[Job, Signed[Accept], Signed[Result]]:
    job = _job(host, **{"verifiers": (host.connected(),), **changes})
    accept = kit.accept(job.offer, bond=0)
    content = job.outputs if outputs is None else outputs
    proof = host.offer_blob(_proof(job, kit.WORKER.thumbprint)) if proved else None
    body = Result(job.offer.digest, accept.digest, host.offer_blob(content), kit.REPLAY, proof)
    result = seal(kit.WORKER, body).of(Result)
    return job, accept, result


def _check(host: Host, job: Job, accept: Signed[Accept], result: Signed[Result]) -> None:
    host.put(seal(host.coordinator, Check(job.offer.data, accept.data, result.data)))


def _judges(code: str | None, *, proved: bool = True) -> Script:
    def script(host: Host) -> None:
        outputs = _content()[2]
        wrong = code is not None and proved
        claimed = outputs[:-1] + bytes([outputs[-1] ^ 1]) if wrong else outputs
        job, accept, result = _evidence(host, claimed, proved=proved)
        _check(host, job, accept, result)
        body = host.expect(Verdict, _of(job)).body
        expect("the result it judges", result.digest.hex(), body.result.hex())
        expect("the basis", Basis.REPLAYED.name.lower(), body.basis.name.lower())
        expect("accepted", code is None, body.accepted)
        expect("why not", code, None if body.code is None else body.code.name.lower())

    return script


def _refuses(spoil: Callable[[Host], tuple[Job, Signed[Accept], Signed[Result]]]) -> Script:
    def script(host: Host) -> None:
        job, accept, result = spoil(host)
        _check(host, job, accept, result)
        host.silence(Verdict, _of(job))

    return script


def _copied(host: Host) -> tuple[Job, Signed[Accept], Signed[Result]]:
    job, accept, result = _evidence(host)
    return job, accept, seal(kit.OTHER, result.body).of(Result)


def _other_lease(host: Host) -> tuple[Job, Signed[Accept], Signed[Result]]:
    job, _, result = _evidence(host)
    return job, kit.accept(job.offer, attempt=2, bond=0), result


# A requester.


def _offers(host: Host) -> None:
    from vcompute.node.compute import work_units
    from vcompute.task import decode_batch, decode_model

    host.connected()
    offer = host.expect(Offer)
    body = offer.body
    expect("signed by the client", host.connected().hex(), offer.signer.hex())
    expect("the settlement of the greeting", host.settlement.thumbprint.hex(), body.settlement.hex())
    expect("the deadline lies ahead", True, body.deadline > time.time() * 1000)
    expect("the quorum can be reached", True, body.quorum <= len(set(body.verifiers)))
    model, inputs = decode_model(host.uploaded(body.model)), decode_batch(host.uploaded(body.inputs))
    expect("the batch is the one offered", body.batch, inputs.size)
    expect("work units of the graph", work_units(model, inputs.size), body.work_units)
    again = host.expect(Offer)
    expect("unanswered, the same offer comes again", offer.digest.hex(), again.digest.hex())


def _declined(host: Host) -> None:
    host.connected()
    offer = host.expect(Offer)
    refusal = Decline(offer.digest, 0, ErrorCode.INSUFFICIENT_FUNDS)
    host.put(seal(kit.STRANGER, refusal))
    expect("a refusal by a stranger changes nothing", offer.digest.hex(), host.expect(Offer).digest.hex())
    host.put(seal(host.coordinator, refusal))
    time.sleep(1)
    host.silence(Offer, lambda message: message.digest == offer.digest, seconds=3)


CRITICAL: Final = (Extension(1, True, b""),)
WORKER: Final[Mapping[str, tuple[Level, Script, str]]] = {
    "connects": (Level.L4, _connects, "it greets and advertises"),
    "runs": (Level.L4, _runs, "a task, from assignment to the uploaded outputs"),
    "assigned-twice": (Level.L4, _assigned_twice, "the same assignment twice: one lease"),
    "spoilt-chunk": (Level.L4, _spoilt, "a chunk of the model with a wrong byte is asked for again"),
    "escrow-too-small": (Level.L5, _declines("insufficient_funds", escrow=1), "an escrow below the price"),
    "deadline-passed": (Level.L5, _declines("deadline_passed", deadline=1), "an offer after its deadline"),
    "quorum-impossible": (Level.L5, _declines("terms_not_acceptable", quorum=2), "a quorum of two with one verifier"),
    "critical-extension": (Level.L5, _declines("unknown_critical_extension", extensions=CRITICAL), "an extension that must be known"),
    "forged-offer": (Level.L5, _forged, "an offer with a broken signature"),
    "assign-by-stranger": (Level.L5, _assigned_by_stranger, "an assignment the coordinator did not sign"),
}  # fmt: skip
VERIFIER: Final[Mapping[str, tuple[Level, Script, str]]] = {
    "accepts": (Level.L4, _judges(None), "a right result"),
    "convicts": (Level.L4, _judges("statement_mismatch"), "outputs with one wrong byte, under the proof of the right ones"),
    "no-proof": (Level.L5, _judges("proof_malformed", proved=False), "a result without a proof"),
    "copied-result": (Level.L5, _refuses(_copied), "the result of another worker under the lease"),
    "other-lease": (Level.L5, _refuses(_other_lease), "a result under another lease"),
    "not-my-task": (Level.L5, _refuses(lambda host: _evidence(host, verifiers=(kit.STRANGER.thumbprint,))), "an offer that names other verifiers"),
}  # fmt: skip
REQUESTER: Final[Mapping[str, tuple[Level, Script, str]]] = {
    "offers": (Level.L4, _offers, "its offer, the blobs in it, and the offer again"),
    "declined": (Level.L5, _declined, "a refusal: by a stranger without effect, by the coordinator the end"),
}
CASES: Final = {Role.WORKER: WORKER, Role.VERIFIER: VERIFIER, Role.REQUESTER: REQUESTER}


def _requirements(name: str, level: Level) -> tuple[str, ...]:
    special = {
        "runs": "VC-SUI-008",
        "no-proof": "VC-SUI-008",
        "spoilt-chunk": "VC-BLB-004",
        "connects": "VC-SES-008",
        "assign-by-stranger": "VC-SES-009",
    }
    own = special.get(name) or ("VC-SES-007" if level is Level.L5 else "VC-SES-001")
    return (own, "VC-NET-010")


def cases(host: Host) -> Iterator[Case]:
    """The cases of the host's role."""
    role = host.role.name.lower()
    for name, (level, script, text) in CASES[host.role].items():
        yield Case(
            id=f"url/{role}/{name}",
            level=level,
            requirements=_requirements(name, level),
            script=lambda _, script=script: script(host),  # type: ignore[misc]
            roles=(role,),
            flags=("negative",) if level is Level.L5 else (),
            text=f"{text[0].upper()}{text[1:]}.",
        )
