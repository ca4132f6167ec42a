# SPDX-License-Identifier: Apache-2.0
"""Every way to cheat that the design lists, by name, with the code it is refused with and the check that refuses it.

:data:`NEGATIVES` are attempts of a prover that follows the protocol but for one lie. Each must be refused with its
code, and must no longer be once the check named beside it is taken out of the verifier: most then convince.
:data:`ELSEWHERE` names the tests of the remaining ways, which need no lying prover.
"""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache

import pytest

from tests.unit.proof.succinct import test_malicious_prover, test_rejections, test_requant
from tests.unit.proof.succinct.build import inputs_for, network
from tests.unit.proof.succinct.cheating import PORTABLE, TINY, Forgery, cheat, replaced, verdict, without
from tests.unit.proof.succinct.forgeries import (
    INPUTS,
    MODEL,
    altered_activation,
    altered_multiplicities,
    around_zero,
    broken_end,
    chosen_challenge,
    different_claims_of_two_consumers,
    extra_table,
    flipped_sign,
    greatest,
    lookup_outside_its_table,
    other_constants,
    other_parameters,
    pooled,
    product_of_another_value,
    proof_of_another_model,
    remainder,
    remainder_of_a_divisor_more,
    root_of_another_model,
    row_of_another_table,
    shared,
    squared,
    wrong_input,
    wrong_output,
    wrong_step,
    wrong_sum_of_fractions,
    zero_denominator,
)  # fmt: skip
from vcompute.commitment import merkle
from vcompute.commitment import verify as opening
from vcompute.commitment.parameters import CommitmentParameters
from vcompute.field import encoding
from vcompute.field.goldilocks import P
from vcompute.proof import api
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct import setting
from vcompute.proof.succinct import verify as verifier
from vcompute.proof.succinct.lookup import verify as lookup
from vcompute.proof.succinct.public import public_values
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.setting import ROOT_ONLY, WITH_WEIGHTS
from vcompute.proof.succinct.tape import Tape
from vcompute.proof.suite import Policy
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.transcript import Transcript, VerifierTranscript


@dataclass(frozen=True)
class Negative:
    """One way to cheat."""

    attempt: Callable[[], Forgery]
    code: ErrorCode
    owner: object
    """Where the check is looked up: a module or class, the name in it, and the function as it is."""
    name: str
    check: Callable[..., object]
    convinces: bool = True
    """Whether the proof convinces without the check; otherwise another one refuses it."""


LOOKUP = (ErrorCode.LOOKUP_SUM, lookup, "verify", lookup.verify)
PRODUCTS = (ErrorCode.SUMCHECK, verifier, "check_products", verifier.check_products)
BILINEAR = (ErrorCode.SUMCHECK, verifier, "check_bilinear", verifier.check_bilinear)
CLAIMS = (ErrorCode.FINAL_POLYNOMIAL, verifier, "check_claims", opening.check_claims)
TREE = (ErrorCode.MERKLE_PATH, merkle, "check_opening", merkle.check_opening)
OUTPUTS = (ErrorCode.OUTPUT_MISMATCH, verifier, "public_values", public_values)

NEGATIVES: dict[str, Negative] = {
    "wrong output": Negative(wrong_output, *OUTPUTS),
    "wrong input": Negative(wrong_input, *CLAIMS),
    "model A's proof under model B": Negative(proof_of_another_model, *PRODUCTS),
    "the root of another model under the right digest": Negative(root_of_another_model, *TREE),
    "a single tampered activation": Negative(altered_activation, *LOOKUP),
    "altered multiplicities": Negative(altered_multiplicities, *LOOKUP),
    "a row of another table": Negative(row_of_another_table, *LOOKUP),
    "q off by one with rem compensated": Negative(lookup_outside_its_table, *LOOKUP),
    "rem = 2^K": Negative(remainder(1), *LOOKUP),
    "rem = M, no limb out of its range": Negative(remainder_of_a_divisor_more, *LOOKUP),
    "rem = -1": Negative(remainder(-1), *LOOKUP, convinces=False),
    "s flipped at x = -1": Negative(flipped_sign(0), *LOOKUP),
    "s flipped at x = 0": Negative(flipped_sign(1), *LOOKUP),
    "s flipped at x = 1": Negative(flipped_sign(2), *LOOKUP),
    "a maximum that is none of its values": Negative(greatest(1), *LOOKUP),
    "a maximum that is not the greatest": Negative(greatest(-1), *LOOKUP),
    "wrong S_c": Negative(other_constants(wrong_step), *PRODUCTS),
    "constants that violate an end condition": Negative(other_constants(broken_end), *PRODUCTS),
    "a wrong final logUp sum": Negative(wrong_sum_of_fractions, *LOOKUP, convinces=False),
    "two consumers of one tensor with different claims": Negative(different_claims_of_two_consumers, *CLAIMS),
    "a product with another value": Negative(product_of_another_value, *BILINEAR, convinces=False),
}
"""Name to attempt, code and check."""


