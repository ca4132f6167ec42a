# SPDX-License-Identifier: Apache-2.0
"""Content by digest: chunks checked on arrival, transfers that resume, a bounded cache that checks what it reads.

A blob is named by its digest and its size, as :func:`vcompute.task.digest.blob_digest` computes it. Every chunk travels
with its audit path, so that a receiver checks it against the name alone, in any order, from any number of senders.
"""

from vcompute.blobs.cache import BlobCache
from vcompute.blobs.chunk import MAX_BLOB, Chunk, chunk_length, verified_leaf
from vcompute.blobs.store import FileStore, MemoryStore, Store
from vcompute.blobs.transfer import Download, Upload
from vcompute.blobs.tree import AuditTree, RootStream

__all__ = [
    "MAX_BLOB",
    "AuditTree",
    "BlobCache",
    "Chunk",
    "Download",
    "FileStore",
    "MemoryStore",
    "RootStream",
    "Store",
    "Upload",
    "chunk_length",
    "verified_leaf",
]
