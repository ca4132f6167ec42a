# SPDX-License-Identifier: Apache-2.0
"""The worker's machine for one task: states, events, effects, transitions and the record it keeps."""

import hashlib
from dataclasses import dataclass
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Enum as EnumKind
from vcompute.codec import Uint, field
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages.flow import ENVELOPE, LONG_ENVELOPE
from vcompute.messages.primitives import DIGEST, TIME


@unique
class WorkerState(IntEnum):
    """Where a task stands for a worker."""

    IDLE = 0
    WORKING = 1
    COMMITTED = 2
    PAID = 3
    SLASHED = 4
    RELEASED = 5
    PROVING = 6
    ANSWERED = 7


@unique
class WorkerEvent(Enum):
    """What happens to a worker's task."""

    TAKE = "a new assignment, taken"
    REFUSE = "a new assignment, not taken"
    ASSIGN_AGAIN = "the same assignment again"
    OPENED = "the opening of confidential inputs"
    COMPUTED = "outputs and proof are there"
    FAILED = "the work could not be done"
    STOP = "the device must stop"
    ASKED = "the result is challenged, or drawn and without its proof"
    PROVED = "the proof is there"
    CANCEL = "the lease or task was ended"
    PAID = "receipt: paid"
    SLASHED = "receipt: slashed"
    RETURNED = "receipt: bond returned"
    RENEW = "time to renew the lease"
    RESEND = "no answer yet"
    EXPIRED = "nothing more can come"


@unique
class WorkerEffect(Enum):
    """What a worker does about it."""

    ACCEPT = "send Accept"
    DECLINE = "send Decline"
    START = "start the work; where the inputs are confidential, first send Reader for their opening"
    ABORT = "stop the work"
    COMMIT = "send Result, upload outputs and proof"
    PROVE = "prove the result"
    ANSWER = "send Answer, upload the proof"
    YIELD = "send Yield"
    RENEW = "send Progress"
    REPEAT = "send the last message again"
    CLOSE = "the task is over here"
    IGNORE = "nothing"


_S, _E, _A = WorkerState, WorkerEvent, WorkerEffect
_TAKE = Rule(_S.WORKING, (_A.ACCEPT, _A.START))
_REFUSE = Rule(_S.IDLE, (_A.DECLINE,))
_DROP = Rule(_S.RELEASED, (_A.ABORT, _A.CLOSE))
_CLOSE = (_A.CLOSE,)
_SENT = (_S.COMMITTED, _S.PROVING, _S.ANSWERED)

WORKER_TABLE: Final = Table(
    "worker",
    {
        _S.IDLE: StateInfo("none needed: nothing is held", Owner.NONE, "no lease"),
        _S.WORKING: StateInfo("lease", Owner.REQUESTER_AND_WORKER, "the work is under way"),
        _S.COMMITTED: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the result is sent, no receipt yet"),
        _S.PROVING: StateInfo("answer_within", Owner.REQUESTER_AND_WORKER, "the proof is asked for and under way"),
        _S.ANSWERED: StateInfo("verdict_within", Owner.REQUESTER_AND_WORKER, "the proof is sent, no receipt yet"),
        _S.PAID: StateInfo("final", Owner.WORKER, "paid"),
        _S.SLASHED: StateInfo("final", Owner.REQUESTER, "the bond is lost"),
        _S.RELEASED: StateInfo("final", Owner.REQUESTER_AND_WORKER, "the lease ended without fault"),
    },
    WorkerEvent,
    {
        **{(state, _E.TAKE): _TAKE for state in (_S.IDLE, *_SENT, _S.RELEASED, _S.SLASHED)},
        **{(state, _E.REFUSE): _REFUSE for state in (_S.IDLE, _S.RELEASED, _S.SLASHED)},
        (_S.WORKING, _E.TAKE): Rule(_S.WORKING, (_A.ABORT, _A.ACCEPT, _A.START)),
        (_S.WORKING, _E.REFUSE): Rule(_S.RELEASED, (_A.ABORT, _A.DECLINE, _A.CLOSE)),
        (_S.WORKING, _E.OPENED): Rule(_S.WORKING, (_A.START,)),
        (_S.WORKING, _E.COMPUTED): Rule(_S.COMMITTED, (_A.COMMIT,)),
        (_S.WORKING, _E.FAILED): Rule(_S.RELEASED, (_A.YIELD, _A.CLOSE)),
        (_S.WORKING, _E.STOP): Rule(_S.RELEASED, (_A.ABORT, _A.YIELD, _A.CLOSE)),
        (_S.WORKING, _E.CANCEL): _DROP,
        (_S.WORKING, _E.RETURNED): _DROP,
        (_S.WORKING, _E.EXPIRED): _DROP,
        (_S.WORKING, _E.RENEW): Rule(_S.WORKING, (_A.RENEW,)),
        (_S.COMMITTED, _E.RESEND): Rule(_S.COMMITTED, (_A.REPEAT,)),
        (_S.COMMITTED, _E.ASKED): Rule(_S.PROVING, (_A.PROVE,)),
        (_S.PROVING, _E.RESEND): Rule(_S.PROVING, (_A.PROVE,)),
        (_S.PROVING, _E.PROVED): Rule(_S.ANSWERED, (_A.ANSWER,)),
        (_S.ANSWERED, _E.ASKED): Rule(_S.ANSWERED, (_A.REPEAT,)),
        (_S.ANSWERED, _E.RESEND): Rule(_S.ANSWERED, (_A.REPEAT,)),
        **{(state, _E.REFUSE): Rule(state, (_A.DECLINE,)) for state in _SENT},
        **{(state, event): Rule(_S.RELEASED, _CLOSE) for state in _SENT for event in (_E.CANCEL, _E.RETURNED)},
        **{(state, _E.EXPIRED): Rule(_S.RELEASED, _CLOSE) for state in _SENT},
        **{(state, _E.PAID): Rule(_S.PAID, _CLOSE) for state in (*_SENT, _S.RELEASED)},
        **{(state, _E.SLASHED): Rule(_S.SLASHED, _CLOSE) for state in (*_SENT, _S.RELEASED)},
    },
    {**dict.fromkeys(WorkerEvent, (_A.IGNORE,)), _E.ASSIGN_AGAIN: (_A.REPEAT,)},
)
"""A worker's transitions for one task."""


@dataclass(frozen=True, slots=True)
class WorkerRecord:
    """What a worker keeps of a task."""

    task: bytes = field(0, DIGEST, "task")
    state: WorkerState = field(1, EnumKind(WorkerState), "state")
    offer: bytes = field(2, ENVELOPE, "the signed Offer")
    attempt: int = field(3, Uint(32), "latest attempt assigned")
    since: int = field(4, TIME, "when the state was entered or the lease renewed")
    renewals: int = field(5, Uint(32), "Progress messages sent")
    accept: bytes | None = field(6, ENVELOPE, "the signed Accept", optional=True)
    last: bytes | None = field(7, ENVELOPE, "the last message sent", optional=True)
    receipt: bytes | None = field(8, LONG_ENVELOPE, "the signed Receipt", optional=True)
    result: bytes | None = field(9, ENVELOPE, "the signed Result", optional=True)
    opening: bytes | None = field(10, ENVELOPE, "the signed Opening of confidential inputs", optional=True)

    @property
    def lease(self) -> bytes | None:
        """The name of the lease."""
        return None if self.accept is None else hashlib.sha256(self.accept).digest()