@cache
def attempted(name: str) -> Forgery:
    return NEGATIVES[name].attempt()


@pytest.mark.parametrize("name", NEGATIVES)
def test_refused(name: str) -> None:
    assert verdict(attempted(name).verify) is NEGATIVES[name].code


@pytest.mark.parametrize("name", NEGATIVES)
def test_without_its_check_the_attempt_is_not_refused_so(name: str) -> None:
    negative = NEGATIVES[name]
    with replaced({(negative.owner, negative.name): without(negative.check, negative.code)}):
        found = verdict(attempted(name).verify)
    assert found is not negative.code
    assert (found is None) is negative.convinces


@cache
def honest(mode: int = WITH_WEIGHTS, context: bytes = b"task 7, worker 9") -> Forgery:
    return cheat(MODEL, INPUTS, {}, mode=mode, context=context)


def test_the_honest_prover_convinces() -> None:
    """The harness itself changes nothing."""
    assert verdict(honest().verify) is None
    for model in (pooled(), squared(), shared()):
        assert verdict(cheat(model, inputs_for(model), {}).verify) is None
    assert verdict(cheat(*around_zero(), {}).verify) is None


def test_a_zero_denominator() -> None:
    """Refused even where challenges were known beforehand; without the check 0 / 0 convinces."""
    forgery = zero_denominator()
    with replaced(chosen_challenge()):
        assert verdict(forgery.verify) is ErrorCode.LOOKUP_SUM
        with replaced({(lookup, "verify"): without(lookup.verify, ErrorCode.LOOKUP_SUM)}):
            assert verdict(forgery.verify) is None


def test_an_extra_table_proof() -> None:
    assert verdict(extra_table().verify) is not None
    root_only = honest(ROOT_ONLY)
    as_open = replace(root_only, body=bytes((root_only.body[0], WITH_WEIGHTS)) + root_only.body[2:])
    assert verdict(as_open.verify) is not None


CHANGES: dict[str, Callable[[CommitmentParameters], CommitmentParameters]] = {
    "rate": lambda own: replace(own, rate_bits=own.rate_bits + 1),
    "query count": lambda own: replace(own, query_bits=own.query_bits - 1),
    "grinding": lambda own: replace(own, query_grinding=own.query_grinding - 1),
    "folding schedule": lambda own: replace(own, final_variables=own.final_variables + 1),
    "rates of the rounds": lambda own: replace(own, rate_step=0),
}


@pytest.mark.parametrize("name", CHANGES)
def test_changed_parameters(name: str) -> None:
    """Another rate, number of queries or schedule: absorbed before the first challenge, so nothing fits."""
    assert verdict(other_parameters(CHANGES[name])().verify) is not None


def test_another_task_or_worker() -> None:
    """The context is refused by the envelope's digest, and by the suite itself: unless both sides leave it out."""
    proof = honest()
    for context in (b"", b"task 8, worker 9", b"task 7, worker 8"):
        other = replace(proof, statement=replace(proof.statement, context=context))
        assert verdict(other.verify) in (ErrorCode.SUMCHECK, ErrorCode.LOOKUP_SUM, ErrorCode.GRINDING)

    def absorb(transcript: Transcript, *rest: object) -> None:
        transcript.absorb_int("proof format", 1)

    blind = {(prover, "absorb_statement"): absorb, (verifier, "absorb_statement"): absorb}
    with replaced(blind):
        proof = cheat(MODEL, INPUTS, {}, context=b"task 7, worker 9")
        assert verdict(replace(proof, statement=replace(proof.statement, context=b"")).verify) is None


