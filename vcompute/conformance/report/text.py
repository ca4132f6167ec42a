# SPDX-License-Identifier: Apache-2.0
"""The summary for a terminal and the results as JSON."""

import json
from typing import TYPE_CHECKING

from vcompute.conformance.case import Level, Outcome
from vcompute.conformance.runner import Summary

if TYPE_CHECKING:
    from rich.console import Console

SHOWN_FAILURES = 20


def render(summary: Summary, console: "Console") -> None:
    """A table of levels, then the first failures."""
    from rich.table import Table

    table = Table(title=f"Conformance of {summary.testee}", title_justify="left")
    table.add_column("level")
    for outcome in Outcome:
        table.add_column(outcome.value, justify="right")
    table.add_column("checks")
    for level in Level:
        counts = [str(summary.count(outcome, level)) for outcome in Outcome]
        table.add_row(level.name, *counts, _doc(level))
    table.add_row("all", *(str(summary.count(outcome)) for outcome in Outcome), f"{summary.seconds:.1f} s")
    console.print(table)
    failures = [verdict for verdict in summary.verdicts if verdict.outcome is Outcome.FAILED]
    for verdict in failures[:SHOWN_FAILURES]:
        console.print(f"FAILED {verdict.case.id} ({', '.join(verdict.case.requirements)}): {verdict.message}")
    if len(failures) > SHOWN_FAILURES:
        console.print(f"and {len(failures) - SHOWN_FAILURES} more failures")


def _doc(level: Level) -> str:
    return {
        Level.L0: "codec, digests, signatures, receipts, errors",
        Level.L1: "compute",
        Level.L2: "proofs",
        Level.L3: "state machines on a virtual clock",
        Level.L4: "live sessions over a faulty link",
        Level.L5: "a hostile peer",
    }[level]


def results_json(summary: Summary) -> str:
    """Counts and every result."""
    results = [
        {
            "id": verdict.case.id,
            "level": verdict.case.level.name,
            "requirements": list(verdict.case.requirements),
            "outcome": verdict.outcome.value,
            "seconds": round(verdict.seconds, 6),
            **({"message": verdict.message} if verdict.message else {}),
            **(
                {"expected": verdict.expected, "got": verdict.got}
                if verdict.expected is not None or verdict.got is not None
                else {}
            ),
        }
        for verdict in summary.verdicts
    ]
    return json.dumps({**summary.as_json(), "results": results}, indent=1) + "\n"
