# SPDX-License-Identifier: Apache-2.0
"""A verifier by commitment, for models of FULLY_CONNECTED nodes in a row."""

import hashlib
import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import cbor2
from field import ONE, ZERO, Element, P, add, demand, dot, inverse, mul, scale, sub
from instance import Instance, Node, Stack, outer, signed
from opening import TINY, Oracle, open_claims, parameters, shape_of
from transcript import Transcript


def fractions(transcript: Transcript, variables: int) -> tuple[list[Element], Element, Element]:
    """logUp-GKR: the leaves' point, numerator and denominator there."""
    point: list[Element] = []
    numerator, denominator = ZERO, ONE
    for layer in range(variables):
        running, factor = ZERO, ZERO
        if layer:
            factor = transcript.challenge("fraction layer")
            running, old, point = add(numerator, mul(factor, sub(denominator, ONE))), point, []
            for z in old:
                zero, leading = transcript.elements("fraction sumcheck", 2)
                r = transcript.challenge("fraction sumcheck")
                one = mul(sub(running, mul(sub(ONE, z), zero)), inverse(z))
                # eq(z, X) h(X): the running claim is h at the challenge, the factor eq(z, r) stays outside.
                running = add(zero, mul(r, add(sub(one, add(zero, leading)), mul(r, leading))))
                point.append(r)
        n0, n1, d0, d1 = transcript.elements("fraction pair", 4)
        top, bottom = add(mul(n0, d1), mul(n1, d0)), mul(d0, d1)
        if layer:
            demand(running == add(top, mul(factor, sub(bottom, ONE))), "a layer that does not follow")
        else:
            demand(top == ZERO and bottom != ZERO, "fractions that do not add up to zero")
        r = transcript.challenge("fraction pair")
        numerator, denominator = add(n0, mul(r, sub(n1, n0))), add(d0, mul(r, sub(d1, d0)))
        point = [r, *point]
        transcript.note("layer claim", numerator, denominator)
    return point, numerator, denominator


@dataclass
class Form:
    """constant + the sum of the committed table's elements by their weights."""

    instance: Instance
    constant: Element = ZERO
    weights: dict[int, Element] = field(default_factory=dict)

    def column(self, number: int, factor: Element, vector: Sequence[Element]) -> None:
        box = self.instance.columns[number]
        for index, entry in zip(itertools.product(*map(range, box)), vector, strict=True):
            place = self.instance.places[(number, *index)]
            self.weights[place] = add(self.weights.get(place, ZERO), mul(factor, entry))


Load = tuple[Element, list[Element], list[Element]]
"""Factor, weights of the batch and of the channels of a node's T."""


def leaf_forms(instance: Instance, point: list[Element], drawn: list[Element]) -> tuple[Form, Form, dict[int, Load]]:
    """Numerator and denominator at a point; the denominator without what the linear nodes add."""
    alpha, wu, wv, ws = drawn
    numerator, denominator, loads = Form(instance), Form(instance, ONE), {}
    for index, node in enumerate(instance.nodes[:-1]):
        for column in (node.column, *node.limb_columns):
            leaf = instance.leaf_of[column]
            place, vector = instance.leaves.place(leaf, point), outer(instance.leaves.axes(leaf, point))
            mass = mul(place, add(ZERO, *vector))
            numerator.constant = add(numerator.constant, mass)
            table = node.table if column == node.column else 0
            denominator.constant = add(denominator.constant, mul(mass, sub(alpha, (1 + table, 0))))
            if column != node.column:
                denominator.column(column, scale(mul(wu, place), -1), vector)
        leaf = instance.leaf_of[node.column]
        place, axes = instance.leaves.place(leaf, point), instance.leaves.axes(leaf, point)
        vector = outer(axes)
        denominator.column(node.column, scale(mul(wv, place), -1), vector)
        if node.two_sided:
            denominator.column(node.sign, scale(mul(ws, place), -1), vector)
        key = scale(mul(wu, place), -1)
        shift = node.limbs * instance.limb_bits
        unit = scale(key, pow(2**shift, -1, P))
        for number, column in enumerate(node.limb_columns):
            denominator.column(column, scale(unit, -(2 ** (number * instance.limb_bits))), vector)
        if not node.two_sided:
            denominator.constant = add(denominator.constant, mul(scale(key, node.zero), add(ZERO, *vector)))
        loads[index] = (unit, axes[0], axes[1])
    for number, (table, column) in enumerate(zip(instance.tables, instance.counts, strict=True)):
        leaf = instance.leaf_of[column]
        place, (vector,) = instance.leaves.place(leaf, point), instance.leaves.axes(leaf, point)
        numerator.column(column, scale(place, -1), vector)
        for entry, (u, v, s) in zip(vector, table.rows, strict=True):
            print_ = add((number, 0), scale(wu, u), scale(wv, v), scale(ws, s))
            denominator.constant = add(denominator.constant, mul(place, entry, sub(sub(alpha, ONE), print_)))
    return numerator, denominator, loads


