# SPDX-License-Identifier: Apache-2.0
"""The proof compiler: from a graph to columns, lookups and linear boxes. Deterministic; both sides run it.

Every committed element but the signs is one leaf of the lookups' tree, and stands in a column of its own box:

- a *value column* y carries the lookup (table, u, y, s) that makes y of the node's key u;
- a *limb column* carries the lookup of its element in the range table; the highest limbs of a divided node are
  looked up once more, their channels' gaps added, by leaves without a column;
- a *multiplicity column* carries the rows of a table, with numerators -m.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from vcompute.errors import Rejected
from vcompute.proof.succinct.constants import NodePlan
from vcompute.proof.succinct.requant import keys_fit
from vcompute.proof.succinct.roles import BILINEAR, LINEAR, Role, assign_roles
from vcompute.proof.succinct.shapes import Factors, check_layouts, value_factors
from vcompute.proof.succinct.stack import Stack
from vcompute.proof.succinct.tables import Table, clamp_table, listed_table, range_table, signed_table
from vcompute.registry import ErrorCode
from vcompute.task import Graph
from vcompute.task import operators as ops


@dataclass(frozen=True, slots=True)
class Proved:
    """A proved node's columns (by number) and table."""

    node: int
    column: int
    limbs: tuple[int, ...]
    sign: int | None
    table: int
    bits: int
    """K; 0 where the key is the operand itself."""
    two_sided: bool
    raised: int | None = None
    """The leaf of a divided node's highest limbs plus their gaps."""
    maxima: tuple[int, ...] = ()
    """The columns of a running maximum (see :mod:`maxima`); the last is ``column`` itself where no clamp follows."""
    maxima_table: int = 0


@dataclass(frozen=True, slots=True)
class Boxes:
    """The linear boxes of a node: numbers in the stack of products."""

    kernel: int
    bias: int
    step: int | None
    inverse: int | None


@dataclass(frozen=True, slots=True)
class Circuit:
    """Everything both sides derive from the graph, the public constants and the batch size."""

    graph: Graph
    batch: int
    limb_bits: int
    roles: tuple[Role, ...]
    bound: frozenset[int]
    factors: tuple[Factors, ...]
    columns: tuple[tuple[int, ...], ...]
    """The box of each witness column."""
    proved: Mapping[int, Proved]
    """By node."""
    tables: tuple[Table, ...]
    multiplicities: tuple[int, ...]
    """The column of each table's multiplicities."""
    leaf_of: Mapping[int, int]
    """The leaf (number in ``leaves``) of each column that has one."""
    leaves: Stack
    boxes: Mapping[int, Boxes]
    """By node."""
    products: Stack
    bilinear: Mapping[int, int]
    """The box of each product of two values (in ``bilinear_boxes``), by node."""
    bilinear_boxes: Stack

    @property
    def first(self) -> int:
        """The value number of node 0's output."""
        return len(self.graph.inputs)

    @property
    def revealed(self) -> tuple[int, ...]:
        """The nodes whose accumulators are public."""
        return tuple(i for i, role in enumerate(self.roles) if role is Role.REVEALED)

    def columns_of(self, node: int) -> tuple[int, ...]:
        """The axes of a proved node's columns: the batch, then its factors."""
        return (self.batch, *chain.from_iterable(self.factors[self.first + node]))


@dataclass(slots=True)
class _Builder:
    graph: Graph
    batch: int
    limb_bits: int
    factors: tuple[Factors, ...]
    columns: list[tuple[int, ...]] = field(default_factory=list)
    leaves: list[tuple[int, ...]] = field(default_factory=list)
    leaf_of: dict[int, int] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    products: list[tuple[int, ...]] = field(default_factory=list)

    def column(self, box: tuple[int, ...], leaf: bool) -> int:
        self.columns.append(box)
        if leaf:
            self.leaf_of[len(self.columns) - 1] = self.leaf(box)
        return len(self.columns) - 1

    def leaf(self, box: tuple[int, ...]) -> int:
        self.leaves.append(box)
        return len(self.leaves) - 1

    def product(self, box: tuple[int, ...]) -> int:
        self.products.append(box)
        return len(self.products) - 1


def requantised_nodes(graph: Graph) -> list[int]:
    """The proved nodes that need constants."""
    roles, _ = assign_roles(graph)
    table_only = (ops.Quantize, ops.Logistic, ops.MaxPool2D)
    return [
        index
        for index, (node, role) in enumerate(zip(graph.nodes, roles, strict=True))
        if role is Role.PROVED and not isinstance(node.operator, table_only)
    ]


