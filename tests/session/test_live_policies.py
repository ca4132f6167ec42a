# SPDX-License-Identifier: Apache-2.0
"""Verification policies in live sessions: nodes in one loop over memory and HTTP, a stand-in for model and proof."""

import asyncio
import contextlib
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import uvicorn

from tests.protocol_kit import NOW
from vcompute.blobs import BlobCache
from vcompute.errors import ProtocolError, Rejected
from vcompute.identity import PrivateKey
from vcompute.identity.bls import SecretKey, load_backend
from vcompute.identity.quorum import VerifierSet
from vcompute.messages import Always, Confidential, Offer, OnChallenge, Receipt, Sampled, SuiteChoice, open_message
from vcompute.node.compute import Order, Work
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.requester import RequesterNode, Terms
from vcompute.node.store import Store
from vcompute.node.verifier import VerifierNode
from vcompute.node.worker import WorkerNode
from vcompute.policy import WorkerTerms
from vcompute.policy.certificate import member
from vcompute.policy.deposit import Deterrence
from vcompute.policy.receipt import Grounds, check_receipt
from vcompute.registry import Basis, ErrorCode, ParameterSetId, Role
from vcompute.session.requester import RequesterState
from vcompute.settlement import open_ledger
from vcompute.task.digest import blob_digest
from vcompute.transport import Link, MemoryLink
from vcompute.transport.http import HttpLink
from vcompute.transport.http_server import application

KEYS = {name: PrivateKey.from_seed(name.encode()) for name in ("c", "s", "r", "v", "w0", "w1")}
MEMBER = SecretKey(11, load_backend())
PROOF = SuiteChoice.of(ParameterSetId.PUBLIC_128)
FUNDS = 1_000
CONTESTED = OnChallenge((PROOF,), window=1_500, answer_within=5_000, stake=3)
Build = Callable[["Net"], Awaitable[Link]]


class Reverse:
    """A stand-in for a model: it reverses the inputs; its proofs are separate from its outputs."""

    def __init__(self, lies: bool = False) -> None:
        self.lies = lies
        self.proofs = 0
        self.checks = 0

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        return (PROOF,)

    def execute(self, order: Order) -> Work:
        outputs = order.inputs[::-1]
        if self.lies:
            outputs = b"x" + outputs[1:]
        now = isinstance(order.offer.policy, Always)
        return Work(outputs, PROOF, self.prove(order, PROOF) if now else None)

    def prove(self, order: Order, suite: SuiteChoice) -> bytes:
        self.proofs += 1
        return b"proof of " + order.inputs[::-1] + order.context

    def needs_model(self, offer: Offer) -> bool:
        return True

    def check(self, order: Order, work: Work) -> None:
        self.checks += 1
        if work.proof != b"proof of " + work.outputs + order.context:
            raise Rejected("wrong", code=ErrorCode.PROOF_REJECTED)

    def recompute(self, order: Order, outputs: bytes) -> None:
        if outputs != order.inputs[::-1]:
            raise Rejected("wrong", code=ErrorCode.OUTPUT_MISMATCH)


