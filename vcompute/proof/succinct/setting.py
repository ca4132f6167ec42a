# SPDX-License-Identifier: Apache-2.0
"""What both sides derive before the first message: circuit, layouts, soundness; and the weights in the field."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property, lru_cache
from typing import Final, Protocol

import numpy as np

from vcompute import soundness
from vcompute.codec import encode
from vcompute.commitment import STANDARD, TINY, CommitmentParameters, Schedule, TableShape, schedule
from vcompute.errors import Rejected
from vcompute.field import Words
from vcompute.field.goldilocks import P
from vcompute.kernels import reference
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.circuit import Circuit, compile_circuit, requantised_nodes
from vcompute.proof.succinct.constants import NodePlan, compile_constants
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.layout import Layout, lay_out
from vcompute.proof.succinct.requant import Floor
from vcompute.proof.succinct.roles import LINEAR, Role, assign_roles
from vcompute.proof.succinct.weight_layout import WeightColumns, weight_columns
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.soundness import Report, Term
from vcompute.task import Graph, Model
from vcompute.task import operators as ops
from vcompute.transcript import Transcript

PROTOCOL: Final = "succinct"
"""What the transcript calls the suite."""
PROOF_FORMAT: Final = 1
"""Version of the suite's proof; its first byte."""
WITH_WEIGHTS: Final = 0
"""Mode: the verifier evaluates the weights itself."""
ROOT_ONLY: Final = 1
"""Mode: the proof opens the commitment to the weights."""

MOST_KEPT: Final = 16
"""Instances and committed weights a holder keeps."""

PARAMETERS: Final[dict[int, CommitmentParameters]] = {
    ParameterSetId.STANDARD: STANDARD,
    ParameterSetId.TINY: TINY,
}


@dataclass(frozen=True, eq=False)
class Prepared:
    """A model with its proof constants."""

    model: Model
    limb_bits: int
    floors: Mapping[int, Floor]
    plans: Mapping[int, NodePlan]
    maps: Mapping[int, tuple[int, ...]]
    kept: dict[str, object] = field(default_factory=dict, repr=False)
    """The committed weights by parameter set: made once, kept for every proof (see :mod:`publish`)."""

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self.model.graph

    def constant(self, number: int) -> IntArray:
        """A constant of the graph."""
        return self.model.constants[number]

    @cached_property
    def weight_columns(self) -> WeightColumns:
        """The layout of the committed weights."""
        return weight_columns(self.graph, self.plans)

    @cached_property
    def weights(self) -> dict[int, dict[str, Words]]:
        """For each linear node with a claim, in the field: D_c, D_c * bias_c + Q_c, and S_c where it is two-sided; all
        over M_c where it is divided, with 1 / M_c and the gap of M_c.
        """
        roles, _ = assign_roles(self.model.graph)
        return {
            index: _field_weights(self.model, index, self.floors.get(index), self.limb_bits)
            for index, role in enumerate(roles)
            if role in (Role.PROVED, Role.REVEALED) and isinstance(self.model.graph.nodes[index].operator, LINEAR)
        }


def _field_weights(model: Model, index: int, floor: Floor | None, limb_bits: int) -> dict[str, Words]:
    node = model.graph.nodes[index]
    channels = node.output.shape[-1]
    slope = list(floor.slope) if floor else [1] * channels
    offset = list(floor.offset) if floor else [0] * channels
    bias = (
        [0] * channels
        if isinstance(node.operator, ops.MatMul)
        else [int(b) for b in model.constants[node.constants[1]]]
    )
    parts = {"slope": slope, "bias": [d * b + q for d, b, q in zip(slope, bias, offset, strict=True)]}
    if floor and floor.two_sided:
        parts["step"] = list(floor.step)
    if not floor or not floor.divisors:
        return {part: _words(values) for part, values in parts.items()}
    inverse = [pow(divisor, -1, P) for divisor in floor.divisors]
    result = {part: _words([v * i for v, i in zip(parts[part], inverse, strict=True)]) for part in parts}
    return result | {"inverse": _words(inverse), "gap": _words(list(floor.gaps(limb_bits)))}


def _words(values: list[int]) -> Words:
    return np.array([value % P for value in values], np.uint64)


