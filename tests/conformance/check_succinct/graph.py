# SPDX-License-Identifier: Apache-2.0
"""A graph, the role of each node, and what each axis of a value is cut into."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

import cbor2
from field import demand
from semantics import taps

(CONV, DEPTHWISE, DENSE, MATRICES, ADD, MUL, AVERAGE, MAXIMUM, MEAN, PAD, JOIN, RESHAPE, TRANSPOSE, SOFTMAX, LOGISTIC,
 QUANTIZE) = range(1, 17)  # fmt: skip
CONSTANT, MATMUL = 64, 65
LINEAR, BILINEAR = (CONV, DEPTHWISE, DENSE, MATMUL), (MUL, MATRICES)
MOVING = (PAD, JOIN, RESHAPE, TRANSPOSE)
TAIL = (SOFTMAX, LOGISTIC, QUANTIZE, *MOVING)
CHEAP = (*TAIL, ADD, MUL, AVERAGE, MAXIMUM, MEAN, CONSTANT)
MAPS = (QUANTIZE, LOGISTIC)
ELEMENTWISE = (RESHAPE, ADD, MUL, QUANTIZE, LOGISTIC)
LOW = {CONV: 2, DEPTHWISE: 3, DENSE: 1, MATRICES: 4, ADD: 3, MUL: 2, AVERAGE: 3, MAXIMUM: 3, MEAN: 4, QUANTIZE: 2}
"""The key of ``low`` among an operator's attributes; ``high`` has the next one."""
PUBLIC, REVEALED, LAYOUT, PROVED = range(1, 5)
MOST_TERMS, MOST_DEPTH = 1 << 14, 64

Shape = tuple[int, ...]


@dataclass
class Value:
    """The type of a value."""

    dtype: int
    shape: Shape
    zero: int

    @property
    def size(self) -> int:
        return math.prod(self.shape)


@dataclass
class Node:
    """An operator, its attributes by key, what it reads, and the type of its output."""

    index: int
    operator: int
    attributes: dict[int, Any]
    inputs: list[int]
    constants: list[int]
    value: Value

    @property
    def clamp(self) -> tuple[int, int]:
        key = LOW[self.operator]
        return self.attributes[key], self.attributes[key + 1]

    @property
    def added(self) -> int:
        """What is added to a quotient: pools keep raw values."""
        return 0 if self.operator == AVERAGE else self.value.zero


class Graph:
    """A decoded graph with the roles and factors that follow from it."""

    def __init__(self, encoded: bytes) -> None:
        raw = cbor2.loads(encoded)
        demand(cbor2.dumps(raw, canonical=True) == encoded, "a graph that is not encoded deterministically")
        kinds = [Value(item[0], tuple(item[1]), item[2]) for item in raw[1]]
        self.constants: list[tuple[int, Shape]] = [(item[0], tuple(item[1])) for item in raw[2]]
        self.nodes: list[Node] = []
        for index, (operator, inputs, constants, output) in enumerate(map(dict.values, raw[3])):
            value = Value(output[0], tuple(output[1]), output[2])
            self.nodes.append(Node(index, operator[0], operator[1], inputs, constants, value))
        self.first, self.outputs = len(kinds), list(raw[4])
        self.values = [*kinds, *(node.value for node in self.nodes)]
        self.roles, self.bound = assign(self)
        self.factors = factors(self)
        check_crossings(self)

    def role(self, value: int) -> int:
        return PUBLIC if value < self.first else self.roles[value - self.first]

    def nodes_of(self, *roles: int) -> list[Node]:
        return [node for node, role in zip(self.nodes, self.roles, strict=True) if role in roles]

    @property
    def weighted(self) -> list[Node]:
        """The linear nodes with a claim about their weights."""
        return [node for node in self.nodes_of(PROVED, REVEALED) if node.operator in LINEAR]

    @property
    def requantised(self) -> list[int]:
        """The nodes that need constants."""
        return [node.index for node in self.nodes_of(PROVED) if node.operator not in (*MAPS, MAXIMUM)]

    @property
    def in_clear(self) -> list[int]:
        """The constants that a verifier needs: nothing of a filter, and no bias."""
        needed: set[int] = set()
        for node, role in zip(self.nodes, self.roles, strict=True):
            if node.operator not in LINEAR:
                needed.update(node.constants)
            elif role == REVEALED:
                needed.update(node.constants[2:])
        return sorted(needed)

    def bytes_of(self, constant: int) -> int:
        dtype, shape = self.constants[constant]
        return {1: 1, 2: 4}[dtype] * math.prod(shape)


