# SPDX-License-Identifier: Apache-2.0
"""Whole tasks through all roles: what must happen, and what must happen when someone fails."""

from typing import Any

import pytest

from tests.protocol_kit import COORDINATOR, OFFER, REPLAY, REQUESTER, SETTLEMENT, VERIFIER, offer
from tests.session.world import FUNDS, PROOF, Faults, World
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.identity.quorum import VerifierSet
from vcompute.messages import (
    Cancel,
    Challenge,
    Offer,
    OnChallenge,
    Receipt,
    Result,
    Sampled,
    Verdict,
    message_type,
    open_message,
    seal,
)
from vcompute.policy import WorkerTerms
from vcompute.policy.certificate import member
from vcompute.policy.receipt import check_receipt
from vcompute.registry import Basis, ErrorCode, MessageType, Outcome, Role, YieldReason
from vcompute.session.requester import RequesterState
from vcompute.session.verifier_history import History
from vcompute.session.worker_table import WorkerState


def test_a_task_is_run_checked_and_paid() -> None:
    world = World(workers=1)
    task = world.offer()
    world.run()
    assert world.state(task) is RequesterState.DONE
    worker = world.workers[0]
    assert worker.session.records[task].state is WorkerState.PAID
    assert world.balances() == {REQUESTER.thumbprint: FUNDS - 50, worker.key.thumbprint: FUNDS + 50}
    world.check_money()


def test_a_cheater_loses_its_bond_and_the_task_moves() -> None:
    world = World(workers=3)
    tasks = [world.offer() for _ in range(6)]
    cheater = world.workers[0]
    world.run(cheats=lambda client: client is cheater)
    assert {world.state(task) for task in tasks} == {RequesterState.DONE}
    assert world.ledger.balance(cheater.key.thumbprint) == FUNDS - 20
    rejected = sum(world.requester.session.records[task].rejected for task in tasks)
    assert rejected == 1
    assert world.ledger.balance(REQUESTER.thumbprint) == FUNDS - 6 * 50 + 20
    world.check_money()


def test_a_worker_that_vanishes_costs_one_lease_and_no_bond() -> None:
    world = World(workers=2)
    task = world.offer()
    world.drain()
    gone = next(worker for worker in world.workers if worker.jobs)
    world.lose(gone)
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.requester.session.records[task].moved == 1
    assert world.ledger.balance(gone.key.thumbprint) == FUNDS


def test_a_yield_moves_the_task_at_once_and_is_no_fault() -> None:
    world = World(workers=2)
    task = world.offer()
    world.drain()
    first = next(worker for worker in world.workers if worker.jobs)
    first.act(first.session.stop(YieldReason.BATTERY, world.now))
    world.run(rounds=3)
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(first.key.thumbprint) == FUNDS
    assert world.coordinator.roster.standings[first.key.thumbprint].rejected == 0


def test_no_worker_until_the_deadline_refunds() -> None:
    world = World(workers=0)
    task = world.offer()
    world.run()
    assert world.state(task) is RequesterState.REFUNDED
    assert world.ledger.balance(REQUESTER.thumbprint) == FUNDS
    world.check_money()


def test_an_offer_without_funds_is_refused_and_may_come_again() -> None:
    world = World(workers=1)
    task = world.offer(price=FUNDS + 1)
    world.run()
    record = world.requester.session.records[task]
    assert (record.state, record.code) == (RequesterState.REFUSED, ErrorCode.INSUFFICIENT_FUNDS)
    world.ledger.fund(REQUESTER.thumbprint, 1, b"top up", world.now)
    world.requester.act(world.requester.session.offer(open_message(record.offer), world.now))
    world.run()
    assert world.state(task) is RequesterState.DONE


def test_a_cancelled_task_is_refunded() -> None:
    world = World(workers=1)
    task = world.offer()
    world.drain()
    assert world.workers[0].jobs
    world.requester.act(world.requester.session.cancel(task, world.now))
    world.run()
    assert world.state(task) is RequesterState.REFUNDED
    assert world.balances() == {REQUESTER.thumbprint: FUNDS, world.workers[0].key.thumbprint: FUNDS}
    assert not world.workers[0].jobs


def test_a_cancellation_after_the_result_is_too_late() -> None:
    world = World(workers=1)
    task = world.offer()
    world.drain()
    world.workers[0].work()
    world.drain()
    world.requester.act(world.requester.session.cancel(task, world.now))
    world.run()
    assert world.state(task) is RequesterState.DONE


