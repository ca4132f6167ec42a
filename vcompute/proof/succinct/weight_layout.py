# SPDX-License-Identifier: Apache-2.0
"""The columns of a model's weights: for every linear node D_c * filter, D_c * bias_c + Q_c and, two-sided, S_c; of a
divided node all these over M_c, then 1 / M_c and the gap of M_c.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from vcompute.commitment import TableShape
from vcompute.proof.succinct.constants import NodePlan
from vcompute.proof.succinct.layout import Layout, lay_out
from vcompute.proof.succinct.roles import LINEAR, Role, assign_roles
from vcompute.task import Graph


@dataclass(frozen=True, slots=True)
class WeightColumns:
    """The columns of a model's weights and their layout; (node, part) to column number."""

    numbers: Mapping[tuple[int, str], int]
    layout: Layout

    @property
    def shape(self) -> TableShape:
        """Of the committed table: many proofs open it, so its rows are short."""
        return TableShape.of_length(self.layout.length)


def weight_columns(graph: Graph, plans: Mapping[int, NodePlan]) -> WeightColumns:
    """The layout of the weights of a graph; deterministic, without the weights."""
    roles, _ = assign_roles(graph)
    numbers: dict[tuple[int, str], int] = {}
    boxes: list[tuple[int, ...]] = []

    def add(node: int, part: str, box: tuple[int, ...]) -> None:
        numbers[node, part] = len(boxes)
        boxes.append(box)

    for index, (node, role) in enumerate(zip(graph.nodes, roles, strict=True)):
        if role in (Role.PROVED, Role.REVEALED) and isinstance(node.operator, LINEAR):
            channels = (node.output.shape[-1],)
            add(index, "kernel", graph.constants[node.constants[0]].shape)
            add(index, "bias", channels)
            if index in plans and plans[index].two_sided:
                add(index, "step", channels)
            if index in plans and plans[index].divided:
                add(index, "inverse", channels)
                add(index, "gap", channels)
    return WeightColumns(numbers, lay_out(tuple(boxes)))
