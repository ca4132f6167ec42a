# SPDX-License-Identifier: Apache-2.0
"""The verifier's side: evidence in, a signed verdict out."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.identity.bls import SecretKey
from vcompute.identity.confidential import reader_key
from vcompute.identity.hpke import public_bytes
from vcompute.messages import (
    Accept,
    Always,
    Answer,
    Cancel,
    Challenge,
    Check,
    Draw,
    Keys,
    Message,
    Offer,
    OnChallenge,
    Opening,
    Reader,
    Receipt,
    Result,
    SampleCommit,
    Sampled,
    Signed,
    Verdict,
    by_name,
    reopen,
    seal,
)
from vcompute.policy.certificate import share_of
from vcompute.policy.sampling import NONCE_SIZE, RoundState, SamplingRound, commitment, seal_commit, seal_reveal
from vcompute.policy.verification import basis_of, owes_proof
from vcompute.registry import Basis, ErrorCode, Role
from vcompute.session.actions import Action, Closed, Job, Judge, Save, Send
from vcompute.session.identity import ClientIdentity
from vcompute.session.roster import Standing
from vcompute.session.shelf import MAX_CLOSED, Shelf
from vcompute.session.timers import Timers, resend_after
from vcompute.session.verifier_history import History
from vcompute.session.verifier_table import (
    VERIFIER_TABLE,
    VerifierEffect,
    VerifierEvent,
    VerifierRecord,
    VerifierState,
)

_KIND: Final = "verifier"


class VerifierSession:
    """All results under judgement of one verifier."""

    def __init__(
        self,
        key: PrivateKey,
        nonce: Callable[[int], bytes],
        member: SecretKey | None = None,
        watch: Callable[[Job], bool] = lambda job: True,
        seed: bytes | None = None,
        *,
        who: ClientIdentity | None = None,
        recall: Callable[[bytes], VerifierRecord | None] = lambda _: None,
        history: Callable[[bytes], Standing | None] | None = None,
        closed: int = MAX_CLOSED,
    ) -> None:
        """``nonce(n)`` gives ``n`` fresh random bytes for draws; ``member`` is the BLS key of this verifier's entry in
        verifier sets; ``watch`` says which results that may be challenged are run again;
        ``seed``: at least 32 secret bytes that keys for confidential inputs come from; ``who``: the party's name
        and what it knows of others, where the key is not its first; ``recall`` reads back what was stored under a
        lease, or gives None; ``closed`` records stay in memory; ``history`` reads back what was stored of a worker,
        and without it nothing is checked that was not drawn."""
        self._seed = seed
        self._history = None if history is None else History(history, nonce)
        self._watch = watch
        self._key = key
        self._who = who or ClientIdentity(key)
        self._member = member
        self._nonce = nonce
        self.records = Shelf(_closed, recall, closed)
        self.timers: Timers[bytes] = Timers()
        self._tries: dict[bytes, int] = {}

    def restore(self, records: Iterable[VerifierRecord], now: int) -> list[Action]:
        """Go on after a restart."""
        actions: list[Action] = []
        for record in records:
            self.records[record.lease] = record
            if not _closed(record):
                actions += self._apply(record, VerifierEvent.RESEND, now)
        return actions

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from the coordinator.

        Raises:
            ProtocolError: the message is refused.
        """
        message = by_name(message, self._who.name_of)
        match message.body:
            case Keys():
                self._who.learn(message.body, now)
                return []
            case Check():
                return self._checked(message.body, now)
            case Draw():
                return self._draw(message.body, now)
            case Opening():
                return self._opened(message.of(Opening), now)
            case Cancel(_, _, lease) | Receipt(lease=lease):
                record = self.records.get(lease or b"")
                if record is None:
                    return []
                event = VerifierEvent.CANCEL
                if isinstance(message.body, Receipt):
                    message.require_signer(reopen(record.offer).of(Offer).body.settlement)
                    event = VerifierEvent.SETTLED
                return self._apply(record, event, now)
            case _:
                raise ProtocolError(
                    f"a verifier does not take a {type(message.body).__name__}", code=ErrorCode.UNEXPECTED_MESSAGE
                )

    def judged(self, lease: bytes, code: ErrorCode | None, now: int) -> list[Action]:
        """The check of a result is done; ``code`` says why it does not stand, None that it does."""
        record = self.records.get(lease)
        if record is not None and record.state is VerifierState.WATCHING:
            return self._apply(record, VerifierEvent.SOUND if code is None else VerifierEvent.WRONG, now)
        if record is None or record.state is not VerifierState.CHECKING:
            return []
        basis = basis_of(reopen(record.result).of(Result).body.suite.suite)
        spoken = self._apply(self._spoken(record, basis, code), VerifierEvent.JUDGED, now)
        if self._history is not None:
            spoken.append(self._history.checked(self._worker(record), accepted=code is None))
        return spoken

    def _spoken(self, record: VerifierRecord, basis: Basis, code: ErrorCode | None) -> VerifierRecord:
        result = reopen(record.result).of(Result)
        body = Verdict(result.body.task, record.lease, result.digest, code is None, basis, code)
        if self._member is not None and self._who.name in reopen(record.offer).of(Offer).body.verifiers:
            body = replace(body, share=share_of(reopen(record.offer).of(Offer).body, body, self._member))
        return replace(record, verdict=seal(self._key, body).data)

    def tick(self, now: int) -> list[Action]:
        """Time has passed; the driver has done everything that earlier steps asked of it."""
        self.records.trim()
        actions: list[Action] = []
        for lease in self.timers.due(now):
            record = self.records[lease]
            actions += self._apply(record, _timed(record, now), now)
        return actions

    def _checked(self, check: Check, now: int) -> list[Action]:
        offer = self._who.open(check.offer).of(Offer)
        accept = self._who.open(check.accept).of(Accept)
        result = self._who.open(check.result).of(Result)
        check_evidence(offer, accept, result)
        answer = None if check.answer is None else check_answer(self._who.open(check.answer).of(Answer), accept, result)
        listed = self._who.name in offer.body.verifiers
        if offer.body.verifier_set is not None and self._member is None and listed:
            raise ProtocolError("this verifier has no BLS key for the offer's set", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
        secret = offer.body.confidential
        if secret is not None and offer.signer != self._who.name and not (secret.verifiers and self._seed):
            raise ProtocolError("the inputs are not opened to this verifier", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
        if self._who.name not in parties_of(offer):
            raise ProtocolError("the offer names other verifiers", code=ErrorCode.UNEXPECTED_MESSAGE)
        known = self.records.get(accept.digest)
        if known is not None:
            if known.result != result.data:
                raise ProtocolError("another result for this lease was checked", code=ErrorCode.UNEXPECTED_MESSAGE)
            if answer is not None and known.answer is None:
                return self._answered(replace(known, answer=answer.data), now)
            return self._apply(known, VerifierEvent.CHECK, now)
        self.records.require_place()
        record = VerifierRecord(accept.digest, VerifierState.CHECKING, offer.data, accept.data, result.data, now)
        fallback = self._who.name in (offer.body.fallback or ())
        if fallback:
            pass  # it is asked when draws and windows are over
        elif isinstance(offer.body.policy, Sampled):
            # The nonce is stored before the commitment is sent: after a restart it is still the one committed to.
            record = replace(record, state=VerifierState.DRAWING, nonce=self._nonce(NONCE_SIZE))
        elif isinstance(offer.body.policy, OnChallenge):
            watched = self._watch(self._job(record))
            record = replace(record, state=VerifierState.WATCHING if watched else VerifierState.AWAITING)
        if answer is not None:
            return self._answered(replace(record, answer=answer.data), now)
        return self._apply(record, VerifierEvent.RESEND, now)

    def _opened(self, opening: Signed[Opening], now: int) -> list[Action]:
        """The requester's opening of the inputs, for this verifier and lease."""
        record = self.records.get(opening.body.lease)
        if record is None or record.opening is not None:
            return []
        opening.require_signer(self._who.reopen(record.offer).signer)
        if opening.body.reader != self._who.name:
            raise ProtocolError("an opening for another reader", code=ErrorCode.UNEXPECTED_MESSAGE)
        return self._apply(replace(record, opening=opening.data), VerifierEvent.OPENED, now)

    def _judge(self, record: VerifierRecord, watch: bool) -> Action:
        """The check, or the request for the opening of the inputs; the requester itself has them."""
        offer = self._who.reopen(record.offer).of(Offer)
        own = offer.signer == self._who.name
        if offer.body.confidential is None or own or record.opening is not None:
            answer = None if record.answer is None else reopen(record.answer).of(Answer)
            return Judge(self._job(record), reopen(record.result).of(Result), answer, watch)
        key = public_bytes(reader_key(self._seed or b"", record.lease).public_key())
        return Send(None, seal(self._key, Reader(offer.digest, record.lease, Role.VERIFIER, key)).data)

    def _answered(self, record: VerifierRecord, now: int) -> list[Action]:
        offer = reopen(record.offer).of(Offer).body
        judges = self._who.name in (*offer.verifiers, *(offer.fallback or ()))
        return self._apply(record, VerifierEvent.ANSWERED if judges else VerifierEvent.PASSED, now)

    def _job(self, record: VerifierRecord) -> Job:
        offer, accept = self._who.reopen(record.offer).of(Offer), self._who.reopen(record.accept)
        opening = None if record.opening is None else reopen(record.opening).of(Opening)
        return Job(offer.digest, accept.digest, accept.signer, offer, opening)

    def _draw(self, draw: Draw, now: int) -> list[Action]:
        """What the coordinator has of a draw; nothing of it is believed that is not signed by its party."""
        record = self.records.get(draw.lease)
        if record is None or record.state not in (VerifierState.DRAWING, VerifierState.REVEALED):
            return []
        offer = self._who.reopen(record.offer).of(Offer)
        policy = offer.body.policy
        if not isinstance(policy, Sampled):
            return []
        rounds = SamplingRound(
            hashlib.sha256(record.result).digest(), parties_of(offer), policy.rate, 1, 0, self._who.name_of
        )
        for commit in draw.commits:
            rounds.commit(commit, 0)
        own = commitment(hashlib.sha256(record.result).digest(), self._who.name, record.nonce or b"")
        if rounds.state is RoundState.REVEALING and own not in {_commitment(commit) for commit in draw.commits}:
            raise ProtocolError("the draw holds another commitment of this party", code=ErrorCode.UNEXPECTED_MESSAGE)
        if rounds.state is RoundState.REVEALING:
            for reveal in draw.reveals:
                rounds.reveal(reveal, 0)
        if rounds.state is RoundState.REVEALING and not draw.closed:
            return self._apply(record, VerifierEvent.OPEN, now)
        if not (draw.closed or rounds.state in (RoundState.CHECKED, RoundState.NOT_SAMPLED)):
            return []
        if self._who.name not in offer.body.verifiers:
            return self._apply(record, VerifierEvent.PASSED, now)
        owed = record.answer is None and owes_proof(policy, reopen(record.result).of(Result).body)
        history = None if owed else self._history
        spared = rounds.state is RoundState.NOT_SAMPLED
        if spared and not (history and history.looks_closer(self._worker(record), offer.body, policy)):
            return self._apply(self._spoken(record, Basis.NOT_SAMPLED, None), VerifierEvent.SPARED, now)
        return self._apply(record, VerifierEvent.OWED if owed else VerifierEvent.DRAWN, now)

    def _worker(self, record: VerifierRecord) -> bytes:
        return self._who.name_of(reopen(record.accept).signer)

    def _challenge(self, record: VerifierRecord) -> VerifierRecord:
        if record.challenge is not None:
            return record
        result = reopen(record.result).of(Result)
        body = Challenge(result.body.task, record.lease, result.digest)
        return replace(record, challenge=seal(self._key, body).data)

    def _apply(self, record: VerifierRecord, event: VerifierEvent, now: int) -> list[Action]:
        rule = VERIFIER_TABLE.rule(record.state, event)
        if rule.effects == (VerifierEffect.IGNORE,):
            return []
        if rule.to is not record.state:
            record = replace(record, state=rule.to)
            self._tries.pop(record.lease, None)
        actions: list[Action] = [Save(_KIND, record.lease, record, _closed(record))]
        for effect in rule.effects:
            match effect:
                case VerifierEffect.COMMIT | VerifierEffect.REVEAL if record.nonce is not None:
                    result = hashlib.sha256(record.result).digest()
                    said = (
                        seal_commit(self._key, result, record.nonce, self._who.name)
                        if effect is VerifierEffect.COMMIT
                        else seal_reveal(self._key, result, record.nonce)
                    )
                    actions.append(Send(None, said))
                case VerifierEffect.START | VerifierEffect.WATCH:
                    actions.append(self._judge(record, effect is VerifierEffect.WATCH))
                case VerifierEffect.CHALLENGE:
                    record = self._challenge(record)
                    actions[0] = Save(_KIND, record.lease, record)
                    actions.append(Send(None, record.challenge or b""))
                case VerifierEffect.SPEAK if record.verdict is not None:
                    actions.append(Send(None, record.verdict))
                case VerifierEffect.CLOSE:
                    actions.append(Closed(record.lease))
                case _:
                    pass
        self.records[record.lease] = record
        time: int | None = None
        if not _closed(record):
            tries = self._tries[record.lease] = self._tries.get(record.lease, -1) + 1
            time = now + resend_after(tries)
        self.timers.set(record.lease, time)
        return actions


def _closed(record: VerifierRecord) -> bool:
    return VERIFIER_TABLE.final(record.state)


def _timed(record: VerifierRecord, now: int) -> VerifierEvent:
    """What time says to a record: the end, a watch that takes too long, or to say it again."""
    offer = reopen(record.offer).of(Offer).body
    policy, within = offer.policy, 2 * offer.verdict_within
    if isinstance(policy, OnChallenge):
        within += policy.window + policy.answer_within
        if record.state is VerifierState.WATCHING and now >= record.since + policy.window * 3 // 4:
            return VerifierEvent.WRONG  # outputs that do not come are challenged like wrong ones
    elif isinstance(policy, Sampled):
        within += offer.verdict_within + 2 * policy.reveal_within
    return VerifierEvent.EXPIRED if now >= record.since + within else VerifierEvent.RESEND


def check_answer(answer: Signed[Answer], accept: Signed[Accept], result: Signed[Result]) -> Signed[Answer]:
    """Whether an Answer is of this lease's worker and result.

    Raises:
        ProtocolError: ``unexpected_signer``, ``stale_lease``, ``statement_mismatch``.
    """
    answer.require_signer(accept.signer)
    if answer.body.task != accept.body.task or answer.body.lease != accept.digest:
        raise ProtocolError("the answer is of another lease", code=ErrorCode.STALE_LEASE)
    if answer.body.result != result.digest:
        raise ProtocolError("the answer is on another result", code=ErrorCode.STATEMENT_MISMATCH)
    return answer


def check_evidence(offer: Signed[Offer], accept: Signed[Accept], result: Signed[Result]) -> None:
    """Whether the three belong together: one task, one lease, one worker, a suite of the policy.

    Raises:
        ProtocolError: ``stale_lease``, ``unexpected_signer``, ``no_common_suite``.
    """
    if accept.body.task != offer.digest or result.body.task != offer.digest or result.body.lease != accept.digest:
        raise ProtocolError("offer, acceptance and result are of different tasks", code=ErrorCode.STALE_LEASE)
    result.require_signer(accept.signer)
    if result.body.suite not in offer.body.policy.suites:
        raise ProtocolError("the offer's policy does not admit this suite", code=ErrorCode.NO_COMMON_SUITE)


def parties_of(offer: Signed[Offer]) -> frozenset[bytes]:
    """Who sees the evidence: the verifiers, and in a draw or where it may be challenged the requester too."""
    alone = isinstance(offer.body.policy, Always)
    return frozenset((*offer.body.verifiers, *(offer.body.fallback or ()))) | (frozenset() if alone else {offer.signer})


def _commitment(data: bytes) -> bytes:
    return reopen(data).of(SampleCommit).body.commitment
