# SPDX-License-Identifier: Apache-2.0
"""The receipt: what the settlement did, with the signed evidence inside, checkable by anyone offline."""

from dataclasses import dataclass
from typing import Final

from vcompute.codec import Array, Enum, Int, Record, Uint, field
from vcompute.identity.quorum import QuorumCertificate
from vcompute.messages.draw import MAX_PARTIES
from vcompute.messages.flow import ENVELOPE
from vcompute.messages.primitives import AMOUNT, DIGEST, TIME
from vcompute.registry import Outcome

MAX_ROTATED: Final = 64
"""Rotations that a receipt names."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A movement of money, signed by the settlement."""

    task: bytes = field(0, DIGEST, "task")
    outcome: Outcome = field(1, Enum(Outcome), "what happened")
    requester: bytes = field(2, DIGEST, "who offered")
    amount: int = field(3, AMOUNT, "moved out of escrow: paid or refunded")
    bond: int = field(4, AMOUNT, "moved out of bond: returned or slashed")
    work_units: int = field(5, Int(0, 2**62), "work units paid for; 0 where nothing was")
    time: int = field(6, TIME, "when")
    entry: int = field(7, Uint(53), "last journal entry of the movement")
    verdicts: tuple[bytes, ...] = field(8, Array(ENVELOPE, 0, 32), "the signed Verdicts that released or slashed")
    worker: bytes | None = field(9, DIGEST, "who worked", optional=True)
    lease: bytes | None = field(10, DIGEST, "lease", optional=True)
    result: bytes | None = field(11, ENVELOPE, "the signed Result", optional=True)
    certificate: QuorumCertificate | None = field(
        12, Record(QuorumCertificate), "in the place of the Verdicts, where the offer has a set", optional=True
    )
    challenge: bytes | None = field(13, ENVELOPE, "the signed Challenge of the result", optional=True)
    draw: tuple[bytes, ...] | None = field(
        14, Array(ENVELOPE, 1, 2 * MAX_PARTIES), "the signed commitments and nonces of the draw", optional=True
    )
    rotations: tuple[bytes, ...] | None = field(
        15,
        Array(DIGEST, 1, MAX_ROTATED),
        "digests of the signed Rotations from the names in this receipt and its offer to the keys that signed",
        optional=True,
    )
