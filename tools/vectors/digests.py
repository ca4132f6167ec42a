# SPDX-License-Identifier: Apache-2.0
"""L0: content digests, chunk trees, audit paths, statements."""

from vcompute.blobs.chunk import Chunk
from vcompute.codec import encode
from vcompute.proof.statement import STATEMENT_TAG, StatementRecord
from vcompute.task import digest as digests
from vectors.base import Group, xof

CHUNK = digests.CHUNK_SIZE
SIZES = (0, 1, 31, 32, 33, 55, 56, 63, 64, 65, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK - 1, 5 * CHUNK + 7)


def pattern(name: str, length: int) -> dict[str, object]:
    """Bytes that the testee makes itself."""
    return {"shake256": name, "length": length}


def group() -> Group:
    """The group ``digests``."""
    result = Group("digests", "L0", "Content digests over the chunk tree, audit paths, statement digests.")
    for size in SIZES:
        name = f"vcompute/vectors/blob/{size}"
        leaves = [digests.leaf_digest(chunk) for chunk in digests.chunks(xof(name, size))]
        root = digests.tree_root(leaves)
        out = {"digest": digests.blob_digest_of_root(size, root), "root": root, "chunks": len(leaves)}
        result.valid(f"blob-{size}", "blob.digest", "VC-DIG-001 VC-DIG-002", {"bytes": pattern(name, size)}, out)
    _paths(result)
    _chunks(result)
    _statements(result)
    return result


def _paths(result: Group) -> None:
    for count in (1, 2, 3, 5, 7, 8):
        name = f"vcompute/vectors/path/{count}"
        size = (count - 1) * CHUNK + 1
        leaves = [digests.leaf_digest(chunk) for chunk in digests.chunks(xof(name, size))]
        for index in sorted({0, count // 2, count - 1}):
            result.valid(
                f"path-{index}-of-{count}",
                "blob.path",
                "VC-DIG-003 VC-BLB-001",
                {"bytes": pattern(name, size), "index": index},
                {"path": digests.tree_path(leaves, index)},
            )


def _chunks(result: Group) -> None:
    size = 2 * CHUNK + 40
    data = xof("vcompute/vectors/chunk", size)
    digest = digests.blob_digest(data)
    pieces = [bytes(chunk) for chunk in digests.chunks(data)]
    leaves = [digests.leaf_digest(piece) for piece in pieces]
    path = tuple(digests.tree_path(leaves, 2))

    def given(chunk: Chunk | bytes, length: int = size, named: bytes = digest) -> dict[str, object]:
        return {"digest": named, "size": length, "chunk": chunk if isinstance(chunk, bytes) else chunk.encode()}

    good = Chunk(2, pieces[2], path)
    result.valid("chunk/last", "chunk.verify", "VC-DIG-003 VC-BLB-004", given(good), {"leaf": leaves[2]})
    flipped = bytes([pieces[2][0] ^ 1]) + pieces[2][1:]
    sibling = bytes([path[0][0] ^ 1]) + path[0][1:]
    mismatches = (
        ("bit-of-data", given(Chunk(2, flipped, path)), "one bit of the data"),
        ("bit-of-path", given(Chunk(2, pieces[2], (sibling, *path[1:]))), "one bit of a sibling"),
        ("path-short", given(Chunk(2, pieces[2], path[:-1])), "a path without its last sibling"),
        ("path-long", given(Chunk(2, pieces[2], (*path, path[0]))), "a sibling too many"),
        ("wrong-index", given(Chunk(1, pieces[2], path)), "the index of another chunk, whose length differs"),
        ("data-short", given(Chunk(2, pieces[2][:-1], path)), "a byte missing at the end"),
        ("data-long", given(Chunk(2, pieces[2] + b"\x00", path)), "a byte too many"),
        ("wrong-size", given(good, size - 1), "the size of a shorter blob"),
        ("wrong-digest", given(good, size, digests.blob_digest(b"")), "the digest of another blob"),
        ("root-for-digest", given(good, size, digests.tree_root(leaves)), "the tree's root where the digest belongs"),
    )
    for name, request, text in mismatches:
        result.refused(f"chunk/{name}", "chunk.verify", "VC-DIG-003 VC-BLB-004", request, "digest_mismatch", text)
    result.refused(
        "chunk/beyond-end",
        "chunk.verify",
        "VC-BLB-004",
        given(Chunk(3, pieces[2], path)),
        "limit_exceeded",
        "an index after the last chunk",
    )
    result.refused(
        "chunk/size-over-bound",
        "chunk.verify",
        "VC-BLB-005",
        given(good, (1 << 40) + 1),
        "limit_exceeded",
        "a blob of more than 2**40 bytes",
    )
    encoded = good.encode()
    result.refused(
        "chunk/trailing",
        "chunk.verify",
        "VC-ENC-007",
        given(encoded + b"\x00"),
        "malformed_encoding",
        "a byte after the chunk",
    )
    result.refused(
        "chunk/sibling-short",
        "chunk.verify",
        "VC-ENC-010",
        given(encode(Chunk(2, b"", ()))[:-1] + bytes.fromhex("8141ff")),
        "schema_violation",
        "a sibling of one byte",
    )


def _statements(result: Group) -> None:
    def digest(part: str) -> bytes:
        return xof(f"vcompute/vectors/statement/{part}", 32)

    base = {"model": digest("model"), "batch": 1, "inputs": digest("in"), "outputs": digest("out"), "context": b""}
    variants = {
        "plain": {},
        "batch-24": {"batch": 24},
        "batch-largest": {"batch": 1 << 24},
        "context": {"context": b"context"},
        "context-longest": {"context": bytes(1024)},
        "other-model": {"model": digest("model 2")},
    }
    for name, change in variants.items():
        given = {**base, **change}
        record = StatementRecord(given["model"], given["batch"], given["inputs"], given["outputs"], given["context"])
        data = encode(record)
        result.valid(
            f"statement/{name}",
            "statement.digest",
            "VC-DIG-005",
            given,
            {"bytes": data, "digest": digests.tagged(STATEMENT_TAG, data)},
        )
    refused = {
        "batch-zero": {"batch": 0},
        "batch-too-large": {"batch": (1 << 24) + 1},
        "context-too-long": {"context": bytes(1025)},
        "model-short": {"model": bytes(31)},
        "inputs-long": {"inputs": bytes(33)},
        "outputs-empty": {"outputs": b""},
    }
    for name, change in refused.items():
        text = f"{next(iter(change))} outside its bounds"
        result.refused(
            f"statement/{name}", "statement.digest", "VC-ENC-010", {**base, **change}, "schema_violation", text
        )
