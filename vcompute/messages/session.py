# SPDX-License-Identifier: Apache-2.0
"""Messages between a party and its coordinator: greeting, advertisement, error, fetch."""

from dataclasses import dataclass

from vcompute.codec import Array, Enum, Int, Record, Text, Uint, field
from vcompute.messages.offer import SuiteChoice
from vcompute.messages.primitives import AMOUNT, CODE, DIGEST, DURATION, EXTENSIONS, ID16, NONCE, Extension
from vcompute.registry import ErrorCode, Role


@dataclass(frozen=True, slots=True)
class Hello:
    """Greeting: what each side speaks, and in the answer the choice.

    The answer names the digest of the Hello it answers; both are signed, so that a changed list is found out.
    Unregistered versions and suites (GREASE among them) are ignored.
    """

    role: Role = field(0, Enum(Role), "the sender's role")
    nonce: bytes = field(1, NONCE, "fresh for each greeting")
    versions: tuple[int, ...] = field(2, Array(ID16, 1, 16), "protocol versions spoken")
    suites: tuple[int, ...] = field(3, Array(ID16, 0, 64), "suites understood")
    extensions: tuple[Extension, ...] = field(4, EXTENSIONS, "extensions")
    answers: bytes | None = field(5, DIGEST, "in an answer: digest of the Hello answered", optional=True)
    version: int | None = field(6, ID16, "in an answer: the version chosen", optional=True)
    settlement: bytes | None = field(7, DIGEST, "in an answer: the settlement's key", optional=True)


@dataclass(frozen=True, slots=True)
class Advertise:
    """What a worker or verifier can do now. Stands until ``valid`` has passed or a later sequence replaces it."""

    session: bytes = field(0, DIGEST, "digest of the coordinator's Hello")
    sequence: int = field(1, Uint(32), "rises with each advertisement of a session")
    role: Role = field(2, Enum(Role), "worker or verifier")
    operator_set: int = field(3, ID16, "operator set run")
    suites: tuple[SuiteChoice, ...] = field(4, Array(Record(SuiteChoice), 1, 32), "suites and parameter sets")
    capacity: int = field(5, Int(0, 1024), "tasks it takes at once; 0 is none now")
    price: int = field(6, AMOUNT, "least amount for a million work units")
    bond: int = field(7, AMOUNT, "largest bond it puts up for a task")
    valid: int = field(8, DURATION, "how long this stands")
    memory: int | None = field(9, Int(0, 2**50), "bytes it can give to a task", optional=True)


@dataclass(frozen=True, slots=True)
class Error:
    """A message or request was refused."""

    code: ErrorCode = field(0, CODE, "registered code")
    detail: str = field(1, Text(512), "for people")
    regarding: bytes | None = field(2, DIGEST, "digest of the message refused", optional=True)
    retry_after: int | None = field(3, DURATION, "when to try again", optional=True)


@dataclass(frozen=True, slots=True)
class Fetch:
    """Ask for the next message. The same sequence again gets the same message again; a higher one acknowledges it."""

    session: bytes = field(0, DIGEST, "digest of the coordinator's Hello")
    sequence: int = field(1, Uint(53), "rises with each message wanted")
    wait: int = field(2, Int(0, 60_000), "longest wait, milliseconds")
