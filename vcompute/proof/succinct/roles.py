# SPDX-License-Identifier: Apache-2.0
"""What becomes of each node: computed in the open, its accumulators revealed, its layout only, or proved.

Outputs are walked back through cheap operators to the accumulators of a linear node: those travel in the proof and the
verifier requantises them. What depends on public values alone, through cheap operators, the verifier computes itself.
"""

from enum import Enum, unique

from vcompute.errors import Rejected
from vcompute.registry import ErrorCode
from vcompute.task import Graph
from vcompute.task import operators as ops

LINEAR = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected, ops.MatMul)
BILINEAR = (ops.Mul, ops.BatchMatMul)
LAYOUT = (ops.Pad, ops.Concatenation, ops.Reshape, ops.Transpose)
TAIL = (ops.Softmax, ops.Logistic, ops.Quantize, *LAYOUT)
CHEAP = (*TAIL, ops.Add, ops.Mul, ops.AveragePool2D, ops.MaxPool2D, ops.Mean, ops.Constant)
PROVABLE = (*LINEAR, *BILINEAR, ops.Add, ops.AveragePool2D, ops.MaxPool2D, ops.Mean, ops.Quantize, ops.Logistic)
"""What can be proved."""


@unique
class Role(Enum):
    """What becomes of a node."""

    PUBLIC = 1
    """the verifier computes it from public values"""
    REVEALED = 2
    """a linear node whose accumulators travel in the proof (MATMUL: are the output)"""
    LAYOUT = 3
    """moves proved values: no column of its own"""
    PROVED = 4
    """a column of its own, and lookups"""


def assign_roles(graph: Graph) -> tuple[tuple[Role, ...], frozenset[int]]:
    """The role of each node, and the proved values that are bound to public ones: outputs that are proved as columns.

    Raises:
        Rejected: suite_unsupported_model, for a SOFTMAX whose operand cannot be public, or an operator without a
            circuit.
    """
    first = len(graph.inputs)
    revealed: set[int] = set()
    bound: set[int] = set()
    pending, seen = list(graph.outputs), set(graph.outputs)
    while pending:
        value = pending.pop()
        if value < first:
            continue
        node = graph.nodes[value - first]
        if isinstance(node.operator, LINEAR):
            revealed.add(value)
        elif isinstance(node.operator, TAIL):
            pending += [index for index in node.inputs if index not in seen]
            seen.update(node.inputs)
        else:
            bound.add(value)
    public = set(range(first)) | revealed | bound
    roles = []
    for position, node in enumerate(graph.nodes):
        value, operator = first + position, node.operator
        if value in revealed:
            roles.append(Role.REVEALED)
        elif isinstance(operator, CHEAP) and all(index in public for index in node.inputs):
            bound.discard(value)
            public.add(value)
            roles.append(Role.PUBLIC)
        elif isinstance(operator, LAYOUT):
            roles.append(Role.LAYOUT)
        elif isinstance(operator, ops.Softmax):
            raise Rejected(
                f"node {position}: an interior SOFTMAX is not in the succinct suite",
                code=ErrorCode.SUITE_UNSUPPORTED_MODEL,
            )
        elif not isinstance(operator, PROVABLE):
            raise Rejected(
                f"node {position}: {operator.name} of proved values is not in the succinct suite yet",
                code=ErrorCode.SUITE_UNSUPPORTED_MODEL,
            )
        else:
            roles.append(Role.PROVED)
    return tuple(roles), frozenset(bound)
