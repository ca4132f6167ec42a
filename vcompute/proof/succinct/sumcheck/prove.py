# SPDX-License-Identifier: Apache-2.0
"""The prover of a sum of products: claim = sum over the cube of A * B, two stacked tables that are 0 off the boxes.

Each round binds the next variable. With h(X) the sum with that variable at X, of degree 2, the prover sends h(0) and
the leading coefficient; h(1) = claim - h(0) follows.
"""

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
        step_a, step_b = backend.sub(high_a, low_a), backend.sub(high_b, low_b)
        transcript.send_ext("product sumcheck", [backend.dot_ext(low_a, low_b), backend.dot_ext(step_a, step_b)])
        r = transcript.challenge("product sumcheck")
        point.append(r)
        at = to_array([r])
        left = backend.add(low_a, backend.ext_mul(step_a, at))
        right = backend.add(low_b, backend.ext_mul(step_b, at))
    return point, from_array(left)[0], from_array(right)[0]
