# SPDX-License-Identifier: Apache-2.0
"""Challenges of results under ``on_challenge``: a table, and a case that follows it on the caller's clock.

The worker commits to a result. Within the window anyone who puts up the stake may challenge it; the worker then answers
with a proof in time, or its bond goes to who was right. An answered challenge pays the stake to the worker: frivolous
challenges cost their maker the proof they cause.
"""

from enum import Enum, unique
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages.offer import OnChallenge
from vcompute.registry import ErrorCode


@unique
class ChallengeState(Enum):
    """Where a committed result stands."""

    WAITING = "waiting"
    CHALLENGED = "challenged"
    UNCHALLENGED = "unchallenged"
    PROVED = "proved"
    CONVICTED = "convicted"


@unique
class ChallengeEvent(Enum):
    """What happens to it."""

    CHALLENGE = "a challenger's stake is held"
    PROOF = "the worker's proof verifies"
    TIMEOUT = "the state's time is over"


@unique
class ChallengeEffect(Enum):
    """What follows for the money."""

    HOLD_STAKE = "challenger -> stake"
    PAY_STAKE = "stake -> worker"
    RETURN_STAKE = "stake -> challenger"
    ADMIT = "a verdict may accept"
    CONVICT = "a verdict must refuse; the bond is lost"
    REFUSE = "nothing changes"


_S, _E, _A = ChallengeState, ChallengeEvent, ChallengeEffect

CHALLENGE_TABLE: Final = Table(
    "challenge",
    {
        _S.WAITING: StateInfo("window", Owner.REQUESTER_AND_WORKER, "a result is recorded, anyone may challenge"),
        _S.CHALLENGED: StateInfo("answer_within", Owner.REQUESTER_AND_WORKER, "the worker owes a proof"),
        _S.UNCHALLENGED: StateInfo("final", Owner.WORKER, "paid on the basis unchallenged"),
        _S.PROVED: StateInfo("final", Owner.WORKER, "paid on the basis proved, the stake besides"),
        _S.CONVICTED: StateInfo("final", Owner.REQUESTER, "the bond is lost"),
    },
    ChallengeEvent,
    {
        (_S.WAITING, _E.CHALLENGE): Rule(_S.CHALLENGED, (_A.HOLD_STAKE,)),
        (_S.WAITING, _E.PROOF): Rule(_S.PROVED, (_A.ADMIT,)),
        (_S.WAITING, _E.TIMEOUT): Rule(_S.UNCHALLENGED, (_A.ADMIT,)),
        (_S.CHALLENGED, _E.PROOF): Rule(_S.PROVED, (_A.PAY_STAKE, _A.ADMIT)),
        (_S.CHALLENGED, _E.TIMEOUT): Rule(_S.CONVICTED, (_A.RETURN_STAKE, _A.CONVICT)),
    },
    dict.fromkeys(ChallengeEvent, (_A.REFUSE,)),
)
"""The transitions of a result under challenge."""


class ChallengeCase:
    """One result under ``on_challenge``. The caller has checked stakes and proofs before it reports them."""

    def __init__(self, policy: OnChallenge, now: int) -> None:
        """The result was recorded at ``now`` (milliseconds)."""
        self.state = ChallengeState.WAITING
        self.until = now + policy.window
        self._policy = policy

    def tick(self, now: int) -> tuple[ChallengeEffect, ...]:
        """Let time pass; what follows for the money."""
        if CHALLENGE_TABLE.final(self.state) or now < self.until:
            return ()
        return self._apply(ChallengeEvent.TIMEOUT)

    def challenge(self, stake: int, now: int) -> tuple[ChallengeEffect, ...]:
        """A challenger put up ``stake``. The first one in time counts.

        Raises:
            ProtocolError: ``not_due``: the window is over or the result is under challenge already;
                ``insufficient_bond``: the stake is below the policy's.
        """
        if stake < self._policy.stake:
            raise ProtocolError(
                "the stake is too small",
                code=ErrorCode.INSUFFICIENT_BOND,
                expected=f">= {self._policy.stake}",
                got=stake,
            )
        effects = self._in_time(ChallengeEvent.CHALLENGE, now)
        self.until = now + self._policy.answer_within
        return effects

    def prove(self, now: int) -> tuple[ChallengeEffect, ...]:
        """The worker's proof verified at ``now``.

        Raises:
            ProtocolError: ``not_due``: too late.
        """
        return self._in_time(ChallengeEvent.PROOF, now)

    def _in_time(self, event: ChallengeEvent, now: int) -> tuple[ChallengeEffect, ...]:
        rule = CHALLENGE_TABLE.rule(self.state, event)
        if now >= self.until or ChallengeEffect.REFUSE in rule.effects:
            raise ProtocolError(
                f"a result that is {self.state.value}, too late or twice for this",
                code=ErrorCode.NOT_DUE,
                got=event.value,
            )
        return self._apply(event)

    def _apply(self, event: ChallengeEvent) -> tuple[ChallengeEffect, ...]:
        rule = CHALLENGE_TABLE.rule(self.state, event)
        self.state = rule.to
        return rule.effects