OUTPUT_BATCH, ENVELOPE = api.prove(MODEL, INPUTS, "succinct", b"here", "tiny")
ENVELOPED = Statement(MODEL, INPUTS, OUTPUT_BATCH, b"here")
LENIENT = Policy.of([TINY])


def test_another_statement_in_the_envelope() -> None:
    def attempt() -> object:
        return api.verify(replace(ENVELOPED, context=b"there"), ENVELOPE, LENIENT)

    assert verdict(attempt) is ErrorCode.STATEMENT_MISMATCH
    with replaced({(api, "_check_binding"): without(api._check_binding, ErrorCode.STATEMENT_MISMATCH)}):
        assert verdict(attempt) not in (ErrorCode.STATEMENT_MISMATCH, None)


def test_a_tiny_proof_under_the_default_policy() -> None:
    def attempt() -> object:
        return api.verify(ENVELOPED, ENVELOPE)

    assert verdict(attempt) is ErrorCode.SUITE_NOT_ACCEPTED
    with replaced({(Policy, "admit"): without(Policy.admit, ErrorCode.SUITE_NOT_ACCEPTED)}):
        assert verdict(attempt) is None


def test_an_unregistered_model() -> None:
    """A verifier that names its models takes no other, however good the proof."""
    known, unknown = Policy.of([TINY], models=[MODEL.digest]), Policy.of([TINY], models=[network(2).digest])
    assert verdict(lambda: api.verify(ENVELOPED, ENVELOPE, known)) is None
    assert verdict(lambda: api.verify(ENVELOPED, ENVELOPE, unknown)) is ErrorCode.MODEL_NOT_ACCEPTED
    with replaced({(Policy, "admit_model"): without(Policy.admit_model, ErrorCode.MODEL_NOT_ACCEPTED)}):
        assert verdict(lambda: api.verify(ENVELOPED, ENVELOPE, unknown)) is None


def test_another_or_an_unregistered_parameter_set() -> None:
    proof, root_only = honest(), honest(ROOT_ONLY)
    held = replace(root_only, holder=commit_model(MODEL, TINY, PORTABLE))
    assert verdict(lambda: held.verify(TINY)) is None
    assert verdict(lambda: held.verify(int(ParameterSetId.STANDARD))) is ErrorCode.SUITE_NOT_ACCEPTED
    assert verdict(lambda: proof.verify(int(ParameterSetId.STANDARD))) is not None
    for unknown in (int(ParameterSetId.EXACT), 0, 60_000):
        assert verdict(lambda number=unknown: proof.verify(number)) is ErrorCode.SUITE_NOT_ACCEPTED


def test_a_trailing_byte() -> None:
    longer = replace(honest(), body=honest().body + b"\0")
    assert verdict(longer.verify) is ErrorCode.TRAILING_BYTES
    finish = without(VerifierTranscript.finish, ErrorCode.TRAILING_BYTES)
    with replaced({(VerifierTranscript, "finish"): finish}):
        assert verdict(longer.verify) is None


def test_an_element_plus_p() -> None:
    """p + 1 stands for 1; it is refused as such before anything is made of it."""
    proof, start = honest(), 2 + 16 + 27
    body = proof.body[:start] + (P + 1).to_bytes(8, "little") + proof.body[start + 8 :]
    wrong = replace(proof, body=body)
    assert verdict(wrong.verify) is ErrorCode.NONCANONICAL_ELEMENT
    read = without(encoding.base_from_bytes, ErrorCode.NONCANONICAL_ELEMENT)
    with replaced({(encoding, "base_from_bytes"): read}):
        assert verdict(wrong.verify) is not ErrorCode.NONCANONICAL_ELEMENT


@pytest.mark.parametrize("length", [2**64 - 1, 2**63, 2**40, 2**32])
def test_length_prefixes_beyond_all_memory(length: int) -> None:
    """The envelope is the only part of a proof with a length in it."""
    place = ENVELOPE.index(ENVELOPED.digest) + 32
    assert ENVELOPE[place : place + 2] == b"\x05\x59"
    envelope = ENVELOPE[: place + 1] + b"\x5b" + length.to_bytes(8, "big") + ENVELOPE[place + 4 :]
    assert verdict(lambda: api.verify(ENVELOPED, envelope, LENIENT)) is ErrorCode.PROOF_MALFORMED


