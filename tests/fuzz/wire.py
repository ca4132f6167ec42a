# SPDX-License-Identifier: Apache-2.0
"""Fuzzed: everything the protocol reads. Envelopes, bodies of every message, all roles and the ledger with what any
key may sign, every record of the schemas, keys, certificates, HTTP requests, files of state and ledger."""

import asyncio
import hashlib
import os
import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from random import Random
from typing import Any

from tests.fuzz.samples import sample
from tests.protocol_kit import COORDINATOR, NOW, OFFER, OTHER, REPLAY, REQUESTER, SETTLEMENT, VERIFIER, WORKER, accept
from tests.protocol_kit import offer as make_offer
from tests.protocol_kit import result as make_result
from tests.protocol_kit import verdict as make_verdict
from vcompute.blobs import Chunk
from vcompute.codec import decode, dumps, encode
from vcompute.errors import ProtocolError, VcomputeError
from vcompute.identity import Keyring, PrivateKey, PublicKey, bls, hpke, load_key, reopen1
from vcompute.identity.attestation import TokenAppraiser, appraise, issue_token
from vcompute.identity.confidential import EncryptionKey, SealedInput, TaskConfiguration
from vcompute.identity.cose import sign1
from vcompute.identity.ed25519 import Ed25519PublicKey
from vcompute.identity.history import KeyHistory
from vcompute.identity.lifecycle import (
    Evidence,
    KeyRecord,
    Measurement,
    RecordKind,
    Revocation,
    Rotation,
    Successor,
    attest,
    enrol,
    open_evidence,
    revoke,
    rotate,
)
from vcompute.identity.quorum import Member, Quorum, QuorumCertificate, VerifierSet
from vcompute.messages import AAD, Keys, Progress, Yield, open_message, seal
from vcompute.messages.envelope import BODY, TYPES
from vcompute.node.store import Store
from vcompute.registry import AttestationType, ErrorCode, RevocationReason, Role, YieldReason
from vcompute.session import CoordinatorSession, RequesterSession, VerifierSession, WorkerSession
from vcompute.session.coordinator_table import TaskRecord
from vcompute.session.handshake import greeting
from vcompute.session.requester import RequesterRecord
from vcompute.session.roster import Standing
from vcompute.session.verifier import VerifierRecord
from vcompute.session.worker import Product, WorkerRecord
from vcompute.settlement import Holding, Ledger, SqliteBook, open_ledger
from vcompute.settlement.book import EscrowRow
from vcompute.settlement.journal import Entry
from vcompute.transport.http_common import Wanted
from vcompute.transport.http_server import application

KEYS = (REQUESTER, WORKER, VERIFIER, OTHER, COORDINATOR)
BACKEND = bls.load_backend()
STATEMENT = hashlib.sha256(b"statement").digest()
RECORDS: tuple[type[Any], ...] = (
    *(cls for _, cls in TYPES),
    Chunk,
    EncryptionKey,
    TaskConfiguration,
    SealedInput,
    VerifierSet,
    QuorumCertificate,
    Evidence,
    Revocation,
    Rotation,
    Successor,
    Entry,
    EscrowRow,
    Holding,
    TaskRecord,
    WorkerRecord,
    RequesterRecord,
    VerifierRecord,
    Standing,
    Wanted,
)


@cache
def flow() -> tuple[tuple[PrivateKey, Any], ...]:
    """The messages of one task and whose they are."""
    task = make_offer(deadline=NOW + 60_000)
    lease = accept(task)
    done = make_result(lease)
    renewal = Progress(task.digest, lease.digest, 1, 0)
    given_back = Yield(task.digest, lease.digest, YieldReason.THERMAL)
    return (
        (REQUESTER, task.body),
        (WORKER, lease.body),
        (WORKER, renewal),
        (WORKER, done.body),
        (VERIFIER, make_verdict(done).body),
        (VERIFIER, make_verdict(done, accepted=False).body),
        (WORKER, given_back),
        (WORKER, greeting(Role.WORKER, bytes(16))),
    )


def envelope_seeds() -> list[bytes]:
    """An envelope of every message type."""
    random = Random(1)
    return [seal(key, body).data for key, body in flow()] + [seal(OTHER, sample(cls, random)).data for _, cls in TYPES]


