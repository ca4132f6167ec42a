# SPDX-License-Identifier: Apache-2.0
"""What a verifier holds of a model: the record of its commitment."""

from dataclasses import dataclass
from typing import Any

import cbor2
from field import demand
from graph import LINEAR, Graph, scalars_of
from opening import TINY
from semantics import sha
from stack import Box, Layout


@dataclass
class Plan:
    """The public constants of a requantised node."""

    limbs: int
    two_sided: int
    least: int
    greatest: int
    scalars: list[int]
    divided: int

    @property
    def encoded(self) -> bytes:
        fields = (self.limbs, self.two_sided, self.least, self.greatest, self.scalars, self.divided)
        return cbor2.dumps(dict(enumerate(fields)), canonical=True)

    def split(self) -> tuple[list[int], list[int], list[int]]:
        """D, Q and S of a node whose every D has a Q and an S."""
        size = len(self.scalars) // 3
        return self.scalars[:size], self.scalars[size : 2 * size], self.scalars[2 * size :]


class Holder:
    """A graph, its public constants, and where each weight stands in the committed table."""

    def __init__(
        self, encoded: bytes, weights: bytes, limb_bits: int, plans: dict[int, Plan], constants: dict[int, bytes]
    ) -> None:
        self.graph, self.limb_bits, self.plans, self.constants = Graph(encoded), limb_bits, plans, constants
        self.digest = sha(b"vcompute/model/1\0", sha(b"vcompute/graph/1\0", encoded), weights)
        self.root = b""
        """The commitment's; empty where the proof does not open it."""
        self.table: list[int] = []
        """The table of weights itself, for a verifier with the model."""
        graph = self.graph
        demand(list(plans) == graph.requantised, "constants of other nodes")
        sizes = [(number, graph.bytes_of(number)) for number in graph.in_clear]
        demand([(number, len(data)) for number, data in constants.items()] == sizes, "other constants in clear")
        for index, plan in plans.items():
            self._check(index, plan)
        boxes: list[Box] = []
        self.weight_columns: dict[int, dict[str, int]] = {}
        for node in graph.weighted:
            channels = node.value.shape[-1:]
            parts = {"kernel": graph.constants[node.constants[0]][1], "bias": channels}
            if node.index in plans and plans[node.index].two_sided:
                parts["step"] = channels
            if node.index in plans and plans[node.index].divided:
                parts |= {"inverse": channels, "gap": channels}
            self.weight_columns[node.index] = {part: len(boxes) + i for i, part in enumerate(parts)}
            boxes += parts.values()
        self.weight_layout = Layout(boxes)

    def _check(self, index: int, plan: Plan) -> None:
        demand(1 <= plan.limbs <= 8 and plan.two_sided in (0, 1), "no form of a floor")
        demand(plan.divided in range(1 + (self.graph.nodes[index].operator in LINEAR)), "no node to divide")
        demand(0 <= plan.greatest - plan.least < 1 << 22, "too long a table")
        demand(len(plan.scalars) == scalars_of(self.graph, self.graph.nodes[index]), "constants of another form")


def read_record(data: bytes) -> Holder:
    """The holder of a commitment's record."""
    record: dict[int, Any] = cbor2.loads(data)
    demand(cbor2.dumps(record, canonical=True) == data, "a record that is not encoded deterministically")
    demand(record[0] == "vcompute-commitment" and record[1] == 1, "no commitment")
    demand(record[4] == TINY["number"], "another parameter set")
    demand(6 <= record[5] <= 18, "a limb of another width")
    plans = {item[0]: Plan(*(item[1][key] for key in range(6))) for item in record[6]}
    constants = {item[0]: item[1] for item in record[7]}
    holder = Holder(record[2], record[3], record[5], plans, constants)
    holder.root = record[8]
    return holder
