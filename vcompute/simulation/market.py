# SPDX-License-Identifier: Apache-2.0
"""The market: tasks arrive, devices come and go, results are checked as the policy says, money moves by the table."""

from collections import deque
from dataclasses import dataclass
from fractions import Fraction
from random import Random
from typing import Final

from vcompute.messages import Always, OnChallenge, Sampled
from vcompute.policy import standing
from vcompute.policy.challenge import ChallengeCase, ChallengeEffect
from vcompute.policy.sampling import drawn
from vcompute.settlement.rules import EscrowEvent, EscrowState
from vcompute.simulation.clock import Clock, Steps
from vcompute.simulation.devices import Shift, fleet
from vcompute.simulation.money import Accounts, Escrow, Purse
from vcompute.simulation.report import KindReport, Report
from vcompute.simulation.scenario import DAY, HOUR, SECOND, Kind, Scenario

CAPACITY: Final = 8
"""Tasks in flight that a device advertises."""
FAKING: Final = SECOND
"""Time a result takes that nobody computed."""
DEVICE_DAYS: Final = 64
"""Different device days; workers share them at different hours."""
SAMPLES: Final = 48


@dataclass(slots=True)
class Worker:
    """A simulated worker."""

    kind: Kind
    purse: Purse
    speed: float
    shifts: tuple[Shift, ...]
    offset: int
    leaves: int
    verified: int = 0
    rejected: int = 0
    banned_until: int = 0
    in_flight: int = 0
    online_until: int = 0
    busy: bool = False
    waiting: bool = False

    def fits(self, now: int, bond: int) -> bool:
        """Whether it takes a task now."""
        return (
            not self.busy
            and now < min(self.online_until, self.leaves)
            and now >= self.banned_until
            and self.in_flight < standing.quota(self.verified, self.rejected, CAPACITY)
            and self.purse.balance >= bond
        )


@dataclass(slots=True)
class Task:
    """A task and where it stands."""

    arrived: int
    escrow: Escrow
    worker: Worker | None = None


