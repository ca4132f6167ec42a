# SPDX-License-Identifier: Apache-2.0
"""The two ends of a transport: the link a party holds, and the hub a coordinator serves.

A transport may lose, repeat and reorder messages; sessions repair that. It never changes them: signatures and digests
would not survive. A failure to reach the other side is a ProtocolError ``transport_failed``; a refusal by the other
side is a ProtocolError with the code it gave.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import ClassVar, Protocol

from vcompute.blobs import Chunk
from vcompute.errors import ProtocolError
from vcompute.messages import BlobRef, Keys
from vcompute.registry import ErrorCode


class Hub(Protocol):
    """What a coordinator offers to transports. All methods raise ProtocolError to refuse."""

    async def message(self, data: bytes) -> bytes | None:
        """Take one message; the immediate answer, if there is one. A Fetch is answered by the next message."""

    def wanted(self, blob: BlobRef) -> list[int]:
        """Some of the chunks of an announced blob that are missing here; empty where it is complete."""

    def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        """Take a chunk of an announced blob."""

    def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        """A chunk of a blob held here."""

    def keys(self, key: bytes, after: int) -> Keys:
        """Records of the party that a key speaks or spoke for, behind its first ``after``."""


class Link(ABC):
    """A party's connection to its coordinator."""

    transport: ClassVar[int] = 60_000
    """The registered id of the transport; 60,000 and above are for private use."""

    @abstractmethod
    async def exchange(self, data: bytes) -> bytes | None:
        """Send one message; the immediate answer, if there is one."""

    @abstractmethod
    async def receive(self, fetch: Callable[[], bytes]) -> bytes | None:
        """The next message from the coordinator, or None after a while without one.

        ``fetch`` makes a signed Fetch; transports that are pushed to do not need it.
        """

    @abstractmethod
    async def wanted(self, blob: BlobRef) -> list[int]:
        """Chunks of a blob that the coordinator misses; empty where it has the whole."""

    @abstractmethod
    async def put_chunk(self, blob: BlobRef, chunk: Chunk) -> None:
        """Upload a chunk."""

    @abstractmethod
    async def get_chunk(self, blob: BlobRef, index: int) -> Chunk:
        """Download a chunk; the caller checks it against the blob's name."""

    async def keys(self, key: bytes, after: int) -> Keys:
        """Records of the party that a key speaks or spoke for, behind its first ``after``; to be checked."""
        raise ProtocolError("this transport does not ask for keys", code=ErrorCode.TRANSPORT_FAILED)

    async def close(self) -> None:
        """Give the connection up."""
        return
