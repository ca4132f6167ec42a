# SPDX-License-Identifier: Apache-2.0
"""What a coordinator says about a task, and to whom."""

from vcompute.identity import PrivateKey
from vcompute.messages import (
    Always,
    Answer,
    Assign,
    BlobRef,
    Cancel,
    Check,
    Decline,
    Draw,
    Names,
    Offer,
    Policy,
    Receipt,
    Result,
    Sampled,
    itself,
    reopen,
    seal,
)
from vcompute.policy.sampling import RoundState, SamplingRound
from vcompute.policy.verification import appeal_of, owes_proof
from vcompute.registry import ErrorCode, Outcome
from vcompute.session.actions import Action, Send, Stage
from vcompute.session.coordinator_table import TaskEffect, TaskRecord, TaskState


class Speaker:
    """Makes a coordinator's messages from the records of its tasks."""

    def __init__(self, key: PrivateKey) -> None:
        self._key = key

    def send(self, effect: TaskEffect, record: TaskRecord, actions: list[Action]) -> None:
        """The messages of an effect on the way to a verdict."""
        offer = reopen(record.offer).of(Offer).body
        if effect is TaskEffect.ASSIGN and record.worker is not None:
            assign = Assign(record.offer, record.attempt, offer.price)
            actions.append(Send(record.worker, seal(self._key, assign).data))
        elif (
            effect in (TaskEffect.CHECK, TaskEffect.APPEAL) and record.accept is not None and record.result is not None
        ):
            check = seal(self._key, Check(record.offer, record.accept, record.result, record.answer)).data
            parties = draw_parties(record) if effect is TaskEffect.CHECK else offer.fallback or ()
            actions += [Send(party, check) for party in parties]
        elif effect is TaskEffect.DRAW and has_draw(record):
            actions += self._draw(record)
        elif effect is TaskEffect.ASK_PROOF and record.worker is not None:
            ask = record.challenge or seal(self._key, self._drawn(record)).data
            actions.append(Send(record.worker, ask))
        elif effect is TaskEffect.FORWARD_ACCEPT and record.accept is not None:
            actions.append(Send(record.requester, record.accept))
        elif effect is TaskEffect.CANCEL_WORKER and record.worker is not None:
            code = ErrorCode.CANCELLED if record.cancel is not None else record.code or ErrorCode.LEASE_EXPIRED
            actions.append(self.cancel_to(record.worker, record.task, record.lease, code))

    def _draw(self, record: TaskRecord) -> list[Action]:
        """What there is of a draw, once it says something: all commitments, or that no more is waited for."""
        parties = draw_parties(record)
        draw = self._drawn(record)
        if not draw.closed and len(record.commits) < len(parties):
            return []
        data = seal(self._key, draw).data
        return [Send(party, data) for party in parties]

    @staticmethod
    def _drawn(record: TaskRecord) -> Draw:
        closed = record.state is not TaskState.DRAWING
        return Draw(record.task, record.lease or bytes(32), record.commits, record.reveals, closed)

    def cancel_to(self, party: bytes, task: bytes, lease: bytes | None, code: ErrorCode) -> Send:
        """A Cancel of one lease."""
        return Send(party, seal(self._key, Cancel(task, code, lease)).data)

    def tell(self, effect: TaskEffect, record: TaskRecord, actions: list[Action]) -> None:
        """The messages of an effect that reports an end or where the task stands."""
        if effect is TaskEffect.TELL_REFUSED:
            decline = Decline(record.task, 0, record.code or ErrorCode.TERMS_NOT_ACCEPTABLE)
            actions.append(Send(record.requester, seal(self._key, decline).data))
        elif effect is TaskEffect.STATUS:
            actions += [Send(record.requester, data) for data in record.receipts]
            if record.accept is not None and record.state is not TaskState.BONDING:
                actions.append(Send(record.requester, record.accept))
        elif record.receipts:
            receipt = record.receipts[-1]
            body = reopen(receipt).of(Receipt).body
            judged = body.outcome in (Outcome.PAID, Outcome.SLASHED)
            terms = reopen(record.offer).of(Offer).body
            verifiers = (*terms.verifiers, *(terms.fallback or ())) if judged else ()
            concerned = {record.requester, *verifiers} | ({body.worker} if body.worker else set())
            concerned |= set() if body.challenge is None else {reopen(body.challenge).signer}
            actions += [Send(party, receipt) for party in sorted(concerned)]


def wanted(effect: TaskEffect, record: TaskRecord) -> Stage:
    """The blobs a task waits for: model and inputs, or outputs and proof."""
    if effect is TaskEffect.STAGE or record.result is None:
        offer = reopen(record.offer).of(Offer).body
        return Stage(record.task, contents(offer))
    result = reopen(record.result).of(Result).body
    answered = None if record.answer is None else reopen(record.answer).of(Answer).body.proof
    proof = answered or result.proof
    return Stage(record.task, (result.outputs,) if proof is None else (result.outputs, proof))


def contents(offer: Offer) -> tuple[BlobRef, ...]:
    """What an offer's requester uploads for everyone: confidential inputs are sealed for each reader instead."""
    return (offer.model, offer.inputs) if offer.confidential is None else (offer.model,)


def appeal_until(record: TaskRecord) -> int:
    """When a fallback can judge no more; the end of the verdict's window where there is none."""
    return record.until + appeal_of(reopen(record.offer).of(Offer).body)


def has_draw(record: TaskRecord) -> bool:
    """Whether the offer's policy asks for a draw."""
    return isinstance(policy_of(record), Sampled)


def policy_of(record: TaskRecord) -> Policy:
    """The offer's verification policy."""
    return reopen(record.offer).of(Offer).body.policy


def draw_asks(record: TaskRecord, names: Names = itself) -> bool:
    """Whether a draw that is over asks for a proof: the result has none, and not every nonce spares it."""
    policy = policy_of(record)
    if record.result is None or not isinstance(policy, Sampled):
        return False
    if not owes_proof(policy, reopen(record.result).of(Result).body):
        return False
    parties = frozenset(draw_parties(record))
    draw = SamplingRound.replay(record.result, parties, policy.rate, record.commits, record.reveals, names)
    return draw.state is not RoundState.NOT_SAMPLED


def reveal_within(record: TaskRecord) -> int:
    """The time of each phase of a draw."""
    policy = policy_of(record)
    return policy.reveal_within if isinstance(policy, Sampled) else 0


def draw_parties(record: TaskRecord) -> tuple[bytes, ...]:
    """Who sees the evidence: the verifiers, and in a draw or where it may be challenged the requester too."""
    verifiers = reopen(record.offer).of(Offer).body.verifiers
    return verifiers if isinstance(policy_of(record), Always) else tuple(sorted({record.requester, *verifiers}))
