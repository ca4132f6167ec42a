# SPDX-License-Identifier: Apache-2.0
"""The coordinator's machine for one task: states, events, effects, transitions and the record it keeps."""

import hashlib
from dataclasses import dataclass
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Array, Uint, field
from vcompute.codec import Enum as EnumKind
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages.draw import MAX_PARTIES
from vcompute.messages.flow import ENVELOPE, LONG_ENVELOPE
from vcompute.messages.primitives import CODE, DIGEST, TIME
from vcompute.registry import ErrorCode


@unique
class TaskState(IntEnum):
    """Where a task stands for the coordinator."""

    OPENING = 1
    STAGING = 2
    QUEUED = 3
    ASSIGNED = 4
    BONDING = 5
    LEASED = 6
    COMMITTING = 7
    COLLECTING = 8
    JUDGING = 9
    SETTLING = 10
    RELEASING = 11
    REFUNDING = 12
    PAID = 13
    REFUNDED = 14
    REFUSED = 15
    DRAWING = 16
    WAITING = 17
    CHALLENGING = 18
    DEMANDING = 19
    PROVING = 20
    ANSWERING = 21
    APPEALING = 22


@unique
class TaskEvent(Enum):
    """What happens to a task at the coordinator."""

    OFFER = "the offer, first or again"
    DONE = "the settlement did what the state asks of it"
    PAID = "the settlement paid"
    SLASHED = "the settlement slashed"
    DENIED = "the settlement refuses what the state asks of it"
    UNKNOWN = "the settlement's answer is not known"
    STAGED = "model and inputs, or outputs and proof, are here"
    PICKED = "a worker is picked"
    ACCEPT = "the picked worker accepts"
    DECLINE = "the picked worker does not want this task"
    BUSY = "the picked worker wants no task now"
    PROGRESS = "the lease's worker renews"
    RENEWED = "the settlement renewed the lease"
    YIELD = "the lease's worker gives it back"
    RESULT = "the lease's worker commits to a result"
    DRAWABLE = "outputs and proof are here, and the policy asks for a draw"
    RECORD = "a party of the draw commits or reveals"
    RECORDED = "the settlement recorded it"
    DRAWN = "every nonce is recorded"
    WINDOW = "the settlement recorded a result that may be challenged"
    CHALLENGE = "someone challenges the result"
    DEMAND = "the draw is over and asks for the proof"
    ANSWER = "the lease's worker answers with its proof"
    VERDICT = "a verifier judges the result"
    APPEAL = "no verdict in time, and the offer names a fallback"
    CANCEL = "the requester cancels"
    TIMEOUT = "the state's time is over"
    RESEND = "no answer yet"


@unique
class TaskEffect(Enum):
    """What the coordinator does about it."""

    CALL = "ask the settlement for what the new state asks"
    RENEW = "ask the settlement to renew the lease"
    STAGE = "want model and inputs"
    COLLECT = "want outputs and proof"
    ENQUEUE = "put the task into the queue"
    ASSIGN = "send Assign to the worker"
    CHECK = "send Check to the verifiers, in a draw to its other parties too"
    APPEAL = "send Check to the fallback"
    DRAW = "send Draw to the parties of the draw"
    RECORD = "ask the settlement to record it"
    ASK_PROOF = "send the Challenge, or in a draw the Draw, to the worker"
    FORWARD_ACCEPT = "send the Accept to the requester"
    CANCEL_WORKER = "send Cancel to the worker"
    RECEIPTS = "send the receipt to all it concerns"
    STATUS = "tell the requester where the task stands"
    TELL_REFUSED = "send Decline to the requester"
    NOTE_CANCEL = "keep the cancellation for later"
    FREE = "the worker's place is free"
    REST = "nothing more for the worker until it advertises again"
    LAPSE = "the worker let a lease lapse; it rests"
    REWARD = "count a verified result for the worker"
    PUNISH = "count a refused result against the worker"
    EXCLUDE = "never give this task to this worker again"
    FORGET_LEASE = "drop what belongs to the lease"
    CLOSE = "the task is over here"
    IGNORE = "nothing"


