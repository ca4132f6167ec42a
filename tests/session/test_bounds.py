# SPDX-License-Identifier: Apache-2.0
"""What a coordinator keeps in memory is bounded, whoever asks it to keep more."""

import asyncio
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, suppress
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from tests.protocol_kit import COORDINATOR, NOW, OFFER, REPLAY, REQUESTER, SETTLEMENT, accept, offer, result, verdict
from tests.session.processes import Deployment
from tests.session.world import World
from vcompute.blobs import BlobCache
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.messages import Advertise, Decline, Hello, Receipt, open_message, seal
from vcompute.node import mailbox
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.http_guard import GuardedProtocol
from vcompute.node.mailbox import Mailbox, Mailboxes
from vcompute.node.store import Store
from vcompute.registry import ErrorCode, Role
from vcompute.session import Call, ClientHandshake, CoordinatorSession, Save, Send, coordinator_shelf
from vcompute.session.coordinator_table import TaskRecord, TaskState
from vcompute.session.roster import Standing
from vcompute.session.timers import Timers
from vcompute.settlement import open_ledger

KEYS = [PrivateKey.from_seed(b"bounds %d" % number) for number in range(6)]


def coordinator(closed: int = 4) -> CoordinatorSession:
    return CoordinatorSession(COORDINATOR, SETTLEMENT.thumbprint, lambda: bytes(16), closed=closed)


def test_refused_offers_do_not_pile_up() -> None:
    session = coordinator()
    for number in range(300):
        task = seal(REQUESTER, replace(OFFER, nonce=number.to_bytes(16, "big")))
        actions = session.receive(task, NOW)
        call = next(action for action in actions if isinstance(action, Call))
        told = session.refused(call, ErrorCode.INSUFFICIENT_FUNDS, NOW)
        assert any(isinstance(action, Send) and action.to == REQUESTER.thumbprint for action in told)
        assert all(action.final for action in told if isinstance(action, Save))
        session.tick(NOW)
    assert len(session.records) == 4
    assert len(session.timers._times) == 0


def test_a_requester_has_a_quota_of_open_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(coordinator_shelf, "MAX_OPEN_OF_ONE", 3)
    monkeypatch.setattr(coordinator_shelf, "MAX_OPEN", 5)
    session = coordinator()

    def open_one(key: PrivateKey, number: int) -> list[object]:
        return list(session.receive(seal(key, replace(OFFER, nonce=number.to_bytes(16, "big"))), NOW))

    first = open_one(KEYS[0], 0)
    for number in (1, 2):
        open_one(KEYS[0], number)
    for key, number in ((KEYS[0], 3),):
        with pytest.raises(ProtocolError) as caught:
            open_one(key, number)
        assert caught.value.code is ErrorCode.BUSY
        assert caught.value.retry_after
    assert open_one(KEYS[0], 0), "the same offer again is no further task"
    open_one(KEYS[1], 0)
    open_one(KEYS[1], 1)
    with pytest.raises(ProtocolError):
        open_one(KEYS[2], 0)
    call = next(action for action in first if isinstance(action, Call))
    session.refused(call, ErrorCode.INSUFFICIENT_FUNDS, NOW)
    open_one(KEYS[0], 3)  # one was closed: there is place again


def test_closed_tasks_leave_memory_and_answer_all_the_same() -> None:
    world = World(workers=2, seed=5)
    tasks = []
    for _ in range(4):
        tasks.append(world.offer())
        world.run(rounds=60)
    world.tick(1)
    held = set(world.coordinator.records)
    assert len(held) == 1, "the world's coordinator keeps one closed task"
    for task in tasks:
        record = world.coordinator.records.get(task)
        assert record is not None
        assert record.state is TaskState.PAID
        replayed = world.coordinator.receive(open_message(record.offer), world.now)
        receipts = [open_message(action.data).of(Receipt).body for action in replayed if isinstance(action, Send)]
        assert {receipt.task for receipt in receipts} == {task}
        world.tick(1)
        assert len(set(world.coordinator.records)) == 1


