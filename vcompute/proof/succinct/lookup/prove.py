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

from vcompute.field import Ext
from vcompute.proof.succinct.lookup.tree import Pair, Tree
from vcompute.transcript import ProverTranscript


def prove(transcript: ProverTranscript, tree: Tree) -> tuple[list[Ext], Ext, Ext]:
    """Prove that the fractions add up to 0 / d; the point of the leaves, and numerator and denominator there."""
    pair = tree.top()
    point = tree.upper_layers(transcript, _joining(transcript, pair))
    for s in range(tree.variables - 1 - len(point), -1, -1):
        rounds = tree.layer(s, transcript.challenge("fraction layer"), point)
        point = rounds.run(transcript)
        pair = rounds.ends()
        point = [_joining(transcript, pair), *point]
    n0, n1, d0, d1 = pair
    return point, n0 + point[0] * (n1 - n0), d0 + point[0] * (d1 - d0)


def _joining(transcript: ProverTranscript, pair: Pair) -> Ext:
    """Send a layer's two fractions; the challenge that joins them."""
    transcript.send_ext("fraction pair", pair)
    return transcript.challenge("fraction pair")
