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

from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, from_array, to_array
from vcompute.proof.succinct.rounds import NOTHING, ONE_VALUE, rounds
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript


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
        numerators, denominators = backend.add_fractions(n0, d0, n1, d1)
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
            (n0, n1, d0, d1), point = _sumcheck(transcript, stack, s + 1, layer, point, backend)
        else:
            n0, n1, d0, d1 = (from_array(table)[0] for table in (layer.n0, layer.n1, layer.d0, layer.d1))
        transcript.send_ext("fraction pair", [n0, n1, d0, d1])
        r = transcript.challenge("fraction pair")
        numerator, denominator = n0 + r * (n1 - n0), d0 + r * (d1 - d0)
        point = [r, *point]
    return point, numerator, denominator


def _sumcheck(
    transcript: ProverTranscript, stack: Stack, s: int, layer: Layer, claimed: list[Ext], backend: Backend
) -> tuple[list[Ext], list[Ext]]:
    """The rounds of one layer, its tables in the shape of level s: n0, n1, d0 and d1 at the end, and the point."""
    scale = transcript.challenge("fraction layer")
    # n0 d1 + n1 d0 + lambda d0 d1 = (n0 + lambda d0) d1 + n1 d0: two products instead of three.
    joined = backend.add(layer.n0, backend.ext_mul(layer.d0, to_array([scale])))
    state = rounds(stack, s, [joined, layer.d1, layer.n1, layer.d0], scale, claimed, backend)
    point = []
    for _ in claimed:
        transcript.send_ext("fraction sumcheck", state.message())
        point.append(transcript.challenge("fraction sumcheck"))
        state.bind(point[-1])
    first, d1, n1, d0 = state.ends()
    return [first - scale * d0, n1, d0, d1], point
