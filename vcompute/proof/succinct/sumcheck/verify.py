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


def verify_triple(transcript: VerifierTranscript, claim: Ext, variables: int) -> tuple[list[Ext], Ext]:
    """The point, and what a * b * c must be there."""
    point = []
    for _ in range(variables):
        at_zero, square, cube = transcript.receive_ext("bilinear sumcheck", 3)
        r = transcript.challenge("bilinear sumcheck")
        point.append(r)
        slope = claim - at_zero - at_zero - square - cube
        claim = at_zero + r * (slope + r * (square + r * cube))
    return point, claim
