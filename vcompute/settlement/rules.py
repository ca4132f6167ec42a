# SPDX-License-Identifier: Apache-2.0
"""The escrow of a task as a state machine: the only ways money moves."""

from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.machine import Owner, Rule, StateInfo, Table


@unique
class EscrowState(IntEnum):
    """Where the escrow of a task stands."""

    NONE = 0
    OPEN = 1
    LEASED = 2
    COMMITTED = 3
    PAID = 4
    REFUNDED = 5
    CHALLENGED = 6
    ANSWERED = 7


BONDED: Final = (EscrowState.LEASED, EscrowState.COMMITTED, EscrowState.CHALLENGED, EscrowState.ANSWERED)
"""States in which price and bond are held under a lease."""


@unique
class EscrowEvent(Enum):
    """What a settlement is asked, the evidence already checked."""

    OPEN = "open"
    BOND = "bond"
    RENEW = "renew"
    COMMIT = "commit"
    CHALLENGE = "challenge"
    DEMAND = "demand"
    ANSWER = "answer"
    UNCHALLENGED = "pay unchallenged"
    DEFAULT = "convict of silence"
    ACCEPT = "accept"
    REJECT = "reject"
    RELEASE = "release"
    REFUND = "refund"


@unique
class Movement(Enum):
    """Money moved, or the refusal to."""

    HOLD_PRICE = "requester -> escrow"
    HOLD_BOND = "worker -> bond"
    PAY = "escrow -> worker"
    RETURN_BOND = "bond -> worker"
    SLASH = "bond -> requester"
    GIVE_BACK = "escrow -> requester"
    HOLD_STAKE = "challenger -> stake"
    PAY_STAKE = "stake -> worker"
    RETURN_STAKE = "stake -> challenger"
    REFUSE = "nothing moves"


_S, _E, _M = EscrowState, EscrowEvent, Movement

ESCROW_TABLE: Final = Table(
    "escrow",
    {
        _S.NONE: StateInfo("none needed: nothing is held", Owner.NONE, "no escrow"),
        _S.OPEN: StateInfo("deadline", Owner.REQUESTER, "the price is held, no lease"),
        _S.LEASED: StateInfo("lease", Owner.REQUESTER_AND_WORKER, "price and bond are held, the worker works"),
        _S.COMMITTED: StateInfo(
            "verdict_within, window", Owner.REQUESTER_AND_WORKER, "price and bond are held, a result is recorded"
        ),
        _S.CHALLENGED: StateInfo("answer_within", Owner.REQUESTER_AND_WORKER, "the worker owes the proof"),
        _S.ANSWERED: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "a proof is recorded and judged"),
        _S.PAID: StateInfo("final", Owner.WORKER, "price and bond are the worker's"),
        _S.REFUNDED: StateInfo("final", Owner.REQUESTER, "the price is the requester's again"),
    },
    EscrowEvent,
    {
        (_S.NONE, _E.OPEN): Rule(_S.OPEN, (_M.HOLD_PRICE,)),
        (_S.OPEN, _E.BOND): Rule(_S.LEASED, (_M.HOLD_BOND,)),
        (_S.OPEN, _E.REFUND): Rule(_S.REFUNDED, (_M.GIVE_BACK,)),
        (_S.LEASED, _E.RENEW): Rule(_S.LEASED),
        (_S.LEASED, _E.COMMIT): Rule(_S.COMMITTED),
        (_S.LEASED, _E.RELEASE): Rule(_S.OPEN, (_M.RETURN_BOND,)),
        (_S.COMMITTED, _E.ACCEPT): Rule(_S.PAID, (_M.PAY, _M.RETURN_BOND)),
        (_S.COMMITTED, _E.REJECT): Rule(_S.OPEN, (_M.SLASH,)),
        (_S.COMMITTED, _E.RELEASE): Rule(_S.OPEN, (_M.RETURN_BOND,)),
        (_S.COMMITTED, _E.UNCHALLENGED): Rule(_S.PAID, (_M.PAY, _M.RETURN_BOND)),
        (_S.COMMITTED, _E.CHALLENGE): Rule(_S.CHALLENGED, (_M.HOLD_STAKE,)),
        (_S.COMMITTED, _E.DEMAND): Rule(_S.CHALLENGED),
        (_S.CHALLENGED, _E.ANSWER): Rule(_S.ANSWERED),
        (_S.CHALLENGED, _E.DEFAULT): Rule(_S.OPEN, (_M.SLASH, _M.RETURN_STAKE)),
        (_S.ANSWERED, _E.ACCEPT): Rule(_S.PAID, (_M.PAY, _M.RETURN_BOND, _M.PAY_STAKE)),
        (_S.ANSWERED, _E.REJECT): Rule(_S.OPEN, (_M.SLASH, _M.RETURN_STAKE)),
        (_S.ANSWERED, _E.RELEASE): Rule(_S.OPEN, (_M.RETURN_BOND, _M.PAY_STAKE)),
    },
    dict.fromkeys(EscrowEvent, (Movement.REFUSE,)),
)
"""The escrow's transitions. PAID is reached by ACCEPT, a quorum of verdicts on an admitted basis, or under
``on_challenge`` by UNCHALLENGED, when the window is over and nobody challenged."""
