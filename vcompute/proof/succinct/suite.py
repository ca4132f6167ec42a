# SPDX-License-Identifier: Apache-2.0
"""``succinct`` as a suite: prove with the model, verify with the model or with its publisher's commitment."""

from dataclasses import dataclass
from typing import Final

from vcompute._native import memory
from vcompute.errors import Rejected
from vcompute.field import Backend, default_backend
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.circuit import clamp_of, requantised_nodes
from vcompute.proof.succinct.commitment import Commitment
from vcompute.proof.succinct.constants import NodePlan
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.program.run import verify
from vcompute.proof.succinct.prove import prove
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.roles import LINEAR
from vcompute.proof.succinct.setting import ROOT_ONLY, WITH_WEIGHTS, Prepared, make_setting, mapped_nodes, prepare
from vcompute.proof.succinct.verify import verify as verify_readably
from vcompute.proof.suite import ParameterSet, Security, registered_sets
from vcompute.registry import ErrorCode, SuiteId
from vcompute.soundness import Report
from vcompute.task import Batch, Graph, Model

ASSUMED_LIMB_BITS: Final = 16
ASSUMED_LIMBS: Final = 3
ASSUMED_QUOTIENT: Final = (1 << 15) - 1


@dataclass(frozen=True, slots=True)
class _Assumed:
    """Constants assumed of a graph."""

    graph: Graph
    limb_bits: int
    plans: dict[int, NodePlan]
    maps: dict[int, tuple[int, ...]]
    kept: dict[str, object]

    def constant(self, number: int) -> IntArray:
        """Nothing is in clear."""
        raise Rejected("assumed constants have no values", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)


@dataclass(frozen=True, slots=True)
class Succinct:
    """The suite. ``mode`` says what its proofs open: the commitment to the weights too (they then convince whoever
    holds the commitment), or the witness alone (smaller; the verifier needs the weights). Both verify.
    """

    mode: int = ROOT_ONLY
    readable: bool = False
    """Verify with the readable twin, step by step in Python, instead of natively: the same verdict and code."""
    id: int = SuiteId.SUCCINCT
    name: str = "succinct"

    @property
    def parameter_sets(self) -> tuple[ParameterSet, ...]:
        """``standard`` first."""
        return registered_sets(SuiteId.SUCCINCT)

    def security(self, graph: Graph, batch: int, parameter_set: int) -> Security:
        """At least how sure an accepted proof makes a verifier, from the graph alone: node constants are assumed to be
        larger than they are.

        Raises:
            Rejected: ``suite_unsupported_model`` or ``security_unreachable``.
        """
        plans = {}
        for node in requantised_nodes(graph):
            clamp_of(graph.nodes[node].operator)
            divided = int(isinstance(graph.nodes[node].operator, LINEAR))
            plans[node] = NodePlan(ASSUMED_LIMBS, 1, -ASSUMED_QUOTIENT, ASSUMED_QUOTIENT, (), divided)
        no_map: tuple[int, ...] = (0,) * 256
        maps = dict.fromkeys(mapped_nodes(graph), no_map)
        holder = _Assumed(graph, ASSUMED_LIMB_BITS, plans, maps, {})
        setting = make_setting(holder, batch, parameter_set, self.mode)
        return _security(setting.report)

    def prove(
        self, model: Model, inputs: Batch, context: bytes, parameter_set: int, threads: int
    ) -> tuple[Batch, bytes]:
        """Run the model and prove it.

        Raises:
            TaskError: the inputs are not the model's.
            Rejected: ``suite_unsupported_model`` or ``security_unreachable``, before any work.
        """
        prepared, backend = prepare(model), default_backend(threads)
        with memory.reused():
            outputs, body = prove(prepared, inputs, context, parameter_set, self.mode, backend)
            with memory.plain():  # they outlive the proof
                return Batch(tuple(array.copy() for array in outputs.arrays)), body

    def verify(self, statement: Statement, body: bytes, parameter_set: int, threads: int) -> Security:
        """Return where the proof convinces.

        Raises:
            Rejected: with the code of the first check that fails; ``suite_unsupported_model`` where the verifier holds
                neither the model nor a commitment to it.
        """
        backend = default_backend()
        holder = holder_of(statement, body, parameter_set, backend)
        chosen = verify_readably if self.readable else verify
        return _security(chosen(holder, statement, body, parameter_set, backend))


def holder_of(statement: Statement, body: bytes, parameter_set: int, backend: Backend) -> Prepared | Commitment:
    """What the verifier checks a proof against, by what it holds and the proof's mode.

    Raises:
        Rejected: suite_unsupported_model, where it holds neither the model nor a commitment to it.
    """
    if isinstance(statement.model, Commitment):
        return statement.model
    if not isinstance(statement.model, Model):
        raise Rejected("this suite needs the model or its commitment", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    if body[1:2] == bytes((ROOT_ONLY,)):
        return commit_model(statement.model, parameter_set, backend)
    return prepare(statement.model)


def _security(report: Report) -> Security:
    return Security(report.security_bits, report.union_bits)


SUITE: Final = Succinct()
SUITE_WITH_WEIGHTS: Final = Succinct(WITH_WEIGHTS)
