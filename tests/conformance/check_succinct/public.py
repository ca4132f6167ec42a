# SPDX-License-Identifier: Apache-2.0
"""Public values: inputs, what is revealed, and what follows from them by the integer semantics."""

from dataclasses import dataclass

from field import demand
from form import Values
from graph import CONV, DENSE, DEPTHWISE, MATMUL, PUBLIC, REVEALED, Graph, Node
from holder import Holder
from semantics import Tensor, clamp, evaluate, requantize, signed

WIDTH = {1: 1, 2: 4}
"""Bytes of an element by its type."""
ROUNDING = {CONV: 1, DEPTHWISE: 2, DENSE: 0}
"""The key of the rounding among the attributes."""


def tensors(batch: dict[int, object], graph: Graph, numbers: list[int]) -> Values:
    """The values of a decoded batch, which must have the types of these values of the graph."""
    size, found = batch[0], {}
    demand(len(batch[1]) == len(numbers), "another number of tensors")
    for number, tensor in zip(numbers, batch[1], strict=True):
        kind = graph.values[number]
        demand((tensor[0], tuple(tensor[1])) == (kind.dtype, kind.shape), "a tensor of another type")
        demand(len(tensor[2]) == size * kind.size * WIDTH[kind.dtype], "a tensor of another size")
        found[number] = signed(tensor[2], WIDTH[kind.dtype])
    return found


@dataclass
class Public:
    """Every public value and the accumulators of revealed nodes, by number."""

    holder: Holder
    batch: int
    outputs: Values
    values: Values
    accumulators: Values

    def travelling(self) -> list[tuple[int, int]]:
        """What is revealed, as (value, bytes of an element), in order of node: no outputs but accumulators."""
        graph, found = self.holder.graph, []
        for number, node in enumerate(graph.nodes, start=graph.first):
            if graph.role(number) == REVEALED and node.operator != MATMUL:
                found.append((number, 4))
            elif number in graph.bound and number not in graph.outputs:
                found.append((number, 1))
        return found

    def length(self) -> int:
        return sum(width * self.batch * self.holder.graph.values[number].size for number, width in self.travelling())

    def compute(self, revealed: bytes) -> None:
        """Steps 2: every public value, and that outputs are those."""
        graph, place, given = self.holder.graph, 0, {}
        for number, width in self.travelling():
            end = place + width * self.batch * graph.values[number].size
            given[number], place = signed(revealed[place:end], width), end
        for number, node in enumerate(graph.nodes, start=graph.first):
            if graph.role(number) == REVEALED:
                self.accumulators[number] = given.get(number) or self.outputs[number]
                self.values[number] = self._requantised(node, self.accumulators[number])
            elif graph.role(number) == PUBLIC:
                self.values[number] = self._evaluated(node)
            elif number in graph.bound:
                self.values[number] = given.get(number) or self.outputs[number]
        for number, output in self.outputs.items():
            demand(self.values[number] == output, "public values of other outputs")

    def _requantised(self, node: Node, accumulators: list[int]) -> list[int]:
        if node.operator == MATMUL:
            return accumulators
        multipliers, shifts = (
            signed(self.holder.constants[number], width)
            for number, width in zip(node.constants[2:], (4, 1), strict=True)
        )
        rounding, channels = node.attributes[ROUNDING[node.operator]], len(shifts)
        scaled = (
            requantize(accumulator, multipliers[at % channels], shifts[at % channels], rounding)
            for at, accumulator in enumerate(accumulators)
        )
        return [clamp(value + node.value.zero, *node.clamp) for value in scaled]

    def _evaluated(self, node: Node) -> list[int]:
        graph, found = self.holder.graph, []
        constants = []
        for number in node.constants:
            dtype, shape = graph.constants[number]
            constants.append(Tensor(shape, signed(self.holder.constants[number], WIDTH[dtype])))
        for sample in range(self.batch):
            operands = []
            for number in node.inputs:
                kind = graph.values[number]
                items = self.values[number][sample * kind.size : (sample + 1) * kind.size]
                operands.append(Tensor(kind.shape, items, kind.zero))
            found += evaluate(node.operator, node.attributes, operands, constants, node.value.shape, node.value.zero)
        return found