def envelope(data: bytes) -> None:
    """Nothing but what was signed is taken, and it has one encoding."""
    message = open_message(data)
    assert data in _signed()
    assert message.digest == hashlib.sha256(data).digest()


@cache
def _signed() -> frozenset[bytes]:
    return frozenset(envelope_seeds())


def payload_seeds() -> list[bytes]:
    """What is inside of them."""
    return [reopen1(data).payload for data in envelope_seeds()]


def payload(data: bytes) -> None:
    """Any key may sign any payload: what is read has one encoding."""
    message = open_message(sign1(KEYS[len(data) % len(KEYS)], data, AAD))
    assert dumps(BODY.to_wire(message.body, "message")) == data


class Parties:
    """Every role and a ledger in the middle of a task."""

    def __init__(self) -> None:
        self.ledger = Ledger(SqliteBook(":memory:"), SETTLEMENT)
        for key in KEYS:
            self.ledger.fund(key.thumbprint, 10_000, key.thumbprint, NOW)
        self.coordinator = CoordinatorSession(COORDINATOR, SETTLEMENT.thumbprint, lambda: bytes(16))
        self.worker = WorkerSession(WORKER, lambda offer, now: None)
        self.requester = RequesterSession(REQUESTER)
        self.verifier = VerifierSession(VERIFIER, bytes)
        for key, body in flow()[:4]:
            message = seal(key, body)
            for operation in (self.ledger.open, self.ledger.bond, self.ledger.commit):
                _refusable(lambda operation=operation, message=message: operation(message.data, NOW))  # type: ignore[misc]
        self.coordinator.receive(seal(REQUESTER, OFFER), NOW)
        self.requester.offer(make_offer(), NOW)
        self.runs = 0

    def take(self, data: bytes) -> int:
        """Give a signed message to everybody; how many took it."""
        message = open_message(data)
        book = self.ledger
        readers: tuple[Callable[[], object], ...] = (
            *(lambda party=party: party.receive(message, NOW) for party in self.sessions),  # type: ignore[misc]
            *(
                lambda operation=operation: operation(data, NOW)  # type: ignore[misc]
                for operation in (book.open, book.bond, book.renew, book.commit, book.settle)
            ),
            lambda: book.draw(make_offer().digest, data, NOW),
            lambda: book.release(make_offer().digest, accept(make_offer()).digest, data, NOW),
            lambda: book.refund(make_offer().digest, data, NOW),
        )
        taken = sum(_refusable(reader) for reader in readers)
        for party in self.sessions:
            party.tick(NOW + 1)
        self.worker.computed(bytes(32), Product(OFFER.inputs, REPLAY, None), NOW)
        return taken

    @property
    def sessions(self) -> tuple[Any, ...]:
        return (self.coordinator, self.worker, self.requester, self.verifier)


def _refusable(reader: Callable[[], object]) -> bool:
    try:
        reader()
    except VcomputeError:
        return False
    return True


_PARTIES: list[Parties] = []


def role_seeds() -> list[bytes]:
    """The payloads of a task, behind the number of their signer."""
    return [bytes([KEYS.index(key)]) + dumps(BODY.to_wire(body, "message")) for key, body in flow()[:5]]


def roles(data: bytes) -> None:
    """Every role and the ledger take any well-formed message of any signer or refuse it; no money is lost."""
    if not _PARTIES or _PARTIES[0].runs >= 500:
        _PARTIES[:] = [Parties()]
    parties = _PARTIES[0]
    parties.runs += 1
    key = KEYS[data[0] % len(KEYS)] if data else OTHER
    if not parties.take(sign1(key, data[1:], AAD)):
        raise ProtocolError("nobody took it", code=ErrorCode.UNEXPECTED_MESSAGE)
    if parties.runs % 100 == 0:
        report = parties.ledger.audit()
        assert report.conserved, report.problems
        assert report.issued == 10_000 * len(KEYS)


def record_seeds() -> list[bytes]:
    """Every record with every number of optional fields, behind the number of its class."""
    random = Random(2)
    return [bytes([index]) + encode(sample(cls, random)) for index, cls in enumerate(RECORDS) for _ in range(3)]


def record(data: bytes) -> None:
    """A record has one encoding."""
    cls = RECORDS[data[0] % len(RECORDS)] if data else RECORDS[0]
    assert encode(decode(cls, data[1:])) == data[1:]