class Market:
    """One run of a scenario."""

    def __init__(self, scenario: Scenario) -> None:
        self.scenario = scenario
        self.env = Clock()
        self.random = Random(scenario.seed)  # noqa: S311 - a simulation wants reproducible numbers
        self.bond = scenario.bond
        self.report = Report(bond=self.bond)
        self.accounts = Accounts(Purse(scenario.tasks * scenario.price))
        self.challengers = Purse(0)
        self.workers = self._population()
        self.open: dict[int, Task] = {}
        self._queue: deque[Task] = deque()
        self._idle: deque[Worker] = deque()

    def run(self) -> Report:
        """Let the span pass and a little more, give back what is still held, and report."""
        total = self._total()
        span = self.scenario.span
        for worker in self.workers:
            self.env.process(self._device(worker))
        self.env.process(self._arrivals())
        self.env.process(self._sampler())
        self.env.run(span + 2 * HOUR)
        for task in list(self.open.values()):
            self._refund(task)
        self.report.conserved = total == self._total() and self.accounts.held == 0
        return self.report

    # Who is there.

    def _population(self) -> list[Worker]:
        scenario, random = self.scenario, self.random
        days = fleet(scenario.seed, DEVICE_DAYS)
        kinds = [kind for kind, share in scenario.mix.items() for _ in range(int(scenario.workers * share))]
        kinds += [Kind.HONEST] * (scenario.workers - len(kinds))
        for kind in kinds:
            self.report.kinds[kind].workers += 1
        return [
            Worker(
                kind,
                Purse(scenario.wealth),
                random.choice((0.5, 1.0, 1.0, 2.0)),
                random.choice(days),
                random.randrange(DAY),
                int(random.expovariate(scenario.leave_per_day / DAY)) if scenario.leave_per_day else 1 << 60,
            )
            for kind in kinds
        ]

    def _device(self, worker: Worker) -> Steps:
        start = -worker.offset
        while start < self.scenario.span and self.env.now < worker.leaves:
            for shift in worker.shifts:
                if start + shift.end > self.env.now:
                    yield max(0, start + shift.begin - self.env.now)
                    worker.online_until = start + shift.end
                    self._ready(worker)
            start += DAY

    def _arrivals(self) -> Steps:
        scenario = self.scenario
        for _ in range(scenario.tasks):
            yield int(self.random.expovariate(scenario.tasks / scenario.span))
            task = Task(self.env.now, Escrow(scenario.price, self.bond))
            self.accounts.apply(task.escrow, EscrowEvent.OPEN, self.accounts.requester)
            self.open[id(task)] = task
            self._queue.append(task)
            self._match()

    def _sampler(self) -> Steps:
        wealth: dict[Kind, list[float]] = {kind: [] for kind in Kind}
        self.report.wealth = wealth
        while True:
            gains = dict.fromkeys(Kind, 0)
            for worker in self.workers:
                gains[worker.kind] += worker.purse.balance - self.scenario.wealth
            for kind in Kind:
                wealth[kind].append(gains[kind] / max(1, self.report.kinds[kind].workers))
            yield self.scenario.span // SAMPLES

    # Who gets what.

    def _ready(self, worker: Worker) -> None:
        if not worker.waiting and worker.fits(self.env.now, self.bond):
            worker.waiting = True
            self._idle.append(worker)
            self._match()

    def _match(self) -> None:
        while self._queue and self._idle:
            worker = self._idle.popleft()
            worker.waiting = False
            if worker.fits(self.env.now, self.bond):
                self.env.process(self._attempt(self._queue.popleft(), worker))

    def _requeue(self, task: Task) -> None:
        task.worker = None
        self._queue.appendleft(task)
        self._match()

    # One lease.

    def _attempt(self, task: Task, worker: Worker) -> Steps:
        scenario, report, env = self.scenario, self.report, self.env
        self.accounts.apply(task.escrow, EscrowEvent.BOND, worker.purse)
        task.worker = worker
        worker.busy, worker.in_flight = True, worker.in_flight + 1
        report.attempts += 1
        wrong = self._cheats(worker)
        work = 1 + scenario.proof_work
        time = FAKING if wrong else int(scenario.work_time * work / worker.speed)
        stop = min(worker.online_until, worker.leaves)
        if env.now + time > stop:
            report.wasted_work += 0 if wrong else work * (stop - env.now) / time
            yield stop - env.now
            yield from self._gives_up(task, worker)
            return
        yield time
        worker.busy = False
        self.accounts.apply(task.escrow, EscrowEvent.COMMIT, worker.purse)
        kind = report.kinds[worker.kind]
        kind.results += 1
        kind.wrong += wrong
        if not wrong:
            report.check_work += scenario.proof_work
        self._ready(worker)
        yield from self._verify(task, worker, wrong)

    def _gives_up(self, task: Task, worker: Worker) -> Steps:
        """A shift ends: the lease goes back. A worker leaves for good: the lease has to lapse."""
        if worker.leaves < worker.online_until:
            self.report.lapsed += 1
            yield self.scenario.lease
        else:
            self.report.yielded += 1
        worker.busy, worker.in_flight = False, worker.in_flight - 1
        self.accounts.apply(task.escrow, EscrowEvent.RELEASE, worker.purse)
        self._requeue(task)

    def _cheats(self, worker: Worker) -> bool:
        match worker.kind:
            case Kind.HONEST:
                return False
            case Kind.OCCASIONAL:
                return self.random.random() < self.scenario.occasional
            case Kind.SLEEPER:
                return worker.verified >= self.scenario.sleep
            case _:
                return True

    # One verdict.

    def _verify(self, task: Task, worker: Worker, wrong: bool) -> Steps:
        match self.scenario.policy:
            case Always():
                yield from self._check(task, worker, wrong)
            case Sampled() as policy:
                yield from self._sample(policy, task, worker, wrong)
            case OnChallenge() as policy:
                yield from self._await_challenge(policy, task, worker, wrong)

    def _convicts(self, worker: Worker) -> bool:
        """Whether a check of a wrong result convicts: a bribed verifier's does not."""
        return worker.kind is not Kind.COLLUDER or self._chance(self.scenario.assumed.conviction)

    def _chance(self, share: Fraction) -> bool:
        return self.random.randrange(share.denominator) < share.numerator

    def _check(self, task: Task, worker: Worker, wrong: bool) -> Steps:
        self.report.checks += 1
        self.report.check_work += self.scenario.check_work
        yield self.scenario.check_time
        self._decide(task, worker, wrong, not (wrong and self._convicts(worker)), checked=True)

    def _sample(self, policy: Sampled, task: Task, worker: Worker, wrong: bool) -> Steps:
        rate = standing.sampling_rate(policy.rate, worker.verified, worker.rejected)
        if self.random.random() < self.scenario.silent:
            self.report.silent += 1
            yield policy.reveal_within
            checked = True
        else:
            yield SECOND
            nonces = {bytes([party]) * 32: self.random.randbytes(32) for party in (1, 2)}
            checked = drawn(self.random.randbytes(32), nonces, rate)
        if checked:
            yield from self._check(task, worker, wrong)
        else:
            self._decide(task, worker, wrong, True, checked=False)

    def _await_challenge(self, policy: OnChallenge, task: Task, worker: Worker, wrong: bool) -> Steps:
        env, report = self.env, self.report
        case = ChallengeCase(policy, env.now)
        watched = self._chance(self.scenario.assumed.watched)
        report.check_work += self.scenario.check_work if watched else 0
        found = wrong and watched and self._convicts(worker)
        if found or (not wrong and self.random.random() < self.scenario.frivolous):
            report.challenges += 1
            yield policy.window // 2
            self._stakes(case.challenge(policy.stake, env.now), policy, worker)
            if not wrong:
                report.check_work += 1
                yield policy.answer_within // 2
                self._stakes(case.prove(env.now), policy, worker)
        if case.tick(env.now) == ():
            yield max(0, case.until - env.now)
        effects = case.tick(env.now)
        self._stakes(effects, policy, worker)
        self._decide(task, worker, wrong, ChallengeEffect.CONVICT not in effects, checked=watched or found)

    def _stakes(self, effects: tuple[ChallengeEffect, ...], policy: OnChallenge, worker: Worker) -> None:
        for effect in effects:
            if effect is ChallengeEffect.HOLD_STAKE:
                self.challengers.balance -= policy.stake
            elif effect is ChallengeEffect.RETURN_STAKE:
                self.challengers.balance += policy.stake
            elif effect is ChallengeEffect.PAY_STAKE:
                worker.purse.balance += policy.stake
                self.report.kinds[worker.kind].stakes += policy.stake

    def _decide(self, task: Task, worker: Worker, wrong: bool, accepted: bool, *, checked: bool) -> None:
        kind = self.report.kinds[worker.kind]
        worker.in_flight -= 1
        if accepted:
            self.accounts.apply(task.escrow, EscrowEvent.ACCEPT, worker.purse)
            self._paid(task, kind, wrong)
            worker.verified += checked
            self._ready(worker)
            return
        self.accounts.apply(task.escrow, EscrowEvent.REJECT, worker.purse)
        kind.lost += task.escrow.bond
        kind.convicted += wrong
        kind.honest_slashed += not wrong
        worker.rejected += 1
        if worker.kind is Kind.SYBIL:
            worker.verified = worker.rejected = 0
            self._ready(worker)
        else:
            worker.banned_until = self.env.now + standing.ban_after(worker.rejected)
            self.env.process(self._after_ban(worker))
        self._requeue(task)

    def _after_ban(self, worker: Worker) -> Steps:
        yield worker.banned_until - self.env.now
        self._ready(worker)

    def _paid(self, task: Task, kind: KindReport, wrong: bool) -> None:
        report = self.report
        report.finished += 1
        report.latencies.append(self.env.now - task.arrived)
        report.useful_work += not wrong
        report.wrong_accepted += wrong
        kind.earned += task.escrow.price
        if wrong:
            kind.paid_wrong += 1
            kind.earned_wrong += task.escrow.price
        del self.open[id(task)]

    def _refund(self, task: Task) -> None:
        self.report.unfinished += 1
        worker = self.accounts.requester if task.worker is None else task.worker.purse
        if task.escrow.state in (EscrowState.LEASED, EscrowState.COMMITTED):
            self.accounts.apply(task.escrow, EscrowEvent.RELEASE, worker)
        self.accounts.apply(task.escrow, EscrowEvent.REFUND, worker)

    def _total(self) -> int:
        """What conservation is about: stakes move between challengers and workers."""
        purses = sum(worker.purse.balance for worker in self.workers)
        return self.accounts.requester.balance + self.accounts.held + self.challengers.balance + purses


def simulate(scenario: Scenario) -> Report:
    """Run a scenario; the same scenario gives the same report."""
    return Market(scenario).run()
