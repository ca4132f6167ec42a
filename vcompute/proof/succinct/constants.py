# SPDX-License-Identifier: Apache-2.0
"""The proof compiler's constants: for every requantised node its affine floor, and one limb width for the model.

They follow from the model alone, not from the batch: the commitment to the weights holds D * W and D * bias + Q. What
a verifier without the weights must know of them is :class:`NodePlan`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from dataclasses import field as dataclass_field
from typing import Final

import numpy as np

from vcompute.codec import Array, Int, field
from vcompute.errors import Rejected
from vcompute.kernels.reference import elementwise
from vcompute.proof.succinct import requant
from vcompute.proof.succinct.divisors import Divisors, find_divisors
from vcompute.proof.succinct.pair import PairSearch, pair_search, solve_pair
from vcompute.proof.succinct.pools import pixel_counts
from vcompute.proof.succinct.requant import Floor, Search
from vcompute.proof.succinct.roles import LINEAR
from vcompute.proof.succinct.steps import Int64, Steps, channel_steps, pool_steps
from vcompute.registry import ErrorCode
from vcompute.task import Graph, Model, Node
from vcompute.task import operators as ops
from vcompute.task.bounds import Range, accumulator_bounds, value_ranges
from vcompute.task.tensor import ValueType

LIMB_WIDTHS: Final = range(6, 19)
MOST_ROWS: Final = 1 << 22
"""The most rows of one table."""
ONE_SIDED_LIMIT: Final = 38
"""A one-sided form with a larger K gives way to a two-sided one."""
ADVICE: Final = "quantise it with scales that are less far apart, or have the task checked by `replay`"
MOST_COUNTS: Final = 256
"""The most different numbers of pixels in one pool's windows."""


@dataclass(frozen=True, slots=True)
class NodePlan:
    """The public constants of one requantised node."""

    limbs: int = field(0, Int(1, 8), "limbs of the remainder")
    two_sided: int = field(1, Int(0, 1), "whether the form is two-sided")
    least: int = field(2, Int(-(1 << 40), 1 << 40), "least quotient")
    greatest: int = field(3, Int(-(1 << 40), 1 << 40), "greatest quotient")
    scalars: tuple[int, ...] = field(
        4,
        Array(Int(-(1 << 63), (1 << 64) - 1), 0, 3 * MOST_COUNTS),
        "slopes, Q and S of a node without weights (a pool's: for each number of pixels, ascending); else none",
    )
    divided: int = field(5, Int(0, 1), "whether each channel has a divisor of its own")


def scalar_count(graph: Graph, index: int) -> int:
    """How many scalars the plan of a requantised node has."""
    node = graph.nodes[index]
    if isinstance(node.operator, LINEAR):
        return 0
    if isinstance(node.operator, ops.AveragePool2D):
        return 3 * len(pixel_counts(node.operator, graph.values[node.inputs[0]].shape, node.output.shape).distinct)
    return 4 if isinstance(node.operator, ops.Add) else 3


@dataclass(frozen=True, slots=True)
class Compiled:
    """The constants of a model: floors by node number, and the limb width."""

    limb_bits: int
    floors: dict[int, Floor]
    plans: dict[int, NodePlan]


