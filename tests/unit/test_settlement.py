# SPDX-License-Identifier: Apache-2.0
"""The ledger: what moves money, what does not, and what an audit finds."""

import sqlite3
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.protocol_kit import (
    COORDINATOR,
    NOW,
    OFFER,
    OTHER,
    REPLAY,
    REQUESTER,
    SETTLEMENT,
    VERIFIER,
    WORKER,
    accept,
    offer,
    result,
    verdict,
)
from vcompute.errors import ProtocolError, VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Always,
    Answer,
    Cancel,
    Challenge,
    OnChallenge,
    Progress,
    Receipt,
    Sampled,
    Signed,
    SuiteChoice,
    Yield,
    open_message,
    seal,
)
from vcompute.policy.receipt import check_receipt
from vcompute.policy.sampling import drawn, seal_commit, seal_reveal
from vcompute.registry import Basis, ErrorCode, Outcome, ParameterSetId, YieldReason
from vcompute.settlement import ESCROW_TABLE, EscrowState, Ledger, open_ledger
from vcompute.settlement.rules import EscrowEvent, Movement

PROOF = SuiteChoice.of(ParameterSetId.PUBLIC_128)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    book = open_ledger(tmp_path / "ledger.db", SETTLEMENT)
    for key, operation in ((REQUESTER, b"r"), (WORKER, b"w"), (OTHER, b"o")):
        book.fund(key.thumbprint, 1000, operation, NOW)
    yield book
    report = book.audit()
    book.book.close()  # type: ignore[attr-defined]
    assert report.conserved, report.problems
    assert report.issued == 3000


def balances(ledger: Ledger) -> tuple[int, int, int]:
    return tuple(ledger.balance(key.thumbprint) for key in (REQUESTER, WORKER, OTHER))  # type: ignore[return-value]


def refused(code: ErrorCode, call: Callable[..., object], *args: object) -> None:
    with pytest.raises(VcomputeError) as caught:
        call(*args)
    assert caught.value.code is code


def committed(ledger: Ledger, **changes: Any) -> tuple[Signed[Any], Signed[Any], Signed[Any]]:
    task = offer(**changes)
    lease = accept(task)
    done = result(lease)
    ledger.open(task.data, NOW)
    ledger.bond(lease.data, NOW)
    ledger.commit(done.data, NOW + 1)
    return task, lease, done


def receipt_of(data: bytes | None) -> Receipt:
    assert data is not None
    signed = open_message(data).of(Receipt)
    signed.require_signer(SETTLEMENT.thumbprint)
    return signed.body


def test_an_accepted_result_is_paid_and_the_bond_returns(ledger: Ledger) -> None:
    """VC-SET-007: paid, with everything that shows why."""
    task, lease, done = committed(ledger)
    assert balances(ledger) == (950, 980, 1000)
    paid = ledger.settle(verdict(done).data, NOW + 2)
    assert (paid.state, paid.escrow, paid.bond) == (EscrowState.PAID, 0, 0)
    assert balances(ledger) == (950, 1050, 1000)
    receipt = receipt_of(paid.receipt)
    assert (receipt.outcome, receipt.amount, receipt.work_units) == (Outcome.PAID, 50, 1000)
    assert (receipt.task, receipt.lease, receipt.worker) == (task.digest, lease.digest, WORKER.thumbprint)
    assert receipt.result == done.data
    assert [open_message(v).signer for v in receipt.verdicts] == [VERIFIER.thumbprint]


def test_a_refused_result_costs_the_bond_and_the_task_goes_on(ledger: Ledger) -> None:
    """VC-SET-007: slashed, and the task goes on."""
    task, _, done = committed(ledger)
    slashed = ledger.settle(verdict(done, False).data, NOW + 2)
    assert (slashed.state, slashed.escrow) == (EscrowState.OPEN, 50)
    assert receipt_of(slashed.receipt).outcome is Outcome.SLASHED
    assert balances(ledger) == (970, 980, 1000)
    second = accept(task, OTHER, 2)
    ledger.bond(second.data, NOW + 3)
    again = result(second, OTHER)
    ledger.commit(again.data, NOW + 4)
    ledger.settle(verdict(again).data, NOW + 5)
    assert balances(ledger) == (970, 980, 1050)


