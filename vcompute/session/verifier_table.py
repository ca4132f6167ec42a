# SPDX-License-Identifier: Apache-2.0
"""The verifier's machine for one result: states, events, effects, transitions and the record it keeps."""

from dataclasses import dataclass
from enum import Enum, IntEnum, unique
from typing import Final

from vcompute.codec import Enum as EnumKind
from vcompute.codec import field
from vcompute.machine import Owner, Rule, StateInfo, Table
from vcompute.messages.flow import ENVELOPE
from vcompute.messages.primitives import DIGEST, TIME


@unique
class VerifierState(IntEnum):
    """Where a result stands for a verifier."""

    CHECKING = 1
    JUDGED = 2
    CLOSED = 3
    DRAWING = 4
    REVEALED = 5
    WATCHING = 6
    CHALLENGING = 7
    AWAITING = 8


@unique
class VerifierEvent(Enum):
    """What happens to a result under judgement."""

    CHECK = "the evidence, first or again"
    OPEN = "every party of the draw has committed"
    DRAWN = "the result is to be checked"
    OWED = "the result is to be checked, and its proof is not there yet"
    ANSWERED = "the evidence, with the worker's answer"
    OPENED = "the opening of confidential inputs"
    SOUND = "nothing is wrong with a watched result"
    WRONG = "a watched result is wrong, or its outputs did not come in time"
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
    START = "check; where the inputs are confidential, first send Reader for their opening"
    WATCH = "run the model again and compare; likewise"
    CHALLENGE = "send Challenge"
    SPEAK = "send the Verdict"
    CLOSE = "the result is over here"
    IGNORE = "nothing"


_S, _E, _A = VerifierState, VerifierEvent, VerifierEffect
_OPEN = (_S.DRAWING, _S.REVEALED, _S.WATCHING, _S.CHALLENGING, _S.AWAITING, _S.CHECKING, _S.JUDGED)
_WAITING = (_S.DRAWING, _S.REVEALED, _S.WATCHING, _S.CHALLENGING, _S.AWAITING)
_END = Rule(_S.CLOSED, (_A.CLOSE,))

VERIFIER_TABLE: Final = Table(
    "verifier",
    {
        _S.DRAWING: StateInfo("reveal_within", Owner.REQUESTER_AND_WORKER, "committed to a nonce"),
        _S.REVEALED: StateInfo("reveal_within", Owner.REQUESTER_AND_WORKER, "the nonce is revealed"),
        _S.WATCHING: StateInfo("window", Owner.REQUESTER_AND_WORKER, "the result is run again"),
        _S.CHALLENGING: StateInfo("window, answer_within", Owner.REQUESTER_AND_WORKER, "challenged, no answer yet"),
        _S.AWAITING: StateInfo(
            "window, answer_within", Owner.REQUESTER_AND_WORKER, "not watched, sound, or drawn and without its proof"
        ),
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
        **{(state, _E.OWED): Rule(_S.AWAITING) for state in (_S.DRAWING, _S.REVEALED)},
        **{(state, _E.ANSWERED): Rule(_S.CHECKING, (_A.START,)) for state in _WAITING},
        **{(state, _E.PASSED): _END for state in _WAITING},
        (_S.CHECKING, _E.OPENED): Rule(_S.CHECKING, (_A.START,)),
        (_S.WATCHING, _E.OPENED): Rule(_S.WATCHING, (_A.WATCH,)),
        (_S.CHECKING, _E.ANSWERED): Rule(_S.CHECKING, (_A.START,)),
        (_S.WATCHING, _E.RESEND): Rule(_S.WATCHING, (_A.WATCH,)),
        (_S.WATCHING, _E.SOUND): Rule(_S.AWAITING),
        (_S.WATCHING, _E.WRONG): Rule(_S.CHALLENGING, (_A.CHALLENGE,)),
        **{(_S.CHALLENGING, event): Rule(_S.CHALLENGING, (_A.CHALLENGE,)) for event in (_E.RESEND, _E.CHECK)},
        (_S.AWAITING, _E.RESEND): Rule(_S.AWAITING),
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
    answer: bytes | None = field(8, ENVELOPE, "the signed Answer", optional=True)
    challenge: bytes | None = field(9, ENVELOPE, "the signed Challenge of this party", optional=True)
    opening: bytes | None = field(10, ENVELOPE, "the signed Opening of confidential inputs", optional=True)
    nonce: bytes | None = field(7, DIGEST, "this party's randomness in the draw", optional=True)
