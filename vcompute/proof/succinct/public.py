# SPDX-License-Identifier: Apache-2.0
"""Public values: the inputs, what follows from them without weights, revealed accumulators, and the outputs."""

from collections.abc import Callable, Mapping

import numpy as np

from vcompute.errors import Rejected, TaskError
from vcompute.kernels import reference
from vcompute.kernels.reference.linear import requantize_channels
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.roles import Role
from vcompute.proof.succinct.steps import Int64
from vcompute.registry import ErrorCode
from vcompute.task import Model, Node
from vcompute.task import operators as ops


def travels(circuit: Circuit, value: int) -> bool:
    """Whether a public value's array is part of the proof: it is neither an output nor computed from others."""
    node = circuit.graph.nodes[value - circuit.first]
    if value in circuit.bound:
        return value not in circuit.graph.outputs
    return circuit.roles[value - circuit.first] is Role.REVEALED and not isinstance(node.operator, ops.MatMul)


def revealed_bytes(circuit: Circuit, values: list[IntArray], accumulators: Mapping[int, Int64]) -> bytes:
    """What travels, in order of node: accumulators as int32, values as int8."""
    parts = []
    for index in range(len(circuit.graph.nodes)):
        value = circuit.first + index
        if not (value in circuit.bound or circuit.roles[index] is Role.REVEALED) or not travels(circuit, value):
            continue
        array = values[value] if value in circuit.bound else accumulators[index].astype("<i4")
        parts.append(array.tobytes())
    return b"".join(parts)


def revealed_length(circuit: Circuit) -> int:
    """Bytes of :func:`revealed_bytes`."""
    total = 0
    for index, node in enumerate(circuit.graph.nodes):
        value = circuit.first + index
        if value in circuit.bound:
            total += travels(circuit, value) * node.output.elements * circuit.batch
        elif circuit.roles[index] is Role.REVEALED:
            total += travels(circuit, value) * 4 * node.output.elements * circuit.batch
    return total


def public_values(
    circuit: Circuit, constant: Callable[[int], IntArray], statement: Statement, revealed: bytes
) -> tuple[dict[int, IntArray], dict[int, Int64]]:
    """Every public value by number and the revealed accumulators by node, the outputs checked against them.

    ``constant`` gives a constant of the graph by number.

    Raises:
        Rejected: output_mismatch, where the public values give other outputs.
    """
    graph, first = circuit.graph, circuit.first
    values: dict[int, IntArray] = dict(enumerate(statement.inputs.arrays))
    accumulators: dict[int, Int64] = {}
    outputs = dict(zip(graph.outputs, statement.outputs.arrays, strict=True))
    offset = 0
    holder = Model(graph, ())
    for index, node in enumerate(graph.nodes):
        value, role = first + index, circuit.roles[index]
        shape = (circuit.batch, *node.output.shape)
        if role is Role.REVEALED:
            if isinstance(node.operator, ops.MatMul):
                accumulators[index] = outputs[value].astype(np.int64)
            else:
                size = circuit.batch * node.output.elements
                accumulators[index] = np.frombuffer(revealed, "<i4", size, offset).astype(np.int64).reshape(shape)
                offset += 4 * size
            # Of a revealed node only the scales are needed: the bias is part of the accumulators.
            scales = () if isinstance(node.operator, ops.MatMul) else node.constants[2:]
            known = tuple(constant(i) for i in scales)
            values[value] = requantise_revealed(node, accumulators[index], known)
        elif role is Role.PUBLIC:
            known = tuple(constant(i) for i in node.constants)
            values[value] = reference.evaluate(holder, node, [values[i] for i in node.inputs], known, circuit.batch)
        elif value in circuit.bound:
            if travels(circuit, value):
                size = circuit.batch * node.output.elements
                values[value] = np.frombuffer(revealed, np.int8, size, offset).reshape(shape)
                offset += size
            else:
                values[value] = outputs[value]
    for value, claimed in outputs.items():
        if value in values and not np.array_equal(values[value], claimed):
            raise Rejected("the revealed values give other outputs", code=ErrorCode.OUTPUT_MISMATCH)
    return values, accumulators


def requantise_revealed(node: Node, accumulators: Int64, scales: tuple[IntArray, ...]) -> IntArray:
    """The values of a revealed node from its accumulators, by its multipliers and shifts (MATMUL: no scales)."""
    operator = node.operator
    if isinstance(operator, ops.MatMul):
        return accumulators.astype("<i4")
    if not isinstance(operator, (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)):
        raise TaskError(f"{operator.name} has no accumulators", code=ErrorCode.UNSUPPORTED_OPERATOR)
    multiplier, shift = scales
    without_bias = (multiplier, np.zeros_like(multiplier), multiplier, shift)
    return requantize_channels(accumulators, without_bias, operator, node.output)
