# SPDX-License-Identifier: Apache-2.0
"""Every way to cheat a verifier that the design names, each by name: all must be refused, and with a typed error."""

from collections.abc import Callable, Iterator
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.proof.succinct.build import image_network, inputs_for, network
from vcompute.codec import decode, encode
from vcompute.errors import Rejected, VcomputeError
from vcompute.field import default_backend
from vcompute.field.goldilocks import P
from vcompute.proof.api import prove, verify
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import verify as verifier
from vcompute.proof.succinct.commitment import CommitmentRecord, decode_commitment, encode_commitment
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS, Succinct
from vcompute.proof.suite import Policy, decode_envelope
from vcompute.proof.suites import suite_table
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Batch, Model, make_batch

TINY = int(ParameterSetId.TINY)
STANDARD = int(ParameterSetId.STANDARD)
MODEL, OTHER = network(1), network(2)
INPUTS = inputs_for(MODEL)
CONTEXT = b"task 7, worker 9"
COMMITMENT = commit_model(MODEL, TINY, default_backend())
LENIENT = suite_table().policy([], allow_insecure=True)
OUTPUTS, PROOF = prove(MODEL, INPUTS, "succinct", CONTEXT, "tiny")
STATEMENT = Statement(MODEL, INPUTS, OUTPUTS, CONTEXT)
BODY = decode_envelope(PROOF).body
READABLE = Succinct(readable=True)
OPEN_BODY = SUITE_WITH_WEIGHTS.prove(MODEL, INPUTS, CONTEXT, TINY, 1)[1]


def code_of(suite: Succinct, statement: Statement, body: bytes, parameter_set: int) -> ErrorCode:
    """Why the suite itself refuses, without the envelope's help."""
    with pytest.raises(Rejected) as caught:
        suite.verify(statement, body, parameter_set, 1)
    return caught.value.code


def refused(statement: Statement, body: bytes, *codes: ErrorCode, parameter_set: int = TINY, both: bool = True) -> None:
    """Both twins of the verifier refuse, and say the same."""
    code = code_of(SUITE, statement, body, parameter_set)
    assert not codes or code in codes, code
    assert not both or code_of(READABLE, statement, body, parameter_set) is code


def changed(batch: Batch, place: tuple[int, ...], delta: int) -> Batch:
    array = np.array(batch.arrays[0])
    array[place] = array[place] + delta if -128 <= int(array[place]) + delta <= 127 else array[place] - delta
    return make_batch(array)


def test_the_honest_proofs_pass() -> None:
    verify(STATEMENT, PROOF, LENIENT)
    verify(replace(STATEMENT, model=COMMITMENT), PROOF, LENIENT)
    SUITE.verify(STATEMENT, OPEN_BODY, TINY, 1)


@pytest.mark.parametrize("place", list(np.ndindex(2, 2)))
def test_wrong_output(place: tuple[int, ...]) -> None:
    refused(replace(STATEMENT, outputs=changed(OUTPUTS, place, 1)), BODY, ErrorCode.OUTPUT_MISMATCH)


def test_wrong_output_in_the_revealed_accumulators_too() -> None:
    """Outputs and accumulators altered together fit each other, but not the witness."""
    wrong = bytearray(BODY)
    wrong[2 + 3] ^= 0x40  # the accumulators follow the header of two bytes
    accumulators = np.frombuffer(bytes(wrong[2:18]), "<i4")
    node = MODEL.graph.nodes[-1]
    from vcompute.proof.succinct.public import requantise_revealed

    scales = tuple(MODEL.constants[i] for i in node.constants[2:])
    outputs = make_batch(requantise_revealed(node, accumulators.astype(np.int64).reshape(2, 2), scales))
    assert outputs != OUTPUTS
    refused(replace(STATEMENT, outputs=outputs), bytes(wrong), ErrorCode.SUMCHECK, ErrorCode.LOOKUP_SUM)


@pytest.mark.parametrize("place", list(np.ndindex(2, 5)))
def test_wrong_input(place: tuple[int, ...]) -> None:
    refused(replace(STATEMENT, inputs=changed(INPUTS, place, 1)), BODY)


def test_another_context() -> None:
    for context in (b"", b"task 8, worker 9", b"task 7, worker 8"):
        refused(replace(STATEMENT, context=context), BODY)


def test_the_proof_of_another_model() -> None:
    refused(replace(STATEMENT, model=OTHER), BODY)
    refused(replace(STATEMENT, model=OTHER), OPEN_BODY)


def test_the_root_of_another_model_under_the_right_digest() -> None:
    foreign = commit_model(OTHER, TINY, default_backend()).record.root
    commitment = decode_commitment(encode(replace(COMMITMENT.record, root=foreign)))
    assert commitment.digest == MODEL.digest
    refused(replace(STATEMENT, model=commitment), BODY)