@lru_cache(maxsize=8)
def prepare(model: Model) -> Prepared:
    """The proof constants of a model; kept, since they do not depend on the batch.

    Raises:
        Rejected: suite_unsupported_model.
    """
    compiled = compile_constants(model, requantised_nodes(model.graph))
    maps = {}
    for index in mapped_nodes(model.graph):
        constants = tuple(model.constants[i] for i in model.graph.nodes[index].constants)
        maps[index] = map_of(model.graph, index, constants)
    return Prepared(model, compiled.limb_bits, compiled.floors, compiled.plans, maps)


def map_of(graph: Graph, index: int, constants: tuple[IntArray, ...]) -> tuple[int, ...]:
    """The outputs of a QUANTIZE or LOGISTIC node for -128, ..., 127."""
    node = graph.nodes[index]
    every = np.arange(-128, 128, dtype=np.int8).reshape(256, *(1,) * len(node.output.shape))
    return tuple(int(v) for v in reference.evaluate(Model(graph, ()), node, [every], constants, 256).ravel())


@dataclass(frozen=True, slots=True)
class Sizes:
    """The sizes of an instance that its soundness depends on."""

    leaves: int
    """Lookups and table rows."""
    layers: int
    """Variables of the leaves."""
    products: int
    """Variables of the products."""
    bilinear: int
    """Variables of the products of two values; 0 where there are none."""
    points: int
    """Variables of all public values' points together."""
    revealed: int

    @property
    def lookup_error(self) -> Fraction:
        """A false sum of fractions has a numerator of degree below the number of leaves in the four challenges."""
        return Fraction(self.leaves, soundness.FIELD_SIZE)

    def lookup_grinding(self, parameters: CommitmentParameters) -> int:
        """Work before the lookup challenges."""
        return soundness.grinding_for(self.lookup_error, parameters.security_bits, parameters.max_challenge_grinding)

    def terms(self, parameters: CommitmentParameters) -> tuple[Term, ...]:
        """The error of every challenge but the opening's."""
        size, rounds = soundness.FIELD_SIZE, self.layers * (self.layers - 1) // 2
        public = Fraction(self.points + self.revealed + 1, size)
        terms = [
            Term("lookups", self.lookup_error, self.lookup_grinding(parameters)),
            Term("fractions: each round", soundness.sumcheck_error(3), count=rounds),
            Term("fractions: joining of a layer", Fraction(2, size), count=self.layers),
            Term("public values: points and their combination", public),
            Term("products: each round", soundness.sumcheck_error(2), count=self.products),
        ]
        if self.bilinear:
            error = soundness.sumcheck_error(3)
            terms.append(Term("products of two values: each round", error, count=self.bilinear))
        return tuple(terms)


@dataclass(frozen=True, eq=False)
class Setting:
    """One statement's instance."""

    circuit: Circuit
    plans: Mapping[int, NodePlan]
    parameters: CommitmentParameters
    layout: Layout
    weights: WeightColumns | None
    """The columns of the committed weights, where the proof opens them."""
    kept: dict[str, object] = field(default_factory=dict, repr=False)
    """What was derived from it once: a verifier's program (see :mod:`program`), a prover's :class:`LeafPlan`."""

    @property
    def shape(self) -> TableShape:
        """The shape of the committed witness."""
        return self.parameters.shape(self.layout.length)

    @property
    def claims(self) -> int:
        """Claims: numerator, denominator, right table and bound outputs; both operands of the products of two values
        where there are any; left table where weights are opened.
        """
        return 3 + len(self.circuit.bound) + 2 * bool(self.circuit.bilinear) + (self.weights is not None)

    @cached_property
    def schedule(self) -> Schedule:
        """The opening's schedule."""
        shapes = [self.shape]
        if self.weights is not None:
            shapes.append(self.weights.shape)
        return schedule(self.parameters, shapes, self.claims)

    @cached_property
    def sizes(self) -> Sizes:
        """What the soundness of everything but the opening depends on."""
        circuit = self.circuit
        public = (*circuit.revealed, *self._bound_nodes)
        return Sizes(
            leaves=sum(map(_elements, circuit.leaves.boxes)),
            layers=circuit.leaves.variables,
            products=circuit.products.variables,
            bilinear=circuit.bilinear_boxes.variables if circuit.bilinear else 0,
            points=sum(sum(map(_bits, circuit.columns_of(i))) for i in public),
            revealed=len(circuit.revealed),
        )

    @cached_property
    def encoded_plans(self) -> tuple[tuple[int, bytes], ...]:
        """The public constants of each node as they are absorbed."""
        return tuple((index, encode(plan)) for index, plan in sorted(self.plans.items()))

    @cached_property
    def clear_constants(self) -> tuple[int, ...]:
        """The constants that are absorbed."""
        return tuple(clear_constants(self.circuit.graph))

    @cached_property
    def lookup_grinding(self) -> int:
        """Work before the lookup challenges."""
        return self.sizes.lookup_grinding(self.parameters)

    @cached_property
    def report(self) -> Report:
        """Every challenge of the proof."""
        return Report((*self.sizes.terms(self.parameters), *self.schedule.terms()))

    @property
    def _bound_nodes(self) -> tuple[int, ...]:
        return tuple(sorted(value - self.circuit.first for value in self.circuit.bound))


