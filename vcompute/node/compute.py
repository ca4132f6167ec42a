# SPDX-License-Identifier: Apache-2.0
"""Where the protocol meets the proofs: how a worker runs a job and how a verifier checks one.

Sessions see bytes alone; these two small interfaces turn them into models, batches and proofs.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Protocol

from vcompute.errors import ProtocolError, Rejected, VcomputeError
from vcompute.kernels import executor
from vcompute.messages import Always, Offer, SuiteChoice
from vcompute.proof.statement import ModelHolder
from vcompute.registry import ErrorCode, SuiteId
from vcompute.task import Batch, Model, decode_batch, decode_model


@dataclass(frozen=True, slots=True)
class Order:
    """A job with its content."""

    offer: Offer
    model: bytes
    """The encoded model; empty for a checker that does without."""
    inputs: bytes
    context: bytes


@dataclass(frozen=True, slots=True)
class Work:
    """What a worker made of an order."""

    outputs: bytes
    suite: SuiteChoice
    proof: bytes | None
    energy: int | None = None


class Compute(Protocol):
    """How a worker runs an order."""

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        """What it can prove with."""

    def execute(self, order: Order) -> Work:
        """Run, and prove unless the policy asks for the proof later; any VcomputeError means that it cannot be done
        here."""

    def prove(self, order: Order, suite: SuiteChoice) -> bytes:
        """The proof of a result that was sent without it."""


class Checker(Protocol):
    """How a verifier checks a result."""

    def needs_model(self, offer: Offer) -> bool:
        """Whether the model is to be fetched for the check."""

    def check(self, order: Order, work: Work) -> None:
        """Return where the result stands.

        Raises:
            Rejected: it does not, with the code that the verdict carries.
            VcomputeError: the check could not be made; no verdict follows.
        """

    def recompute(self, order: Order, outputs: bytes) -> None:
        """Return where running the model again gives these outputs.

        Raises:
            Rejected: it does not.
            VcomputeError: the model could not be run here.
        """


def work_units(model: ModelHolder, batch: int) -> int:
    """Work units of a batch: multiply-accumulates and elements written, from the graph alone."""
    work = model.graph.work()
    return (work.macs + work.elements) * batch


def open_order(order: Order) -> tuple[Model, Batch]:
    """The model and inputs of an order, checked against what the offer says of them.

    Raises:
        ProtocolError: ``work_units_mismatch``.
        EncodingError, TaskError: the content is malformed.
    """
    model = decode_model(order.model)
    return model, _open_inputs(model, order)


def _open_inputs(holder: ModelHolder, order: Order) -> Batch:
    inputs = decode_batch(order.inputs)
    units = work_units(holder, order.offer.batch)
    if inputs.size != order.offer.batch or units != order.offer.work_units:
        raise ProtocolError(
            "the offer's batch or work units are not those of its content",
            code=ErrorCode.WORK_UNITS_MISMATCH,
            expected=units,
            got=order.offer.work_units,
        )
    return inputs


def check_work(holder: ModelHolder, inputs: Batch, order: Order, work: Work, threads: int) -> None:
    """Check a result's proof against what the verifier holds of the model, and the inputs.

    Raises:
        Rejected: the result does not stand.
        TaskError: the inputs are not the model's; that is no fault of the worker.
    """
    from vcompute.proof.api import verify
    from vcompute.proof.statement import Statement
    from vcompute.proof.suite import Policy

    try:
        outputs = decode_batch(work.outputs)
    except VcomputeError as error:
        raise Rejected(f"the outputs do not decode: {error}", code=ErrorCode.STATEMENT_MISMATCH) from error
    if work.proof is None:
        raise Rejected("the result has no proof", code=ErrorCode.PROOF_MALFORMED)
    policy = Policy(frozenset({work.suite.parameter_set}))
    verify(Statement(holder, inputs, outputs, order.context), work.proof, policy, threads)


class SuiteCompute:
    """Runs and checks with the installed verification suites."""

    def __init__(self, threads: int = 1) -> None:
        self._threads: Final = threads

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        """Every secure parameter set installed here."""
        from vcompute.proof.suites import suite_table

        return tuple(
            SuiteChoice(int(suite.id), int(item.id))
            for suite in suite_table()
            for item in suite.parameter_sets
            if item.secure
        )

    def execute(self, order: Order) -> Work:
        """Run, and prove with the first suite of the offer's policy that can prove this model; under ``sampled`` and
        ``on_challenge`` the proof of any suite but ``replay`` waits until it is asked for.

        Raises:
            ProtocolError: ``work_units_mismatch`` or ``no_common_suite``.
            VcomputeError: the content is malformed.
        """
        from vcompute.proof.api import prove
        from vcompute.proof.suites import suite_table

        model, inputs = open_order(order)
        for choice in order.offer.policy.suites:
            if choice not in self.suites:
                continue
            suite, parameters = suite_table().numbered(choice.suite, choice.parameter_set)
            later = not isinstance(order.offer.policy, Always) and choice.suite != SuiteId.REPLAY
            try:
                if later:
                    suite.security(model.graph, inputs.size, choice.parameter_set)
                    return Work(executor.run(model, inputs, self._threads).encoded, choice, None)
                outputs, proof = prove(model, inputs, suite.name, order.context, parameters.name, self._threads)
            except Rejected as error:
                if error.code in (ErrorCode.SUITE_UNSUPPORTED_MODEL, ErrorCode.SECURITY_UNREACHABLE):
                    continue
                raise
            return Work(outputs.encoded, choice, proof)
        raise ProtocolError("no suite of the policy can prove this model here", code=ErrorCode.NO_COMMON_SUITE)

    def prove(self, order: Order, suite: SuiteChoice) -> bytes:
        """The proof of a result under the suite it was sent for.

        Raises:
            Rejected, VcomputeError: as :meth:`execute`.
        """
        from vcompute.proof.api import prove
        from vcompute.proof.suites import suite_table

        model, inputs = open_order(order)
        chosen, parameters = suite_table().numbered(suite.suite, suite.parameter_set)
        return prove(model, inputs, chosen.name, order.context, parameters.name, self._threads)[1]

    def needs_model(self, offer: Offer) -> bool:
        """Always."""
        return True

    def recompute(self, order: Order, outputs: bytes) -> None:
        """Run the model again and compare.

        Raises:
            Rejected: ``statement_mismatch`` where the outputs do not decode or have other types or size,
                ``output_mismatch``.
            VcomputeError: model or inputs are malformed.
        """
        from vcompute.proof.replay import compare_outputs

        model, inputs = open_order(order)
        mine = executor.run(model, inputs, self._threads)
        try:
            theirs = decode_batch(outputs)
        except VcomputeError as error:
            raise Rejected(f"the outputs do not decode: {error}", code=ErrorCode.STATEMENT_MISMATCH) from error
        if [(a.dtype, a.shape) for a in mine.arrays] != [(a.dtype, a.shape) for a in theirs.arrays]:
            raise Rejected("the outputs have other types or sizes", code=ErrorCode.STATEMENT_MISMATCH)
        compare_outputs(mine, theirs)

    def check(self, order: Order, work: Work) -> None:
        """Check a result's proof against the verifier's own model and inputs.

        Raises:
            Rejected: the result does not stand.
            VcomputeError: model or inputs are malformed; that is no fault of the worker.
        """
        model, inputs = open_order(order)
        check_work(model, inputs, order, work, self._threads)


class CommitmentChecker:
    """Checks proofs about models of which it holds their publishers' commitments and nothing else.

    ``commitments``: encoded commitments by the digest of the encoded model, which offers name.

    Raises:
        EncodingError, TaskError, Rejected: one of them is no commitment.
    """

    def __init__(self, commitments: Mapping[bytes, bytes], threads: int = 1) -> None:
        from vcompute.proof.succinct.commitment import decode_commitment

        self._holders = {digest: decode_commitment(data) for digest, data in commitments.items()}
        self._threads: Final = threads

    def needs_model(self, offer: Offer) -> bool:
        """Never."""
        return False

    def check(self, order: Order, work: Work) -> None:
        """Check a result's proof against the model's commitment and the verifier's own inputs.

        Raises:
            Rejected: the result does not stand.
            ProtocolError: ``blob_unknown``: no commitment to the offer's model is held; ``work_units_mismatch``.
            VcomputeError: the inputs are malformed; that is no fault of the worker.
        """
        digest = order.offer.model.digest
        if digest not in self._holders:
            raise ProtocolError("no commitment to this model is held", code=ErrorCode.BLOB_UNKNOWN, got=digest.hex())
        holder = self._holders[digest]
        check_work(holder, _open_inputs(holder, order), order, work, self._threads)

    def recompute(self, order: Order, outputs: bytes) -> None:
        """A commitment cannot run a model.

        Raises:
            ProtocolError: ``compute_failed``, always.
        """
        raise ProtocolError("without the model a result cannot be run again", code=ErrorCode.COMPUTE_FAILED)
