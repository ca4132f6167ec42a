# SPDX-License-Identifier: Apache-2.0
"""A verifier with the model: it has the weights, and makes their commitment itself.

The constants D, Q, S, K and M of the floors are given to it (operation ``succinct.constants``); it finds them exact or
refuses them. From them follow the public constants, the table of weights and its root.
"""

from typing import Any

import cbor2
from exact import Floor, check
from field import P, demand
from graph import DEPTHWISE, LINEAR, MATMUL, Graph
from holder import Holder, Plan
from opening import TINY, hashed, shape_of
from ranges import Constants
from semantics import blob, signed


def read_model(data: bytes, given: dict[str, Any]) -> Holder:
    """The holder of a model, with its table of weights and no root.

    ``given`` holds the limb width and for each requantised node K and whether it is two-sided, D, Q and S, and M where
    it is divided.
    """
    file = cbor2.loads(data)
    graph, constants, width = Graph(file[2]), constants_of(file), given["limb_bits"]
    floors = {}
    for node in given["nodes"]:
        lists = ([int(number) for number in node.get(name, ())] for name in ("D", "Q", "S", "M"))
        floors[node["node"]] = Floor(node["K"], node["two_sided"], *lists)
    demand(list(floors) == graph.requantised, "constants of other nodes")
    plans = {}
    for index, floor in floors.items():
        least, greatest = check(graph, constants, index, floor)
        demand(floor.unit % width == 0, "a remainder that does not fill its limbs")
        demand(not any(divisor % (1 << floor.unit - width) for divisor in floor.divisors), "a divisor of low limbs")
        linear = graph.nodes[index].operator in LINEAR
        scalars = [] if linear else [*floor.slopes, *floor.offsets, *floor.steps]
        form = int(floor.two_sided), least, greatest, scalars, int(bool(floor.divisors))
        plans[index] = Plan(floor.unit // width, *form)
    in_clear = {number: raw for number, raw in enumerate(raw_constants(file)) if number in graph.in_clear}
    holder = Holder(file[2], blob(file[3]), width, plans, in_clear)
    holder.table = weights(holder, constants, floors)
    return holder


def raw_constants(file: dict[int, Any]) -> list[bytes]:
    """The bytes of each constant: they stand one after the other."""
    graph, place, found = Graph(file[2]), 0, []
    for number in range(len(graph.constants)):
        found.append(file[3][place : place + graph.bytes_of(number)])
        place += graph.bytes_of(number)
    demand(place == len(file[3]), "weights of another size")
    return found


def constants_of(file: dict[int, Any]) -> Constants:
    kinds = cbor2.loads(file[2])[2]
    return [signed(data, {1: 1, 2: 4}[kind[0]]) for data, kind in zip(raw_constants(file), kinds, strict=True)]


def weights(holder: Holder, constants: Constants, floors: dict[int, Floor]) -> list[int]:
    """The committed table: D times the filter, D times the bias plus Q, and S; of a divided node these over M, then
    1 / M and the gap.
    """
    table = [0] * holder.weight_layout.length
    for node in holder.graph.weighted:
        kernel, channels = constants[node.constants[0]], node.value.shape[-1]
        floor = floors.get(node.index) or Floor(0, False, [1] * channels, [0] * channels, [0] * channels, [])
        bias = [0] * channels if node.operator == MATMUL else constants[node.constants[1]]
        inner = 1 if node.operator == DEPTHWISE else len(kernel) // channels
        inverses = [pow(divisor, -1, P) for divisor in floor.divisors] or [1] * channels
        slopes, offsets, steps = (
            [number * inverse for number, inverse in zip(numbers, inverses, strict=True)]
            for numbers in (floor.slopes, floor.offsets, floor.steps)
        )
        parts = {
            "kernel": [slopes[at // inner % channels] * weight for at, weight in enumerate(kernel)],
            "bias": [d * b + q for d, b, q in zip(slopes, bias, offsets, strict=True)],
            "step": steps,
            "inverse": inverses,
            "gap": [((1 << floor.unit) - divisor) >> floor.unit - holder.limb_bits for divisor in floor.divisors],
        }
        for part, column in holder.weight_columns[node.index].items():
            for place, entry in zip(holder.weight_layout.places[column], parts[part], strict=True):
                table[place] = entry % P
    return table


def commit(table: list[int]) -> bytes:
    """The root of a table, VC-COM-001."""
    lane_variables, lanes = shape_of(len(table), False)
    size, height = 1 << lane_variables, lane_variables + TINY["rate"]
    padded = table + [0] * (lanes * size - len(table))
    rows = [spread(padded[lane * size : (lane + 1) * size], height) for lane in range(lanes)]
    places = [int(f"{at:0{height}b}"[::-1], 2) for at in range(1 << height)]
    level = [hashed(b"".join(row[place].to_bytes(8, "little") for row in rows)) for place in places]
    while len(level) > 1:
        level = [hashed(b"\1" + level[at] + level[at + 1]) for at in range(0, len(level), 2)]
    return level[0]


def spread(coefficients: list[int], height: int) -> list[int]:
    """The values of a polynomial at w^0, w^1, ..., w of order 2^height, by halves: p(x) = even(x^2) + x odd(x^2)."""
    if not height or len(coefficients) == 1:
        return coefficients[:1] * (1 << height)
    even, odd = (spread(coefficients[start::2], height - 1) for start in (0, 1))
    w, x, low, high = pow(7, (P - 1) >> height, P), 1, [], []
    for a, b in zip(even, odd, strict=True):
        low.append((a + x * b) % P)
        high.append((a - x * b) % P)
        x = x * w % P
    return low + high


def record(holder: Holder, file: dict[int, Any]) -> bytes:
    """The commitment's record, the same bytes for everyone."""
    plans = [{0: index, 1: cbor2.loads(plan.encoded)} for index, plan in holder.plans.items()]
    constants = [{0: number, 1: data} for number, data in holder.constants.items()]
    fields = ("vcompute-commitment", 1, file[2], blob(file[3]), TINY["number"], holder.limb_bits, plans, constants)
    return cbor2.dumps(dict(enumerate((*fields, commit(holder.table)))), canonical=True)
