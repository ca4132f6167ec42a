# SPDX-License-Identifier: Apache-2.0
"""The conformance suite: cases, the testee protocol, the runner and its reports.

A *testee* is any executable that answers JSON lines on its standard input with JSON lines on its standard output. The
suite sends it the vectors of ``spec/vectors`` (levels L0 to L2) and drives it through scenarios in which the suite
plays every other role (levels L3 to L5). Nothing of the testee is imported, and nothing is reached over a network.
"""

from vcompute.conformance.case import Case, Failure, Level, Outcome, Skip, Verdict
from vcompute.conformance.registry import all_cases, select
from vcompute.conformance.runner import Summary, run
from vcompute.conformance.testee import Answer, BrokenTestee, LocalTestee, ProcessTestee, Testee

__all__ = [
    "Answer",
    "BrokenTestee",
    "Case",
    "Failure",
    "Level",
    "LocalTestee",
    "Outcome",
    "ProcessTestee",
    "Skip",
    "Summary",
    "Testee",
    "Verdict",
    "all_cases",
    "run",
    "select",
]
