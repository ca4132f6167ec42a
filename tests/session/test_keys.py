# SPDX-License-Identifier: Apache-2.0
"""VC-KEY: keys that change and end while tasks are under way; the money stays whose it was."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests import protocol_kit
from tests.protocol_kit import NOW, OFFER, REPLAY, REQUESTER, SETTLEMENT, WORKER, accept, ref
from tests.session.world import FUNDS, PROOF, STRANGER, TRUTH, World
from vcompute.cli.app import main
from vcompute.codec import encode
from vcompute.errors import ProtocolError
from vcompute.identity import Keyring, PrivateKey
from vcompute.identity.lifecycle import KeyRecord, RecordKind, enrol, recover, revoke, rotate
from vcompute.messages import (
    KeyChange,
    Keys,
    Lookup,
    Offer,
    OnChallenge,
    Receipt,
    Result,
    Sampled,
    Signed,
    Verdict,
    open_message,
    reopen,
    seal,
)
from vcompute.node.keychain import KeyFile
from vcompute.policy.receipt import check_receipt
from vcompute.policy.sampling import seal_commit
from vcompute.registry import ErrorCode, RevocationReason, Role
from vcompute.session.coordinator_table import TaskState
from vcompute.session.handshake import greeting
from vcompute.session.requester import RequesterState
from vcompute.settlement import EscrowState, Ledger, SqliteBook

NEXT = [PrivateKey.from_seed(b"next key %d" % index) for index in range(8)]


def refuses(code: ErrorCode, action: Callable[..., Any], *arguments: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        action(*arguments)
    assert caught.value.code is code


def refused(code: ErrorCode, world: World, message: Signed[Any]) -> None:
    refuses(code, world.coordinator.receive, message, world.now)


def working(**changes: Any) -> tuple[World, bytes]:
    """A world whose one worker works on a task."""
    world = World(workers=1)
    task = world.offer(**changes)
    for _ in range(20):
        world.drain()
        if world.workers[0].jobs:
            return world, task
        world.tick(100)
    raise AssertionError("no worker took the task")


def result_of(world: World, task: bytes, key: PrivateKey) -> Signed[Result]:
    lease = world.workers[0].session.records[task].lease
    return seal(key, Result(task, lease, ref(TRUTH + task), REPLAY)).of(Result)


def test_a_worker_that_rotates_at_work_is_paid() -> None:
    """VC-KEY-001: the lease, taken with the old key, is carried out with the new one; bond and pay are the party's."""
    world, task = working()
    worker = world.workers[0]
    worker.rotate(NEXT[0])
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(worker.name) == FUNDS + 50
    assert world.ledger.balance(NEXT[0].thumbprint) == FUNDS + 50, "the new key names the same account"
    receipt = open_message(world.requester.session.records[task].receipt or b"").of(Receipt)
    assert receipt.body.worker == worker.name
    assert reopen(receipt.body.result or b"").signer == NEXT[0].thumbprint
    assert receipt.body.rotations is not None
    world.check_money()


