# SPDX-License-Identifier: Apache-2.0
"""Operations that run one role on a virtual clock: ``session.start``, ``receive``, ``tick``, ``tell``, ``restart``.

A session keeps what it must survive a restart with in its own store; ``session.restart`` throws everything else away.
Every answer carries the actions of the step, in order.
"""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final

from vcompute.codec import Limits, decode, encode
from vcompute.conformance.operations.messages import private_key
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey
from vcompute.identity.attestation import TokenAppraiser
from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages import Advertise, BlobRef, Hello, Message, Offer, Signed, SuiteChoice, open_message, seal
from vcompute.messages.envelope import message_type
from vcompute.policy.attestation import AttestationPolicy, Weight
from vcompute.registry import AttestationType, ErrorCode, MessageType, ParameterSetId, Role, YieldReason
from vcompute.session import (
    Abort,
    Action,
    Call,
    ClientHandshake,
    Closed,
    CoordinatorSession,
    Judge,
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
from vcompute.session.requester import RequesterRecord
from vcompute.session.roster import Standing
from vcompute.session.verifier_table import VerifierRecord
from vcompute.session.worker import Product
from vcompute.session.worker_table import WorkerRecord
from vcompute.settlement import Ledger, SqliteBook

Json = dict[str, Any]
RECORDS: Final[dict[str, type[Any]]] = {
    "task": TaskRecord,
    "standing": Standing,
    "worker": WorkerRecord,
    "verifier": VerifierRecord,
    "requester": RequesterRecord,
}
LIMITS: Final = Limits(bytes=1 << 22)
GREET_AGAIN: Final = 10_000
"""Milliseconds after which a client greets again: its coordinator may have forgotten it."""
CAPACITY: Final = 2
BOND: Final = 1_000
VALID: Final = 60_000


def name_of(data: bytes) -> str:
    """The registered name of a message's type."""
    return MessageType(message_type(open_message(data).body)).name.lower()


class Peer(ABC):
    """One role with its store."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        self.key: PrivateKey = private_key(request)
        self.rows: dict[tuple[str, bytes], bytes] = {}
        self.calls: list[Call] = []
        self._nonces = 0

    def random_bytes(self, size: int) -> bytes:
        """Bytes from the same stream as the nonces."""
        return b"".join(self.nonce() for _ in range(-(-size // 16)))[:size]

    def nonce(self) -> bytes:
        """16 bytes that differ each time; a virtual world needs no more."""
        self._nonces += 1
        return hashlib.sha256(self.key.thumbprint + self._nonces.to_bytes(8, "big")).digest()[:16]

    def load(self, kind: str) -> list[Any]:
        """The stored records of a kind."""
        return [decode(RECORDS[kind], data, LIMITS) for (name, _), data in self.rows.items() if name == kind]

    @abstractmethod
    def boot(self, now: int) -> list[Action]:
        """Start, or start again from the store."""

    @abstractmethod
    def receive(self, data: bytes, now: int) -> list[Action]:
        """A message arrived."""

    @abstractmethod
    def tick(self, now: int) -> list[Action]:
        """Time has passed."""

    @abstractmethod
    def tell(self, what: str, request: Mapping[str, Any], now: int) -> list[Action]:
        """Something happened beside the messages."""

    @abstractmethod
    def state(self, request: Mapping[str, Any]) -> Json:
        """Where a task stands."""

    def show(self, actions: Sequence[Action]) -> list[Json]:
        """Store what is to be stored, then the other actions as JSON."""
        shown: list[Json] = []
        for action in actions:
            if isinstance(action, Save):
                self.rows[action.kind, action.key] = encode(action.record)
        for action in actions:
            shown += self._shown(action)
        return shown

    def _shown(self, action: Action) -> list[Json]:
        match action:
            case Send(to, data):
                target = None if to is None else to_text(to)
                return [{"do": "send", "to": target, "type": name_of(data), "message": to_text(data)}]
            case Run(job):
                return [{"do": "run", "task": to_text(job.task), "lease": to_text(job.lease)}]
            case Abort(lease):
                return [{"do": "abort", "lease": to_text(lease)}]
            case Judge(job, result, _, watch):
                outputs = to_text(result.body.outputs.digest)
                return [
                    {"do": "judge", "task": to_text(job.task), "lease": to_text(job.lease), "outputs": outputs}
                    | ({"watch": True} if watch else {})
                ]
            case Prove(job, _):
                return [{"do": "prove", "task": to_text(job.task), "lease": to_text(job.lease)}]
            case Publish(task, blobs):
                return [{"do": "publish", "task": to_text(task), "blobs": [to_text(blob.digest) for blob in blobs]}]
            case Stage(task, blobs):
                return [{"do": "stage", "task": to_text(task), "blobs": [to_text(blob.digest) for blob in blobs]}]
            case Call(operation, task, lease, data):
                self.calls.append(action)
                call: Json = {"do": "call", "call": len(self.calls) - 1, "operation": operation.value}
                call |= {"task": to_text(task), "lease": to_text(lease or b""), "data": to_text(data or b"")}
                return [call]
            case Closed(task):
                return [{"do": "closed", "task": to_text(task)}]
            case Seal(task, lease, reader, role, key):
                sealed: Json = {"do": "seal", "task": to_text(task), "lease": to_text(lease), "reader": to_text(reader)}
                return [sealed | {"role": role.name.lower(), "key": to_text(key)}]
            case Record(record):
                return [{"do": "record", "record": to_text(encode(record))}]
            case Save():
                return []


class Client(Peer):
    """A requester, worker or verifier: a handshake and the role's session."""

    def __init__(self, request: Mapping[str, Any], role: Role) -> None:
        super().__init__(request)
        self.role = role
        self.coordinator = to_bytes(request["coordinator"])
        self.session: Any = None
        self.sequence = 0

    def boot(self, now: int) -> list[Action]:
        match self.role:
            case Role.WORKER:
                self.session = WorkerSession(self.key, self._willing)
            case Role.VERIFIER:
                self.session = VerifierSession(self.key, self.random_bytes)
            case _:
                self.session = RequesterSession(self.key)
        return [*self._greet(now), *self.session.restore(self.load(self.role.name.lower()), now)]

    def _willing(self, offer: Signed[Offer], now: int) -> None:
        if len(self.session.active) >= CAPACITY:
            raise ProtocolError("no room for another task", code=ErrorCode.BUSY)

    def _greet(self, now: int) -> list[Action]:
        self.handshake = ClientHandshake(self.key, self.role, self.nonce(), self.coordinator)
        self._greeted = now
        return [Send(None, self.handshake.hello.data)]

    def _advertise(self) -> list[Action]:
        session = self.handshake.session
        if self.role is not Role.WORKER or session is None:
            return []
        self.sequence += 1
        suite = SuiteChoice.of(ParameterSetId.EXACT)
        body = Advertise(session, self.sequence, Role.WORKER, 1, (suite,), CAPACITY, 0, BOND, VALID)
        return [Send(None, seal(self.key, body).data)]

    def receive(self, data: bytes, now: int) -> list[Action]:
        message: Signed[Message] = open_message(data)
        if isinstance(message.body, Hello):
            self.handshake.receive(message.of(Hello))
            return self._advertise()
        self.handshake.require_coordinator(message)
        actions: list[Action] = self.session.receive(message, now)
        return actions

    def tick(self, now: int) -> list[Action]:
        greeting = self._greet(now) if now >= self._greeted + GREET_AGAIN else []
        return [*greeting, *self.session.tick(now)]

    def tell(self, what: str, request: Mapping[str, Any], now: int) -> list[Action]:
        session = self.session
        table: dict[str, Callable[[], list[Action]]] = {
            "computed": lambda: session.computed(to_bytes(request["lease"]), _product(request), now),
            "proved": lambda: session.proved(to_bytes(request["lease"]), _blob(request), now),
            "failed": lambda: session.failed(to_bytes(request["lease"]), YieldReason.UNKNOWN, now),
            "stop": lambda: session.stop(YieldReason.UNKNOWN, now),
            "judged": lambda: session.judged(to_bytes(request["lease"]), _code(request), now),
            "offer": lambda: session.offer(open_message(to_bytes(request["message"])).of(Offer), now),
            "cancel": lambda: session.cancel(to_bytes(request["task"]), now),
            "fetched": lambda: session.fetched(to_bytes(request["task"]), now),
        }
        return table[what]()

    def state(self, request: Mapping[str, Any]) -> Json:
        record = self.session.records.get(to_bytes(request["name"]))
        return {"state": None if record is None else record.state.name.lower()}


class Coordinator(Peer):
    """A coordinator."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        super().__init__(request)
        self.settlement = to_bytes(request["settlement"])
        self.session: CoordinatorSession
        self.recorded: list[KeyRecord] = []
        self.attestation = _attestation(request)

    def boot(self, now: int) -> list[Action]:
        self.session = CoordinatorSession(self.key, self.settlement, self.nonce, attestation=self.attestation)
        return self.session.restore(self.load("task"), self.load("standing"), now, tuple(self.recorded))

    def receive(self, data: bytes, now: int) -> list[Action]:
        return self.session.receive(open_message(data), now)

    def tick(self, now: int) -> list[Action]:
        return self.session.tick(now)

    def tell(self, what: str, request: Mapping[str, Any], now: int) -> list[Action]:
        if what == "staged":
            return self.session.staged(to_bytes(request["task"]), now)
        if what == "recorded":
            self.recorded.append(decode(KeyRecord, to_bytes(request["record"])))
            return self.session.recorded(self.recorded[-1], now)
        call = self.calls[int(request["call"])]
        match what:
            case "answered":
                receipt = to_bytes(request["receipt"]) if request.get("receipt") else None
                return self.session.answered(call, receipt, int(request["until"]), now)
            case "refused":
                return self.session.refused(call, ErrorCode[str(request["error"]).upper()], now)
            case _:
                return self.session.unknown(call, now)

    def state(self, request: Mapping[str, Any]) -> Json:
        record = self.session.records.get(to_bytes(request["name"]))
        return {"state": None if record is None else record.state.name.lower()}


class Settlement(Peer):
    """A settlement: every operation is told, its answer is the receipt and the end of the lease or window."""

    def __init__(self, request: Mapping[str, Any]) -> None:
        super().__init__(request)
        self.book = SqliteBook(":memory:")

    def boot(self, now: int) -> list[Action]:
        self.ledger = Ledger(self.book, self.key)
        return []

    def take(self, request: Mapping[str, Any]) -> Json:
        """``{record, now}``, an encoded KeyRecord -> ``{party}``."""
        record = decode(KeyRecord, to_bytes(request["record"]))
        return {"party": to_text(self.ledger.take(record, int(request["now"])))}

    def receive(self, data: bytes, now: int) -> list[Action]:
        raise ProtocolError("a settlement takes no messages", code=ErrorCode.UNEXPECTED_MESSAGE)

    def tick(self, now: int) -> list[Action]:
        return []

    def tell(self, what: str, request: Mapping[str, Any], now: int) -> list[Action]:
        raise UsageError("ask a settlement with session.settle", got=what)

    def settle(self, request: Mapping[str, Any]) -> Json:
        """``{operation, data, task?, lease?, party?, amount?, now}`` -> ``{receipt, until}`` or ``{balance}``."""
        now, data = int(request["now"]), to_bytes(request.get("data", ""))
        operation = str(request["operation"])
        ledger = self.ledger
        if operation == "fund":
            party = to_bytes(request["party"])
            return {"balance": ledger.fund(party, int(request["amount"]), data, now)}
        if operation == "transfer":
            party, to = to_bytes(request["party"]), to_bytes(request["to"])
            return {"balance": ledger.transfer(party, to, data, now)}
        if operation in ("release", "refund", "challenge"):
            task, evidence = to_bytes(request["task"]), data or None
            holding = (
                ledger.release(task, to_bytes(request["lease"]), evidence, now)
                if operation == "release"
                else ledger.challenge(task, to_bytes(request["lease"]), evidence, now)
                if operation == "challenge"
                else ledger.refund(task, evidence, now)
            )
        else:
            verbs = {"open": ledger.open, "bond": ledger.bond, "renew": ledger.renew}
            verbs |= {"commit": ledger.commit, "settle": ledger.settle, "answer": ledger.answer}
            holding = verbs[operation](data, now)
        return {"receipt": to_text(holding.receipt or b""), "until": holding.until}

    def state(self, request: Mapping[str, Any]) -> Json:
        """``{name}``, a party -> ``{balance, conserved}``; a task -> also ``{state}``."""
        name = to_bytes(request["name"])
        row = self.ledger.book.escrow(name)
        state = None if row is None else row.state.name.lower()
        report = self.ledger.audit()
        return {"balance": self.ledger.balance(name), "conserved": report.conserved, "state": state}


def _product(request: Mapping[str, Any]) -> Product:
    digest, size = to_bytes(request["outputs"]), int(request["size"])
    return Product(BlobRef(digest, size), SuiteChoice.of(ParameterSetId.EXACT), None)


def _blob(request: Mapping[str, Any]) -> BlobRef:
    return BlobRef(to_bytes(request["proof"]), int(request["size"]))


def _code(request: Mapping[str, Any]) -> ErrorCode | None:
    name = request.get("error")
    return None if name is None else ErrorCode[str(name).upper()]


def _attestation(request: Mapping[str, Any]) -> AttestationPolicy:
    """``{attestation: {weight, attesters}}`` of a coordinator; evidence is ignored without it."""
    asked = request.get("attestation") or {"weight": "ignore", "attesters": []}
    trusted = frozenset(to_bytes(item) for item in asked["attesters"])
    return AttestationPolicy(Weight(asked["weight"]), {AttestationType.ATTESTER_TOKEN: TokenAppraiser(trusted)})


def _make(request: Mapping[str, Any]) -> Peer:
    role = Role[str(request["role"]).upper()]
    if role is Role.COORDINATOR:
        return Coordinator(request)
    return Settlement(request) if role is Role.SETTLEMENT else Client(request, role)


def operations() -> dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]:
    """The operations over sessions of their own."""
    peers: list[Peer] = []

    def of(request: Mapping[str, Any]) -> tuple[Peer, int]:
        return peers[int(request["session"])], int(request["now"])

    def start(request: Mapping[str, Any]) -> Json:
        peer = _make(request)
        peers.append(peer)
        return {"session": len(peers) - 1, "actions": peer.show(peer.boot(int(request["now"])))}

    def receive(request: Mapping[str, Any]) -> Json:
        peer, now = of(request)
        return {"actions": peer.show(peer.receive(to_bytes(request["message"]), now))}

    def tick(request: Mapping[str, Any]) -> Json:
        peer, now = of(request)
        return {"actions": peer.show(peer.tick(now))}

    def tell(request: Mapping[str, Any]) -> Json:
        peer, now = of(request)
        return {"actions": peer.show(peer.tell(str(request["what"]), request, now))}

    def restart(request: Mapping[str, Any]) -> Json:
        peer, now = of(request)
        return {"actions": peer.show(peer.boot(now))}

    def state(request: Mapping[str, Any]) -> Json:
        return of({**request, "now": 0})[0].state(request)

    def settle(request: Mapping[str, Any]) -> Json:
        peer, _ = of(request)
        if not isinstance(peer, Settlement):
            raise UsageError("not a settlement", got=type(peer).__name__)
        return peer.settle(request)

    def keys(request: Mapping[str, Any]) -> Json:
        peer, _ = of(request)
        if not isinstance(peer, Settlement):
            raise UsageError("not a settlement", got=type(peer).__name__)
        return peer.take(request)

    return {
        "session.start": start,
        "session.receive": receive,
        "session.tick": tick,
        "session.tell": tell,
        "session.restart": restart,
        "session.state": state,
        "session.settle": settle,
        "session.keys": keys,
    }
