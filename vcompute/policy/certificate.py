# SPDX-License-Identifier: Apache-2.0
"""Quorum certificates of verdicts: what a member of an offer's verifier set signs, and who may."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Final

from vcompute.errors import ProtocolError, UsageError
from vcompute.identity.bls import SecretKey, load_backend
from vcompute.identity.quorum import Member, Quorum, QuorumCertificate, VerifierSet
from vcompute.messages import Offer, Signed, Verdict
from vcompute.registry import Basis, ErrorCode
from vcompute.task.digest import tagged

STATEMENT_TAG: Final = b"vcompute/verdict-statement/1\x00"


def statement_of(task: bytes, lease: bytes, result: bytes, *, accepted: bool, basis: Basis) -> bytes:
    """What the members of a set sign: one judgement, on one basis, of the signed Result of digest ``result``."""
    return tagged(STATEMENT_TAG, task, lease, result, bytes([accepted, int(basis)]))


def verdict_statement(verdict: Verdict) -> bytes:
    """The statement of a verdict."""
    return statement_of(verdict.task, verdict.lease, verdict.result, accepted=verdict.accepted, basis=verdict.basis)


@lru_cache(maxsize=256)
def quorum_of(verifier_set: VerifierSet) -> Quorum:
    """A set whose proofs of possession were checked; checked once for each set.

    Raises:
        ProtocolError: ``terms_not_acceptable``: no BLS backend is installed here; otherwise as :class:`Quorum`.
    """
    try:
        backend = load_backend()
    except UsageError as error:
        raise ProtocolError(str(error), code=ErrorCode.TERMS_NOT_ACCEPTABLE) from error
    return Quorum(verifier_set, backend)


def check_set(offer: Offer) -> None:
    """Refuse a verifier set that is not the offer's verifiers and quorum, or that has a key without possession.

    Raises:
        ProtocolError: ``terms_not_acceptable``, or as :func:`quorum_of`.
    """
    members = offer.verifier_set
    if members is None:
        return
    devices = {member.device for member in members.members}
    if devices != set(offer.verifiers) or members.threshold != offer.quorum:
        raise ProtocolError(
            "the verifier set is that of the offer's verifiers and quorum",
            code=ErrorCode.TERMS_NOT_ACCEPTABLE,
            expected=(len(offer.verifiers), offer.quorum),
            got=(len(devices), members.threshold),
        )
    quorum_of(members)


def share_of(offer: Offer, verdict: Verdict, key: SecretKey) -> bytes | None:
    """A member's signature of its verdict; None where the offer has no set.

    Raises:
        ProtocolError: as :func:`quorum_of`.
    """
    if offer.verifier_set is None:
        return None
    return key.sign(quorum_of(offer.verifier_set).message(verdict_statement(verdict)))


def check_share(offer: Offer, verdict: Signed[Verdict]) -> None:
    """Where the offer has a verifier set, a verdict carries its signer's valid share.

    Raises:
        ProtocolError: ``verdict_not_admitted`` without a share; ``bad_signature`` or ``non_canonical_signature``.
    """
    if offer.verifier_set is None:
        return
    if verdict.body.share is None:
        raise ProtocolError("the verdict has no share in the certificate", code=ErrorCode.VERDICT_NOT_ADMITTED)
    index = _index(offer.verifier_set, verdict.signer)
    quorum_of(offer.verifier_set).check_share(index, verdict_statement(verdict.body), verdict.body.share)


def certify(offer: Offer, verdicts: Sequence[Signed[Verdict]]) -> QuorumCertificate | None:
    """The certificate of verdicts that say the same; None where the offer has no set.

    Raises:
        ProtocolError: as :meth:`Quorum.certify`.
    """
    members = offer.verifier_set
    if members is None:
        return None
    shares = {_index(members, item.signer): item.body.share or b"" for item in verdicts}
    return quorum_of(members).certify(verdict_statement(verdicts[0].body), shares)


def member(key: SecretKey, device: bytes) -> Member:
    """The entry of a set for the holder of a BLS key and a device key of thumbprint ``device``."""
    return Member(key.public, key.prove_possession(), device)


def _index(verifier_set: VerifierSet, device: bytes) -> int:
    for index, item in enumerate(verifier_set.members):
        if item.device == device:
            return index
    raise ProtocolError("no member of the verifier set", code=ErrorCode.VERDICT_NOT_ADMITTED, got=device.hex())
