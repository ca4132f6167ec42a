# SPDX-License-Identifier: Apache-2.0
"""A case: one check of one testee, tied to the requirements it checks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum, unique
from typing import Any, Final

from vcompute.conformance.testee import Exchange, Testee

ALL_ROLES: Final = ("requester", "worker", "coordinator", "verifier")


@unique
class Level(IntEnum):
    """How far a case reaches; a level makes sense where the ones below it pass."""

    L0 = 0
    """codec, digests, signatures, receipts, error codes"""
    L1 = 1
    """compute: requantisation, operators, whole models"""
    L2 = 2
    """proofs: what is accepted, and every way to be refused"""
    L3 = 3
    """state machines on a virtual clock"""
    L4 = 4
    """a live session over a link that drops, repeats, delays, truncates and reorders"""
    L5 = 5
    """a hostile peer with named faults"""


class Failure(Exception):
    """A case found the testee wrong. ``expected`` and ``got`` are JSON values, shown side by side in reports."""

    def __init__(self, message: str, expected: Any = None, got: Any = None) -> None:
        super().__init__(message)
        self.message = message
        self.expected = expected
        self.got = got


class Skip(Exception):
    """The testee says that it does not support what the case asks for."""


Script = Callable[[Testee], None]
"""A check of a testee: returns where it is right, raises :class:`Failure` or :class:`Skip`."""


@dataclass(frozen=True, slots=True)
class Case:
    """One check."""

    id: str
    level: Level
    requirements: tuple[str, ...]
    script: Script
    roles: tuple[str, ...] = ALL_ROLES
    """the roles whose profile has this case"""
    flags: tuple[str, ...] = ()
    source: str | None = None
    """the vector file, or None where the case is a scenario"""
    op: str = ""
    input: Mapping[str, Any] = field(default_factory=dict)
    """what a vector sends, for reports"""
    text: str = ""
    """one sentence on what is checked"""

    @property
    def negative(self) -> bool:
        """Whether the right answer is a refusal."""
        return "negative" in self.flags


@unique
class Outcome(StrEnum):
    """What a case came to."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class Verdict:
    """A case and what it came to."""

    case: Case
    outcome: Outcome
    seconds: float
    message: str = ""
    expected: Any = None
    got: Any = None
    exchanges: tuple[Exchange, ...] = ()
    """for a scenario that failed: the last requests and answers"""
