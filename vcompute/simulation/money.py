# SPDX-License-Identifier: Apache-2.0
"""The settlement of a simulation: integer accounts moved by the ledger's own table, without signatures."""

from dataclasses import dataclass, field
from typing import Final

from vcompute.settlement.rules import ESCROW_TABLE, EscrowEvent, EscrowState, Movement


@dataclass(slots=True)
class Escrow:
    """The escrow of one task."""

    price: int
    bond: int
    state: EscrowState = EscrowState.NONE


@dataclass(slots=True)
class Purse:
    """A party's balance."""

    balance: int = 0


@dataclass(frozen=True, slots=True)
class Flow:
    """Where the rows of the table take the money: multiples of price and bond that a party gets."""

    to: EscrowState
    requester: tuple[int, int]
    worker: tuple[int, int]
    paid: int
    slashed: int


_GETS: Final = {
    Movement.HOLD_PRICE: ((-1, 0), (0, 0)),
    Movement.HOLD_BOND: ((0, 0), (0, -1)),
    Movement.PAY: ((0, 0), (1, 0)),
    Movement.RETURN_BOND: ((0, 0), (0, 1)),
    Movement.SLASH: ((0, 1), (0, 0)),
    Movement.GIVE_BACK: ((1, 0), (0, 0)),
}
"""What requester and worker get of (price, bond) by a movement; stakes are the challenge's own."""


def _flow(to: EscrowState, movements: tuple[Movement, ...]) -> Flow:
    own = [_GETS[movement] for movement in movements if movement in _GETS]
    requester = (sum(gets[0][0] for gets in own), sum(gets[0][1] for gets in own))
    worker = (sum(gets[1][0] for gets in own), sum(gets[1][1] for gets in own))
    return Flow(to, requester, worker, movements.count(Movement.PAY), movements.count(Movement.SLASH))


_FLOWS: Final = {
    event: {
        state: _flow(rule.to, rule.effects)
        for state, at, rule in ESCROW_TABLE
        if at is event and Movement.REFUSE not in rule.effects
    }
    for event in EscrowEvent
}


@dataclass(slots=True)
class Accounts:
    """One requester, every worker's purse, and what is held."""

    requester: Purse = field(default_factory=Purse)
    held: int = 0
    paid: int = 0
    slashed: int = 0

    def apply(self, escrow: Escrow, event: EscrowEvent, worker: Purse) -> None:
        """Move as the table says; a refusal is a fault of the simulation."""
        flow = _FLOWS[event].get(escrow.state)
        if flow is None:
            raise RuntimeError(f"the escrow is {escrow.state.name}: cannot {event.name}")
        price, bond = escrow.price, escrow.bond
        back = flow.requester[0] * price + flow.requester[1] * bond
        earned = flow.worker[0] * price + flow.worker[1] * bond
        self.requester.balance += back
        worker.balance += earned
        self.held -= back + earned
        self.paid += flow.paid * price
        self.slashed += flow.slashed * bond
        escrow.state = flow.to
