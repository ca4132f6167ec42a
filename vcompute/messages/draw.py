# SPDX-License-Identifier: Apache-2.0
"""The messages of a draw: commitments, nonces, and what the coordinator has of both."""

from dataclasses import dataclass
from typing import Final

from vcompute.codec import Array, Bool, Bytes, Kind, field
from vcompute.messages.primitives import DIGEST

MAX_PARTIES: Final = 8
"""The most parties of one draw."""
_RECORD: Final[Kind] = Bytes(1, 512)


@dataclass(frozen=True, slots=True)
class SampleCommit:
    """A party's commitment to its randomness for one result."""

    result: bytes = field(0, DIGEST, "digest of the worker's signed Result")
    commitment: bytes = field(1, DIGEST, "commitment to the nonce, bound to result and signer")


@dataclass(frozen=True, slots=True)
class SampleReveal:
    """The randomness behind a commitment."""

    result: bytes = field(0, DIGEST, "digest of the worker's signed Result")
    nonce: bytes = field(1, Bytes(32, 32), "the random bytes")


@dataclass(frozen=True, slots=True)
class Draw:
    """What the coordinator has of a draw, as signed by the parties."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    commits: tuple[bytes, ...] = field(2, Array(_RECORD, 0, MAX_PARTIES), "signed SampleCommits")
    reveals: tuple[bytes, ...] = field(3, Array(_RECORD, 0, MAX_PARTIES), "signed SampleReveals")
    closed: bool = field(4, Bool(), "no more is waited for: who is missing is silent")