def test_another_digest_over_the_right_root() -> None:
    commitment = decode_commitment(encode(replace(COMMITMENT.record, weights=OTHER.weights_digest)))
    assert commitment.digest != MODEL.digest
    refused(replace(STATEMENT, model=commitment), BODY)


def test_node_constants_of_another_size() -> None:
    record = COMMITMENT.record
    for change in ({"least": -1}, {"greatest": 1}):
        first = record.plans[0]
        plan = replace(
            first.plan,
            least=first.plan.least + change.get("least", 0),
            greatest=first.plan.greatest + change.get("greatest", 0),
        )
        altered = replace(record, plans=(replace(first, plan=plan), *record.plans[1:]))
        refused(replace(STATEMENT, model=decode_commitment(encode(altered))), BODY)


def test_a_proof_that_leaves_the_weights_to_a_verifier_without_them() -> None:
    refused(replace(STATEMENT, model=COMMITMENT), OPEN_BODY, ErrorCode.SUITE_UNSUPPORTED_MODEL)


def test_a_mode_that_is_not_for_the_holder_is_refused_before_any_work(monkeypatch: pytest.MonkeyPatch) -> None:
    """The byte is the prover's: it makes a verifier neither derive an instance nor look at the rest of the proof."""
    fresh = decode_commitment(encode_commitment(COMMITMENT))
    monkeypatch.setattr(verifier, "make_setting", None)
    for body in (OPEN_BODY, OPEN_BODY[:2], OPEN_BODY[:60] + bytes(len(OPEN_BODY) - 60), b"\1\0" + BODY[2:]):
        refused(replace(STATEMENT, model=fresh), body, ErrorCode.SUITE_UNSUPPORTED_MODEL)
    assert not fresh.kept


def test_another_parameter_set() -> None:
    refused(STATEMENT, BODY, parameter_set=STANDARD)
    refused(STATEMENT, OPEN_BODY, parameter_set=STANDARD)
    refused(replace(STATEMENT, model=COMMITMENT), BODY, ErrorCode.SUITE_NOT_ACCEPTED, parameter_set=STANDARD)
    refused(STATEMENT, BODY, ErrorCode.SUITE_NOT_ACCEPTED, parameter_set=int(ParameterSetId.EXACT))


def test_a_tiny_proof_under_the_default_policy() -> None:
    with pytest.raises(Rejected) as caught:
        verify(STATEMENT, PROOF, Policy())
    assert caught.value.code is ErrorCode.SUITE_NOT_ACCEPTED


def test_another_batch_size() -> None:
    half = Statement(MODEL, make_batch(INPUTS.arrays[0][:1]), make_batch(OUTPUTS.arrays[0][:1]), CONTEXT)
    refused(half, BODY)


def test_a_trailing_byte() -> None:
    for body in (BODY, OPEN_BODY):
        refused(STATEMENT, body + b"\0", ErrorCode.TRAILING_BYTES)
        refused(STATEMENT, body + body, ErrorCode.TRAILING_BYTES)


def test_truncations() -> None:
    for length in (*range(0, len(OPEN_BODY), 13), *range(len(OPEN_BODY) - 40, len(OPEN_BODY))):
        refused(STATEMENT, OPEN_BODY[:length])


def test_another_format_or_mode() -> None:
    for header in (b"\0\0", b"\2\0", b"\1\2", b"\1\xff"):
        refused(STATEMENT, header + OPEN_BODY[2:], ErrorCode.PROOF_MALFORMED)
    refused(STATEMENT, b"\1\1" + OPEN_BODY[2:])
    refused(STATEMENT, b"\1\0" + BODY[2:])


def flips(body: bytes, bits: Callable[[int], Iterator[int]]) -> Iterator[bytes]:
    for place in range(len(body)):
        for bit in bits(place):
            yield body[:place] + bytes((body[place] ^ 1 << bit,)) + body[place + 1 :]


