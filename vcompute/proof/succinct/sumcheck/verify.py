# SPDX-License-Identifier: Apache-2.0
"""The verifier of a sum of products; :mod:`vcompute.proof.succinct.sumcheck.prove` says what is sent."""

from vcompute.field import Ext
from vcompute.transcript import VerifierTranscript


def verify(transcript: VerifierTranscript, claim: Ext, variables: int) -> tuple[list[Ext], Ext]:
    """The point, and what A * B must be there."""
    point = []
    for _ in range(variables):
        at_zero, leading = transcript.receive_ext("product sumcheck", 2)
        r = transcript.challenge("product sumcheck")
        point.append(r)
        slope = claim - at_zero - at_zero - leading
        claim = at_zero + r * (slope + r * leading)
    return point, claim
