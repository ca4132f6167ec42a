# SPDX-License-Identifier: Apache-2.0
"""A world in memory: all roles, a network that the test controls, a virtual clock, crashes at any step."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from tests.protocol_kit import COORDINATOR, NOW, OFFER, REPLAY, REQUESTER, SETTLEMENT, VERIFIER, ref
from vcompute.codec import Limits, decode, encode
from vcompute.errors import ProtocolError, VcomputeError
from vcompute.identity import PrivateKey
from vcompute.identity.bls import SecretKey, load_backend
from vcompute.identity.lifecycle import KeyRecord, RecordKind, revoke, rotate
from vcompute.messages import (
    Advertise,
    Cancel,
    Check,
    Draw,
    Hello,
    KeyChange,
    Offer,
    Receipt,
    Signed,
    SuiteChoice,
    open_message,
    seal,
)
from vcompute.registry import ErrorCode, ParameterSetId, RevocationReason, Role, YieldReason
from vcompute.session import (
    Abort,
    Action,
    Call,
    ClientHandshake,
    CoordinatorSession,
    Judge,
    Operation,
    Prove,
    Publish,
    Record,
    RequesterSession,
    Run,
    Save,
    Seal,
    Send,
    Stage,
    VerifierSession,
    WorkerSession,
)
from vcompute.session.coordinator_table import TaskRecord
from vcompute.session.identity import ClientIdentity
from vcompute.session.requester import RequesterRecord, RequesterState
from vcompute.session.roster import Standing
from vcompute.session.rotation import in_flight
from vcompute.session.verifier_table import VerifierRecord
from vcompute.session.worker import Product
from vcompute.session.worker_table import WorkerRecord
from vcompute.settlement import Ledger, SqliteBook

RECORDS: dict[str, type[Any]] = {
    "task": TaskRecord,
    "standing": Standing,
    "history": Standing,
    "worker": WorkerRecord,
    "verifier": VerifierRecord,
    "requester": RequesterRecord,
}
FUNDS = 10_000
STRANGER = PrivateKey.from_seed(b"stranger")
PROOF = SuiteChoice.of(ParameterSetId.PUBLIC_128)
CLOSED = 1
"""Closed records that a session keeps in memory: others are read back from its disk."""
SEED = bytes(range(32))
TRUTH = b"right outputs"
LIE = b"wrong outputs"


@dataclass
class Faults:
    """Shares of messages that the network mistreats."""

    drop: float = 0.0
    duplicate: float = 0.0
    corrupt: float = 0.0
    reorder: bool = False


class Disk:
    """What survives a crash: records as encoded bytes."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, bytes], bytes] = {}

    def save(self, action: Save) -> None:
        self.rows[action.kind, action.key] = encode(action.record)

    def recall(self, kind: str, key: bytes) -> Any:
        data = self.rows.get((kind, key))
        return None if data is None else decode(RECORDS[kind], data, Limits(bytes=1 << 22))

    def load(self, kind: str) -> list[Any]:
        limits = Limits(bytes=1 << 22)
        return [decode(RECORDS[kind], data, limits) for (name, _), data in self.rows.items() if name == kind]