def test_everything_again_gives_the_identical_answer_and_moves_nothing(ledger: Ledger) -> None:
    """VC-SET-005"""
    task, lease, done = committed(ledger)
    judged = verdict(done)
    first = ledger.settle(judged.data, NOW + 2)
    before = balances(ledger)
    assert ledger.settle(judged.data, NOW + 9_999) == first
    for operation, message in ((ledger.open, task), (ledger.bond, lease), (ledger.commit, done)):
        assert operation(message.data, NOW + 9_999) == operation(message.data, NOW + 99_999)
    assert balances(ledger) == before
    assert ledger.fund(WORKER.thumbprint, 1000, b"w", NOW) == before[1]
    refused(ErrorCode.OPERATION_CONFLICT, ledger.fund, WORKER.thumbprint, 1001, b"w", NOW)


def test_no_verdict_no_payment(ledger: Ledger) -> None:
    """Every other way to ask for the money is refused."""
    task, lease, done = committed(ledger)
    other = replace(done.body, energy=1)
    cases = [
        verdict(done, key=REQUESTER),
        verdict(done, key=WORKER),
        verdict(done, basis=Basis.PROVED),
        verdict(done, basis=Basis.NOT_SAMPLED),
        verdict(done, basis=Basis.UNCHALLENGED),
        verdict(seal(WORKER, other)),
        verdict(done, False, basis=Basis.NOT_SAMPLED),
    ]
    for case in cases:
        refused(ErrorCode.VERDICT_NOT_ADMITTED, ledger.settle, case.data, NOW + 2)
    refused(ErrorCode.UNKNOWN_MESSAGE, ledger.settle, done.data, NOW + 2)
    refused(ErrorCode.STALE_LEASE, ledger.settle, verdict(result(accept(task, OTHER), OTHER)).data, NOW + 2)
    refused(ErrorCode.LEASE_CONFLICT, ledger.refund, task.digest, None, NOW + 2)
    refused(ErrorCode.LEASE_CONFLICT, ledger.release, task.digest, lease.digest, None, NOW + 2)
    assert balances(ledger) == (950, 980, 1000)


def test_a_verdict_before_the_result_is_refused(ledger: Ledger) -> None:
    task = offer()
    lease = accept(task)
    ledger.open(task.data, NOW)
    refused(ErrorCode.STALE_LEASE, ledger.settle, verdict(result(lease)).data, NOW)
    ledger.bond(lease.data, NOW)
    refused(ErrorCode.LEASE_CONFLICT, ledger.settle, verdict(result(lease)).data, NOW)


@pytest.mark.parametrize(
    ("policy", "basis", "admitted"),
    [
        (Always((REPLAY,)), Basis.REPLAYED, True),
        (Always((PROOF,)), Basis.REPLAYED, False),
        (Always((PROOF, REPLAY)), Basis.PROVED, True),
        (Sampled((REPLAY,), 1000, 1000, 5), Basis.NOT_SAMPLED, False),
        (Sampled((REPLAY,), 1000, 1000, 5), Basis.REPLAYED, True),
        (Sampled((REPLAY,), 1000, 1000, 5), Basis.UNCHALLENGED, False),
        (OnChallenge((PROOF,), 1000, 1000, 5), Basis.UNCHALLENGED, False),
        (OnChallenge((PROOF,), 1000, 1000, 5), Basis.NOT_SAMPLED, False),
    ],
)
def test_the_policy_says_which_bases_release_money(ledger: Ledger, policy: Any, basis: Basis, admitted: bool) -> None:
    task = offer(policy=policy)
    lease = accept(task)
    done = result(lease, suite=policy.suites[0])
    ledger.open(task.data, NOW)
    ledger.bond(lease.data, NOW)
    ledger.commit(done.data, NOW)
    judged = verdict(done, basis=basis)
    if admitted:
        assert ledger.settle(judged.data, NOW).state is EscrowState.PAID
    else:
        refused(ErrorCode.VERDICT_NOT_ADMITTED, ledger.settle, judged.data, NOW)


