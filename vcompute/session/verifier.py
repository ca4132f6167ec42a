# SPDX-License-Identifier: Apache-2.0
"""The verifier's side: evidence in, a signed verdict out."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Enum as EnumKind
from vcompute.codec import field
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages import (
    Accept,
    Cancel,
    Check,
    Message,
    Offer,
    Receipt,
    Result,
    Signed,
    Verdict,
    open_message,
    reopen,
    seal,
)
from vcompute.messages.flow import ENVELOPE
from vcompute.messages.primitives import DIGEST, TIME
from vcompute.policy.verification import basis_of
from vcompute.registry import ErrorCode
from vcompute.session.actions import Action, Closed, Job, Judge, Save, Send
from vcompute.session.timers import Timers, resend_after


@unique
class VerifierState(IntEnum):
    """Where a result stands for a verifier."""

    CHECKING = 1
    JUDGED = 2
    CLOSED = 3


@unique
class VerifierEvent(Enum):
    """What happens to a result under judgement."""

    CHECK = "the evidence, first or again"
    JUDGED = "the check is done"
    SETTLED = "a receipt for the lease"
    CANCEL = "the lease or task was ended"
    RESEND = "no answer yet"
    EXPIRED = "the window for the verdict is over"


@unique
class VerifierEffect(Enum):
    """What a verifier does about it."""

    START = "check"
    SPEAK = "send the Verdict"
    CLOSE = "the result is over here"
    IGNORE = "nothing"


_S, _E, _A = VerifierState, VerifierEvent, VerifierEffect
_END = Rule(_S.CLOSED, (_A.CLOSE,))

VERIFIER_TABLE: Final = Table(
    "verifier",
    {
        _S.CHECKING: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the check is under way"),
        _S.JUDGED: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the verdict is sent, no receipt yet"),
        _S.CLOSED: StateInfo("final", Owner.NONE, "settled, cancelled or too late"),
    },
    VerifierEvent,
    {
        (_S.CHECKING, _E.JUDGED): Rule(_S.JUDGED, (_A.SPEAK,)),
        (_S.CHECKING, _E.RESEND): Rule(_S.CHECKING, (_A.START,)),
        **{(state, event): _END for state in (_S.CHECKING, _S.JUDGED) for event in (_E.SETTLED, _E.CANCEL, _E.EXPIRED)},
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


_KIND: Final = "verifier"


class VerifierSession:
    """All results under judgement of one verifier."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key
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
        result = reopen(record.result).of(Result)
        body = Verdict(result.body.task, lease, result.digest, code is None, basis_of(result.body.suite.suite), code)
        return self._apply(replace(record, verdict=seal(self._key, body).data), VerifierEvent.JUDGED, now)

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
        if self._key.thumbprint not in offer.body.verifiers:
            raise ProtocolError("the offer names other verifiers", code=ErrorCode.UNEXPECTED_MESSAGE)
        known = self.records.get(accept.digest)
        if known is not None:
            if known.result != result.data:
                raise ProtocolError("another result for this lease was checked", code=ErrorCode.UNEXPECTED_MESSAGE)
            return self._apply(known, VerifierEvent.CHECK, now)
        record = VerifierRecord(accept.digest, VerifierState.CHECKING, offer.data, accept.data, result.data, now)
        return self._apply(record, VerifierEvent.RESEND, now)

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