def test_only_the_requester_cancels() -> None:
    world = World(workers=1)
    task = world.offer()
    world.drain()
    stranger = world.workers[0].key
    world.post(stranger.thumbprint, None, seal(stranger, Cancel(task, ErrorCode.CANCELLED)).data)
    world.run()
    assert world.state(task) is RequesterState.DONE


def test_a_verifier_that_never_answers_costs_the_worker_its_time_only() -> None:
    world = World(workers=1)
    task = world.offer()
    world.verifier.judge = lambda: None  # type: ignore[method-assign]
    world.run()
    assert world.state(task) is RequesterState.REFUNDED
    assert world.ledger.balance(world.workers[0].key.thumbprint) == FUNDS


def test_a_settlement_that_does_not_answer_is_asked_again_and_pays_once() -> None:
    world = World(workers=1)
    task = world.offer()
    world.settlement_up = False
    world.drain()
    world.tick(1_500)
    world.settlement_up, world.crash_after_call = True, True
    for _ in range(5):
        world.drain()
        world.tick(1_500)
    assert world.ledger.holding(task) is not None
    world.crash_after_call = False
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(world.workers[0].key.thumbprint) == FUNDS + 50
    world.check_money()


@pytest.mark.parametrize("who", ["coordinator", "worker", "requester", "verifier"])
@pytest.mark.parametrize("step", range(12))
def test_a_crash_after_any_step_loses_nothing(who: str, step: int) -> None:
    world = World(workers=2, seed=step)
    task = world.offer()
    for _ in range(step):
        if not world.deliver():
            world.workers[0].work()
            world.workers[1].work()
            world.verifier.judge()
    if who == "coordinator":
        world.boot()
        for client in world.clients.values():
            client.start()
    else:
        {"worker": world.workers[0], "requester": world.requester, "verifier": world.verifier}[who].start()
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.audit().paid == 50
    world.check_money()


@pytest.mark.parametrize("seed", range(8))
def test_a_bad_network_only_delays(seed: int) -> None:
    world = World(workers=3, seed=seed, faults=Faults(drop=0.2, duplicate=0.2, corrupt=0.1, reorder=True))
    tasks = [world.offer() for _ in range(5)]
    world.run(rounds=60)
    world.heal()
    world.run()
    assert all(world.final(task) for task in tasks)
    world.check_money()


def test_receipts_reach_who_they_concern_and_are_the_settlements() -> None:
    world = World(workers=1)
    task = world.offer()
    world.run()
    receipts = [
        (target, open_message(data).of(Receipt))
        for source, target, data in world.wire
        if source == COORDINATOR.thumbprint and isinstance(open_message(data).body, Receipt)
    ]
    assert {target for target, _ in receipts} == {
        REQUESTER.thumbprint,
        world.workers[0].key.thumbprint,
        world.verifier.key.thumbprint,
    }
    assert all(receipt.body.task == task and receipt.body.outcome is Outcome.PAID for _, receipt in receipts)
    assert {receipt.signer for _, receipt in receipts} == {world.ledger.thumbprint}


def test_a_verifier_set_certifies_the_receipt() -> None:
    """VC-QRM-011: the share travels in the verdict, the certificate in the receipt, and everyone checks it."""
    world = World(workers=2)
    members = VerifierSet((member(world.member, VERIFIER.thumbprint),), 1)
    tasks = [world.offer(verifier_set=members) for _ in range(2)]
    cheater = world.workers[0]
    world.run(cheats=lambda client: client is cheater)
    assert {world.state(task) for task in tasks} == {RequesterState.DONE}
    for task in tasks:
        record = world.requester.session.records[task]
        receipt = open_message(record.receipt).of(Receipt)
        assert receipt.body.certificate is not None
        assert check_receipt(receipt, open_message(record.offer).of(Offer)).certified
    assert world.ledger.balance(cheater.key.thumbprint) == FUNDS - 20
    world.check_money()


def sampled(rate: int, stake: int = 5) -> dict[str, Any]:
    return {"policy": Sampled((REPLAY,), rate, 2_000, stake)}


def test_a_draw_spares_some_results_and_checks_the_others() -> None:
    world = World(workers=2, seed=3)
    tasks = [world.offer(**sampled(1 << 15)) for _ in range(16)]
    world.run()
    assert {world.state(task) for task in tasks} == {RequesterState.DONE}
    bases = [
        open_message(data).of(Verdict).body.basis
        for task in tasks
        for data in open_message(world.requester.session.records[task].receipt).of(Receipt).body.verdicts
    ]
    assert len(bases) == 16
    assert set(bases) == {Basis.NOT_SAMPLED, Basis.REPLAYED}
    assert world.verifier.checks == bases.count(Basis.REPLAYED)
    assert world.ledger.balance(VERIFIER.thumbprint) == FUNDS
    assert world.ledger.balance(REQUESTER.thumbprint) == FUNDS - 16 * 50
    world.check_money()


