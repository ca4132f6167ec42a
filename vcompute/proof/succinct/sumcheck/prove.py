# SPDX-License-Identifier: Apache-2.0
"""The prover of a sum of products: claim = sum over the cube of A * B, two stacked tables that are 0 off the boxes.

Each round binds the next variable. With h(X) the sum with that variable at X, of degree 2, the prover sends h(0) and
the leading coefficient; h(1) = claim - h(0) follows.
"""

from collections.abc import Sequence

import numpy as np

from vcompute.field import Backend, Ext, ExtWords, from_array, to_array
from vcompute.proof.succinct.stack import Stack
from vcompute.transcript import ProverTranscript

ZERO_VALUE = np.zeros(2, np.uint64)


def prove(
    transcript: ProverTranscript, stack: Stack, left: ExtWords, right: ExtWords, backend: Backend
) -> tuple[list[Ext], Ext, Ext]:
    """Prove the sum of ``left * right`` (level 0 tables); the point, and A and B there, which are not sent here."""
    point = []
    for s in range(stack.variables):
        low_a, high_a = stack.halves(left, s, ZERO_VALUE)
        low_b, high_b = stack.halves(right, s, ZERO_VALUE)
        transcript.send_ext("product sumcheck", backend.round_halves((low_a, low_b), (high_a, high_b)))
        r = transcript.challenge("product sumcheck")
        point.append(r)
        left, right = backend.fold_halves(low_a, high_a, r), backend.fold_halves(low_b, high_b, r)
    return point, from_array(left)[0], from_array(right)[0]


def prove_triple(
    transcript: ProverTranscript, stack: Stack, tables: Sequence[ExtWords], backend: Backend
) -> tuple[list[Ext], list[Ext]]:
    """Prove the sum of ``a * b * c`` (level 0 tables); the point, and the three values there, which are not sent here.

    With h(X) = h0 + h1 X + h2 X^2 + h3 X^3 the sum with the next variable at X, h0, h2 and h3 are sent; h1 follows.
    """
    point = []
    for s in range(stack.variables):
        halves = [stack.halves(table, s, ZERO_VALUE) for table in tables]
        (a, b, c), (da, db, dc) = [low for low, _ in halves], [backend.sub(high, low) for low, high in halves]
        crossed = backend.add(backend.ext_mul(a, db), backend.ext_mul(da, b))
        steps = backend.ext_mul(da, db)
        message = [
            backend.dot_ext(backend.ext_mul(a, b), c),
            backend.dot_ext(crossed, dc) + backend.dot_ext(steps, c),
            backend.dot_ext(steps, dc),
        ]
        transcript.send_ext("bilinear sumcheck", message)
        point.append(transcript.challenge("bilinear sumcheck"))
        at = to_array([point[-1]])
        tables = [
            backend.add(low, backend.ext_mul(step, at)) for low, step in zip((a, b, c), (da, db, dc), strict=True)
        ]
    return point, [from_array(table)[0] for table in tables]
