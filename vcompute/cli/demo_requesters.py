# SPDX-License-Identifier: Apache-2.0
"""The requesters of ``vcompute demo``: a publisher that has the model, and a client that has only its commitment."""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from vcompute.blobs import BlobCache
from vcompute.field import default_backend
from vcompute.identity import PrivateKey
from vcompute.messages import Always, BlobRef, SuiteChoice
from vcompute.node.compute import Checker, work_units
from vcompute.node.requester import RequesterNode, Terms
from vcompute.node.store import Store, state_directory
from vcompute.proof.succinct.commitment import decode_commitment, encode_commitment
from vcompute.proof.succinct.publish import commit_model
from vcompute.registry import ParameterSetId, Role
from vcompute.session.requester import RequesterRecord
from vcompute.task import Model, decode_batch, encode_model, make_batch
from vcompute.task.digest import blob_digest
from vcompute.task.tensor import NDArray
from vcompute.transport.http import HttpLink

BATCH = 4
"""Images in a task."""
LEASE = 1_500
"""Milliseconds of a lease: what a worker that leaves costs."""
CACHE = 1 << 28


@dataclass(frozen=True, slots=True)
class Publication:
    """What the publisher gives to those who check proofs without the model."""

    model: BlobRef
    commitment: bytes


def publish(model: Model) -> Publication:
    """Commit to a model."""
    data = encode_model(model)
    commitment = commit_model(model, ParameterSetId.STANDARD, default_backend())
    return Publication(BlobRef(blob_digest(data), len(data)), encode_commitment(commitment))


class Customer:
    """A requester, and the tasks it offered."""

    def __init__(self, directory: Path, key: PrivateKey, url: str, pin: bytes, checker: Checker) -> None:
        state = state_directory(directory)
        self.node = RequesterNode(
            role=Role.REQUESTER,
            key=key,
            link=HttpLink(url),
            store=Store(state / "state.db"),
            blobs=BlobCache(state / "blobs", CACHE, durable=False),
            coordinator=pin,
            nonce=os.urandom,
            checker=checker,
        )
        self.tasks: list[bytes] = []

    @contextlib.asynccontextmanager
    async def connected(self) -> AsyncIterator[None]:
        """Run the node as long as the context lasts."""
        running = asyncio.ensure_future(self.node.run())
        try:
            await self.node.connected.wait()
            yield
        finally:
            self.node.stop()
            await asyncio.gather(running, return_exceptions=True)

    async def offer(self, model: Model, images: NDArray) -> None:
        """Offer tasks with the model; the customer runs it again to check."""
        await self._offer(encode_model(model), work_units(model, BATCH), ParameterSetId.EXACT, images)

    async def offer_published(self, publication: Publication, images: NDArray) -> None:
        """Offer tasks with a published model; the customer checks proofs against the commitment."""
        units = work_units(decode_commitment(publication.commitment), BATCH)
        await self._offer(publication.model, units, ParameterSetId.STANDARD, images)

    async def _offer(self, model: bytes | BlobRef, units: int, parameters: ParameterSetId, images: NDArray) -> None:
        price = units // 1000
        terms = Terms(Always((SuiteChoice.of(parameters),)), price=price, bond=2 * price, lease=LEASE)
        for start in range(0, len(images), BATCH):
            batch = make_batch(images[start : start + BATCH])
            self.tasks.append(await self.node.submit(model, batch.encoded, BATCH, units, terms))

    @property
    def records(self) -> list[RequesterRecord]:
        """Where the tasks stand."""
        return [self.node.record(task) for task in self.tasks]

    @property
    def accepted(self) -> int:
        """Tasks with a result that was paid."""
        return sum(record.receipt is not None and record.result is not None for record in self.records)

    @property
    def moved(self) -> int:
        """Leases that went to another worker."""
        return sum(record.rejected + record.moved for record in self.records)

    def classes(self) -> list[int]:
        """The class of each image, from the outputs."""
        outputs = [decode_batch(self.node.outputs(task)).arrays[0] for task in self.tasks]
        return [int(row.argmax()) for array in outputs for row in array.reshape(BATCH, -1)]
