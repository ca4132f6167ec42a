# SPDX-License-Identifier: Apache-2.0
"""VC-BLB: chunks checked on arrival, transfers that resume, a bounded cache that checks what it reads."""

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from vcompute.blobs import (
    MAX_BLOB,
    AuditTree,
    BlobCache,
    Chunk,
    Download,
    FileStore,
    MemoryStore,
    RootStream,
    Upload,
    verified_leaf,
)
from vcompute.errors import EncodingError, ProtocolError
from vcompute.registry import ErrorCode
from vcompute.task.digest import CHUNK_SIZE, blob_digest, root_from_path, tree_path, tree_root

SIZES = [0, 1, CHUNK_SIZE - 1, CHUNK_SIZE, CHUNK_SIZE + 1, 2 * CHUNK_SIZE, 5 * CHUNK_SIZE + 17]


def content(size: int, seed: int = 0) -> bytes:
    return random.Random(seed).randbytes(size)


def received(upload: Upload, **keywords: int) -> tuple[Download, MemoryStore]:
    store = MemoryStore()
    return Download(upload.digest, upload.size, store, **keywords), store


@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 9, 15, 16, 17, 31, 100])
def test_trees_agree_with_the_recursive_definition(count: int) -> None:
    """VC-BLB-001: the two fast forms of the tree are that of RFC 9162, paths included."""
    leaves = [content(32, index) for index in range(count)]
    tree, stream = AuditTree(leaves), RootStream()
    for leaf in leaves:
        stream.add(leaf)
    assert tree.root == stream.root() == tree_root(leaves)
    for index in range(count):
        assert list(tree.path(index)) == tree_path(leaves, index)
        assert root_from_path(leaves[index], index, count, tree.path(index)) == tree.root


@pytest.mark.parametrize("size", SIZES)
def test_transfer_in_any_order(size: int) -> None:
    """VC-BLB-002: chunks may come in any order; VC-BLB-003: twice; the result is the blob."""
    data = content(size)
    upload = Upload.of_bytes(data)
    assert upload.digest == blob_digest(data)
    download, store = received(upload)
    order = list(range(download.count)) * 2
    random.Random(1).shuffle(order)
    fresh = [download.receive(Chunk.decode(upload.chunk(index).encode())) for index in order]
    assert sum(fresh) == download.count
    assert download.complete
    download.finish()
    assert store.content() == data


def mutants(chunk: Chunk) -> list[Chunk]:
    flipped = bytes([chunk.data[0] ^ 1]) + chunk.data[1:]
    return [
        Chunk(chunk.index, flipped, chunk.path),
        Chunk(chunk.index, chunk.data[:-1], chunk.path),
        Chunk(chunk.index, chunk.data, chunk.path[:-1]),
        Chunk(chunk.index, chunk.data, (*chunk.path, bytes(32))),
        Chunk(chunk.index, chunk.data, (bytes(32), *chunk.path[1:])),
        Chunk(chunk.index ^ 1, chunk.data, chunk.path),
    ]


def test_wrong_chunks_are_refused_and_not_kept() -> None:
    """VC-BLB-004: a chunk that does not lead to the name is refused with digest_mismatch and not stored."""
    upload = Upload.of_bytes(content(4 * CHUNK_SIZE))
    download, _ = received(upload)
    for mutant in mutants(upload.chunk(2)):
        with pytest.raises(EncodingError) as caught:
            download.receive(mutant)
        assert caught.value.code is ErrorCode.DIGEST_MISMATCH
    assert download.missing == 4
    with pytest.raises(EncodingError) as caught:
        download.receive(Chunk(4, b"", ()))
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_size_is_part_of_the_name() -> None:
    """VC-BLB-005: a receiver told another size refuses every chunk; sizes over the bound are refused at once."""
    upload = Upload.of_bytes(content(2 * CHUNK_SIZE))
    with pytest.raises(EncodingError, match="not of this blob"):
        verified_leaf(upload.digest, upload.size - 1, upload.chunk(0))
    with pytest.raises(EncodingError) as caught:
        Download(upload.digest, MAX_BLOB + 1, MemoryStore())
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_requests_are_bounded_and_repeated() -> None:
    """VC-BLB-006: at most a window in flight; VC-BLB-007: asked again after the time-out or a broken connection."""
    upload = Upload.of_bytes(content(10 * CHUNK_SIZE))
    download, _ = received(upload, window=4, timeout=100)
    assert download.wanted(0) == [0, 1, 2, 3]
    assert download.wanted(50) == []
    download.receive(upload.chunk(1))
    assert download.wanted(60) == [4]
    assert download.wanted(100) == [0, 2, 3]
    download.lost()
    assert download.wanted(110) == [0, 2, 3, 4]
    with pytest.raises(ProtocolError):
        upload.chunk(10)
    with pytest.raises(ProtocolError):
        download.finish()


