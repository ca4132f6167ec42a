# SPDX-License-Identifier: Apache-2.0
"""What makes a receipt worth its paper: the offer's parties and amounts, the worker's own result, and verdicts of the
offer's verifiers on it, or their certificate. All of it is in offer and receipt; nobody is asked."""

import hashlib
from dataclasses import dataclass

from vcompute.errors import ProtocolError
from vcompute.identity import Keyring
from vcompute.messages import (
    Challenge,
    Message,
    Offer,
    OnChallenge,
    Receipt,
    Result,
    SampleCommit,
    Sampled,
    SampleReveal,
    Signed,
    Verdict,
    by_name,
    open_message,
)
from vcompute.policy.certificate import quorum_of, statement_of
from vcompute.policy.sampling import RoundState, SamplingRound
from vcompute.policy.verification import judged_bases
from vcompute.registry import Basis, ErrorCode, Outcome


@dataclass(frozen=True, slots=True)
class Grounds:
    """What a receipt rests on."""

    verifiers: tuple[bytes, ...] = ()
    """Thumbprints of those who judged; empty where nothing was judged."""
    bases: frozenset[Basis] = frozenset()
    """What their verdicts rest on."""
    certified: bool = False
    """Whether one certificate stands for the verdicts."""
    unanswered: bool = False
    """Whether the worker is convicted because it did not answer for its result in time."""


class _Signers:
    """Opens what is inside a receipt, each message as its party's, and remembers who is revoked."""

    def __init__(self, keys: Keyring, body: Receipt) -> None:
        self._keys = keys
        self._named = frozenset(body.rotations or ())
        self._time = body.time

    def name(self, key: bytes) -> bytes:
        """The party of a key, by a rotation that the receipt names."""
        rotation = self._keys.rotation_to(key)
        if rotation is not None and rotation not in self._named:
            raise ProtocolError(
                "the receipt does not name the rotation to a key that signed in it",
                code=ErrorCode.RECEIPT_MISMATCH,
                expected=rotation.hex(),
            )
        return self._keys.name_of(key)

    def open(self, data: bytes) -> Signed[Message]:
        """A message inside the receipt."""
        return open_message(data, self.name)

    def judge(self, data: bytes) -> Signed[Verdict]:
        """A verdict inside the receipt.

        Raises:
            ProtocolError: ``key_revoked``: its key was revoked when the receipt was signed.
        """
        verdict = open_message(data).of(Verdict)
        self.require_unrevoked(verdict.signer)
        return by_name(verdict, self.name)

    def require_unrevoked(self, key: bytes) -> None:
        """Refuse the judgement of a key that was revoked when the receipt was signed."""
        revoked = self._keys.revoked_at(key)
        if revoked is not None and revoked <= self._time:
            raise ProtocolError(
                "a verifier in the receipt was revoked before", code=ErrorCode.KEY_REVOKED, got=key.hex()
            )

    def require_party(self, name: bytes) -> None:
        """Refuse the judgement of a party whose newest key was revoked when the receipt was signed."""
        self.require_unrevoked(self._keys.current(name))


def check_receipt(receipt: Signed[Receipt], offer: Signed[Offer], keys: Keyring | None = None) -> Grounds:
    """Check a receipt against its offer; the signatures of both were checked when they were opened.

    ``keys`` knows the rotations and revocations of the parties, as far as they are known here. Without the rotations
    that a receipt names, its messages are of strangers.

    Raises:
        ProtocolError: ``unexpected_signer``: not of the offer's settlement, or a result of another than the worker;
            ``key_revoked``: a verifier whose key was revoked at the time of the receipt;
            ``receipt_mismatch``: another task, requester or amount; ``schema_violation``: no result where one is
            judged; ``stale_lease``: a result of another lease; ``verdict_not_admitted``: a verdict that does not
            count; ``quorum_not_reached``; the errors of a certificate or of an envelope inside.
        EncodingError: an envelope inside does not open.
    """
    body, terms = receipt.body, offer.body
    signers = _Signers(keys or Keyring(), body)
    offer = by_name(offer, signers.name)
    receipt.require_signer(terms.settlement)
    moved = terms.price if body.outcome in (Outcome.PAID, Outcome.REFUNDED) else 0
    bond = 0 if body.outcome is Outcome.REFUNDED else terms.bond
    units = terms.work_units if body.outcome is Outcome.PAID else 0
    expected = (offer.digest, offer.signer, moved, bond, units)
    got = (body.task, body.requester, body.amount, body.bond, body.work_units)
    if expected != got:
        raise ProtocolError(
            "the receipt is not of this offer, or of other amounts",
            code=ErrorCode.RECEIPT_MISMATCH,
            expected=expected[2:],
            got=got[2:],
        )
    if body.outcome not in (Outcome.PAID, Outcome.SLASHED):
        return Grounds()
    return _check_judgement(body, terms, _check_result(body, terms, signers), signers)


def _check_result(body: Receipt, terms: Offer, signers: _Signers) -> bytes:
    """The digest of the result inside, shown to be the worker's own under its lease."""
    if body.result is None or body.worker is None or body.lease is None:
        raise ProtocolError("a receipt of a judgement holds worker, lease and result", code=ErrorCode.SCHEMA_VIOLATION)
    result = signers.open(body.result).of(Result)
    result.require_signer(body.worker)
    if (result.body.task, result.body.lease) != (body.task, body.lease):
        raise ProtocolError("the result in the receipt is of another lease", code=ErrorCode.STALE_LEASE)
    if result.body.suite not in terms.policy.suites:
        raise ProtocolError("the offer's policy does not admit this suite", code=ErrorCode.NO_COMMON_SUITE)
    return result.digest


