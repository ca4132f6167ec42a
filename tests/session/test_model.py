# SPDX-License-Identifier: Apache-2.0
"""VC-SET: the state model of the settlement holds over all its states, and finds the mistakes seeded into it."""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from vcompute.machine import Rule, Table
from vcompute.settlement.rules import ESCROW_TABLE, EscrowEvent, EscrowState, Movement

TOOLS = Path(__file__).resolve().parents[2] / "tools"


def tool(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(name, TOOLS / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


GENERATE, CHECK = tool("generate_model"), tool("check_model")
SMALL = ["LEASES=2"]
S, E, M = EscrowState, EscrowEvent, Movement


def test_model_is_of_the_table_the_ledger_runs() -> None:
    """VC-SET-090: the generated part is the table; every movement's accounts are those its name says."""
    assert GENERATE.main(["--check"]) == 0
    text = GENERATE.table_text(ESCROW_TABLE)
    assert text.count("  :: state ==") == len(EscrowState) * len(EscrowEvent)


@pytest.mark.spin
def test_safety_over_all_states() -> None:
    """VC-SET-091 VC-SET-011: money is conserved, nothing is paid twice or without a quorum, nothing stays behind."""
    outcome = CHECK.run(False, [])
    assert outcome.errors == 0
    assert outcome.states > 50_000


@pytest.mark.spin
def test_progress_over_all_states() -> None:
    """VC-SET-092: under weak fairness what was opened is paid or refunded, whatever the others do or leave."""
    outcome = CHECK.run(True, [])
    assert outcome.errors == 0
    assert outcome.states > 100_000


@pytest.mark.spin
@pytest.mark.parametrize("fault", [1, 2, 3, 5, 6, 7, 8, 9])
def test_seeded_faults_break_safety(fault: int) -> None:
    """VC-SET-091: a state or answer not stored, a stale verdict, a vote or refund too many, lost stakes, too early."""
    assert CHECK.run(False, [*SMALL, f"FAULT={fault}"]).errors == 1


@pytest.mark.spin
def test_seeded_fault_breaks_progress_alone() -> None:
    """VC-SET-092: where nobody ends a verdict's window the money is stuck, and safety does not see it."""
    assert CHECK.run(False, [*SMALL, "FAULT=4"]).errors == 0
    assert CHECK.run(True, [*SMALL, "FAULT=4"]).errors == 1


def mutant(state: EscrowState, event: EscrowEvent, rule: Rule[EscrowState, Movement]) -> str:
    rules = {**ESCROW_TABLE.explicit, (state, event): rule}
    table = Table("mutant", ESCROW_TABLE.states, EscrowEvent, rules, dict.fromkeys(EscrowEvent, (M.REFUSE,)))
    return str(GENERATE.table_text(table))


MUTANTS = [
    (False, S.COMMITTED, E.ACCEPT, Rule(S.PAID, (M.PAY,))),  # the bond stays behind
    (False, S.COMMITTED, E.REJECT, Rule(S.OPEN, (M.SLASH, M.GIVE_BACK))),  # refunded and open
    (False, S.LEASED, E.RELEASE, Rule(S.OPEN)),  # the bond is forgotten
    (True, S.OPEN, E.REFUND, Rule(S.OPEN, (M.REFUSE,))),  # no way out
]


@pytest.mark.spin
@pytest.mark.parametrize(("liveness", "state", "event", "rule"), MUTANTS, ids=lambda value: "")
def test_mutants_of_the_table_are_found(
    liveness: bool, state: EscrowState, event: EscrowEvent, rule: Rule[EscrowState, Movement]
) -> None:
    """VC-SET-090: the properties depend on the table: a wrong row is found."""
    assert CHECK.run(liveness, SMALL, mutant(state, event, rule)).errors == 1
