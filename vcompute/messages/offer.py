# SPDX-License-Identifier: Apache-2.0
"""The offer: one task, its terms and its verification policy. The task's id is the digest of the signed offer."""

from dataclasses import dataclass
from typing import Final, TypeAlias

from vcompute.codec import Array, Bool, Bytes, Int, Kind, Record, Variant, field
from vcompute.identity.quorum import VerifierSet
from vcompute.messages.primitives import (
    AMOUNT,
    DIGEST,
    DURATION,
    EXTENSIONS,
    ID16,
    NONCE,
    TIME,
    BlobRef,
    Extension,
)
from vcompute.registry import PARAMETER_SETS, ParameterSetId

RATE_ONE: Final = 1 << 16
"""A sampling rate is in 1/65536; this is every task."""


@dataclass(frozen=True, slots=True)
class SuiteChoice:
    """A verification suite under a parameter set."""

    suite: int = field(0, ID16, "suite")
    parameter_set: int = field(1, ID16, "parameter set")

    @classmethod
    def of(cls, parameter_set: ParameterSetId) -> "SuiteChoice":
        """A registered parameter set and the suite it belongs to."""
        return cls(int(PARAMETER_SETS[parameter_set].suite), int(parameter_set))


_SUITES: Final[Kind] = Array(Record(SuiteChoice), 1, 16)


@dataclass(frozen=True, slots=True)
class Always:
    """Pay on a checked result: a verified proof or a recomputation."""

    suites: tuple[SuiteChoice, ...] = field(0, _SUITES, "suites admitted")


@dataclass(frozen=True, slots=True)
class Sampled:
    """Check a share of the tasks, drawn after the worker's commitment; pay the others as not sampled."""

    suites: tuple[SuiteChoice, ...] = field(0, _SUITES, "suites admitted where drawn")
    rate: int = field(1, Int(1, RATE_ONE), "share checked, in 1/65536; never zero")
    reveal_within: int = field(2, DURATION, "time for each side to reveal its randomness")
    stake: int = field(3, AMOUNT, "bond of requester and verifier, lost by who does not reveal")


@dataclass(frozen=True, slots=True)
class OnChallenge:
    """Pay unchallenged results after a window; a challenge is answered with a proof or the bond is lost."""

    suites: tuple[SuiteChoice, ...] = field(0, _SUITES, "suites admitted as an answer")
    window: int = field(1, DURATION, "time for challenges after the commitment")
    answer_within: int = field(2, DURATION, "time for the worker's proof")
    stake: int = field(3, AMOUNT, "what a challenger puts up")


Policy: TypeAlias = Always | Sampled | OnChallenge
POLICY: Final[Kind] = Variant("policy", ((1, Always), (2, Sampled), (3, OnChallenge)))


@dataclass(frozen=True, slots=True)
class Confidential:
    """The inputs are named by a salted commitment and opened to readers alone."""

    verifiers: bool = field(0, Bool(), "verifiers that check the task are readers too; else the worker alone")


@dataclass(frozen=True, slots=True)
class Offer:
    """A task offered by its signer, the requester."""

    nonce: bytes = field(0, NONCE, "fresh for each offer")
    settlement: bytes = field(1, DIGEST, "key of the settlement that holds the escrow")
    model: BlobRef = field(2, Record(BlobRef), "model file")
    inputs: BlobRef = field(3, Record(BlobRef), "input batch")
    batch: int = field(4, Int(1, 1 << 16), "samples")
    work_units: int = field(5, Int(1, 2**62), "work units of the whole batch, computed from the graph")
    policy: Policy = field(6, POLICY, "verification policy")
    verifiers: tuple[bytes, ...] = field(7, Array(DIGEST, 1, 32), "keys that may sign verdicts")
    quorum: int = field(8, Int(1, 32), "verdicts needed that agree")
    price: int = field(9, AMOUNT, "paid to the worker")
    bond: int = field(10, AMOUNT, "put up by the worker")
    deadline: int = field(11, TIME, "when an unpaid escrow goes back")
    lease: int = field(12, DURATION, "how long a lease stands without renewal")
    verdict_within: int = field(13, DURATION, "time for a verdict after the result")
    extensions: tuple[Extension, ...] = field(14, EXTENSIONS, "extensions")
    memo: bytes | None = field(15, Bytes(0, 64), "the requester's own reference", optional=True)
    verifier_set: VerifierSet | None = field(
        16, Record(VerifierSet), "BLS keys of the verifiers, whose verdicts add up to a certificate", optional=True
    )
    confidential: Confidential | None = field(
        17, Record(Confidential), "the digest of the inputs is a salted commitment", optional=True
    )
    fallback: tuple[bytes, ...] | None = field(
        18, Array(DIGEST, 1, 8), "keys of which one judges where the verifiers are silent", optional=True
    )
