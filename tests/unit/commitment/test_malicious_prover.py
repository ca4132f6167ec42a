# SPDX-License-Identifier: Apache-2.0
"""A prover that knows every challenge in advance still cannot change one element of an honest proof.

The verifier's squeezes are those of the honest run, whatever it receives: what refuses the altered proof is the algebra
and the trees, not the hash over the transcript. Nonces alone are free then.
"""

from dataclasses import dataclass, field

import pytest

from tests.unit.commitment.harness import Instance, instance
from vcompute.commitment import verify
from vcompute.errors import Rejected
from vcompute.field import P
from vcompute.registry import ErrorCode
from vcompute.transcript import VerifierTranscript


@dataclass
class Tape:
    """The squeezes of a run and where each message lies in the proof."""

    seeds: list[bytes] = field(default_factory=list)
    messages: list[tuple[str, int, int, int]] = field(default_factory=list)
    """Label, start, end, and how many squeezes came before."""


class Recording(VerifierTranscript):
    def __init__(self, proof: bytes, tape: Tape) -> None:
        self.tape = tape
        super().__init__("test", proof)

    def _squeeze(self, label: str) -> bytes:
        seed = super()._squeeze(label)
        self.tape.seeds.append(seed)
        return seed

    def _receive(self, kind: int, label: str, length: int) -> bytes:
        start = self._position
        data = super()._receive(kind, label, length)
        self.tape.messages.append((label, start, start + length, len(self.tape.seeds)))
        return data


class Replaying(VerifierTranscript):
    def __init__(self, proof: bytes, tape: Tape) -> None:
        self.seeds = iter(tape.seeds)
        super().__init__("test", proof)

    def _squeeze(self, label: str) -> bytes:
        super()._squeeze(label)
        return next(self.seeds)


def check(made: Instance, transcript: VerifierTranscript) -> None:
    roots = [verify.receive_root(transcript, shape) for shape in made.shapes]
    verify.check_claims(transcript, roots, made.claims, made.parameters, made.backend, reduce=verify.reduce_opening)
    transcript.finish()


def altered(proof: bytes, at: int, size: int) -> bytes:
    """The word (size 8) plus one in the field, or the byte (size 1) with a bit flipped."""
    value = int.from_bytes(proof[at : at + size], "little")
    value = (value + 1) % P if size == 8 else value ^ 1
    return proof[:at] + value.to_bytes(size, "little") + proof[at + size :]


EXPECTED = {
    "root": {ErrorCode.MERKLE_PATH},
    "sumcheck": {ErrorCode.FINAL_POLYNOMIAL},
    "rows": {ErrorCode.MERKLE_PATH},
    "siblings": {ErrorCode.MERKLE_PATH},
    "final polynomial": {ErrorCode.QUERY_CONSISTENCY},
}


def test_every_altered_message_is_refused_under_fixed_challenges() -> None:
    """VC-COM-004, VC-COM-005."""
    made = instance([520, 40], seed=11)
    proof, tape = made.prove(), Tape()
    check(made, Recording(proof, tape))
    check(made, Replaying(proof, tape))
    seen = set()
    for label, start, end, _ in tape.messages:
        if label.endswith("work"):
            continue
        size = 1 if label in {"root", "siblings"} else 8
        for at in range(start, end, size):
            with pytest.raises(Rejected) as caught:
                check(made, Replaying(altered(proof, at, size), tape))
            assert caught.value.code in EXPECTED[label], label
        seen.add(label)
    assert seen == set(EXPECTED)


def test_every_challenge_depends_on_every_message_before_it() -> None:
    """VC-TRN-001: no challenge is constant, none ignores a message."""
    made = instance([520], seed=12)
    proof, tape = made.prove(), Tape()
    check(made, Recording(proof, tape))
    assert len(set(tape.seeds)) == len(tape.seeds)
    changed = 0
    for _, start, _, before in tape.messages:
        other = Tape()
        with pytest.raises(Rejected):
            check(made, Recording(altered(proof, start, 1), other))
        assert other.seeds[:before] == tape.seeds[:before]
        assert not set(other.seeds[before:]) & set(tape.seeds)
        changed += len(other.seeds) > before
    assert changed > len(tape.messages) // 2  # most messages are refused only after the next challenge
