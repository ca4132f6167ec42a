# SPDX-License-Identifier: Apache-2.0
"""The stacked tables of the products at one point: values against weights, and values against values."""

import math
from dataclasses import dataclass

from field import ONE, ZERO, Element, add, dot, mul, scale
from form import Form, Values, Vector, pulled, stretched, windowed
from graph import CONV, DEPTHWISE, MATRICES, Node
from instance import Boxes, Instance
from leaves import Load
from stack import outer

Left = dict[tuple[int, int], Element]
"""What each committed weight (column, row-major index) weighs in the left table."""


@dataclass
class Products:
    """The left table as a form of the weights, the right one as a form of the witness."""

    instance: Instance
    left: Left
    right: Form
    point: list[Element]

    def weigh(self, column: int, factor: Element, vector: Vector) -> None:
        for at, entry in enumerate(vector):
            self.left[column, at] = add(self.left.get((column, at), ZERO), mul(factor, entry))

    def add(self, index: int, load: Load) -> None:
        """The part of one node."""
        instance, node, boxes = self.instance, self.instance.graph.nodes[index], self.instance.boxes[index]
        rows, channels = outer(load.axes[:-1]), load.axes[-1]
        place, axes = instance.products.at(boxes.kernel, self.point)
        window = 2 if node.operator in (CONV, DEPTHWISE) else 0
        tapped, depth = outer(axes[:window]), outer(axes[window:])
        self.weigh(boxes.weights["kernel"], mul(load.factor, place), self._kernel(node, channels, tapped, depth))
        seen = rows
        if window:
            seen = windowed(instance.graph, node, (len(axes[0]), len(axes[1])), tapped, rows)
        self.right.centred(node.inputs[0], place, outer([seen, depth]))
        place, _ = instance.products.at(boxes.bias, self.point)
        self.weigh(boxes.weights["bias"], mul(load.factor, place), channels)
        self.right.plus(place, rows)
        if boxes.step >= 0:
            self._by_channel(boxes, "step", load, {instance.proved[index].sign: 1})
        if boxes.inverse >= 0:
            self.weigh(boxes.weights["gap"], mul(load.gap, place), channels)
            limbs = enumerate(instance.proved[index].limbs)
            self._by_channel(boxes, "inverse", load, {limb: 1 << at * instance.limb_bits for at, limb in limbs})

    def _by_channel(self, boxes: Boxes, part: str, load: Load, columns: dict[int, int]) -> None:
        """A number for each channel against a sum of columns, each by a factor, to be taken off."""
        place, axes = self.instance.products.at(getattr(boxes, part), self.point)
        both = [mul(one, other) for one, other in zip(load.axes[-1], outer(axes), strict=True)]
        self.weigh(boxes.weights[part], scale(mul(load.factor, place), -1), both)
        for column, factor in columns.items():
            self.right.column(column, scale(place, factor), outer([*load.axes[:-1], *axes]))

    @staticmethod
    def _kernel(node: Node, channels: Vector, tapped: Vector, depth: Vector) -> Vector:
        """The weights of a filter as it is stored."""
        if node.operator == DEPTHWISE:
            multiplier = node.attributes[1]
            spread = [mul(one, depth[c // multiplier]) for c, one in enumerate(channels)]
            return outer([tapped, spread])
        return outer([channels, tapped, depth])


def product_forms(
    instance: Instance, loads: dict[int, Load], point: list[Element], values: Values
) -> tuple[Left, Form]:
    """The left table and the right one at a point."""
    products = Products(instance, {}, Form(instance, values), point)
    for index, load in loads.items():
        products.add(index, load)
    return products.left, products.right


@dataclass
class Crossing:
    """The three tables of the products of two values: a number and two forms."""

    weight: Element
    left: Form
    right: Form


def crossing_forms(instance: Instance, loads: dict[int, Load], point: list[Element], values: Values) -> Crossing:
    """The tables of the products of two values at a point."""
    found = Crossing(ZERO, Form(instance, values), Form(instance, values))
    for index, load in loads.items():
        node = instance.graph.nodes[index]
        place, axes = instance.crossings.at(instance.crossed[index], point)
        own, inner = (load.axes, [ONE]) if node.operator != MATRICES else (load.axes[:-2], axes.pop())
        weight = mul(dot(outer(own), outer(axes)), add(ZERO, *inner))
        found.weight = add(found.weight, mul(load.factor, place, weight))
        for side, form in enumerate((found.left, found.right)):
            kind, output = instance.graph.values[node.inputs[side]], node.value.shape
            seen = axes
            if node.operator == MATRICES:
                # Stored (M, K) and (K, N), or swapped.
                last = [inner, load.axes[side - 2]]
                seen = [*axes, *(last if bool(side) != bool(node.attributes[side]) else reversed(last))]
                output = (*output[:-2], *kind.shape[-2:])
            weights = pulled(outer(seen), stretched(kind.shape, output), math.prod(output), kind.size)
            form.centred(node.inputs[side], place, weights)
    return found
