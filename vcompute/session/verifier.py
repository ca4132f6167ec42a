# SPDX-License-Identifier: Apache-2.0
"""The verifier's side: evidence in, a signed verdict out."""

import hashlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Enum as EnumKind
from vcompute.codec import field
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.identity.bls import SecretKey
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages import (
    Accept,
    Cancel,
    Check,
    Draw,
    Message,
    Offer,
    Receipt,
    Result,
    SampleCommit,
    Sampled,
    Signed,
    Verdict,
    open_message,
    reopen,
    seal,
)
from vcompute.messages.flow import ENVELOPE
from vcompute.messages.primitives import DIGEST, TIME
from vcompute.policy.certificate import share_of
from vcompute.policy.sampling import NONCE_SIZE, RoundState, SamplingRound, commitment, seal_commit, seal_reveal
from vcompute.policy.verification import basis_of
from vcompute.registry import Basis, ErrorCode
from vcompute.session.actions import Action, Closed, Job, Judge, Save, Send
from vcompute.session.timers import Timers, resend_after


@unique
class VerifierState(IntEnum):
    """Where a result stands for a verifier."""

    CHECKING = 1
    JUDGED = 2
    CLOSED = 3
    DRAWING = 4
    REVEALED = 5


@unique
class VerifierEvent(Enum):
    """What happens to a result under judgement."""

    CHECK = "the evidence, first or again"
    OPEN = "every party of the draw has committed"
    DRAWN = "the result is to be checked"
    SPARED = "the draw spares the result"
    PASSED = "the draw is over and others judge"
    JUDGED = "the check is done"
    SETTLED = "a receipt for the lease"
    CANCEL = "the lease or task was ended"
    RESEND = "no answer yet"
    EXPIRED = "the window for the verdict is over"


@unique
class VerifierEffect(Enum):
    """What a verifier does about it."""

    COMMIT = "send SampleCommit"
    REVEAL = "send SampleReveal"
    START = "check"
    SPEAK = "send the Verdict"
    CLOSE = "the result is over here"
    IGNORE = "nothing"


_S, _E, _A = VerifierState, VerifierEvent, VerifierEffect
_OPEN = (_S.DRAWING, _S.REVEALED, _S.CHECKING, _S.JUDGED)
_END = Rule(_S.CLOSED, (_A.CLOSE,))

VERIFIER_TABLE: Final = Table(
    "verifier",
    {
        _S.DRAWING: StateInfo("reveal_within", Owner.REQUESTER_AND_WORKER, "committed to a nonce"),
        _S.REVEALED: StateInfo("reveal_within", Owner.REQUESTER_AND_WORKER, "the nonce is revealed"),
        _S.CHECKING: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the check is under way"),
        _S.JUDGED: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the verdict is sent, no receipt yet"),
        _S.CLOSED: StateInfo("final", Owner.NONE, "settled, cancelled or too late"),
    },
    VerifierEvent,
    {
        (_S.CHECKING, _E.JUDGED): Rule(_S.JUDGED, (_A.SPEAK,)),
        (_S.CHECKING, _E.RESEND): Rule(_S.CHECKING, (_A.START,)),
        **{(_S.DRAWING, event): Rule(_S.DRAWING, (_A.COMMIT,)) for event in (_E.RESEND, _E.CHECK)},
        (_S.DRAWING, _E.OPEN): Rule(_S.REVEALED, (_A.REVEAL,)),
        **{(_S.REVEALED, event): Rule(_S.REVEALED, (_A.REVEAL,)) for event in (_E.RESEND, _E.CHECK, _E.OPEN)},
        **{(state, _E.DRAWN): Rule(_S.CHECKING, (_A.START,)) for state in (_S.DRAWING, _S.REVEALED)},
        **{(state, _E.SPARED): Rule(_S.JUDGED, (_A.SPEAK,)) for state in (_S.DRAWING, _S.REVEALED)},
        **{(state, _E.PASSED): _END for state in (_S.DRAWING, _S.REVEALED)},
        **{(state, event): _END for state in _OPEN for event in (_E.SETTLED, _E.CANCEL, _E.EXPIRED)},
        **{(_S.JUDGED, event): Rule(_S.JUDGED, (_A.SPEAK,)) for event in (_E.RESEND, _E.CHECK)},
        (_S.CLOSED, _E.CHECK): Rule(_S.CLOSED, (_A.SPEAK,)),
    },
    dict.fromkeys(VerifierEvent, (_A.IGNORE,)),
)
"""A verifier's transitions for one result."""


