# SPDX-License-Identifier: Apache-2.0
"""Certificates of a verifier quorum: so many of these verifiers have signed this digest, in one BLS signature.

A set of verifiers is named by its digest, which every share signs together with the statement: a certificate of one
set, or one threshold, never passes for another's. Members stand in ascending order of key, each with its proof of
possession and the thumbprint of the device key that enrolled it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from vcompute.codec import Array, Bytes, Int, Record, encode, field
from vcompute.errors import ProtocolError
from vcompute.identity import bls
from vcompute.registry import ErrorCode
from vcompute.task.digest import tagged

MAX_MEMBERS: Final = 256
SET_TAG: Final = b"vcompute/verifier-set/1\x00"
SHARE_TAG: Final = b"vcompute/quorum-share/1\x00"
_DIGEST: Final = Bytes(32, 32)
_SIGNATURE: Final = Bytes(bls.SIGNATURE_SIZE, bls.SIGNATURE_SIZE)


@dataclass(frozen=True, slots=True)
class Member:
    """A verifier of a set."""

    key: bytes = field(0, Bytes(bls.KEY_SIZE, bls.KEY_SIZE), "BLS key")
    possession: bytes = field(1, _SIGNATURE, "proof of possession of the key")
    device: bytes = field(2, _DIGEST, "thumbprint of the verifier's device key")


@dataclass(frozen=True, slots=True)
class VerifierSet:
    """Verifiers and how many of them must agree."""

    members: tuple[Member, ...] = field(0, Array(Record(Member), 1, MAX_MEMBERS), "members, ascending by key")
    threshold: int = field(1, Int(1, MAX_MEMBERS), "signatures a certificate needs")


@dataclass(frozen=True, slots=True)
class QuorumCertificate:
    """A quorum's signature on the digest of a verdict, or of a batch of receipts."""

    verifier_set: bytes = field(0, _DIGEST, "digest of the verifier set")
    statement: bytes = field(1, _DIGEST, "digest of what is certified")
    signers: bytes = field(2, Bytes(1, MAX_MEMBERS // 8), "bit i, from the lowest of byte 0: member i signed")
    signature: bytes = field(3, _SIGNATURE, "aggregate signature")


class Quorum:
    """A verifier set whose keys and proofs of possession were checked, once."""

    def __init__(self, verifier_set: VerifierSet, backend: bls.Backend) -> None:
        """Check every member.

        Raises:
            ProtocolError: ``schema_violation``: the threshold is above the number of members, the keys are not strictly
                ascending, or a device stands twice; otherwise as :func:`vcompute.identity.bls.register`.
        """
        members = verifier_set.members
        keys = [member.key for member in members]
        if not 0 < verifier_set.threshold <= len(members):
            raise ProtocolError("a threshold", expected=f"1 to {len(members)}", got=verifier_set.threshold)
        if any(left >= right for left, right in pairwise(keys)):
            raise ProtocolError("the keys of a verifier set are not strictly ascending")
        if len({member.device for member in members}) != len(members):
            raise ProtocolError("a device stands twice in a verifier set")
        self.verifier_set: Final = verifier_set
        self.digest: Final = tagged(SET_TAG, encode(verifier_set))
        self._backend = backend
        self._keys = [bls.register(backend, member.key, member.possession) for member in members]

    def message(self, statement: bytes) -> bytes:
        """What a member signs for a statement (a digest of 32 bytes)."""
        return tagged(SHARE_TAG, self.digest, statement)

    def check_share(self, index: int, statement: bytes, share: bytes) -> None:
        """Check one member's signature of a statement.

        Raises:
            ProtocolError: ``schema_violation``: no such member; ``bad_signature`` or ``non_canonical_signature``.
        """
        self._check_index(index)
        bls.verify(self._backend, [self._keys[index]], self.message(statement), share)

    def certify(self, statement: bytes, shares: Mapping[int, bytes]) -> QuorumCertificate:
        """A certificate out of the signatures of members by index.

        Every share is checked, so that one bad share is named instead of spoiling the aggregate.

        Raises:
            ProtocolError: ``quorum_not_reached``; ``bad_signature`` or ``non_canonical_signature`` for a bad share.
        """
        for index, share in shares.items():
            self.check_share(index, statement, share)
        self._check_count(len(shares))
        bits = bytearray((len(self._keys) + 7) // 8)
        for index in shares:
            bits[index >> 3] |= 1 << (index & 7)
        return QuorumCertificate(
            self.digest, statement, bytes(bits), bls.aggregate(self._backend, list(shares.values()))
        )

    def verify(self, certificate: QuorumCertificate, statement: bytes) -> tuple[int, ...]:
        """Check a certificate on a statement; the indices of those who signed.

        Raises:
            ProtocolError: ``statement_mismatch``: another set or statement; ``schema_violation``: bits that name no
                member; ``quorum_not_reached``; ``bad_signature`` or ``non_canonical_signature``.
        """
        if (certificate.verifier_set, certificate.statement) != (self.digest, statement):
            raise ProtocolError("a certificate of another verifier set or statement", code=ErrorCode.STATEMENT_MISMATCH)
        bits = certificate.signers
        signers = tuple(i for i in range(8 * len(bits)) if bits[i >> 3] >> (i & 7) & 1)
        if len(bits) != (len(self._keys) + 7) // 8 or any(index >= len(self._keys) for index in signers):
            raise ProtocolError("the signers of a certificate are one bit a member", expected=len(self._keys))
        self._check_count(len(signers))
        keys = [self._keys[index] for index in signers]
        bls.verify(self._backend, keys, self.message(statement), certificate.signature)
        return signers

    def _check_index(self, index: int) -> None:
        if not 0 <= index < len(self._keys):
            raise ProtocolError("no such member of the verifier set", expected=f"< {len(self._keys)}", got=index)

    def _check_count(self, count: int) -> None:
        if count < self.verifier_set.threshold:
            raise ProtocolError(
                "too few members signed",
                code=ErrorCode.QUORUM_NOT_REACHED,
                expected=f">= {self.verifier_set.threshold}",
                got=count,
            )
