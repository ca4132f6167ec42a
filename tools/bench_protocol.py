# SPDX-License-Identifier: Apache-2.0
"""What the protocol costs: ``bench_protocol.py [--workers N] [--tasks N] [--output build/bench/protocol.json]``.

Two parts. The costs of one message: encode, sign, decode, verify, medians in processor time. Then one coordinator with
its ledger and its store on disk, and many workers in the same process, connected through the in-memory transport: each
greets, advertises and waits for messages; tasks then run through offer, lease, renewals, result, verdict and payment.
A rate is signed messages taken by the coordinator for each second of processor time that is not the workers' own
(making and reading their messages is counted out); the event loop, the ledger and both databases are counted in.
"""

import argparse
import asyncio
import gc
import json
import os
import platform
import tempfile
import time
from collections import Counter
from collections.abc import Coroutine
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from bench_int8 import medians

from vcompute.blobs import BlobCache
from vcompute.codec import dumps
from vcompute.identity import PrivateKey
from vcompute.identity.cose import open1
from vcompute.messages import (
    AAD,
    Accept,
    Advertise,
    Always,
    Assign,
    BlobRef,
    Check,
    Fetch,
    Message,
    Offer,
    Progress,
    Receipt,
    Result,
    SuiteChoice,
    Verdict,
    reopen,
    seal,
)
from vcompute.messages.envelope import BODY, read
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.store import Store
from vcompute.policy.pacing import RateLimit
from vcompute.registry import Basis, Outcome, ParameterSetId, Role
from vcompute.session import ClientHandshake
from vcompute.settlement import open_ledger
from vcompute.task.digest import blob_digest

REPLAY: Final = SuiteChoice.of(ParameterSetId.EXACT)
RENEWALS: Final = 2
REQUESTERS: Final = 32
IN_FLIGHT: Final = 256
PAGE: Final = os.sysconf("SC_PAGE_SIZE")


def costs(budget: float) -> dict[str, float]:
    """Microseconds of each step for one small message of a signer seen before."""
    key = PrivateKey.generate()
    body = Progress(bytes(32), bytes(32), 1, 0)
    payload = dumps(BODY.to_wire(body, "message"))
    signed = seal(key, body)
    sealed = open1(signed.data, AAD)
    steps = {
        "encode": lambda: dumps(BODY.to_wire(body, "message")),
        "sign": lambda: key.sign(payload),
        "seal": lambda: seal(key, body),
        "verify": lambda: open1(signed.data, AAD),
        "decode": lambda: read(sealed),
        "open": lambda: read(open1(signed.data, AAD)),
    }
    batch = 50

    def repeated(step: Any) -> Any:
        return lambda: [step() for _ in range(batch)]

    times = medians({name: repeated(step) for name, step in steps.items()}, budget)
    return {name: 1e6 * seconds / batch for name, seconds in times.items()}


def resident() -> int:
    """Bytes of memory this process holds."""
    return int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1]) * PAGE


@dataclass(slots=True)
class Crowd:
    """Simulated parties of one coordinator; ``own`` is the processor time that their own work took."""

    node: CoordinatorNode
    settlement: bytes
    sent: Counter[str] = field(default_factory=Counter)
    own: float = 0.0
    paid: int = 0
    waits: set[asyncio.Task[None]] = field(default_factory=set)
    failure: BaseException | None = None

    def start(self, job: Coroutine[Any, Any, None]) -> None:
        """Run a party's job beside the others."""
        task = asyncio.ensure_future(job)
        self.waits.add(task)
        task.add_done_callback(self._ended)

    def _ended(self, task: asyncio.Task[None]) -> None:
        self.waits.discard(task)
        if not task.cancelled():
            self.failure = self.failure or task.exception()

    def seal(self, key: PrivateKey, body: Message) -> bytes:
        """A signed message, in the party's own time."""
        start = time.process_time()
        data = seal(key, body).data
        self.own += time.process_time() - start
        return data

    async def say(self, key: PrivateKey, body: Message) -> bytes | None:
        """Send one message."""
        data = self.seal(key, body)
        self.sent[type(body).__name__] += 1
        return await self.node.message(data)

    async def connect(self, key: PrivateKey, role: Role) -> bytes:
        """Greet, and advertise where a worker does; the session's name."""
        start = time.process_time()
        handshake = ClientHandshake(key, role, os.urandom(16), None)
        self.own += time.process_time() - start
        self.sent["Hello"] += 1
        answer = await self.node.message(handshake.hello.data)
        start = time.process_time()
        session = reopen(answer or b"").digest
        self.own += time.process_time() - start
        if role is Role.WORKER:
            await self.say(key, Advertise(session, 1, role, 1, (REPLAY,), 4, 0, 1 << 40, 1 << 30))
        return session

    async def offer(self, key: PrivateKey, body: Offer) -> None:
        """Offer a task."""
        await self.say(key, body)

    def listen(self, key: PrivateKey, session: bytes) -> None:
        """Go on fetching and answering."""
        self.start(self._listen(key, session))

    async def _listen(self, key: PrivateKey, session: bytes) -> None:
        sequence = 0
        while True:
            sequence += 1
            data = await self.say(key, Fetch(session, sequence, 60_000))
            if data is not None:
                await self._answer(key, data)

    async def _answer(self, key: PrivateKey, data: bytes) -> None:
        start = time.process_time()
        body = reopen(data).body
        self.own += time.process_time() - start
        match body:
            case Assign(offer, attempt):
                await self._work(key, offer, attempt)
            case Check(_, _, result):
                signed = reopen(result).of(Result)
                verdict = Verdict(signed.body.task, signed.body.lease, signed.digest, True, Basis.REPLAYED)
                await self.say(key, verdict)
            case Receipt(outcome=Outcome.PAID) if body.requester == key.thumbprint:
                self.paid += 1
            case _:
                pass

    async def _work(self, key: PrivateKey, offer: bytes, attempt: int) -> None:
        signed = reopen(offer).of(Offer)
        task = signed.digest
        data = self.seal(key, Accept(task, attempt, signed.body.bond))
        self.sent["Accept"] += 1
        await self.node.message(data)
        lease = reopen(data).digest
        for number in range(RENEWALS):
            await self.say(key, Progress(task, lease, number + 1, 500))
        await self.say(key, Result(task, lease, signed.body.model, REPLAY))