def product_forms(
    instance: Instance, loads: dict[int, Load], point: list[Element], inputs: list[list[int]]
) -> tuple[dict[int, Element], Form]:
    """The left table (weights of the committed weights) and the right one (a form of the witness) at a point."""
    left: dict[int, Element] = {}
    right = Form(instance)

    def weigh(number: int, index: tuple[int, ...], value: Element) -> None:
        place = instance.weight_places[(number, *index)]
        left[place] = add(left.get(place, ZERO), value)

    for index, (factor, batch, channels) in loads.items():
        node, (kernel, bias, step) = instance.nodes[index], instance.boxes[index]
        place, (depth,) = instance.products.place(kernel, point), instance.products.axes(kernel, point)
        for (c, one), (i, other) in itertools.product(enumerate(channels), enumerate(depth)):
            weigh(instance.weight_of[index, "kernel"], (c, i), mul(factor, place, one, other))
        zero = instance.nodes[index - 1].zero if index else instance.input_zero
        seen = outer([batch, depth])
        if index:
            right.column(instance.nodes[index - 1].column, place, seen)
        else:
            flat = [x for row in inputs for x in row]
            right.constant = add(right.constant, *(scale(mul(place, w), x) for w, x in zip(seen, flat, strict=True)))
        right.constant = sub(right.constant, scale(mul(place, add(ZERO, *seen)), zero))
        place = instance.products.place(bias, point)
        for c, one in enumerate(channels):
            weigh(instance.weight_of[index, "bias"], (c,), mul(factor, place, one))
        right.constant = add(right.constant, mul(place, add(ZERO, *batch)))
        if node.two_sided:
            place, (own,) = instance.products.place(step, point), instance.products.axes(step, point)
            for c, (one, other) in enumerate(zip(channels, own, strict=True)):
                weigh(instance.weight_of[index, "step"], (c,), scale(mul(factor, place, one, other), -1))
            right.column(node.sign, place, outer([batch, own]))
    return left, right


def statement(given: dict[str, bytes], record: dict[int, Any]) -> bytes:
    def tagged(tag: bytes, *parts: bytes) -> bytes:
        return hashlib.sha256(b"vcompute/" + tag + b"/1\0" + b"".join(parts)).digest()

    def blob(data: bytes) -> bytes:
        demand(len(data) <= 1 << 16, "more than a chunk")
        root = hashlib.sha256(b"\0" + data).digest()
        return tagged(b"blob", len(data).to_bytes(8, "big") + (1 << 16).to_bytes(4, "big"), root)

    model = tagged(b"model", tagged(b"graph", record[2]), record[3])
    inputs, outputs = given["inputs"], given["outputs"]
    fields = (model, cbor2.loads(inputs)[0], blob(inputs), blob(outputs), given["context"])
    return cbor2.dumps(dict(enumerate(fields)), canonical=True)


def accumulators_of(revealed: bytes, node: Node, outputs: list[int]) -> list[int]:
    """The accumulators of the last node, which must give the outputs."""
    found = signed(revealed, 4)
    for place, (accumulator, output) in enumerate(zip(found, outputs, strict=True)):
        multiplier, shift = (row[place % node.width] for row in node.clear)
        product = accumulator * 2 ** max(shift, 0) * multiplier
        if node.rounding == 1:
            product, shift = product + 2**30 >> 31, max(-shift, 0)
            half = 2**shift // 2
            rounded = product + half >> shift if product >= 0 else -(-product + half >> shift)
        else:
            rounded = accumulator * multiplier + 2 ** (30 - shift) >> 31 - shift
        demand(min(max(rounded + node.zero, node.low), node.high) == output, "accumulators of other outputs")
    return found


