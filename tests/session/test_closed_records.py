# SPDX-License-Identifier: Apache-2.0
"""VC-SES-020: closed records leave the memory of clients, and what was said about them is said again."""

from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from tests.protocol_kit import COORDINATOR, NOW, OFFER, REPLAY, REQUESTER, VERIFIER, WORKER, accept, offer, ref, result
from tests.session.test_nodes import FUNDS, KEYS, TERMS, Net, Reverse, play
from vcompute.codec import Limits, decode, encode
from vcompute.errors import ProtocolError
from vcompute.messages import Assign, Cancel, Check, Decline, open_message, seal
from vcompute.registry import ErrorCode
from vcompute.session import Action, RequesterSession, Run, Save, Send, VerifierSession, WorkerSession
from vcompute.session.requester import RequesterRecord
from vcompute.session.shelf import Shelf
from vcompute.session.verifier_table import VerifierRecord
from vcompute.session.worker import Product
from vcompute.session.worker_table import WorkerRecord

TASKS, KEPT = 2_000, 16


class Disk:
    """Encoded records; whether each was closed when it was last stored."""

    def __init__(self, cls: type[Any]) -> None:
        self.cls = cls
        self.rows: dict[bytes, tuple[bytes, bool]] = {}

    def recall(self, name: bytes) -> Any:
        row = self.rows.get(name)
        return None if row is None else decode(self.cls, row[0], Limits(bytes=1 << 22))

    def act(self, actions: list[Action]) -> list[bytes]:
        """Store what is to be stored; what is sent."""
        for action in actions:
            if isinstance(action, Save):
                self.rows[action.key] = (encode(action.record), action.final)
        return [action.data for action in actions if isinstance(action, Send)]


@lru_cache(maxsize=4)
def task(number: int) -> Any:
    return offer(nonce=number.to_bytes(16, "big"))


def assign(number: int) -> Any:
    return seal(COORDINATOR, Assign(task(number).data, 1, OFFER.price))


class AsWorker:
    cls = WorkerRecord

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.session = WorkerSession(WORKER, lambda offer, now: None, recall=disk.recall, closed=KEPT)

    def live(self, number: int) -> list[bytes]:
        """A task from its begin to its end; the answer that stands."""
        actions = self.session.receive(assign(number), NOW)
        self.disk.act(actions)
        job = next(action.job for action in actions if isinstance(action, Run))
        said = self.disk.act(self.session.computed(job.lease, Product(ref(b"outputs"), REPLAY, None), NOW))
        self.disk.act(self.session.receive(seal(COORDINATOR, Cancel(job.task, ErrorCode.CANCELLED)), NOW))
        return said

    def again(self, number: int) -> list[bytes]:
        return self.disk.act(self.session.receive(assign(number), NOW))


class AsVerifier:
    cls = VerifierRecord

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.session = VerifierSession(VERIFIER, bytes, recall=disk.recall, closed=KEPT)

    def check(self, number: int) -> tuple[Any, Any]:
        lease = accept(task(number))
        return lease, seal(COORDINATOR, Check(task(number).data, lease.data, result(lease).data))

    def live(self, number: int) -> list[bytes]:
        lease, check = self.check(number)
        self.disk.act(self.session.receive(check, NOW))
        said = self.disk.act(self.session.judged(lease.digest, None, NOW))
        cancel = Cancel(lease.body.task, ErrorCode.CANCELLED, lease.digest)
        self.disk.act(self.session.receive(seal(COORDINATOR, cancel), NOW))
        return said

    def again(self, number: int) -> list[bytes]:
        return self.disk.act(self.session.receive(self.check(number)[1], NOW))


class AsRequester:
    cls = RequesterRecord

    def __init__(self, disk: Disk) -> None:
        self.disk = disk
        self.session = RequesterSession(REQUESTER, recall=disk.recall, closed=KEPT)

    def live(self, number: int) -> list[bytes]:
        said = self.disk.act(self.session.offer(task(number), NOW))
        decline = Decline(task(number).digest, 0, ErrorCode.INSUFFICIENT_FUNDS)
        self.disk.act(self.session.receive(seal(COORDINATOR, decline), NOW))
        return said

    def again(self, number: int) -> list[bytes]:
        said = self.disk.act(self.session.offer(task(number), NOW))
        self.live(number)
        return said