def offer_of(crowd: Crowd, content: bytes, verifier: bytes) -> Offer:
    """A task whose content the coordinator has."""
    blob = BlobRef(blob_digest(content), len(content))
    policy, deadline = Always((REPLAY,)), crowd.node.clock() + 3_600_000
    nonce = os.urandom(16)
    return Offer(
        nonce, crowd.settlement, blob, blob, 1, 1, policy, (verifier,), 1, 10, 5, deadline, 600_000, 600_000, ()
    )


async def connected(crowd: Crowd, keys: list[PrivateKey]) -> dict[str, float]:
    """Connect every worker; memory and processor time of that."""
    gc.collect()
    memory, cpu, own = resident(), time.process_time(), crowd.own
    for key in keys:
        crowd.listen(key, await crowd.connect(key, Role.WORKER))
    await asyncio.sleep(0)
    busy = time.process_time() - cpu - (crowd.own - own)
    gc.collect()
    messages = sum(crowd.sent.values())
    return {
        "workers": len(keys),
        "messages": messages,
        "messages_per_second": messages / busy,
        "bytes_per_worker": (resident() - memory) / len(keys),
    }


async def flow(crowd: Crowd, requesters: list[PrivateKey], tasks: int) -> dict[str, Any]:
    """Run tasks from offer to payment; rates and counts."""
    content = b"content"
    crowd.node.blobs.put(content)
    for key in requesters:
        crowd.listen(key, await crowd.connect(key, Role.REQUESTER))
    before = Counter(crowd.sent)
    wall, cpu, own = time.perf_counter(), time.process_time(), crowd.own
    offered = 0
    while crowd.paid < tasks:
        while offered < min(tasks, crowd.paid + IN_FLIGHT):
            key = requesters[offered % len(requesters)]
            crowd.start(crowd.offer(key, offer_of(crowd, content, key.thumbprint)))
            offered += 1
        await asyncio.sleep(0.005)
        if crowd.failure is not None:
            raise crowd.failure
    busy = time.process_time() - cpu - (crowd.own - own)
    sent = crowd.sent - before
    return {
        "tasks": tasks,
        "messages": dict(sent),
        "messages_per_second": sum(sent.values()) / busy,
        "tasks_per_second": tasks / busy,
        "wall_seconds": time.perf_counter() - wall,
        "cpu_seconds": busy,
    }


async def coordinator(workers: int, tasks: int, directory: Path) -> dict[str, Any]:
    """The second part."""
    settlement = PrivateKey.generate()
    ledger = open_ledger(directory / "ledger.db", settlement)
    keys = [PrivateKey.generate() for _ in range(workers)]
    requesters = [PrivateKey.generate() for _ in range(REQUESTERS)]
    with ledger.group():
        for key in (*keys, *requesters):
            ledger.fund(key.thumbprint, 1 << 40, key.thumbprint, 0)
    node = CoordinatorNode(
        PrivateKey.generate(),
        ledger,
        Store(directory / "state.db"),
        BlobCache(directory / "blobs", 1 << 20, durable=False),
        nonce=os.urandom,
        limit=RateLimit(1 << 30, 1 << 30),
    )
    crowd = Crowd(node, ledger.thumbprint)
    running = asyncio.ensure_future(node.run())
    result = {"connect": await connected(crowd, keys), "tasks": await flow(crowd, requesters, tasks)}
    ending = [running, *crowd.waits]
    for task in ending:
        task.cancel()
    await asyncio.gather(*ending, return_exceptions=True)
    report = ledger.audit()
    if not report.conserved or report.paid != 10 * tasks:
        raise SystemExit(f"the ledger does not add up: {report}")
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=10_000)
    parser.add_argument("--tasks", type=int, default=1_500)
    parser.add_argument("--seconds", type=float, default=5, help="for the costs of one message")
    parser.add_argument("--output", type=Path, default=Path("build/bench/protocol.json"))
    options = parser.parse_args()
    micros = costs(options.seconds)
    print("microseconds a message: " + ", ".join(f"{name} {value:.1f}" for name, value in micros.items()), flush=True)
    with tempfile.TemporaryDirectory() as directory:
        result = asyncio.run(coordinator(options.workers, options.tasks, Path(directory)))
    print(
        "{workers} workers: {messages_per_second:.0f} messages/s, {bytes_per_worker:.0f} bytes each".format(
            **result["connect"]
        )
    )
    print(
        "{tasks} tasks: {messages_per_second:.0f} messages/s, {tasks_per_second:.0f} tasks/s of processor time, "
        "{wall_seconds:.1f} s elapsed".format(**result["tasks"])
    )
    options.output.parent.mkdir(parents=True, exist_ok=True)
    host = {"processor": platform.processor() or platform.machine(), "python": platform.python_version()}
    content = {"host": host, "microseconds": micros, **result}
    options.output.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
