# SPDX-License-Identifier: Apache-2.0
"""Nodes over the memory transport in one event loop, with a stand-in for models and proofs."""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.protocol_kit import NOW, REPLAY
from vcompute.blobs import BlobCache
from vcompute.cli.device import read_policy
from vcompute.errors import ProtocolError, Rejected, UsageError, VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import Always, Fetch, Hello, Offer, SuiteChoice, open_message, seal
from vcompute.node.compute import Order, Work
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.mailbox import MAX_WAITING, Mailbox
from vcompute.node.requester import RequesterNode, Terms
from vcompute.node.store import Store
from vcompute.node.worker import WorkerNode
from vcompute.policy import WorkerTerms
from vcompute.policy.device import Reading
from vcompute.policy.pacing import RateLimit
from vcompute.registry import ErrorCode, Role, ThermalStatus, YieldReason
from vcompute.session import ClientHandshake
from vcompute.session.requester import RequesterState
from vcompute.settlement import open_ledger
from vcompute.transport import MemoryLink

KEYS = {name: PrivateKey.from_seed(name.encode()) for name in ("c", "s", "r", "w0", "w1", "w2")}
FUNDS = 1000
TERMS = Terms(Always((REPLAY,)), price=10, bond=4, lease=1_000)


class Reverse:
    """A stand-in for a model: it reverses the inputs."""

    def __init__(self, fault: Callable[[bytes], bytes] = lambda outputs: outputs) -> None:
        self.fault = fault
        self.runs = 0

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        return (REPLAY,)

    def execute(self, order: Order) -> Work:
        self.runs += 1
        return Work(self.fault(order.inputs[::-1]), REPLAY, b"proof" + order.context)

    def needs_model(self, offer: Offer) -> bool:
        return True

    def check(self, order: Order, work: Work) -> None:
        if work.outputs != order.inputs[::-1]:
            raise Rejected("wrong", code=ErrorCode.OUTPUT_MISMATCH)
        if work.proof != b"proof" + order.context:
            raise Rejected("copied", code=ErrorCode.STATEMENT_MISMATCH)


class Broken(Reverse):
    """A stand-in that never works."""

    def execute(self, order: Order) -> Work:
        raise ProtocolError("no", code=ErrorCode.COMPUTE_FAILED)


class Net:
    """A coordinator, a requester and workers on one loop; everything on disk under ``directory``."""

    def __init__(self, directory: Path, *computes: Any, device: Any = None, checker: Any = None) -> None:
        self.directory = directory
        self.ledger = open_ledger(directory / "ledger.db", KEYS["s"])
        for name in ("r", *(f"w{index}" for index in range(len(computes)))):
            self.ledger.fund(KEYS[name].thumbprint, FUNDS, name.encode(), NOW)
        self.coordinator = CoordinatorNode(
            KEYS["c"], self.ledger, Store(directory / "c.db"), self.cache("c"), nonce=os.urandom
        )
        self.jobs = [asyncio.ensure_future(self.coordinator.run())]
        self.workers = [
            WorkerNode(
                role=Role.WORKER,
                compute=compute,
                terms=WorkerTerms((REPLAY,)),
                device=device if index == 0 else None,
                **self.common(f"w{index}"),
            )
            for index, compute in enumerate(computes)
        ]
        self.requester = RequesterNode(role=Role.REQUESTER, checker=checker or Reverse(), **self.common("r"))
        self.nodes = [*self.workers, self.requester]
        self.jobs += [asyncio.ensure_future(node.run()) for node in self.nodes]

    def cache(self, name: str) -> BlobCache:
        return BlobCache(self.directory / name, 1 << 24, durable=False)

    def common(self, name: str) -> dict[str, Any]:
        return {
            "key": KEYS[name],
            "link": MemoryLink(self.coordinator),
            "store": Store(self.directory / f"{name}.db"),
            "blobs": self.cache(name),
            "coordinator": KEYS["c"].thumbprint,
            "nonce": os.urandom,
        }

    async def offer(self, *inputs: bytes, terms: Terms = TERMS) -> list[bytes]:
        await self.requester.connected.wait()
        return [await self.requester.submit(b"model", data, 1, 1, terms) for data in inputs]

    async def close(self) -> None:
        for node in self.nodes:
            node.stop()
        await asyncio.gather(*self.jobs[1:])
        self.jobs[0].cancel()
        await asyncio.gather(*self.jobs, return_exceptions=True)
        report = self.ledger.audit()
        assert report.conserved, report.problems
        assert report.issued == FUNDS * (1 + len(self.workers))
        for closing in (self.coordinator.store, *(node.store for node in self.nodes), self.ledger.book):
            closing.close()  # type: ignore[attr-defined]


