# SPDX-License-Identifier: Apache-2.0
"""Prove and verify with any suite: the envelope, the policy and the order of checks."""

from collections.abc import Sequence
from typing import Final

from vcompute.errors import Rejected, UsageError
from vcompute.proof.statement import MAX_CONTEXT, Statement, check_statement
from vcompute.proof.suite import MAX_PROOF, Acceptance, Policy, ProofEnvelope, decode_envelope, encode_envelope
from vcompute.proof.suites import SuiteTable, parameter_set_named, suite_table
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, check_batch, make_batch
from vcompute.task.tensor import NDArray

DEFAULT_POLICY: Final = Policy()


def as_batch(data: Batch | NDArray | Sequence[NDArray]) -> Batch:
    """A batch from a batch, one array or several.

    Raises:
        TaskError: ``invalid_input``.
    """
    return data if isinstance(data, Batch) else make_batch(data)


def prove(
    model: Model,
    inputs: Batch | NDArray | Sequence[NDArray],
    suite: str = "replay",
    context: bytes = b"",
    parameter_set: str | None = None,
    threads: int = 1,
    *,
    table: SuiteTable | None = None,
) -> tuple[Batch, bytes]:
    """Run a model on a batch of inputs and prove the outputs.

    Args:
        model: what to run.
        inputs: one array (N, *shape) for each input of the graph.
        suite: name of the suite.
        context: at most 1,024 bytes that the proof is bound to; the verifier states the same ones.
        parameter_set: name of a parameter set of the suite; its default without.
        threads: threads the suite may use.
        table: the suites to choose from; all that are installed without.

    Returns:
        The outputs and the proof's bytes.

    Raises:
        UsageError: no such suite or parameter set, or the context is too long.
        TaskError: the inputs are not the model's.
        Rejected: ``suite_unsupported_model`` or ``security_unreachable``.
    """
    chosen = (table or suite_table()).named(suite)
    parameters = parameter_set_named(chosen, parameter_set)
    _check_call(context, threads)
    batch = as_batch(inputs)
    check_batch("input", batch, model.graph.inputs)
    outputs, body = chosen.prove(model, batch, context, parameters.id, threads)
    return outputs, encode_envelope(chosen.id, parameters.id, Statement(model, batch, outputs, context), body)


def verify(
    statement: Statement,
    proof: bytes,
    policy: Policy = DEFAULT_POLICY,
    threads: int = 1,
    *,
    table: SuiteTable | None = None,
) -> Acceptance:
    """Check a proof of a statement.

    The checks stand in this order: size, envelope, policy, shapes, the statement's digest, then the suite's own.

    Args:
        statement: the verifier's own model (or commitment), inputs and context, and the outputs it was given.
        proof: the proof's bytes.
        policy: which suites and parameter sets convince this verifier.
        threads: threads the suite may use.
        table: the suites to choose from; all that are installed without.

    Returns:
        What was accepted and how sure the verifier may be.

    Raises:
        Rejected: the proof does not convince; the code says why.
        TaskError: the verifier's own inputs are not the model's.
        UsageError: the verifier's own context is too long, or the proof is no bytes at all.
    """
    _check_call(statement.context, threads)
    if not isinstance(proof, bytes):
        raise UsageError("the proof is not bytes", expected="the bytes that prove returned", got=type(proof).__name__)
    if len(proof) > MAX_PROOF:
        raise Rejected("the proof is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=MAX_PROOF, got=len(proof))
    envelope = decode_envelope(proof)
    policy.admit(envelope.parameter_set)
    policy.admit_model(statement.model.digest)
    suite, parameters = (table or suite_table()).numbered(envelope.suite, envelope.parameter_set)
    check_statement(statement)
    _check_binding(statement, envelope)
    security = suite.verify(statement, envelope.body, parameters.id, threads)
    return Acceptance(suite.name, parameters.name, security)


def _check_call(context: bytes, threads: int) -> None:
    if len(context) > MAX_CONTEXT:
        raise UsageError("the context is too long", expected=f"at most {MAX_CONTEXT} bytes", got=len(context))
    if threads < 1:
        raise UsageError("at least one thread", got=threads)


def _check_binding(statement: Statement, envelope: ProofEnvelope) -> None:
    if envelope.statement != statement.digest:
        raise Rejected(
            "the proof is for another statement: model, inputs, outputs, batch size or context",
            code=ErrorCode.STATEMENT_MISMATCH,
            expected=statement.digest.hex(),
            got=envelope.statement.hex(),
        )
