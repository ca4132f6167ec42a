# SPDX-License-Identifier: Apache-2.0
"""Every suite's honest path and every way to cheat it: each named case must be refused, under the code it names."""

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.proof.dense import dense, samples
from vcompute.codec import encode
from vcompute.data import digits_model, digits_samples
from vcompute.errors import Rejected, TaskError, UsageError
from vcompute.field.goldilocks import P
from vcompute.importers.tflite import import_tflite
from vcompute.kernels import reference
from vcompute.proof.api import prove, verify
from vcompute.proof.challenge import private_point
from vcompute.proof.freivalds import Freivalds, evaluate, public_point
from vcompute.proof.projection import NumpyProjection
from vcompute.proof.replay import Replay
from vcompute.proof.statement import Statement
from vcompute.proof.suite import MAX_PROOF, Policy, decode_envelope
from vcompute.proof.suites import build_table
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Batch, make_batch

CASES = [("replay", "exact"), ("freivalds", "public-128"), ("freivalds", "private-128")]
CONTEXT = b"task 7, worker 9"
MODEL = dense()
INPUTS = samples(MODEL)


@pytest.fixture(scope="module", params=CASES, ids="/".join)
def honest(request: pytest.FixtureRequest) -> tuple[Statement, bytes]:
    suite, parameter_set = request.param
    outputs, proof = prove(MODEL, INPUTS, suite, CONTEXT, parameter_set)
    return Statement(MODEL, INPUTS, outputs, CONTEXT), proof


def refused(statement: Statement, proof: bytes, *codes: ErrorCode, policy: Policy | None = None) -> None:
    with pytest.raises(Rejected) as caught:
        verify(statement, proof, policy or Policy())
    assert caught.value.code in codes, caught.value


def changed(batch: Batch, index: int, place: tuple[int, ...], delta: int = 1) -> Batch:
    arrays = [np.array(array) for array in batch.arrays]
    arrays[index][place] += np.array(delta, arrays[index].dtype)
    return make_batch(arrays)


def places(batch: Batch) -> Iterator[tuple[int, tuple[int, ...]]]:
    for index, array in enumerate(batch.arrays):
        for place in np.ndindex(array.shape):
            yield index, place


def test_the_outputs_are_the_model_s(honest: tuple[Statement, bytes]) -> None:
    assert honest[0].outputs == reference.run(MODEL, INPUTS)


def test_an_honest_proof_is_accepted(honest: tuple[Statement, bytes]) -> None:
    accepted = verify(*honest)
    assert (accepted.suite, accepted.parameter_set) in CASES
    if accepted.suite == "freivalds":
        assert accepted.security.bits == pytest.approx(128 - np.log2(4))  # widest product: 9 columns, 4 variables
    else:
        assert accepted.security.bits is None


def test_proofs_are_deterministic(honest: tuple[Statement, bytes]) -> None:
    envelope = decode_envelope(honest[1])
    name = {1: "replay", 2: "freivalds"}[envelope.suite]
    chosen = {1: "exact", 2: "public-128", 5: "private-128"}[envelope.parameter_set]
    assert prove(MODEL, INPUTS, name, CONTEXT, chosen)[1] == honest[1]


def test_every_wrong_output_element_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    for index, place in places(statement.outputs):
        wrong = replace(statement, outputs=changed(statement.outputs, index, place))
        refused(wrong, proof, ErrorCode.STATEMENT_MISMATCH)
        refused(wrong, rebound(wrong, proof), ErrorCode.OUTPUT_MISMATCH, ErrorCode.PROOF_REJECTED)


def rebound(statement: Statement, proof: bytes, body: bytes | None = None) -> bytes:
    """What a cheating prover sends: the proof's body, or another one, under the digest of another statement."""
    envelope = decode_envelope(proof)
    return encode(replace(envelope, statement=statement.digest, body=envelope.body if body is None else body))


