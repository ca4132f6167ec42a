# SPDX-License-Identifier: Apache-2.0
"""A verifier of succinct proofs, for every operator that the suite proves. Numbers as in the chapter."""

from typing import Any

import cbor2
from field import ONE, ZERO, Element, add, demand, inverse, mul, scale, sub, weigh
from form import Form, Values, Vector
from holder import Holder
from instance import Instance
from leaves import Leaves, Load
from opening import TINY, Oracle, open_claims, parameters, shape_of
from products import crossing_forms, product_forms
from public import Public, tensors
from semantics import blob, sha
from stack import Stack, outer
from transcript import Transcript

OPEN, CLOSED = 0, 1
"""Modes: the verifier evaluates the weights, or the proof opens their commitment."""


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


def sumcheck(
    transcript: Transcript, label: str, running: Element, variables: int, degree: int
) -> tuple[Vector, Element]:
    """The point, and what the product must be there; a message is h(0) and the coefficients from X^2 on."""
    point = []
    for _ in range(variables):
        zero, *higher = transcript.elements(label, degree)
        r = transcript.challenge(label)
        powers = [sub(running, add(zero, zero, *higher)), *higher]
        running = ZERO
        for coefficient in reversed(powers):
            running = mul(r, add(coefficient, running))
        running = add(zero, running)
        point.append(r)
    return point, running


def statement(holder: Holder, given: dict[str, bytes], samples: int) -> bytes:
    fields = (holder.digest, samples, blob(given["inputs"]), blob(given["outputs"]), given["context"])
    return cbor2.dumps(dict(enumerate(fields)), canonical=True)


