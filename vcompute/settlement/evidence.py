# SPDX-License-Identifier: Apache-2.0
"""What counts as evidence: the checks a settlement makes before its table is asked."""

import hashlib

from vcompute.errors import ProtocolError
from vcompute.identity import Keyring
from vcompute.messages import (
    Answer,
    Cancel,
    Challenge,
    Message,
    Names,
    Offer,
    OnChallenge,
    Progress,
    Result,
    Signed,
    Verdict,
    Yield,
    by_name,
    itself,
    open_message,
    reopen,
)
from vcompute.policy.certificate import check_share
from vcompute.policy.sampling import RoundState
from vcompute.policy.verification import judged_bases, owes_proof
from vcompute.registry import Basis, ErrorCode
from vcompute.settlement.book import EscrowRow
from vcompute.settlement.draws import replay, require_not_sampled
from vcompute.settlement.rules import EscrowState


def refuse(message: str, code: ErrorCode, expected: object = None, got: object = None) -> ProtocolError:
    """The error of a refused operation."""
    return ProtocolError(message, code=code, expected=expected, got=got)


def require_state(row: EscrowRow, state: EscrowState) -> None:
    """Refuse in another state.

    Raises:
        ProtocolError: ``lease_conflict``.
    """
    if row.state is not state:
        raise refuse("the escrow is in another state", ErrorCode.LEASE_CONFLICT, state.name, row.state.name)


def require_live(row: EscrowRow, signed: Signed[Progress] | Signed[Result], now: int) -> None:
    """The lease's worker signed, and the lease stands.

    Raises:
        ProtocolError: ``unexpected_signer``, ``lease_conflict``, ``lease_expired``.
    """
    signed.require_signer(row.worker or bytes(32))
    require_state(row, EscrowState.LEASED)
    if now >= row.until:
        raise refuse("the lease is over", ErrorCode.LEASE_EXPIRED, f"< {row.until}", now)


def check_release(row: EscrowRow, lease: bytes, evidence: bytes | None, keys: Keyring) -> None:
    """A lease ends before its time by its worker's Yield, its requester's Cancel, or the revocation of either's key.

    Raises:
        ProtocolError: ``not_due``, ``unexpected_signer``, ``stale_lease``; ``key_rotated``, ``key_revoked``.
    """
    if keys.ended(row.requester) or keys.ended(row.worker or bytes(32)):
        return
    if evidence is None:
        raise refuse("the lease's time is not over and there is no evidence", ErrorCode.NOT_DUE)
    message = _live(evidence, keys)
    body = message.body
    if isinstance(body, Yield):
        message.require_signer(row.worker or bytes(32))
        named: bytes | None = body.lease
    elif isinstance(body, Cancel):
        message.require_signer(row.requester)
        named = lease if body.lease is None else body.lease
    else:
        raise refuse("a lease ends early by Yield or Cancel", ErrorCode.NOT_DUE, got=type(body).__name__)
    if body.task != row.task or named != lease:
        raise refuse("the evidence is of another lease", ErrorCode.STALE_LEASE)


def _live(evidence: bytes, keys: Keyring) -> Signed[Message]:
    """A message of a key that speaks, as its party's."""
    message = open_message(evidence)
    keys.require_live(message.signer, message.digest)
    return by_name(message, keys.name_of)


def check_cancellation(row: EscrowRow, evidence: bytes | None, keys: Keyring) -> None:
    """An escrow goes back before the deadline by its requester's Cancel of the whole task, or its key's revocation.

    Raises:
        ProtocolError: ``not_due``, ``unexpected_signer``; ``key_rotated``, ``key_revoked``.
    """
    if keys.ended(row.requester):
        return
    if evidence is None:
        raise refuse("the deadline has not passed and there is no cancellation", ErrorCode.NOT_DUE)
    cancel = _live(evidence, keys).of(Cancel)
    cancel.require_signer(row.requester)
    if cancel.body.task != row.task or cancel.body.lease is not None:
        raise refuse("the cancellation is of something else", ErrorCode.NOT_DUE)


