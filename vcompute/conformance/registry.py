# SPDX-License-Identifier: Apache-2.0
"""Every case of the suite."""

from collections.abc import Iterable, Sequence
from functools import cache

from vcompute.conformance import vectors
from vcompute.conformance.case import Case, Level
from vcompute.errors import UsageError


@cache
def all_cases() -> tuple[Case, ...]:
    """Every case in order of level, each id once."""
    cases = sorted([*vectors.load_cases(), *_scenarios()], key=lambda case: case.level)
    seen: set[str] = set()
    for case in cases:
        if case.id in seen:
            raise UsageError("two cases have one id", got=case.id)
        seen.add(case.id)
    return tuple(cases)


def _scenarios() -> Iterable[Case]:
    from vcompute.conformance.scenarios import scenarios

    return scenarios()


def select(
    cases: Sequence[Case], *, levels: Sequence[Level] = (), role: str | None = None, pattern: str = ""
) -> list[Case]:
    """The cases of these levels (all where none is named) and of a role's profile whose id holds ``pattern``."""
    return [
        case
        for case in cases
        if (not levels or case.level in levels) and (role is None or role in case.roles) and pattern in case.id
    ]