def test_every_wrong_input_element_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    for index, place in places(INPUTS):
        wrong = replace(statement, inputs=changed(INPUTS, index, place))
        refused(wrong, proof, ErrorCode.STATEMENT_MISMATCH)
        if wrong.outputs != reference.run(MODEL, wrong.inputs):
            refused(wrong, rebound(wrong, proof), ErrorCode.OUTPUT_MISMATCH, ErrorCode.PROOF_REJECTED)


def test_another_model_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    wrong = replace(statement, model=dense(seed=3))
    refused(wrong, proof, ErrorCode.STATEMENT_MISMATCH)
    refused(wrong, rebound(wrong, proof), ErrorCode.OUTPUT_MISMATCH, ErrorCode.PROOF_REJECTED)


def test_another_context_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    for context in (b"", b"task 8, worker 9", b"task 7, worker 8", CONTEXT + b"\x00"):
        refused(replace(statement, context=context), proof, ErrorCode.STATEMENT_MISMATCH)


def test_another_batch_size_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    fewer = make_batch([array[:-1] for array in statement.outputs.arrays])
    refused(replace(statement, outputs=fewer), proof, ErrorCode.STATEMENT_MISMATCH)
    inputs = make_batch([array[:-1] for array in INPUTS.arrays])
    refused(replace(statement, inputs=inputs, outputs=fewer), proof, ErrorCode.STATEMENT_MISMATCH)


def test_outputs_of_other_types_are_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    first, second = statement.outputs.arrays
    for arrays in ([first], [second, first], [first, second, second], [first.astype("<i4"), second]):
        refused(replace(statement, outputs=make_batch(arrays)), proof, ErrorCode.STATEMENT_MISMATCH)


def test_every_flipped_bit_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    for position in range(len(proof)):
        for bit in range(8):
            wrong = bytearray(proof)
            wrong[position] ^= 1 << bit
            with pytest.raises(Rejected):
                verify(statement, bytes(wrong))


def test_every_shortened_and_lengthened_proof_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    for length in range(len(proof)):
        refused(statement, proof[:length], ErrorCode.PROOF_MALFORMED)
    refused(statement, proof + b"\x00", ErrorCode.PROOF_MALFORMED)
    body = decode_envelope(proof).body
    refused(statement, rebound(statement, proof, body + b"\x00"), ErrorCode.TRAILING_BYTES)
    if body:
        refused(statement, rebound(statement, proof, body[:-1]), ErrorCode.TRUNCATED_PROOF)
        refused(statement, rebound(statement, proof, b""), ErrorCode.TRUNCATED_PROOF)


@pytest.mark.parametrize("parameter_set", ["public-128", "private-128"])
def test_every_altered_product_is_refused(parameter_set: str) -> None:
    outputs, proof = prove(MODEL, INPUTS, "freivalds", CONTEXT, parameter_set)
    statement = Statement(MODEL, INPUTS, outputs, CONTEXT)
    body = np.frombuffer(decode_envelope(proof).body, "<i4")
    for index in range(body.size):
        for delta in (1, -1, 1 << 16):
            wrong = body.copy()
            wrong[index] += delta
            refused(
                statement,
                rebound(statement, proof, wrong.tobytes()),
                ErrorCode.PROOF_REJECTED,
                ErrorCode.OUTPUT_MISMATCH,
            )
    for order in (body[::-1], np.roll(body, 1), np.zeros_like(body)):
        refused(
            statement, rebound(statement, proof, order.tobytes()), ErrorCode.PROOF_REJECTED, ErrorCode.OUTPUT_MISMATCH
        )


