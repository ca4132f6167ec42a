# SPDX-License-Identifier: Apache-2.0
"""Weighted sums of values: what every claim comes to. A weight stands for every element, samples first, row-major."""

import itertools
from collections.abc import Iterator, Sequence

from field import ZERO, Element, add, mul, scale, weigh
from graph import JOIN, LAYOUT, PAD, PROVED, RESHAPE, Graph, Node
from instance import Instance
from semantics import indices, taps

Vector = list[Element]
Values = dict[int, list[int]]
"""Public values by number, samples first."""


class Form:
    """constant + the sum of the committed table's elements by their weights."""

    def __init__(self, instance: Instance, values: Values, constant: Element = ZERO) -> None:
        self.instance, self.public, self.constant = instance, values, constant
        self.weights: dict[int, Element] = {}

    def plus(self, factor: Element, vector: Sequence[Element]) -> None:
        """Add a factor times the sum of a vector."""
        self.constant = add(self.constant, mul(factor, add(ZERO, *vector)))

    def column(self, number: int, factor: Element, vector: Vector) -> None:
        for place, weight in zip(self.instance.layout.places[number], vector, strict=True):
            self.weights[place] = add(self.weights.get(place, ZERO), mul(factor, weight))

    def centred(self, value: int, factor: Element, vector: Vector) -> None:
        """A value less its zero point."""
        self.value(value, factor, vector)
        self.plus(scale(factor, -self.instance.graph.values[value].zero), vector)

    def value(self, value: int, factor: Element, vector: Vector) -> None:
        """A value: its column, itself where it is public, or what it is made of."""
        graph, role = self.instance.graph, self.instance.graph.role(value)
        if role == PROVED:
            self.column(self.instance.proved[value - graph.first].column, factor, vector)
        elif role == LAYOUT:
            self._moved(graph.nodes[value - graph.first], factor, vector)
        else:
            self.constant = add(self.constant, mul(factor, weigh(vector, self.public[value])))

    def _moved(self, node: Node, factor: Element, vector: Vector) -> None:
        graph, batch = self.instance.graph, self.instance.batch
        parts = [[ZERO] * (batch * graph.values[operand].size) for operand in node.inputs]
        for sample, (at, source) in itertools.product(range(batch), enumerate(sources(graph, node))):
            weight = vector[sample * node.value.size + at]
            if source is None:
                self.constant = add(self.constant, scale(mul(factor, weight), node.attributes[2]))
            else:
                operand, place = source
                parts[operand][sample * graph.values[node.inputs[operand]].size + place] = weight
        for operand, part in zip(node.inputs, parts, strict=True):
            self.value(operand, factor, part)


def flat(index: Sequence[int], shape: Sequence[int]) -> int:
    place = 0
    for at, size in zip(index, shape, strict=True):
        place = place * size + at
    return place


def sources(graph: Graph, node: Node) -> Iterator[tuple[int, int] | None]:
    """Where each element of a moved value comes from: (operand, place); None for a padding's value."""
    shapes = [graph.values[operand].shape for operand in node.inputs]
    for place, index in enumerate(indices(node.value.shape)):
        if node.operator == RESHAPE:
            yield 0, place
        elif node.operator == PAD:
            at = [i - before for i, before in zip(index, node.attributes[0], strict=True)]
            inside = all(0 <= i < size for i, size in zip(at, shapes[0], strict=True))
            yield (0, flat(at, shapes[0])) if inside else None
        elif node.operator == JOIN:
            axis, at, operand = node.attributes[0], list(index), 0
            while at[axis] >= shapes[operand][axis]:
                at[axis] -= shapes[operand][axis]
                operand += 1
            yield operand, flat(at, shapes[operand])
        else:
            at = [index[node.attributes[0].index(axis)] for axis in range(len(index))]
            yield 0, flat(at, shapes[0])


def pulled(vector: Vector, pairs: Sequence[tuple[int, int]], size: int, operand: int) -> Vector:
    """Weights of an operand's elements: those of the output's elements that read them, (output, operand) a pair.

    ``size`` and ``operand`` are the elements of one sample of the output and of the operand.
    """
    result = [ZERO] * (len(vector) // size * operand)
    for sample, (out, place) in itertools.product(range(len(vector) // size), pairs):
        at = sample * operand + place
        result[at] = add(result[at], vector[sample * size + out])
    return result


def stretched(shape: Sequence[int], output: Sequence[int]) -> list[tuple[int, int]]:
    """Which element of an operand each element of a broadcast output reads."""
    pairs = []
    for place, index in enumerate(indices(output)):
        tail = index[len(output) - len(shape) :]
        pairs.append((place, flat([0 if size == 1 else i for i, size in zip(tail, shape, strict=True)], shape)))
    return pairs


def reduced(shape: Sequence[int], axes: Sequence[int]) -> list[tuple[int, int]]:
    """Which element of a mean each element of its operand is added to, as (output, operand)."""
    kept = [1 if axis in axes else size for axis, size in enumerate(shape)]
    return [
        (flat([i % size for i, size in zip(index, kept, strict=True)], kept), place)
        for place, index in enumerate(indices(shape))
    ]


def windowed(graph: Graph, node: Node, kernel: Sequence[int], weights: Sequence[Element], rows: Vector) -> Vector:
    """Weights of the pixels (samples, rows, columns): of every window that holds them, times the weight of the tap
    that sees them. ``rows`` weighs samples and positions.
    """
    image, (height, width, _) = graph.values[node.inputs[0]].shape, node.value.shape
    pixels, positions = image[0] * image[1], height * width
    result = [ZERO] * (len(rows) // positions * pixels)
    for place, at in enumerate(itertools.product(range(height), range(width))):
        for row, column, y, x in taps(node.attributes[0], tuple(kernel), image, at):
            tap = weights[row * kernel[1] + column]
            for sample in range(len(rows) // positions):
                to = sample * pixels + y * image[1] + x
                weight = rows[sample * positions + place]
                result[to] = add(result[to], mul(weight, tap))
    return result
