# SPDX-License-Identifier: Apache-2.0
"""State machines as data: total tables of (state, event) -> (state, effects).

Every state says what bounds the time in it and who owns the money meanwhile. The tables drive the sessions and the
settlement, and the book's diagrams and the state model are drawn from the same tables.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import Enum, unique
from typing import Final, Generic, TypeVar

S = TypeVar("S", bound=Enum)
E = TypeVar("E", bound=Enum)
A = TypeVar("A", bound=Enum)


@unique
class Owner(Enum):
    """Who gets the money if nothing more ever happens."""

    NONE = "none"
    """Nothing is held."""
    REQUESTER = "requester"
    """The price goes back to the requester at the deadline."""
    REQUESTER_AND_WORKER = "requester and worker"
    """The price goes back to the requester, the bond to the worker."""
    WORKER = "worker"
    """Price and bond are the worker's."""


@dataclass(frozen=True, slots=True)
class StateInfo:
    """What holds while a machine is in a state."""

    timeout: str
    """What bounds the time in this state, or ``final``."""
    owner: Owner
    """Who owns the money."""
    doc: str
    """One line for the book."""


@dataclass(frozen=True, slots=True)
class Rule(Generic[S, A]):
    """The answer to an event: the next state and what to do, in order."""

    to: S
    effects: tuple[A, ...] = ()


class Table(Generic[S, E, A]):
    """A total transition table. ``rules`` are the transitions; an event with no rule in a state stays there and has
    the effects that ``otherwise`` names for it."""

    def __init__(
        self,
        name: str,
        states: Mapping[S, StateInfo],
        events: type[E],
        rules: Mapping[tuple[S, E], Rule[S, A]],
        otherwise: Mapping[E, tuple[A, ...]],
    ) -> None:
        self.name: Final = name
        self.states: Final = dict(states)
        self.events: Final = events
        self.explicit: Final = dict(rules)
        self.otherwise: Final = dict(otherwise)
        missing = [event for event in events if event not in otherwise]
        if missing:
            raise ValueError(f"{name}: no answer outside the rules for {missing}")
        self._rules = {
            (state, event): rules.get((state, event), Rule(state, otherwise[event]))
            for state in states
            for event in events
        }

    def rule(self, state: S, event: E) -> Rule[S, A]:
        """The answer to ``event`` in ``state``."""
        return self._rules[state, event]

    def final(self, state: S) -> bool:
        """Whether nothing follows."""
        return self.states[state].timeout == "final"

    def __iter__(self) -> Iterator[tuple[S, E, Rule[S, A]]]:
        """Every (state, event) and its answer."""
        for (state, event), rule in self._rules.items():
            yield state, event, rule