_S, _E, _A = TaskState, TaskEvent, TaskEffect
_REQUEUE = Rule(_S.QUEUED, (_A.FREE, _A.FORGET_LEASE, _A.ENQUEUE))
_REFUND = Rule(_S.REFUNDING, (_A.CALL,))
_AGAIN = (_E.TIMEOUT, _E.UNKNOWN)
_CALLING = (
    _S.OPENING,
    _S.BONDING,
    _S.COMMITTING,
    _S.CHALLENGING,
    _S.DEMANDING,
    _S.ANSWERING,
    _S.SETTLING,
    _S.RELEASING,
    _S.REFUNDING,
)
_PAID = Rule(_S.PAID, (_A.REWARD, _A.RECEIPTS, _A.FREE, _A.CLOSE))
_SLASHED = Rule(_S.QUEUED, (_A.PUNISH, _A.RECEIPTS, _A.EXCLUDE, *_REQUEUE.effects))

TASK_TABLE: Final = Table(
    "coordinator",
    {
        _S.OPENING: StateInfo("retry", Owner.REQUESTER, "the escrow is being opened"),
        _S.STAGING: StateInfo("deadline", Owner.REQUESTER, "model or inputs are missing"),
        _S.QUEUED: StateInfo("deadline", Owner.REQUESTER, "waiting for a worker"),
        _S.ASSIGNED: StateInfo("accept window", Owner.REQUESTER, "offered to a worker"),
        _S.BONDING: StateInfo("retry", Owner.REQUESTER, "the bond is being held"),
        _S.LEASED: StateInfo("lease", Owner.REQUESTER_AND_WORKER, "the worker works"),
        _S.COMMITTING: StateInfo("retry", Owner.REQUESTER_AND_WORKER, "the result is being recorded"),
        _S.COLLECTING: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "outputs or proof are missing"),
        _S.DRAWING: StateInfo("reveal_within", Owner.REQUESTER_AND_WORKER, "the draw is under way"),
        _S.JUDGING: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "verifiers judge"),
        _S.WAITING: StateInfo("window", Owner.REQUESTER_AND_WORKER, "the result may be challenged"),
        _S.CHALLENGING: StateInfo("retry", Owner.REQUESTER_AND_WORKER, "a challenge is being recorded"),
        _S.DEMANDING: StateInfo("retry", Owner.REQUESTER_AND_WORKER, "the draw's demand is being recorded"),
        _S.PROVING: StateInfo("answer_within", Owner.REQUESTER_AND_WORKER, "the worker owes the proof"),
        _S.ANSWERING: StateInfo("retry", Owner.REQUESTER_AND_WORKER, "the proof is being recorded"),
        _S.APPEALING: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "no verdict came, a fallback judges"),
        _S.SETTLING: StateInfo("retry", Owner.REQUESTER_AND_WORKER, "a verdict is being counted"),
        _S.RELEASING: StateInfo("retry", Owner.REQUESTER_AND_WORKER, "the bond is being returned"),
        _S.REFUNDING: StateInfo("retry", Owner.REQUESTER, "the price is being returned"),
        _S.PAID: StateInfo("final", Owner.WORKER, "paid"),
        _S.REFUNDED: StateInfo("final", Owner.REQUESTER, "refunded"),
        _S.REFUSED: StateInfo("final", Owner.REQUESTER, "never opened"),
    },
    TaskEvent,
    {
        **{(state, event): Rule(state, (_A.CALL,)) for state in _CALLING for event in _AGAIN},
        (_S.OPENING, _E.OFFER): Rule(_S.OPENING, (_A.CALL,)),
        (_S.OPENING, _E.DONE): Rule(_S.STAGING, (_A.STAGE,)),
        (_S.OPENING, _E.DENIED): Rule(_S.REFUSED, (_A.TELL_REFUSED, _A.CLOSE)),
        (_S.REFUSED, _E.OFFER): Rule(_S.OPENING, (_A.CALL,)),
        (_S.STAGING, _E.OFFER): Rule(_S.STAGING, (_A.STAGE,)),
        (_S.STAGING, _E.RESEND): Rule(_S.STAGING, (_A.STAGE,)),
        (_S.STAGING, _E.STAGED): Rule(_S.QUEUED, (_A.ENQUEUE,)),
        **{(state, event): _REFUND for state in (_S.STAGING, _S.QUEUED) for event in (_E.TIMEOUT, _E.CANCEL)},
        (_S.QUEUED, _E.PICKED): Rule(_S.ASSIGNED, (_A.ASSIGN,)),
        (_S.ASSIGNED, _E.RESEND): Rule(_S.ASSIGNED, (_A.ASSIGN,)),
        (_S.ASSIGNED, _E.ACCEPT): Rule(_S.BONDING, (_A.CALL,)),
        (_S.ASSIGNED, _E.DECLINE): Rule(_S.QUEUED, (_A.EXCLUDE, *_REQUEUE.effects)),
        (_S.ASSIGNED, _E.BUSY): Rule(_S.QUEUED, (_A.REST, *_REQUEUE.effects)),
        (_S.ASSIGNED, _E.TIMEOUT): Rule(_S.QUEUED, (_A.LAPSE, *_REQUEUE.effects)),
        (_S.ASSIGNED, _E.CANCEL): Rule(_S.REFUNDING, (_A.CANCEL_WORKER, _A.FREE, _A.FORGET_LEASE, _A.CALL)),
        (_S.BONDING, _E.DONE): Rule(_S.LEASED, (_A.FORWARD_ACCEPT,)),
        (_S.BONDING, _E.DENIED): Rule(_S.QUEUED, (_A.CANCEL_WORKER, _A.EXCLUDE, *_REQUEUE.effects)),
        (_S.LEASED, _E.PROGRESS): Rule(_S.LEASED, (_A.RENEW,)),
        (_S.LEASED, _E.RENEWED): Rule(_S.LEASED),
        (_S.LEASED, _E.RESULT): Rule(_S.COMMITTING, (_A.CALL,)),
        (_S.LEASED, _E.YIELD): Rule(_S.RELEASING, (_A.REST, _A.CALL)),
        (_S.LEASED, _E.TIMEOUT): Rule(_S.RELEASING, (_A.LAPSE, _A.CANCEL_WORKER, _A.CALL)),
        (_S.LEASED, _E.CANCEL): Rule(_S.RELEASING, (_A.CANCEL_WORKER, _A.CALL)),
        (_S.COMMITTING, _E.DONE): Rule(_S.COLLECTING, (_A.COLLECT,)),
        (_S.COMMITTING, _E.DENIED): Rule(_S.RELEASING, (_A.LAPSE, _A.CANCEL_WORKER, _A.CALL)),
        (_S.COLLECTING, _E.RESULT): Rule(_S.COLLECTING, (_A.COLLECT,)),
        (_S.COLLECTING, _E.RESEND): Rule(_S.COLLECTING, (_A.COLLECT,)),
        (_S.COLLECTING, _E.STAGED): Rule(_S.JUDGING, (_A.CHECK,)),
        (_S.COLLECTING, _E.TIMEOUT): Rule(_S.RELEASING, (_A.LAPSE, _A.CANCEL_WORKER, _A.CALL)),
        (_S.COLLECTING, _E.DRAWABLE): Rule(_S.DRAWING, (_A.CHECK,)),
        (_S.DRAWING, _E.RECORD): Rule(_S.DRAWING, (_A.RECORD,)),
        (_S.DRAWING, _E.RECORDED): Rule(_S.DRAWING, (_A.DRAW,)),
        (_S.DRAWING, _E.RESEND): Rule(_S.DRAWING, (_A.CHECK, _A.DRAW)),
        (_S.DRAWING, _E.DRAWN): Rule(_S.JUDGING, (_A.DRAW,)),
        (_S.DRAWING, _E.TIMEOUT): Rule(_S.JUDGING, (_A.DRAW,)),
        (_S.JUDGING, _E.RESEND): Rule(_S.JUDGING, (_A.CHECK, _A.DRAW)),
        (_S.JUDGING, _E.VERDICT): Rule(_S.SETTLING, (_A.CALL,)),
        (_S.JUDGING, _E.TIMEOUT): Rule(_S.RELEASING, (_A.CANCEL_WORKER, _A.CALL)),
        (_S.COMMITTING, _E.WINDOW): Rule(_S.WAITING, (_A.COLLECT, _A.CHECK)),
        (_S.WAITING, _E.RESULT): Rule(_S.WAITING, (_A.COLLECT,)),
        (_S.WAITING, _E.RESEND): Rule(_S.WAITING, (_A.COLLECT, _A.CHECK)),
        (_S.WAITING, _E.CHALLENGE): Rule(_S.CHALLENGING, (_A.CALL,)),
        (_S.WAITING, _E.TIMEOUT): Rule(_S.RELEASING, (_A.CALL,)),
        (_S.CHALLENGING, _E.DONE): Rule(_S.PROVING, (_A.ASK_PROOF,)),
        (_S.CHALLENGING, _E.DENIED): Rule(_S.WAITING),
        (_S.DRAWING, _E.DEMAND): Rule(_S.DEMANDING, (_A.CALL,)),
        (_S.DEMANDING, _E.DONE): Rule(_S.PROVING, (_A.DRAW, _A.ASK_PROOF)),
        (_S.DEMANDING, _E.DENIED): Rule(_S.DRAWING),
        (_S.PROVING, _E.RESEND): Rule(_S.PROVING, (_A.CHECK, _A.DRAW, _A.ASK_PROOF)),
        (_S.PROVING, _E.ANSWER): Rule(_S.ANSWERING, (_A.CALL,)),
        (_S.PROVING, _E.TIMEOUT): Rule(_S.RELEASING, (_A.CALL,)),
        (_S.ANSWERING, _E.DONE): Rule(_S.COLLECTING, (_A.COLLECT,)),
        (_S.ANSWERING, _E.DENIED): Rule(_S.PROVING),
        (_S.COLLECTING, _E.ANSWER): Rule(_S.COLLECTING, (_A.COLLECT,)),
        (_S.JUDGING, _E.APPEAL): Rule(_S.APPEALING, (_A.APPEAL,)),
        (_S.APPEALING, _E.RESEND): Rule(_S.APPEALING, (_A.APPEAL,)),
        (_S.APPEALING, _E.VERDICT): Rule(_S.SETTLING, (_A.CALL,)),
        (_S.APPEALING, _E.TIMEOUT): Rule(_S.RELEASING, (_A.CANCEL_WORKER, _A.CALL)),
        (_S.SETTLING, _E.PAID): _PAID,
        (_S.SETTLING, _E.SLASHED): _SLASHED,
        (_S.RELEASING, _E.PAID): _PAID,
        (_S.RELEASING, _E.SLASHED): _SLASHED,
        (_S.SETTLING, _E.DONE): Rule(_S.JUDGING, ()),
        (_S.SETTLING, _E.DENIED): Rule(_S.JUDGING, ()),
        (_S.RELEASING, _E.DONE): Rule(_S.QUEUED, (_A.RECEIPTS, *_REQUEUE.effects)),
        (_S.REFUNDING, _E.DONE): Rule(_S.REFUNDED, (_A.RECEIPTS, _A.CLOSE)),
        **{(state, _E.OFFER): Rule(state, (_A.RECEIPTS,)) for state in (_S.PAID, _S.REFUNDED)},
    },
    {
        **dict.fromkeys(TaskEvent, (_A.IGNORE,)),
        _E.OFFER: (_A.STATUS,),
        _E.CANCEL: (_A.NOTE_CANCEL,),
    },
)
"""The coordinator's transitions for one task."""


