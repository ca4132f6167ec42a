# SPDX-License-Identifier: Apache-2.0
"""A requester: offers tasks, judges results where the offer says so, keeps outputs and receipts."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any, Final

from vcompute.blobs import Upload
from vcompute.codec import encode, field
from vcompute.errors import ProtocolError
from vcompute.identity.confidential import SALT_SIZE, TaskConfiguration, commit_input, seal_input
from vcompute.identity.quorum import VerifierSet
from vcompute.messages import (
    BlobRef,
    Cancel,
    Check,
    Confidential,
    Draw,
    Message,
    Offer,
    Opening,
    Policy,
    Receipt,
    Signed,
    reopen,
    seal,
)
from vcompute.messages.primitives import DIGEST
from vcompute.node.client import Session
from vcompute.node.verifier import VerifierNode
from vcompute.policy.deposit import Deterrence, require_deposit
from vcompute.registry import ErrorCode, Role
from vcompute.session import Action, Closed, Job, RequesterSession, Save, Seal, Stage
from vcompute.session.requester import REQUESTER_TABLE, RequesterRecord, RequesterState
from vcompute.session.verifier_table import VerifierRecord


@dataclass(frozen=True, slots=True)
class Terms:
    """What a requester offers for each task."""

    policy: Policy
    price: int
    bond: int
    verifiers: tuple[bytes, ...] = ()
    """Keys that judge; empty for the requester itself."""
    quorum: int = 1
    verifier_set: VerifierSet | None = None
    """BLS keys of the judges, whose verdicts then add up to one certificate."""
    within: int = 600_000
    """Milliseconds until an unpaid escrow goes back."""
    lease: int = 30_000
    verdict_within: int = 120_000
    fallback: tuple[bytes, ...] | None = None
    """Keys of which one judges where the judges are silent."""
    confidential: Confidential | None = None
    """Who reads the inputs besides this requester; None for everyone."""
    assumed: Deterrence | None = None
    """What the bond reckons with; by default certain conviction; under ``on_challenge`` this node's watching."""


@dataclass(frozen=True, slots=True)
class Submission:
    """What a requester keeps of a memo."""

    task: bytes = field(0, DIGEST, "the latest task of this memo")


_MEMO: Final = "memo"