def compile_circuit(
    graph: Graph, plans: Mapping[int, NodePlan], limb_bits: int, maps: Mapping[int, tuple[int, ...]], batch: int
) -> Circuit:
    """The circuit of a batch. ``maps`` holds the 256 outputs of each proved QUANTIZE and LOGISTIC node.

    Raises:
        Rejected: suite_unsupported_model.
    """
    roles, bound = assign_roles(graph)
    builder = _Builder(graph, batch, limb_bits, value_factors(graph))
    check_layouts(graph, roles, builder.factors)
    clamps = _clamp_tables(graph, plans, limb_bits, builder)
    proved: dict[int, Proved] = {}
    boxes: dict[int, Boxes] = {}
    bilinear: dict[int, tuple[int, ...]] = {}
    for index, role in enumerate(roles):
        if role is Role.PROVED:
            proved[index] = _prove_node(builder, index, plans, maps, clamps)
        if index in proved and isinstance(graph.nodes[index].operator, BILINEAR):
            bilinear[index] = _bilinear_box(graph, index, batch)
        if role in (Role.PROVED, Role.REVEALED) and isinstance(graph.nodes[index].operator, LINEAR):
            boxes[index] = _linear_boxes(builder, index, proved.get(index))
    multiplicities = tuple(builder.column((table.rows,), leaf=True) for table in builder.tables)
    return Circuit(
        graph, batch, limb_bits, roles, bound, builder.factors, tuple(builder.columns), proved,
        tuple(builder.tables), multiplicities, builder.leaf_of, Stack(builder.leaves),
        boxes, Stack(builder.products or [()]),
        {index: number for number, index in enumerate(bilinear)}, Stack(list(bilinear.values()) or [()]),
    )  # fmt: skip


def _clamp_tables(
    graph: Graph, plans: Mapping[int, NodePlan], limb_bits: int, builder: _Builder
) -> dict[tuple[int, int], int]:
    """Table 0 is the range of a limb; then one clamp table for each pair (low, high), over the union of ranges."""
    builder.tables.append(range_table(0, limb_bits))
    spans: dict[tuple[int, int], tuple[int, int]] = {}
    for index, plan in plans.items():
        if not plan.two_sided:
            zero_point = _zero_point(graph, index)
            _widen(spans, clamp_of(graph.nodes[index].operator), plan.least + zero_point, plan.greatest + zero_point)
    roles, _ = assign_roles(graph)
    for node, role in zip(graph.nodes, roles, strict=True):
        if role is Role.PROVED and isinstance(node.operator, ops.MaxPool2D):
            _widen(spans, POSITIVE_PART, -255, 255)
            if _clamps(node.operator):
                _widen(spans, clamp_of(node.operator), -128, 127)
    numbers = {}
    for key, span in sorted(spans.items()):
        numbers[key] = len(builder.tables)
        builder.tables.append(clamp_table(len(builder.tables), *span, *key))
    return numbers


def _own_table(builder: _Builder, index: int, plan: NodePlan, clamps: Mapping[tuple[int, int], int]) -> int:
    """The clamp table of a one-sided node: shared, unless a key that other nodes need would wrap in the field here.

    Raises:
        Rejected: suite_unsupported_model, where its own keys would.
    """
    node, zero_point = builder.graph.nodes[index], _zero_point(builder.graph, index)
    shared, unit = builder.tables[clamps[clamp_of(node.operator)]], plan.limbs * builder.limb_bits
    if keys_fit(shared.first - zero_point, shared.first + shared.rows - 1 - zero_point, unit):
        return shared.id
    _check_keys(index, plan, unit)
    table = len(builder.tables)
    span = (plan.least + zero_point, plan.greatest + zero_point)
    builder.tables.append(clamp_table(table, *span, *clamp_of(node.operator)))
    return table


def _check_keys(index: int, plan: NodePlan, unit: int) -> None:
    if not keys_fit(plan.least, plan.greatest, unit):
        raise Rejected(
            f"node {index}: quotients times 2^{unit} leave 63 bits", code=ErrorCode.SUITE_UNSUPPORTED_MODEL,
            got=max(abs(plan.least), abs(plan.greatest)),
        )  # fmt: skip


POSITIVE_PART: Final = (0, 255)
"""The clamp of max(u, 0), u a difference of two int8."""


