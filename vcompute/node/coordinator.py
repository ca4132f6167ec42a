# SPDX-License-Identifier: Apache-2.0
"""A coordinator: sessions, mailboxes, blobs in transit, and the settlement it asks."""

import asyncio
import logging
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any, Final

from vcompute.blobs import BlobCache, Chunk, Upload
from vcompute.codec import fields_of
from vcompute.errors import EncodingError, ProtocolError, VcomputeError
from vcompute.identity import PrivateKey
from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages import BlobRef, Fetch, Hello, KeyChange, Keys, Lookup, Message, Signed, open_message
from vcompute.messages.keys import page_of
from vcompute.node.client import Clock, wall_clock
from vcompute.node.inbox import Delivery, Inbox
from vcompute.node.mailbox import Mailboxes
from vcompute.node.metrics import NOTHING, Meter, Totals, Traffic, prometheus
from vcompute.node.store import Store
from vcompute.policy.attestation import AttestationPolicy
from vcompute.policy.pacing import RateLimit
from vcompute.registry import ErrorCode, Role
from vcompute.session import Action, Call, Closed, CoordinatorSession, Operation, Record, Save, Send, Stage
from vcompute.session.coordinator_table import TaskRecord
from vcompute.session.roster import Standing
from vcompute.settlement import ESCROW_TABLE, Holding, Settlement

logger = logging.getLogger(__name__)
BURST: Final = 1_000
"""Messages a party may send at once."""
PER_SECOND: Final = 200
"""Messages a party may send in a second in the long run."""
STATUS_FOR: Final = 1_000
"""Milliseconds for which counts are not made again."""
MAX_READ: Final = 1 << 28
"""Bytes of blobs kept in memory with their chunk trees, besides the one read last."""


