# SPDX-License-Identifier: Apache-2.0
"""The verifier, as numbered steps. :mod:`vcompute.proof.succinct.prove` sends what they receive, in the same order.

1. Read the header; derive circuit, layouts and soundness; absorb the whole statement.
2. Receive what is revealed; compute every public value; refuse outputs that differ.
3. Receive the commitment to the witness.
4. Check the work, draw the lookup challenges, check that all fractions add up to zero: left are numerator and
   denominator at one point.
5. Receive the part of the denominator that comes from linear nodes; where the circuit has products of two values,
   also their part, and check it down to one point of both operands.
6. Draw points for public values of linear nodes and outputs; add their claims.
7. Check the sum of products down to one point; the left table there follows from the weights or is received with a
   claim about their commitment, the right one is received, and their product must fit.
8. What is left are weighted sums of the witness and the weights: check the opening, and that the proof ends.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vcompute.commitment import claim
from vcompute.commitment.verify import Reducer, Root, check_claims, receive_root
from vcompute.errors import Rejected
from vcompute.field import ZERO, Backend, Ext
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.bilinear import bilinear_claims
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.claims import Challenges, Load, ProductClaims, WeightTerm, leaf_claims, product_claims
from vcompute.proof.succinct.columns import ColumnWeight
from vcompute.proof.succinct.commitment import Commitment
from vcompute.proof.succinct.contract import IntArray, contract
from vcompute.proof.succinct.forms import Form, committed_part
from vcompute.proof.succinct.lookup import verify as lookup
from vcompute.proof.succinct.outputs import bound_claims, public_loads
from vcompute.proof.succinct.public import public_values, revealed_length
from vcompute.proof.succinct.setting import (
    PROOF_FORMAT,
    PROTOCOL,
    ROOT_ONLY,
    WITH_WEIGHTS,
    Prepared,
    Setting,
    absorb_statement,
    make_setting,
)
from vcompute.proof.succinct.steps import Int64
from vcompute.proof.succinct.sumcheck import verify as sumcheck
from vcompute.proof.succinct.weight_layout import weight_columns
from vcompute.proof.succinct.weights import weight_claim
from vcompute.registry import ErrorCode
from vcompute.soundness import Report
from vcompute.transcript import VerifierTranscript

Sum = tuple[Form, Ext]
"""A linear form of columns and public values, and what it must be."""


def verify(
    holder: Prepared | Commitment,
    statement: Statement,
    body: bytes,
    parameter_set: int,
    backend: Backend,
    transcript: VerifierTranscript | None = None,
) -> Report:
    """Return the soundness of a proof that convinces; :func:`check` as it stands here, with any backend.

    ``holder`` is a model's constants where the proof leaves the weights to the verifier, else a commitment. A
    ``transcript`` over ``body`` that writes down what it sees may be given (see :mod:`tape`).

    Raises:
        Rejected: with the code of the first check that failed.
    """
    opened = open_statement(holder, statement, body, parameter_set)
    check(transcript or VerifierTranscript(PROTOCOL, body), holder, opened, backend)
    return opened.setting.report


@dataclass(frozen=True, slots=True)
class Opened:
    """What a verifier has before the first check."""

    setting: Setting
    weights: tuple[Root, ...]
    """The root that the proof opens: the commitment's, or none for a verifier with the weights."""
    statement: Statement
    values: Mapping[int, IntArray]
    """Every public value by number."""
    accumulators: Mapping[int, Int64]
    """The revealed accumulators by node."""


def open_statement(holder: Prepared | Commitment, statement: Statement, body: bytes, parameter_set: int) -> Opened:
    """Steps 1 and 2, but for the transcript.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    # 1.
    transcript = VerifierTranscript(PROTOCOL, body)
    version, mode = transcript.receive_bytes("header", 2)
    if version != PROOF_FORMAT:
        raise Rejected("another format of proof", code=ErrorCode.PROOF_MALFORMED, expected=PROOF_FORMAT, got=version)
    _require_fit(holder, mode)
    setting = make_setting(holder, statement.inputs.size, parameter_set, mode)
    weights = _weights_root(holder, setting, parameter_set)
    # 2.
    revealed = transcript.receive_bytes("revealed", revealed_length(setting.circuit))
    values, accumulators = public_values(setting.circuit, holder.constant, statement, revealed)
    return Opened(setting, weights, statement, values, accumulators)


def check(
    transcript: VerifierTranscript,
    holder: Prepared | Commitment,
    opened: Opened,
    backend: Backend,
    reduce: Reducer | None = None,
) -> None:
    """Everything that the proof's messages must fulfil. :mod:`program` records these steps for the native core.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    setting, circuit = opened.setting, opened.setting.circuit
    # 1. and 2.
    transcript.receive_bytes("header", 2)
    weights_root = b"".join(root.digest for root in opened.weights)
    absorb_statement(transcript, setting, holder, opened.statement, weights_root)
    transcript.receive_bytes("revealed", revealed_length(circuit))
    # 3.
    root = receive_root(transcript, setting.shape)
    # 4. and 5.
    loads, loaded, sums = check_lookups(transcript, holder, setting, backend)
    # 6.
    public, total = public_loads(transcript, circuit, opened.accumulators, backend)
    bound = bound_claims(transcript, circuit, opened.values, backend)
    # 7.
    transcript.note("linear sum and public sum", [loaded, total])
    product, left, right = check_products(transcript, holder, circuit, {**loads, **public}, loaded + total, backend)
    # 8.
    claims = [
        claim(
            0, ColumnWeight(setting.layout, form.columns, backend), committed_part(form, value, opened.values, backend)
        )
        for form, value in (*sums, (product.right, right), *bound)
    ]
    if opened.weights:
        columns = weight_columns(circuit.graph, holder.plans)
        claims.append(claim(1, weight_claim(columns, product.left, backend), left))
    check_claims(transcript, [root, *opened.weights], claims, setting.parameters, backend, reduce)
    transcript.finish()


