# SPDX-License-Identifier: Apache-2.0
"""What is simulated: the population, the demand, the policy and the prices."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, unique
from fractions import Fraction
from types import MappingProxyType
from typing import Final

from vcompute.messages import Always, OnChallenge, Policy, Sampled, SuiteChoice
from vcompute.messages.offer import RATE_ONE
from vcompute.policy.deposit import Deterrence, deposit_for
from vcompute.registry import ParameterSetId

SECOND: Final = 1_000
MINUTE: Final = 60 * SECOND
HOUR: Final = 60 * MINUTE
DAY: Final = 24 * HOUR

REPLAY: Final = (SuiteChoice.of(ParameterSetId.EXACT),)
ALWAYS: Final = Always(REPLAY)


def sampled(one_in: int) -> Sampled:
    """The policy that checks one result in so many."""
    return Sampled(REPLAY, rate=RATE_ONE // one_in, reveal_within=10 * SECOND, stake=50)


CHALLENGE: Final = OnChallenge(REPLAY, window=10 * MINUTE, answer_within=5 * MINUTE, stake=500)


@unique
class Kind(Enum):
    """How a worker behaves."""

    HONEST = "honest"
    """Computes every result."""
    LAZY = "lazy"
    """Never computes; sends anything at once."""
    OCCASIONAL = "occasional"
    """Sends a wrong result now and then."""
    SLEEPER = "sleeper"
    """Builds a history, then never computes again."""
    SYBIL = "sybil"
    """Never computes, and comes back under a new name after each conviction."""
    COPIER = "copier"
    """Sends somebody else's result; bound to another key, it is a wrong one."""
    COLLUDER = "colluder"
    """Never computes, and bribes the dishonest share of the verifiers."""


MIX: Final[Mapping[Kind, Fraction]] = MappingProxyType(
    {
        Kind.HONEST: Fraction(85, 100),
        Kind.LAZY: Fraction(3, 100),
        Kind.OCCASIONAL: Fraction(4, 100),
        Kind.SLEEPER: Fraction(3, 100),
        Kind.SYBIL: Fraction(2, 100),
        Kind.COPIER: Fraction(1, 100),
        Kind.COLLUDER: Fraction(2, 100),
    }
)
"""Shares of the population; the rest is honest."""


@dataclass(frozen=True, slots=True)
class Scenario:
    """One run. Times are milliseconds, amounts the settlement's smallest unit, work is in units of one task."""

    workers: int = 1_000
    tasks: int = 10_000
    span: int = DAY
    """Tasks arrive over this time."""
    seed: int = 0
    policy: Policy = field(default_factory=lambda: sampled(16))
    mix: Mapping[Kind, Fraction] = field(default_factory=lambda: MIX)
    price: int = 1_000
    bond_factor: Fraction = Fraction(1)
    """Times the bond that the library computes; below one to see what happens."""
    assumed: Deterrence = Deterrence(
        conviction=Fraction(9, 10), watched=Fraction(1, 20), check_cost=200, margin=Fraction(5, 4)
    )
    """What requesters reckon with: a tenth of the verifiers dishonest, one result in twenty watched."""
    work_time: int = 40 * SECOND
    """Time of one task on a device of speed one."""
    lease: int = 90 * SECOND
    """A lease without renewal; a worker that vanishes costs so much time."""
    leave_per_day: float = 0.3
    """Workers that leave for good in a day, without a word."""
    occasional: float = 0.05
    """Share of wrong results of an occasional cheater."""
    sleep: int = 24
    """Verified results after which a sleeper stops working."""
    check_time: int = 2 * SECOND
    """From the commitment to a verdict, where the result is checked."""
    check_work: float = 1.0
    """Work of one check: 1 for a replay, far less for a proof's verification."""
    proof_work: float = 0.0
    """Work of a proof beside the task's, where the policy has one made for each result."""
    silent: float = 0.002
    """Draws in which a party does not reveal."""
    frivolous: float = 0.002
    """Right results that somebody challenges."""
    wealth: int = 1_000_000
    """Balance of each worker at the start."""

    @property
    def bond(self) -> int:
        """The bond of an offer."""
        return int(deposit_for(self.policy, self.price, self.assumed) * self.bond_factor)
