# SPDX-License-Identifier: Apache-2.0
"""The verifier of logUp-GKR; :mod:`vcompute.proof.succinct.lookup.prove` says what is sent."""

from vcompute.errors import Rejected
from vcompute.field import ONE, ZERO, Ext
from vcompute.registry import ErrorCode
from vcompute.transcript import VerifierTranscript


def verify(transcript: VerifierTranscript, variables: int) -> tuple[list[Ext], Ext, Ext]:
    """The point of the leaves, and what numerator and denominator must be there.

    Raises:
        Rejected: lookup_sum where the fractions do not add up to 0 / d with d other than 0, sumcheck where a layer's
            claim does not follow from the one below.
    """
    point: list[Ext] = []
    numerator, denominator = ZERO, ONE
    for s in range(variables - 1, -1, -1):
        running, scale = ZERO, ZERO
        if point:
            scale = transcript.challenge("fraction layer")
            running, point = _rounds(transcript, numerator + scale * (denominator - ONE), point)
        n0, n1, d0, d1 = transcript.receive_ext("fraction pair", 4)
        if s == variables - 1:
            if n0 * d1 + n1 * d0 != ZERO or d0 * d1 == ZERO:
                raise Rejected("the lookups' fractions do not add up to zero", code=ErrorCode.LOOKUP_SUM)
        elif running != n0 * d1 + n1 * d0 + scale * (d0 * d1 - ONE):
            raise Rejected("a layer of fractions does not follow from the one below", code=ErrorCode.SUMCHECK)
        r = transcript.challenge("fraction pair")
        numerator, denominator = n0 + r * (n1 - n0), d0 + r * (d1 - d0)
        point = [r, *point]
    return point, numerator, denominator


def _rounds(transcript: VerifierTranscript, running: Ext, claimed: list[Ext]) -> tuple[Ext, list[Ext]]:
    point = []
    for z in claimed:
        at_zero, leading = transcript.receive_ext("fraction sumcheck", 2)
        r = transcript.challenge("fraction sumcheck")
        if z == ZERO:
            raise Rejected("a challenge of zero leaves a round undetermined", code=ErrorCode.SUMCHECK)
        at_one = (running - (ONE - z) * at_zero) / z
        running = at_zero + r * (at_one - at_zero - leading + r * leading)
        point.append(r)
    return running, point