def test_newcomers_are_checked_more_often_than_drawn() -> None:
    """VC-POL-040: a verifier with a history checks every result at first, then fewer; a restart forgets nothing."""
    world = World(workers=1, seed=3)
    verifier, worker = world.verifier, world.workers[0]

    def recall(name: bytes) -> Any:
        return verifier.disk.recall("history", name)

    checked = []
    for number in range(60):
        if number % 10 == 0:
            verifier.start()
            verifier.session._history = History(recall, world.random.randbytes)
        before = verifier.checks
        world.offer(**sampled(1))
        world.run(rounds=40)
        checked.append(verifier.checks - before)
    assert checked[0] == 1
    assert sum(checked[:8]) >= 6
    assert 0 < sum(checked[-20:]) < sum(checked[:20])
    known = recall(worker.key.thumbprint)
    assert (known.verified, known.rejected) == (sum(checked), 0)


def test_a_newcomer_that_cheats_is_found_out_at_the_least_rate() -> None:
    """VC-POL-040: what the draw spares is refused all the same where the verifier looked closer."""
    world = World(workers=1, seed=4)
    world.verifier.session._history = History(lambda _: None, world.random.randbytes)
    task = world.offer(**sampled(1))
    cheater = world.workers[0]
    world.run(rounds=60, cheats=lambda worker: True)
    assert cheater.session.records[task].state is WorkerState.SLASHED
    assert world.ledger.balance(cheater.key.thumbprint) == FUNDS - 20
    world.check_money()


def test_at_full_rate_every_result_is_checked_and_at_the_least_hardly_one() -> None:
    for rate, checks in ((1 << 16, 6), (1, 0)):
        world = World(workers=2)
        tasks = [world.offer(**sampled(rate)) for _ in range(6)]
        world.run()
        assert {world.state(task) for task in tasks} == {RequesterState.DONE}
        assert world.verifier.checks == checks


def test_a_cheater_that_is_drawn_is_slashed_and_stakes_return() -> None:
    world = World(workers=2)
    task = world.offer(**sampled(1 << 16))
    cheater = world.workers[0]
    world.run(cheats=lambda client: client is cheater)
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(cheater.key.thumbprint) == FUNDS - 20
    assert world.ledger.balance(VERIFIER.thumbprint) == FUNDS
    world.check_money()


@pytest.mark.parametrize("silent", ["requester", "verifier"])
@pytest.mark.parametrize("phase", [MessageType.SAMPLE_COMMIT, MessageType.SAMPLE_REVEAL])
def test_silence_in_a_draw_means_a_check_and_costs_a_committed_party_its_stake(silent: str, phase: MessageType) -> None:
    world = World(workers=1)
    quiet = {"requester": REQUESTER, "verifier": VERIFIER}[silent].thumbprint
    post = world.post

    def muted(source: bytes, target: bytes | None, data: bytes) -> None:
        if source != quiet or message_type(open_message(data).body) is not phase:
            post(source, target, data)

    world.post = muted  # type: ignore[method-assign]
    task = world.offer(**sampled(1))
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.verifier.checks == 1, "silence never saves a worker from a check"
    lost = 5 if phase is MessageType.SAMPLE_REVEAL else 0
    balances = {key: world.ledger.balance(key.thumbprint) for key in (REQUESTER, VERIFIER)}
    assert balances[REQUESTER] == FUNDS - 50 - (lost if silent == "requester" else 0)
    assert balances[VERIFIER] == FUNDS - (lost if silent == "verifier" else 0)
    assert world.ledger.balance(world.workers[0].key.thumbprint) == FUNDS + 50 + lost
    world.check_money()


@pytest.mark.parametrize("who", ["coordinator", "requester", "verifier"])
@pytest.mark.parametrize("step", range(8, 24, 2))
def test_a_crash_in_a_draw_loses_nothing(who: str, step: int) -> None:
    world = World(workers=1, seed=step)
    task = world.offer(**sampled(1 << 15))
    for _ in range(step):
        if not world.deliver():
            world.workers[0].work()
            world.verifier.judge()
    if who == "coordinator":
        world.boot()
        for client in world.clients.values():
            client.start()
    else:
        {"requester": world.requester, "verifier": world.verifier}[who].start()
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.audit().forfeited == 0
    world.check_money()