class Client:
    """A worker, requester or verifier with its disk, handshake and blobs."""

    def __init__(self, world: "World", key: PrivateKey, role: Role) -> None:
        self.world, self.key, self.role = world, key, role
        self.name = key.thumbprint
        self.changes: list[KeyRecord] = []
        self.pending: tuple[KeyRecord, PrivateKey] | None = None
        self.disk = Disk()
        self.sequence = 0
        self.checks = 0
        self.proofs = 0
        self.jobs: dict[bytes, Run] = {}
        self.judging: dict[bytes, Judge] = {}
        self.proving: dict[bytes, Prove] = {}
        self.published: dict[bytes, tuple[Any, ...]] = {}
        self.start()

    def start(self) -> None:
        self.jobs.clear()
        self.judging.clear()
        self.proving.clear()
        self.who = ClientIdentity(self.key, self.name)
        for record in self.changes:
            self.who.keys.apply(record, 2**62)
        self.handshake = ClientHandshake(self.key, self.role, self.world.nonce(), COORDINATOR.thumbprint)
        self.session: Any = self.make()
        kind = {Role.WORKER: "worker", Role.REQUESTER: "requester", Role.VERIFIER: "verifier"}[self.role]
        self.act(self.session.restore(self.disk.load(kind), self.world.now))
        self.draws: Any = None
        if self.role is Role.REQUESTER:
            watched, shelf = (lambda job: self.world.watched), self.shelf("verifier")
            self.draws = VerifierSession(self.key, self.world.random.randbytes, None, watched, who=self.who, **shelf)
            self.act(self.draws.restore(self.disk.load("verifier"), self.world.now))
        self.world.post(self.name, None, self.handshake.hello.data)

    def make(self) -> Any:
        match self.role:
            case Role.WORKER:
                return WorkerSession(self.key, self.willing, SEED, who=self.who, **self.shelf("worker"))
            case Role.VERIFIER:
                unwatched = partial(
                    VerifierSession, watch=lambda job: False, seed=SEED, who=self.who, **self.shelf("verifier")
                )
                return unwatched(self.key, self.world.random.randbytes, self.world.member)
            case _:
                return RequesterSession(self.key, who=self.who, **self.shelf("requester"))

    def shelf(self, kind: str) -> dict[str, Any]:
        return {"recall": lambda name: self.disk.recall(kind, name), "closed": CLOSED}

    def willing(self, offer: Signed[Offer], now: int) -> None:
        if len(self.session.active) >= 2:
            raise ProtocolError("busy", code=ErrorCode.BUSY)

    def receive(self, data: bytes) -> None:
        message = open_message(data)
        if isinstance(message.body, Hello):
            self.handshake.receive(message.of(Hello))
            self.advertise()
            return
        session = self.session
        if self.draws is not None and isinstance(message.body, Check | Draw):
            session = self.draws
        elif (
            self.draws is not None
            and isinstance(message.body, Receipt | Cancel)
            and message.body.lease in self.draws.records
        ):
            self.act(self.draws.receive(message, self.world.now))
        self.act(session.receive(message, self.world.now))

    def rotate(self, new: PrivateKey) -> None:
        """Begin to change the key; what the old one said may still arrive."""
        if self.pending is None:
            records = [*self.session.records.values(), *(self.draws.records.values() if self.draws else ())]
            own = [said for said in in_flight(records) if self.who.name_of(said[1]) == self.name]
            if any(key != self.key.thumbprint for _, key in own):
                return  # what an earlier key said is still under way
            carried = tuple(digest for digest, _ in own)
            data = rotate(self.key, new, len(self.changes) + 1, self.world.now, carried)
            self.pending = KeyRecord(RecordKind.ROTATION, data), new
        self.push()

    def push(self) -> None:
        """Go on with a change of key: the new one is used once the coordinator has recorded it."""
        if self.pending is None:
            return
        world, (record, new) = self.world, self.pending
        try:
            world.act(world.coordinator.receive(seal(new, KeyChange(record)), world.now))
        except VcomputeError:
            return
        if world.coordinator.keys.current(self.name) == new.thumbprint:
            self.changes.append(record)
            self.key, self.pending = new, None
            self.start()

    def revoke(self, by: PrivateKey | None = None) -> None:
        """Revoke the current key."""
        data = revoke(by or self.key, self.key.thumbprint, self.world.now, RevocationReason.COMPROMISED)
        change = seal(STRANGER, KeyChange(KeyRecord(RecordKind.REVOCATION, data)))
        self.world.act(self.world.coordinator.receive(change, self.world.now))

    def advertise(self) -> None:
        session = self.handshake.session
        if self.role is Role.WORKER and session is not None:
            self.sequence += 1
            body = Advertise(session, self.sequence, Role.WORKER, 1, (REPLAY, PROOF), 2, 0, 1000, 60_000)
            self.world.post(self.name, None, seal(self.key, body).data)

    def act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Save):
                self.disk.save(action)
        for action in actions:
            match action:
                case Send(_, data):
                    self.world.post(self.name, None, data)
                case Publish(_, blobs):
                    self.world.upload(blobs)
                case Stage(task, blobs):
                    if all(blob.digest in self.world.blobs for blob in blobs):
                        self.act(self.session.fetched(task, self.world.now))
                case Run(job):
                    self.jobs[job.lease] = action
                case Abort(lease):
                    self.jobs.pop(lease, None)
                case Judge(job, _):
                    self.judging[job.lease] = action
                case Prove(job, _):
                    self.proving[job.lease] = action
                case Seal():
                    self.act(self.session.sealed(action, ref(b"sealed for " + action.reader)))
                case _:
                    pass

    def work(self, *, honest: bool = True) -> None:
        """Finish one job."""
        if not self.jobs:
            return
        lease, run = next(iter(self.jobs.items()))
        del self.jobs[lease]
        outputs = ref((TRUTH if honest else LIE) + run.job.task)
        suite = run.job.offer.body.policy.suites[0]
        self.act(self.session.computed(lease, Product(outputs, suite, None), self.world.now))

    def prove(self) -> None:
        """Finish one proof."""
        if self.proving:
            lease, prove = self.proving.popitem()
            proof = ref(b"proof of " + prove.result.digest)
            self.proofs += 1
            self.act(self.session.proved(lease, proof, self.world.now))

    def judge(self) -> None:
        """Finish one check."""
        if not self.judging:
            return
        lease, judge = next(iter(self.judging.items()))
        del self.judging[lease]
        self.checks += not judge.watch
        right = judge.result.body.outputs == ref(TRUTH + judge.job.task)
        if judge.answer is not None:
            right = right and judge.proof == ref(b"proof of " + judge.result.digest)
        session = self.session if self.draws is None else self.draws
        self.act(session.judged(lease, None if right else ErrorCode.OUTPUT_MISMATCH, self.world.now))