def test_a_quorum_needs_distinct_verifiers_that_agree(ledger: Ledger) -> None:
    """VC-SET-006"""
    verifiers = (VERIFIER, COORDINATOR, OTHER)
    _, _, done = committed(ledger, verifiers=tuple(key.thumbprint for key in verifiers), quorum=2)
    assert ledger.settle(verdict(done, True, VERIFIER).data, NOW).state is EscrowState.COMMITTED
    refused(ErrorCode.VERDICT_NOT_ADMITTED, ledger.settle, verdict(done, False, VERIFIER).data, NOW)
    assert ledger.settle(verdict(done, False, COORDINATOR).data, NOW).state is EscrowState.COMMITTED
    paid = ledger.settle(verdict(done, True, OTHER).data, NOW)
    assert paid.state is EscrowState.PAID
    assert {open_message(v).signer for v in receipt_of(paid.receipt).verdicts} == {
        VERIFIER.thumbprint,
        OTHER.thumbprint,
    }


def test_a_yield_returns_the_bond_but_only_the_workers_own(ledger: Ledger) -> None:
    task = offer()
    lease = accept(task)
    ledger.open(task.data, NOW)
    ledger.bond(lease.data, NOW)
    given_back = Yield(task.digest, lease.digest, YieldReason.BATTERY)
    refused(ErrorCode.NOT_DUE, ledger.release, task.digest, lease.digest, None, NOW + 1)
    stranger = seal(OTHER, given_back).data
    refused(ErrorCode.UNEXPECTED_SIGNER, ledger.release, task.digest, lease.digest, stranger, NOW + 1)
    wrong = seal(WORKER, replace(given_back, lease=bytes(32))).data
    refused(ErrorCode.STALE_LEASE, ledger.release, task.digest, lease.digest, wrong, NOW + 1)
    held = ledger.release(task.digest, lease.digest, seal(WORKER, given_back).data, NOW + 1)
    assert (held.state, receipt_of(held.receipt).outcome) == (EscrowState.OPEN, Outcome.RETURNED)
    assert balances(ledger) == (950, 1000, 1000)


def test_a_lease_ends_with_its_time_and_renewals_move_it(ledger: Ledger) -> None:
    """VC-SET-004"""
    task = offer()
    lease = accept(task)
    ledger.open(task.data, NOW)
    assert ledger.bond(lease.data, NOW).until == NOW + 5_000
    step = Progress(task.digest, lease.digest, 1, 500)
    refused(ErrorCode.UNEXPECTED_SIGNER, ledger.renew, seal(OTHER, step).data, NOW + 4_000)
    assert ledger.renew(seal(WORKER, step).data, NOW + 4_000).until == NOW + 9_000
    refused(ErrorCode.NOT_DUE, ledger.release, task.digest, lease.digest, None, NOW + 8_999)
    late = seal(WORKER, replace(step, sequence=2)).data
    refused(ErrorCode.LEASE_EXPIRED, ledger.renew, late, NOW + 9_000)
    refused(ErrorCode.LEASE_EXPIRED, ledger.commit, result(lease).data, NOW + 9_000)
    ledger.release(task.digest, lease.digest, None, NOW + 9_000)
    assert balances(ledger) == (950, 1000, 1000)


def test_no_verdict_in_time_returns_the_bond_without_fault(ledger: Ledger) -> None:
    """VC-SET-004"""
    task, lease, done = committed(ledger)
    until = NOW + 1 + OFFER.verdict_within
    refused(ErrorCode.LEASE_CONFLICT, ledger.release, task.digest, lease.digest, None, until - 1)
    ledger.release(task.digest, lease.digest, None, until)
    refused(ErrorCode.STALE_LEASE, ledger.settle, verdict(done).data, until)
    assert balances(ledger) == (950, 1000, 1000)


def test_refunds_need_the_deadline_or_the_requesters_word(ledger: Ledger) -> None:
    task = offer()
    ledger.open(task.data, NOW)
    refused(ErrorCode.NOT_DUE, ledger.refund, task.digest, None, NOW + 59_999)
    cancel = Cancel(task.digest, ErrorCode.CANCELLED)
    refused(ErrorCode.UNEXPECTED_SIGNER, ledger.refund, task.digest, seal(WORKER, cancel).data, NOW)
    other = seal(REQUESTER, replace(cancel, task=bytes(32))).data
    refused(ErrorCode.NOT_DUE, ledger.refund, task.digest, other, NOW)
    assert ledger.refund(task.digest, seal(REQUESTER, cancel).data, NOW).state is EscrowState.REFUNDED
    second = offer(nonce=b"2" * 16)
    ledger.open(second.data, NOW)
    ledger.refund(second.digest, None, NOW + 60_000)
    assert balances(ledger) == (1000, 1000, 1000)
    refused(ErrorCode.LEASE_CONFLICT, ledger.bond, accept(task).data, NOW)


