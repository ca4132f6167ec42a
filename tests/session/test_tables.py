# SPDX-License-Identifier: Apache-2.0
"""The transition tables: total, every state bounded in time and with an owner of the money, ends reachable."""

from collections import deque
from typing import Any

import pytest

from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.policy.challenge import CHALLENGE_TABLE
from vcompute.session.coordinator_table import TASK_TABLE, TaskEvent, TaskState
from vcompute.session.requester import REQUESTER_TABLE, RequesterState
from vcompute.session.verifier_table import VERIFIER_TABLE, VerifierState
from vcompute.session.worker_table import WORKER_TABLE, WorkerState
from vcompute.settlement.rules import ESCROW_TABLE, EscrowState

TABLES: list[Table[Any, Any, Any]] = [
    TASK_TABLE,
    WORKER_TABLE,
    REQUESTER_TABLE,
    VERIFIER_TABLE,
    ESCROW_TABLE,
    CHALLENGE_TABLE,
]
STARTS: list[tuple[Table[Any, Any, Any], Any]] = [
    (TASK_TABLE, TaskState.OPENING),
    (WORKER_TABLE, WorkerState.IDLE),
    (REQUESTER_TABLE, RequesterState.OFFERED),
    (VERIFIER_TABLE, (VerifierState.DRAWING, VerifierState.WATCHING)),
    (ESCROW_TABLE, EscrowState.NONE),
]


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_answers_every_event(table: Table[Any, Any, Any]) -> None:
    assert len(list(table)) == len(table.states) * len(table.events)
    assert all(rule.to in table.states for _, _, rule in table)


@pytest.mark.parametrize("table", TABLES, ids=lambda table: table.name)
def test_every_state_has_a_timeout_and_an_owner(table: Table[Any, Any, Any]) -> None:
    for state, info in table.states.items():
        assert info.timeout, state
        assert info.doc, state
        assert isinstance(info.owner, Owner), state


@pytest.mark.parametrize(("table", "start"), STARTS, ids=lambda value: getattr(value, "name", ""))
def test_every_state_is_reached_and_reaches_an_end(table: Table[Any, Any, Any], start: Any) -> None:
    def closure(begin: Any, edges: dict[Any, set[Any]]) -> set[Any]:
        seen, todo = {begin}, deque([begin])
        while todo:
            for state in edges.get(todo.popleft(), set()) - seen:
                seen.add(state)
                todo.append(state)
        return seen

    edges: dict[Any, set[Any]] = {}
    for state, _, rule in table:
        edges.setdefault(state, set()).add(rule.to)
    starts = start if isinstance(start, tuple) else (start,)
    assert set().union(*(closure(begin, edges) for begin in starts)) == set(table.states)
    for state in table.states:
        assert any(table.final(reached) for reached in closure(state, edges)), state


def test_a_state_that_waits_for_the_settlement_asks_again() -> None:
    for state, info in TASK_TABLE.states.items():
        if info.timeout == "retry":
            for event in (TaskEvent.TIMEOUT, TaskEvent.UNKNOWN):
                assert TASK_TABLE.rule(state, event).effects, state
                assert TASK_TABLE.rule(state, event).to is state


def test_paid_and_refunded_are_for_ever() -> None:
    for state, _, rule in TASK_TABLE:
        if state in (TaskState.PAID, TaskState.REFUNDED):
            assert rule.to is state
    for state, _, escrow in ESCROW_TABLE:
        if state in (EscrowState.PAID, EscrowState.REFUNDED):
            assert escrow.to is state
            assert [effect.name for effect in escrow.effects] == ["REFUSE"]


def test_no_time_bounded_state_ignores_its_timeout() -> None:
    for state, info in TASK_TABLE.states.items():
        if info.timeout != "final":
            rule = TASK_TABLE.rule(state, TaskEvent.TIMEOUT)
            assert (rule.to, rule.effects) != (state, TASK_TABLE.rule(TaskState.PAID, TaskEvent.TIMEOUT).effects), state


def test_a_table_with_a_hole_is_refused() -> None:
    with pytest.raises(ValueError, match="no answer"):
        Table("hole", {EscrowState.NONE: StateInfo("final", Owner.NONE, "x")}, TaskEvent, {}, {})
    assert Rule(EscrowState.OPEN).effects == ()