class World:
    """All parties and the network between them."""

    def __init__(self, workers: int = 2, seed: int = 0, faults: Faults | None = None) -> None:
        self.random = random.Random(seed)
        self.faults = faults or Faults()
        self.now = NOW
        self.network: list[tuple[bytes, bytes | None, bytes]] = []
        self.wire: list[tuple[bytes, bytes | None, bytes]] = []
        self.blobs: set[bytes] = set()
        self.staging: dict[bytes, tuple[Any, ...]] = {}
        self.disk = Disk()
        self.ledger = Ledger(SqliteBook(":memory:"), SETTLEMENT)
        self.settlement_up = True
        self.crash_after_call = False
        self.watched = True
        self.others: list[Client] = []
        self.proves = True
        self.member = SecretKey(7, load_backend())
        self.coordinator: CoordinatorSession
        self.boot()
        keys = [PrivateKey.from_seed(b"world worker %d" % index) for index in range(workers)]
        for key in (REQUESTER, VERIFIER, *keys):
            self.ledger.fund(key.thumbprint, FUNDS, key.thumbprint, self.now)
        self.funded = workers
        self.workers = [Client(self, key, Role.WORKER) for key in keys]
        self.requester = Client(self, REQUESTER, Role.REQUESTER)
        self.verifier = Client(self, VERIFIER, Role.VERIFIER)
        self.clients = {c.key.thumbprint: c for c in (*self.workers, self.requester, self.verifier)}
        self.tasks: list[bytes] = []

    def nonce(self) -> bytes:
        return self.random.randbytes(16)

    def boot(self) -> None:
        """Start the coordinator from its disk."""
        self.coordinator = CoordinatorSession(
            COORDINATOR,
            SETTLEMENT.thumbprint,
            self.nonce,
            recall=lambda task: self.disk.recall("task", task),
            standing=lambda worker: self.disk.recall("standing", worker),
            closed=CLOSED,
        )
        self.staging.clear()
        records = self.ledger.keys.all_records()
        self.act(self.coordinator.restore(self.disk.load("task"), (), self.now, records))

    def offer(self, **changes: Any) -> bytes:
        terms = replace(OFFER, nonce=self.nonce(), deadline=self.now + 60_000, **changes)
        offer = seal(self.requester.key, terms).of(Offer)
        self.tasks.append(offer.digest)
        secret = {} if offer.body.confidential is None else {"salt": bytes(32), "inputs": ref(b"inputs")}
        self.requester.act(self.requester.session.offer(offer, self.now, **secret))
        return offer.digest

    # The network.

    def post(self, source: bytes, target: bytes | None, data: bytes) -> None:
        self.wire.append((source, target, data))
        if self.random.random() < self.faults.drop:
            return
        copies = 2 if self.random.random() < self.faults.duplicate else 1
        for _ in range(copies):
            if self.random.random() < self.faults.corrupt:
                position = self.random.randrange(len(data))
                data = data[:position] + bytes([data[position] ^ 1 << self.random.randrange(8)]) + data[position + 1 :]
            self.network.append((source, target, data))

    def deliver(self) -> bool:
        """Deliver one message."""
        if not self.network:
            return False
        index = self.random.randrange(len(self.network)) if self.faults.reorder else 0
        _, target, data = self.network.pop(index)
        try:
            if target is None:
                self.act(self.coordinator.receive(open_message(data), self.now))
            elif target in self.clients:
                self.clients[target].receive(data)
        except VcomputeError:
            pass
        return True

    def upload(self, blobs: tuple[Any, ...]) -> None:
        self.blobs |= {blob.digest for blob in blobs}
        self.stage()

    def stage(self) -> None:
        for task, blobs in list(self.staging.items()):
            if task in self.staging and all(blob.digest in self.blobs for blob in blobs):
                del self.staging[task]
                self.act(self.coordinator.staged(task, self.now))

    def act(self, actions: list[Action]) -> None:
        for action in actions:
            if isinstance(action, Save):
                self.disk.save(action)
        for action in actions:
            match action:
                case Send(to, data):
                    assert to is not None
                    self.post(COORDINATOR.thumbprint, to, data)
                case Stage(task, blobs):
                    self.staging[task] = blobs
                case Call():
                    self.call(action)
                case Record(record):
                    self.record(record)
                case _:
                    pass
        self.stage()

    def record(self, record: KeyRecord) -> None:
        if not self.settlement_up:
            return
        try:
            self.ledger.take(record, self.now)
        except VcomputeError:
            return
        if not self.crash_after_call:
            self.act(self.coordinator.recorded(record, self.now))

    def call(self, call: Call) -> None:
        if not self.settlement_up:
            self.act(self.coordinator.unknown(call, self.now))
            return
        try:
            holding = settle(self.ledger, call, self.now)
        except VcomputeError as error:
            self.act(self.coordinator.refused(call, error.code, self.now))
            return
        if self.crash_after_call:
            self.act(self.coordinator.unknown(call, self.now))
            return
        self.act(self.coordinator.answered(call, holding.receipt, holding.until, self.now))

    # Time and progress.

    def tick(self, milliseconds: int) -> None:
        self.now += milliseconds
        self.act(self.coordinator.tick(self.now))
        for client in self.clients.values():
            client.push()
            client.act(client.session.tick(self.now))
            if client.draws is not None:
                client.act(client.draws.tick(self.now))

    def drain(self, limit: int = 10_000) -> None:
        while limit and self.deliver():
            limit -= 1

    def run(self, rounds: int = 400, step: int = 500, cheats: Callable[[Client], bool] = lambda client: False) -> None:
        """Let everything happen until no task is open, or ``rounds`` passed."""
        for _ in range(rounds):
            self.drain()
            for worker in self.workers:
                worker.work(honest=not cheats(worker))
                if self.proves:
                    worker.prove()
            self.drain()
            for judge in (self.verifier, self.requester, *self.others):
                judge.judge()
            self.drain()
            if all(self.final(task) for task in self.tasks):
                return
            self.tick(step)
            if self.random.random() < 0.1:
                for worker in self.workers:
                    worker.advertise()

    def final(self, task: bytes) -> bool:
        states = (RequesterState.DONE, RequesterState.REFUNDED, RequesterState.REFUSED)
        return self.requester.session.records[task].state in states

    def state(self, task: bytes) -> RequesterState:
        return self.requester.session.records[task].state

    def balances(self) -> dict[bytes, int]:
        return {key: self.ledger.balance(key) for key in (REQUESTER.thumbprint, *(w.name for w in self.workers))}

    def check_money(self) -> None:
        report = self.ledger.audit()
        assert report.conserved, report.problems
        assert report.issued == FUNDS * (2 + self.funded)

    def join(self, key: PrivateKey, role: Role) -> Client:
        """One more party."""
        client = self.clients[key.thumbprint] = Client(self, key, role)
        self.others.append(client)
        return client

    def lose(self, worker: Client) -> None:
        """A worker vanishes for good."""
        self.workers.remove(worker)
        del self.clients[worker.name]

    def heal(self) -> None:
        """No more faults; whoever lost its session says hello again."""
        self.faults = Faults()
        self.settlement_up, self.crash_after_call = True, False
        self.network.clear()
        for client in self.clients.values():
            client.start()


def settle(ledger: Ledger, call: Call, now: int) -> Any:
    data, lease = call.data or b"", call.lease or b""
    match call.operation:
        case Operation.OPEN:
            return ledger.open(data, now)
        case Operation.BOND:
            return ledger.bond(data, now)
        case Operation.RENEW:
            return ledger.renew(data, now)
        case Operation.COMMIT:
            return ledger.commit(data, now)
        case Operation.DRAW:
            return ledger.draw(call.task, data, now)
        case Operation.CHALLENGE:
            return ledger.challenge(call.task, lease, call.data, now)
        case Operation.ANSWER:
            return ledger.answer(data, now)
        case Operation.SETTLE:
            return ledger.settle(data, now)
        case Operation.RELEASE:
            return ledger.release(call.task, lease, call.data, now)
        case Operation.REFUND:
            return ledger.refund(call.task, call.data, now)


STOP_REASONS = list(YieldReason)