@dataclass(frozen=True, slots=True)
class Found:
    """What the search says of one node: its constants of every width follow."""

    prepared: Search | PairSearch
    bits: int
    """The least K."""
    divisors: Divisors | None
    """Of a node with weights."""
    kept: dict[int, Floor | None] = dataclass_field(default_factory=dict)
    """The divided constants of widths that were asked for."""

    def limbs(self, width: int) -> int:
        """Limbs of the least K, or of the least above it that fills its limbs."""
        return -(-(self.bits - self.prepared.two_sided) // width)

    def divided(self, width: int) -> Floor | None:
        """The constants with divisors of the fewest limbs; None where these are not fewer than without."""
        if self.divisors is None:
            return None
        if width not in self.kept:
            floors = (self.divisors.floor(width, limbs) for limbs in range(1, self.limbs(width)))
            fit = (floor for floor in floors if floor and floor.greatest - floor.least < MOST_ROWS)
            self.kept[width] = next(fit, None)
        return self.kept[width]


def compile_constants(model: Model, nodes: list[int]) -> Compiled:
    """The constants of the given nodes.

    Raises:
        Rejected: suite_unsupported_model, where a node has no constants of admitted size.
    """
    ranges = value_ranges(model.graph, model.constants)
    searches: dict[int, Found] = {}
    for index in nodes:
        node = model.graph.nodes[index]
        with _refused_by_name(model, index):
            prepared, bits = _search(model, node, ranges)
        divides = isinstance(node.operator, LINEAR)
        divisors = find_divisors(prepared) if divides and isinstance(prepared, Search) else None
        searches[index] = Found(prepared, bits, divisors)
    failures: list[Rejected] = []
    for width in _limb_widths(model, searches):
        try:
            floors = {index: _floor(model, index, found, width) for index, found in searches.items()}
        except Rejected as error:
            failures.append(error)  # T doubles with each bit of K that fills a limb: another width may need fewer
        else:
            return Compiled(width, floors, {index: _plan(model, index, floors[index], width) for index in searches})
    raise failures[0]


def _floor(model: Model, index: int, found: Found, width: int) -> Floor:
    divided = found.divided(width)
    if divided is not None:
        return divided
    prepared, bits = found.prepared, found.limbs(width) * width + found.prepared.two_sided
    with _refused_by_name(model, index):
        floor = solve_pair(prepared, bits) if isinstance(prepared, PairSearch) else requant.solve(prepared, bits)
        if floor.greatest - floor.least >= MOST_ROWS:
            raise Rejected(
                "its quotients need too long a table", code=ErrorCode.SUITE_UNSUPPORTED_MODEL,
                expected=MOST_ROWS, got=floor.greatest - floor.least,
            )  # fmt: skip
    return floor


@contextmanager
def _refused_by_name(model: Model, index: int) -> Iterator[None]:
    """A refusal says which node it is of, and what to do."""
    try:
        yield
    except Rejected as error:
        raise Rejected(
            f"node {index}, {model.graph.nodes[index].operator.name}: {error.message}; {ADVICE}", code=error.code,
            expected=error.expected, got=error.got,
        ) from error  # fmt: skip


def _plan(model: Model, index: int, floor: Floor, width: int) -> NodePlan:
    scalars: tuple[int, ...] = ()
    if not isinstance(model.graph.nodes[index].operator, LINEAR):
        scalars = (*floor.slope, *floor.offset, *floor.step)
    limbs = floor.remainder_bits // width
    return NodePlan(limbs, int(floor.two_sided), floor.least, floor.greatest, scalars, int(bool(floor.divisors)))


def _limb_widths(model: Model, searches: dict[int, Found]) -> list[int]:
    """All widths, that with the fewest committed elements and leaves together first."""

    def cost(width: int) -> int:
        total = 2 << width
        for index, found in searches.items():
            limbs, divided = found.limbs(width), found.divided(width)
            most = requant.MAX_BITS if found.bits <= requant.MAX_BITS else requant.GREATEST_BITS
            if divided is None and limbs * width + found.prepared.two_sided > most:
                return 1 << 60
            # A divided remainder has its limbs, and the highest one is looked up twice.
            each = 2 * limbs if divided is None else 2 * divided.remainder_bits // width + 1
            total += each * model.graph.nodes[index].output.elements
        return total

    return sorted(LIMB_WIDTHS, key=lambda width: (cost(width), width))


def _search(model: Model, node: Node, ranges: tuple[Range, ...]) -> tuple[Search | PairSearch, int]:
    if isinstance(node.operator, ops.Add):
        return pair_search(_add_table(model, node), node, [ranges[index] for index in node.inputs])
    steps = _steps(model, node, [ranges[index] for index in node.inputs])
    for most in (requant.MAX_BITS, requant.MOST_BITS):
        one = requant.search(steps, False, most)
        bits = one.least_bits()
        if bits is not None and bits <= ONE_SIDED_LIMIT:
            return one, bits
        two = requant.search(steps, True, most)
        two_bits = two.least_bits()
        if two_bits is not None and (bits is None or two_bits < bits):
            return two, two_bits
        if bits is not None:
            return one, bits
    raise Rejected(
        f"{node.operator.name}: its rounding needs finer constants than 62 bits hold",
        code=ErrorCode.SUITE_UNSUPPORTED_MODEL, expected=f"K <= {requant.MOST_BITS}",
    )  # fmt: skip


def _steps(model: Model, node: Node, inputs: list[Range]) -> Steps:
    operator = node.operator
    types = model.graph.operand_types(node)[0]
    zero_point = types[0].zero_point if types else 0
    match operator:
        case ops.Conv2D() | ops.DepthwiseConv2D() | ops.FullyConnected():
            bounds = accumulator_bounds(model.graph, node, inputs, model.constants)
            multiplier, shift = (model.constants[node.constants[i]] for i in (2, 3))
            clamp = (node.output.zero_point, operator.low, operator.high)
            return channel_steps(
                multiplier.astype(np.int64), shift.astype(np.int64), operator.rounding, clamp, bounds.low, bounds.high
            )
        case ops.Mul() | ops.BatchMatMul():
            low, high = _product_range(inputs, types)
            depth = operator.sizes(types)[2] if isinstance(operator, ops.BatchMatMul) else 1
            clamp = (node.output.zero_point, operator.low, operator.high)
            multiplier, shift = np.array([operator.requant.multiplier]), np.array([operator.requant.shift])
            return channel_steps(
                multiplier, shift, operator.rounding, clamp, np.array([depth * low]), np.array([depth * high])
            )
        case ops.Mean():
            count = operator.count(types)
            clamp = (node.output.zero_point, operator.low, operator.high)
            low, high = (count * (end - zero_point) for end in (inputs[0].low, inputs[0].high))
            multiplier, shift = np.array([operator.requant.multiplier]), np.array([operator.requant.shift])
            return channel_steps(multiplier, shift, operator.rounding, clamp, np.array([low]), np.array([high]))
        case ops.AveragePool2D():
            counts = pixel_counts(operator, types[0].shape, node.output.shape).distinct
            if len(counts) > MOST_COUNTS:
                raise Rejected(
                    "average_pool_2d: windows of too many different numbers of pixels",
                    code=ErrorCode.SUITE_UNSUPPORTED_MODEL, expected=f"at most {MOST_COUNTS}", got=len(counts),
                )  # fmt: skip
            return pool_steps(counts, (0, operator.low, operator.high), inputs[0].low, inputs[0].high)
    raise Rejected(f"{operator.name}: not in the succinct suite yet", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)


def _product_range(inputs: list[Range], types: tuple[ValueType, ...]) -> tuple[int, int]:
    """The range of a product of two operands less their zero points."""
    first, second = (known.shifted(kind.zero_point) for known, kind in zip(inputs, types, strict=True))
    products = [x * y for x in (first.low, first.high) for y in (second.low, second.high)]
    return min(products), max(products)


def _add_table(model: Model, node: Node) -> Int64:
    """The output for every pair of operands: [a + 128, b + 128]."""
    zeros = tuple(value.zero_point for value in model.graph.operand_types(node)[0])
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij")
    output = node.output
    flat = type(output)(output.dtype, (65536,), output.zero_point)
    operator = node.operator
    if not isinstance(operator, ops.Add):
        raise Rejected("not an ADD", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
    table = elementwise.add(operator, a.reshape(1, -1), b.reshape(1, -1), (zeros[0], zeros[1]), flat)
    return table.reshape(256, 256).astype(np.int64)