def test_resume_hashes_what_is_on_the_disk(tmp_path: Path) -> None:
    """VC-BLB-008: a resumed transfer keeps the chunks that are whole and asks again for those that are not."""
    data = content(6 * CHUNK_SIZE + 5)
    upload = Upload.of_bytes(data)
    store = FileStore(tmp_path / "blob", len(data))
    download = Download(upload.digest, upload.size, store)
    for index in (0, 2, 3, 6):
        download.receive(upload.chunk(index))
    store.close()
    with (tmp_path / "blob").open("r+b") as file:  # a torn write in chunk 3
        file.seek(3 * CHUNK_SIZE + 9)
        file.write(b"\x00\x01\x02\x03")
    store = FileStore(tmp_path / "blob", len(data))
    download = Download(upload.digest, upload.size, store)
    assert download.wanted(0) == [1, 3, 4, 5]
    for index in (1, 3, 4, 5):
        download.receive(upload.chunk(index))
    download.finish()
    assert (tmp_path / "blob").read_bytes() == data
    store.write(2, bytes(CHUNK_SIZE), bytes(32))
    with pytest.raises(EncodingError, match="changed under"):
        download.finish()
    store.discard()
    assert list(tmp_path.iterdir()) == []


def test_cache_evicts_the_least_recently_used(tmp_path: Path) -> None:
    """VC-BLB-009: the cache keeps to its bound, and a blob over the bound is refused before anything is deleted."""
    cache = BlobCache(tmp_path, 1000)
    names = [cache.put(content(400, seed)) for seed in range(2)]
    assert cache.get(names[0]) == content(400, 0)
    names.append(cache.put(content(400, 2)))
    assert names[1] not in cache
    assert cache.used == 800
    with pytest.raises(ProtocolError) as caught:
        cache.put(content(1001))
    assert caught.value.code is ErrorCode.STORAGE_FULL
    assert cache.used == 800
    again = BlobCache(tmp_path, 1000)
    assert [name in again for name in names] == [True, False, True]


def test_cache_never_returns_a_damaged_blob(tmp_path: Path) -> None:
    """VC-BLB-010: what does not have its digest is removed, not returned; what a crash left half-written too."""
    cache = BlobCache(tmp_path, 1 << 20)
    name = cache.put(content(1000))
    (tmp_path / "objects" / name.hex()).write_bytes(content(1000, 9))
    assert cache.get(name) is None
    assert name not in cache
    (tmp_path / "objects" / f"{name.hex()}.tmp").write_bytes(b"half")
    (tmp_path / "objects" / "ab").write_bytes(b"what is this")
    cache = BlobCache(tmp_path, 1 << 20)
    assert cache.used == 0
    assert list((tmp_path / "objects").iterdir()) == []


def test_cache_download_survives_a_restart(tmp_path: Path) -> None:
    """VC-BLB-008 in the cache: chunks fetched before a crash are not fetched again; VC-BLB-009 counts them."""
    data = content(3 * CHUNK_SIZE)
    upload = Upload.of_bytes(data)
    cache = BlobCache(tmp_path, 4 * CHUNK_SIZE)
    download = cache.download(upload.digest, upload.size)
    assert cache.download(upload.digest, upload.size) is download
    download.receive(upload.chunk(0))
    with pytest.raises(ProtocolError):
        cache.put(content(2 * CHUNK_SIZE))
    with pytest.raises(ProtocolError):
        cache.commit(download)
    cache.close()  # writes nothing: what is on the disk is what a crash would leave
    cache = BlobCache(tmp_path, 4 * CHUNK_SIZE)
    assert cache.used == upload.size
    download = cache.download(upload.digest, upload.size)
    assert download.missing == 2
    for index in download.wanted(0):
        download.receive(upload.chunk(index))
    cache.commit(download)
    assert cache.get(upload.digest) == data
    assert list((tmp_path / "partial").iterdir()) == []


