# SPDX-License-Identifier: Apache-2.0
"""The verifier of logUp-GKR; :mod:`vcompute.proof.succinct.lookup.prove` says what is sent."""

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
            message = "the lookups' fractions do not add up to zero"
            transcript.require_equal(n0 * d1 + n1 * d0, ZERO, ErrorCode.LOOKUP_SUM, message)
            transcript.require_nonzero(d0 * d1, ErrorCode.LOOKUP_SUM, message)
        else:
            transcript.require_equal(
                running, n0 * d1 + n1 * d0 + scale * (d0 * d1 - ONE), ErrorCode.SUMCHECK,
                "a layer of fractions does not follow from the one below",
            )  # fmt: skip
        r = transcript.challenge("fraction pair")
        numerator, denominator = n0 + r * (n1 - n0), d0 + r * (d1 - d0)
        point = [r, *point]
        transcript.note("layer claim", [numerator, denominator])
    return point, numerator, denominator


def _rounds(transcript: VerifierTranscript, running: Ext, claimed: list[Ext]) -> tuple[Ext, list[Ext]]:
    point = []
    for z in claimed:
        at_zero, leading = transcript.receive_ext("fraction sumcheck", 2)
        r = transcript.challenge("fraction sumcheck")
        transcript.require_nonzero(z, ErrorCode.SUMCHECK, "a challenge of zero leaves a round undetermined")
        at_one = (running - (ONE - z) * at_zero) / z
        running = at_zero + r * (at_one - at_zero - leading + r * leading)
        point.append(r)
    return running, point