@pytest.mark.parametrize("policy", ["always", "sampled", "challenged"])
def test_everyone_rotates_at_every_moment(policy: str) -> None:
    """VC-KEY-001: requester, worker and verifier change keys again and again under way; tasks end as ever."""
    policies: dict[str, Any] = {
        "always": {},
        "sampled": {"policy": Sampled((PROOF,), 1 << 15, 2_000, 5)},
        "challenged": {"policy": OnChallenge((REPLAY,), 6_000, 3_000, 5)},
    }
    world = World(workers=2, seed=7)
    keys = iter(PrivateKey.from_seed(b"key %d" % index) for index in range(1000))
    for _ in range(2):
        world.offer(**policies[policy])
    for step in range(60):
        for _ in range(3):
            world.deliver()
        clients = [*world.workers, world.requester, world.verifier]
        if step % 3 == 0:
            clients[step // 3 % len(clients)].rotate(next(keys))
        for worker in world.workers:
            worker.work()
            worker.prove()
        world.verifier.judge()
        world.requester.judge()
        world.tick(200)
    world.run()
    assert {world.state(task) for task in world.tasks} == {RequesterState.DONE}
    world.check_money()


def test_the_old_key_is_refused_by_the_name_of_what_happened() -> None:
    """VC-KEY-003: session and settlement refuse what the replaced key signs from then on, greetings too."""
    world, task = working()
    worker = world.workers[0]
    old = worker.key
    result = result_of(world, task, old)
    worker.rotate(NEXT[0])
    refused(ErrorCode.KEY_ROTATED, world, result)
    refused(ErrorCode.KEY_ROTATED, world, seal(old, greeting(Role.WORKER, bytes(16))))
    refuses(ErrorCode.KEY_ROTATED, world.ledger.commit, result.data, world.now)
    world.run()
    assert world.state(task) is RequesterState.DONE


def test_what_the_old_key_said_before_is_carried() -> None:
    """VC-KEY-004: a result under way when its key was replaced counts, if the rotation names it, and as the party's."""
    for carried in (True, False):
        world, task = working()
        old = world.workers[0].key
        result = result_of(world, task, old)
        names = (result.digest,) if carried else (bytes(32),)
        record = KeyRecord(RecordKind.ROTATION, rotate(old, NEXT[0], 1, world.now, names))
        world.act(world.coordinator.receive(seal(NEXT[0], KeyChange(record)), world.now))
        if not carried:
            refused(ErrorCode.KEY_ROTATED, world, result)
            refuses(ErrorCode.KEY_ROTATED, world.ledger.commit, result.data, world.now)
            continue
        world.act(world.coordinator.receive(result, world.now))
        held = world.ledger.holding(task)
        assert held is not None
        assert held.state is EscrowState.COMMITTED
        assert world.ledger.commit(result.data, world.now).state is EscrowState.COMMITTED


def test_a_fork_of_a_rotation_is_refused() -> None:
    """VC-KEY-002: one successor for each key; the same record again changes nothing; a party's key is nobody else's."""
    world = World(workers=2)
    one, two = world.workers
    old, now = one.key, world.now
    first = KeyRecord(RecordKind.ROTATION, rotate(old, NEXT[0], 1, now))
    fork = KeyRecord(RecordKind.ROTATION, rotate(old, NEXT[1], 1, now))
    taken = KeyRecord(RecordKind.ROTATION, rotate(NEXT[0], two.key, 2, now))
    ahead = KeyRecord(RecordKind.ROTATION, rotate(NEXT[0], NEXT[2], 2, now + 3_600_000))
    assert world.ledger.take(first, now) == one.name
    assert world.ledger.take(first, now) == one.name
    refuses(ErrorCode.UNEXPECTED_SIGNER, world.ledger.take, fork, now)
    refuses(ErrorCode.KEY_REUSED, world.ledger.take, taken, now)
    refuses(ErrorCode.NOT_DUE, world.ledger.take, ahead, now)
    assert world.ledger.keys.current(one.name) == NEXT[0].thumbprint
    assert len(world.ledger.keys.all_records()) == 1
    world.act(world.coordinator.receive(seal(NEXT[0], KeyChange(first)), now))
    refused(ErrorCode.UNEXPECTED_SIGNER, world, seal(NEXT[1], KeyChange(fork)))


def test_a_rotation_is_in_the_book_whole_or_not_at_all(tmp_path: Path) -> None:
    """VC-KEY-005: the record is one row: a transaction that is taken back leaves the old key in force, memory too."""
    worker, path = PrivateKey.from_seed(b"rotating"), tmp_path / "ledger.db"
    ledger = Ledger(SqliteBook(path), SETTLEMENT)
    ledger.fund(worker.thumbprint, 10, b"", NOW)
    record = KeyRecord(RecordKind.ROTATION, rotate(worker, NEXT[0], 1, NOW))

    def killed() -> None:
        with ledger.group():
            ledger.take(record, NOW)
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        killed()
    assert ledger.keys.current(worker.thumbprint) == worker.thumbprint
    ledger.take(record, NOW)
    other = Ledger(SqliteBook(path), SETTLEMENT)
    for book in (ledger, other):
        assert book.keys.current(worker.thumbprint) == NEXT[0].thumbprint
        assert book.balance(NEXT[0].thumbprint) == 10
    other.take(KeyRecord(RecordKind.ROTATION, rotate(NEXT[0], NEXT[1], 2, NOW)), NOW)
    assert ledger.keys.current(worker.thumbprint) == NEXT[1].thumbprint, "another process wrote it"
    assert ledger.audit().conserved


def test_a_refused_record_leaves_its_neighbours_alone() -> None:
    """VC-KEY-002: in one transaction a refused record changes nothing of what stands before and after it."""
    ledger, worker = Ledger(SqliteBook(":memory:"), SETTLEMENT), PrivateKey.from_seed(b"rotating")
    ledger.fund(worker.thumbprint, 10, b"", NOW)
    with ledger.group():
        ledger.take(KeyRecord(RecordKind.ROTATION, rotate(worker, NEXT[0], 1, NOW)), NOW)
        fork = KeyRecord(RecordKind.ROTATION, rotate(worker, NEXT[1], 1, NOW))
        refuses(ErrorCode.UNEXPECTED_SIGNER, ledger.take, fork, NOW)
        assert ledger.balance(NEXT[0].thumbprint) == 10
        ledger.take(KeyRecord(RecordKind.ROTATION, rotate(NEXT[0], NEXT[2], 2, NOW)), NOW)
    assert ledger.keys.current(worker.thumbprint) == NEXT[2].thumbprint


def test_a_revoked_worker_gives_its_leases_back() -> None:
    """VC-KEY-010, VC-KEY-011: at once: the task goes on, the bond is back and stays; the key speaks no more."""
    world, task = working()
    worker = world.workers[0]
    result = result_of(world, task, worker.key)
    worker.revoke()
    holding = world.ledger.holding(task)
    assert holding is not None
    assert holding.state is EscrowState.OPEN
    assert world.coordinator.records[task].state is TaskState.QUEUED
    refused(ErrorCode.KEY_REVOKED, world, result)
    refused(ErrorCode.KEY_REVOKED, world, seal(worker.key, greeting(Role.WORKER, bytes(16))))
    refuses(ErrorCode.KEY_REVOKED, world.ledger.commit, result.data, world.now)
    assert world.ledger.balance(worker.name) == FUNDS
    other = PrivateKey.from_seed(b"another")
    world.ledger.fund(other.thumbprint, FUNDS, b"another", world.now)
    world.funded += 1
    world.workers.append(world.join(other, Role.WORKER))
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(other.thumbprint) == FUNDS + 50
    world.check_money()


def test_a_revoked_requester_cancels() -> None:
    """VC-KEY-011: its tasks end, workers keep their bonds, the price is back on the account that nobody can empty."""
    world, task = working()
    world.requester.revoke()
    world.tick(2_000)
    holding = world.ledger.holding(task)
    assert holding is not None
    assert holding.state is EscrowState.REFUNDED
    assert world.ledger.balance(REQUESTER.thumbprint) == FUNDS
    assert world.ledger.balance(world.workers[0].name) == FUNDS
    refuses(ErrorCode.KEY_REVOKED, world.ledger.open, seal(REQUESTER, OFFER).data, world.now)
    world.check_money()


def test_a_revocation_outlives_a_crash_between_ledger_and_coordinator() -> None:
    """VC-KEY-010: recorded and not acted on: the next start acts on it."""
    world, task = working()
    world.crash_after_call = True
    world.workers[0].revoke()
    assert world.coordinator.records[task].state is TaskState.LEASED
    world.crash_after_call = False
    world.boot()
    assert world.coordinator.records[task].state is TaskState.QUEUED


def test_a_result_before_the_revocation_is_judged() -> None:
    """VC-KEY-011: what was committed before is judged and paid for, to an account that waits for its owner."""
    world, task = working()
    worker = world.workers[0]
    worker.work()
    world.drain()
    worker.revoke()
    world.run()
    assert world.state(task) is RequesterState.DONE
    assert world.ledger.balance(worker.name) == FUNDS + 50
    world.check_money()


def test_a_revoked_verifier_judges_nothing() -> None:
    """VC-KEY-012: its verdict is refused, and an offer that names it; the worker's bond comes back."""
    world, task = working()
    worker = world.workers[0]
    worker.work()
    world.drain()
    world.verifier.judge()
    verdict = next(data for _, _, data in reversed(world.wire) if isinstance(open_message(data).body, Verdict))
    world.network.clear()
    world.verifier.revoke()
    refused(ErrorCode.KEY_REVOKED, world, open_message(verdict))
    refuses(ErrorCode.KEY_REVOKED, world.ledger.settle, verdict, world.now)
    fresh = seal(REQUESTER, replace(OFFER, nonce=bytes(15) + b"x", deadline=world.now + 60_000))
    refuses(ErrorCode.TERMS_NOT_ACCEPTABLE, world.ledger.open, fresh.data, world.now)
    world.run()
    assert world.state(task) is RequesterState.REFUNDED
    assert world.ledger.balance(worker.name) == FUNDS
    world.check_money()


def test_the_operator_revokes_and_nobody_else() -> None:
    """VC-KEY-013: the settlement's key ends any party; a stranger's revocation is refused."""
    world, _ = working()
    refuses(ErrorCode.UNEXPECTED_SIGNER, world.workers[0].revoke, STRANGER)
    world.workers[0].revoke(SETTLEMENT)
    assert world.ledger.keys.ended(world.workers[0].name)


def test_the_recovery_key_takes_the_party_back() -> None:
    """VC-KEY-014: who enrolled a recovery key goes on under its name, money and all, whatever the thief did."""
    world, _ = working()
    worker, now = world.workers[0], world.now
    recovery, thief, fresh = NEXT[5], NEXT[6], NEXT[7]

    def take(kind: RecordKind, data: bytes) -> None:
        world.ledger.take(KeyRecord(kind, data), now)

    take(RecordKind.ENROLMENT, enrol(worker.key, Role.WORKER, now, recovery.thumbprint))
    take(RecordKind.ROTATION, rotate(worker.key, thief, 1, now))
    other = enrol(worker.key, Role.WORKER, now, thief.thumbprint)
    refuses(ErrorCode.OPERATION_CONFLICT, take, RecordKind.ENROLMENT, other)
    take(RecordKind.REVOCATION, revoke(recovery, thief.thumbprint, now, RevocationReason.COMPROMISED))
    refuses(ErrorCode.UNEXPECTED_SIGNER, take, RecordKind.ROTATION, rotate(thief, fresh, 2, now))
    held = world.ledger.balance(worker.name)
    take(RecordKind.ROTATION, recover(recovery, thief.thumbprint, fresh, 2, now))
    assert not world.ledger.keys.ended(worker.name)
    assert world.ledger.balance(fresh.thumbprint) == held > 0
    world.ledger.keys.require_live(fresh.thumbprint, bytes(32))


def test_receipts_name_the_rotations_and_are_read_with_their_records() -> None:
    """VC-KEY-006: with the records a receipt checks, without them its result is a stranger's."""
    world, task = working()
    world.workers[0].rotate(NEXT[0])
    world.verifier.rotate(NEXT[1])
    world.run()
    record = world.requester.session.records[task]
    receipt, offer = open_message(record.receipt or b"").of(Receipt), open_message(record.offer).of(Offer)
    keys = Keyring(SETTLEMENT.thumbprint)
    refuses(ErrorCode.UNEXPECTED_SIGNER, check_receipt, receipt, offer, keys)
    for known in world.ledger.keys.all_records():
        keys.apply(known, world.now)
    assert check_receipt(receipt, offer, keys).verifiers == (world.verifier.name,)
    unnamed = seal(SETTLEMENT, replace(receipt.body, rotations=None)).of(Receipt)
    refuses(ErrorCode.RECEIPT_MISMATCH, check_receipt, unnamed, offer, keys)
    revoked = revoke(NEXT[1], NEXT[1].thumbprint, receipt.body.time, RevocationReason.COMPROMISED)
    keys.apply(KeyRecord(RecordKind.REVOCATION, revoked), world.now)
    refuses(ErrorCode.KEY_REVOKED, check_receipt, receipt, offer, keys)


def test_inspect_reads_a_receipt_with_the_records(tmp_path: Path) -> None:
    """VC-KEY-006 on the command line: ``vcompute inspect --offer --keys``."""
    world, task = working()
    world.workers[0].rotate(NEXT[0])
    world.run()
    record = world.requester.session.records[task]
    paths = [tmp_path / name for name in ("task.receipt", "task.offer", "party.keys")]
    contents = (record.receipt or b"", record.offer, encode(KeyFile(world.ledger.keys.all_records())))
    for path, data in zip(paths, contents, strict=True):
        path.write_bytes(data)
    receipt, offer, keys = map(str, paths)
    assert main(["inspect", receipt, "--offer", offer, "--json"]) == 1
    assert main(["inspect", receipt, "--offer", offer, "--keys", keys, "--json"]) == 0


def test_records_are_looked_up_in_pages() -> None:
    """VC-KEY-007: whoever asks gets a party's records in order and can check them by itself."""
    world = World(workers=1)
    old, party = world.workers[0].key, world.workers[0].name
    for index in range(10):
        new = PrivateKey.from_seed(b"page %d" % index)
        record = KeyRecord(RecordKind.ROTATION, rotate(old, new, index + 1, world.now))
        world.act(world.coordinator.receive(seal(new, KeyChange(record)), world.now))
        old = new
    keys, after, more = Keyring(), 0, True
    while more:
        (sent,) = world.coordinator.receive(seal(STRANGER, Lookup(old.thumbprint, after)), world.now)
        page = open_message(sent.data).of(Keys).body  # type: ignore[union-attr]
        assert page.party == party
        for record in page.records:
            keys.apply(record, world.now)
        after, more = after + len(page.records), page.more
    assert after == 10
    assert keys.current(party) == old.thumbprint


def test_a_commitment_signed_again_holds_its_stake_once() -> None:
    """Signatures of P-256 differ each time; the second one of the same commitment moves nothing."""
    verifier = PrivateKey.generate()
    ledger = Ledger(SqliteBook(":memory:"), SETTLEMENT)
    for party in (REQUESTER, WORKER, verifier):
        ledger.fund(party.thumbprint, 100, party.thumbprint, NOW)
    policy = Sampled((REPLAY,), 1 << 15, 2_000, 5)
    task = seal(REQUESTER, replace(OFFER, policy=policy, verifiers=(verifier.thumbprint,)))
    ledger.open(task.data, NOW)
    lease = accept(task)
    ledger.bond(lease.data, NOW)
    result = protocol_kit.result(lease)
    ledger.commit(result.data, NOW)
    for _ in range(12):
        held = ledger.draw(task.digest, seal_commit(verifier, result.digest, bytes(32)), NOW)
        assert held.stakes == 5
    assert ledger.balance(verifier.thumbprint) == 95