@dataclass(frozen=True, slots=True)
class TaskRecord:
    """What a coordinator keeps of a task."""

    task: bytes = field(0, DIGEST, "task")
    state: TaskState = field(1, EnumKind(TaskState), "state")
    offer: bytes = field(2, ENVELOPE, "the signed Offer")
    requester: bytes = field(3, DIGEST, "who offered")
    attempt: int = field(4, Uint(32), "latest assignment")
    until: int = field(5, TIME, "when the state's time is over; 0 where the deadline is")
    rejected: int = field(6, Uint(32), "results refused")
    moved: int = field(7, Uint(32), "leases and assignments that came to nothing")
    excluded: tuple[bytes, ...] = field(8, Array(DIGEST, 0, 1024), "workers that do not get this task again")
    receipts: tuple[bytes, ...] = field(9, Array(LONG_ENVELOPE, 0, 16), "the latest receipts")
    commits: tuple[bytes, ...] = field(17, Array(ENVELOPE, 0, MAX_PARTIES), "signed SampleCommits recorded")
    reveals: tuple[bytes, ...] = field(18, Array(ENVELOPE, 0, MAX_PARTIES), "signed SampleReveals recorded")
    draw_until: int = field(19, TIME, "when the draw's phase is over; 0 where there is none")
    worker: bytes | None = field(10, DIGEST, "worker assigned", optional=True)
    accept: bytes | None = field(11, ENVELOPE, "the signed Accept", optional=True)
    result: bytes | None = field(12, ENVELOPE, "the signed Result", optional=True)
    verdict: bytes | None = field(13, ENVELOPE, "the signed Verdict being counted", optional=True)
    evidence: bytes | None = field(14, ENVELOPE, "the signed Yield", optional=True)
    cancel: bytes | None = field(15, ENVELOPE, "the requester's signed Cancel", optional=True)
    code: ErrorCode | None = field(16, CODE, "why it was refused", optional=True)
    challenge: bytes | None = field(20, ENVELOPE, "the signed Challenge", optional=True)
    answer: bytes | None = field(21, ENVELOPE, "the signed Answer", optional=True)

    @property
    def lease(self) -> bytes | None:
        """The name of the lease."""
        return None if self.accept is None else hashlib.sha256(self.accept).digest()
