# SPDX-License-Identifier: Apache-2.0
"""A bounded cache of blobs on disk: least recently used goes first, writes are atomic, reads are checked."""

import logging
import os
from collections import OrderedDict
from pathlib import Path

from vcompute.blobs.chunk import check_size
from vcompute.blobs.store import FileStore, leaves_path
from vcompute.blobs.transfer import Download
from vcompute.errors import EncodingError, ProtocolError, UsageError
from vcompute.registry import ErrorCode
from vcompute.task.digest import DIGEST_SIZE, blob_digest

logger = logging.getLogger(__name__)


class BlobCache:
    """Blobs by digest in a directory that never holds more than ``limit`` bytes of content.

    One process owns the directory. ``objects`` holds whole blobs, written under another name, synced and renamed;
    ``partial`` holds downloads, whose full size counts from the start. A file that does not have the digest it is named
    by is deleted when it is read, never returned. What an earlier process left half-way counts too, and goes first.
    """

    def __init__(self, directory: Path, limit: int, *, durable: bool = True) -> None:
        """Open or make the cache.

        With ``durable`` what is put survives a power cut; without, only a crash of the process. Either way nothing
        damaged is ever returned, so what another party can send again need not be durable.

        Raises:
            UsageError: ``unreadable_file``: the directory cannot be used.
        """
        self.limit = limit
        self._durable = durable
        self._objects = directory / "objects"
        self._partial = directory / "partial"
        self._sizes: OrderedDict[bytes, int] = OrderedDict()
        self._left: dict[Path, int] = {}
        self._open: dict[Download, FileStore] = {}
        try:
            self._objects.mkdir(parents=True, exist_ok=True)
            self._partial.mkdir(exist_ok=True)
            self._scan()
        except OSError as error:
            raise UsageError(
                f"cannot use the cache at {directory}: {error.strerror}", code=ErrorCode.UNREADABLE_FILE
            ) from error

    def _scan(self) -> None:
        found = []
        for path in self._objects.iterdir():
            digest = _name(path)
            if digest is None:
                path.unlink()
            else:
                stat = path.stat()
                found.append((stat.st_mtime_ns, digest, stat.st_size))
        self._sizes.update((digest, size) for _, digest, size in sorted(found))
        for path in self._partial.iterdir():
            size = path.name.partition(".")[2]
            if size.isdecimal():
                self._left[path] = int(size)
        self._evict(0)

    def __contains__(self, digest: bytes) -> bool:
        return digest in self._sizes

    @property
    def used(self) -> int:
        """Bytes of content held or set aside for downloads."""
        return sum(self._sizes.values()) + self._reserved + sum(self._left.values())

    @property
    def _reserved(self) -> int:
        return sum(download.size for download in self._open)

    def get(self, digest: bytes) -> bytes | None:
        """The blob of this digest, hashed again; None where it is not held or no longer whole."""
        if digest not in self._sizes:
            return None
        path = self._objects / digest.hex()
        try:
            data = path.read_bytes()
            os.utime(path)
        except OSError:
            data = b""
        if blob_digest(data) != digest:
            logger.warning("cached blob %s is damaged and was removed", digest.hex())
            self.remove(digest)
            return None
        self._sizes.move_to_end(digest)
        return data

    def put(self, data: bytes) -> bytes:
        """Keep a blob; its digest.

        Raises:
            ProtocolError: ``storage_full``: larger than what the bound leaves beside the downloads under way.
        """
        digest = blob_digest(data)
        if digest not in self._sizes:
            self._evict(len(data))
            temporary = self._objects / f"{digest.hex()}.tmp"
            with temporary.open("wb") as file:
                file.write(data)
                if self._durable:
                    file.flush()
                    os.fsync(file.fileno())
            self._install(temporary, digest, len(data))
        return digest

    def download(self, digest: bytes, size: int) -> Download:
        """A download into the cache: the one under way, one that an earlier process left, or a new one.

        Raises:
            ProtocolError: ``storage_full``.
            EncodingError: ``limit_exceeded``: the size is over the bound of a blob.
        """
        for download in self._open:
            if (download.digest, download.size) == (digest, size):
                return download
        check_size(size)
        path = self._partial / f"{digest.hex()}.{size}"
        self._left.pop(path, None)
        self._evict(size)
        store = FileStore(path, size, durable=self._durable)
        download = Download(digest, size, store)
        self._open[download] = store
        return download

    def commit(self, download: Download) -> None:
        """Turn a complete download of this cache into a blob of it.

        Raises:
            ProtocolError: ``blob_unknown``: chunks are missing; the download goes on.
            EncodingError: ``digest_mismatch``: the stored bytes changed; the download is discarded.
        """
        try:
            download.finish()
        except EncodingError:
            self.abandon(download)
            raise
        store = self._open.pop(download)
        store.close()
        self._install(store.path, download.digest, download.size)
        store.discard()

    def abandon(self, download: Download) -> None:
        """Give a download of this cache up and free what it held."""
        self._open.pop(download).discard()

    def close(self) -> None:
        """Close the downloads under way; a later cache resumes them."""
        for download, store in self._open.items():
            store.close()
            self._left[store.path] = download.size
        self._open.clear()

    def remove(self, digest: bytes) -> None:
        """Delete a blob if it is held."""
        if self._sizes.pop(digest, None) is not None:
            (self._objects / digest.hex()).unlink(missing_ok=True)

    def _install(self, source: Path, digest: bytes, size: int) -> None:
        source.replace(self._objects / digest.hex())
        if self._durable:
            _sync_directory(self._objects)
        self._sizes[digest] = size

    def _evict(self, needed: int) -> None:
        """Make room for ``needed`` bytes, oldest use first; refuse before anything is deleted in vain."""
        if needed + self._reserved > self.limit:
            raise ProtocolError(
                "the blob does not fit into the cache",
                code=ErrorCode.STORAGE_FULL,
                expected=f"<= {self.limit - self._reserved} bytes",
                got=needed,
            )
        excess = self.used + needed - self.limit
        while excess > 0 and self._left:
            path, size = self._left.popitem()
            path.unlink(missing_ok=True)
            leaves_path(path).unlink(missing_ok=True)
            excess -= size
        while excess > 0:
            oldest = next(iter(self._sizes))
            excess -= self._sizes[oldest]
            self.remove(oldest)


def _name(path: Path) -> bytes | None:
    """The digest a file is named by; None for what a crash left."""
    try:
        digest = bytes.fromhex(path.name)
    except ValueError:
        return None
    return digest if len(digest) == DIGEST_SIZE and path.name == digest.hex() else None


def _sync_directory(directory: Path) -> None:
    if os.name != "posix":  # a directory cannot be opened elsewhere; the rename is journalled there
        return
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