def _elements(box: tuple[int, ...]) -> int:
    result = 1
    for size in box:
        result *= size
    return result


def _bits(size: int) -> int:
    return (size - 1).bit_length()


def mapped_nodes(graph: Graph) -> list[int]:
    """The proved nodes that are a table of their operand."""
    roles, _ = assign_roles(graph)
    return [
        index
        for index, node in enumerate(graph.nodes)
        if roles[index] is Role.PROVED and isinstance(node.operator, (ops.Quantize, ops.Logistic))
    ]


def clear_constants(graph: Graph) -> list[int]:
    """The constants a verifier needs: scales of revealed nodes, tables, constant tensors; nothing of a filter."""
    roles, _ = assign_roles(graph)
    needed: set[int] = set()
    for node, role in zip(graph.nodes, roles, strict=True):
        if isinstance(node.operator, LINEAR):
            if role is Role.REVEALED:
                needed.update(node.constants[2:])
        else:
            needed.update(node.constants)
    return sorted(needed)


class Holder(Protocol):
    """What both sides know of a model: its graph and public constants."""

    @property
    def graph(self) -> Graph:
        """The graph."""
        ...

    @property
    def limb_bits(self) -> int:
        """Bits of a limb."""
        ...

    @property
    def plans(self) -> Mapping[int, NodePlan]:
        """Public constants by node."""
        ...

    @property
    def maps(self) -> Mapping[int, tuple[int, ...]]:
        """The outputs of proved table operators."""
        ...

    @property
    def kept(self) -> dict[str, object]:
        """Where instances are kept."""
        ...

    def constant(self, number: int) -> IntArray:
        """A constant that the verifier needs in clear."""
        ...


def make_setting(holder: Holder, batch: int, parameter_set: int, mode: int) -> Setting:
    """The instance of a batch; refused before any work where its soundness falls short. A holder keeps a few.

    Raises:
        Rejected: suite_unsupported_model, security_unreachable, suite_not_accepted, proof_malformed for no mode.
    """
    key = f"setting {batch} {parameter_set} {mode}"
    found = holder.kept.get(key)
    if isinstance(found, Setting):
        return found
    if mode not in (WITH_WEIGHTS, ROOT_ONLY):
        raise Rejected("no such mode of proof", code=ErrorCode.PROOF_MALFORMED, got=mode)
    if parameter_set not in PARAMETERS:
        raise Rejected("not a parameter set of this suite", code=ErrorCode.SUITE_NOT_ACCEPTED, got=parameter_set)
    parameters = PARAMETERS[parameter_set]
    circuit = compile_circuit(holder.graph, holder.plans, holder.limb_bits, holder.maps, batch)
    weights = weight_columns(holder.graph, holder.plans) if mode == ROOT_ONLY else None
    setting = Setting(circuit, holder.plans, parameters, lay_out(circuit.columns), weights)
    setting.report.require(parameters.security_bits)
    while len(holder.kept) >= MOST_KEPT:
        holder.kept.pop(next(iter(holder.kept)))
    holder.kept[key] = setting
    return setting


def absorb_statement(
    transcript: Transcript, setting: Setting, holder: Holder, statement: Statement, root: bytes
) -> None:
    """Everything public, before the first message: nothing that is proved about is chosen after a challenge.

    ``root`` is that of the committed weights, empty where the proof does not open them.
    """
    transcript.absorb_int("proof format", PROOF_FORMAT)
    transcript.absorb_bytes("weights root", root)
    setting.schedule.absorb_into(transcript)
    transcript.absorb_bytes("statement", statement.encoded)
    transcript.absorb_int("limb bits", setting.circuit.limb_bits)
    for index, constants in setting.encoded_plans:
        transcript.absorb_int("node", index)
        transcript.absorb_bytes("constants", constants)
    for number in setting.clear_constants:
        transcript.absorb_int("constant", number)
        transcript.absorb_bytes("constant in clear", holder.constant(number).tobytes())
