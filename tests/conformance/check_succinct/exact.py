# SPDX-License-Identifier: Apache-2.0
"""Whether constants of floors give the integers of the semantics for every input, as VC-SUC-008 says they must.

A requantisation and both lines of a floor rise with the accumulator. So they agree everywhere where they agree at the
ends of the accumulator's range, on both sides of every step, and where one line of a two-sided floor gives way to the
other.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from field import demand
from graph import ADD, AVERAGE, CONV, DENSE, DEPTHWISE, MATRICES, MEAN, MUL, Graph, Node, windows
from ranges import Constants, Range, accumulator_ranges, value_ranges
from semantics import Tensor, clamp, evaluate, requantize

ROUNDING = {CONV: 1, DEPTHWISE: 2, DENSE: 0, MUL: 1, MATRICES: 3, MEAN: 3}
"""The key of the rounding among the attributes."""
REQUANT = {MUL: 0, MATRICES: 2, MEAN: 2}


@dataclass
class Floor:
    """The constants of a node: D, Q and S for each channel or number of pixels; an ADD has two D. A divided node has a
    divisor M for each channel.
    """

    bits: int
    two_sided: bool
    slopes: list[int]
    offsets: list[int]
    steps: list[int]
    divisors: list[int]

    @property
    def unit(self) -> int:
        """Bits of the remainder."""
        return self.bits - self.two_sided

    def divisor(self, place: int) -> int:
        """What T is divided by."""
        return self.divisors[place] if self.divisors else 1 << self.unit

    def keys(self, total: int, place: int) -> list[int]:
        """Every quotient that a prover could write down for T."""
        divisor = self.divisor(place)
        if not self.two_sided:
            return [total // divisor]
        found = [total // divisor, (total - self.steps[place]) // divisor]
        return [key for key, s in zip(found, (0, 1), strict=True) if (key <= 0) == s]

    def outputs(self, node: Node, total: int, place: int) -> set[int]:
        return {clamp((key >> self.two_sided) + node.added, *node.clamp) for key in self.keys(total, place)}


def check(graph: Graph, constants: Constants, index: int, floor: Floor) -> Range:
    """The least and greatest quotient; Refused where the constants are not exact."""
    node, ranges = graph.nodes[index], value_ranges(graph, constants)
    if node.operator == ADD:
        return check_sum(graph, node, floor, [ranges[operand] for operand in node.inputs])
    spans = accumulator_ranges(graph, node, ranges, constants)
    sizes = {len(floor.slopes), len(floor.offsets), len(floor.steps)}
    demand(sizes == {len(spans)} and len(floor.divisors) in (0, len(spans)), "constants of another number of channels")
    ends: list[int] = []
    for place, (low, high) in enumerate(spans):
        slope, offset, step = floor.slopes[place], floor.offsets[place], floor.steps[place]
        divisor = floor.divisor(place)
        demand(0 < divisor <= 1 << floor.unit, "a divisor without remainders of its own")
        demand(slope >= 0 and 0 <= step <= divisor, "a line that falls, or that leaves a gap")
        wanted = requantisation(graph, node, constants, place)
        bottom, top = slope * low + offset, slope * high + offset
        demand(max(abs(bottom), abs(bottom - step), abs(top)) <= 1 << 62, "T leaves 62 bits")
        for accumulator in places(wanted, low, high, crossings(floor, place)):
            found = floor.outputs(node, slope * accumulator + offset, place)
            demand(found == {wanted(accumulator)}, "a floor that is not the requantisation")
        ends += ((bottom - step) // divisor, top // divisor)
    return min(ends), max(ends)


def crossings(floor: Floor, place: int) -> list[int]:
    """Accumulators around the first ones with T >= 2^(K-1), and with T - S >= 2^(K-1), or M."""
    slope, offset = floor.slopes[place], floor.offsets[place]
    if not floor.two_sided or not slope:
        return []
    firsts = [-((offset - more - floor.divisor(place)) // slope) for more in (0, floor.steps[place])]
    return [first + more for first in firsts for more in (-1, 0)]


def requantisation(graph: Graph, node: Node, constants: Constants, place: int) -> Callable[[int], int]:
    """The value of an accumulator (of a sum, for a pool)."""
    if node.operator == AVERAGE:
        count = sorted(set(windows(graph, node)))[place]
        half = count // 2
        return lambda total: clamp((total + half) // count if total > 0 else -((half - total) // count), *node.clamp)
    if node.operator in REQUANT:
        multiplier, shift = (node.attributes[REQUANT[node.operator]][key] for key in (0, 1))
    else:
        multiplier, shift = (constants[number][place] for number in node.constants[2:])
    rounding = node.attributes[ROUNDING[node.operator]]
    return lambda acc: clamp(requantize(acc, multiplier, shift, rounding) + node.value.zero, *node.clamp)


def places(wanted: Callable[[int], int], low: int, high: int, more: list[int]) -> Iterator[int]:
    """The ends, both sides of every step, and others that lie between."""
    yield from (low, high)
    yield from (place for place in more if low <= place <= high)
    start = low
    while wanted(start) != wanted(high):
        below, above = start, high  # wanted(below) is that of start, wanted(above) a greater one
        while above - below > 1:
            middle = (below + above) // 2
            below, above = (middle, above) if wanted(middle) == wanted(start) else (below, middle)
        yield from (below, above)
        start = above


def check_sum(graph: Graph, node: Node, floor: Floor, ranges: list[Range]) -> Range:
    """An ADD, on every pair of operands."""
    (first, second), (offset,), (step,) = floor.slopes, floor.offsets, floor.steps
    demand(min(first, second) >= 0 and 0 <= step <= 1 << floor.unit, "a line that falls, or that leaves a gap")
    pairs = list(itertools.product(*(range(low, high + 1) for low, high in ranges)))
    zeros = [graph.values[operand].zero for operand in node.inputs]
    sides = zip(zip(*pairs, strict=True), zeros, strict=True)
    operands = [Tensor((len(pairs),), list(side), zero) for side, zero in sides]
    wanted = evaluate(ADD, node.attributes, operands, [], (len(pairs),), node.value.zero)
    for (a, b), value in zip(pairs, wanted, strict=True):
        demand(floor.outputs(node, first * a + second * b + offset, 0) == {value}, "a floor that is not the sum")
    bottom, top = (first * ranges[0][end] + second * ranges[1][end] + offset for end in (0, 1))
    demand(max(abs(bottom - step), abs(bottom), abs(top)) <= 1 << 62, "T leaves 62 bits")
    return bottom - step >> floor.unit, top >> floor.unit
