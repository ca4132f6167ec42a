# SPDX-License-Identifier: Apache-2.0
"""Scenarios: cases in which the suite plays the other roles (levels L3 to L5)."""

from collections.abc import Iterator

from vcompute.conformance.case import Case
from vcompute.conformance.scenarios import adversary, attestation, challenges, closed, keys, live, machines, money


def scenarios() -> Iterator[Case]:
    """Every scenario."""
    yield from machines.cases()
    yield from closed.cases()
    yield from challenges.cases()
    yield from money.cases()
    yield from keys.cases()
    yield from attestation.cases()
    yield from live.cases()
    yield from adversary.cases()