def play(
    directory: Path, body: Callable[[Net], Awaitable[None]], *computes: Any, device: Any = None, checker: Any = None
) -> None:
    async def main() -> None:
        net = Net(directory, *computes, device=device, checker=checker)
        try:
            await asyncio.wait_for(body(net), 60)
        finally:
            await net.close()

    asyncio.run(main())


def test_tasks_are_run_checked_and_paid(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        inputs = [bytes([index]) + b"input" * 20_000 for index in range(5)]
        tasks = await net.offer(*inputs)
        await net.requester.finished(tasks)
        assert [net.requester.outputs(task) for task in tasks] == [data[::-1] for data in inputs]
        assert net.ledger.balance(KEYS["r"].thumbprint) == FUNDS - 50

    play(tmp_path, body, Reverse(), Reverse())


def test_a_cheater_is_slashed_and_the_task_moves(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        tasks = await net.offer(b"one", b"two", b"three")
        await net.requester.finished(tasks)
        assert all(net.requester.record(task).state is RequesterState.DONE for task in tasks)
        assert net.ledger.balance(KEYS["w0"].thumbprint) == FUNDS - 4

    play(tmp_path, body, Reverse(lambda outputs: b"x" + outputs[1:]), Reverse())


def test_a_worker_that_fails_yields_without_fault(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        tasks = await net.offer(b"one", b"two")
        await net.requester.finished(tasks)
        assert all(net.requester.record(task).state is RequesterState.DONE for task in tasks)
        assert net.ledger.balance(KEYS["w0"].thumbprint) == FUNDS

    play(tmp_path, body, Broken(), Reverse())


def test_advertisements_of_a_lost_session_do_not_keep_a_worker_away(tmp_path: Path) -> None:
    """What a worker said to a coordinator that was killed is not said to the next one, which would refuse it."""

    async def body(net: Net) -> None:
        worker = net.workers[0]
        await worker.connected.wait()
        net.coordinator.session.roster.parties.clear()  # as after a restart: no session is known
        for _ in range(3):
            worker._say_advertisement()
        tasks = await net.offer(b"one")
        await asyncio.wait_for(net.requester.finished(tasks), 20)

    play(tmp_path, body, Reverse())


def test_a_user_takes_the_device_back(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        await net.workers[0].connected.wait()
        net.workers[0].give_back(YieldReason.USER)
        await asyncio.sleep(0.05)
        tasks = await net.offer(b"one", b"two", b"three")
        await net.requester.finished(tasks)
        assert net.ledger.balance(KEYS["w1"].thumbprint) == FUNDS + 30

    play(tmp_path, body, Reverse(), Reverse())


class Device:
    """A device whose charger the test plugs and unplugs."""

    charging = False

    def read(self, now: int) -> Reading:
        return Reading(charging=self.charging, battery=90, thermal=ThermalStatus.NONE, online=True, metered=False,
                       in_use=False, minute=0, cores=2, memory=1 << 30)  # fmt: skip


class Slow(Reverse):
    """A stand-in that takes its time."""

    def execute(self, order: Order) -> Work:
        time.sleep(0.5)
        return super().execute(order)


def test_a_device_policy_starts_and_stops_the_work(tmp_path: Path) -> None:
    device = Device()
    policy = read_policy(_written(tmp_path, "settle = 0\ngrace = 0\npoll = 100\nstop_within = 500\n"))

    async def body(net: Net) -> None:
        worker = net.workers[0]
        task = (await net.offer(b"one"))[0]
        await asyncio.sleep(0.4)
        assert net.requester.record(task).state is RequesterState.OFFERED, "no work without power"
        device.charging = True
        while not worker.session.active:
            await asyncio.sleep(0.01)
        device.charging = False
        while worker.session.active:
            await asyncio.sleep(0.01)
        while net.ledger.holding(task).lease is not None:  # type: ignore[union-attr]
            await asyncio.sleep(0.01)  # the Yield is on its way; a lease of a second would end later
        device.charging = True
        await net.requester.finished([task])
        assert net.requester.record(task).state is RequesterState.DONE
        assert net.requester.record(task).moved == 1
        assert net.ledger.balance(KEYS["w0"].thumbprint) == FUNDS + 10

    play(tmp_path, body, Slow(), device=(device, policy))


def _written(directory: Path, text: str) -> Path:
    path = directory / "policy.toml"
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize(
    "text",
    ["charging", "unknown = 1", "battery_begin = 200", "battery_stop = 90", 'thermal_stop = "none"',
     'thermal_begin = "hot"', 'hours = ["22-6"]', 'hours = ["25:00-01:00"]', 'charging = "yes"'],
)  # fmt: skip
def test_a_wrong_device_policy_is_refused(tmp_path: Path, text: str) -> None:
    with pytest.raises(UsageError):
        read_policy(_written(tmp_path, text))


def test_a_device_policy_has_hours(tmp_path: Path) -> None:
    policy = read_policy(_written(tmp_path, 'hours = ["22:00-06:30"]'))
    assert [policy.hours[0].holds(minute) for minute in (0, 389, 390, 1319, 1320)] == [True, True, False, False, True]


def test_too_many_messages_are_told_when_to_come_back(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        net.coordinator._limit = RateLimit(2, 10)
        hello = ClientHandshake(KEYS["w2"], Role.WORKER, bytes(16), None).hello.data
        for _ in range(2):
            await net.coordinator.message(hello)
        with pytest.raises(ProtocolError) as caught:
            await net.coordinator.message(hello)
        assert caught.value.code is ErrorCode.RATE_LIMITED
        assert caught.value.retry_after is not None
        assert 0 < caught.value.retry_after <= 100
        tasks = await net.offer(b"one", b"two")
        await net.requester.finished(tasks)  # slower, but whole

    play(tmp_path, body, Reverse())


def test_the_same_memo_is_the_same_task(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        await net.requester.connected.wait()
        tasks = [await net.requester.submit(b"model", b"data", 1, 1, TERMS, b"memo") for _ in range(3)]
        assert len(set(tasks)) == 1
        await net.requester.finished(tasks)
        assert await net.requester.submit(b"model", b"data", 1, 1, TERMS, b"memo") == tasks[0]
        assert net.ledger.audit().paid == 10

    play(tmp_path, body, Reverse())


def test_a_mailbox_repeats_and_acknowledges() -> None:
    """VC-NET-005"""

    async def main() -> None:
        box = Mailbox()
        for data in (b"a", b"a", b"b"):
            box.put(data)
        assert len(box) == 2
        assert [await box.fetch(number, 0) for number in (1, 1, 2, 2)] == [b"a", b"a", b"b", b"b"]
        with pytest.raises(ProtocolError):
            await box.fetch(1, 0)
        box.restart()
        assert await box.fetch(1, 0) == b"b"
        assert await box.fetch(2, 10) is None
        waiting = asyncio.ensure_future(box.fetch(3, 5_000))
        await asyncio.sleep(0.01)
        box.put(b"c")
        assert await waiting == b"c"
        for number in range(2 * MAX_WAITING):
            box.put(number.to_bytes(4, "big"))
        assert len(box) == MAX_WAITING

    asyncio.run(main())


def test_mail_is_given_to_its_session_alone(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        stranger, owner = KEYS["w2"], KEYS["w0"]
        await net.workers[0].connected.wait()
        session = net.workers[0].handshake.session  # type: ignore[union-attr]
        assert session is not None
        for key, name in ((stranger, session), (owner, bytes(32))):
            with pytest.raises(ProtocolError) as caught:
                await net.coordinator.message(seal(key, Fetch(name, 1, 0)).data)
            assert caught.value.code is ErrorCode.UNKNOWN_SESSION

    play(tmp_path, body, Reverse())


def test_the_greeting_is_idempotent_and_damage_is_refused(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        handshake = ClientHandshake(KEYS["w2"], Role.WORKER, bytes(16), KEYS["c"].thumbprint)
        answer = await net.coordinator.message(handshake.hello.data)
        assert answer is not None
        assert await net.coordinator.message(handshake.hello.data) == answer
        handshake.receive(open_message(answer).of(Hello))
        for position in range(0, len(answer), 7):
            damaged = bytearray(handshake.hello.data)
            damaged[position % len(damaged)] ^= 1
            with pytest.raises(VcomputeError):
                await net.coordinator.message(bytes(damaged))

    play(tmp_path, body)


def test_uploads_need_an_announcement(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        from tests.protocol_kit import ref

        with pytest.raises(ProtocolError) as caught:
            net.coordinator.wanted(ref(b"spam"))
        assert caught.value.code is ErrorCode.BLOB_UNWANTED
        with pytest.raises(ProtocolError) as unknown:
            net.coordinator.get_chunk(ref(b"nothing"), 0)
        assert unknown.value.code is ErrorCode.BLOB_UNKNOWN

    play(tmp_path, body)
