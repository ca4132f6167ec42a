# SPDX-License-Identifier: Apache-2.0
"""Messages taken in batches: what shares a transaction, what waits for it, and what a failure leaves behind."""

import asyncio
import os
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.protocol_kit import NOW, OFFER, OTHER, REQUESTER, SETTLEMENT, WORKER, accept, offer, result
from vcompute.blobs import BlobCache
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey
from vcompute.messages import Progress, Yield, seal
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.inbox import BATCH, MAX_WAITING, Inbox, subject
from vcompute.node.store import Store
from vcompute.registry import ErrorCode, Role, YieldReason
from vcompute.session import ClientHandshake, Save
from vcompute.session.roster import Standing
from vcompute.settlement import EscrowState, Ledger, open_ledger

KEYS = [PrivateKey.from_seed(b"batch %d" % number) for number in range(3)]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    book = open_ledger(tmp_path / "ledger.db", SETTLEMENT)
    for key in (REQUESTER, WORKER):
        book.fund(key.thumbprint, 1000, key.thumbprint, NOW)
    yield book
    assert book.audit().conserved
    book.book.close()  # type: ignore[attr-defined]


def test_a_refused_operation_leaves_the_others_of_its_group_alone(ledger: Ledger) -> None:
    task, dear = offer(), offer(price=5000)
    with ledger.group():
        ledger.open(task.data, NOW)
        with pytest.raises(ProtocolError):
            ledger.open(dear.data, NOW)
        ledger.bond(accept(task).data, NOW)
    held = ledger.holding(task.digest)
    assert held is not None
    assert held.state is EscrowState.LEASED
    assert ledger.holding(dear.digest) is None
    assert ledger.balance(REQUESTER.thumbprint) == 950


def test_a_group_that_fails_at_its_end_moved_nothing(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    class Failing:
        """A database whose commit fails, as on a full disk."""

        def __init__(self, db: sqlite3.Connection) -> None:
            self.db = db

        @property
        def in_transaction(self) -> bool:
            return self.db.in_transaction

        def execute(self, statement: str, *arguments: object) -> sqlite3.Cursor:
            if statement == "COMMIT":
                raise sqlite3.OperationalError("database or disk is full")
            return self.db.execute(statement, *arguments)  # type: ignore[arg-type]

    task, book = offer(), ledger.book
    db = book._db  # type: ignore[attr-defined]
    monkeypatch.setattr(book, "_db", Failing(db))
    with pytest.raises(ProtocolError) as caught, ledger.group():
        ledger.open(task.data, NOW)
    assert caught.value.code is ErrorCode.SETTLEMENT_UNKNOWN
    monkeypatch.setattr(book, "_db", db)
    assert ledger.holding(task.digest) is None
    assert ledger.balance(REQUESTER.thumbprint) == 1000
    assert ledger.open(task.data, NOW).state is EscrowState.OPEN, "asked again, it is done"


def test_a_batch_holds_one_message_of_a_task() -> None:
    async def main() -> None:
        inbox, task = Inbox(), offer()
        lease = accept(task)
        other = accept(offer(nonce=b"x" * 16), OTHER)
        steps = [Progress(task.digest, lease.digest, number, 0) for number in (1, 2)]
        about = [task, lease, *(seal(WORKER, step) for step in steps), other, result(lease)]
        for message in about:
            inbox.put(message)
        taken = []
        while inbox:
            taken.append([about.index(delivery.message) for delivery in inbox.take()])
        assert taken == [[0, 4], [1], [2], [3], [5]], "in order for each task, side by side for different ones"
        assert subject(about[1]) == subject(about[5]) == task.digest

    asyncio.run(main())


def test_an_inbox_is_bounded_and_tells_who_waits_that_it_ended() -> None:
    async def main() -> None:
        inbox = Inbox()
        messages = [seal(WORKER, Yield(os.urandom(32), bytes(32), YieldReason.USER)) for _ in range(BATCH + 1)]
        waiting = [inbox.put(messages[number % len(messages)]) for number in range(MAX_WAITING)]
        with pytest.raises(ProtocolError) as caught:
            inbox.put(messages[0])
        assert caught.value.code is ErrorCode.RATE_LIMITED
        assert caught.value.retry_after
        assert len(inbox.take()) == BATCH
        inbox.close()
        with pytest.raises(ProtocolError) as caught:
            await waiting[-1]
        assert caught.value.code is ErrorCode.TRANSPORT_FAILED
        with pytest.raises(ProtocolError):
            inbox.put(messages[0])
        for future in waiting[:-1]:
            if future.done():
                future.exception()

    asyncio.run(main())


def node(directory: Path) -> CoordinatorNode:
    ledger = open_ledger(directory / "ledger.db", SETTLEMENT)
    for key in KEYS:
        ledger.fund(key.thumbprint, 1000, key.thumbprint, NOW)
    blobs = BlobCache(directory / "blobs", 1 << 16, durable=False)
    return CoordinatorNode(KEYS[0], ledger, Store(directory / "state.db"), blobs, nonce=os.urandom, clock=lambda: NOW)


def test_a_coordinator_ends_when_it_is_told_to_even_as_it_wakes(tmp_path: Path) -> None:
    """The cancellation that meets a wake-up of the same moment is not lost."""

    async def main() -> None:
        hub = node(tmp_path)
        for _ in range(20):
            running = asyncio.ensure_future(hub.run())
            await asyncio.sleep(0)
            hub._changed.set()
            running.cancel()
            await asyncio.wait([running], timeout=5)
            assert running.cancelled()

    asyncio.run(main())


def test_a_coordinator_that_cannot_store_answers_nobody_and_ends(tmp_path: Path) -> None:
    async def main() -> None:
        hub = node(tmp_path)
        running = asyncio.ensure_future(hub.run())
        hello = ClientHandshake(KEYS[1], Role.REQUESTER, bytes(16), None).hello
        assert await hub.message(hello.data) is not None, "nothing is stored for a greeting"
        hub.store.close()
        task = replace(OFFER, deadline=NOW + 60_000)
        with pytest.raises(UsageError):
            await hub.message(seal(KEYS[1], task).data)
        with pytest.raises(UsageError):
            await running
        with pytest.raises(ProtocolError) as late:
            await hub.message(hello.data)
        assert late.value.code is ErrorCode.TRANSPORT_FAILED
        assert hub.settlement.holding(seal(KEYS[1], task).digest) is None, "what was not stored was not asked"

    asyncio.run(main())


def test_a_step_is_stored_whole_or_not_at_all(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db")
    good = Standing(bytes(32), 1, 0, 0, 0)
    store.save([Save("standing", bytes(32), good)])
    other = sqlite3.connect(tmp_path / "state.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    store._db.execute("PRAGMA busy_timeout = 0")
    with pytest.raises(UsageError):
        store.save([Save("standing", b"x" * 32, good), Save("standing", bytes(32), replace(good, verified=2))])
    other.execute("ROLLBACK")
    other.close()
    assert store.load("standing", Standing) == [good]
    store.save([Save("standing", bytes(32), replace(good, verified=2))])
    assert store.load("standing", Standing)[0].verified == 2
    store.close()
