# SPDX-License-Identifier: Apache-2.0
"""What a publisher does: commit to a model's weights. A worker keeps the result for all its proofs."""

from vcompute._native import memory
from vcompute.commitment import CommitmentParameters
from vcompute.commitment.prove import Committed, commit
from vcompute.errors import Rejected
from vcompute.field import Backend
from vcompute.proof.succinct.commitment import (
    KIND,
    VERSION,
    Commitment,
    CommitmentRecord,
    NumberedConstant,
    NumberedPlan,
)
from vcompute.proof.succinct.setting import PARAMETERS, Prepared, clear_constants, prepare
from vcompute.proof.succinct.weights import weight_table
from vcompute.registry import ErrorCode
from vcompute.task import Model


def committed_weights(prepared: Prepared, parameters: CommitmentParameters, backend: Backend) -> Committed:
    """The weights' commitment with all that openings need; kept for many proofs."""
    found = prepared.kept.get(parameters.name)
    if not isinstance(found, Committed):
        with memory.plain():
            columns = prepared.weight_columns
            found = commit(weight_table(prepared, columns, backend), columns.shape, parameters, backend)
        prepared.kept[parameters.name] = found
    return found


def commit_model(model: Model, parameter_set: int, backend: Backend) -> Commitment:
    """The commitment to a model under a parameter set; the same for everyone who makes it.

    Raises:
        Rejected: suite_unsupported_model, or suite_not_accepted for a parameter set of another suite.
    """
    if parameter_set not in PARAMETERS:
        raise Rejected("not a parameter set of this suite", code=ErrorCode.SUITE_NOT_ACCEPTED, got=parameter_set)
    prepared, kept = prepare(model), f"commitment {parameter_set}"
    found = prepared.kept.get(kept)
    if isinstance(found, Commitment):
        return found
    committed = committed_weights(prepared, PARAMETERS[parameter_set], backend)
    record = CommitmentRecord(
        KIND, VERSION, model.encoded_graph, model.weights_digest, int(parameter_set), prepared.limb_bits,
        tuple(NumberedPlan(node, plan) for node, plan in sorted(prepared.plans.items())),
        tuple(NumberedConstant(i, model.constants[i].tobytes()) for i in clear_constants(model.graph)),
        committed.root,
    )  # fmt: skip
    prepared.kept[kept] = result = Commitment(record, model.graph)
    return result