@dataclass(frozen=True, slots=True)
class VerifierRecord:
    """What a verifier keeps of a result."""

    lease: bytes = field(0, DIGEST, "lease")
    state: VerifierState = field(1, EnumKind(VerifierState), "state")
    offer: bytes = field(2, ENVELOPE, "the signed Offer")
    accept: bytes = field(3, ENVELOPE, "the signed Accept")
    result: bytes = field(4, ENVELOPE, "the signed Result")
    since: int = field(5, TIME, "when the evidence came")
    verdict: bytes | None = field(6, ENVELOPE, "the signed Verdict", optional=True)
    nonce: bytes | None = field(7, DIGEST, "this party's randomness in the draw", optional=True)


_KIND: Final = "verifier"


class VerifierSession:
    """All results under judgement of one verifier."""

    def __init__(self, key: PrivateKey, nonce: Callable[[int], bytes], member: SecretKey | None = None) -> None:
        """``nonce(n)`` gives ``n`` fresh random bytes for draws; ``member`` is the BLS key of this verifier's entry in
        verifier sets."""
        self._key = key
        self._member = member
        self._nonce = nonce
        self.records: dict[bytes, VerifierRecord] = {}
        self.timers: Timers[bytes] = Timers()
        self._tries: dict[bytes, int] = {}

    def restore(self, records: Iterable[VerifierRecord], now: int) -> list[Action]:
        """Go on after a restart."""
        actions: list[Action] = []
        for record in records:
            self.records[record.lease] = record
            if record.state is not VerifierState.CLOSED:
                actions += self._apply(record, VerifierEvent.RESEND, now)
        return actions

    def receive(self, message: Signed[Message], now: int) -> list[Action]:
        """A message from the coordinator.

        Raises:
            ProtocolError: the message is refused.
        """
        match message.body:
            case Check():
                return self._checked(message.body, now)
            case Draw():
                return self._draw(message.body, now)
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
        if record is None or record.state is not VerifierState.CHECKING:
            return []
        basis = basis_of(reopen(record.result).of(Result).body.suite.suite)
        return self._apply(self._spoken(record, basis, code), VerifierEvent.JUDGED, now)

    def _spoken(self, record: VerifierRecord, basis: Basis, code: ErrorCode | None) -> VerifierRecord:
        result = reopen(record.result).of(Result)
        body = Verdict(result.body.task, record.lease, result.digest, code is None, basis, code)
        if self._member is not None:
            body = replace(body, share=share_of(reopen(record.offer).of(Offer).body, body, self._member))
        return replace(record, verdict=seal(self._key, body).data)

    def tick(self, now: int) -> list[Action]:
        """Time has passed."""
        actions: list[Action] = []
        for lease in self.timers.due(now):
            record = self.records[lease]
            window = reopen(record.offer).of(Offer).body.verdict_within
            over = now >= record.since + 2 * window
            actions += self._apply(record, VerifierEvent.EXPIRED if over else VerifierEvent.RESEND, now)
        return actions

    def _checked(self, check: Check, now: int) -> list[Action]:
        offer = open_message(check.offer).of(Offer)
        accept = open_message(check.accept).of(Accept)
        result = open_message(check.result).of(Result)
        check_evidence(offer, accept, result)
        if offer.body.verifier_set is not None and self._member is None:
            raise ProtocolError("this verifier has no BLS key for the offer's set", code=ErrorCode.TERMS_NOT_ACCEPTABLE)
        if self._key.thumbprint not in parties_of(offer):
            raise ProtocolError("the offer names other verifiers", code=ErrorCode.UNEXPECTED_MESSAGE)
        known = self.records.get(accept.digest)
        if known is not None:
            if known.result != result.data:
                raise ProtocolError("another result for this lease was checked", code=ErrorCode.UNEXPECTED_MESSAGE)
            return self._apply(known, VerifierEvent.CHECK, now)
        record = VerifierRecord(accept.digest, VerifierState.CHECKING, offer.data, accept.data, result.data, now)
        if isinstance(offer.body.policy, Sampled):
            # The nonce is stored before the commitment is sent: after a restart it is still the one committed to.
            record = replace(record, state=VerifierState.DRAWING, nonce=self._nonce(NONCE_SIZE))
        return self._apply(record, VerifierEvent.RESEND, now)

    def _draw(self, draw: Draw, now: int) -> list[Action]:
        """What the coordinator has of a draw; nothing of it is believed that is not signed by its party."""
        record = self.records.get(draw.lease)
        if record is None or record.state not in (VerifierState.DRAWING, VerifierState.REVEALED):
            return []
        offer = reopen(record.offer).of(Offer)
        policy = offer.body.policy
        if not isinstance(policy, Sampled):
            return []
        rounds = SamplingRound(hashlib.sha256(record.result).digest(), parties_of(offer), policy.rate, 1, 0)
        for commit in draw.commits:
            rounds.commit(commit, 0)
        own = commitment(hashlib.sha256(record.result).digest(), self._key.thumbprint, record.nonce or b"")
        if rounds.state is RoundState.REVEALING and own not in {_commitment(commit) for commit in draw.commits}:
            raise ProtocolError("the draw holds another commitment of this party", code=ErrorCode.UNEXPECTED_MESSAGE)
        if rounds.state is RoundState.REVEALING:
            for reveal in draw.reveals:
                rounds.reveal(reveal, 0)
        if rounds.state is RoundState.REVEALING and not draw.closed:
            return self._apply(record, VerifierEvent.OPEN, now)
        if not (draw.closed or rounds.state in (RoundState.CHECKED, RoundState.NOT_SAMPLED)):
            return []
        if self._key.thumbprint not in offer.body.verifiers:
            return self._apply(record, VerifierEvent.PASSED, now)
        if rounds.state is RoundState.NOT_SAMPLED:
            return self._apply(self._spoken(record, Basis.NOT_SAMPLED, None), VerifierEvent.SPARED, now)
        return self._apply(record, VerifierEvent.DRAWN, now)

    def _apply(self, record: VerifierRecord, event: VerifierEvent, now: int) -> list[Action]:
        rule = VERIFIER_TABLE.rule(record.state, event)
        if rule.effects == (VerifierEffect.IGNORE,):
            return []
        if rule.to is not record.state:
            record = replace(record, state=rule.to)
            self._tries.pop(record.lease, None)
        actions: list[Action] = [Save(_KIND, record.lease, record)]
        for effect in rule.effects:
            match effect:
                case VerifierEffect.COMMIT | VerifierEffect.REVEAL if record.nonce is not None:
                    result = hashlib.sha256(record.result).digest()
                    seal_record = seal_commit if effect is VerifierEffect.COMMIT else seal_reveal
                    actions.append(Send(None, seal_record(self._key, result, record.nonce)))
                case VerifierEffect.START:
                    offer, accept = reopen(record.offer).of(Offer), reopen(record.accept)
                    job = Job(offer.digest, accept.digest, accept.signer, offer)
                    actions.append(Judge(job, reopen(record.result).of(Result)))
                case VerifierEffect.SPEAK if record.verdict is not None:
                    actions.append(Send(None, record.verdict))
                case VerifierEffect.CLOSE:
                    actions.append(Closed(record.lease))
                case _:
                    pass
        self.records[record.lease] = record
        time: int | None = None
        if record.state is not VerifierState.CLOSED:
            tries = self._tries[record.lease] = self._tries.get(record.lease, -1) + 1
            time = now + resend_after(tries)
        self.timers.set(record.lease, time)
        return actions


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
    """Who sees the evidence: the verifiers, and in a draw the requester too."""
    drawing = isinstance(offer.body.policy, Sampled)
    return frozenset(offer.body.verifiers) | ({offer.signer} if drawing else frozenset())


def _commitment(data: bytes) -> bytes:
    return reopen(data).of(SampleCommit).body.commitment