@pytest.mark.parametrize("parameter_set", ["public-128", "private-128"])
def test_a_consistent_lie_is_refused_by_the_projection_alone(parameter_set: str) -> None:
    """A worker that alters a hidden product and computes on from there: nothing but the random test sees it."""
    kept: list[np.ndarray] = []

    def multiply(position: int, node: object, x: np.ndarray, zero_point: int) -> np.ndarray:
        weights = MODEL.constants[MODEL.graph.nodes[position].constants[0]].astype(np.int64)
        product = ((x.astype(np.int64) - zero_point) @ weights.T).astype("<i4")
        if position == 1:
            product[0, 0] += 1
        if position in (1, 2):
            kept.append(product)
        return product

    outputs = evaluate(MODEL, INPUTS, multiply)
    statement = Statement(MODEL, INPUTS, outputs, CONTEXT)
    proof = prove(MODEL, INPUTS, "freivalds", CONTEXT, parameter_set)[1]
    body = b"".join(product.tobytes() for product in kept)
    with pytest.raises(Rejected, match=r"node 1 is wrong; got row 0") as caught:
        verify(statement, rebound(statement, proof, body))
    assert caught.value.code is ErrorCode.PROOF_REJECTED


def test_a_product_out_of_range_is_refused_before_any_algebra() -> None:
    outputs, proof = prove(MODEL, INPUTS, "freivalds")
    statement = Statement(MODEL, INPUTS, outputs)
    body = np.frombuffer(decode_envelope(proof).body, "<i4").copy()
    body[3] = (1 << 31) - 1
    with pytest.raises(Rejected, match="no input gives this product at row 0, column 3"):
        verify(statement, rebound(statement, proof, body.tobytes()))


