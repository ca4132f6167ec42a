# SPDX-License-Identifier: Apache-2.0
"""The messages of a task on its way: assignment, lease, result, judgement."""

from dataclasses import dataclass

from vcompute.codec import Bool, Bytes, Enum, Int, Record, Uint, field
from vcompute.identity.bls import SIGNATURE_SIZE
from vcompute.messages.offer import SuiteChoice
from vcompute.messages.primitives import AMOUNT, CODE, DIGEST, DURATION, BlobRef
from vcompute.registry import Basis, ErrorCode, YieldReason

ENVELOPE = Bytes(1, 8192)
"""A signed message inside another, as received."""
LONG_ENVELOPE = Bytes(1, 1 << 14)
"""A signed message that holds others, as received."""


@dataclass(frozen=True, slots=True)
class Assign:
    """The coordinator's turn of an offer to one worker."""

    offer: bytes = field(0, ENVELOPE, "the signed Offer")
    attempt: int = field(1, Uint(32), "rises with each assignment of the task")
    escrow: int = field(2, AMOUNT, "what the settlement holds for it")


@dataclass(frozen=True, slots=True)
class Accept:
    """The signer takes the task and puts up its bond. The digest of the signed Accept names the lease."""

    task: bytes = field(0, DIGEST, "task")
    attempt: int = field(1, Uint(32), "attempt accepted")
    bond: int = field(2, AMOUNT, "the offer's bond")


@dataclass(frozen=True, slots=True)
class Decline:
    """An offer or an assignment is not taken."""

    task: bytes = field(0, DIGEST, "task")
    attempt: int = field(1, Uint(32), "attempt declined; 0 where the offer itself is")
    code: ErrorCode = field(2, CODE, "why")
    retry_after: int | None = field(3, DURATION, "when to try again", optional=True)


@dataclass(frozen=True, slots=True)
class Progress:
    """Renews a lease."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    sequence: int = field(2, Uint(32), "rises with each renewal")
    permille: int = field(3, Int(0, 1000), "share done, a guess")


@dataclass(frozen=True, slots=True)
class Yield:
    """Gives a lease back without fault."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    reason: YieldReason = field(2, Enum(YieldReason), "why")


@dataclass(frozen=True, slots=True)
class Result:
    """The signer's commitment to outputs and proof, bound to its key and the lease."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    outputs: BlobRef = field(2, Record(BlobRef), "output batch")
    suite: SuiteChoice = field(3, Record(SuiteChoice), "suite the proof is for")
    proof: BlobRef | None = field(4, Record(BlobRef), "proof; every suite of this version has one", optional=True)
    energy: int | None = field(5, Int(0, 2**53), "microjoules by the device's own account; informative", optional=True)


@dataclass(frozen=True, slots=True)
class Challenge:
    """The signer puts up the policy's stake and asks for the proof of one result."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    result: bytes = field(2, DIGEST, "digest of the signed Result")


@dataclass(frozen=True, slots=True)
class Answer:
    """The signer's proof of its result, once it is challenged or drawn."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    result: bytes = field(2, DIGEST, "digest of the signed Result")
    proof: BlobRef | None = field(3, Record(BlobRef), "proof, where the suite has one", optional=True)


@dataclass(frozen=True, slots=True)
class Check:
    """The evidence a verifier judges, as signed by requester and worker."""

    offer: bytes = field(0, ENVELOPE, "the signed Offer")
    accept: bytes = field(1, ENVELOPE, "the signed Accept")
    result: bytes = field(2, ENVELOPE, "the signed Result")
    answer: bytes | None = field(3, ENVELOPE, "the signed Answer, where the proof was asked for", optional=True)


@dataclass(frozen=True, slots=True)
class Verdict:
    """The signer's judgement of one result."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    result: bytes = field(2, DIGEST, "digest of the signed Result")
    accepted: bool = field(3, Bool(), "whether the result stands")
    basis: Basis = field(4, Enum(Basis), "what the judgement rests on")
    code: ErrorCode | None = field(5, CODE, "why not, where it does not stand", optional=True)
    share: bytes | None = field(
        6, Bytes(SIGNATURE_SIZE, SIGNATURE_SIZE), "the member's BLS signature, where the offer has a set", optional=True
    )


@dataclass(frozen=True, slots=True)
class Cancel:
    """A task or one lease of it ends."""

    task: bytes = field(0, DIGEST, "task")
    code: ErrorCode = field(1, CODE, "why")
    lease: bytes | None = field(2, DIGEST, "the lease; absent for the whole task", optional=True)
