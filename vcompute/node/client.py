# SPDX-License-Identifier: Apache-2.0
"""The driver of a client session: connection, mailbox, timers, transfers, durable records.

One event loop drives one session. Every step stores its records before anything else is done; whatever is then lost
is asked for again by the session.
"""

import asyncio
import logging
import time
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Awaitable, Callable, Coroutine, Iterable
from contextlib import suppress
from typing import Any, Final, Protocol, TypeAlias

from vcompute.blobs import BlobCache, Upload
from vcompute.codec import Limits, decode
from vcompute.errors import ProtocolError, VcomputeError
from vcompute.identity import PrivateKey
from vcompute.identity.confidential import SealedInput, TaskConfiguration, open_input, reader_key
from vcompute.messages import BlobRef, Error, Fetch, Hello, Message, Signed, open_message, seal
from vcompute.node.store import Store
from vcompute.policy.pacing import back_off
from vcompute.registry import ErrorCode, Role
from vcompute.session import Action, ClientHandshake, Job, Publish, Save, Send
from vcompute.session.identity import ClientIdentity
from vcompute.transport import Link

logger = logging.getLogger(__name__)
Clock: TypeAlias = Callable[[], int]
FETCH_WAIT: Final = 20_000
"""Milliseconds a fetch waits at the coordinator."""
FIRST_RECONNECT: Final = 200
LAST_RECONNECT: Final = 10_000
"""Bounds of the wait before a new connection, milliseconds."""
_OUTGOING: Final = 4096


def wall_clock() -> int:
    """Milliseconds since 1970-01-01 UTC."""
    return time.time_ns() // 1_000_000