class Verifier:
    """One verification: its transcript, instance and public values."""

    def __init__(self, holder: Holder, given: dict[str, bytes]) -> None:
        envelope, inputs, outputs = (cbor2.loads(given[name]) for name in ("proof", "inputs", "outputs"))
        self.samples, graph = inputs[0], holder.graph
        self.about = statement(holder, given, self.samples)
        demand(envelope[2] == 3 and envelope[3] == TINY["number"], "another suite or set")
        demand(envelope[4] == sha(b"vcompute/statement/1\0", self.about), "another statement")
        demand(outputs[0] == self.samples, "another number of samples")
        known = tensors(inputs, graph, list(range(graph.first)))
        self.holder, self.transcript = holder, Transcript(envelope[5])
        self.public = Public(holder, self.samples, tensors(outputs, graph, graph.outputs), known, {})
        self.values: Values = self.public.values

    def run(self) -> list[dict[str, Any]]:
        """Every step; Refused where the proof does not convince."""
        transcript, mode = self.transcript, CLOSED if self.holder.root else OPEN
        # 1.
        demand(transcript.receive(1, "header", 2) == bytes([1, mode]), "another format or mode")
        self.instance = instance = Instance(self.holder, self.samples)
        shapes = [shape_of(instance.layout.length, True)]
        if mode == CLOSED:
            shapes.append(shape_of(self.holder.weight_layout.length, False))
        self.absorb(shapes)
        # 2.
        self.public.compute(transcript.receive(1, "revealed", self.public.length()))
        # 3.
        witness = Oracle(*shapes[0], False, transcript.digests("root", 1)[0])
        # 4.
        drawn = transcript.challenges("lookup", 4)
        point, numerator, denominator = fractions(transcript, instance.leaves.variables)
        transcript.note("leaf point", *point)
        transcript.note("numerator and denominator", numerator, denominator)
        # 5.
        leaves = Leaves(instance, self.values, point, drawn)
        (loaded,) = transcript.elements("linear sum", 1)
        crossed, sums = self.crossings(leaves)
        sums += [(leaves.numerator, numerator), (leaves.denominator, sub(sub(denominator, crossed), loaded))]
        # 6.
        loads, total = self.revealed()
        bound = self.bound()
        # 7.
        transcript.note("linear sum and public sum", loaded, total)
        ends, product = sumcheck(transcript, "product sumcheck", add(loaded, total), instance.products.variables, 2)
        transcript.note("product point", *ends)
        transcript.note("product", product)
        (right_value,) = transcript.elements("right table", 1)
        left, right = product_forms(instance, {**leaves.loads, **loads}, ends, self.values)
        places = self.holder.weight_layout.places
        weights = {places[column][at]: weight for (column, at), weight in left.items()}
        if mode == CLOSED:
            (left_value,) = transcript.elements("left table", 1)
        else:
            left_value = add(ZERO, *(scale(weight, self.holder.table[place]) for place, weight in weights.items()))
        demand(mul(left_value, right_value) == product, "products that do not end at the weights")
        # 8.
        sums += [(right, right_value), *bound]
        claims = [(0, form.weights, sub(value, form.constant)) for form, value in sums]
        oracles = [witness]
        if mode == CLOSED:
            claims.append((1, weights, left_value))
            oracles.append(Oracle(*shapes[1], False, self.holder.root))
        open_claims(transcript, oracles, claims)
        demand(transcript.place == len(transcript.proof), "bytes after the last message")
        return transcript.steps

    def absorb(self, shapes: list[tuple[int, int]]) -> None:
        """The statement, VC-SUC-003."""
        transcript, holder = self.transcript, self.holder
        transcript.integer("proof format", 1)
        transcript.absorb(1, "weights root", holder.root)
        parameters(transcript, shapes)
        transcript.absorb(1, "statement", self.about)
        transcript.integer("limb bits", holder.limb_bits)
        for index, plan in holder.plans.items():
            transcript.integer("node", index)
            transcript.absorb(1, "constants", plan.encoded)
        for number, data in holder.constants.items():
            transcript.integer("constant", number)
            transcript.absorb(1, "constant in clear", data)

    def crossings(self, leaves: Leaves) -> tuple[Element, list[tuple[Form, Element]]]:
        """Step 5 for products of two values: their part of the denominator, and both operands at one point."""
        if not self.instance.crossed:
            return ZERO, []
        transcript, variables = self.transcript, self.instance.crossings.variables
        (crossed,) = transcript.elements("bilinear sum", 1)
        point, product = sumcheck(transcript, "bilinear sumcheck", crossed, variables, 3)
        first, second = transcript.elements("bilinear operands", 2)
        found = crossing_forms(self.instance, leaves.crossed, point, self.values)
        demand(mul(found.weight, first, second) == product, "products that do not end at two values")
        return crossed, [(found.left, first), (found.right, second)]

    def revealed(self) -> tuple[dict[int, Load], Element]:
        """Step 6: a load for each revealed node at a point of its own, and what they come to."""
        loads, total, graph = {}, ZERO, self.instance.graph
        for number, accumulators in self.public.accumulators.items():
            factor = self.transcript.challenge("accumulators")
            axes = self._axes(number)
            seen = weigh(outer(axes), accumulators)
            loads[number - graph.first] = Load(factor, axes)
            total = add(total, mul(factor, seen))
        return loads, total

    def bound(self) -> list[tuple[Form, Element]]:
        """Step 6: every proved value that is public, at a point of its own."""
        claims = []
        for number in sorted(self.instance.graph.bound):
            vector, form = outer(self._axes(number)), Form(self.instance, self.values)
            form.value(number, ONE, vector)
            claims.append((form, weigh(vector, self.values[number])))
        return claims

    def _axes(self, number: int) -> list[Vector]:
        """The weights of samples and of each axis of a value at a point that is drawn."""
        graph = self.instance.graph
        stack = Stack([self.instance.box(number - graph.first)])
        point = self.transcript.challenges("point of a public value", stack.variables)
        return self.instance.by_axis(number - graph.first, stack.axes(0, point))


def verify(holder: Holder, given: dict[str, bytes]) -> list[dict[str, Any]]:
    """Every step; Refused where the proof does not convince."""
    return Verifier(holder, given).run()
