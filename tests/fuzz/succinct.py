# SPDX-License-Identifier: Apache-2.0
"""Fuzzed: the verifier of succinct proofs, natively and as it reads; by model and by commitment; and commitments."""

from functools import cache

from tests.unit.proof.succinct.build import image_network, inputs_for, network
from vcompute.errors import Rejected
from vcompute.field import default_backend
from vcompute.field.portable import NumpyBackend
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.commitment import Commitment, decode_commitment, encode_commitment
from vcompute.proof.succinct.dump import dump_proof
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.setting import PROTOCOL
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS
from vcompute.proof.succinct.tape import Kind, Tape
from vcompute.proof.succinct.verify import verify
from vcompute.registry import ParameterSetId
from vcompute.task import Model
from vcompute.transcript import VerifierTranscript

TINY = int(ParameterSetId.TINY)
CONTEXT = b"context"


class Instance:
    """A statement, by model and by commitment, and its honest proofs."""

    def __init__(self, model: Model) -> None:
        inputs = inputs_for(model)
        outputs, self.opened = SUITE.prove(model, inputs, CONTEXT, TINY, 1)
        _, self.closed = SUITE_WITH_WEIGHTS.prove(model, inputs, CONTEXT, TINY, 1)
        self.commitment: Commitment = commit_model(model, TINY, default_backend())
        self.by_model = Statement(model, inputs, outputs, CONTEXT)
        self.by_root = Statement(self.commitment, inputs, outputs, CONTEXT)


@cache
def instances() -> tuple[Instance, Instance]:
    """A dense network and one with convolutions, a sum, a pool and a final SOFTMAX."""
    return Instance(network()), Instance(image_network())


def seeds() -> list[bytes]:
    """Every honest proof, a byte before it that says of which network it is."""
    return [bytes([number]) + body for number, made in enumerate(instances()) for body in (made.opened, made.closed)]


def proof(data: bytes) -> None:
    """Nothing but the honest proofs is accepted, by model or by commitment."""
    made = instances()[data[0] % 2 if data else 0]
    body, refused = data[1:], []
    for statement in (made.by_model, made.by_root):
        try:
            SUITE.verify(statement, body, TINY, 1)
        except Rejected as error:
            refused.append(error)
    if len(refused) == 2:
        raise refused[0]
    assert body == made.closed if refused else body == made.opened


def twins(data: bytes) -> None:
    """The native verifier and the readable one give one verdict, under one code, by model and by commitment; a dump
    accounts for every byte.
    """
    made, body = instances()[data[0] % 2 if data else 0], data[1:]
    _one_verdict(made.by_root, body)
    refused = _one_verdict(made.by_model, body)
    if refused:
        raise refused


def _one_verdict(statement: Statement, body: bytes) -> Rejected | None:
    readable, refused = dump_proof(statement, body, TINY), None
    assert sum(section.size for section in readable.sections) + readable.rest == len(body)
    try:
        SUITE.verify(statement, body, TINY, 1)
    except Rejected as error:
        refused = error
    assert (refused.code if refused else None) is readable.code
    return refused


class Replay(VerifierTranscript):
    """A verifier's transcript that draws an honest run's challenges, so that every check is reached."""

    def __init__(self, body: bytes, tape: Tape) -> None:
        self._drawn = iter([entry for entry in tape.entries if entry.kind is Kind.SQUEEZE])
        super().__init__(PROTOCOL, body)

    def _squeeze(self, label: str) -> bytes:
        entry = next(self._drawn)
        assert entry.label == label
        self._entry = entry
        return entry.data

    def challenges(self, label, count):  # type: ignore[no-untyped-def]
        """See :class:`Transcript`."""
        self._squeeze(label)
        return self._entry.elements

    def challenge_positions(self, label, count, log_size):  # type: ignore[no-untyped-def]
        """See :class:`Transcript`."""
        self._squeeze(label)
        return self._entry.positions


@cache
def honest_tape() -> Tape:
    """Every step of the honest verifier."""
    made = instances()[0]
    tape = Tape(PROTOCOL, made.opened)
    verify(made.commitment, made.by_root, made.opened, TINY, NumpyBackend(), tape)
    return tape


def replayed_seeds() -> list[bytes]:
    """The honest proof."""
    return [instances()[0].opened]


def replayed(data: bytes) -> None:
    """Under the honest run's challenges every check is reached; only nonces may differ."""
    made = instances()[0]
    tape = honest_tape()
    verify(made.commitment, made.by_root, data, TINY, NumpyBackend(), Replay(data, tape))
    free = [range(entry.offset, entry.offset + 8) for entry in tape.messages if entry.type == "nonce"]
    assert len(data) == len(made.opened)
    changed = [at for at, (a, b) in enumerate(zip(data, made.opened, strict=True)) if a != b]
    assert all(any(at in place for place in free) for at in changed)


def commitment_seeds() -> list[bytes]:
    """The commitments of both networks."""
    return [encode_commitment(made.commitment) for made in instances()]


def commitment(data: bytes) -> None:
    """A record that decodes encodes to the same bytes; only the honest ones let an honest proof pass."""
    read = decode_commitment(data)
    assert encode_commitment(read) == data
    for made in instances():
        statement = Statement(read, made.by_root.inputs, made.by_root.outputs, CONTEXT)
        if read.graph != made.commitment.graph:
            continue
        SUITE.verify(statement, made.opened, TINY, 1)
        assert data in commitment_seeds()