def test_offers_and_bonds_are_covered_or_refused(ledger: Ledger) -> None:
    refused(ErrorCode.INSUFFICIENT_FUNDS, ledger.open, offer(price=1001).data, NOW)
    refused(ErrorCode.WRONG_SETTLEMENT, ledger.open, offer(settlement=bytes(32)).data, NOW)
    refused(ErrorCode.DEADLINE_PASSED, ledger.open, offer().data, NOW + 60_000)
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, ledger.open, offer(quorum=2).data, NOW)
    refused(ErrorCode.ESCROW_MISSING, ledger.bond, accept(offer()).data, NOW)
    rich = offer(bond=1001)
    ledger.open(rich.data, NOW)
    refused(ErrorCode.INSUFFICIENT_BOND, ledger.bond, accept(rich).data, NOW)
    low = seal(WORKER, replace(accept(rich).body, bond=1))
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, ledger.bond, low.data, NOW)
    refused(ErrorCode.ESCROW_MISSING, ledger.refund, bytes(32), None, NOW)


def test_two_workers_cannot_hold_one_task(ledger: Ledger) -> None:
    task = offer()
    ledger.open(task.data, NOW)
    ledger.bond(accept(task).data, NOW)
    refused(ErrorCode.LEASE_CONFLICT, ledger.bond, accept(task, OTHER).data, NOW)


def test_a_result_under_a_suite_outside_the_policy_is_refused(ledger: Ledger) -> None:
    task = offer()
    lease = accept(task)
    ledger.open(task.data, NOW)
    ledger.bond(lease.data, NOW)
    refused(ErrorCode.NO_COMMON_SUITE, ledger.commit, result(lease, suite=PROOF).data, NOW)


def test_paid_is_reached_by_a_verdict_or_by_a_window_without_challenge() -> None:
    ways = {(state, event) for state, event, rule in ESCROW_TABLE if Movement.PAY in rule.effects}
    assert ways == {
        (EscrowState.COMMITTED, EscrowEvent.ACCEPT),
        (EscrowState.ANSWERED, EscrowEvent.ACCEPT),
        (EscrowState.COMMITTED, EscrowEvent.UNCHALLENGED),
    }
    arrivals = {
        (state, event)
        for state, event, rule in ESCROW_TABLE
        if rule.to is EscrowState.PAID and state is not EscrowState.PAID
    }
    assert arrivals == ways


@pytest.mark.parametrize(
    "damage",
    [
        "UPDATE balances SET amount = amount + 1 WHERE account = (SELECT account FROM balances LIMIT 1)",
        "DELETE FROM journal WHERE sequence = 2",
        "UPDATE journal SET digest = zeroblob(32) WHERE sequence = 3",
        "UPDATE journal SET entry = x'00' WHERE sequence = 1",
        "DELETE FROM escrows",
    ],
)
def test_an_audit_finds_damage(tmp_path: Path, damage: str) -> None:
    """VC-SET-020"""
    ledger = open_ledger(tmp_path / "ledger.db", SETTLEMENT)
    ledger.fund(REQUESTER.thumbprint, 1000, b"r", NOW)
    ledger.fund(WORKER.thumbprint, 1000, b"w", NOW)
    committed(ledger)
    assert ledger.audit().conserved
    with sqlite3.connect(tmp_path / "ledger.db") as db:
        db.execute(damage)
    db.close()
    assert not ledger.audit().conserved
    ledger.book.close()  # type: ignore[attr-defined]


def test_an_audit_finds_a_payment_whose_verdict_is_gone(tmp_path: Path) -> None:
    """VC-SET-020"""
    ledger = open_ledger(tmp_path / "ledger.db", SETTLEMENT)
    ledger.fund(REQUESTER.thumbprint, 1000, b"r", NOW)
    ledger.fund(WORKER.thumbprint, 1000, b"w", NOW)
    task, _, done = committed(ledger)
    ledger.settle(verdict(done).data, NOW)
    row = ledger.book.escrow(task.digest)
    assert row is not None
    with ledger.book.transaction():
        ledger.book.store_escrow(replace(row, verdicts=(verdict(done, key=OTHER).data,)))
    assert any("without a quorum" in problem for problem in ledger.audit().problems)
    ledger.book.close()  # type: ignore[attr-defined]


