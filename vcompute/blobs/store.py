# SPDX-License-Identifier: Apache-2.0
"""Where a download keeps its chunks: memory for small blobs, a pair of files for those that must survive a restart.

The file store writes a chunk, then its leaf digest, and needs no order on the disk besides: on opening, every chunk
whose leaf is there is hashed again, so a torn write costs one chunk and nothing is believed.
"""

import os
from collections.abc import Iterator
from io import FileIO
from pathlib import Path
from typing import Protocol

from vcompute.errors import UsageError
from vcompute.registry import ErrorCode
from vcompute.task.digest import CHUNK_SIZE, DIGEST_SIZE, chunk_count, leaf_digest

_NONE = bytes(DIGEST_SIZE)


class Store(Protocol):
    """The chunks held so far of one blob."""

    def held(self) -> Iterator[int]:
        """The indices of the chunks that are there and whole, in order."""

    def write(self, index: int, data: bytes, leaf: bytes) -> None:
        """Keep a chunk that was checked, with its leaf digest."""

    def leaves(self) -> Iterator[bytes]:
        """The leaf digests in order; called once every chunk is held."""

    def read(self, index: int) -> bytes:
        """The bytes of a chunk that is held."""

    def sync(self) -> None:
        """Return once everything written is durable."""


class MemoryStore:
    """Chunks in memory."""

    def __init__(self) -> None:
        self._chunks: dict[int, tuple[bytes, bytes]] = {}

    def held(self) -> Iterator[int]:
        """See :class:`Store`."""
        return iter(sorted(self._chunks))

    def write(self, index: int, data: bytes, leaf: bytes) -> None:
        """See :class:`Store`."""
        self._chunks[index] = (data, leaf)

    def leaves(self) -> Iterator[bytes]:
        """See :class:`Store`."""
        return (self._chunks[index][1] for index in sorted(self._chunks))

    def read(self, index: int) -> bytes:
        """See :class:`Store`."""
        return self._chunks[index][0]

    def sync(self) -> None:
        """See :class:`Store`."""

    def content(self) -> bytes:
        """The whole blob, once every chunk is held."""
        return b"".join(self._chunks[index][0] for index in sorted(self._chunks))


class FileStore:
    """Chunks in ``path``, their leaf digests in ``path`` + ``.leaves``; resumes what an earlier process left."""

    def __init__(self, path: Path, size: int, *, durable: bool = True) -> None:
        """Open or make the two files for a blob of ``size`` bytes; without ``durable`` :meth:`sync` does not wait.

        Raises:
            UsageError: ``unreadable_file``: the files cannot be opened.
        """
        self.path = path
        self.size = size
        self._durable = durable
        self._count = chunk_count(size)
        try:
            self._data = _open(path)
            self._leaves = _open(leaves_path(path))
            self._leaves.truncate(self._count * DIGEST_SIZE)
        except OSError as error:
            raise UsageError(
                f"cannot keep a download at {path}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE
            ) from error

    def held(self) -> Iterator[int]:
        """See :class:`Store`; reads and hashes every chunk that claims to be there."""
        for index in range(self._count):
            leaf = _read(self._leaves, index * DIGEST_SIZE, DIGEST_SIZE)
            if leaf != _NONE and leaf_digest(self.read(index)) == leaf:
                yield index

    def write(self, index: int, data: bytes, leaf: bytes) -> None:
        """See :class:`Store`."""
        _write(self._data, index * CHUNK_SIZE, data)
        _write(self._leaves, index * DIGEST_SIZE, leaf)

    def leaves(self) -> Iterator[bytes]:
        """See :class:`Store`; hashes what is on the disk now."""
        return (leaf_digest(self.read(index)) for index in range(self._count))

    def read(self, index: int) -> bytes:
        """See :class:`Store`."""
        start = index * CHUNK_SIZE
        return _read(self._data, start, min(CHUNK_SIZE, max(self.size - start, 0)))

    def sync(self) -> None:
        """See :class:`Store`."""
        self._data.truncate(self.size)
        if self._durable:
            os.fsync(self._data.fileno())

    def close(self) -> None:
        """Close the files and keep them for a later resumption."""
        self._data.close()
        self._leaves.close()

    def discard(self) -> None:
        """Close the files and delete them."""
        self.close()
        self.path.unlink(missing_ok=True)
        leaves_path(self.path).unlink(missing_ok=True)


def leaves_path(path: Path) -> Path:
    """Where the leaf digests of the download at ``path`` are."""
    return path.with_name(path.name + ".leaves")


def _open(path: Path) -> FileIO:
    return FileIO(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600), "r+")


def _read(file: FileIO, offset: int, length: int) -> bytes:
    file.seek(offset)
    parts = []
    while length and (part := file.read(length)):
        parts.append(part)
        length -= len(part)
    return b"".join(parts)


def _write(file: FileIO, offset: int, data: bytes) -> None:
    file.seek(offset)
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
