# SPDX-License-Identifier: Apache-2.0
"""A transport inside one process."""

from collections.abc import Callable

from vcompute.blobs import Chunk
from vcompute.messages import BlobRef, Keys
from vcompute.registry import TransportId
from vcompute.transport.base import Hub, Link


class MemoryLink(Link):
    """A link to a hub in the same event loop. Bytes cross it encoded, as on any other transport."""

    transport = TransportId.MEMORY

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    async def exchange(self, data: bytes) -> bytes | None:
        """See :class:`Link`."""
        return await self._hub.message(bytes(data))

    async def receive(self, fetch: Callable[[], bytes]) -> bytes | None:
        """See :class:`Link`."""
        return await self._hub.message(fetch())

    async def keys(self, key: bytes, after: int) -> Keys:
        """See :class:`Link`."""
        return self._hub.keys(key, after)

    async def wanted(self, blob: BlobRef) -> list[int]:
        """See :class:`Link`."""
        return self._hub.wanted(blob)

    async def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        """See :class:`Link`."""
        self._hub.put_chunk(blob, Chunk.decode(chunk.encode()))

    async def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        """See :class:`Link`."""
        return Chunk.decode(self._hub.get_chunk(blob, index).encode())
