# SPDX-License-Identifier: Apache-2.0
"""What ``vcompute suites`` says of the soundness of ``succinct``: its terms, and the largest admitted instance."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from vcompute.cli.dump import Row, draw
from vcompute.cli.output import Json

if TYPE_CHECKING:
    from rich.console import Console


def admitted(parameter_set: int) -> Row:
    """The largest instance that a parameter set of ``succinct`` admits, and every challenge's error there; nothing for
    other suites.
    """
    from vcompute.proof.succinct.reach import reach
    from vcompute.proof.succinct.setting import PARAMETERS

    if parameter_set not in PARAMETERS:
        return {}
    found = reach(PARAMETERS[parameter_set])
    terms: list[Json] = [
        {"challenge": term.name, "bits": round(term.bits, 2), "grinding": term.grinding, "times": term.count}
        for term in found.report.terms
    ]
    return {
        "largest": {
            "witness_values": 1 << found.variables,
            "security_bits": round(found.report.security_bits, 2),
            "union_bits": round(found.report.union_bits, 2),
            "limit": found.limit,
            "terms": terms,
        }
    }


def draw_admitted(console: "Console", row: Row) -> None:
    """The same for people."""
    largest = row.get("largest")
    if not isinstance(largest, Mapping):
        return
    values, terms = largest["witness_values"], largest["terms"]
    title = (
        f"{row['suite']}/{row['parameter_set']}: at most 2^{int(str(values)).bit_length() - 1} committed values "
        f"({largest['limit']}); there {largest['security_bits']} bits round by round, {largest['union_bits']} in all"
    )
    draw(console, title, [dict(term) for term in terms if isinstance(term, Mapping)] if isinstance(terms, list) else [])
