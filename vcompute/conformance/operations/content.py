# SPDX-License-Identifier: Apache-2.0
"""Operations on content: blobs and chunks, graphs, models, batches, statements."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcompute.blobs.chunk import Chunk, check_size, verified_leaf
from vcompute.codec import encode
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.proof.statement import STATEMENT_TAG, StatementRecord
from vcompute.proof.suite import decode_envelope
from vcompute.task import decode_batch, decode_graph, decode_model
from vcompute.task import digest as digests


def blob_digest(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes}`` -> ``{digest, root, chunks}``."""
    data = to_bytes(request["bytes"])
    leaves = [digests.leaf_digest(chunk) for chunk in digests.chunks(data)]
    root = digests.tree_root(leaves)
    return {
        "digest": to_text(digests.blob_digest_of_root(len(data), root)),
        "root": to_text(root),
        "chunks": len(leaves),
    }


def blob_path(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes, index}`` -> ``{path}``, the audit path of a chunk from the leaf up."""
    leaves = [digests.leaf_digest(chunk) for chunk in digests.chunks(to_bytes(request["bytes"]))]
    return {"path": [to_text(item) for item in digests.tree_path(leaves, int(request["index"]))]}


def chunk_verify(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{digest, size, chunk}`` -> ``{leaf}``; the chunk is encoded as it travels."""
    size = int(request["size"])
    check_size(size)
    chunk = Chunk.decode(to_bytes(request["chunk"]))
    return {"leaf": to_text(verified_leaf(to_bytes(request["digest"]), size, chunk))}


def graph_decode(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes}`` -> ``{digest, macs, elements}`` of a valid encoded graph."""
    data = to_bytes(request["bytes"])
    work = decode_graph(data).work()
    return {"digest": to_text(digests.graph_digest(data)), "macs": str(work.macs), "elements": str(work.elements)}


def model_decode(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes}`` -> ``{digest, graph_digest, weights_digest}`` of a valid model file."""
    model = decode_model(to_bytes(request["bytes"]))
    return {
        "digest": to_text(model.digest),
        "graph_digest": to_text(model.graph_digest),
        "weights_digest": to_text(model.weights_digest),
    }


def batch_decode(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes}`` -> ``{digest, size}`` of a valid encoded batch."""
    batch = decode_batch(to_bytes(request["bytes"]))
    return {"digest": to_text(batch.digest), "size": batch.size}


def statement_digest(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{model, batch, inputs, outputs, context}``, digests but for the batch size -> ``{bytes, digest}``."""
    record = StatementRecord(
        to_bytes(request["model"]),
        int(request["batch"]),
        to_bytes(request["inputs"]),
        to_bytes(request["outputs"]),
        to_bytes(request["context"]),
    )
    data = encode(record)
    return {"bytes": to_text(data), "digest": to_text(digests.tagged(STATEMENT_TAG, data))}


def proof_decode(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes}`` -> ``{suite, parameter_set, statement}`` of a proof's envelope."""
    envelope = decode_envelope(to_bytes(request["bytes"]))
    return {
        "suite": int(envelope.suite),
        "parameter_set": int(envelope.parameter_set),
        "statement": to_text(envelope.statement),
    }


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "blob.digest": blob_digest,
    "blob.path": blob_path,
    "chunk.verify": chunk_verify,
    "graph.decode": graph_decode,
    "model.decode": model_decode,
    "batch.decode": batch_decode,
    "statement.digest": statement_digest,
    "proof.decode": proof_decode,
}
