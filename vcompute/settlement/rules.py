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


@unique
class EscrowEvent(Enum):
    """What a settlement is asked, the evidence already checked."""

    OPEN = "open"
    BOND = "bond"
    RENEW = "renew"
    COMMIT = "commit"
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
    REFUSE = "nothing moves"


_S, _E, _M = EscrowState, EscrowEvent, Movement

ESCROW_TABLE: Final = Table(
    "escrow",
    {
        _S.NONE: StateInfo("none needed: nothing is held", Owner.NONE, "no escrow"),
        _S.OPEN: StateInfo("deadline", Owner.REQUESTER, "the price is held, no lease"),
        _S.LEASED: StateInfo("lease", Owner.REQUESTER_AND_WORKER, "price and bond are held, the worker works"),
        _S.COMMITTED: StateInfo(
            "verdict_within", Owner.REQUESTER_AND_WORKER, "price and bond are held, a result is recorded"
        ),
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
    },
    dict.fromkeys(EscrowEvent, (Movement.REFUSE,)),
)
"""The escrow's transitions. PAID is reached by ACCEPT alone: a quorum of verdicts on an admitted basis."""
