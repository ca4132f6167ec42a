# SPDX-License-Identifier: Apache-2.0
"""The interface of a settlement.

Evidence is signed messages as received; a settlement checks every signature and rule itself and trusts no caller.
Each operation is idempotent: the same evidence again gives the identical answer and moves nothing. Time is an
argument, in milliseconds.
"""

from abc import ABC, abstractmethod
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import ClassVar

from vcompute.codec import Bytes, Enum, Int, field
from vcompute.errors import ProtocolError
from vcompute.identity import Keyring
from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages.primitives import AMOUNT, DIGEST, TIME
from vcompute.registry import ErrorCode
from vcompute.settlement.rules import EscrowState


@dataclass(frozen=True, slots=True)
class Holding:
    """What a settlement holds for a task."""

    task: bytes = field(0, DIGEST, "task")
    state: EscrowState = field(1, Enum(EscrowState), "state of the escrow")
    escrow: int = field(2, AMOUNT, "price held")
    bond: int = field(3, AMOUNT, "bond held under the active lease")
    until: int = field(4, TIME, "end of the lease or of the verdict's window; 0 where none")
    attempts: int = field(5, Int(0, 2**32), "leases so far")
    stakes: int = field(8, AMOUNT, "stakes held for a draw")
    lease: bytes | None = field(6, DIGEST, "active lease", optional=True)
    receipt: bytes | None = field(7, Bytes(1, 1 << 16), "signed Receipt of this operation's movement", optional=True)


@dataclass(frozen=True, slots=True)
class AuditReport:
    """What an audit of the whole journal found."""

    entries: int
    """Journal entries."""
    issued: int
    """Sum of all funding: what all balances add up to."""
    paid: int
    """Sum paid to workers out of escrow."""
    slashed: int
    """Sum of bonds that went to requesters."""
    returned: int
    """Sum of bonds that went back to workers."""
    refunded: int
    """Sum of escrows that went back to requesters."""
    forfeited: int
    """Sum of stakes that silent parties of draws lost."""
    held: int
    """Sum in escrow, bonds and stakes now."""
    problems: tuple[str, ...]
    """What does not agree; empty where all is well."""

    @property
    def conserved(self) -> bool:
        """Whether no amount appeared or vanished and all records agree."""
        return not self.problems


class Settlement(ABC):
    """Holds escrow and bonds. Every method raises :class:`~vcompute.errors.ProtocolError` with a registered code."""

    driver: ClassVar[int] = 60_000
    """The registered id of the driver; 60,000 and above are for private use."""

    @property
    @abstractmethod
    def thumbprint(self) -> bytes:
        """The key that signs receipts; offers name it."""

    def group(self) -> AbstractContextManager[None]:
        """Make the operations called inside durable together, at the end of the block; one that is refused moves
        nothing and leaves the others alone. A settlement that has nothing to gain by it makes each durable by itself.

        Raises:
            ProtocolError: ``settlement_unknown`` at the end: none of their answers may be relied on; ask again.
        """
        return nullcontext()

    @abstractmethod
    def balance(self, party: bytes) -> int:
        """The free balance of a party, by thumbprint."""

    @abstractmethod
    def fund(self, party: bytes, amount: int, operation: bytes, now: int) -> int:
        """Add ``amount`` to a party's balance once for each ``operation`` id; returns the new balance."""

    @abstractmethod
    def open(self, offer: bytes, now: int) -> Holding:
        """Move the price of a signed Offer into escrow."""

    @abstractmethod
    def bond(self, accept: bytes, now: int) -> Holding:
        """Move the bond of a signed Accept into the task's lease."""

    @abstractmethod
    def renew(self, progress: bytes, now: int) -> Holding:
        """Extend the active lease by a signed Progress."""

    @abstractmethod
    def commit(self, result: bytes, now: int) -> Holding:
        """Record a signed Result under the active lease and start the verdict's window."""

    @abstractmethod
    def draw(self, task: bytes, record: bytes, now: int) -> Holding:
        """Record a signed SampleCommit, whose signer's stake is held, or a signed SampleReveal."""

    @abstractmethod
    def challenge(self, task: bytes, lease: bytes, challenge: bytes | None, now: int) -> Holding:
        """Ask for the proof of the recorded result: by a signed Challenge, whose signer's stake is held, or without
        one because the draw says that the result is checked."""

    @abstractmethod
    def answer(self, answer: bytes, now: int) -> Holding:
        """Record the worker's signed Answer and start the verdict's window."""

    @abstractmethod
    def settle(self, verdict: bytes, now: int) -> Holding:
        """Count a signed Verdict; pay or slash where the quorum is complete."""

    @abstractmethod
    def release(self, task: bytes, lease: bytes, evidence: bytes | None, now: int) -> Holding:
        """End a lease without fault by the worker's signed Yield or, before a result, the requester's signed Cancel;
        or do what is due because its time is over: return the bond, pay what nobody challenged, convict who did not
        answer a challenge."""

    @abstractmethod
    def refund(self, task: bytes, evidence: bytes | None, now: int) -> Holding:
        """Give the escrow back: by the requester's signed Cancel, or because the deadline has passed."""

    @abstractmethod
    def holding(self, task: bytes) -> Holding | None:
        """What is held for a task, or None where it was never opened."""

    @property
    def keys(self) -> Keyring:
        """The keys of the parties as recorded here. A settlement that records none knows each key as itself."""
        return Keyring()

    def take(self, record: KeyRecord, now: int) -> bytes:
        """Record a rotation, revocation or enrolment of a party's keys; the party's name. It is in force at once.

        Raises:
            ProtocolError: the record is refused; ``unexpected_message`` where this settlement records none.
        """
        raise ProtocolError("this settlement records no keys", code=ErrorCode.UNEXPECTED_MESSAGE)

    @abstractmethod
    def audit(self) -> AuditReport:
        """Recompute everything from the journal and the evidence."""
