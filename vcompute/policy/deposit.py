# SPDX-License-Identifier: Apache-2.0
"""The bonds that make cheating a loss, computed exactly.

A worker that sends a wrong result saves the whole work and is paid P unless it is caught; with probability p it is
caught, earns nothing and loses its bond D. What it expects from one cheated task, with G what somebody else may pay it
for the wrong answer, is ``(1 - p)(P + G) - p D``. It is negative when ``D > (1 - p)/p (P + G)``. The bond is per task,
so the bound holds for any number of tasks, any schedule and any number of keys. Amounts are integers, probabilities
fractions; nothing is rounded in the worker's favour.
"""

from dataclasses import dataclass
from fractions import Fraction
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.messages.offer import RATE_ONE, Always, OnChallenge, Policy, Sampled
from vcompute.registry import ErrorCode

MAX_AMOUNT: Final = 2**62
"""The largest amount a message carries."""
ONE: Final = Fraction(1)


@dataclass(frozen=True, slots=True)
class Deterrence:
    """What a requester assumes about those who might cheat and those who might look."""

    conviction: Fraction = ONE
    """Probability that a check of a wrong result convicts: 1 - 2^-bits of the suite, times the share of checks made by
    honest verifiers."""
    watched: Fraction = Fraction(0)
    """For ``on_challenge``: the share of results that somebody who would challenge computes again."""
    gain: int = 0
    """What a wrong answer may be worth to somebody who pays the worker for it."""
    check_cost: int = 0
    """What one check costs; a convicted worker pays for it."""
    margin: Fraction = ONE
    """Factor on the bond, at least one."""


def caught(policy: Policy, assumed: Deterrence) -> Fraction:
    """The probability that one wrong result costs its worker the bond.

    Raises:
        ProtocolError: ``terms_not_acceptable``: a probability outside (0, 1], a margin below one, or nobody looks.
    """
    match policy:
        case Always():
            looked = ONE
        case Sampled():
            looked = Fraction(policy.rate, RATE_ONE)
        case OnChallenge():
            looked = assumed.watched
    if not (0 < assumed.conviction <= 1 and 0 < looked <= 1 and assumed.margin >= 1):
        raise ProtocolError(
            "probabilities are above 0 and at most 1, the margin at least 1",
            code=ErrorCode.TERMS_NOT_ACCEPTABLE,
            got=f"conviction {assumed.conviction}, looked at {looked}, margin {assumed.margin}",
        )
    return looked * assumed.conviction


def cheating_gain(policy: Policy, price: int, bond: int, assumed: Deterrence) -> Fraction:
    """What a worker expects to gain from one wrong result; negative where cheating loses money.

    Raises:
        ProtocolError: ``terms_not_acceptable``.
    """
    p = caught(policy, assumed)
    return (1 - p) * (price + assumed.gain) - p * bond


def deposit_for(policy: Policy, price: int, assumed: Deterrence | None = None) -> int:
    """The least bond under which cheating loses money, times the margin, and never below the cost of a check.

    Args:
        policy: the offer's verification policy; for ``sampled`` its rate is the floor below which no history brings it.
        price: what the worker is paid, in the settlement's smallest unit.
        assumed: what to reckon with.

    Raises:
        ProtocolError: ``terms_not_acceptable``: assumptions out of range, or a bond no message can carry.
    """
    assumed = Deterrence() if assumed is None else assumed
    p = caught(policy, assumed)
    if min(price, assumed.gain, assumed.check_cost) < 0:
        raise ProtocolError("amounts are not negative", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
    even = (1 - p) / p * (price + assumed.gain)
    least = int(even * assumed.margin) + 1
    bond = max(least, assumed.check_cost)
    if bond > MAX_AMOUNT:
        raise ProtocolError(
            "cheating can only be deterred by a bond over the bound: check more often",
            code=ErrorCode.TERMS_NOT_ACCEPTABLE,
            expected=f"<= {MAX_AMOUNT}",
            got=bond,
        )
    return bond


def require_deposit(policy: Policy, price: int, bond: int, assumed: Deterrence | None = None) -> None:
    """Refuse a bond under which a cheat would pay.

    Raises:
        ProtocolError: ``terms_not_acceptable``.
    """
    least = deposit_for(policy, price, assumed)
    if bond < least:
        raise ProtocolError(
            "the bond does not make cheating a loss: raise it, or check more often",
            code=ErrorCode.TERMS_NOT_ACCEPTABLE,
            expected=f">= {least}",
            got=bond,
        )


def reveal_stake_for(check_cost: int) -> int:
    """The stake of requester and verifier in a draw: silence causes one check, and who is silent pays more than it."""
    return check_cost + 1


def challenge_stake_for(proof_cost: int) -> int:
    """The stake of a challenger: a challenge that is answered pays the worker's proof, and something more."""
    return proof_cost + 1
