# SPDX-License-Identifier: Apache-2.0
"""Verification policies of offers: which bases release money, and which terms make sense at all."""

from vcompute.errors import ProtocolError
from vcompute.messages import Always, Offer, OnChallenge, Policy, Result, Sampled
from vcompute.messages.draw import MAX_PARTIES
from vcompute.policy.certificate import check_set
from vcompute.registry import Basis, ErrorCode, SuiteId


def basis_of(suite: int) -> Basis:
    """What a check under a suite establishes."""
    return Basis.REPLAYED if suite == SuiteId.REPLAY else Basis.PROVED


def checked_bases(policy: Policy) -> frozenset[Basis]:
    """The bases of a real check under the policy; only these can convict."""
    return frozenset(basis_of(choice.suite) for choice in policy.suites)


def admitted_bases(policy: Policy) -> frozenset[Basis]:
    """The bases on which the policy releases money."""
    checked = checked_bases(policy)
    match policy:
        case Always():
            return checked
        case Sampled():
            return checked | {Basis.NOT_SAMPLED}
        case OnChallenge():
            return checked | {Basis.UNCHALLENGED}


def judged_bases(policy: Policy, *, accepted: bool) -> frozenset[Basis]:
    """The bases that a verifier's verdict may rest on; ``unchallenged`` is the settlement's alone, which keeps time."""
    return admitted_bases(policy) - {Basis.UNCHALLENGED} if accepted else checked_bases(policy)


def owes_proof(policy: Policy, result: Result) -> bool:
    """Whether a result is sent without its proof, which its worker makes only when it is asked for."""
    match policy:
        case Always():
            return False
        case Sampled():
            return result.proof is None and result.suite.suite != SuiteId.REPLAY
        case OnChallenge():
            return True


def appeal_of(offer: Offer) -> int:
    """Milliseconds after a verdict's window in which a fallback may judge; 0 where the offer names none."""
    return offer.verdict_within if offer.fallback else 0


def check_terms(offer: Offer, now: int) -> None:
    """Refuse an offer whose terms cannot be kept.

    Raises:
        ProtocolError: ``deadline_passed``; ``terms_not_acceptable`` for a quorum larger than the verifiers,
            verifiers named twice, too many for a draw, or a verifier set that is not theirs;
            ``unknown_critical_extension``; ``bad_signature`` and others for a set's proofs of possession.
    """
    if now >= offer.deadline:
        raise ProtocolError(
            "the offer's deadline has passed", code=ErrorCode.DEADLINE_PASSED, expected=f"> {now}", got=offer.deadline
        )
    if len(set(offer.verifiers)) != len(offer.verifiers):
        raise ProtocolError("a verifier is named twice", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
    if offer.quorum > len(offer.verifiers):
        raise ProtocolError(
            "the quorum is larger than the set of verifiers",
            code=ErrorCode.TERMS_NOT_ACCEPTABLE,
            expected=f"<= {len(offer.verifiers)}",
            got=offer.quorum,
        )
    if isinstance(offer.policy, Sampled) and len(offer.verifiers) >= MAX_PARTIES:
        raise ProtocolError(
            "too many verifiers for a draw",
            code=ErrorCode.TERMS_NOT_ACCEPTABLE,
            expected=f"< {MAX_PARTIES}",
            got=len(offer.verifiers),
        )
    if set(offer.fallback or ()) & set(offer.verifiers):
        raise ProtocolError("a verifier is named again as a fallback", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
    check_set(offer)
    for extension in offer.extensions:
        if extension.critical:
            raise ProtocolError(
                "the offer needs an extension this implementation does not know",
                code=ErrorCode.UNKNOWN_CRITICAL_EXTENSION,
                got=extension.id,
            )
