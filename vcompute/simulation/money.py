# SPDX-License-Identifier: Apache-2.0
"""The settlement of a simulation: integer accounts moved by the ledger's own table, without signatures."""

from dataclasses import dataclass, field

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


@dataclass(slots=True)
class Accounts:
    """One requester, every worker's purse, and what is held."""

    requester: Purse = field(default_factory=Purse)
    held: int = 0
    paid: int = 0
    slashed: int = 0

    def apply(self, escrow: Escrow, event: EscrowEvent, worker: Purse) -> None:
        """Move as the table says; a refusal is a fault of the simulation."""
        rule = ESCROW_TABLE.rule(escrow.state, event)
        if Movement.REFUSE in rule.effects:
            raise RuntimeError(f"the escrow is {escrow.state.name}: cannot {event.name}")
        for movement in rule.effects:
            self._move(movement, escrow, worker)
        escrow.state = rule.to

    def _move(self, movement: Movement, escrow: Escrow, worker: Purse) -> None:
        match movement:
            case Movement.HOLD_PRICE:
                self._hold(self.requester, escrow.price)
            case Movement.HOLD_BOND:
                self._hold(worker, escrow.bond)
            case Movement.PAY:
                self._hold(worker, -escrow.price)
                self.paid += escrow.price
            case Movement.RETURN_BOND:
                self._hold(worker, -escrow.bond)
            case Movement.SLASH:
                self._hold(self.requester, -escrow.bond)
                self.slashed += escrow.bond
            case Movement.GIVE_BACK:
                self._hold(self.requester, -escrow.price)
            case Movement.REFUSE:
                pass

    def _hold(self, purse: Purse, amount: int) -> None:
        purse.balance -= amount
        self.held += amount
