# SPDX-License-Identifier: Apache-2.0
"""The graph: nodes over values, in one canonical order.

Values are numbered: the graph's inputs first, then each node's output, so that a node can only refer to what stands
before it and cycles cannot be written down. The canonical order is the post-order of a depth-first walk from the
outputs that takes operands from left to right; constants are numbered by first use. One graph has one encoding.
"""

from dataclasses import dataclass, replace
from typing import Final

from vcompute.codec import Array, Int, Record, Uint, decode, encode, field
from vcompute.errors import EncodingError, TaskError
from vcompute.registry import ErrorCode
from vcompute.task.limits import GRAPH_LIMITS, MAX_VALUES, MAX_WEIGHT_BYTES, MAX_WORK
from vcompute.task.operators import OPERATOR_KIND, Operator, Work
from vcompute.task.tensor import ConstantType, QuantizationScale, ValueType, check_size, check_value_type

GRAPH_VERSION: Final = 1
INDEX: Final = Uint(16)
INDICES: Final = Array(INDEX, 0, MAX_VALUES)


@dataclass(frozen=True, slots=True)
class Node:
    """One operator applied to values and constants."""

    operator: Operator = field(0, OPERATOR_KIND, "opcode and attributes")
    inputs: tuple[int, ...] = field(1, INDICES, "values it reads")
    constants: tuple[int, ...] = field(2, INDICES, "constants it reads, in the operator's order")
    output: ValueType = field(3, Record(ValueType), "type of its one output")


@dataclass(frozen=True, slots=True)
class Graph:
    """A network: input types, constant types, nodes, outputs."""

    version: int = field(0, Int(GRAPH_VERSION, GRAPH_VERSION), "version of the task encoding")
    inputs: tuple[ValueType, ...] = field(1, Array(Record(ValueType), 1, 64), "types of the inputs")
    constants: tuple[ConstantType, ...] = field(2, Array(Record(ConstantType), 0, MAX_VALUES), "types of the constants")
    nodes: tuple[Node, ...] = field(3, Array(Record(Node), 1, MAX_VALUES), "nodes in canonical order")
    outputs: tuple[int, ...] = field(4, Array(INDEX, 1, 64), "values that are the result")
    input_scales: tuple[QuantizationScale, ...] = field(
        5, Array(Record(QuantizationScale), 1, 64), "informative scale of each input"
    )
    output_scales: tuple[QuantizationScale, ...] = field(
        6, Array(Record(QuantizationScale), 1, 64), "informative scale of each output"
    )

    @property
    def values(self) -> tuple[ValueType, ...]:
        """The types of all values by number."""
        return (*self.inputs, *(node.output for node in self.nodes))

    @property
    def output_types(self) -> tuple[ValueType, ...]:
        """The types of the outputs."""
        values = self.values
        return tuple(values[index] for index in self.outputs)

    def operand_types(self, node: Node) -> tuple[tuple[ValueType, ...], tuple[ConstantType, ...]]:
        """The types of a node's values and constants."""
        first = len(self.inputs)
        types = tuple(self.inputs[i] if i < first else self.nodes[i - first].output for i in node.inputs)
        return types, tuple(self.constants[i] for i in node.constants)

    def work(self) -> Work:
        """Work units of one sample: what a task's price is computed from."""
        total = Work()
        for node in self.nodes:
            inputs, constants = self.operand_types(node)
            total += node.operator.work(inputs, constants, node.output)
        return total


def canonical(graph: Graph) -> Graph:
    """The graph in canonical order, without what no output needs; constants in order of first use.

    The graph's references must be valid (see :func:`check_references`).
    """
    first = len(graph.inputs)
    order = _post_order(graph)
    value_number = {index: index for index in range(first)}
    constant_number: dict[int, int] = {}
    nodes = []
    for position, index in enumerate(order):
        node = graph.nodes[index]
        for constant in node.constants:
            constant_number.setdefault(constant, len(constant_number))
        nodes.append(
            replace(
                node,
                inputs=tuple(value_number[i] for i in node.inputs),
                constants=tuple(constant_number[i] for i in node.constants),
            )
        )
        value_number[first + index] = first + position
    return replace(
        graph,
        constants=tuple(graph.constants[index] for index in constant_number),
        nodes=tuple(nodes),
        outputs=tuple(value_number[index] for index in graph.outputs),
    )


def constant_order(graph: Graph) -> tuple[int, ...]:
    """The constants of ``graph`` that its canonical form keeps, in the canonical form's order."""
    seen: dict[int, None] = {}
    for index in _post_order(graph):
        seen.update(dict.fromkeys(graph.nodes[index].constants))
    return tuple(seen)


def _post_order(graph: Graph) -> list[int]:
    """Node indices in canonical order; iterative, since graphs can be deep."""
    first = len(graph.inputs)
    done: set[int] = set()
    order: list[int] = []
    for output in graph.outputs:
        stack = [(output - first, False)] if output >= first else []
        while stack:
            index, expanded = stack.pop()
            if index in done:
                continue
            if expanded:
                done.add(index)
                order.append(index)
                continue
            stack.append((index, True))
            operands = [i - first for i in graph.nodes[index].inputs if i >= first]
            stack += [(i, False) for i in reversed(operands) if i not in done]
    return order


