# SPDX-License-Identifier: Apache-2.0
"""The annotated dump names every byte of a proof and of a commitment."""

import dataclasses

import pytest

import vcompute
from tests.unit.proof.succinct.build import image_network, inputs_for, network
from vcompute.codec import encode
from vcompute.field import default_backend
from vcompute.proof.succinct.commitment import encode_commitment
from vcompute.proof.succinct.dump import MEANING, Section, dump_proof, record_sections
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.setting import PROTOCOL
from vcompute.proof.succinct.tape import Kind, Tape
from vcompute.proof.suite import decode_envelope
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Model
from vcompute.transcript import VerifierTranscript

TINY = ParameterSetId.TINY


def made(model: Model) -> tuple[vcompute.Statement, bytes]:
    inputs = inputs_for(model)
    outputs, proof = vcompute.prove(model, inputs, "succinct", b"", "tiny")
    return vcompute.Statement(model, inputs, outputs), proof


def covered(sections: tuple[Section, ...]) -> int:
    """The end of sections that follow one another without a gap."""
    end = 0
    for section in sections:
        assert section.offset == end
        end += section.size
    return end


@pytest.mark.parametrize("model", [network(), image_network()], ids=["dense", "image"])
def test_every_byte_of_a_proof_has_a_meaning(model: Model) -> None:
    statement, proof = made(model)
    envelope = decode_envelope(proof)
    dump = dump_proof(statement, envelope.body, TINY)
    assert (dump.code, dump.rest) == (None, 0)
    assert covered(dump.sections) == len(envelope.body)
    assert {section.label for section in dump.sections} <= MEANING.keys()
    assert covered(record_sections(envelope)) == len(proof)


def test_a_dump_goes_as_far_as_the_verifier() -> None:
    statement, proof = made(network())
    body = bytearray(decode_envelope(proof).body)
    body[-1] ^= 1
    dump = dump_proof(statement, bytes(body), TINY)
    assert dump.code in (ErrorCode.FINAL_POLYNOMIAL, ErrorCode.QUERY_CONSISTENCY)
    cut = dump_proof(statement, bytes(body[: len(body) // 2]), TINY)
    assert cut.code is ErrorCode.TRUNCATED_PROOF
    assert covered(cut.sections) + cut.rest == len(body) // 2
    other = dataclasses.replace(statement, context=b"another")
    assert dump_proof(other, bytes(body), TINY).code is not None


def test_every_byte_of_a_commitment_has_a_meaning() -> None:
    commitment = commit_model(network(), TINY, default_backend())
    assert covered(record_sections(commitment.record)) == len(encode_commitment(commitment))
    assert encode(commitment.record) == encode_commitment(commitment)


def test_a_tape_does_not_change_what_it_records() -> None:
    plain, tape = VerifierTranscript(PROTOCOL, bytes(24)), Tape(PROTOCOL, bytes(24))
    for transcript in (plain, tape):
        transcript.receive_bytes("some", 8)
        transcript.receive_ext("element", 1)
        transcript.absorb_int("number", 7)
    assert plain.challenges("c", 2) == tape.challenges("c", 2) == tape.entries[-1].elements
    assert plain.challenge_positions("p", 3, 9) == tape.challenge_positions("p", 3, 9) == tape.entries[-1].positions
    kinds = [entry.kind for entry in tape.entries]
    assert kinds == [Kind.ABSORB, Kind.RECEIVE, Kind.RECEIVE, Kind.ABSORB, Kind.SQUEEZE, Kind.SQUEEZE]
    assert [(entry.label, entry.offset, entry.items) for entry in tape.messages] == [("some", 0, 8), ("element", 8, 1)]