class CoordinatorNode:
    """A coordinator in an event loop; it is the hub that transports serve."""

    def __init__(
        self,
        key: PrivateKey,
        settlement: Settlement,
        store: Store,
        blobs: BlobCache,
        *,
        nonce: Callable[[int], bytes],
        clock: Clock = wall_clock,
        limit: RateLimit | None = None,
        attestation: AttestationPolicy | None = None,
    ) -> None:
        self._limit = RateLimit(BURST, PER_SECOND) if limit is None else limit
        self.session = CoordinatorSession(
            key,
            settlement.thumbprint,
            lambda: nonce(16),
            recall=lambda task: store.recall("task", task, TaskRecord),
            standing=lambda worker: store.recall("standing", worker, Standing),
            attestation=attestation,
        )
        self.settlement = settlement
        self.store = store
        self.blobs = blobs
        self.clock = clock
        self._mailboxes = Mailboxes()
        self._staging: dict[bytes, tuple[BlobRef, ...]] = {}
        self._announced: Counter[BlobRef] = Counter()
        self._readers: OrderedDict[bytes, Upload] = OrderedDict()
        self._inbox = Inbox()
        self.meter = Meter(blobs)
        self.traffic = Traffic()
        self._status: tuple[int, dict[str, Any]] | None = None
        self._changed = asyncio.Event()
        self._unrecorded: dict[KeyRecord, VcomputeError] = {}

    async def run(self) -> None:
        """Go on from the stored state, take messages and keep time, until cancelled.

        Raises:
            UsageError: the state cannot be stored: nothing more is taken.
        """
        self.restore()
        try:
            while True:
                self._changed.clear()
                if not self._inbox:
                    await self._pause()
                self._step()
        finally:
            self._inbox.close()

    async def _pause(self) -> None:
        """Wait for a message or the next timer."""
        time = self.session.timers.next()
        wait = None if time is None else max(time - self.clock(), 0) / 1000
        with suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self._changed.wait()

    def restore(self) -> None:
        """Go on from the stored state."""
        self.meter.totals = self.store.recall("totals", b"", Totals) or NOTHING
        keys = self.settlement.keys.all_records()
        self.act(self.session.restore(self.store.load("task", TaskRecord), (), self.clock(), keys))

    def _step(self) -> None:
        """Take a batch of messages; each is answered once all that they caused is stored."""
        batch = self._inbox.take()
        try:
            taken = self._taken(batch, self.clock())
        except VcomputeError as error:
            for delivery in batch:
                delivery.refuse(error)
            raise
        for delivery, answer in taken:
            body = delivery.message.body
            refusal = self._unrecorded.get(body.record) if isinstance(body, KeyChange) else None
            if refusal is None:
                delivery.done(answer)
            else:
                delivery.refuse(refusal)
        self._unrecorded.clear()

    def _taken(self, batch: list[Delivery], now: int) -> list[tuple[Delivery, bytes | None]]:
        """Refuse what the session refuses, do what it asks for, and return the others with their answers."""
        actions = self.session.tick(now)
        taken: list[tuple[Delivery, bytes | None]] = []
        for delivery in batch:
            try:
                step = self.session.receive(delivery.message, now)
            except (EncodingError, ProtocolError) as error:
                delivery.refuse(error)
                continue
            answer = None
            if isinstance(delivery.message.body, Hello):
                answer, step = self._greeting(self.session.keys.name_of(delivery.message.signer), step)
            elif isinstance(delivery.message.body, Lookup):
                answer, step = _sent(step), []
            taken.append((delivery, answer))
            actions += step
        self.act(actions)
        return taken

    def _greeting(self, party: bytes, step: list[Action]) -> tuple[bytes | None, list[Action]]:
        """The answer to a Hello, which goes back at once, and the other actions of its step."""
        self._mailboxes.of(party).restart()
        answers = [action for action in step if isinstance(action, Send) and action.to == party]
        hello = next(action for action in answers if isinstance(open_message(action.data).body, Hello))
        return hello.data, [action for action in step if action is not hello]

    # The hub.

    async def message(self, data: bytes) -> bytes | None:
        """See :class:`vcompute.transport.Hub`."""
        try:
            message = open_message(data)
            answer = await self._admitted(message)
        except VcomputeError as error:
            self.traffic.refused[error.code] += 1
            raise
        self.traffic.taken[type(message.body).__name__.lower()] += 1
        return answer

    async def _admitted(self, message: Signed[Message]) -> bytes | None:
        retry_after = self._limit.admit(message.signer, self.clock())
        if retry_after is not None:
            raise ProtocolError("too many messages", code=ErrorCode.RATE_LIMITED, retry_after=retry_after)
        if isinstance(message.body, Fetch):
            return await self._fetch(message.of(Fetch))
        answer = self._inbox.put(message)
        self._changed.set()
        return await answer

    async def _fetch(self, fetch: Signed[Fetch]) -> bytes | None:
        self.session.keys.require_live(fetch.signer, fetch.digest)
        party = self.session.keys.name_of(fetch.signer)
        self.session.roster.session(party, fetch.body.session)
        return await self._mailboxes.of(party).fetch(fetch.body.sequence, fetch.body.wait)

    def wanted(self, blob: BlobRef) -> list[int]:
        """See :class:`vcompute.transport.Hub`."""
        if blob.digest in self.blobs:
            return []
        self._require_announced(blob)
        download = self.blobs.download(blob.digest, blob.size)
        download.lost()
        return download.wanted(self.clock())

    def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        """See :class:`vcompute.transport.Hub`."""
        if blob.digest in self.blobs:
            return
        self._require_announced(blob)
        download = self.blobs.download(blob.digest, blob.size)
        download.receive(chunk)
        if download.complete:
            self.blobs.commit(download)
            self._check_staging()

    def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        """See :class:`vcompute.transport.Hub`."""
        reader = self._readers.get(blob.digest)
        if reader is None:
            data = self.blobs.get(blob.digest)
            if data is None:
                raise ProtocolError("no blob of this name is held here", code=ErrorCode.BLOB_UNKNOWN)
            reader = self._readers[blob.digest] = Upload.of_bytes(data)
            while len(self._readers) > 1 and sum(known.size for known in self._readers.values()) > MAX_READ:
                self._readers.popitem(last=False)
        self._readers.move_to_end(blob.digest)
        return reader.chunk(index)

    def keys(self, key: bytes, after: int) -> Keys:
        """See :class:`vcompute.transport.Hub`."""
        name = self.session.keys.name_of(key)
        return page_of(name, self.session.keys.records(name), after)

    def _require_announced(self, blob: BlobRef) -> None:
        if blob not in self._announced:
            raise ProtocolError("no signed message here announced this blob", code=ErrorCode.BLOB_UNWANTED)

    # Doing.

    def act(self, actions: Iterable[Action]) -> None:
        """Store the step's records, then do the rest; the settlement's answers are further steps."""
        pending = list(actions)
        while pending:
            self._save(pending)
            following: list[Action] = []
            for action in pending:
                match action:
                    case Send(to, data) if to is not None:
                        self._mailboxes.put(to, data)
                    case Stage():
                        following += self._stage(action)
                    case _:
                        pass
            pending = following + self._call([action for action in pending if isinstance(action, Call | Record)])
        self._changed.set()

    def _save(self, step: list[Action]) -> None:
        """Store a step's records, and with the end of each task the totals it counts in."""
        saves = [action for action in step if isinstance(action, Save)]
        ended = [self.session.records[action.task] for action in step if isinstance(action, Closed)]
        if ended:
            saves.append(Save("totals", b"", self.meter.count(ended)))
        self.store.save(saves)

    def _stage(self, action: Stage) -> list[Action]:
        self._unstage(action.task)
        if all(blob.digest in self.blobs for blob in action.blobs):
            return self.session.staged(action.task, self.clock())
        self._staging[action.task] = action.blobs
        self._announced.update(action.blobs)
        return []

    def _unstage(self, task: bytes) -> None:
        for blob in self._staging.pop(task, ()):
            self._announced[blob] -= 1
            if self._announced[blob] <= 0:
                del self._announced[blob]

    def _check_staging(self) -> None:
        for task, blobs in list(self._staging.items()):
            if all(blob.digest in self.blobs for blob in blobs):
                self._unstage(task)
                self.act(self.session.staged(task, self.clock()))

    def _call(self, calls: list[Call | Record]) -> list[Action]:
        """Ask the settlement, all in one transaction of it; the session hears of answers that are durable alone."""
        if not calls:
            return []
        now = self.clock()
        answers: list[Holding | bytes | VcomputeError]
        try:
            with self.settlement.group():
                answers = [self._ask(call, now) for call in calls]
        except VcomputeError as error:
            answers = [error] * len(calls)
        following: list[Action] = []
        for call, answer in zip(calls, answers, strict=True):
            if isinstance(call, Record):
                following += self._recorded(call, answer, now)
            elif isinstance(answer, bytes):
                pass  # a name, the answer to a record
            elif isinstance(answer, Holding):
                following += self.session.answered(call, answer.receipt, answer.until, now)
            elif answer.code is ErrorCode.SETTLEMENT_UNKNOWN:
                logger.warning("%s", answer)
                following += self.session.unknown(call, now)
            else:
                logger.info("the settlement refuses to %s: %s", call.operation.value, answer)
                following += self.session.refused(call, answer.code, now)
        return following

    def _recorded(self, call: Record, answer: Holding | bytes | VcomputeError, now: int) -> list[Action]:
        """What follows from a change of keys, or its refusal for whoever brought it."""
        if isinstance(answer, VcomputeError):
            logger.info("the settlement does not record a change of keys: %s", answer)
            self._unrecorded[call.record] = answer
            return []
        return self.session.recorded(call.record, now)

    def _ask(self, call: Call | Record, now: int) -> Holding | bytes | VcomputeError:
        try:
            if isinstance(call, Record):
                return self.settlement.take(call.record, now)
            return ask(self.settlement, call, now)
        except VcomputeError as error:
            return error

    def status(self) -> dict[str, Any]:
        """Counts for people and monitors, made at most once a second."""
        now = self.clock()
        if self._status is None or not 0 <= now - self._status[0] < STATUS_FOR:
            self._status = (now, self._counts(now))
        return self._status[1]

    def _counts(self, now: int) -> dict[str, Any]:
        parties = self.session.roster.parties.values()
        ready = [party for party in parties if party.advertise is not None and now < party.expires]
        totals = self.meter.totals
        return {
            "parties": dict(Counter(party.role.name.lower() for party in parties)),
            "workers": sum(party.role is Role.WORKER for party in ready),
            "tasks": dict(Counter(record.state.name.lower() for record in self.session.records.values())),
            "mail_bytes": self._mailboxes.size,
            "totals": {spec.name: getattr(totals, spec.name) for spec in fields_of(Totals)},
        }

    def metrics(self) -> str:
        """The same and more in Prometheus' text format."""
        return prometheus(self.status(), self.meter.totals, self.traffic)