def test_a_busy_database_is_an_unknown_settlement(tmp_path: Path) -> None:
    """VC-SET-005"""
    ledger = open_ledger(tmp_path / "ledger.db", SETTLEMENT)
    ledger.book.close()  # type: ignore[attr-defined]
    with pytest.raises(ProtocolError) as caught:
        ledger.fund(REQUESTER.thumbprint, 1, b"r", NOW)
    assert caught.value.code is ErrorCode.SETTLEMENT_UNKNOWN


DRAW = Sampled((REPLAY,), 1 << 15, 1_000, 5)


def nonce_for(done: Signed[Any], rate: int, spared: bool, parties: list[PrivateKey]) -> dict[bytes, bytes]:
    """Nonces under which the draw spares the result, or does not."""
    for seed in range(1000):
        nonces = {key.thumbprint: bytes([index]) * 30 + seed.to_bytes(2, "big") for index, key in enumerate(parties)}
        if drawn(done.digest, nonces, rate) is not spared:
            return nonces
    raise AssertionError("no such nonces")


def play_draw(
    ledger: Ledger, spared: bool, reveal: list[PrivateKey], rate: int = 1 << 15
) -> tuple[Signed[Any], Signed[Any], dict[bytes, bytes]]:
    ledger.fund(VERIFIER.thumbprint, 100, b"v", NOW)
    task, _, done = committed(ledger, policy=replace(DRAW, rate=rate))
    nonces = nonce_for(done, rate, spared, [REQUESTER, VERIFIER])
    for key in (REQUESTER, VERIFIER):
        ledger.draw(task.digest, seal_commit(key, done.digest, nonces[key.thumbprint]), NOW + 10)
    for key in reveal:
        ledger.draw(task.digest, seal_reveal(key, done.digest, nonces[key.thumbprint]), NOW + 20)
    return task, done, nonces


def stakes(ledger: Ledger) -> tuple[int, int, int]:
    return tuple(ledger.balance(key.thumbprint) for key in (REQUESTER, VERIFIER, WORKER))  # type: ignore[return-value]


@pytest.fixture
def drawing(tmp_path: Path) -> Iterator[Ledger]:
    book = open_ledger(tmp_path / "draw.db", SETTLEMENT)
    for key, operation in ((REQUESTER, b"r"), (WORKER, b"w")):
        book.fund(key.thumbprint, 1000, operation, NOW)
    yield book
    report = book.audit()
    book.book.close()  # type: ignore[attr-defined]
    assert report.conserved, report.problems
    assert report.issued == 2100


def test_a_spared_result_is_paid_as_not_sampled_and_stakes_return(drawing: Ledger) -> None:
    _, done, _ = play_draw(drawing, True, [REQUESTER, VERIFIER])
    assert stakes(drawing) == (945, 95, 980)
    paid = drawing.settle(verdict(done, basis=Basis.NOT_SAMPLED).data, NOW + 30)
    assert paid.state is EscrowState.PAID
    assert stakes(drawing) == (950, 100, 1050)


def test_a_drawn_result_is_not_paid_as_not_sampled(drawing: Ledger) -> None:
    _, done, _ = play_draw(drawing, False, [REQUESTER, VERIFIER])
    refused(ErrorCode.VERDICT_NOT_ADMITTED, drawing.settle, verdict(done, basis=Basis.NOT_SAMPLED).data, NOW + 30)
    assert drawing.settle(verdict(done).data, NOW + 40).state is EscrowState.PAID


@pytest.mark.parametrize("silent", [REQUESTER, VERIFIER])
@pytest.mark.parametrize("accepted", [True, False])
def test_who_does_not_reveal_loses_its_stake_and_forces_a_check(
    drawing: Ledger, silent: PrivateKey, accepted: bool
) -> None:
    task, done, nonces = play_draw(drawing, True, [key for key in (REQUESTER, VERIFIER) if key is not silent])
    refused(ErrorCode.VERDICT_NOT_ADMITTED, drawing.settle, verdict(done, basis=Basis.NOT_SAMPLED).data, NOW + 30)
    late = seal_reveal(silent, done.digest, nonces[silent.thumbprint])
    refused(ErrorCode.UNEXPECTED_MESSAGE, drawing.draw, task.digest, late, NOW + 1_010)
    drawing.settle(verdict(done, accepted).data, NOW + 1_010)
    lost = {REQUESTER: (5, 0), VERIFIER: (0, 5)}[silent]
    if accepted:
        assert stakes(drawing) == (950 - lost[0], 100 - lost[1], 1055)
    else:
        assert stakes(drawing) == (970 - lost[0] + 5, 100 - lost[1], 980)
    assert drawing.audit().forfeited == 5


