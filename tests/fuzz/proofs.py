# SPDX-License-Identifier: Apache-2.0
"""Fuzzed: proofs, ``.npy`` files and whatever ``vcompute inspect`` is given."""

import io
from functools import cache

import numpy as np

from tests.unit.proof.dense import dense, samples
from vcompute.cli.files import parse_npy
from vcompute.cli.inspect import describe
from vcompute.codec import dumps, loads
from vcompute.data import digits_model
from vcompute.errors import Rejected, VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import Decline, seal
from vcompute.proof.api import prove, verify
from vcompute.proof.statement import Statement
from vcompute.registry import ErrorCode
from vcompute.task import encode_model

MODEL = dense(depth=4, hidden=3)
INPUTS = samples(MODEL, 2)
CONTEXT = b"context"
KINDS = (("replay", "exact"), ("freivalds", "public-128"), ("freivalds", "private-128"))


@cache
def honest() -> tuple[Statement, tuple[bytes, ...]]:
    """A statement and its honest proofs."""
    made = [prove(MODEL, INPUTS, suite, CONTEXT, name) for suite, name in KINDS]
    return Statement(MODEL, INPUTS, made[0][0], CONTEXT), tuple(proof for _, proof in made)


def proof_seeds() -> list[bytes]:
    """The honest proofs of one statement."""
    return list(honest()[1])


def proof(data: bytes) -> None:
    """A statement has one proof under each parameter set: nothing else is accepted."""
    statement, proofs = honest()
    accepted(statement, data, proofs)


def proof_rebound(data: bytes) -> None:
    """The proof with the statement's digest made right again, so that the suite's own checks are reached."""
    statement, proofs = honest()
    wire = loads(data)
    if not isinstance(wire, dict) or 4 not in wire:
        raise Rejected("no envelope", code=ErrorCode.PROOF_MALFORMED)
    wire[4] = statement.digest
    accepted(statement, dumps(wire), proofs)


def accepted(statement: Statement, data: bytes, proofs: tuple[bytes, ...]) -> None:
    """Verify; what is accepted is one of the honest proofs, and every refusal is a rejection."""
    try:
        verify(statement, data)
    except VcomputeError as error:
        if not isinstance(error, Rejected):
            raise TypeError("the verifier refuses a proof by Rejected alone") from error
        raise
    assert data in proofs


def npy_seeds() -> list[bytes]:
    """Arrays of every type and layout."""
    array = np.arange(24, dtype=np.int8).reshape(2, 3, 4)
    seeds = []
    for layout in (array, np.asfortranarray(array), array.astype("<i4"), array.astype(">i4"), array[0, 0, 0]):
        stream = io.BytesIO()
        np.save(stream, layout)
        seeds.append(stream.getvalue())
    return seeds


def npy(data: bytes) -> None:
    """The reader of arrays: what it accepts is all of the file."""
    array = parse_npy(data, "fuzzed")
    assert array.nbytes < len(data)


def file_seeds() -> list[bytes]:
    """A file of every kind."""
    message = seal(PrivateKey.from_seed(bytes(32)), Decline(bytes(32), 0, ErrorCode.BUSY, 1000)).data
    return [digits_model(), encode_model(MODEL), INPUTS.encoded, message, *npy_seeds(), *proof_seeds()]


def inspect(data: bytes) -> None:
    """The description of a file of any kind."""
    assert describe(data, "litert").record["kind"]
