# SPDX-License-Identifier: Apache-2.0
"""What a proof shows: for the model with this digest and these inputs, the outputs are these, in this context."""

from dataclasses import dataclass
from functools import cached_property
from typing import Final, Protocol

from vcompute.codec import Bytes, Int, encode, field
from vcompute.errors import Rejected, TaskError
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Graph, Model, check_batch
from vcompute.task.digest import tagged
from vcompute.task.limits import MAX_BATCH

MAX_CONTEXT: Final = 1024
STATEMENT_TAG: Final = b"vcompute/statement/1\x00"
DIGEST: Final = Bytes(32, 32)


class ModelHolder(Protocol):
    """What a verifier knows of the model: the model itself, or a publisher's commitment to it."""

    @property
    def graph(self) -> Graph:
        """The graph; it has no weights."""

    @property
    def digest(self) -> bytes:
        """The model's identity."""


@dataclass(frozen=True, slots=True)
class StatementRecord:
    """The statement as suites absorb it: digests only."""

    model: bytes = field(0, DIGEST, "digest of the model")
    batch: int = field(1, Int(1, MAX_BATCH), "number of samples")
    inputs: bytes = field(2, DIGEST, "content digest of the inputs")
    outputs: bytes = field(3, DIGEST, "content digest of the outputs")
    context: bytes = field(4, Bytes(0, MAX_CONTEXT), "where the statement is made: task id and worker, for instance")


@dataclass(frozen=True)
class Statement:
    """A claim about a run. The digests that bind it are computed from the data, never taken from a peer.

    ``context`` is at most 1,024 bytes; the protocol sets it to the task id and the worker's key thumbprint.

    Raises:
        TaskError: ``invalid_input`` for inputs or outputs that are no :class:`~vcompute.task.Batch`.
    """

    model: ModelHolder
    inputs: Batch
    outputs: Batch
    context: bytes = b""

    def __post_init__(self) -> None:
        for name, value in (("inputs", self.inputs), ("outputs", self.outputs)):
            if not isinstance(value, Batch):
                raise TaskError(
                    f"the statement's {name} are not a batch",
                    code=ErrorCode.INVALID_INPUT,
                    expected="a Batch: vcompute.make_batch(arrays)",
                    got=type(value).__name__,
                )

    @cached_property
    def record(self) -> StatementRecord:
        """The digests and sizes that a proof is bound to."""
        return StatementRecord(
            self.model.digest, self.inputs.size, self.inputs.digest, self.outputs.digest, self.context
        )

    @cached_property
    def encoded(self) -> bytes:
        """The record's bytes, as transcripts absorb it."""
        return encode(self.record)

    @cached_property
    def digest(self) -> bytes:
        """SHA-256 of the record under the statement tag."""
        return tagged(STATEMENT_TAG, self.encoded)


def check_statement(statement: Statement) -> None:
    """Refuse a statement whose inputs or outputs are not of the model's types, before any algebra.

    Raises:
        Rejected: ``statement_mismatch`` for outputs of another shape or batch size.
        TaskError: ``invalid_input`` for inputs the model does not take.
    """
    graph = statement.model.graph
    check_batch("input", statement.inputs, graph.inputs)
    try:
        check_batch("output", statement.outputs, graph.output_types)
    except TaskError as error:
        raise Rejected(
            error.message, code=ErrorCode.STATEMENT_MISMATCH, got=error.got, expected=error.expected
        ) from error
    if statement.inputs.size != statement.outputs.size:
        raise Rejected(
            "outputs are for another number of samples",
            code=ErrorCode.STATEMENT_MISMATCH,
            expected=statement.inputs.size,
            got=statement.outputs.size,
        )


def require_model(statement: Statement) -> Model:
    """The model itself, for suites that need its weights.

    Raises:
        Rejected: ``suite_unsupported_model`` where the verifier holds only a commitment.
    """
    if not isinstance(statement.model, Model):
        raise Rejected(
            "this suite needs the model itself, not a commitment to it", code=ErrorCode.SUITE_UNSUPPORTED_MODEL
        )
    return statement.model
