# SPDX-License-Identifier: Apache-2.0
"""The prover of logUp-GKR (eprint 2023/1284) over a stack of fractions.

Leaves are fractions numerator / denominator. Level s + 1 adds level s in pairs, the two values of variable s:
n = n0 * d1 + n1 * d0 and d = d0 * d1. The top is one fraction, which must be 0 / d with d other than 0. From the top
down, a claim (n, d) at a point of level s + 1 becomes one at a point of level s: with a challenge lambda,

    n + lambda * (d - 1) = sum over x of eq(point, x) * (n0 * d1 + n1 * d0 + lambda * (d0 * d1 - 1))(x),

a sumcheck whose terms vanish off the boxes, where fractions are 0 / 1. A round's polynomial is eq(r, X) * h(X) with h
of degree 2: h(0) and its leading coefficient are sent, h(1) follows from the claim. The four values at the end are
sent, and a last challenge joins each pair.
"""

from dataclasses import dataclass

import numpy as np

from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, from_array, to_array
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript

NOTHING = np.array([0, 0], np.uint64)
ONE_VALUE = np.array([1, 0], np.uint64)


@dataclass(frozen=True, slots=True)
class Layer:
    """A level of the tree, split by its first variable."""

    n0: ExtWords
    n1: ExtWords
    d0: ExtWords
    d1: ExtWords


def build(stack: Stack, numerators: ExtWords, denominators: ExtWords, backend: Backend) -> list[Layer]:
    """Every level of the tree from the leaves (level 0) up."""
    layers = []
    for s in range(stack.variables):
        n0, n1 = stack.halves(numerators, s, NOTHING)
        d0, d1 = stack.halves(denominators, s, ONE_VALUE)
        layers.append(Layer(n0, n1, d0, d1))
        numerators = backend.add(backend.ext_mul(n0, d1), backend.ext_mul(n1, d0))
        denominators = backend.ext_mul(d0, d1)
    return layers


def prove(
    transcript: ProverTranscript, stack: Stack, layers: list[Layer], backend: Backend
) -> tuple[list[Ext], Ext, Ext]:
    """Prove that the fractions add up to 0 / d; the point of the leaves, and numerator and denominator there."""
    point: list[Ext] = []
    numerator, denominator = ZERO, ONE
    for s in range(stack.variables - 1, -1, -1):
        layer = layers[s]
        if point:
            layer, point = _sumcheck(transcript, stack, s + 1, layer, point, backend)
        n0, n1, d0, d1 = (from_array(table)[0] for table in (layer.n0, layer.n1, layer.d0, layer.d1))
        transcript.send_ext("fraction pair", [n0, n1, d0, d1])
        r = transcript.challenge("fraction pair")
        numerator, denominator = n0 + r * (n1 - n0), d0 + r * (d1 - d0)
        point = [r, *point]
    return point, numerator, denominator


def _sumcheck(
    transcript: ProverTranscript, stack: Stack, s: int, layer: Layer, claimed: list[Ext], backend: Backend
) -> tuple[Layer, list[Ext]]:
    """The rounds of one layer, its tables in the shape of level s: the tables at the end, and the point."""
    scale = transcript.challenge("fraction layer")
    at = to_array([scale])
    # n0 d1 + n1 d0 + lambda d0 d1 = (n0 + lambda d0) d1 + n1 d0: two products instead of three.
    tables = [backend.add(layer.n0, backend.ext_mul(layer.d0, at)), layer.d1, layer.n1, layer.d0]
    defaults = [at[0], ONE_VALUE, NOTHING, ONE_VALUE]
    point = []
    for index in range(len(claimed)):
        pairs = [stack.halves(t, s + index, d) for t, d in zip(tables, defaults, strict=True)]
        weights = stack.eq(s + index + 1, claimed[index + 1 :], backend)
        low = [pair[0] for pair in pairs]
        step = [backend.sub(pair[1], pair[0]) for pair in pairs]
        at_zero = backend.sub(_terms(low, backend), at)
        transcript.send_ext(
            "fraction sumcheck", [backend.dot_ext(weights, at_zero), backend.dot_ext(weights, _terms(step, backend))]
        )
        r = transcript.challenge("fraction sumcheck")
        point.append(r)
        bound = to_array([r])
        tables = [backend.add(a, backend.ext_mul(b, bound)) for a, b in zip(low, step, strict=True)]
    joined, d1, n1, d0 = tables
    return Layer(backend.sub(joined, backend.ext_mul(d0, at)), n1, d0, d1), point


def _terms(tables: list[ExtWords], backend: Backend) -> ExtWords:
    a, b, c, d = tables
    return backend.add(backend.ext_mul(a, b), backend.ext_mul(c, d))
