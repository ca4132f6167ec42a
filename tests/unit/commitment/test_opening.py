# SPDX-License-Identifier: Apache-2.0
"""Openings: honest ones pass for every size, false ones fail, no byte of a proof is malleable."""

import dataclasses

import numpy as np
import pytest

from tests.unit.commitment.harness import Instance, instance
from vcompute.commitment import STANDARD, TINY, Claim, EqWeight, TableShape, claim, schedule
from vcompute.commitment import prove as prover
from vcompute.errors import Rejected
from vcompute.field import Ext, P, implementations
from vcompute.registry import ErrorCode

SIZES = [[16], [17], [100], [256], [1000], [1024], [5000], [64, 64], [2000, 33], [33, 2000], [700, 3000, 16]]


@pytest.mark.parametrize("lengths", SIZES, ids=str)
def test_honest_openings_pass(lengths: list[int]) -> None:
    """VC-COM-004."""
    made = instance(lengths, seed=sum(lengths))
    made.verify(made.prove())


@pytest.mark.parametrize("backend", implementations(), ids=lambda b: b.name)
def test_proofs_are_deterministic_and_the_same_on_every_backend(backend) -> None:  # type: ignore[no-untyped-def]
    made = instance([3000, 200], seed=5, backend=backend)
    proof = made.prove()
    assert proof == instance([3000, 200], seed=5, backend=implementations()[0]).prove()
    made.verify(proof)


def test_standard_parameters() -> None:
    made = instance([20000, 3000], seed=1, parameters=STANDARD)
    made.verify(made.prove())


def test_grinding_before_every_challenge() -> None:
    demanding = dataclasses.replace(TINY, security_bits=127, max_challenge_grinding=30, query_grinding=0)
    small = instance([300], seed=3)
    with pytest.raises(Rejected) as caught:
        Instance(small.tables, small.claims, demanding).prove()
    assert caught.value.code is ErrorCode.SECURITY_UNREACHABLE  # the digests' collision bound


@pytest.mark.parametrize("which", range(9))
def test_a_false_claim_is_rejected(which: int) -> None:
    made = instance([700, 100], seed=2)
    false = made.claims[which]
    made.claims[which] = Claim(false.parts, false.value + 1)
    with pytest.raises(Rejected) as caught:
        made.verify(made.prove())
    assert caught.value.code is ErrorCode.FINAL_POLYNOMIAL


def test_other_claims_than_proved_are_rejected() -> None:
    """VC-COM-005."""
    made = instance([700, 100], seed=2)
    proof = made.prove()
    variants = [
        made.claims[:-1],
        [*made.claims, made.claims[0]],
        [made.claims[1], made.claims[0], *made.claims[2:]],
        [Claim(made.claims[0].parts, made.claims[0].value + 1), *made.claims[1:]],
        [claim(0, EqWeight((), offset=6), made.claims[0].value), *made.claims[1:]],
    ]
    for claims in variants:
        with pytest.raises(Rejected):
            made.verify(proof, claims=claims)


def test_other_shapes_than_proved_are_rejected() -> None:
    made = instance([700, 100], seed=2)
    proof = made.prove()
    for shapes in ([TableShape(6, 12), made.shapes[1]], [TableShape(7, 6), made.shapes[1]], made.shapes[::-1]):
        with pytest.raises(Rejected):
            made.verify(proof, shapes=shapes)


