# SPDX-License-Identifier: Apache-2.0
"""VC-POL: the market in simulation: money is conserved, honest workers are never slashed, cheating loses."""

from dataclasses import replace
from fractions import Fraction
from itertools import pairwise
from random import Random

import pytest

from vcompute.messages import Policy
from vcompute.policy.device import reasons_to_stop
from vcompute.policy.device.trace import TraceDriver
from vcompute.simulation import Kind, Report, Scenario, simulate
from vcompute.simulation.clock import Clock, Steps
from vcompute.simulation.devices import POLICY, day, shifts
from vcompute.simulation.money import Accounts, Escrow, Purse
from vcompute.simulation.scenario import ALWAYS, CHALLENGE, DAY, MINUTE, sampled

CHEATERS = [kind for kind in Kind if kind is not Kind.HONEST]
ROGUES = {
    Kind.LAZY: Fraction(1, 10),
    Kind.OCCASIONAL: Fraction(1, 10),
    Kind.SLEEPER: Fraction(1, 10),
    Kind.SYBIL: Fraction(1, 20),
    Kind.COPIER: Fraction(1, 20),
    Kind.COLLUDER: Fraction(1, 10),
}
"""Half of the population cheats."""


def check_books(report: Report, tasks: int) -> None:
    assert report.conserved
    assert report.finished + report.unfinished == tasks
    assert len(report.latencies) == report.finished
    for kind in report.kinds.values():
        assert kind.honest_slashed == 0
        assert kind.lost == kind.convicted * report.bond
        assert kind.convicted + kind.paid_wrong <= kind.wrong <= kind.results
    honest = report.kinds[Kind.HONEST]
    assert honest.wrong == 0
    assert honest.net > 0


@pytest.mark.parametrize(
    ("policy", "workers", "tasks"),
    [(ALWAYS, 2_000, 10_000), (sampled(16), 10_000, 30_000), (CHALLENGE, 2_000, 15_000)],
    ids=["always", "sampled", "on_challenge"],
)
def test_ten_thousand_workers(policy: Policy, workers: int, tasks: int) -> None:
    """VC-POL-022: with the library's bonds every kind of cheater loses on its wrong results, under every policy."""
    report = simulate(Scenario(workers=workers, tasks=tasks, policy=policy, mix=ROGUES, seed=7))
    check_books(report, tasks)
    assert report.finished > tasks * 0.98
    for kind in CHEATERS:
        if report.kinds[kind].wrong > 500:
            assert report.kinds[kind].net_of_a_wrong_result < 0, kind
    wrong = sum(report.kinds[kind].wrong for kind in CHEATERS)
    net = sum(report.kinds[kind].earned_wrong - report.kinds[kind].lost for kind in CHEATERS)
    assert wrong > 500
    assert net < -wrong * 10


def test_the_clock_by_hand() -> None:
    """By time, beginnings first, then who asked first; what is due at the end is left."""
    clock, seen = Clock(), []

    def process(name: str, *waits: int) -> Steps:
        for wait in waits:
            seen.append((clock.now, name))
            yield wait
        seen.append((clock.now, name))

    def parent() -> Steps:
        clock.process(process("child", 3, 4))
        yield 0
        seen.append((clock.now, "parent"))

    clock.process(process("late", 3, 20))
    clock.process(parent())
    clock.run(7)
    assert seen == [(0, "late"), (0, "child"), (0, "parent"), (3, "late"), (3, "child")]
    assert clock.now == 7


def test_with_too_small_a_bond_cheating_pays() -> None:
    """VC-POL-022: the simulation can tell: with a quarter of the bond the same cheaters win."""
    scenario = Scenario(workers=2_000, tasks=20_000, policy=CHALLENGE, mix=ROGUES, seed=7, bond_factor=Fraction(1, 4))
    report = simulate(scenario)
    check_books(report, 20_000)
    for kind in (Kind.LAZY, Kind.COPIER, Kind.COLLUDER, Kind.SYBIL):
        assert report.kinds[kind].net_of_a_wrong_result > 0, kind


def test_a_history_is_no_treasure() -> None:
    """VC-POL-040: sleepers that betray at the lowest rate of checks lose on it, sybils lose a bond for each name."""
    mix = {Kind.SLEEPER: Fraction(1, 2), Kind.SYBIL: Fraction(1, 10)}
    scenario = Scenario(workers=100, tasks=20_000, policy=sampled(4), mix=mix, seed=3, leave_per_day=0.0, sleep=48)
    report = simulate(scenario)
    check_books(report, 20_000)
    sleeper, sybil = report.kinds[Kind.SLEEPER], report.kinds[Kind.SYBIL]
    assert sleeper.wrong > 100
    assert sleeper.paid_wrong > 0
    assert sleeper.net_of_a_wrong_result < 0
    assert sybil.paid_wrong < sybil.convicted / 20
    assert sybil.net < 0


def test_same_seed_same_report() -> None:
    """VC-POL-022: a run is a function of its scenario."""
    scenario = Scenario(workers=300, tasks=2_000)
    first, second, other = simulate(scenario), simulate(scenario), simulate(replace(scenario, seed=1))
    assert first == second
    assert first != other


def test_churn_wastes_work_and_loses_nothing() -> None:
    """VC-POL-022: workers that vanish or yield cost time and work, never money, and tasks still end."""
    calm = simulate(Scenario(workers=500, tasks=5_000, leave_per_day=0.0, mix={}))
    wild = simulate(Scenario(workers=500, tasks=5_000, leave_per_day=3.0, work_time=5 * MINUTE, mix={}))
    for report in (calm, wild):
        assert report.conserved
        assert report.kinds[Kind.HONEST].lost == 0
    assert calm.lapsed == 0
    assert wild.lapsed > 10
    assert wild.waste > calm.waste


def test_shifts_are_those_of_the_governor() -> None:
    """VC-DEV-001: in every minute of a shift but its last the device's own policy admits work."""
    for seed in range(5):
        lines = day(Random(seed))
        driver = TraceDriver(lines)
        made = shifts(lines)
        assert all(left.end <= right.begin for left, right in pairwise(made))
        for shift in made:
            assert 0 <= shift.begin < shift.end <= DAY
            for now in range(shift.begin, shift.end, MINUTE):
                assert all(holds is None for holds, _ in reasons_to_stop(POLICY, driver.read(now)))


def test_the_simulated_settlement_refuses_as_the_table_does() -> None:
    """VC-SET-090: accounts move by the ledger's table and by nothing else."""
    from vcompute.settlement.rules import EscrowEvent

    accounts, worker = Accounts(Purse(10)), Purse(10)
    escrow = Escrow(price=4, bond=3)
    accounts.apply(escrow, EscrowEvent.OPEN, worker)
    with pytest.raises(RuntimeError, match="cannot ACCEPT"):
        accounts.apply(escrow, EscrowEvent.ACCEPT, worker)
    for event in (EscrowEvent.BOND, EscrowEvent.COMMIT, EscrowEvent.ACCEPT):
        accounts.apply(escrow, event, worker)
    assert (accounts.requester.balance, worker.balance, accounts.held) == (6, 14, 0)