def test_a_check_before_the_time_to_reveal_is_over_costs_nobody_a_stake(drawing: Ledger) -> None:
    _, done, _ = play_draw(drawing, True, [])
    drawing.settle(verdict(done).data, NOW + 30)
    assert stakes(drawing) == (950, 100, 1050)


def test_without_every_commitment_nothing_is_spared_and_no_stake_is_lost(drawing: Ledger) -> None:
    drawing.fund(VERIFIER.thumbprint, 100, b"v", NOW)
    task, lease, done = committed(drawing, policy=DRAW)
    drawing.draw(task.digest, seal_commit(REQUESTER, done.digest, bytes(32)), NOW + 10)
    refused(ErrorCode.VERDICT_NOT_ADMITTED, drawing.settle, verdict(done, basis=Basis.NOT_SAMPLED).data, NOW + 20)
    early = seal_reveal(REQUESTER, done.digest, bytes(32))
    refused(ErrorCode.UNEXPECTED_MESSAGE, drawing.draw, task.digest, early, NOW + 20)
    drawing.release(task.digest, lease.digest, None, NOW + 20_000)
    assert stakes(drawing) == (950, 100, 1000)


def test_draw_records_are_checked_and_idempotent(drawing: Ledger) -> None:
    drawing.fund(VERIFIER.thumbprint, 100, b"v", NOW)
    task, _, done = committed(drawing, policy=DRAW)
    commit = seal_commit(VERIFIER, done.digest, bytes(32))
    first = drawing.draw(task.digest, commit, NOW + 10)
    assert first.stakes == 5
    assert drawing.draw(task.digest, commit, NOW + 5_000) == first
    stranger = seal_commit(OTHER, done.digest, bytes(32))
    refused(ErrorCode.UNEXPECTED_SIGNER, drawing.draw, task.digest, stranger, NOW + 20)
    second = seal_commit(VERIFIER, done.digest, b"x" * 32)
    refused(ErrorCode.OPERATION_CONFLICT, drawing.draw, task.digest, second, NOW + 20)
    other = seal_commit(REQUESTER, bytes(32), bytes(32))
    refused(ErrorCode.STATEMENT_MISMATCH, drawing.draw, task.digest, other, NOW + 20)
    refused(ErrorCode.UNKNOWN_MESSAGE, drawing.draw, task.digest, done.data, NOW + 20)
    assert drawing.balance(VERIFIER.thumbprint) == 95


def test_a_stake_must_be_covered_and_a_draw_needs_its_policy(drawing: Ledger) -> None:
    drawing.fund(VERIFIER.thumbprint, 100, b"v", NOW)
    task, _, done = committed(drawing, policy=replace(DRAW, stake=101))
    commit = seal_commit(VERIFIER, done.digest, bytes(32))
    refused(ErrorCode.INSUFFICIENT_BOND, drawing.draw, task.digest, commit, NOW + 10)
    plain, _, result_of_plain = committed(drawing, nonce=b"p" * 16)
    commit = seal_commit(VERIFIER, result_of_plain.digest, bytes(32))
    refused(ErrorCode.VERDICT_NOT_ADMITTED, drawing.draw, plain.digest, commit, NOW + 10)
    many = tuple(bytes([index]) * 32 for index in range(8))
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, drawing.open, offer(policy=DRAW, verifiers=many).data, NOW)


CONTESTED = OnChallenge((PROOF,), window=1_000, answer_within=500, stake=5)


def contested(ledger: Ledger) -> tuple[Signed[Any], Signed[Any], Signed[Any]]:
    task = offer(policy=CONTESTED)
    lease = accept(task)
    done = result(lease, suite=PROOF)
    ledger.open(task.data, NOW)
    ledger.bond(lease.data, NOW)
    assert ledger.commit(done.data, NOW).until == NOW + 1_000
    return task, lease, done


