# SPDX-License-Identifier: Apache-2.0
"""The processes of ``vcompute demo``: a coordinator, and workers of four kinds."""

import asyncio
import contextlib
import logging
import os
from dataclasses import dataclass, replace
from enum import Enum, unique
from multiprocessing.connection import Connection as Pipe
from pathlib import Path

from vcompute.blobs import BlobCache
from vcompute.identity import PrivateKey, load_key
from vcompute.messages import Receipt, SuiteChoice, reopen
from vcompute.node.compute import Compute, Order, SuiteCompute, Work, open_order
from vcompute.node.serve import Endpoint, Service
from vcompute.node.store import Store, state_directory
from vcompute.node.worker import WorkerNode
from vcompute.policy import WorkerTerms
from vcompute.registry import Outcome, ParameterSetId, Role, SuiteId
from vcompute.task import decode_batch, make_batch
from vcompute.transport.http import HttpLink

CACHE = 1 << 28
FUNDS = 1_000_000


@unique
class Behaviour(Enum):
    """What kind of worker it is."""

    HONEST = "honest"
    ALTERS = "alters a byte"
    FORGES = "forges a proof"
    LEAVES = "leaves half-way"


class Tampering:
    """Takes orders that are checked by replay; runs a job honestly, then alters one byte of the outputs."""

    def __init__(self, inner: Compute) -> None:
        self._inner = inner

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        """See :class:`Compute`."""
        return _exact(self._inner)

    def execute(self, order: Order) -> Work:
        """See :class:`Compute`."""
        work = self._inner.execute(order)
        altered = bytearray(work.outputs)
        altered[-1] ^= 1
        return Work(bytes(altered), work.suite, work.proof)

    def prove(self, order: Order, suite: SuiteChoice) -> bytes:
        """See :class:`Compute`."""
        return self._inner.prove(order, suite)


class Forging:
    """Takes orders for proofs alone; alters one byte of the outputs and what the proof says it is about."""

    def __init__(self, inner: Compute) -> None:
        self._inner = inner

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        """See :class:`Compute`."""
        return tuple(choice for choice in self._inner.suites if choice.suite == SuiteId.SUCCINCT)

    def execute(self, order: Order) -> Work:
        """See :class:`Compute`."""
        from vcompute.codec import encode
        from vcompute.proof.statement import Statement
        from vcompute.proof.suite import decode_envelope

        work = self._inner.execute(order)
        model, inputs = open_order(order)
        outputs = decode_batch(work.outputs)
        (array,) = outputs.arrays
        altered = array.copy()
        altered.flat[-1] ^= 1
        false = Statement(model, inputs, make_batch(altered), order.context)
        envelope = decode_envelope(work.proof or b"")
        return Work(false.outputs.encoded, work.suite, encode(replace(envelope, statement=false.digest)))

    def prove(self, order: Order, suite: SuiteChoice) -> bytes:
        """See :class:`Compute`."""
        return self._inner.prove(order, suite)


class Leaving:
    """Ends its process in the middle of a job, without a word."""

    def __init__(self, inner: Compute) -> None:
        self._inner = inner

    @property
    def suites(self) -> tuple[SuiteChoice, ...]:
        """See :class:`Compute`."""
        return _exact(self._inner)

    def execute(self, order: Order) -> Work:
        """See :class:`Compute`."""
        self._inner.execute(order)
        os._exit(0)

    def prove(self, order: Order, suite: SuiteChoice) -> bytes:
        """See :class:`Compute`."""
        return self._inner.prove(order, suite)


def _exact(compute: Compute) -> tuple[SuiteChoice, ...]:
    return tuple(choice for choice in compute.suites if choice.parameter_set == ParameterSetId.EXACT)


@dataclass(frozen=True, slots=True)
class Summary:
    """What the coordinator's process says in the end: all receipts, and the audit."""

    receipts: list[tuple[bytes, Outcome, bytes | None, int, int, int]]
    """Task, outcome, worker, amount, bond, work units."""
    issued: int
    paid: int
    slashed: int
    refunded: int
    held: int
    conserved: bool


def compute_of(behaviour: Behaviour) -> Compute:
    """What a worker of this kind computes with."""
    inner = SuiteCompute()
    match behaviour:
        case Behaviour.HONEST:
            return inner
        case Behaviour.ALTERS:
            return Tampering(inner)
        case Behaviour.FORGES:
            return Forging(inner)
        case Behaviour.LEAVES:
            return Leaving(inner)


def run_worker(state: Path, url: str, pin: bytes, behaviour: Behaviour) -> None:
    """The process of a worker; its key is in its state directory."""
    _quiet()
    directory = state_directory(state)
    compute = compute_of(behaviour)

    async def main() -> None:
        node = WorkerNode(
            role=Role.WORKER,
            key=load_key(directory / "key.pem"),
            link=HttpLink(url),
            store=Store(directory / "state.db"),
            blobs=BlobCache(directory / "blobs", CACHE, durable=False),
            coordinator=pin,
            nonce=os.urandom,
            compute=compute,
            terms=WorkerTerms(compute.suites),
        )
        await node.run()

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


def run_coordinator(state: Path, funded: list[bytes], pipe: Pipe) -> None:
    """The process of the coordinator: says its URL, serves until told to end, then sums up."""
    _quiet()
    key, settlement = PrivateKey.generate(), PrivateKey.generate()
    endpoint = Endpoint()
    bound = endpoint.bind()
    service = Service(state, key, settlement, CACHE)
    for party in funded:
        service.ledger.fund(party, FUNDS, party, 0)

    async def main() -> None:
        loop = asyncio.get_running_loop()

        async def ready() -> None:
            pipe.send((endpoint.url(bound), key.thumbprint))

        serving = asyncio.ensure_future(service.serve(endpoint, bound, ready))
        ended = loop.run_in_executor(None, _until_told, pipe)
        await asyncio.wait([serving, ended], return_when=asyncio.FIRST_COMPLETED)
        if ended.done():
            pipe.send(_summary(service))
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(main())


def _until_told(pipe: Pipe) -> None:
    with contextlib.suppress(EOFError, OSError):
        pipe.recv()


def _summary(service: Service) -> Summary:
    receipts = []
    for record in service.node.session.records.values():
        for data in record.receipts:
            body = reopen(data).of(Receipt).body
            receipts.append((body.task, body.outcome, body.worker, body.amount, body.bond, body.work_units))
    report = service.ledger.audit()
    return Summary(
        receipts=receipts,
        issued=report.issued,
        paid=report.paid,
        slashed=report.slashed,
        refunded=report.refunded,
        held=report.held,
        conserved=report.conserved,
    )


def _quiet() -> None:
    """A demo's processes log to nobody; what matters is in the summary."""
    logging.disable(logging.CRITICAL)