def _sent(step: list[Action]) -> bytes | None:
    """The one message of a step."""
    return next((action.data for action in step if isinstance(action, Send)), None)


def ask(settlement: Settlement, call: Call, now: int) -> Holding:
    """Make a session's call.

    Raises:
        ProtocolError: the settlement refuses, or its answer is not known.
    """
    lease, data = call.lease or bytes(32), call.data or b""
    match call.operation:
        case Operation.OPEN:
            held = settlement.holding(call.task)
            if held is not None and ESCROW_TABLE.final(held.state):
                # The answer kept for the offer is that of its opening; the task has long come to its end.
                raise ProtocolError("the task is over", code=ErrorCode.DEADLINE_PASSED)
            return settlement.open(data, now)
        case Operation.BOND:
            return settlement.bond(data, now)
        case Operation.RENEW:
            return settlement.renew(data, now)
        case Operation.COMMIT:
            return settlement.commit(data, now)
        case Operation.DRAW:
            return settlement.draw(call.task, data, now)
        case Operation.CHALLENGE:
            return settlement.challenge(call.task, lease, call.data, now)
        case Operation.ANSWER:
            return settlement.answer(data, now)
        case Operation.SETTLE:
            return settlement.settle(data, now)
        case Operation.RELEASE:
            return settlement.release(call.task, lease, call.data, now)
        case Operation.REFUND:
            return settlement.refund(call.task, call.data, now)