def test_the_parties_of_a_draw_reveal_only_when_all_have_committed() -> None:
    world = World(workers=1)
    world.offer(**sampled(1 << 15))
    world.run()
    kinds = [message_type(open_message(data).body) for _, target, data in world.wire if target is None]
    commits = [i for i, kind in enumerate(kinds) if kind is MessageType.SAMPLE_COMMIT]
    reveals = [i for i, kind in enumerate(kinds) if kind is MessageType.SAMPLE_REVEAL]
    assert len(commits) >= 2
    assert len(reveals) >= 2
    assert max(commits[:2]) < min(reveals)


CONTESTED: dict[str, Any] = {"policy": OnChallenge((PROOF,), window=8_000, answer_within=4_000, stake=5)}


def basis_of_payment(world: World, task: bytes) -> set[Basis]:
    record = world.requester.session.records[task]
    receipt = open_message(record.receipt).of(Receipt)
    return set(check_receipt(receipt, open_message(record.offer).of(Offer)).bases)


def test_what_nobody_challenges_is_paid_when_the_window_is_over() -> None:
    """VC-POL-032: no proof is made, and no money moves before the window's end."""
    world = World(workers=2)
    tasks = [world.offer(**CONTESTED) for _ in range(3)]
    world.run(rounds=8)
    assert not any(world.final(task) for task in tasks)
    world.run()
    assert {world.state(task) for task in tasks} == {RequesterState.DONE}
    assert all(basis_of_payment(world, task) == {Basis.UNCHALLENGED} for task in tasks)
    assert sum(worker.proofs for worker in world.workers) == 0
    assert world.verifier.checks == 0
    world.check_money()


def test_a_watched_cheater_is_challenged_and_convicted() -> None:
    """VC-POL-034: the requester runs the result again, challenges it, and the worker's proof fails."""
    world = World(workers=2)
    task = world.offer(**CONTESTED)
    cheater = world.workers[0]
    world.run(cheats=lambda client: client is cheater)
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(cheater.key.thumbprint) == FUNDS - 20
    assert world.ledger.balance(REQUESTER.thumbprint) == FUNDS - 50 + 20
    assert cheater.proofs == 1
    assert cheater.session.records[task].state is WorkerState.SLASHED
    world.check_money()


def test_a_challenged_worker_that_is_silent_is_convicted() -> None:
    """VC-POL-034: no proof, no payment; its receipt shows the challenge it did not answer."""
    world = World(workers=1)
    task = world.offer(**CONTESTED)
    world.proves = False
    world.run(cheats=lambda client: True)
    assert world.state(task) is RequesterState.REFUNDED
    worker = world.workers[0]
    assert worker.session.records[task].state is WorkerState.SLASHED
    assert world.ledger.balance(worker.key.thumbprint) == FUNDS - 20
    world.check_money()


def test_who_challenges_a_right_result_pays_for_the_proof() -> None:
    """VC-POL-035: a stranger with money challenges; the verifier's verdict pays worker and stake."""
    world = World(workers=1)
    task = world.offer(**CONTESTED)
    for _ in range(2):
        world.drain()
        world.workers[0].work()
    record = world.coordinator.records[task]
    result = open_message(record.result or b"").of(Result)
    challenge = seal(VERIFIER, Challenge(task, result.body.lease, result.digest))
    world.post(VERIFIER.thumbprint, None, challenge.data)
    world.run()
    assert basis_of_payment(world, task) == {Basis.PROVED}
    assert world.workers[0].proofs == 1
    assert world.ledger.balance(world.workers[0].key.thumbprint) == FUNDS + 50 + 5
    assert world.ledger.balance(VERIFIER.thumbprint) == FUNDS - 5
    world.check_money()


def test_a_result_whose_outputs_never_come_is_challenged() -> None:
    """VC-POL-034: a watcher that cannot look challenges before the window is over."""
    world = World(workers=1)
    task = world.offer(**CONTESTED)
    world.requester.judge = lambda: None  # type: ignore[method-assign]
    world.proves = False
    world.run()
    assert world.workers[0].session.records[task].state is WorkerState.SLASHED
    world.check_money()