def _check_judgement(body: Receipt, terms: Offer, result: bytes, signers: _Signers) -> Grounds:
    accepted = body.outcome is Outcome.PAID
    if body.certificate is None:
        by_time = (
            _check_unchallenged(body, terms, result) if accepted else _check_unanswered(body, terms, result, signers)
        )
        if by_time is not None:
            return by_time
    grounds = _check_verifiers(body, terms, result, accepted, signers)
    if Basis.NOT_SAMPLED in grounds.bases and not _spared(body, terms, signers):
        raise ProtocolError("the draw in the receipt did not spare it", code=ErrorCode.VERDICT_NOT_ADMITTED)
    return grounds


def _check_unchallenged(body: Receipt, terms: Offer, result: bytes) -> Grounds | None:
    """Under ``on_challenge`` the settlement says that nobody challenged the result; None where verifiers judged."""
    if not isinstance(terms.policy, OnChallenge) or len(body.verdicts) != 1 or body.challenge is not None:
        return None
    verdict = open_message(body.verdicts[0]).of(Verdict)
    said = verdict.body
    if verdict.signer != terms.settlement or said.basis is not Basis.UNCHALLENGED:
        return None
    if (said.task, said.lease, said.result, said.accepted) != (body.task, body.lease, result, True):
        raise ProtocolError("the settlement's word is on another result", code=ErrorCode.VERDICT_NOT_ADMITTED)
    return Grounds((terms.settlement,), frozenset({Basis.UNCHALLENGED}))


def _check_unanswered(body: Receipt, terms: Offer, result: bytes, signers: _Signers) -> Grounds | None:
    """A conviction for silence has what asked for the proof: a challenge, or a draw; None where verifiers judged."""
    if body.verdicts:
        return None
    if isinstance(terms.policy, OnChallenge) and body.challenge is not None:
        challenge = signers.open(body.challenge).of(Challenge)
        if (challenge.body.task, challenge.body.lease, challenge.body.result) == (body.task, body.lease, result):
            return Grounds(unanswered=True)
    if isinstance(terms.policy, Sampled) and not _spared(body, terms, signers):
        return Grounds(unanswered=True)
    return None


def _spared(body: Receipt, terms: Offer, signers: _Signers) -> bool:
    """Whether the draw in a receipt is whole and spares the result."""
    if not isinstance(terms.policy, Sampled):
        return False
    records = body.draw or ()
    commits = [record for record in records if isinstance(open_message(record).body, SampleCommit)]
    reveals = [record for record in records if isinstance(open_message(record).body, SampleReveal)]
    parties = frozenset({body.requester, *terms.verifiers})
    draw = SamplingRound.replay(body.result or b"", parties, terms.policy.rate, commits, reveals, signers.name)
    return draw.state is RoundState.NOT_SAMPLED


def _check_verifiers(body: Receipt, terms: Offer, result: bytes, accepted: bool, signers: _Signers) -> Grounds:
    bases = judged_bases(terms.policy, accepted=accepted)
    fallback = terms.fallback or ()
    appealed = len(body.verdicts) == 1 and signers.open(body.verdicts[0]).signer in fallback
    if terms.verifier_set is not None and not appealed:
        return _check_certificate(body, terms, result, accepted, bases, signers)
    judges: dict[bytes, Basis] = {}
    for data in body.verdicts:
        verdict = signers.judge(data)
        said = verdict.body
        right = (said.task, said.lease, said.result, said.accepted) == (body.task, body.lease, result, accepted)
        if not right or verdict.signer not in (*terms.verifiers, *fallback) or said.basis not in bases:
            raise ProtocolError(
                "a verdict in the receipt is not one that the offer admits for this result",
                code=ErrorCode.VERDICT_NOT_ADMITTED,
                got=hashlib.sha256(data).hexdigest(),
            )
        judges[verdict.signer] = said.basis
    if len(judges) < terms.quorum and not appealed:
        raise ProtocolError(
            "fewer verifiers judged than the offer's quorum",
            code=ErrorCode.QUORUM_NOT_REACHED,
            expected=f">= {terms.quorum}",
            got=len(judges),
        )
    return Grounds(tuple(judges), frozenset(judges.values()))


def _check_certificate(
    body: Receipt, terms: Offer, result: bytes, accepted: bool, bases: frozenset[Basis], signers: _Signers
) -> Grounds:
    certificate, members = body.certificate, terms.verifier_set
    if certificate is None or members is None:
        raise ProtocolError("the receipt has no certificate of the offer's set", code=ErrorCode.QUORUM_NOT_REACHED)
    task, lease = body.task, body.lease or bytes(32)
    statements = {statement_of(task, lease, result, accepted=accepted, basis=basis): basis for basis in bases}
    basis = statements.get(certificate.statement)
    if basis is None:
        raise ProtocolError(
            "the certificate is of another judgement, or on a basis that the offer does not admit",
            code=ErrorCode.VERDICT_NOT_ADMITTED,
        )
    certified = quorum_of(members).verify(certificate, certificate.statement)
    devices = tuple(members.members[index].device for index in certified)
    for device in devices:
        signers.require_party(device)
    return Grounds(devices, frozenset({basis}), certified=True)
