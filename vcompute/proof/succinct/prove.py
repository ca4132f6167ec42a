# SPDX-License-Identifier: Apache-2.0
"""The prover; :mod:`vcompute.proof.succinct.verify` reads beside it, with the same step numbers."""

from vcompute.commitment import claim
from vcompute.commitment.prove import commit, open_claims, send_root
from vcompute.field import Backend
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import products
from vcompute.proof.succinct.bilinear import bilinear_claims, bilinear_tables
from vcompute.proof.succinct.claims import Challenges
from vcompute.proof.succinct.columns import ColumnWeight, fill
from vcompute.proof.succinct.forms import committed_part
from vcompute.proof.succinct.leaves import leaf_tree
from vcompute.proof.succinct.lookup import prove as lookup
from vcompute.proof.succinct.outputs import bound_claims, public_loads
from vcompute.proof.succinct.program.claims import claims_at_leaves, claims_of_products
from vcompute.proof.succinct.public import revealed_bytes
from vcompute.proof.succinct.publish import committed_weights
from vcompute.proof.succinct.setting import PROOF_FORMAT, PROTOCOL, Prepared, absorb_statement, make_setting
from vcompute.proof.succinct.sumcheck import prove as sumcheck
from vcompute.proof.succinct.weights import weight_claim
from vcompute.proof.succinct.witness import make_witness
from vcompute.task import Batch
from vcompute.transcript import ProverTranscript


def prove(
    prepared: Prepared, inputs: Batch, context: bytes, parameter_set: int, mode: int, backend: Backend
) -> tuple[Batch, bytes]:
    """Run the model and prove it.

    Raises:
        Rejected: suite_unsupported_model or security_unreachable, before any work.
    """
    model = prepared.model
    setting = make_setting(prepared, inputs.size, parameter_set, mode)
    circuit = setting.circuit
    witness = make_witness(circuit, model, prepared.floors, prepared.plans, inputs, backend, setting.kept)
    outputs = Batch(tuple(witness.values[index] for index in model.graph.outputs))
    statement = Statement(model, inputs, outputs, context)
    transcript = ProverTranscript(PROTOCOL, backend)
    tables = [] if setting.weights is None else [committed_weights(prepared, setting.parameters, backend)]
    # 1. The statement, 2. what is revealed.
    transcript.send_bytes("header", bytes((PROOF_FORMAT, mode)))
    absorb_statement(transcript, setting, prepared, statement, b"".join(table.root for table in tables))
    transcript.send_bytes("revealed", revealed_bytes(circuit, witness.values, witness.accumulators))
    # A verifier computes the public ones, which are all that is asked for below.
    values = dict(enumerate((*inputs.arrays, *witness.values[circuit.first :])))
    # 3. The witness.
    table = fill(setting.layout, witness.columns, setting.shape, kept=setting.kept)
    committed = commit(table, setting.shape, setting.parameters, backend)
    send_root(transcript, committed)
    # 4. The lookups.
    transcript.grind("lookup work", setting.lookup_grinding)
    challenges = Challenges(*transcript.challenges("lookup", 4))
    point, numerator, denominator = lookup.prove(  # nothing keeps the tree, half of what a proof ever holds
        transcript, leaf_tree(circuit, witness, challenges, backend, setting.kept)
    )
    # 5. What they leave: columns, public values, and the linear nodes' sum.
    leaf = claims_at_leaves(setting, point, challenges, backend)
    left, right = products.empty_table(circuit), products.empty_table(circuit)
    products.add_loads(left, right, circuit, prepared, witness, leaf.loads, backend)
    loaded = backend.dot_ext(left, right)
    transcript.send_ext("linear sum", [loaded])
    forms = []
    if circuit.bilinear:
        triple = bilinear_tables(circuit, witness, leaf.bilinear, backend)
        crossed = backend.dot_ext(backend.ext_mul(triple[0], triple[1]), triple[2])
        transcript.send_ext("bilinear sum", [crossed])
        at, (_, first, second) = sumcheck.prove_triple(transcript, circuit.bilinear_boxes, triple, backend)
        transcript.send_ext("bilinear operands", [first, second])
        pair = bilinear_claims(circuit, leaf.bilinear, at, backend)
        forms, denominator = [(pair.left, first), (pair.right, second)], denominator - crossed
    # 6. Public values at random points.
    public, _ = public_loads(transcript, circuit, witness.accumulators, backend)
    bound = bound_claims(transcript, circuit, values, backend)
    # 7. The products: those of public values stand in the same tables.
    products.add_loads(left, right, circuit, prepared, witness, public, backend)
    ends, left_value, right_value = sumcheck.prove(transcript, circuit.products, left, right, backend)
    transcript.send_ext("right table", [right_value])
    if tables:
        transcript.send_ext("left table", [left_value])
    product = claims_of_products(setting, {**leaf.loads, **public}, ends, backend)
    # 8. Everything left is weighted sums of the witness, and of the weights.
    forms += [
        (leaf.numerator, numerator),
        (leaf.denominator, denominator - loaded),
        (product.right, right_value),
        *bound,
    ]
    claims = [
        claim(0, ColumnWeight(setting.layout, form.columns, backend), committed_part(form, value, values, backend))
        for form, value in forms
    ]
    if tables:
        claims.append(claim(1, weight_claim(prepared.weight_columns, product.left, backend), left_value))
    open_claims(transcript, [committed, *tables], claims, setting.parameters, backend)
    return outputs, transcript.finish()