def challenge(done: Signed[Any], key: PrivateKey = OTHER, **changes: Any) -> bytes:
    body = Challenge(done.body.task, done.body.lease, done.digest)
    return seal(key, replace(body, **changes)).data


def answer(done: Signed[Any], key: PrivateKey = WORKER, **changes: Any) -> bytes:
    return seal(key, replace(Answer(done.body.task, done.body.lease, done.digest, None), **changes)).data


def test_money_is_held_until_the_window_closes_and_paid_unchallenged(ledger: Ledger) -> None:
    """VC-POL-032 VC-POL-033: no verdict and no release before its end; then the settlement's word alone."""
    task, lease, done = contested(ledger)
    early = verdict(done, basis=Basis.PROVED).data
    refused(ErrorCode.LEASE_CONFLICT, ledger.settle, early, NOW + 1)
    refused(ErrorCode.VERDICT_NOT_ADMITTED, ledger.settle, verdict(done, basis=Basis.UNCHALLENGED).data, NOW + 2_000)
    refused(ErrorCode.LEASE_CONFLICT, ledger.release, task.digest, lease.digest, None, NOW + 999)
    paid = ledger.release(task.digest, lease.digest, None, NOW + 1_000)
    assert (paid.state, balances(ledger)) == (EscrowState.PAID, (950, 1050, 1000))
    receipt = open_message(paid.receipt or b"").of(Receipt)
    grounds = check_receipt(receipt, task)
    assert (grounds.verifiers, grounds.bases) == ((SETTLEMENT.thumbprint,), frozenset({Basis.UNCHALLENGED}))
    refused(ErrorCode.STALE_LEASE, ledger.challenge, task.digest, bytes(32), challenge(done, lease=bytes(32)), NOW)


def test_an_answered_challenge_pays_the_worker_the_stake(ledger: Ledger) -> None:
    """VC-POL-034 VC-POL-035: the stake is held, the proof judged, and its maker paid by who asked for it."""
    task, lease, done = contested(ledger)
    held = ledger.challenge(task.digest, lease.digest, challenge(done), NOW + 999)
    assert (held.state, held.stakes, held.until) == (EscrowState.CHALLENGED, 5, NOW + 1_499)
    assert balances(ledger) == (950, 980, 995)
    assert ledger.challenge(task.digest, lease.digest, challenge(done), NOW + 999) == held
    refused(ErrorCode.LEASE_CONFLICT, ledger.settle, verdict(done, basis=Basis.PROVED).data, NOW + 1_000)
    answered = ledger.answer(answer(done), NOW + 1_400)
    assert (answered.state, answered.until) == (EscrowState.ANSWERED, NOW + 1_400 + OFFER.verdict_within)
    paid = ledger.settle(verdict(done, basis=Basis.PROVED).data, NOW + 1_401)
    assert (paid.state, balances(ledger)) == (EscrowState.PAID, (950, 1055, 995))
    assert check_receipt(open_message(paid.receipt or b"").of(Receipt), task).bases == {Basis.PROVED}


def test_a_refused_answer_costs_the_bond_and_returns_the_stake(ledger: Ledger) -> None:
    """VC-POL-035."""
    task, lease, done = contested(ledger)
    ledger.challenge(task.digest, lease.digest, challenge(done), NOW + 1)
    ledger.answer(answer(done), NOW + 2)
    ledger.settle(verdict(done, False, basis=Basis.PROVED).data, NOW + 3)
    assert balances(ledger) == (970, 980, 1000)


def test_silence_after_a_challenge_convicts(ledger: Ledger) -> None:
    """VC-POL-034: who does not answer in time loses the bond, and the receipt holds the challenge."""
    task, lease, done = contested(ledger)
    ledger.challenge(task.digest, lease.digest, challenge(done), NOW + 100)
    refused(ErrorCode.LEASE_CONFLICT, ledger.release, task.digest, lease.digest, None, NOW + 599)
    refused(ErrorCode.NOT_DUE, ledger.answer, answer(done), NOW + 600)
    slashed = ledger.release(task.digest, lease.digest, None, NOW + 600)
    assert balances(ledger) == (970, 980, 1000)
    receipt = open_message(slashed.receipt or b"").of(Receipt)
    assert check_receipt(receipt, task).unanswered
    bare = seal(SETTLEMENT, replace(receipt.body, challenge=None)).of(Receipt)
    refused(ErrorCode.QUORUM_NOT_REACHED, check_receipt, bare, task)
    other = seal(SETTLEMENT, replace(receipt.body, challenge=challenge(done, result=bytes(32)))).of(Receipt)
    refused(ErrorCode.QUORUM_NOT_REACHED, check_receipt, other, task)