class Session(Protocol):
    """What the driver needs of a session."""

    @property
    def timers(self) -> Any:
        """The session's timers."""

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message came."""

    def tick(self, now: int) -> list[Action]:
        """Time has passed."""


class ClientNode(ABC):
    """A requester, worker or verifier that lives in an event loop."""

    def __init__(
        self,
        key: PrivateKey,
        role: Role,
        link: Link,
        store: Store,
        blobs: BlobCache,
        *,
        coordinator: bytes | None = None,
        clock: Clock = wall_clock,
        nonce: Callable[[int], bytes],
        held: object = None,
        seed: bytes | None = None,
        who: ClientIdentity | None = None,
    ) -> None:
        """Prepare; ``coordinator`` is the thumbprint to insist on, ``nonce(n)`` gives fresh random bytes, ``held``
        is kept as long as the node lives (the lock of its state directory), ``seed`` is where keys for confidential
        inputs come from, ``who`` the party's name and what is known of keys where the key is not its first."""
        self._held = held
        self.seed = seed
        self.key = key
        self.who = who or ClientIdentity(key)
        self.role = role
        self.link = link
        self.store = store
        self.blobs = blobs
        self.clock = clock
        self._coordinator = coordinator
        self._nonce = nonce
        self._outgoing: deque[Send | Publish] = deque(maxlen=_OUTGOING)
        self._pending = asyncio.Event()
        self._changed = asyncio.Event()
        self._stopping = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._names: set[object] = set()
        self._downloads: dict[bytes, asyncio.Task[bytes]] = {}
        self.handshake: ClientHandshake | None = None
        self.connected = asyncio.Event()

    # What a role adds.

    @property
    @abstractmethod
    def sessions(self) -> tuple[Session, ...]:
        """The sessions this node drives."""

    @abstractmethod
    def restore(self) -> list[Action]:
        """The actions after a restart."""

    @abstractmethod
    def route(self, message: Signed[Message]) -> Session:
        """The session a message is for."""

    async def greeted(self) -> None:
        """A session with the coordinator stands."""
        return

    def perform(self, action: Action) -> None:
        """Do a role's own action."""
        return

    # Running.

    async def run(self) -> None:
        """Connect, serve, reconnect, until :meth:`stop`."""
        self.act(self.restore())
        self.spawn("ticker", self._tick())
        failures = 0
        try:
            while not self._stopping.is_set():
                retry_after = None
                try:
                    await self._connect()
                    failures = 0
                    await self._serve()
                except ProtocolError as error:
                    retry_after = error.retry_after
                    logger.info("%s: %s", self.role.name.lower(), error)
                    if error.code in (ErrorCode.DOWNGRADE_DETECTED, ErrorCode.UNEXPECTED_SIGNER):
                        raise
                self.connected.clear()
                jitter = int.from_bytes(self._nonce(2), "big")
                delay = back_off(failures, retry_after, jitter, first=FIRST_RECONNECT, last=LAST_RECONNECT)
                failures += 1
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay / 1000):
                        await self._stopping.wait()
        finally:
            await self._cancel()
            await self.link.close()

    def stop(self) -> None:
        """Let :meth:`run` return."""
        self._stopping.set()
        self._changed.set()
        self._pending.set()

    async def _connect(self) -> None:
        handshake = ClientHandshake(self.key, self.role, self._nonce(16), self._coordinator)
        answer = await self._patiently(lambda: self.link.exchange(handshake.hello.data))
        if answer is None:
            raise ProtocolError("the coordinator did not answer the greeting", code=ErrorCode.TRANSPORT_FAILED)
        handshake.receive(open_message(answer).of(Hello))
        self.handshake = handshake
        self.who.keys.authority = handshake.peer.body.settlement if handshake.peer is not None else None
        await self.greeted()
        self.connected.set()

    async def _serve(self) -> None:
        """Send and fetch until one of them fails or the node stops."""
        jobs = [asyncio.ensure_future(job) for job in (self._send(), self._fetch(), self._stopping.wait())]
        try:
            done, _ = await asyncio.wait(jobs, return_when=asyncio.FIRST_COMPLETED)
            for job in done:
                job.result()
        finally:
            for job in jobs:
                job.cancel()
            await asyncio.gather(*jobs, return_exceptions=True)

    async def _send(self) -> None:
        while True:
            while self._outgoing:
                item = self._outgoing[0]
                if isinstance(item, Publish):
                    self.spawn(("publish", item.task), self._publish(item.blobs))
                else:
                    await self._exchange(item)
                if self._outgoing and self._outgoing[0] is item:
                    self._outgoing.popleft()
            self._pending.clear()
            await self._pending.wait()

    async def _exchange(self, item: Send) -> None:
        try:
            answer = await self._patiently(lambda: self.link.exchange(item.data))
        except ProtocolError as error:
            if error.code is ErrorCode.TRANSPORT_FAILED:
                raise  # the message stays first in line
            if error.code is ErrorCode.UNKNOWN_SESSION:
                self.unsay(item)  # it names the lost session and would be refused for ever
                raise
            logger.info("%s: %s", self.role.name.lower(), error)
            return
        if answer is not None:
            self.incoming(answer)

    def unsay(self, item: Send) -> None:
        """Do not send what waits to be sent, where it still does."""
        with suppress(ValueError):
            self._outgoing.remove(item)

    async def _patiently(self, request: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
        """Make a request, waiting as long as the coordinator says where it has had too many."""
        tries = 0
        while True:
            try:
                return await request()
            except ProtocolError as error:
                if error.code is not ErrorCode.RATE_LIMITED:
                    raise
                jitter = int.from_bytes(self._nonce(2), "big")
                await asyncio.sleep(back_off(tries, error.retry_after, jitter, first=50) / 1000)
                tries += 1

    async def _fetch(self) -> None:
        sequence = 0
        while True:
            sequence += 1
            session = self.handshake.session if self.handshake is not None else None
            body = Fetch(session or bytes(32), sequence, FETCH_WAIT)
            fetch = seal(self.key, body).data
            data = await self._patiently(lambda fetch=fetch: self.link.receive(lambda: fetch))  # type: ignore[misc]
            if data is not None:
                self.incoming(data)

    def incoming(self, data: bytes) -> None:
        """Take one message; what is refused is logged, never raised: the sender's trouble is not ours."""
        try:
            message = open_message(data)
            if self.handshake is not None:
                self.handshake.require_coordinator(message)
            if isinstance(message.body, Error):
                logger.info("the coordinator reports %s: %s", message.body.code.name.lower(), message.body.detail)
                return
            self.act(self.route(message).receive(message, self.clock()))
        except VcomputeError as error:
            logger.warning("%s refused a message: %s", self.role.name.lower(), error)

    async def _tick(self) -> None:
        while not self._stopping.is_set():
            times = [time for session in self.sessions if (time := session.timers.next()) is not None]
            self._changed.clear()
            wait = None if not times else max(min(times) - self.clock(), 0) / 1000
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
            for session in self.sessions:
                self.act(session.tick(self.clock()))

    # Doing.

    def act(self, actions: Iterable[Action]) -> None:
        """Store the step's records, then do the rest."""
        actions = list(actions)
        self.store.save(action for action in actions if isinstance(action, Save))
        for action in actions:
            match action:
                case Save():
                    pass
                case Send() | Publish():
                    self._outgoing.append(action)
                    self._pending.set()
                case _:
                    self.perform(action)
        self._changed.set()

    def spawn(self, name: object, job: Coroutine[Any, Any, None]) -> None:
        """Run a job in the background, unless one of this name is under way."""
        if name in self._names:
            job.close()
            return
        self._names.add(name)
        task = asyncio.ensure_future(self._guarded(job))
        self._tasks.add(task)

        def finished(task: asyncio.Task[None]) -> None:
            self._tasks.discard(task)
            self._names.discard(name)

        task.add_done_callback(finished)

    async def _guarded(self, job: Coroutine[Any, Any, None]) -> None:
        try:
            await job
        except VcomputeError as error:
            logger.info("%s: %s", self.role.name.lower(), error)

    async def _cancel(self) -> None:
        tasks: list[asyncio.Task[Any]] = [*self._tasks, *self._downloads.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _publish(self, blobs: tuple[BlobRef, ...]) -> None:
        for blob in blobs:
            wanted = await self.link.wanted(blob)
            if not wanted:
                continue
            data = self.blobs.get(blob.digest)
            if data is None:
                logger.info("%s does not hold a blob that is wanted: another party's to bring", self.role.name.lower())
                continue
            upload = Upload.of_bytes(data)
            while wanted:
                for index in wanted:
                    await self.link.put_chunk(blob, upload.chunk(index))
                wanted = await self.link.wanted(blob)

    async def download(self, blob: BlobRef) -> bytes:
        """A blob, from the cache or the coordinator; every chunk is checked.

        Raises:
            ProtocolError: ``transport_failed``, ``blob_unknown``, ``storage_full``.
            EncodingError: a chunk was wrong.
        """
        known = self._downloads.get(blob.digest)
        if known is None:
            known = self._downloads[blob.digest] = asyncio.ensure_future(self._download(blob))
            known.add_done_callback(lambda _: self._downloads.pop(blob.digest, None))
        return await asyncio.shield(known)

    async def _download(self, blob: BlobRef) -> bytes:
        data = self.blobs.get(blob.digest)
        if data is None:
            download = self.blobs.download(blob.digest, blob.size)
            download.lost()
            while not download.complete:
                for index in download.wanted(self.clock()):
                    download.receive(await self.link.get_chunk(blob, index))
            self.blobs.commit(download)
            data = self.blobs.get(blob.digest)
        if data is None:
            raise ProtocolError("a blob vanished from the cache", code=ErrorCode.BLOB_UNKNOWN)
        return data

    async def inputs_of(self, job: Job, role: Role) -> bytes:
        """The inputs of a job: as they are, or out of the requester's opening.

        Raises:
            ProtocolError: as :meth:`download`; ``blob_unknown`` without an opening; ``decryption_failed``,
                ``digest_mismatch``.
            EncodingError: the opening is none.
        """
        offer = job.offer.body
        if offer.confidential is None:
            return await self.download(offer.inputs)
        if job.opening is None or self.seed is None:
            raise ProtocolError("the inputs are not opened to this party", code=ErrorCode.BLOB_UNKNOWN)
        data = await self.download(job.opening.body.sealed)
        sealed = decode(SealedInput, data, Limits(bytes=max(len(data), 1)))
        reader = self.who.name
        configuration = TaskConfiguration(job.task, offer.model.digest, offer.inputs.digest, reader, role)
        return open_input(configuration, reader_key(self.seed, job.lease), sealed)