def _widen(spans: dict[tuple[int, int], tuple[int, int]], clamp: tuple[int, int], low: int, high: int) -> None:
    known = spans.get(clamp, (low, high))
    spans[clamp] = (min(known[0], low), max(known[1], high))


def _clamps(operator: ops.MaxPool2D) -> bool:
    """Whether a maximum needs a lookup of its own for its clamp; without a pair it always has one."""
    return clamp_of(operator) != (-128, 127) or operator.kernel_h * operator.kernel_w == 1


def clamp_of(operator: ops.Operator) -> tuple[int, int]:
    """The clamp of a requantised operator."""
    low, high = getattr(operator, "low", None), getattr(operator, "high", None)
    if not isinstance(low, int) or not isinstance(high, int):
        raise Rejected(f"{operator.name}: has no clamp", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    return low, high


def _zero_point(graph: Graph, index: int) -> int:
    """What is added to the quotient: pools keep raw values."""
    node = graph.nodes[index]
    return 0 if isinstance(node.operator, ops.AveragePool2D) else node.output.zero_point


def _prove_maximum(
    builder: _Builder, index: int, operator: ops.MaxPool2D, clamps: Mapping[tuple[int, int], int]
) -> Proved:
    box = (builder.batch, *chain.from_iterable(builder.factors[len(builder.graph.inputs) + index]))
    pairs = operator.kernel_h * operator.kernel_w - 1
    maxima = tuple(builder.column(box, leaf=True) for _ in range(pairs))
    positive_part = clamps[POSITIVE_PART]
    if not _clamps(operator):
        return Proved(index, maxima[-1], (), None, positive_part, 0, False, None, maxima, positive_part)
    column = builder.column(box, leaf=True)
    return Proved(index, column, (), None, clamps[clamp_of(operator)], 0, False, None, maxima, positive_part)


def _prove_node(
    builder: _Builder,
    index: int,
    plans: Mapping[int, NodePlan],
    maps: Mapping[int, tuple[int, ...]],
    clamps: Mapping[tuple[int, int], int],
) -> Proved:
    node = builder.graph.nodes[index]
    if isinstance(node.operator, ops.MaxPool2D):
        return _prove_maximum(builder, index, node.operator, clamps)
    box = (builder.batch, *chain.from_iterable(builder.factors[len(builder.graph.inputs) + index]))
    column = builder.column(box, leaf=True)
    if index in maps:
        table = len(builder.tables)
        builder.tables.append(listed_table(table, -128, maps[index]))
        return Proved(index, column, (), None, table, 0, False)
    plan = plans[index]
    two_sided = bool(plan.two_sided)
    limbs = tuple(builder.column(box, leaf=True) for _ in range(plan.limbs))
    raised = builder.leaf(box) if plan.divided else None
    sign = None
    if two_sided:
        _check_keys(index, plan, plan.limbs * builder.limb_bits)
        sign = builder.column(box, leaf=False)
        table = len(builder.tables)
        clamp = clamp_of(node.operator)
        builder.tables.append(signed_table(table, plan.least, plan.greatest, _zero_point(builder.graph, index), *clamp))
    else:
        table = _own_table(builder, index, plan, clamps)
    bits = plan.limbs * builder.limb_bits + two_sided
    return Proved(index, column, limbs, sign, table, bits, two_sided, raised)


def _bilinear_box(graph: Graph, index: int, batch: int) -> tuple[int, ...]:
    """MUL: the output's axes; BATCH_MATMUL: its leading axes and the inner one."""
    node = graph.nodes[index]
    if isinstance(node.operator, ops.BatchMatMul):
        leading, _, inner, _ = node.operator.sizes(graph.operand_types(node)[0])
        return (batch, *leading, inner)
    return (batch, *node.output.shape)


def _linear_boxes(builder: _Builder, index: int, proved: Proved | None) -> Boxes:
    graph = builder.graph
    node = graph.nodes[index]
    kernel = graph.constants[node.constants[0]].shape
    depth = builder.factors[node.inputs[0]][-1]
    match node.operator:
        case ops.Conv2D():
            box = (kernel[1], kernel[2], *depth)
        case ops.DepthwiseConv2D():
            box = (kernel[0], kernel[1], *depth)
        case _:
            box = depth
    channels = builder.factors[len(graph.inputs) + index][-1]
    step = builder.product(channels) if proved and proved.two_sided else None
    inverse = builder.product(channels) if proved and proved.raised is not None else None
    return Boxes(builder.product(box), builder.product(()), step, inverse)