def test_the_store_keeps_the_last_final_records(tmp_path: Path) -> None:
    store = Store(tmp_path / "state.db", kept=3)
    standings = [Standing(bytes([number]) * 32, number, 0, 0, 0) for number in range(8)]
    store.save([Save("standing", standings[0].worker, standings[0])])
    for standing in standings[1:]:
        store.save([Save("standing", standing.worker, standing, final=True)])
    assert store.load("standing", Standing) == standings[:1], "final records do not come back after a restart"
    kept = [store.recall("standing", standing.worker, Standing) for standing in standings]
    assert kept == [standings[0], None, None, None, None, *standings[5:]]
    store.save([Save("standing", standings[7].worker, standings[7])])
    assert store.load("standing", Standing) == [standings[0], standings[7]], "a final record may live again"
    store.save([Save("standing", standings[7].worker, replace(standings[7], lapsed=1), final=True)])
    assert store.load("standing", Standing) == standings[:1]
    found = store.recall("standing", standings[7].worker, Standing)
    assert found is not None
    assert found.lapsed == 1
    store.close()


def test_an_offer_of_a_task_that_is_over_is_declined(tmp_path: Path) -> None:
    """Also where nothing but the ledger remembers it."""

    async def main() -> None:
        ledger = open_ledger(tmp_path / "ledger.db", SETTLEMENT)
        blobs = BlobCache(tmp_path / "blobs", 1 << 16, durable=False)
        for key in (REQUESTER, *KEYS):
            ledger.fund(key.thumbprint, 1000, key.thumbprint, NOW)
        task = offer()
        lease = accept(task, KEYS[0])
        done = result(lease, KEYS[0])
        for step, message in ((ledger.open, task), (ledger.bond, lease), (ledger.commit, done)):
            step(message.data, NOW)
        ledger.settle(verdict(done).data, NOW)
        store = Store(tmp_path / "state.db")
        hub = CoordinatorNode(COORDINATOR, ledger, store, blobs, nonce=os.urandom, clock=lambda: NOW)
        running = asyncio.ensure_future(hub.run())
        await hub.message(task.data)
        record = hub.session.records[task.digest]
        assert (record.state, record.code) == (TaskState.REFUSED, ErrorCode.DEADLINE_PASSED)
        mail = await hub._mailboxes.of(REQUESTER.thumbprint).fetch(1, 0)
        assert isinstance(open_message(mail or b"").body, Decline)
        assert store.load("task", TaskRecord) == []
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        assert ledger.audit().conserved

    asyncio.run(main())


def test_mailboxes_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mailbox, "MAX_BYTES", 1000)
    box = Mailbox()
    for number in range(200):
        box.put(number.to_bytes(4, "big") * 10)
    assert len(box) == 25
    boxes = Mailboxes(boxes=5, total=1500)
    for number in range(40):
        boxes.put(bytes([number]) * 32, os.urandom(300))
        assert len(boxes) <= 5
        assert boxes.size <= 1500
    for _ in range(10):
        boxes.put(b"x" * 32, os.urandom(300))
    assert boxes.size <= 1500

    async def main() -> None:
        size = boxes.size
        assert await boxes.of(b"x" * 32).fetch(1, 0) is not None
        assert boxes.size == size - 300
        boxes.of(b"x" * 32).restart()
        assert boxes.size == size

    asyncio.run(main())


def test_who_was_silent_longest_loses_its_session_and_keeps_its_standing() -> None:
    stored: dict[bytes, Standing] = {}
    session = CoordinatorSession(COORDINATOR, SETTLEMENT.thumbprint, lambda: bytes(16), standing=stored.get)
    session.roster.limit = 3

    def join(key: PrivateKey) -> bytes:
        hello = ClientHandshake(key, Role.WORKER, bytes(16), None).hello
        reply = session.receive(hello, NOW)[0]
        assert isinstance(reply, Send)
        name = open_message(reply.data).of(Hello).digest
        session.receive(seal(key, Advertise(name, 1, Role.WORKER, 1, (REPLAY,), 2, 0, 1000, 60_000)), NOW)
        return name

    names = [join(key) for key in KEYS[:3]]
    session.roster.active[KEYS[0].thumbprint].add(bytes(32))
    stored[KEYS[1].thumbprint] = session.roster.reward(KEYS[1].thumbprint)
    join(KEYS[3])
    session.roster.session(KEYS[0].thumbprint, names[0])  # it works
    with pytest.raises(ProtocolError) as caught:
        session.roster.session(KEYS[1].thumbprint, names[1])
    assert caught.value.code is ErrorCode.UNKNOWN_SESSION
    assert len(session.roster.parties) == len(session.roster.standings) == 3
    join(KEYS[1])
    assert session.roster.standings[KEYS[1].thumbprint].verified == 1
    for key in KEYS:
        session.roster.active[key.thumbprint].add(bytes(32))
    with pytest.raises(ProtocolError) as full:
        join(KEYS[4])
    assert full.value.code is ErrorCode.BUSY


