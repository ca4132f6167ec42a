# SPDX-License-Identifier: Apache-2.0
"""What a session asks its driver to do.

A driver stores every :class:`Save` of a step in one transaction before it does anything else of the step; everything
else may be lost at any time and is asked for again by the session after a restart.
"""

from dataclasses import dataclass
from enum import Enum, unique
from typing import Any, TypeAlias

from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages import Answer, BlobRef, Offer, Opening, Result, Signed
from vcompute.registry import Role


@unique
class Operation(Enum):
    """What a settlement is asked."""

    OPEN = "open"
    BOND = "bond"
    RENEW = "renew"
    COMMIT = "commit"
    DRAW = "draw"
    CHALLENGE = "challenge"
    ANSWER = "answer"
    SETTLE = "settle"
    RELEASE = "release"
    REFUND = "refund"


@dataclass(frozen=True, slots=True)
class Send:
    """Send a message; ``to`` is the party's thumbprint, or None for this party's coordinator."""

    to: bytes | None
    data: bytes


@dataclass(frozen=True, slots=True)
class Save:
    """Store a record under its kind and key before anything else of this step is done.

    A ``final`` record changes no more: it need not come back after a restart, and only as many of them are kept as
    the driver likes to answer those who ask late.
    """

    kind: str
    key: bytes
    record: Any
    final: bool = False


@dataclass(frozen=True, slots=True)
class Stage:
    """Report ``staged`` for ``task`` once all these blobs are held here; accept uploads of them."""

    task: bytes
    blobs: tuple[BlobRef, ...]


@dataclass(frozen=True, slots=True)
class Publish:
    """Upload these blobs to the coordinator, as far as it wants them."""

    task: bytes
    blobs: tuple[BlobRef, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A task to run, or one that was run and is to be judged."""

    task: bytes
    lease: bytes
    worker: bytes
    offer: Signed[Offer]
    opening: Signed[Opening] | None = None
    """The opening of confidential inputs for this party."""

    @property
    def context(self) -> bytes:
        """What proofs of this job are bound to: task, then worker."""
        return self.task + self.worker


@dataclass(frozen=True, slots=True)
class Run:
    """Fetch model and inputs, run the job, report ``computed`` or ``failed``."""

    job: Job


@dataclass(frozen=True, slots=True)
class Seal:
    """Seal a task's inputs to a reader's key, report ``sealed``."""

    task: bytes
    lease: bytes
    reader: bytes
    role: Role
    key: bytes


@dataclass(frozen=True, slots=True)
class Abort:
    """Stop running a lease; its result no longer counts."""

    lease: bytes


@dataclass(frozen=True, slots=True)
class Prove:
    """Prove the result of a job that was run, report ``proved``."""

    job: Job
    result: Signed[Result]


@dataclass(frozen=True, slots=True)
class Judge:
    """Fetch what the result names, check it, report ``judged``. The proof is the Answer's where there is one; to watch
    is to run the model again without any proof."""

    job: Job
    result: Signed[Result]
    answer: Signed[Answer] | None = None
    watch: bool = False

    @property
    def proof(self) -> BlobRef | None:
        """The proof to check."""
        return self.result.body.proof if self.answer is None else self.answer.body.proof


@dataclass(frozen=True, slots=True)
class Call:
    """Ask the settlement; report ``answered``, ``refused`` or ``unknown``. ``lease`` and ``data`` as the operation
    needs them."""

    operation: Operation
    task: bytes
    lease: bytes | None
    data: bytes | None


@dataclass(frozen=True, slots=True)
class Record:
    """Ask the settlement to record a change of a party's keys; report ``recorded`` once it has. Where it refuses or
    does not answer, nothing is reported: the sender asks again."""

    record: KeyRecord


@dataclass(frozen=True, slots=True)
class Closed:
    """A task came to its end here."""

    task: bytes


Action: TypeAlias = Send | Save | Stage | Publish | Run | Abort | Prove | Seal | Judge | Call | Record | Closed