def check_lookups(
    transcript: VerifierTranscript, holder: Prepared | Commitment, setting: Setting, backend: Backend
) -> tuple[Mapping[int, Load], Ext, list[Sum]]:
    """Steps 4 and 5: the loads of linear nodes, what the worker says they are together, and the sums of columns that
    are left.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    circuit = setting.circuit
    # 4.
    transcript.check_grind("lookup work", setting.lookup_grinding)
    challenges = Challenges(*transcript.challenges("lookup", 4))
    point, numerator, denominator = lookup.verify(transcript, circuit.leaves.variables)
    transcript.note("leaf point", point)
    transcript.note("numerator and denominator", [numerator, denominator])
    # 5.
    leaf = leaf_claims(circuit, holder.plans, point, challenges, backend)
    (loaded,) = transcript.receive_ext("linear sum", 1)
    crossed, operands = check_bilinear(transcript, circuit, leaf.bilinear, backend)
    sums = [*operands, (leaf.numerator, numerator), (leaf.denominator, denominator - crossed - loaded)]
    return leaf.loads, loaded, sums


def check_bilinear(
    transcript: VerifierTranscript, circuit: Circuit, loads: Mapping[int, Load], backend: Backend
) -> tuple[Ext, list[Sum]]:
    """Step 5, products of two values: their part of the denominator, and both operands at one point.

    Raises:
        Rejected: sumcheck.
    """
    if not circuit.bilinear:
        return ZERO, []
    (crossed,) = transcript.receive_ext("bilinear sum", 1)
    at, value = sumcheck.verify_triple(transcript, crossed, circuit.bilinear_boxes.variables)
    first, second = transcript.receive_ext("bilinear operands", 2)
    pair = bilinear_claims(circuit, loads, at, backend)
    transcript.require_equal(
        pair.weight * first * second, value, ErrorCode.SUMCHECK, "the sum over two values does not end at them"
    )
    return crossed, [(pair.left, first), (pair.right, second)]


def check_products(
    transcript: VerifierTranscript,
    holder: Prepared | Commitment,
    circuit: Circuit,
    loads: Mapping[int, Load],
    total: Ext,
    backend: Backend,
) -> tuple[ProductClaims, Ext, Ext]:
    """Step 7: what both tables are at one point, and their values there.

    Raises:
        Rejected: sumcheck.
    """
    ends, value = sumcheck.verify(transcript, total, circuit.products.variables)
    transcript.note("product point", ends)
    transcript.note("product", [value])
    (right,) = transcript.receive_ext("right table", 1)
    product = product_claims(circuit, loads, ends, backend)
    if isinstance(holder, Commitment):
        (left,) = transcript.receive_ext("left table", 1)
    else:
        left = evaluate_weights(holder, product.left, backend)
    transcript.require_equal(left * right, value, ErrorCode.SUMCHECK, "the sum of products does not end at the weights")
    return product, left, right


def _require_fit(holder: Prepared | Commitment, mode: int) -> None:
    """Refuse a mode that is not for this holder: before any work, since the byte is the prover's.

    Raises:
        Rejected: suite_unsupported_model.
    """
    if mode == WITH_WEIGHTS and isinstance(holder, Commitment):
        raise Rejected(
            "this proof does not open the weights: a verifier needs the model", code=ErrorCode.SUITE_UNSUPPORTED_MODEL
        )
    if mode == ROOT_ONLY and not isinstance(holder, Commitment):
        raise Rejected("this proof opens committed weights", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)


def _weights_root(holder: Prepared | Commitment, setting: Setting, parameter_set: int) -> tuple[Root, ...]:
    """The root that the proof opens: the commitment's, or none for a verifier with the weights.

    Raises:
        Rejected: suite_not_accepted for another set.
    """
    if setting.weights is None or not isinstance(holder, Commitment):
        return ()
    if holder.record.parameter_set != parameter_set:
        raise Rejected(
            "the commitment is for another parameter set", code=ErrorCode.SUITE_NOT_ACCEPTED,
            expected=holder.record.parameter_set, got=parameter_set,
        )  # fmt: skip
    return (holder.root,)


def evaluate_weights(holder: Prepared, terms: Sequence[WeightTerm], backend: Backend) -> Ext:
    """The left table at a point, from the weights."""
    model, total = holder.model, ZERO
    for term in terms:
        if term.part != "kernel":
            total = total + term.scale * backend.dot_base(term.vectors[0], holder.weights[term.node][term.part])
            continue
        node = model.graph.nodes[term.node]
        kernel = model.constants[node.constants[0]]
        channel = len(term.vectors) - 1 if kernel.ndim == 3 else 0
        vectors = list(term.vectors)
        vectors[channel] = backend.ext_mul_base(vectors[channel], holder.weights[term.node]["slope"])
        total = total + term.scale * contract(kernel, vectors, backend)
    return total