def verify(given: dict[str, bytes]) -> list[dict[str, Any]]:
    """Every step; Refused where the proof does not convince. Numbers as in the chapter."""
    record, envelope = (cbor2.loads(given[name]) for name in ("commitment", "proof"))
    about = statement(given, record)
    demand(envelope[2] == 3 and envelope[3] == record[4] == TINY["number"], "another suite or set")
    demand(envelope[4] == hashlib.sha256(b"vcompute/statement/1\0" + about).digest(), "another statement")
    # 1.
    transcript = Transcript(envelope[5])
    demand(transcript.receive(1, "header", 2) == bytes([1, 1]), "another format or mode")
    samples, (tensor,) = cbor2.loads(given["inputs"]).values()
    instance = Instance(record, samples)
    flat = signed(tensor[2], 1)
    inputs = [flat[at : at + len(flat) // samples] for at in range(0, len(flat), len(flat) // samples)]
    shapes = [shape_of(instance.length, True), shape_of(instance.weight_length, False)]
    transcript.integer("proof format", 1)
    transcript.absorb(1, "weights root", record[8])
    parameters(transcript, shapes)
    transcript.absorb(1, "statement", about)
    transcript.integer("limb bits", instance.limb_bits)
    for item in record[6]:
        transcript.integer("node", item[0])
        transcript.absorb(1, "constants", cbor2.dumps(item[1], canonical=True))
    for item in record[7]:
        transcript.integer("constant", item[0])
        transcript.absorb(1, "constant in clear", item[1])
    # 2.
    last = instance.nodes[-1]
    revealed = transcript.receive(1, "revealed", 4 * samples * last.width)
    accumulators = accumulators_of(revealed, last, signed(cbor2.loads(given["outputs"])[1][0][2], 1))
    # 3.
    witness = Oracle(*shapes[0], False, transcript.digests("root", 1)[0])
    # 4.
    drawn = transcript.challenges("lookup", 4)
    point, numerator, denominator = fractions(transcript, instance.leaves.variables)
    transcript.note("leaf point", *point)
    transcript.note("numerator and denominator", numerator, denominator)
    # 5.
    top, bottom, loads = leaf_forms(instance, point, drawn)
    (loaded,) = transcript.elements("linear sum", 1)
    # 6.
    factor = transcript.challenge("accumulators")
    box = Stack([(samples, last.width)])
    batch, channels = box.axes(0, transcript.challenges("point of a public value", box.variables))
    public = mul(factor, dot(outer([batch, channels]), [(x % P, 0) for x in accumulators]))
    loads[len(instance.nodes) - 1] = (factor, batch, channels)
    # 7.
    transcript.note("linear sum and public sum", loaded, public)
    running, ends = add(loaded, public), []
    for _ in range(instance.products.variables):
        zero, leading = transcript.elements("product sumcheck", 2)
        r = transcript.challenge("product sumcheck")
        running = add(zero, mul(r, add(sub(running, add(zero, zero, leading)), mul(r, leading))))
        ends.append(r)
    transcript.note("product point", *ends)
    transcript.note("product", running)
    (right_value,) = transcript.elements("right table", 1)
    left, right = product_forms(instance, loads, ends, inputs)
    (left_value,) = transcript.elements("left table", 1)
    demand(mul(left_value, right_value) == running, "products that do not end at the weights")
    # 8.
    claims = [
        (0, top.weights, sub(numerator, top.constant)),
        (0, bottom.weights, sub(sub(denominator, loaded), bottom.constant)),
        (0, right.weights, sub(right_value, right.constant)),
        (1, left, left_value),
    ]
    open_claims(transcript, [witness, Oracle(*shapes[1], False, record[8])], claims)
    demand(transcript.place == len(transcript.proof), "bytes after the last message")
    return transcript.steps
