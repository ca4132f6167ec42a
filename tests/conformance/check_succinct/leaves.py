# SPDX-License-Identifier: Apache-2.0
"""Numerator and denominator of the lookups' fractions at one point, as weighted sums."""

import itertools
from dataclasses import dataclass

from field import ONE, ZERO, Element, P, add, mul, scale, sub, weigh
from form import Form, Values, Vector, pulled, reduced, stretched
from graph import ADD, AVERAGE, BILINEAR, LINEAR, MAPS, MAXIMUM, Node, windows
from instance import Instance, Proved
from semantics import taps
from stack import outer


@dataclass
class Load:
    """A factor, and the weights of a node's T (or of its products) along samples and each axis.

    Of a divided node the factor is that of (T - rem) / M, and another one that of its channels' gaps.
    """

    factor: Element
    axes: list[Vector]
    gap: Element = ZERO


class Leaves:
    """The two forms at a point; what the loads add to the denominator is left out."""

    def __init__(self, instance: Instance, values: Values, point: list[Element], drawn: list[Element]) -> None:
        self.instance, self.point = instance, point
        self.alpha, self.wu, self.wv, self.ws = drawn
        self.numerator, self.denominator = Form(instance, values), Form(instance, values, ONE)
        self.loads: dict[int, Load] = {}
        self.crossed: dict[int, Load] = {}
        for proved in instance.proved.values():
            prove = self._maxima if proved.node.operator == MAXIMUM else self._floor_or_map
            prove(proved)
        for number, column in enumerate(instance.counts):
            self._rows(number, column)

    def _at(self, column: int, leaf: int = -1) -> tuple[Element, Vector]:
        """What the leaf of a column, or another one, weighs, and its elements."""
        place, vectors = self.instance.leaves.at(self.instance.leaf_of[column] if leaf < 0 else leaf, self.point)
        return place, outer(vectors)

    def _lookup(self, column: int, table: int, value: Element, leaf: int = -1) -> tuple[Element, Vector]:
        """One lookup of each element of a column, which is weighed by ``value`` in the fingerprint; the key is left."""
        place, vector = self._at(column, leaf)
        self.numerator.plus(place, vector)
        self.denominator.plus(mul(place, sub(self.alpha, (1 + table, 0))), vector)
        self.denominator.column(column, scale(mul(place, value), -1), vector)
        return scale(mul(place, self.wu), -1), vector

    def _rows(self, number: int, column: int) -> None:
        place, vector = self._at(column)
        self.numerator.column(column, scale(place, -1), vector)
        keys, values, signs = zip(*self.instance.tables[number], strict=True)
        self.denominator.plus(mul(place, sub(self.alpha, (1 + number, 0))), vector)
        for factor, listed in ((self.wu, keys), (self.wv, values), (self.ws, signs)):
            self.denominator.plus(scale(mul(place, factor), -1), [weigh(vector, listed)])

    def _floor_or_map(self, proved: Proved) -> None:
        node, form = proved.node, self.denominator
        key, vector = self._lookup(proved.column, proved.table, self.wv)
        if node.operator in MAPS:
            form.value(node.inputs[0], key, vector)
            return
        for limb in proved.limbs:
            self._lookup(limb, 0, self.wu)
        if proved.sign >= 0:
            place, _ = self._at(proved.column)
            form.column(proved.sign, scale(mul(place, self.ws), -1), vector)
        else:
            form.plus(scale(key, node.added), vector)
        if proved.raised >= 0:
            gap, _ = self._lookup(proved.limbs[-1], 0, self.wu, proved.raised)
            self.loads[node.index] = Load(key, self._by_axis(proved), gap)
            return
        unit = scale(key, pow(1 << len(proved.limbs) * self.instance.limb_bits, -1, P))
        for number, limb in enumerate(proved.limbs):
            form.column(limb, scale(unit, -(1 << number * self.instance.limb_bits)), vector)
        if node.operator in LINEAR:
            self.loads[node.index] = Load(unit, self._by_axis(proved))
        elif node.operator == AVERAGE:
            self._average(proved, unit, vector)
        else:
            self._affine(proved, unit, vector)

    def _by_axis(self, proved: Proved) -> list[Vector]:
        _, vectors = self.instance.leaves.at(self.instance.leaf_of[proved.column], self.point)
        return self.instance.by_axis(proved.node.index, vectors)

    def _affine(self, proved: Proved, unit: Element, vector: Vector) -> None:
        """T less s S of a node without weights that has one Q and one S."""
        node, form, graph = proved.node, self.denominator, self.instance.graph
        *slopes, offset, step = proved.plan.scalars
        form.plus(scale(unit, offset), vector)
        if proved.sign >= 0:
            form.column(proved.sign, scale(unit, -step), vector)
        if node.operator in BILINEAR:
            self.crossed[node.index] = Load(scale(unit, slopes[0]), self._by_axis(proved))
            return
        for operand, slope in zip(node.inputs, slopes, strict=True):
            shape = graph.values[operand].shape
            if node.operator == ADD:
                pairs = stretched(shape, node.value.shape)
                form.value(operand, scale(unit, slope), self._pulled(node, operand, vector, pairs))
            else:
                pairs = reduced(shape, node.attributes[0])
                form.centred(operand, scale(unit, slope), self._pulled(node, operand, vector, pairs))

    def _pulled(self, node: Node, operand: int, vector: Vector, pairs: list[tuple[int, int]]) -> Vector:
        return pulled(vector, pairs, node.value.size, self.instance.graph.values[operand].size)

    def _average(self, proved: Proved, unit: Element, vector: Vector) -> None:
        """T less s S of a mean over windows: constants by the number of pixels a window holds."""
        node, form = proved.node, self.denominator
        held = windows(self.instance.graph, node)
        which = [sorted(set(held)).index(count) for count in held]
        channels = node.value.shape[2]
        own = [which[at // channels % len(which)] for at in range(len(vector))]
        scaled = [
            [scale(w, constants[i]) for w, i in zip(vector, own, strict=True)] for constants in proved.plan.split()
        ]
        form.plus(unit, scaled[1])
        if proved.sign >= 0:
            form.column(proved.sign, scale(unit, -1), scaled[2])
        pairs = [pair for seen, _ in self._taps(node) for pair in seen]
        form.value(node.inputs[0], unit, self._pulled(node, node.inputs[0], scaled[0], pairs))

    def _taps(self, node: Node) -> list[tuple[list[tuple[int, int]], list[int]]]:
        """For each tap of a pool: (output, operand) where it sees a pixel, and the outputs where it sees none."""
        image, (rows, columns, depth) = self.instance.graph.values[node.inputs[0]].shape, node.value.shape
        window, *kernel = (node.attributes[key] for key in range(3))
        seen: list[tuple[list[tuple[int, int]], list[int]]] = [([], []) for _ in range(kernel[0] * kernel[1])]
        for place, at in enumerate(itertools.product(range(rows), range(columns))):
            pixels = {
                row * kernel[1] + column: y * image[1] + x for row, column, y, x in taps(window, kernel, image, at)
            }
            for (number, (pairs, outside)), channel in itertools.product(enumerate(seen), range(depth)):
                out = place * depth + channel
                if number in pixels:
                    pairs.append((out, pixels[number] * depth + channel))
                else:
                    outside.append(out)
        return seen

    def _tap(self, node: Node, number: int, factor: Element, vector: Vector) -> None:
        """x of a tap, -128 outside the image."""
        pairs, outside = self._taps(node)[number]
        self.denominator.value(node.inputs[0], factor, self._pulled(node, node.inputs[0], vector, pairs))
        size = node.value.size
        missed = [vector[start + at] for start in range(0, len(vector), size) for at in outside]
        self.denominator.plus(scale(factor, -128), missed)

    def _maxima(self, proved: Proved) -> None:
        node, form = proved.node, self.denominator
        for number, column in enumerate(proved.maxima, start=1):
            key, vector = self._lookup(column, proved.positive, self.wv)
            place, _ = self._at(column)
            if number == 1:
                self._tap(node, 0, key, vector)
            else:
                form.column(proved.maxima[number - 2], key, vector)
            self._tap(node, number, mul(place, add(self.wu, self.wv)), vector)
        if proved.column not in proved.maxima:
            key, vector = self._lookup(proved.column, proved.table, self.wv)
            if proved.maxima:
                form.column(proved.maxima[-1], key, vector)
            else:
                self._tap(node, 0, key, vector)