def assign(graph: Graph) -> tuple[list[int], set[int]]:
    """The role of each node, and the proved values that are bound to public ones."""
    revealed: set[int] = set()
    bound: set[int] = set()
    pending, seen = list(graph.outputs), set(graph.outputs)
    while pending:
        value = pending.pop()
        if value < graph.first:
            continue
        node = graph.nodes[value - graph.first]
        if node.operator in LINEAR:
            revealed.add(value)
        elif node.operator in TAIL:
            pending += set(node.inputs) - seen
            seen.update(node.inputs)
        else:
            bound.add(value)
    public, roles = {*range(graph.first), *revealed, *bound}, []
    for value, node in enumerate(graph.nodes, start=graph.first):
        if value in revealed:
            roles.append(REVEALED)
        elif node.operator in CHEAP and public.issuperset(node.inputs):
            bound.discard(value)
            public.add(value)
            roles.append(PUBLIC)
        else:
            demand(node.operator != SOFTMAX, "a SOFTMAX of proved values")
            roles.append(LAYOUT if node.operator in MOVING else PROVED)
    return roles, bound


def cuts_of(shape: Shape) -> frozenset[int]:
    """The sizes of the trailing parts of a shape."""
    return frozenset(math.prod(shape[axis:]) for axis in range(len(shape) + 1))


def between(cuts: frozenset[int], outer: int, inner: int) -> Shape:
    """The sizes that the cuts from ``inner`` to ``outer`` leave."""
    marks = sorted((cut for cut in cuts if inner <= cut <= outer), reverse=True)
    return tuple(a // b for a, b in itertools.pairwise(marks))


def factors(graph: Graph) -> list[list[Shape]]:
    """For each value the factors of each of its axes."""
    cuts = [cuts_of(value.shape) for value in graph.values]
    changed = True
    while changed:
        changed = False
        for node in (*graph.nodes, *reversed(graph.nodes)):
            output = graph.first + node.index
            for operand in node.inputs if node.operator in ELEMENTWISE else ():
                if graph.values[operand].size != node.value.size:
                    continue
                union = cuts[operand] | cuts[output]
                if any(larger % smaller for smaller, larger in itertools.pairwise(sorted(union))):
                    continue  # they cut across each other
                changed = changed or not union == cuts[operand] == cuts[output]
                cuts[operand] = cuts[output] = union
    found = []
    for value, cut in zip(graph.values, cuts, strict=True):
        ends = [math.prod(value.shape[axis:]) for axis in range(len(value.shape) + 1)]
        found.append([between(cut, outer, inner) for outer, inner in itertools.pairwise(ends)])
    return found


def check_crossings(graph: Graph) -> None:
    """Refuse what would give too many terms to a verifier that keeps outer products apart; this one does not."""
    terms, depth, total = [1] * graph.first, [0] * graph.first, 0
    for node, role in zip(graph.nodes, graph.roles, strict=True):
        reads = sum(terms[operand] for operand in node.inputs)
        if role == LAYOUT:
            crossed = 1
            if node.operator == RESHAPE:
                needed = cuts_of(tuple(itertools.chain(*graph.factors[node.inputs[0]])))
                common = sorted(cuts_of(node.value.shape) & needed, reverse=True)
                for outer, inner in itertools.pairwise(common):
                    sizes = between(needed, outer, inner)
                    crossed *= math.prod(sizes) // max(sizes)
            terms.append(crossed * reads)
            depth.append(1 + max(depth[operand] for operand in node.inputs))
        else:
            total += reads * (role != PUBLIC)
            terms.append(1)
            depth.append(0)
        demand(max(terms[-1], total) <= MOST_TERMS and depth[-1] <= MOST_DEPTH, "RESHAPEs across one another")


def windows(graph: Graph, node: Node) -> list[int]:
    """How many pixels of the image each window of a pool holds, positions in row-major order."""
    image, (rows, columns, _) = graph.values[node.inputs[0]].shape, node.value.shape
    kernel = (node.attributes[1], node.attributes[2])
    return [len(taps(node.attributes[0], kernel, image, at)) for at in itertools.product(range(rows), range(columns))]


def scalars_of(graph: Graph, node: Node) -> int:
    """How many constants a node's record lists."""
    if node.operator in LINEAR:
        return 0
    if node.operator == AVERAGE:
        return 3 * len(set(windows(graph, node)))
    return 3 if node.operator in BILINEAR else 2 + len(node.inputs)