class RequesterNode(VerifierNode):
    """A requester, which judges results itself where its offers name no other verifiers."""

    def __init__(self, *args: Any, seen: Callable[[RequesterRecord], None] | None = None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.requester = RequesterSession(
            self.key, who=self.who, recall=lambda task: self.store.recall("requester", task, RequesterRecord)
        )
        self._seen = seen
        self._progress = asyncio.Event()
        self._sealed: dict[bytes, dict[tuple[bytes, bytes], BlobRef]] = {}

    @property
    def sessions(self) -> tuple[Session, ...]:
        """See :class:`ClientNode`."""
        return (self.requester, self.verifier)

    def restore(self) -> list[Action]:
        """See :class:`ClientNode`."""
        now = self.clock()
        judged = self.verifier.restore(self.store.load("verifier", VerifierRecord), now)
        return judged + self.requester.restore(self.store.load("requester", RequesterRecord), now)

    def route(self, message: Signed[Message]) -> Session:
        """See :class:`ClientNode`."""
        body = message.body
        if isinstance(body, Check | Draw | Opening):
            return self.verifier
        if isinstance(body, Receipt | Cancel) and body.lease in self.verifier.records:
            # It concerns the judgement of the result too.
            self.act(self.verifier.receive(message, self.clock()))
        return self.requester

    async def submit(
        self,
        model: bytes | BlobRef,
        inputs: bytes,
        batch: int,
        work_units: int,
        terms: Terms,
        memo: bytes | None = None,
    ) -> bytes:
        """Offer a task; its id. It is stored before it is sent, and goes on after a restart.

        A ``model`` that is not held here is named by its reference; the task waits until its publisher has brought it.

        With a ``memo`` (at most 64 bytes) a task of the same memo that is under way or paid is taken up instead, so
        that a submission repeated after a crash pays once.

        Raises:
            ProtocolError: no session with a coordinator was ever made, so that no settlement is known;
                ``terms_not_acceptable``: under this bond a cheat would pay.
        """
        assumed = terms.assumed or Deterrence(watched=Fraction(self._share))
        require_deposit(terms.policy, terms.price, terms.bond, assumed)
        peer = None if self.handshake is None else self.handshake.peer
        if peer is None or peer.body.settlement is None:
            raise ProtocolError("the settlement is not known before the greeting", code=ErrorCode.UNKNOWN_SESSION)
        known = None if memo is None else self._by_memo(memo)
        if known is not None:
            return known
        named, salt = self._keep(inputs), None
        if terms.confidential is not None:
            others = set(terms.verifiers) - {self.who.name}
            if others and not terms.confidential.verifiers:
                raise ProtocolError(
                    "verifiers that cannot read the inputs cannot judge", code=ErrorCode.TERMS_NOT_ACCEPTABLE
                )
            salt = self._nonce(SALT_SIZE)
            named = BlobRef(commit_input(salt, inputs), len(inputs))
        offer = Offer(
            nonce=self._nonce(16),
            settlement=peer.body.settlement,
            model=model if isinstance(model, BlobRef) else self._keep(model),
            inputs=named,
            batch=batch,
            work_units=work_units,
            policy=terms.policy,
            verifiers=terms.verifiers or (self.who.name,),
            quorum=terms.quorum,
            price=terms.price,
            bond=terms.bond,
            deadline=self.clock() + terms.within,
            lease=terms.lease,
            verdict_within=terms.verdict_within,
            extensions=(),
            memo=memo,
            verifier_set=terms.verifier_set,
            confidential=terms.confidential,
            fallback=terms.fallback,
        )
        signed = seal(self.key, offer).of(Offer)
        clear = None if salt is None else self._keep(inputs)
        named_by = [] if memo is None else [Save(_MEMO, memo, Submission(signed.digest), final=True)]
        self.act([*named_by, *self.requester.offer(signed, self.clock(), salt, clear)])
        return signed.digest

    def _by_memo(self, memo: bytes) -> bytes | None:
        """The task of a memo, unless it came to nothing or its outputs are lost."""
        known = self.store.recall(_MEMO, memo, Submission)
        record = None if known is None else self.requester.records.get(known.task)
        if record is None or record.state in (RequesterState.REFUNDED, RequesterState.REFUSED):
            return None
        result = record.result
        lost = record.state is RequesterState.DONE and not (result and result.outputs.digest in self.blobs)
        return None if lost else record.task

    def _keep(self, data: bytes) -> BlobRef:
        digest = Upload.of_bytes(data).digest
        if digest not in self.blobs:
            self.blobs.put(data)
        return BlobRef(digest, len(data))

    def act(self, actions: Any) -> None:
        """See :class:`ClientNode`."""
        actions = list(actions)
        super().act(actions)
        self._progress.set()
        for action in actions:
            if isinstance(action, Save) and isinstance(action.record, RequesterRecord) and self._seen is not None:
                self._seen(action.record)

    def perform(self, action: Action) -> None:
        """See :class:`ClientNode`."""
        if isinstance(action, Stage):
            self.spawn(("fetch", action.task), self._fetch_outputs(action))
        elif isinstance(action, Seal):
            self.spawn(("seal", action.lease, action.reader), self._seal(action))
        elif isinstance(action, Closed):
            self._sealed.pop(action.task, None)
        else:
            super().perform(action)

    async def inputs_of(self, job: Job, role: Role) -> bytes:
        """See :class:`ClientNode`; the inputs of its own offers are here."""
        record = self.requester.records.get(job.task)
        if record is None or record.inputs is None:
            return await super().inputs_of(job, role)
        return await self.download(record.inputs)

    async def _seal(self, action: Seal) -> None:
        """Seal the inputs for a reader, once for each."""
        name, sealed = (action.lease, action.reader), self._sealed.setdefault(action.task, {})
        if name not in sealed:
            record = self.record(action.task)
            offer = reopen(record.offer).of(Offer).body
            inputs = await self.download(record.inputs or offer.inputs)
            configuration = TaskConfiguration(
                action.task, offer.model.digest, offer.inputs.digest, action.reader, action.role
            )
            sealed[name] = self._keep(encode(seal_input(configuration, action.key, record.salt or b"", inputs)))
        self.act(self.requester.sealed(action, sealed[name]))

    async def _fetch_outputs(self, action: Stage) -> None:
        for blob in action.blobs:
            await self.download(blob)
        self.act(self.requester.fetched(action.task, self.clock()))

    def record(self, task: bytes) -> RequesterRecord:
        """Where a task stands.

        Raises:
            ProtocolError: ``unknown_task``.
        """
        return self.requester.records[task]

    async def finished(self, tasks: list[bytes]) -> None:
        """Return once every task has come to its end."""
        waiting = tasks
        while waiting := [task for task in waiting if not REQUESTER_TABLE.final(self.record(task).state)]:
            self._progress.clear()
            await self._progress.wait()

    def outputs(self, task: bytes) -> bytes:
        """The outputs of a paid task.

        Raises:
            ProtocolError: ``blob_unknown``: it is not paid, or the cache dropped them.
        """
        record = self.record(task)
        result = record.result
        data = (
            None if result is None or record.state is not RequesterState.DONE else self.blobs.get(result.outputs.digest)
        )
        if data is None:
            raise ProtocolError("no outputs are held for this task", code=ErrorCode.BLOB_UNKNOWN)
        return data