def check_references(graph: Graph) -> None:
    """Refuse a graph with a dangling, forward or circular reference.

    Raises:
        TaskError: ``invalid_graph``.
    """
    first = len(graph.inputs)
    for position, node in enumerate(graph.nodes):
        for index in node.inputs:
            if not 0 <= index < first + position:
                raise _invalid(
                    graph, position, "reads a value that does not stand before it", f"< {first + position}", index
                )
        for index in node.constants:
            if not 0 <= index < len(graph.constants):
                raise _invalid(graph, position, "reads a constant that is not there", len(graph.constants), index)
    for index in graph.outputs:
        if not first <= index < first + len(graph.nodes):
            raise TaskError("an output is not the output of a node", expected=f"[{first}, ...)", got=index)


def check_graph(graph: Graph) -> None:
    """Refuse every graph that is malformed or not canonical.

    Bounds first, then references, then each node's operands and shapes, then the canonical order. Accumulator ranges
    need the weights and are checked with them (:mod:`vcompute.task.bounds`).

    Raises:
        TaskError: the code names the rule, the message the node.
    """
    for position, value in enumerate(graph.inputs):
        check_value_type(f"input {position}", value)
    for position, constant in enumerate(graph.constants):
        check_size(f"constant {position}", constant.shape)
    weights = sum(constant.nbytes for constant in graph.constants)
    if weights > MAX_WEIGHT_BYTES:
        raise TaskError(
            "too many bytes of constants", code=ErrorCode.LIMIT_EXCEEDED, expected=MAX_WEIGHT_BYTES, got=weights
        )
    check_references(graph)
    if len(graph.input_scales) != len(graph.inputs) or len(graph.output_scales) != len(graph.outputs):
        raise TaskError("one scale for each input and output", expected=len(graph.inputs), got=len(graph.input_scales))
    if len(set(graph.outputs)) != len(graph.outputs):
        raise TaskError("an output is named twice", got=graph.outputs)
    for position, node in enumerate(graph.nodes):
        _check_node(graph, position, node)
    work = graph.work()
    if max(work.macs, work.elements) > MAX_WORK:
        raise TaskError("more work than a task may have", code=ErrorCode.LIMIT_EXCEEDED, expected=MAX_WORK, got=work)
    if set(range(len(graph.inputs))) - {index for node in graph.nodes for index in node.inputs}:
        raise TaskError("an input is read by no node")
    if canonical(graph) != graph:
        raise TaskError("the graph is not in canonical order", expected="post-order from the outputs")


def _check_node(graph: Graph, position: int, node: Node) -> None:
    operator = node.operator
    inputs, constants = graph.operand_types(node)
    low, high = operator.operands
    if not low <= len(inputs) <= high:
        raise _invalid(graph, position, "has the wrong number of operands", f"{low} to {high}", len(inputs))
    if len(constants) != len(operator.constant_names):
        raise _invalid(graph, position, "has the wrong number of constants", operator.constant_names, len(constants))
    for value in inputs:
        if value.dtype not in operator.operand_dtypes:
            expected = sorted(dtype.name.lower() for dtype in operator.operand_dtypes)
            raise _invalid(graph, position, "reads a type it does not take", expected, value.dtype.name.lower())
    check_value_type(f"node {position} ({operator.name})", node.output)
    if node.output.dtype not in operator.output_dtypes:
        expected = sorted(dtype.name.lower() for dtype in operator.output_dtypes)
        raise _invalid(graph, position, "has the wrong output type", expected, node.output.dtype.name.lower())
    shape = operator.output_shape(inputs, constants)
    if shape is not None and shape != node.output.shape:
        raise TaskError(
            f"node {position} ({operator.name}): output shape",
            code=ErrorCode.INVALID_SHAPE,
            expected=shape,
            got=node.output.shape,
        )
    operator.check_output(inputs, node.output)


def _invalid(graph: Graph, position: int, message: str, expected: object, got: object) -> TaskError:
    name = graph.nodes[position].operator.name
    return TaskError(f"node {position} ({name}) {message}", expected=expected, got=got)


def encode_graph(graph: Graph) -> bytes:
    """The one encoding of a valid graph."""
    check_graph(graph)
    return encode(graph)


def decode_graph(data: bytes) -> Graph:
    """Decode and validate a graph.

    Raises:
        EncodingError: the bytes are not the encoding of any graph.
        TaskError: they encode a malformed one.
    """
    graph = decode(Graph, data, GRAPH_LIMITS)
    check_graph(graph)
    return graph


__all__ = [
    "GRAPH_VERSION",
    "EncodingError",
    "Graph",
    "Node",
    "canonical",
    "check_graph",
    "check_references",
    "constant_order",
    "decode_graph",
    "encode_graph",
]