def test_timers_that_are_set_again_take_no_room() -> None:
    timers: Timers[int] = Timers()
    for time_ in range(10_000):
        timers.set(time_ % 7, time_)
    assert len(timers._heap) < 100
    assert sorted(timers.due(10_000)) == list(range(7))


def resident(process: int) -> int:
    return int(Path(f"/proc/{process}/statm").read_text(encoding="ascii").split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    made = Deployment(tmp_path)
    yield made
    made.close()


HEAD = b"POST /v1/messages HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/cose\r\n"


@pytest.mark.server
def test_hostile_connections_take_little_memory_and_no_service(deployment: Deployment) -> None:
    """Half heads, half bodies, bodies of a terabyte, heads without end: others are answered all the while."""
    port = int(deployment.url.rpartition(":")[2])
    process = deployment.coordinator.process.pid
    httpx.get(deployment.url + "/v1/status")
    before = resident(process)
    with ExitStack() as stack:

        def connect(data: bytes) -> socket.socket:
            made = stack.enter_context(closing(socket.create_connection(("127.0.0.1", port), 10)))
            made.sendall(data)
            return made

        for _ in range(400):
            connect(HEAD)
            connect(HEAD + b"Content-Length: 30000\r\n\r\n" + bytes(15_000))
        huge = [connect(HEAD + b"Content-Length: %d\r\n\r\n" % 10**12 + bytes(1000)) for _ in range(20)]
        chunked = connect(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        endless = connect(HEAD + b"X-Filler: ")
        for hostile, piece in ((chunked, b"8000\r\n" + bytes(0x8000) + b"\r\n"), (endless, b"a" * 0x8000)):
            with pytest.raises(OSError):  # noqa: PT011 - a reset or a broken pipe, as the platform has it
                hostile.sendall(piece * 2000)
        for hostile in huge:
            assert b" 413 " in hostile.recv(4096).split(b"\r\n", 1)[0]
        start = time.monotonic()
        assert httpx.get(deployment.url + "/v1/status", timeout=30).status_code == 200
        assert time.monotonic() - start < 20
        grown = resident(process) - before
    assert grown < 96 << 20, f"{grown >> 20} MiB for 822 connections"


def test_slow_connections_are_closed(monkeypatch: pytest.MonkeyPatch) -> None:
    import uvicorn

    async def app(scope: dict[str, str], receive: object, send: object) -> None:
        body: dict[str, object] = {"more_body": True}
        while body["more_body"]:
            body = {"more_body": False, **await receive()}  # type: ignore[operator]
        await asyncio.sleep(0.5)
        await send({"type": "http.response.start", "status": 204, "headers": []})  # type: ignore[operator]
        await send({"type": "http.response.body"})  # type: ignore[operator]

    monkeypatch.setattr(GuardedProtocol, "TICK", 0.2)
    monkeypatch.setattr(GuardedProtocol, "most", 4)

    async def ended(reader: asyncio.StreamReader) -> bytes:
        async with asyncio.timeout(5):
            try:
                return await reader.read()
            except ConnectionResetError:
                return b""

    async def main() -> None:
        config = uvicorn.Config(app, http=GuardedProtocol, ws="none", lifespan="off", log_level="error")  # type: ignore[arg-type]
        server = uvicorn.Server(config)
        bound = socket.socket()
        bound.bind(("127.0.0.1", 0))
        serving = asyncio.ensure_future(server.serve(sockets=[bound]))
        while not server.started:
            await asyncio.sleep(0.01)
        port = bound.getsockname()[1]
        ends = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        partial = (HEAD, HEAD + b"Content-Length: 9\r\n\r\nhalf", b"", HEAD + b"Content-Length: 0\r\n\r\n")
        for (_, writer), data in zip(ends, partial, strict=True):
            writer.write(data)
        ends.append(await asyncio.open_connection("127.0.0.1", port))
        assert await ended(ends[4][0]) == b"", "one too many"
        assert b" 204 " in await ends[3][0].readline(), "a wait longer than two ticks is served"
        for reader, _ in ends[:3]:
            assert await ended(reader) == b""
        assert b"HTTP" not in await ended(ends[3][0]), "and closed when it falls silent"
        for _, writer in ends:
            writer.close()
            with suppress(ConnectionError):
                await writer.wait_closed()
        server.should_exit = True
        await serving

    asyncio.run(main())