class Net:
    """A coordinator with workers, a requester and a verifier, linked by memory or by HTTP."""

    def __init__(self, directory: Path, computes: tuple[Reverse, ...], watch: float) -> None:
        self.directory, self.computes, self.watch = directory, computes, watch
        self.ledger = open_ledger(directory / "ledger.db", KEYS["s"])
        for name in ("r", "v", "w0", "w1"):
            self.ledger.fund(KEYS[name].thumbprint, FUNDS, name.encode(), NOW)
        blobs = BlobCache(directory / "c", 1 << 24, durable=False)
        self.coordinator = CoordinatorNode(KEYS["c"], self.ledger, Store(directory / "c.db"), blobs, nonce=os.urandom)
        self.checker = Reverse()

    def start(self, link: Callable[[], Link]) -> None:
        self.workers = [
            WorkerNode(role=Role.WORKER, compute=compute, terms=WorkerTerms((PROOF,)), **self.common(f"w{index}", link))
            for index, compute in enumerate(self.computes)
        ]
        self.verifier = VerifierNode(
            role=Role.VERIFIER, checker=self.checker, member=MEMBER, watch=0.0, **self.common("v", link)
        )
        self.requester = RequesterNode(
            role=Role.REQUESTER, checker=Reverse(), watch=self.watch, **self.common("r", link)
        )
        self.nodes = [*self.workers, self.verifier, self.requester]
        self.jobs = [asyncio.ensure_future(job.run()) for job in (self.coordinator, *self.nodes)]

    def common(self, name: str, link: Callable[[], Link]) -> dict[str, Any]:
        return {
            "key": KEYS[name],
            "link": link(),
            "store": Store(self.directory / f"{name}.db"),
            "blobs": BlobCache(self.directory / name, 1 << 24, durable=False),
            "coordinator": KEYS["c"].thumbprint,
            "nonce": os.urandom,
            "seed": name.encode() * 32,
        }

    async def offer(self, terms: Terms, *inputs: bytes) -> list[bytes]:
        await self.requester.connected.wait()
        tasks = [await self.requester.submit(b"model", data, 1, 1, terms) for data in inputs]
        await self.requester.finished(tasks)
        return tasks

    def grounds(self, task: bytes) -> Grounds:
        record = self.requester.record(task)
        return check_receipt(open_message(record.receipt or b"").of(Receipt), open_message(record.offer).of(Offer))

    def balance(self, name: str) -> int:
        return self.ledger.balance(KEYS[name].thumbprint)

    async def close(self) -> None:
        for node in self.nodes:
            node.stop()
        await asyncio.gather(*self.jobs[1:])
        self.jobs[0].cancel()
        await asyncio.gather(*self.jobs, return_exceptions=True)
        report = self.ledger.audit()
        assert report.conserved, report.problems
        for closing in (self.coordinator.store, *(node.store for node in self.nodes), self.ledger.book):
            closing.close()  # type: ignore[attr-defined]


@contextlib.asynccontextmanager
async def linked(net: Net, transport: str) -> AsyncIterator[Callable[[], Link]]:
    if transport == "memory":
        yield lambda: MemoryLink(net.coordinator)
        return
    bound = socket.socket()
    bound.bind(("127.0.0.1", 0))
    config = uvicorn.Config(
        application(net.coordinator), log_level="error", lifespan="off", timeout_graceful_shutdown=1
    )
    server = uvicorn.Server(config)
    running = asyncio.ensure_future(server.serve(sockets=[bound]))
    while not server.started:
        await asyncio.sleep(0.01)
    try:
        yield lambda: HttpLink(f"http://127.0.0.1:{bound.getsockname()[1]}")
    finally:
        server.should_exit = True
        await running
        bound.close()


def play(
    directory: Path, transport: str, body: Callable[[Net], Awaitable[None]], *computes: Reverse, watch: float = 1.0
) -> None:
    async def main() -> None:
        net = Net(directory, computes, watch)
        async with linked(net, transport) as link:
            net.start(link)
            try:
                await asyncio.wait_for(body(net), 60)
            finally:
                await net.close()

    asyncio.run(main())


BOTH = pytest.mark.parametrize("transport", ["memory", pytest.param("http", marks=pytest.mark.server)])


def terms(policy: Any, **changes: Any) -> Terms:
    given = {"price": 10, "bond": 40, "lease": 2_000, "verifiers": (KEYS["v"].thumbprint,), **changes}
    return Terms(policy, **given)


@BOTH
def test_unchallenged_results_are_paid_without_a_proof(tmp_path: Path, transport: str) -> None:
    """VC-POL-032 VC-POL-033."""
    honest = Reverse()

    async def body(net: Net) -> None:
        (task,) = await net.offer(terms(CONTESTED), b"one" * 50_000)
        assert net.requester.outputs(task) == b"eno" * 50_000
        assert net.grounds(task).bases == {Basis.UNCHALLENGED}
        assert (honest.proofs, net.checker.checks, net.balance("w0")) == (0, 0, FUNDS + 10)

    play(tmp_path, transport, body, honest)


@BOTH
def test_a_cheater_is_challenged_and_an_honest_worker_paid(tmp_path: Path, transport: str) -> None:
    """VC-POL-034: the requester watches, the cheater's proof fails at the verifier, another worker takes over."""
    cheater = Reverse(lies=True)

    async def body(net: Net) -> None:
        tasks = await net.offer(terms(CONTESTED), b"one", b"two")
        assert all(net.requester.record(task).state is RequesterState.DONE for task in tasks)
        assert [net.requester.outputs(task) for task in tasks] == [b"eno", b"owt"]
        assert (net.balance("w0"), net.balance("r")) == (FUNDS - 40, FUNDS - 20 + 40)
        assert cheater.proofs == 1
        assert net.checker.checks == 1

    play(tmp_path, transport, body, cheater, Reverse())


