# SPDX-License-Identifier: Apache-2.0
"""A worker: advertises, runs jobs in threads, keeps outputs and proofs until they are paid."""

import asyncio
import logging
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, TypeAlias, TypeVar

from vcompute.errors import ProtocolError, VcomputeError
from vcompute.identity.lifecycle import Measurement, attest
from vcompute.messages import Advertise, BlobRef, Enrol, Message, Offer, Signed, seal
from vcompute.node.client import ClientNode, Session
from vcompute.node.compute import Compute, Order
from vcompute.policy import WorkerTerms
from vcompute.policy.device import DevicePolicy, Driver, Governor, Mode
from vcompute.registry import ErrorCode, Role, YieldReason
from vcompute.session import Abort, Action, Job, Prove, Run, Send, WorkerSession
from vcompute.session.worker import Product
from vcompute.session.worker_table import WorkerRecord
from vcompute.stop import Stop, until

R = TypeVar("R")
Attester: TypeAlias = Callable[[bytes, bytes], Measurement]
"""Vouches for a device key: thumbprint and challenge in, the platform's statement out."""
logger = logging.getLogger(__name__)
OPERATOR_SET: Final = 1
ADVERTISED: Final = 60_000
"""Milliseconds an advertisement stands; it is renewed after half of them."""


