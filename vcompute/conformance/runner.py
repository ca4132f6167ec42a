# SPDX-License-Identifier: Apache-2.0
"""Run cases against a testee and count."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from vcompute.conformance.case import Case, Failure, Level, Outcome, Skip, Verdict
from vcompute.conformance.testee import BrokenTestee, RecordingTestee, Testee
from vcompute.errors import VcomputeError


@dataclass(frozen=True, slots=True)
class Summary:
    """What a run came to."""

    verdicts: tuple[Verdict, ...]
    testee: str
    """the testee's own name, or its command"""
    seconds: float

    def count(self, outcome: Outcome, level: Level | None = None) -> int:
        """How many cases, of one level or of all, came to ``outcome``."""
        return sum(v.outcome is outcome and level in (None, v.case.level) for v in self.verdicts)

    @property
    def passed(self) -> bool:
        """Whether nothing failed, and something passed."""
        return self.count(Outcome.FAILED) == 0 and self.count(Outcome.PASSED) > 0

    def as_json(self) -> dict[str, Any]:
        """The counts as the command prints them."""
        return {
            **{outcome.value: self.count(outcome) for outcome in Outcome},
            "by_level": {
                level.name: {outcome.value: self.count(outcome, level) for outcome in Outcome} for level in Level
            },
            "seconds": round(self.seconds, 3),
            "testee": self.testee,
        }


def run_case(case: Case, testee: Testee) -> Verdict:
    """Run one case.

    Raises:
        BrokenTestee: the testee does not speak the protocol any more.
    """
    start = time.perf_counter()
    outcome, message, expected, got = Outcome.PASSED, "", None, None
    recorder = RecordingTestee(testee)
    try:
        case.script(recorder)
    except Skip as skip:
        outcome, message = Outcome.SKIPPED, str(skip)
    except Failure as failure:
        outcome, message, expected, got = Outcome.FAILED, failure.message, failure.expected, failure.got
    except VcomputeError as error:
        # Scripts open what the testee sends: a message that does not decode or verify is its fault.
        outcome, message, got = Outcome.FAILED, "what the testee gives is well-formed and verifies", str(error)
    said = recorder.exchanges if outcome is Outcome.FAILED and case.source is None else ()
    return Verdict(case, outcome, time.perf_counter() - start, message, expected, got, said)


def greet(testee: Testee) -> str:
    """The testee's name, by its own account.

    Raises:
        BrokenTestee: it does not answer ``hello`` with this version of the testee protocol.
    """
    answer = testee.ask("hello", {"protocol": 1})
    if answer.out is None or answer.out.get("protocol") != 1 or not isinstance(answer.out.get("name"), str):
        raise BrokenTestee(f'the answer to "hello" is {{"protocol": 1, "name": ...}}; got {answer.as_json()}')
    return str(answer.out["name"])


def run(
    cases: Sequence[Case], testee: Testee, *, name: str = "", on_verdict: Callable[[Verdict], None] | None = None
) -> Summary:
    """Run cases one after the other.

    Raises:
        BrokenTestee: the testee does not speak the protocol.
    """
    start = time.perf_counter()
    verdicts = []
    for case in cases:
        verdict = run_case(case, testee)
        verdicts.append(verdict)
        if on_verdict is not None:
            on_verdict(verdict)
    return Summary(tuple(verdicts), name, time.perf_counter() - start)
