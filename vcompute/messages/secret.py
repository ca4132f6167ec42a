# SPDX-License-Identifier: Apache-2.0
"""The messages of confidential inputs: who asks to read, and what it gets."""

from dataclasses import dataclass

from vcompute.codec import Bytes, Enum, Record, field
from vcompute.identity.hpke import POINT_SIZE
from vcompute.messages.primitives import DIGEST, BlobRef
from vcompute.registry import Role


@dataclass(frozen=True, slots=True)
class Reader:
    """The signer asks for the inputs of a task, sealed to a key for this lease."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    role: Role = field(2, Enum(Role), "worker or verifier")
    key: bytes = field(3, Bytes(POINT_SIZE, POINT_SIZE), "HPKE public key, an uncompressed P-256 point")


@dataclass(frozen=True, slots=True)
class Opening:
    """The signer's inputs for one reader: a SealedInput under the task's configuration."""

    task: bytes = field(0, DIGEST, "task")
    lease: bytes = field(1, DIGEST, "lease")
    reader: bytes = field(2, DIGEST, "thumbprint of the reader")
    sealed: BlobRef = field(3, Record(BlobRef), "the sealed input")