class WorkerNode(ClientNode):
    """A worker. Arguments beside those of :class:`ClientNode`: what it computes with, its terms, its capacity, and
    where the device has a say, its driver and its owner's policy; what vouches for its key, where something does."""

    def __init__(
        self,
        *args: Any,
        compute: Compute,
        terms: WorkerTerms,
        capacity: int = 1,
        device: tuple[Driver, DevicePolicy] | None = None,
        attester: Attester | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._device = device
        self._attester = attester
        self._full = capacity
        self._compute = compute
        self._terms = terms
        self._capacity = capacity if device is None else 0
        self._sequence = 0
        self._advertisement: Send | None = None
        self._pool = ThreadPoolExecutor(capacity, thread_name_prefix="compute")
        self._running: dict[bytes, asyncio.Task[None]] = {}
        self._stops: dict[bytes, Stop] = {}
        self._ending = Stop()
        self.session = WorkerSession(
            self.key,
            self._willing,
            self.seed,
            who=self.who,
            recall=lambda task: self.store.recall("worker", task, WorkerRecord),
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        """See :class:`ClientNode`."""
        return (self.session,)

    def restore(self) -> list[Action]:
        """See :class:`ClientNode`."""
        return self.session.restore(self.store.load("worker", WorkerRecord), self.clock())

    def route(self, message: Signed[Message]) -> Session:
        """See :class:`ClientNode`."""
        return self.session

    async def run(self) -> None:
        """See :class:`ClientNode`."""
        self.spawn("advertise", self._advertise())
        if self._device is not None:
            self.spawn("device", self._watch_device(*self._device))
        try:
            await super().run()
        finally:
            self._ending.set()
            self._pool.shutdown(wait=False, cancel_futures=True)

    async def greeted(self) -> None:
        """See :class:`ClientNode`."""
        self._sequence = 0
        await self._enrol()
        self._say_advertisement()

    async def _enrol(self) -> None:
        """Enrol for the session, with evidence where this device has an attester.

        Raises:
            ProtocolError: the coordinator refuses the evidence; the next connection tries anew.
        """
        session = None if self.handshake is None else self.handshake.session
        if self._attester is None or session is None:
            return
        measurement = await asyncio.to_thread(self._attester, self.key.thumbprint, session)
        evidence = attest(self.key, session, self.clock() // 1000, measurement)
        await self.link.exchange(seal(self.key, Enrol(session, Role.WORKER, evidence)).data)

    def give_back(self, reason: YieldReason) -> None:
        """Give every lease back, without fault, and take no more."""
        self._capacity = 0
        self._say_advertisement()
        self.act(self.session.stop(reason, self.clock()))

    async def _watch_device(self, driver: Driver, policy: DevicePolicy) -> None:
        """Take tasks while the device's state allows it; give them back in time where it no longer does."""
        governor = Governor(policy)
        while True:
            reading = driver.read(self.clock())
            mode = governor.observe(reading, self.clock())
            if mode is Mode.STOPPING:
                self.give_back(governor.reason or YieldReason.UNKNOWN)
                governor.stopped()
            capacity = min(self._full, policy.capacity(reading, 0)) if mode is Mode.WORKING else 0
            if capacity != self._capacity:
                self._capacity = capacity
                self._say_advertisement()
            await asyncio.sleep(policy.poll / 1000)

    async def _advertise(self) -> None:
        while True:
            await asyncio.sleep(ADVERTISED / 2000)
            self._say_advertisement()

    def _say_advertisement(self) -> None:
        session = None if self.handshake is None else self.handshake.session
        if session is None:
            return
        self._sequence += 1
        body = Advertise(
            session=session,
            sequence=self._sequence,
            role=Role.WORKER,
            operator_set=OPERATOR_SET,
            suites=self._terms.suites,
            capacity=self._capacity,
            price=self._terms.price,
            bond=self._terms.bond,
            valid=ADVERTISED,
        )
        if self._advertisement is not None:
            self.unsay(self._advertisement)  # it may name a lost session: that refusal would begin yet another one
        self._advertisement = Send(None, seal(self.key, body).data)
        self.act([self._advertisement])

    def _willing(self, offer: Signed[Offer], now: int) -> None:
        if len(self.session.active) >= self._capacity:
            code = ErrorCode.BUSY if self._capacity else ErrorCode.DEVICE_UNAVAILABLE
            raise ProtocolError("no free place", code=code)
        peer = None if self.handshake is None else self.handshake.peer
        self._terms.check(offer, (peer.body.settlement if peer is not None else None) or bytes(32))

    def perform(self, action: Action) -> None:
        """See :class:`ClientNode`."""
        match action:
            case Run(job):
                self._stops[job.lease] = Stop()
                self._running[job.lease] = task = asyncio.ensure_future(self._guarded(self._work(job)))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                task.add_done_callback(lambda _: self._forget(job.lease, task))
            case Prove():
                self.spawn(("prove", action.job.lease), self._prove(action))
            case Abort(lease) if lease in self._running:
                self._running[lease].cancel()
            case _:
                pass

    def _forget(self, lease: bytes, task: asyncio.Task[None]) -> None:
        if self._running.get(lease) is task:
            del self._running[lease]
            self._stops.pop(lease).set()  # its thread ends too, where it still computes

    async def _compute_in_thread(self, stop: Stop, work: Callable[[], R]) -> R:
        """Compute in a thread, which ends soon after ``stop`` is set, whether anyone still waits for it or not."""

        def bounded() -> R:
            with until(stop):
                return work()

        return await asyncio.get_running_loop().run_in_executor(self._pool, bounded)

    async def _work(self, job: Job) -> None:
        offer = job.offer.body
        try:
            model, inputs = await self.download(offer.model), await self.inputs_of(job, Role.WORKER)
            order = Order(offer, model, inputs, job.context)
            work = await self._compute_in_thread(self._stops[job.lease], lambda: self._compute.execute(order))
            outputs = BlobRef(self.blobs.put(work.outputs), len(work.outputs))
            proof = None if work.proof is None else BlobRef(self.blobs.put(work.proof), len(work.proof))
        except VcomputeError as error:
            logger.warning("task %s could not be done: %s", job.task.hex()[:16], error)
            network = error.code in (ErrorCode.TRANSPORT_FAILED, ErrorCode.BLOB_UNKNOWN)
            reason = YieldReason.NETWORK if network else YieldReason.INTERNAL
            self.act(self.session.failed(job.lease, reason, self.clock()))
            return
        product = Product(outputs, work.suite, proof, work.energy)
        self.act(self.session.computed(job.lease, product, self.clock()))

    async def _prove(self, action: Prove) -> None:
        """The proof that a challenge or a draw asks for; where it fails here the session asks again."""
        offer, suite = action.job.offer.body, action.result.body.suite
        model, inputs = await self.download(offer.model), await self.inputs_of(action.job, Role.WORKER)
        order = Order(offer, model, inputs, action.job.context)
        data = await self._compute_in_thread(self._ending, lambda: self._compute.prove(order, suite))
        proof = BlobRef(self.blobs.put(data), len(data))
        self.act(self.session.proved(action.job.lease, proof, self.clock()))