def test_verifiers_that_are_silent_about_an_answer_cost_the_challenger(ledger: Ledger) -> None:
    """VC-POL-035: the worker did prove; its bond and the stake are its own."""
    task, lease, done = contested(ledger)
    ledger.challenge(task.digest, lease.digest, challenge(done), NOW + 1)
    ledger.answer(answer(done), NOW + 2)
    ledger.release(task.digest, lease.digest, None, NOW + 2 + OFFER.verdict_within)
    assert balances(ledger) == (950, 1005, 995)


def test_challenges_and_answers_that_do_not_count(ledger: Ledger) -> None:
    """VC-POL-034: late, unfunded, of another result, the worker's own, twice; answers by others or on other results."""
    task, lease, done = contested(ledger)
    name = (task.digest, lease.digest)
    refused(ErrorCode.NOT_DUE, ledger.challenge, *name, challenge(done), NOW + 1_000)
    refused(ErrorCode.INSUFFICIENT_BOND, ledger.challenge, *name, challenge(done, VERIFIER), NOW + 1)
    refused(ErrorCode.STATEMENT_MISMATCH, ledger.challenge, *name, challenge(done, result=bytes(32)), NOW + 1)
    refused(ErrorCode.UNEXPECTED_SIGNER, ledger.challenge, *name, challenge(done, WORKER), NOW + 1)
    refused(ErrorCode.LEASE_CONFLICT, ledger.answer, answer(done), NOW + 1)
    refused(ErrorCode.VERDICT_NOT_ADMITTED, ledger.challenge, *name, None, NOW + 1)
    ledger.challenge(*name, challenge(done), NOW + 1)
    refused(ErrorCode.LEASE_CONFLICT, ledger.challenge, *name, challenge(done, REQUESTER), NOW + 2)
    refused(ErrorCode.UNEXPECTED_SIGNER, ledger.answer, answer(done, OTHER), NOW + 2)
    refused(ErrorCode.STATEMENT_MISMATCH, ledger.answer, answer(done, result=bytes(32)), NOW + 2)
    plain = committed(ledger, nonce=bytes(15) + b"x")
    refused(
        ErrorCode.TERMS_NOT_ACCEPTABLE, ledger.challenge, plain[0].digest, plain[1].digest, challenge(plain[2]), NOW
    )


def test_a_fallback_judges_after_the_verdicts_window_and_not_before(ledger: Ledger) -> None:
    """VC-SET-011: early it is a stranger; in its own window nothing is released; one verdict decides."""
    task, lease, done = committed(ledger, fallback=(OTHER.thumbprint,))
    end = NOW + 1 + OFFER.verdict_within
    refused(ErrorCode.VERDICT_NOT_ADMITTED, ledger.settle, verdict(done, key=OTHER).data, end - 1)
    refused(ErrorCode.LEASE_CONFLICT, ledger.release, task.digest, lease.digest, None, end)
    paid = ledger.settle(verdict(done, key=OTHER).data, end)
    assert (paid.state, balances(ledger)) == (EscrowState.PAID, (950, 1050, 1000))
    assert check_receipt(open_message(paid.receipt or b"").of(Receipt), task).verifiers == (OTHER.thumbprint,)


def test_a_silent_fallback_returns_the_bond(ledger: Ledger) -> None:
    """VC-SET-011."""
    task, lease, _ = committed(ledger, fallback=(OTHER.thumbprint,))
    end = NOW + 1 + 2 * OFFER.verdict_within
    refused(ErrorCode.LEASE_CONFLICT, ledger.release, task.digest, lease.digest, None, end - 1)
    ledger.release(task.digest, lease.digest, None, end)
    assert balances(ledger) == (950, 1000, 1000)


def test_a_verifier_is_no_fallback_of_its_own(ledger: Ledger) -> None:
    """VC-SET-011."""
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, ledger.open, offer(fallback=(VERIFIER.thumbprint,)).data, NOW)
