# SPDX-License-Identifier: Apache-2.0
"""Sans-IO transfer of one blob: what to ask for next, what to do with what arrives. Time is an argument."""

from collections.abc import Callable
from pathlib import Path
from typing import Final

from vcompute.blobs.chunk import Chunk, check_size, chunk_length, verified_leaf
from vcompute.blobs.store import Store
from vcompute.blobs.tree import AuditTree, RootStream
from vcompute.errors import EncodingError, ProtocolError
from vcompute.registry import ErrorCode
from vcompute.task.digest import CHUNK_SIZE, blob_digest_of_root, chunk_count, leaf_digest

DEFAULT_WINDOW: Final = 16
"""Chunks asked for and not yet arrived: 1 MiB."""
DEFAULT_TIMEOUT: Final = 30_000
"""Milliseconds after which a chunk is asked for again."""


class Download:
    """The receiver of one blob.

    Chunks may come in any order, twice, or from several senders; each is checked against the blob's name before it is
    kept, so one bad sender costs no more than its own chunks. Memory is one bit a chunk and the window.
    """

    def __init__(
        self,
        digest: bytes,
        size: int,
        store: Store,
        *,
        window: int = DEFAULT_WINDOW,
        timeout: int = DEFAULT_TIMEOUT,
    ) -> None:
        """Begin, or go on where ``store`` stopped.

        Args:
            digest: content digest of the blob, 32 bytes.
            size: its size in bytes.
            store: what is held already and where new chunks go.
            window: most chunks in flight.
            timeout: milliseconds until an unanswered request is made again.

        Raises:
            EncodingError: ``limit_exceeded``: the size is over the bound.
        """
        check_size(size)
        self.digest = digest
        self.size = size
        self.count = chunk_count(size)
        self._store = store
        self._window = window
        self._timeout = timeout
        self._bits = bytearray((self.count + 7) // 8)
        self._missing = self.count
        self._next = 0
        self._in_flight: dict[int, int] = {}
        for index in store.held():
            self._mark(index)

    def _has(self, index: int) -> bool:
        return bool(self._bits[index >> 3] >> (index & 7) & 1)

    def _mark(self, index: int) -> None:
        self._bits[index >> 3] |= 1 << (index & 7)
        self._missing -= 1

    @property
    def missing(self) -> int:
        """How many chunks are not held."""
        return self._missing

    @property
    def complete(self) -> bool:
        """Whether every chunk is held; :meth:`finish` then checks the whole."""
        return self._missing == 0

    def wanted(self, now: int) -> list[int]:
        """The chunks to ask for at time ``now`` (milliseconds), counted as in flight from here on."""
        ask = [index for index, since in self._in_flight.items() if now - since >= self._timeout]
        while len(self._in_flight) < self._window and self._next < self.count:
            index, self._next = self._next, self._next + 1
            if not self._has(index):
                self._in_flight[index] = now
                ask.append(index)
        for index in ask:
            self._in_flight[index] = now
        return ask

    def lost(self) -> None:
        """Forget what is in flight, as after a broken connection; :meth:`wanted` asks again."""
        if self._in_flight:
            self._next = min(self._next, *self._in_flight)
            self._in_flight.clear()

    def receive(self, chunk: Chunk) -> bool:
        """Check and keep a chunk; False where it was held already.

        Raises:
            EncodingError: ``digest_mismatch`` or ``limit_exceeded``: the chunk is not of this blob, nothing is kept.
        """
        leaf = verified_leaf(self.digest, self.size, chunk)
        self._in_flight.pop(chunk.index, None)
        if self._has(chunk.index):
            return False
        self._store.write(chunk.index, chunk.data, leaf)
        self._mark(chunk.index)
        return True

    def finish(self) -> None:
        """Check the stored whole once more and make it durable.

        Raises:
            ProtocolError: ``blob_unknown``: chunks are missing.
            EncodingError: ``digest_mismatch``: the store does not hold what was written; start again.
        """
        if not self.complete:
            raise ProtocolError(
                "the download is not complete", code=ErrorCode.BLOB_UNKNOWN, expected=self.count, got=self.missing
            )
        self._store.sync()
        stream = RootStream()
        for leaf in self._store.leaves():
            stream.add(leaf)
        if blob_digest_of_root(self.size, stream.root()) != self.digest:
            raise EncodingError("the stored blob has changed under the download", code=ErrorCode.DIGEST_MISMATCH)


class Upload:
    """The sender of one blob, read through ``read(offset, length)``. Memory is 64 bytes a chunk."""

    def __init__(self, read: Callable[[int, int], bytes], size: int) -> None:
        """Hash the content once.

        Raises:
            EncodingError: ``limit_exceeded``: the size is over the bound.
        """
        check_size(size)
        self.size = size
        self._read = read
        self._tree = AuditTree(leaf_digest(self._bytes(index)) for index in range(chunk_count(size)))
        self.digest = blob_digest_of_root(size, self._tree.root)

    @classmethod
    def of_bytes(cls, data: bytes) -> "Upload":
        """An upload of bytes in memory."""
        return cls(lambda offset, length: data[offset : offset + length], len(data))

    @classmethod
    def of_file(cls, path: Path) -> "Upload":
        """An upload of a file, opened for each chunk.

        Raises:
            OSError: the file cannot be read.
        """

        def read(offset: int, length: int) -> bytes:
            with path.open("rb") as file:
                file.seek(offset)
                return file.read(length)

        return cls(read, path.stat().st_size)

    def _bytes(self, index: int) -> bytes:
        return self._read(index * CHUNK_SIZE, chunk_length(self.size, index))

    def chunk(self, index: int) -> Chunk:
        """The answer to a request for one chunk.

        Raises:
            ProtocolError: ``blob_unknown``: the blob has no such chunk.
        """
        if not 0 <= index < self._tree.count:
            raise ProtocolError(
                "the blob has no such chunk", code=ErrorCode.BLOB_UNKNOWN, expected=f"< {self._tree.count}", got=index
            )
        return Chunk(index, self._bytes(index), self._tree.path(index))
