# SPDX-License-Identifier: Apache-2.0
"""Fuzzed: openings of commitments, by both verifiers, with and without the challenges of the honest run."""

from functools import cache

from tests.unit.commitment.harness import Instance, instance
from tests.unit.commitment.test_malicious_prover import Recording, Replaying, Tape, check
from vcompute import _native
from vcompute.commitment import native, verify
from vcompute.errors import Rejected
from vcompute.transcript import VerifierTranscript


@cache
def honest() -> tuple[Instance, bytes, Tape]:
    """A small instance of two tables and two rounds, its proof, and the proof's challenges."""
    made, tape = instance([520, 40], seed=1), Tape()
    proof = made.prove()
    check(made, Recording(proof, tape))
    return made, proof, tape


def seeds() -> list[bytes]:
    """The honest proof."""
    return [honest()[1]]


def opening(data: bytes) -> None:
    """Nothing but the honest proof is accepted, and the native verifier refuses with the same code."""
    made, proof, _ = honest()
    verdicts = []
    for reduce in (verify.reduce_opening, *([native.reduce_opening] if _native.available() else [])):
        transcript = VerifierTranscript("test", data)
        try:
            roots = [verify.receive_root(transcript, shape) for shape in made.shapes]
            verify.check_claims(transcript, roots, made.claims, made.parameters, made.backend, reduce)
            transcript.finish()
        except Rejected as error:
            verdicts.append(error)
    assert len({error.code for error in verdicts}) <= 1
    if verdicts:
        assert len(verdicts) == 1 + _native.available()
        raise verdicts[0]
    assert data == proof


def opening_replayed(data: bytes) -> None:
    """Under the honest run's challenges every check is reached; only the nonces may differ."""
    made, proof, tape = honest()
    check(made, Replaying(data, tape))
    work = [range(start, end) for label, start, end, _ in tape.messages if label.endswith("work")]
    assert len(data) == len(proof)
    assert all(a == b or any(at in place for place in work) for at, (a, b) in enumerate(zip(data, proof, strict=True)))
