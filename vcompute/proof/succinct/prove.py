# SPDX-License-Identifier: Apache-2.0
"""The prover; :mod:`vcompute.proof.succinct.verify` reads beside it, with the same step numbers."""

from collections.abc import Mapping

from vcompute.commitment import claim
from vcompute.commitment.prove import commit, open_claims, send_root
from vcompute.field import ZERO, Backend, Ext, ExtWords
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import products
from vcompute.proof.succinct.bilinear import bilinear_claims, bilinear_tables
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.claims import Challenges, Load, ProductClaims
from vcompute.proof.succinct.columns import fill
from vcompute.proof.succinct.forms import Form, committed_part
from vcompute.proof.succinct.leaves import leaf_tree
from vcompute.proof.succinct.lookup import prove as lookup
from vcompute.proof.succinct.outputs import bound_claims, public_loads
from vcompute.proof.succinct.program.claims import claims_at_leaves, claims_of_products
from vcompute.proof.succinct.public import revealed_bytes
from vcompute.proof.succinct.publish import committed_weights
from vcompute.proof.succinct.setting import PROOF_FORMAT, PROTOCOL, Prepared, Setting, absorb_statement, make_setting
from vcompute.proof.succinct.stored import column_weight
from vcompute.proof.succinct.sumcheck import prove as sumcheck
from vcompute.proof.succinct.weights import weight_claim
from vcompute.proof.succinct.witness import Witness, make_witness
from vcompute.task import Batch
from vcompute.transcript import ProverTranscript

Sum = tuple[Form, Ext]
"""A linear form of columns and public values, and what it is."""


def prove(
    prepared: Prepared, inputs: Batch, context: bytes, parameter_set: int, mode: int, backend: Backend
) -> tuple[Batch, bytes]:
    """Run the model and prove it.

    Raises:
        Rejected: suite_unsupported_model or security_unreachable, before any work.
    """
    model, setting = prepared.model, make_setting(prepared, inputs.size, parameter_set, mode)
    circuit = setting.circuit
    witness = make_witness(circuit, model, prepared.floors, prepared.plans, inputs, backend, setting.kept)
    outputs = Batch(tuple(witness.values[index] for index in model.graph.outputs))
    statement = Statement(model, inputs, outputs, context)
    weights = [] if setting.weights is None else [committed_weights(prepared, setting.parameters, backend)]
    transcript = ProverTranscript(PROTOCOL, backend)
    # 1. The statement, 2. what is revealed.
    transcript.send_bytes("header", bytes((PROOF_FORMAT, mode)))
    absorb_statement(transcript, setting, prepared, statement, b"".join(table.root for table in weights))
    transcript.send_bytes("revealed", revealed_bytes(circuit, witness.values, witness.accumulators))
    # A verifier computes the public ones, which are all that is asked for below.
    values = dict(enumerate((*inputs.arrays, *witness.values[circuit.first :])))
    # 3. The witness.
    table = fill(setting.layout, witness.columns, setting.shape, kept=setting.kept)
    committed = commit(table, setting.shape, setting.parameters, backend)
    send_root(transcript, committed)
    # 4. The lookups. 5. What they leave: columns, public values, and the linear nodes' sum.
    tables = products.empty_table(circuit), products.empty_table(circuit)
    loads, sums = prove_lookups(transcript, prepared, setting, witness, tables, backend)
    # 6. Public values at random points.
    public, _ = public_loads(transcript, circuit, witness.accumulators, backend)
    bound = bound_claims(transcript, circuit, values, backend)
    # 7. The products: those of public values stand in the same tables.
    products.add_loads(*tables, circuit, prepared, witness, public, backend)
    product, left, right = prove_products(transcript, setting, {**loads, **public}, tables, backend)
    # 8. Everything left is weighted sums of the witness, and of the weights.
    claims = [
        claim(0, column_weight(setting.layout, form.columns, backend), committed_part(form, value, values, backend))
        for form, value in (*sums, (product.right, right), *bound)
    ]
    if weights:
        claims.append(claim(1, weight_claim(prepared.weight_columns, product.left, backend), left))
    open_claims(transcript, [committed, *weights], claims, setting.parameters, backend)
    return outputs, transcript.finish()


def prove_lookups(
    transcript: ProverTranscript,
    prepared: Prepared,
    setting: Setting,
    witness: Witness,
    tables: tuple[ExtWords, ExtWords],
    backend: Backend,
) -> tuple[Mapping[int, Load], list[Sum]]:
    """Steps 4 and 5: the loads of linear nodes, written to both tables of the products too, and the sums of columns
    that are left.
    """
    circuit = setting.circuit
    # 4.
    transcript.grind("lookup work", setting.lookup_grinding)
    challenges = Challenges(*transcript.challenges("lookup", 4))
    point, numerator, denominator = lookup.prove(  # nothing keeps the tree, half of what a proof ever holds
        transcript, leaf_tree(circuit, witness, challenges, backend, setting.kept)
    )
    # 5.
    leaf = claims_at_leaves(setting, point, challenges, backend)
    products.add_loads(*tables, circuit, prepared, witness, leaf.loads, backend)
    loaded = backend.dot_ext(*tables)
    transcript.send_ext("linear sum", [loaded])
    crossed, operands = prove_bilinear(transcript, circuit, witness, leaf.bilinear, backend)
    return leaf.loads, [*operands, (leaf.numerator, numerator), (leaf.denominator, denominator - crossed - loaded)]


def prove_bilinear(
    transcript: ProverTranscript, circuit: Circuit, witness: Witness, loads: Mapping[int, Load], backend: Backend
) -> tuple[Ext, list[Sum]]:
    """Step 5, products of two values: their part of the denominator, and both operands at one point."""
    if not circuit.bilinear:
        return ZERO, []
    triple = bilinear_tables(circuit, witness, loads, backend)
    crossed = backend.dot_ext(backend.ext_mul(triple[0], triple[1]), triple[2])
    transcript.send_ext("bilinear sum", [crossed])
    at, (_, first, second) = sumcheck.prove_triple(transcript, circuit.bilinear_boxes, triple, backend)
    transcript.send_ext("bilinear operands", [first, second])
    pair = bilinear_claims(circuit, loads, at, backend)
    return crossed, [(pair.left, first), (pair.right, second)]


def prove_products(
    transcript: ProverTranscript,
    setting: Setting,
    loads: Mapping[int, Load],
    tables: tuple[ExtWords, ExtWords],
    backend: Backend,
) -> tuple[ProductClaims, Ext, Ext]:
    """Step 7: what both tables are at one point, and their values there."""
    ends, left, right = sumcheck.prove(transcript, setting.circuit.products, *tables, backend)
    transcript.send_ext("right table", [right])
    if setting.weights is not None:
        transcript.send_ext("left table", [left])
    return claims_of_products(setting, loads, ends, backend), left, right