def test_downloads_left_behind_make_room_first(tmp_path: Path) -> None:
    """VC-BLB-009: a download nobody goes on with is evicted before a blob."""
    upload = Upload.of_bytes(content(2 * CHUNK_SIZE))
    cache = BlobCache(tmp_path, 4 * CHUNK_SIZE)
    kept = cache.put(content(CHUNK_SIZE, 1))
    cache.download(upload.digest, upload.size).receive(upload.chunk(1))
    cache.close()
    assert cache.used == 3 * CHUNK_SIZE
    cache.put(content(2 * CHUNK_SIZE, 2))
    assert kept in cache
    assert cache.used == 3 * CHUNK_SIZE
    assert list((tmp_path / "partial").iterdir()) == []


def test_cache_discards_a_download_whose_file_changed(tmp_path: Path) -> None:
    """VC-BLB-010: a complete download is hashed once more before it becomes a blob."""
    upload = Upload.of_bytes(content(2 * CHUNK_SIZE))
    cache = BlobCache(tmp_path, 4 * CHUNK_SIZE)
    download = cache.download(upload.digest, upload.size)
    for index in download.wanted(0):
        download.receive(upload.chunk(index))
    next((tmp_path / "partial").glob("*.131072")).write_bytes(content(2 * CHUNK_SIZE, 5))
    with pytest.raises(EncodingError):
        cache.commit(download)
    assert upload.digest not in cache
    assert cache.used == 0


@given(data=st.data())
@settings(max_examples=200, deadline=None)
def test_chunk_decoder_refuses_or_round_trips(data: st.DataObject) -> None:
    """VC-BLB-011: any bytes decode to exactly themselves or are refused with a typed error."""
    valid = Chunk(3, b"chunk", (bytes(32), bytes(32))).encode()
    raw = bytearray(data.draw(st.one_of(st.binary(max_size=200), st.just(valid))))
    for _ in range(data.draw(st.integers(0, 3))):
        if raw:
            raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    try:
        chunk = Chunk.decode(bytes(raw))
    except EncodingError:
        return
    assert chunk.encode() == bytes(raw)


class Transfer(RuleBasedStateMachine):
    """A download over a network that loses, repeats, mixes and alters chunks, with restarts in between."""

    @initialize(size=st.sampled_from(SIZES), seed=st.integers(0, 3))
    def begin(self, size: int, seed: int) -> None:
        self.upload = Upload.of_bytes(content(size, seed))
        self.store = MemoryStore()
        self.now = 0
        self.flight: list[Chunk] = []
        self.restart()

    @rule()
    def restart(self) -> None:
        self.download = Download(self.upload.digest, self.upload.size, self.store, window=2, timeout=5)

    @rule(step=st.integers(0, 6))
    def ask(self, step: int) -> None:
        self.now += step
        self.flight += [self.upload.chunk(index) for index in self.download.wanted(self.now)]

    @precondition(lambda self: self.flight)
    @rule(pick=st.integers(0, 99), keep=st.booleans())
    def deliver(self, pick: int, keep: bool) -> None:
        index = pick % len(self.flight)
        self.download.receive(self.flight[index])
        if not keep:
            del self.flight[index]

    @precondition(lambda self: self.flight)
    @rule(pick=st.integers(0, 99))
    def corrupt(self, pick: int) -> None:
        chunk = self.flight[pick % len(self.flight)]
        before = self.download.missing
        with pytest.raises(EncodingError):
            self.download.receive(Chunk(chunk.index, chunk.data + b"x" if len(chunk.data) < 9 else b"x", chunk.path))
        assert self.download.missing == before

    @rule()
    def drop(self) -> None:
        self.flight.clear()
        self.download.lost()

    @invariant()
    def whole_or_unfinished(self) -> None:
        if hasattr(self, "download") and self.download.complete:
            self.download.finish()
            assert blob_digest(self.store.content()) == self.upload.digest


TestTransfer = Transfer.TestCase
TestTransfer.settings = settings(
    max_examples=25, stateful_step_count=30, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