def check_verdict(row: EscrowRow, offer: Offer, signed: Signed[Verdict], now: int, names: Names = itself) -> None:
    """Whether the offer's policy admits this verdict: signer, result, basis.

    Raises:
        ProtocolError: ``lease_conflict`` without a recorded result, else ``verdict_not_admitted``.
    """
    verdict = signed.body
    if row.result is None:
        require_state(row, EscrowState.COMMITTED)
    appealed = now >= row.until and signed.signer in (offer.fallback or ())
    if signed.signer not in offer.verifiers and not appealed:
        raise refuse("the offer does not name this verifier", ErrorCode.VERDICT_NOT_ADMITTED, got=signed.signer.hex())
    if row.result is None or verdict.result != hashlib.sha256(row.result).digest():
        raise refuse("the verdict is on another result", ErrorCode.VERDICT_NOT_ADMITTED)
    bases = judged_bases(offer.policy, accepted=verdict.accepted)
    if verdict.basis not in bases:
        raise refuse(
            "the offer's policy does not admit a verdict on this basis",
            ErrorCode.VERDICT_NOT_ADMITTED,
            sorted(basis.name.lower() for basis in bases),
            verdict.basis.name.lower(),
        )
    require_state(row, _judged_in(row, offer, verdict))
    if verdict.basis is Basis.NOT_SAMPLED:
        require_not_sampled(row, offer, now, names)
    if not appealed:
        check_share(offer, signed)
    if any(reopen(known, names).signer == signed.signer for known in row.verdicts):
        raise refuse("this verifier gave a verdict before", ErrorCode.VERDICT_NOT_ADMITTED)


def _judged_in(row: EscrowRow, offer: Offer, verdict: Verdict) -> EscrowState:
    """The state in which a verdict counts: with the Answer where the proof is asked for."""
    result = None if row.result is None else reopen(row.result).of(Result).body
    spared = verdict.basis is Basis.NOT_SAMPLED
    waits = result is not None and owes_proof(offer.policy, result) and not spared
    return EscrowState.ANSWERED if waits else EscrowState.COMMITTED


def check_challenge(row: EscrowRow, offer: Offer, signed: Signed[Challenge], now: int) -> OnChallenge:
    """Whether a result may be challenged now; the policy it is challenged under.

    Raises:
        ProtocolError: ``lease_conflict`` without a recorded result or with a challenge; ``terms_not_acceptable``:
            another policy; ``statement_mismatch``: another result; ``unexpected_signer``: its own worker;
            ``not_due``: the window is over.
    """
    policy = offer.policy
    require_state(row, EscrowState.COMMITTED)
    if not isinstance(policy, OnChallenge):
        raise refuse("the offer's policy has no challenges", ErrorCode.TERMS_NOT_ACCEPTABLE)
    if row.result is None or signed.body.result != hashlib.sha256(row.result).digest():
        raise refuse("the challenge is of another result", ErrorCode.STATEMENT_MISMATCH)
    if signed.signer == row.worker:
        raise refuse("a worker cannot challenge its own result", ErrorCode.UNEXPECTED_SIGNER)
    if now >= row.until:
        raise refuse("the window for challenges is over", ErrorCode.NOT_DUE, f"< {row.until}", now)
    return policy


def check_demand(row: EscrowRow, offer: Offer, now: int, names: Names = itself) -> None:
    """Whether a draw asks for the proof of the recorded result.

    Raises:
        ProtocolError: ``lease_conflict``, ``verdict_not_admitted``: no draw; ``not_due``: it is not over, it spared the
            result, or the result has its proof.
    """
    require_state(row, EscrowState.COMMITTED)
    drawn = replay(row, offer, now, names).state is RoundState.CHECKED
    if not drawn or row.result is None or not owes_proof(offer.policy, reopen(row.result).of(Result).body):
        raise refuse("no draw asks for a proof", ErrorCode.NOT_DUE)


def check_answer(row: EscrowRow, signed: Signed[Answer], now: int) -> None:
    """Whether an Answer is its worker's, in time and on the recorded result.

    Raises:
        ProtocolError: ``unexpected_signer``, ``lease_conflict``, ``statement_mismatch``, ``not_due``.
    """
    signed.require_signer(row.worker or bytes(32))
    require_state(row, EscrowState.CHALLENGED)
    if row.result is None or signed.body.result != hashlib.sha256(row.result).digest():
        raise refuse("the answer is on another result", ErrorCode.STATEMENT_MISMATCH)
    if now >= row.until:
        raise refuse("the time for an answer is over", ErrorCode.NOT_DUE, f"< {row.until}", now)