@BOTH
def test_proofs_are_made_for_what_is_drawn(tmp_path: Path, transport: str) -> None:
    """VC-POL-016."""
    honest = Reverse()

    async def body(net: Net) -> None:
        tasks = await net.offer(terms(Sampled((PROOF,), 1 << 15, 5_000, 1)), *(b"%d" % i for i in range(6)))
        drawn = sum(net.grounds(task).bases == {Basis.PROVED} for task in tasks)
        assert honest.proofs == drawn == net.checker.checks
        assert net.balance("w0") == FUNDS + 60

    play(tmp_path, transport, body, honest)


@BOTH
def test_a_verifier_set_certifies(tmp_path: Path, transport: str) -> None:
    """VC-QRM-011."""

    async def body(net: Net) -> None:
        members = VerifierSet((member(MEMBER, KEYS["v"].thumbprint),), 1)
        (task,) = await net.offer(terms(Always((PROOF,)), verifier_set=members), b"one")
        assert net.grounds(task).certified

    play(tmp_path, transport, body, Reverse())


def holds(directory: Path, secret: bytes) -> bool:
    return any(secret in path.read_bytes() for path in directory.rglob("*") if path.is_file())


@BOTH
def test_confidential_inputs_are_read_by_worker_and_verifier_alone(tmp_path: Path, transport: str) -> None:
    """VC-HPK-004 VC-HPK-005 VC-HPK-008: over the blobs path, in several chunks; the coordinator holds none of it."""
    secret = b"a secret of the requester" * 10_000

    async def body(net: Net) -> None:
        (task,) = await net.offer(terms(Always((PROOF,)), confidential=Confidential(True)), secret)
        assert net.requester.outputs(task) == secret[::-1]
        assert net.checker.checks == 1
        offer = open_message(net.requester.record(task).offer).of(Offer).body
        assert offer.inputs.digest != blob_digest(secret)
        assert not holds(tmp_path / "c", secret[:64])
        (other,) = await net.offer(terms(Always((PROOF,)), confidential=Confidential(True)), secret)
        again = open_message(net.requester.record(other).offer).of(Offer).body
        assert again.inputs.digest != offer.inputs.digest, "a salt of its own"

    play(tmp_path, transport, body, Reverse())


def test_a_requester_in_a_draw_opens_to_the_verifier(tmp_path: Path) -> None:
    """VC-HPK-009: what asks a requester that has the result itself for the draw is answered all the same."""

    async def body(net: Net) -> None:
        policy = Sampled((PROOF,), 1 << 16, 5_000, 1)
        (task,) = await net.offer(terms(policy, confidential=Confidential(True)), b"secret")
        assert net.requester.outputs(task) == b"terces"
        assert net.checker.checks == 1
        assert net.requester.record(task).moved == 0, "in the first lease"

    play(tmp_path, "memory", body, Reverse())


def test_a_requester_that_judges_opens_to_the_worker_alone(tmp_path: Path) -> None:
    """VC-HPK-007: the verifier of an offer that does not open to it never gets the inputs; the requester has them."""

    async def body(net: Net) -> None:
        secret = Confidential(False)
        await net.offer(terms(Always((PROOF,)), verifiers=(), confidential=secret), b"secret")
        with pytest.raises(ProtocolError) as caught:
            await net.offer(terms(Always((PROOF,)), confidential=secret), b"secret")
        assert caught.value.code is ErrorCode.TERMS_NOT_ACCEPTABLE
        await net.offer(terms(CONTESTED, confidential=Confidential(True)), b"secret")

    play(tmp_path, "memory", body, Reverse())


def test_a_bond_under_which_a_cheat_pays_is_not_offered(tmp_path: Path) -> None:
    """VC-POL-023: 1 in 16 is checked, so that a price of 10 needs a bond of 151."""
    policy = Sampled((PROOF,), 1 << 12, 5_000, 1)

    async def body(net: Net) -> None:
        for low in (terms(policy, bond=150), terms(CONTESTED, assumed=Deterrence())):
            with pytest.raises(ProtocolError) as caught:
                await net.offer(low, b"one")
            assert caught.value.code is ErrorCode.TERMS_NOT_ACCEPTABLE
        await net.offer(terms(policy, bond=151), b"one")

    play(tmp_path, "memory", body, Reverse())
