# SPDX-License-Identifier: Apache-2.0
"""The publisher's commitment to a model: all that a verifier needs instead of the weights.

A proof in the root-only mode is about the root. The record ties root and digest: whoever holds the model can make the
record again (``publish.commit_model``) and compare; a verifier without the model takes it from its publisher. The root
is not part of the model's identity, since it changes with the parameter set.
"""

from dataclasses import dataclass
from dataclasses import field as dataclass_field
from functools import cached_property
from typing import Final

import numpy as np

from vcompute.codec import Array, Bytes, Int, Limits, Record, Text, Uint, decode, encode, field
from vcompute.commitment.verify import Root
from vcompute.errors import EncodingError
from vcompute.field.backend import DIGEST_BYTES
from vcompute.proof.succinct.circuit import requantised_nodes
from vcompute.proof.succinct.constants import NodePlan, scalar_count
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.roles import LINEAR
from vcompute.proof.succinct.setting import PARAMETERS, clear_constants, map_of, mapped_nodes
from vcompute.proof.succinct.weight_layout import WeightColumns, weight_columns
from vcompute.task import Graph, decode_graph
from vcompute.task.digest import graph_digest, model_digest
from vcompute.task.tensor import NUMPY_DTYPE

KIND: Final = "vcompute-commitment"
VERSION: Final = 1
MAX_RECORD: Final = 1 << 28


@dataclass(frozen=True, slots=True)
class NumberedPlan:
    """A requantised node's public constants."""

    node: int = field(0, Uint(16), "node")
    plan: NodePlan = field(1, Record(NodePlan), "its constants")


@dataclass(frozen=True, slots=True)
class NumberedConstant:
    """A constant that the verifier needs in clear."""

    number: int = field(0, Uint(16), "constant of the graph")
    data: bytes = field(1, Bytes(0, 1 << 26), "its bytes, little-endian, row-major")


@dataclass(frozen=True, slots=True)
class CommitmentRecord:
    """A model's commitment as a file."""

    kind: str = field(0, Text(32), "the text 'vcompute-commitment'")
    version: int = field(1, Int(VERSION, VERSION), "version of the record")
    graph: bytes = field(2, Bytes(1, 1 << 24), "the encoded graph")
    weights: bytes = field(3, Bytes(32, 32), "content digest of the weights; with the graph's it gives the model's")
    parameter_set: int = field(4, Uint(16), "parameter set of the root")
    limb_bits: int = field(5, Int(6, 18), "bits of a limb")
    plans: tuple[NumberedPlan, ...] = field(6, Array(Record(NumberedPlan), 0, 1 << 14), "in order of node")
    constants: tuple[NumberedConstant, ...] = field(
        7, Array(Record(NumberedConstant), 0, 1 << 14), "in order of number"
    )
    root: bytes = field(8, Bytes(DIGEST_BYTES, DIGEST_BYTES), "root of the committed weights")


@dataclass(frozen=True, eq=False)
class Commitment:
    """A commitment to a model; holds no weights. Make one with ``commit_model`` or :func:`decode_commitment`."""

    record: CommitmentRecord
    graph: Graph

    kept: dict[str, object] = dataclass_field(default_factory=dict, repr=False)
    """Instances already derived (see :mod:`setting`)."""

    @cached_property
    def digest(self) -> bytes:
        """The model's digest."""
        return model_digest(graph_digest(self.record.graph), self.record.weights)

    @property
    def limb_bits(self) -> int:
        """Bits of a limb."""
        return self.record.limb_bits

    @cached_property
    def plans(self) -> dict[int, NodePlan]:
        """Public constants by node."""
        return {item.node: item.plan for item in self.record.plans}

    @cached_property
    def constants(self) -> dict[int, IntArray]:
        """The constants in clear, by number."""
        result = {}
        for item in self.record.constants:
            kind = self.graph.constants[item.number]
            result[item.number] = np.frombuffer(item.data, NUMPY_DTYPE[kind.dtype]).reshape(kind.shape)
        return result

    @cached_property
    def maps(self) -> dict[int, tuple[int, ...]]:
        """The outputs of proved table operators."""
        return {
            index: map_of(self.graph, index, tuple(self.constants[i] for i in self.graph.nodes[index].constants))
            for index in mapped_nodes(self.graph)
        }

    @cached_property
    def columns(self) -> WeightColumns:
        """The layout of the weights."""
        return weight_columns(self.graph, self.plans)

    @property
    def root(self) -> Root:
        """The root with its shape."""
        return Root(self.columns.shape, self.record.root)

    def constant(self, number: int) -> IntArray:
        """A constant in clear."""
        return self.constants[number]


def encode_commitment(commitment: Commitment) -> bytes:
    """The bytes of a commitment file."""
    return encode(commitment.record)


def decode_commitment(data: bytes) -> Commitment:
    """Read a commitment file: its form is checked here. That constants and root are the model's is the publisher's
    word, which whoever holds the model can check (``publish.commit_model`` makes the same file).

    Raises:
        EncodingError: not a commitment, or one whose lists do not belong to its graph.
        TaskError: the graph is malformed.
        Rejected: the graph is outside the suite.
    """
    record = decode(CommitmentRecord, data, Limits(bytes=MAX_RECORD, depth=8, items=1 << 18))
    if record.kind != KIND:
        raise EncodingError("not a commitment", expected=KIND, got=record.kind)
    graph = decode_graph(record.graph)
    wanted = [(i, graph.constants[i].nbytes) for i in clear_constants(graph)]
    if [(item.number, len(item.data)) for item in record.constants] != wanted:
        raise EncodingError("the constants are not those the graph needs", expected=len(wanted))
    if [item.node for item in record.plans] != requantised_nodes(graph):
        raise EncodingError("the node constants are not those the graph needs")
    for item in record.plans:
        span = item.plan.greatest - item.plan.least
        divides = isinstance(graph.nodes[item.node].operator, LINEAR)
        formed = len(item.plan.scalars) == scalar_count(graph, item.node) and divides >= item.plan.divided
        if not formed or not 0 <= span < 1 << 22:
            raise EncodingError("a node's constants are of another form", got=item.node)
    if record.parameter_set not in PARAMETERS:
        raise EncodingError("not a parameter set of this suite", got=record.parameter_set)
    return Commitment(record, graph)