def test_under_sampling_the_proof_is_made_only_when_it_is_drawn() -> None:
    """VC-POL-016: as many proofs as checks, and the others are paid as not sampled."""
    world = World(workers=2, seed=3)
    tasks = [world.offer(policy=Sampled((PROOF,), 1 << 15, 2_000, 5)) for _ in range(12)]
    world.run()
    assert {world.state(task) for task in tasks} == {RequesterState.DONE}
    bases = [next(iter(basis_of_payment(world, task))) for task in tasks]
    assert set(bases) == {Basis.NOT_SAMPLED, Basis.PROVED}
    assert sum(worker.proofs for worker in world.workers) == bases.count(Basis.PROVED) == world.verifier.checks
    world.check_money()


def test_a_drawn_worker_that_is_silent_is_convicted() -> None:
    """VC-POL-016: a draw cannot be waited out; the receipt holds the draw."""
    world = World(workers=1)
    task = world.offer(policy=Sampled((PROOF,), 1 << 16, 2_000, 5))
    world.proves = False
    world.run()
    worker = world.workers[0]
    assert worker.session.records[task].state is WorkerState.SLASHED
    assert world.ledger.balance(worker.key.thumbprint) == FUNDS - 20
    assert world.ledger.balance(VERIFIER.thumbprint) == FUNDS
    world.check_money()


@pytest.mark.parametrize("who", ["coordinator", "worker", "requester", "verifier"])
@pytest.mark.parametrize("step", range(8, 26, 3))
def test_a_crash_around_a_challenge_loses_nothing(who: str, step: int) -> None:
    world = World(workers=2, seed=step)
    task = world.offer(**CONTESTED)
    cheater = world.workers[0]
    for _ in range(step):
        if not world.deliver():
            for worker in world.workers:
                worker.work(honest=worker is not cheater)
                worker.prove()
            world.requester.judge()
            world.verifier.judge()
    if who == "coordinator":
        world.boot()
        for client in world.clients.values():
            client.start()
    else:
        {"worker": cheater, "requester": world.requester, "verifier": world.verifier}[who].start()
    world.run(cheats=lambda client: client is cheater)
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(cheater.key.thumbprint) in (FUNDS, FUNDS - 20)
    world.check_money()


FALLBACK = PrivateKey.from_seed(b"fallback")


@pytest.mark.parametrize("cheating", [False, True])
@pytest.mark.parametrize("policy", [OFFER.policy, Sampled((REPLAY,), 1 << 16, 2_000, 5), CONTESTED["policy"]])
def test_a_fallback_judges_where_the_verifier_is_silent(policy: Any, cheating: bool) -> None:
    """VC-SET-011 VC-SES-011: a withheld verdict costs the worker nothing, and silence does not pay a cheater."""
    world = World(workers=1)
    fallback = world.join(FALLBACK, Role.VERIFIER)
    world.verifier.judge = lambda: None  # type: ignore[method-assign]
    world.requester.judge = lambda: None  # type: ignore[method-assign]
    task = world.offer(policy=policy, fallback=(FALLBACK.thumbprint,))
    world.run(cheats=lambda client: cheating)
    worker = world.workers[0]
    assert worker.session.records[task].state is (WorkerState.SLASHED if cheating else WorkerState.PAID)
    assert fallback.checks == 1
    if not cheating:
        receipt = open_message(world.requester.session.records[task].receipt).of(Receipt)
        assert check_receipt(
            receipt, open_message(world.requester.session.records[task].offer).of(Offer)
        ).verifiers == (FALLBACK.thumbprint,)
    world.check_money()


def test_a_silent_fallback_ends_like_a_silent_verifier() -> None:
    """VC-SET-011: bond and price go back, after both windows."""
    world = World(workers=1)
    world.verifier.judge = lambda: None  # type: ignore[method-assign]
    task = world.offer(fallback=(FALLBACK.thumbprint,))
    world.run()
    assert world.state(task) is RequesterState.REFUNDED
    assert world.ledger.balance(world.workers[0].key.thumbprint) == FUNDS
    world.check_money()


def test_an_independent_worker_declines_what_its_requester_alone_judges() -> None:
    """VC-SES-011."""
    terms = WorkerTerms((REPLAY,), independent=True)
    alone = {"verifiers": (REQUESTER.thumbprint,)}
    for bad in (alone, {**alone, "fallback": (REQUESTER.thumbprint,)}):
        with pytest.raises(ProtocolError) as caught:
            terms.check(offer(**bad), SETTLEMENT.thumbprint)
        assert caught.value.code is ErrorCode.TERMS_NOT_ACCEPTABLE
    for good in ({}, {**alone, "fallback": (FALLBACK.thumbprint,)}):
        terms.check(offer(**good), SETTLEMENT.thumbprint)