@pytest.mark.parametrize("part", range(4))
def test_every_flipped_bit_is_rejected(part: int) -> None:
    """VC-COM-005. Two rounds, so that every kind of message is there; flips have a stride of four bits."""
    made = instance([520], seed=4)
    made.claims = made.claims[-1:]
    proof = made.prove()
    made.verify(proof)
    assert len(schedule(TINY, made.shapes, 1).rounds) == 2
    for bit in range(part, 8 * len(proof), 4):
        flipped = bytearray(proof)
        flipped[bit // 8] ^= 1 << bit % 8
        with pytest.raises(Rejected):
            made.verify(bytes(flipped))


def test_every_truncation_and_extension_is_rejected() -> None:
    """VC-TRN-004."""
    made = instance([300], seed=4)
    proof = made.prove()
    for length in range(len(proof)):
        with pytest.raises(Rejected) as caught:
            made.verify(proof[:length])
        assert caught.value.code is ErrorCode.TRUNCATED_PROOF
    for extra in (b"\0", proof):
        with pytest.raises(Rejected) as caught:
            made.verify(proof + extra)
        assert caught.value.code is ErrorCode.TRAILING_BYTES


def test_noncanonical_elements_are_rejected() -> None:
    """v + p in place of v, for every word of the first sumcheck message that fits 64 bits."""
    made = instance([300], seed=4)
    proof = made.prove()
    start = 27  # after the root
    value = int.from_bytes(proof[start : start + 8], "little")
    for wrong in (value % 2**32 + P if value % 2**32 + P < 2**64 else P, 2**64 - 1):
        altered = proof[:start] + wrong.to_bytes(8, "little") + proof[start + 8 :]
        with pytest.raises(Rejected) as caught:
            made.verify(altered)
        assert caught.value.code is ErrorCode.NONCANONICAL_ELEMENT


def test_a_tampered_table_behind_an_honest_root_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    """The prover folds another table than it committed to."""
    made = instance([3000], seed=6)
    honest = prover.commit

    def cheat(values, shape, parameters, backend):  # type: ignore[no-untyped-def]
        committed = honest(values, shape, parameters, backend)
        other = committed.table.copy()
        other[7] = (int(other[7]) + 1) % P
        return dataclasses.replace(committed, table=other)

    monkeypatch.setattr(prover, "commit", cheat)
    weight = EqWeight((), offset=7)
    made.claims = [claim(0, weight, Ext(int(made.tables[0][7]) + 1))]
    proof = made.prove()
    with pytest.raises(Rejected) as caught:
        made.verify(proof)
    assert caught.value.code in {ErrorCode.QUERY_CONSISTENCY, ErrorCode.FINAL_POLYNOMIAL}


def test_a_codeword_of_too_high_degree_is_rejected() -> None:
    """Standard queries catch a table whose committed word is no codeword at all."""
    made = instance([20000], seed=7, parameters=STANDARD)
    committed = prover.commit(made.tables[0], made.shapes[0], STANDARD, made.backend)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, P, committed.codeword.shape, dtype=np.uint64)
    word = np.where(rng.random(committed.codeword.shape[0])[:, None] < 0.5, noise, committed.codeword)
    from vcompute.commitment import merkle
    from vcompute.transcript import ProverTranscript

    bad = dataclasses.replace(committed, codeword=word, tree=merkle.build(word, made.backend))
    transcript = ProverTranscript("test", made.backend)
    prover.send_root(transcript, bad)
    prover.open_claims(transcript, [bad], made.claims, STANDARD, made.backend)
    with pytest.raises(Rejected) as caught:
        made.verify(transcript.finish())
    assert caught.value.code is ErrorCode.FINAL_POLYNOMIAL or caught.value.code is ErrorCode.QUERY_CONSISTENCY


def test_another_parameter_set_is_rejected() -> None:
    """VC-COM-003."""
    made = instance([3000], seed=8)
    proof = made.prove()
    for changes in (
        {"rate_bits": 3}, {"query_bits": 4}, {"final_variables": 6}, {"query_grinding": 2}, {"rate_step": 0},
    ):  # fmt: skip
        other = Instance(made.tables, made.claims, dataclasses.replace(TINY, **changes))
        with pytest.raises(Rejected):
            other.verify(proof)


def test_impossible_shapes_are_refused() -> None:
    for lane_variables, lanes in ((-1, 1), (29, 1), (10, 0), (10, 65)):
        with pytest.raises(Rejected) as caught:
            TableShape(lane_variables, lanes)
        assert caught.value.code is ErrorCode.OPENING_SHAPE
    made = instance([300], seed=4)
    proof = made.prove()
    for claims in ([claim(0, EqWeight((), offset=1 << 20), Ext(0))], [claim(0, EqWeight((Ext(2),), offset=1), Ext(0))]):
        with pytest.raises(Rejected):
            made.verify(proof, claims=claims)