def identity_seeds() -> list[bytes]:
    """Keys, their certificates of every kind, sealed inputs, behind the number of their reader."""
    challenge = b"challenge of the day"
    secrets = sorted((bls.SecretKey(number, BACKEND) for number in (11, 12, 13)), key=lambda secret: secret.public)
    devices = [key.thumbprint for key in KEYS]
    pairs = zip(secrets, devices, strict=False)
    members = VerifierSet(tuple(Member(key.public, key.prove_possession(), device) for key, device in pairs), 2)
    quorum = Quorum(members, BACKEND)
    certificate = quorum.certify(STATEMENT, {i: secrets[i].sign(quorum.message(STATEMENT)) for i in (0, 2)})
    sealed = hpke.seal(hpke.public_bytes(WORKER.wrapped.public_key()), b"info", b"aad", b"secret")
    pem = _pem(WORKER)
    seeds = (
        WORKER.public.cose_key,
        pem,
        bytes.fromhex("a301012006215820d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a"),
        rotate(WORKER, OTHER, 1, NOW),
        revoke(WORKER, WORKER.thumbprint, NOW, next(iter(RevocationReason))),
        attest(WORKER, challenge, NOW // 1000, Measurement(next(iter(AttestationType)), b"chain")),
        encode(members),
        encode(certificate),
        sealed[0] + sealed[1],
        secrets[0].public + secrets[0].prove_possession(),
        encode(KeyRecord(RecordKind.ENROLMENT, enrol(WORKER, Role.WORKER, NOW, OTHER.thumbprint))),
        encode(KeyRecord(RecordKind.ROTATION, rotate(WORKER, OTHER, 1, NOW, (bytes(32),)))),
        attest(WORKER, challenge, NOW // 1000, Measurement(AttestationType.ATTESTER_TOKEN, _token(challenge))),
    )
    return [bytes([index]) + seed for index, seed in enumerate(seeds)]


def _token(challenge: bytes) -> bytes:
    return issue_token(OTHER, WORKER.thumbprint, challenge, NOW // 1000, bytes(17))


def _keyring(data: bytes) -> None:
    """A keyring that refuses a record is as it was; one that takes it holds it."""
    ring = Keyring(OTHER.thumbprint)
    try:
        name, new = ring.apply(decode(KeyRecord, data), NOW)
    except VcomputeError:
        if len(ring) or ring.all_records():
            raise AssertionError("a refused record left a trace") from None
        raise
    if not new or len(ring.records(name)) != 1:
        raise AssertionError("a record that was taken is not held")


def _pem(key: PrivateKey) -> bytes:
    from vcompute.identity import save_key

    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "key.pem"
        save_key(key, path)
        return path.read_bytes()


def _load_pem(data: bytes) -> None:
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "key.pem"
        path.touch(mode=0o600)
        path.write_bytes(data)
        load_key(path, b"passphrase")


@cache
def _quorum() -> Quorum:
    return Quorum(decode(VerifierSet, identity_seeds()[6][1:]), BACKEND)


APPRAISERS = {AttestationType.ATTESTER_TOKEN: TokenAppraiser(frozenset({OTHER.thumbprint}))}
READERS: tuple[Callable[[bytes], object], ...] = (
    PublicKey,
    _load_pem,
    Ed25519PublicKey,
    lambda data: KeyHistory(WORKER.thumbprint, 0).apply_rotation(data),
    lambda data: KeyHistory(WORKER.thumbprint, 0).apply_revocation(data),
    lambda data: open_evidence(data, b"challenge of the day"),
    lambda data: Quorum(decode(VerifierSet, data), BACKEND),
    lambda data: _quorum().verify(decode(QuorumCertificate, data), STATEMENT),
    lambda data: hpke.open_sealed(WORKER.wrapped, data[:65], b"info", b"aad", data[65:]),
    lambda data: bls.register(BACKEND, data[:48], data[48:]),
    _keyring,
    _keyring,
    lambda data: appraise(data, WORKER.thumbprint, b"challenge of the day", NOW, APPRAISERS),
)


def identity(data: bytes) -> None:
    """Readers of keys and certificates."""
    READERS[data[0] % len(READERS) if data else 0](data[1:])


class Echo:
    """A hub that takes what is well-formed."""

    async def message(self, data: bytes) -> bytes | None:
        return open_message(data).data

    def wanted(self, blob: Any) -> list[int]:
        return [0] if blob.size else []

    def put_chunk(self, blob: Any, chunk: Chunk) -> None:
        return None

    def get_chunk(self, blob: Any, index: int) -> Chunk:
        return Chunk(index, b"data", ())

    def keys(self, key: bytes, after: int) -> Keys:
        return Keys(key, after, (), False)


def http_seeds() -> list[bytes]:
    """Requests as method, path, query, body."""
    blob = OFFER.inputs
    path = b"/v1/blobs/" + blob.digest.hex().encode()
    size = b"size=%d" % blob.size
    chunk = Chunk(0, b"data", ())
    return [
        *(b"POST\n/v1/messages\n\n" + data for data in envelope_seeds()[:6]),
        b"GET\n" + path + b"\n" + size + b"\n",
        b"PUT\n" + path + b"/0\n" + size + b"\n" + chunk.encode(),
        b"GET\n" + path + b"/0\n" + size + b"\n",
        b"GET\n/v1/status\n\n",
    ]


def http(data: bytes) -> None:
    """The server answers every request by success or a refusal, never by a failure of its own."""
    method, path, query, body = [*data.split(b"\n", 3), b"", b"", b"", b""][:4]
    status = asyncio.run(_request(method, path, query, body))
    assert 200 <= status < 500
    if status >= 400:
        raise ProtocolError("refused", code=ErrorCode.UNEXPECTED_MESSAGE, got=status)


async def _request(method: bytes, path: bytes, query: bytes, body: bytes) -> int:
    pieces = [body[start : start + 700] for start in range(0, max(len(body), 1), 700)]
    statuses: list[int] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": pieces.pop(0) if pieces else b"", "more_body": bool(pieces)}

    async def send(event: Any) -> None:
        if event["type"] == "http.response.start":
            statuses.append(event["status"])

    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": method.decode("latin1").upper(),
        "scheme": "http",
        "path": "/" + path.decode("latin1").lstrip("/"),
        "raw_path": path,
        "query_string": query,
        "headers": [(b"content-type", b"application/cose"), (b"content-length", b"%d" % len(body))],
        "client": ("127.0.0.1", 1),
        "server": ("127.0.0.1", 2),
        "root_path": "",
    }
    await application(Echo())(scope, receive, send)
    return statuses[0]


def database_seeds() -> list[bytes]:
    """A ledger's file and a coordinator's, small pages, behind a byte that says which."""
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory)
        _small_pages(path / "ledger.db")
        ledger = open_ledger(path / "ledger.db", SETTLEMENT)
        for key in KEYS:
            ledger.fund(key.thumbprint, 10_000, key.thumbprint, NOW)
        task = make_offer()
        ledger.open(task.data, NOW)
        ledger.bond(accept(task).data, NOW)
        ledger.book.close()  # type: ignore[attr-defined]
        _small_pages(path / "state.db")
        store = Store(path / "state.db")
        from vcompute.session import Save

        store.save([Save("standing", key.thumbprint, Standing(key.thumbprint, 1, 0, 0, 0)) for key in KEYS])
        store.close()
        return [b"l" + (path / "ledger.db").read_bytes(), b"s" + (path / "state.db").read_bytes()]


def _small_pages(path: Path) -> None:
    import sqlite3

    db = sqlite3.connect(path)
    db.execute("PRAGMA page_size = 512")
    db.execute("VACUUM")
    db.close()


def database(data: bytes) -> None:
    """A damaged file of a ledger or of a party's state is refused, or its damage is reported, or it was whole."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as directory:
        path = Path(directory) / "file.db"
        path.write_bytes(data[1:])
        if data[:1] == b"s":
            store = Store(path)
            try:
                store.load("standing", Standing)
            finally:
                store.close()
            return
        ledger = open_ledger(path, SETTLEMENT)
        try:
            report = ledger.audit()
        finally:
            ledger.book.close()  # type: ignore[attr-defined]
        if not report.conserved:
            raise ProtocolError("the audit found it", code=ErrorCode.JOURNAL_BROKEN)