def test_the_policy_is_the_verifier_s(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    own = decode_envelope(proof).parameter_set
    verify(statement, proof, Policy.of([own]))
    refused(statement, proof, ErrorCode.SUITE_NOT_ACCEPTED, policy=Policy.of(set(ParameterSetId) - {own}))
    refused(statement, proof, ErrorCode.SUITE_NOT_ACCEPTED, policy=Policy.of([]))
    assert ParameterSetId.TINY not in Policy().parameter_sets


def test_a_suite_with_another_suite_s_parameter_set_is_refused(honest: tuple[Statement, bytes]) -> None:
    statement, proof = honest
    envelope = decode_envelope(proof)
    for suite in (0, 1, 2, 3, 60000):
        if suite != envelope.suite:
            refused(statement, encode(replace(envelope, suite=suite)), ErrorCode.SUITE_NOT_ACCEPTED)
    everything = Policy.of(range(1 << 16))
    unknown = encode(replace(envelope, parameter_set=60001))
    refused(statement, unknown, ErrorCode.SUITE_NOT_ACCEPTED, policy=everything)


def test_checks_stand_in_order(honest: tuple[Statement, bytes]) -> None:
    """Envelope, policy, shapes, digest, suite: with every later fault present the earlier one is named."""
    statement, proof = honest
    wrong_shape = replace(statement, outputs=make_batch(statement.outputs.arrays[0]), context=b"other")
    refused(wrong_shape, proof + b"\x00", ErrorCode.PROOF_MALFORMED, policy=Policy.of([]))
    refused(wrong_shape, proof, ErrorCode.SUITE_NOT_ACCEPTED, policy=Policy.of([]))
    refused(wrong_shape, proof, ErrorCode.STATEMENT_MISMATCH)


def test_what_is_no_proof_is_refused() -> None:
    statement = Statement(MODEL, INPUTS, reference.run(MODEL, INPUTS))
    for junk in (b"", b"\xff", b"\xa0", b"\xbb" + b"\xff" * 8, b"\x5b" + b"\xff" * 8, MODEL.encoded_graph):
        refused(statement, junk, ErrorCode.PROOF_MALFORMED)

    class Long(bytes):
        def __len__(self) -> int:
            return MAX_PROOF + 1

    refused(statement, Long(), ErrorCode.LIMIT_EXCEEDED)


def test_the_caller_s_own_mistakes_are_named() -> None:
    outputs, proof = prove(MODEL, INPUTS)
    with pytest.raises(UsageError, match="no such suite"):
        prove(MODEL, INPUTS, "reply")
    with pytest.raises(UsageError, match="no such parameter set"):
        prove(MODEL, INPUTS, "replay", parameter_set="tiny")
    with pytest.raises(UsageError, match="context"):
        prove(MODEL, INPUTS, context=bytes(1025))
    with pytest.raises(UsageError, match="context"):
        verify(Statement(MODEL, INPUTS, outputs, bytes(1025)), proof)
    with pytest.raises(UsageError, match="thread"):
        prove(MODEL, INPUTS, threads=0)
    with pytest.raises(TaskError, match="input 0"):
        prove(MODEL, np.zeros((2, 3), np.int8))
    with pytest.raises(TaskError, match="input 0"):
        verify(Statement(MODEL, make_batch(np.zeros((4, 3), np.int8)), outputs), proof)


def test_replay_names_the_first_place_that_differs() -> None:
    outputs, proof = prove(MODEL, INPUTS)
    wrong = changed(outputs, 1, (2, 1, 2), 5)
    statement = Statement(MODEL, INPUTS, wrong)
    expected = int(outputs.arrays[1][2, 1, 2])
    with pytest.raises(Rejected) as caught:
        verify(statement, rebound(statement, proof))
    message = f"output 1, sample 2, element (1, 2) is wrong; expected {expected}, got {expected + 5}"
    assert str(caught.value) == message


def test_freivalds_names_what_it_cannot_prove() -> None:
    convolutional = import_tflite(digits_model())
    images, _ = digits_samples()
    with pytest.raises(Rejected, match=r"node 0 is another kind.*got conv_2d") as caught:
        prove(convolutional, images[:1], "freivalds")
    assert caught.value.code is ErrorCode.SUITE_UNSUPPORTED_MODEL


def test_challenges_are_not_constant() -> None:
    """The public challenge moves with every public byte."""
    outputs, proof = prove(MODEL, INPUTS, "freivalds", CONTEXT)
    body = decode_envelope(proof).body
    statement = Statement(MODEL, INPUTS, outputs, CONTEXT)
    points = [public_point(statement, body, 4)]
    for other in (
        replace(statement, model=dense(seed=3)),
        replace(statement, inputs=changed(INPUTS, 0, (0, 0))),
        replace(statement, outputs=changed(outputs, 0, (0, 0, 0))),
        replace(statement, context=b"other"),
    ):
        points.append(public_point(other, body, 4))
    for position in range(len(body)):
        wrong = bytearray(body)
        wrong[position] ^= 1
        points.append(public_point(statement, bytes(wrong), 4))
    assert len({tuple(map(repr, point)) for point in points}) == len(points)


def test_private_challenges_are_fresh_and_uniform() -> None:
    assert private_point(3) != private_point(3)
    stream = iter([P, 2**64 - 1, 5, P - 1])
    (element,) = private_point(1, lambda size: next(stream).to_bytes(size, "little"))
    assert (element.c0, element.c1) == (5, P - 1)


def test_the_numpy_twin_gives_the_same_verdicts() -> None:
    table = build_table([Replay(), Freivalds(projection=NumpyProjection())], [])
    outputs, proof = prove(MODEL, INPUTS, "freivalds", table=table)
    assert prove(MODEL, INPUTS, "freivalds") == (outputs, proof)
    statement = Statement(MODEL, INPUTS, outputs)
    assert verify(statement, proof, table=table) == verify(statement, proof)
    body = bytearray(decode_envelope(proof).body)
    body[0] ^= 1
    messages = []
    for chosen in (table, None):
        with pytest.raises(Rejected) as caught:
            verify(statement, rebound(statement, proof, bytes(body)), table=chosen)
        messages.append((caught.value.code, str(caught.value)))
    assert messages[0] == messages[1]


def test_a_verifier_with_only_a_commitment_is_told() -> None:
    class Commitment:
        graph = MODEL.graph
        digest = MODEL.digest

    outputs, proof = prove(MODEL, INPUTS)
    refused(Statement(Commitment(), INPUTS, outputs), proof, ErrorCode.SUITE_UNSUPPORTED_MODEL)