def sizes(session: Any) -> dict[str, int]:
    """Whatever a session holds several of."""
    held = {name: value for name, value in vars(session).items() if isinstance(value, Shelf | dict | list | set)}
    held["timers"] = session.timers._times
    return {name: len(value) for name, value in held.items() if len(value)}


@pytest.mark.parametrize("make", [AsWorker, AsVerifier, AsRequester])
def test_thousands_of_tasks_in_bounded_memory(make: Callable[[Disk], Any]) -> None:
    """VC-SES-020: memory does not grow with the tasks that are over; the first one's answer is the same bytes."""
    disk = Disk(make.cls)  # type: ignore[attr-defined]
    client = make(disk)
    first = client.live(0)
    assert first
    for number in range(1, TASKS):
        client.live(number)
        client.session.tick(NOW)
    assert sizes(client.session) == {"records": KEPT}
    assert all(final for _, final in disk.rows.values())
    assert client.again(0) == first
    client.session.tick(NOW)
    assert len(client.session.records) == KEPT


@pytest.mark.parametrize("make", [AsWorker, AsVerifier])
def test_what_others_begin_is_bounded(make: Callable[[Disk], Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """VC-SES-020: a coordinator cannot make a worker or verifier hold more and more that is under way."""
    place = Shelf.require_place
    monkeypatch.setattr(Shelf, "require_place", lambda shelf, limit=3: place(shelf, 3))
    client = make(Disk(make.cls))  # type: ignore[attr-defined]
    for number in range(3):
        client.session.receive(client.check(number)[1] if make is AsVerifier else assign(number), NOW)
    if make is AsVerifier:
        with pytest.raises(ProtocolError) as caught:
            client.session.receive(client.check(3)[1], NOW)
        assert caught.value.code is ErrorCode.BUSY
        assert client.session.receive(client.check(2)[1], NOW) == [], "what it knows already is no more"
    else:
        said = client.disk.act(client.session.receive(assign(3), NOW))
        assert open_message(said[0]).of(Decline).body.code is ErrorCode.BUSY
    assert len(client.session.records.under_way) == 3


def test_a_memo_names_its_task_after_a_restart(tmp_path: Path) -> None:
    """A submission repeated after a crash pays once, though its task is over and not in memory."""

    async def body(net: Net) -> None:
        await net.requester.connected.wait()
        task = await net.requester.submit(b"model", b"input", 1, 1, TERMS, b"memo")
        await net.requester.finished([task])
        net.requester.requester = RequesterSession(
            KEYS["r"], recall=lambda name: net.requester.store.recall("requester", name, RequesterRecord)
        )
        net.requester.act(net.requester.restore())
        assert len(net.requester.requester.records) == 0, "closed tasks stay on disk"
        assert await net.requester.submit(b"model", b"input", 1, 1, TERMS, b"memo") == task
        assert net.requester.outputs(task) == b"input"[::-1]
        other = await net.requester.submit(b"model", b"input", 1, 1, TERMS, b"other")
        await net.requester.finished([other])
        assert net.ledger.balance(KEYS["r"].thumbprint) == FUNDS - 20

    play(tmp_path, body, Reverse())


def test_under_way_and_closed(tmp_path: Path) -> None:
    """A record that lives again counts as under way."""
    shelf: Shelf[int] = Shelf(lambda record: record < 0, {b"old": -7}.get, 2)
    for number in range(1, 6):
        shelf[bytes([number])] = -number
    shelf.trim()
    assert list(shelf) == [b"\x04", b"\x05"]
    shelf[b"\x04"] = 4
    assert shelf.under_way == [4]
    assert b"old" in shelf
    assert shelf[b"old"] == -7
    with pytest.raises(ProtocolError):
        shelf[b"none"]


def test_restart_after_a_crash_loses_nothing_of_a_closed_task() -> None:
    """Also where the process that answered is gone."""
    disk = Disk(WorkerRecord)
    first = AsWorker(disk).live(0)
    reborn = AsWorker(disk)
    reborn.session.restore([], NOW)
    assert reborn.again(0) == first