# One message altered under challenges that do not depend on it.


def fixed(self: Transcript, label: str) -> bytes:
    """A squeeze that depends on nothing but how many there were."""
    number = self.__dict__["squeezes"] = self.__dict__.get("squeezes", 0) + 1
    self._seed = hashlib.sha256(b"fixed challenge %d" % number).digest()
    return self._seed


def message_ends() -> tuple[Forgery, list[tuple[str, str, int, int]]]:
    """An honest tape under fixed challenges: (label, type, start, stop) of every message."""
    with replaced({(Transcript, "_squeeze"): fixed}):
        proof = cheat(squared(), inputs_for(squared()), {})
        tape = Tape(setting.PROTOCOL, proof.body)
        verifier.verify(proof.holder, proof.statement, proof.body, TINY, PORTABLE, tape)
    return proof, [(m.label, m.type, m.offset, m.offset + len(m.data)) for m in tape.messages]


def test_every_message_matters_even_under_fixed_challenges() -> None:
    """Fiat-Shamir aside, the algebra refuses each altered message; a nonce does nothing else than move challenges."""
    proof, messages = message_ends()
    assert {label for label, *_ in messages} >= {
        "revealed", "root", "fraction sumcheck", "fraction pair", "linear sum", "bilinear sum", "bilinear sumcheck",
        "bilinear operands", "product sumcheck", "right table", "sumcheck", "final polynomial", "rows", "siblings",
    }  # fmt: skip
    with replaced({(Transcript, "_squeeze"): fixed}):
        assert verdict(proof.verify) is None
        for label, kind, start, stop in messages:
            if kind == "nonce" or start == stop:
                continue
            body = bytearray(proof.body)
            body[start] ^= 1
            assert verdict(replace(proof, body=bytes(body)).verify) is not None, label


ELSEWHERE: dict[str, Callable[..., None]] = {
    "any flipped bit (a sample)": test_rejections.test_flipped_bits,
    "any flipped bit (all of them; exhaustive)": test_rejections.test_every_flipped_bit,
    "a root of another model in the record": test_rejections.test_the_root_of_another_model_under_the_right_digest,
    "another digest over the right root": test_rejections.test_another_digest_over_the_right_root,
    "another batch size": test_rejections.test_another_batch_size,
    "lists shortened": test_rejections.test_truncations,
    "lists reordered, duplicated, lengthened": test_rejections.test_swapped_duplicated_and_removed_messages,
    "lists of a commitment changed": test_rejections.test_the_record_is_read_strictly,
    "every v + p that fits a word": test_rejections.test_an_element_that_is_not_canonical,
    "length prefixes of a commitment": test_rejections.test_a_commitment_of_absurd_lengths,
    "constant challenges": test_rejections.test_the_first_challenge_changes_with_every_public_byte,
    "bytes that are no proof": test_rejections.test_bytes_that_are_no_proof,
    "every single activation": test_malicious_prover.test_every_single_activation,
    "columns altered in other ways": test_malicious_prover.test_an_altered_witness,
    "constants that are not there": test_requant.test_constants_that_are_not_there_are_refused,
    "keys that wrap in the field": test_requant.test_keys_that_wrap_are_refused,
    "a zero denominator": test_a_zero_denominator,
    "an extra table proof": test_an_extra_table_proof,
    "a changed rate, query count or folding schedule": test_changed_parameters,
    "another task, another worker's key": test_another_task_or_worker,
    "another statement in the envelope": test_another_statement_in_the_envelope,
    "a tiny proof under the default policy": test_a_tiny_proof_under_the_default_policy,
    "an unregistered model": test_an_unregistered_model,
    "another or an unregistered parameter set": test_another_or_an_unregistered_parameter_set,
    "a trailing byte": test_a_trailing_byte,
    "an element v + p": test_an_element_plus_p,
    "length prefixes of 2^64 - 1": test_length_prefixes_beyond_all_memory,
    "an honest tape with one message altered": test_every_message_matters_even_under_fixed_challenges,
}
"""The remaining ways, each with the test that tries it."""


def test_the_tables_name_tests_that_run() -> None:
    assert all(function.__name__.startswith("test_") for function in ELSEWHERE.values())
    assert not ELSEWHERE.keys() & NEGATIVES.keys()
