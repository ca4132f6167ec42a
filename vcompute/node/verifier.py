# SPDX-License-Identifier: Apache-2.0
"""A verifier: fetches the evidence, checks it in threads, speaks verdicts."""

import asyncio
import logging
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from vcompute.errors import Rejected, VcomputeError
from vcompute.identity.bls import SecretKey
from vcompute.messages import Message, Signed
from vcompute.node.client import ClientNode, Session
from vcompute.node.compute import Checker, Order, Work
from vcompute.registry import ErrorCode, Role
from vcompute.session import Action, Job, Judge, VerifierSession
from vcompute.session.roster import Standing
from vcompute.session.verifier_history import HISTORY
from vcompute.session.verifier_table import VerifierRecord

logger = logging.getLogger(__name__)


class VerifierNode(ClientNode):
    """A verifier. Arguments beside those of :class:`ClientNode`: what it checks with, how many at once, its
    BLS key where it is a member of verifier sets, and the share of results that may be challenged it runs again."""

    def __init__(
        self,
        *args: Any,
        checker: Checker,
        threads: int = 1,
        member: SecretKey | None = None,
        watch: float = 1.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(*args, **kwargs)
        self._checker = checker
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="check")
        self._share = watch
        self.verifier = VerifierSession(
            self.key,
            self._nonce,
            member,
            self._watches,
            self.seed,
            who=self.who,
            recall=lambda lease: self.store.recall("verifier", lease, VerifierRecord),
            history=lambda worker: self.store.recall(HISTORY, worker, Standing),
        )

    @property
    def sessions(self) -> tuple[Session, ...]:
        """See :class:`ClientNode`."""
        return (self.verifier,)

    def restore(self) -> list[Action]:
        """See :class:`ClientNode`."""
        return self.verifier.restore(self.store.load("verifier", VerifierRecord), self.clock())

    def route(self, message: Signed[Message]) -> Session:
        """See :class:`ClientNode`."""
        return self.verifier

    async def run(self) -> None:
        """See :class:`ClientNode`."""
        try:
            await super().run()
        finally:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def perform(self, action: Action) -> None:
        """See :class:`ClientNode`."""
        if isinstance(action, Judge):
            self.spawn(("judge", action.job.lease, action.watch), self._judge(action))

    def _watches(self, job: Job) -> bool:
        """Whether to run a result again that may be challenged: by chance, so that no worker knows which."""
        return int.from_bytes(self._nonce(4), "big") < self._share * 2**32

    async def _judge(self, action: Judge) -> None:
        offer, result, chosen = action.job.offer.body, action.result.body, action.proof
        # What cannot be fetched or read here is not the worker's fault: no verdict, the session asks again.
        needed = action.watch or self._checker.needs_model(offer)
        model = await self.download(offer.model) if needed else b""
        inputs = await self.inputs_of(action.job, Role.VERIFIER)
        outputs = await self.download(result.outputs)
        proof = None if chosen is None or action.watch else await self.download(chosen)
        order = Order(offer, model, inputs, action.job.context)
        work = Work(outputs, result.suite, proof)
        code = await asyncio.get_running_loop().run_in_executor(self._pool, self._check, order, work, action.watch)
        self.act(self.verifier.judged(action.job.lease, code, self.clock()))

    def _check(self, order: Order, work: Work, watch: bool) -> ErrorCode | None:
        try:
            if watch:
                self._checker.recompute(order, work.outputs)
            else:
                self._checker.check(order, work)
        except Rejected as error:
            logger.info("a result is refused: %s", error)
            return error.code
        except VcomputeError as error:
            logger.warning("a result could not be checked: %s", error)
            raise
        return None
