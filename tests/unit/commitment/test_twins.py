# SPDX-License-Identifier: Apache-2.0
"""The native verifier of openings against its readable twin: the same end, the same state, the same code."""

import random

import pytest

from tests.unit.commitment.harness import Instance, instance
from vcompute import _native
from vcompute.commitment import STANDARD, TINY, CommitmentParameters, native, verify
from vcompute.commitment.parameters import Schedule
from vcompute.commitment.verify import End, Reducer
from vcompute.errors import Rejected
from vcompute.registry import ErrorCode
from vcompute.transcript import VerifierTranscript

SIZES = [[16], [520], [5000], [2000, 33], [33, 2000], [700, 3000, 16]]


@pytest.fixture(autouse=True)
def _needs_native() -> None:
    _native.require()


def run(made: Instance, proof: bytes, reduce: Reducer) -> tuple[ErrorCode | None, object]:
    """The code of the rejection, or what the twin found and the challenge that follows."""
    found: list[End] = []

    def recording(transcript, tables, running, plan: Schedule, backend) -> End:  # type: ignore[no-untyped-def]
        found.append(reduce(transcript, tables, running, plan, backend))
        return found[0]

    transcript = VerifierTranscript("test", proof)
    try:
        roots = [verify.receive_root(transcript, shape) for shape in made.shapes]
        verify.check_claims(transcript, roots, made.claims, made.parameters, made.backend, recording)
        transcript.finish()
    except Rejected as error:
        return error.code, None
    return None, (found[0], transcript.challenge("after"))


@pytest.mark.parametrize("lengths", SIZES, ids=str)
@pytest.mark.parametrize("parameters", [TINY, STANDARD], ids=lambda p: p.name)
def test_both_accept_and_end_alike(lengths: list[int], parameters: CommitmentParameters) -> None:
    made = instance(lengths, seed=1, parameters=parameters)
    proof = made.prove()
    python, c = run(made, proof, verify.reduce_opening), run(made, proof, native.reduce_opening)
    assert python[0] is None
    assert python == c


@pytest.mark.parametrize("lengths", [[520], [300, 1000]], ids=str)
def test_both_refuse_with_the_same_code(lengths: list[int]) -> None:
    made = instance(lengths, seed=2)
    proof = made.prove()
    rng = random.Random(3)
    seen = set()
    for _ in range(400):
        altered = bytearray(proof)
        at = rng.randrange(len(proof))
        kind = rng.randrange(4)
        if kind == 0:
            altered[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            del altered[at:]
        elif kind == 2:
            altered[at : at + 8] = b"\xff" * 8
        else:
            altered += bytes(1 + at % 3)
        python, c = (run(made, bytes(altered), reduce)[0] for reduce in (verify.reduce_opening, native.reduce_opening))
        assert python is not None
        assert python is c
        seen.add(python)
    assert {
        ErrorCode.NONCANONICAL_ELEMENT,
        ErrorCode.TRUNCATED_PROOF,
        ErrorCode.TRAILING_BYTES,
        ErrorCode.GRINDING,
        ErrorCode.MERKLE_PATH,
    } <= seen