def test_flipped_bits() -> None:
    """One bit in every fourth byte; all of them in the slow test."""
    for body in flips(OPEN_BODY, lambda place: iter(() if place % 4 else (place // 4 * 5 % 8,))):
        refused(STATEMENT, body)


TWIN_SAMPLE = 61
"""The readable twin, a hundred times slower, is asked about every so many flips of the exhaustive test."""


@pytest.mark.exhaustive
@pytest.mark.parametrize("bit", range(8))
@pytest.mark.parametrize("make", [network, image_network], ids=lambda f: f.__name__)
@pytest.mark.parametrize("suite", [SUITE, SUITE_WITH_WEIGHTS], ids=["root only", "with weights"])
def test_every_flipped_bit(suite: Succinct, make: Callable[[], Model], bit: int) -> None:
    """No bit of a proof is malleable, in either mode."""
    model = make()
    inputs = inputs_for(model)
    outputs, honest = suite.prove(model, inputs, CONTEXT, TINY, 1)
    statement = Statement(model, inputs, outputs, CONTEXT)
    for number, body in enumerate(flips(honest, lambda _: iter((bit,)))):
        refused(statement, body, both=(number + bit) % TWIN_SAMPLE == 0)


def test_an_element_that_is_not_canonical() -> None:
    """v + p stands for v; where it fits into 64 bits it must still be refused as such."""
    seen = 0
    start = 2 + 16 + 27  # header, accumulators, root
    for place in range(start, start + 400, 8):
        word = int.from_bytes(OPEN_BODY[place : place + 8], "little")
        for value in (word + P, P, 2**64 - 1):
            if value < 2**64:
                body = OPEN_BODY[:place] + value.to_bytes(8, "little") + OPEN_BODY[place + 8 :]
                refused(STATEMENT, body, ErrorCode.NONCANONICAL_ELEMENT)
                seen += 1
    assert seen >= 100


def test_swapped_duplicated_and_removed_messages() -> None:
    for size in (16, 32, 64):
        for place in range(45, len(OPEN_BODY) - 2 * size, 173):
            first, second = OPEN_BODY[place : place + size], OPEN_BODY[place + size : place + 2 * size]
            if first != second:
                refused(STATEMENT, OPEN_BODY[:place] + second + first + OPEN_BODY[place + 2 * size :])
            refused(STATEMENT, OPEN_BODY[:place] + OPEN_BODY[place + size :])
            refused(STATEMENT, OPEN_BODY[:place] + first + OPEN_BODY[place:])


def test_bytes_that_are_no_proof() -> None:
    rng = np.random.default_rng(5)
    refused(STATEMENT, b"")
    for _ in range(50):
        refused(STATEMENT, rng.bytes(int(rng.integers(1, 3000))))
        refused(STATEMENT, OPEN_BODY[:18] + rng.bytes(len(OPEN_BODY) - 18))
    refused(STATEMENT, b"\xff" * len(OPEN_BODY))


def test_every_flipped_byte_of_a_commitment() -> None:
    """A damaged record is refused when read, or does not convince; never another exception."""
    data = encode_commitment(COMMITMENT)
    for place in range(len(data)):
        damaged = data[:place] + bytes((data[place] ^ 1 << place % 8,)) + data[place + 1 :]
        with pytest.raises(VcomputeError):
            SUITE.verify(replace(STATEMENT, model=decode_commitment(damaged)), BODY, TINY, 1)


def test_a_commitment_of_absurd_lengths() -> None:
    data = encode_commitment(COMMITMENT)
    for length in (2**64 - 1, 2**63, 2**40):
        with pytest.raises(VcomputeError):
            decode_commitment(b"\xa9\x00\x7b" + length.to_bytes(8, "big") + data[3:])


def test_the_first_challenge_changes_with_every_public_byte() -> None:
    from vcompute.proof.succinct.setting import WITH_WEIGHTS, absorb_statement, make_setting, prepare
    from vcompute.transcript import Transcript

    def first(statement: Statement, root: bytes, parameter_set: int = TINY) -> object:
        setting = make_setting(prepare(MODEL), 2, parameter_set, WITH_WEIGHTS)
        transcript = Transcript("succinct")
        absorb_statement(transcript, setting, prepare(MODEL), statement, root)
        return transcript.challenge("first")

    seen = [first(STATEMENT, b""), first(STATEMENT, b"\0"), first(STATEMENT, b"", parameter_set=STANDARD)]
    seen += [first(replace(STATEMENT, context=CONTEXT[:i] + b"?" + CONTEXT[i + 1 :]), b"") for i in range(16)]
    seen += [first(replace(STATEMENT, inputs=changed(INPUTS, place, 1)), b"") for place in np.ndindex(2, 5)]
    seen += [first(replace(STATEMENT, outputs=changed(OUTPUTS, place, 1)), b"") for place in np.ndindex(2, 2)]
    seen += [first(replace(STATEMENT, model=OTHER), b"")]
    assert len(set(seen)) == len(seen)


def test_the_record_is_read_strictly() -> None:
    record = decode(CommitmentRecord, encode_commitment(COMMITMENT))
    for broken in (
        replace(record, plans=record.plans[1:]),
        replace(record, plans=record.plans[::-1]),
        replace(record, plans=record.plans + record.plans[-1:]),
        replace(record, constants=record.constants[1:]),
        replace(record, constants=(*record.constants, record.constants[-1])),
        replace(record, kind="vcompute-proof"),
    ):
        with pytest.raises(VcomputeError):
            decode_commitment(encode(broken))
