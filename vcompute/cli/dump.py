# SPDX-License-Identifier: Apache-2.0
"""Annotated dumps of proofs and commitments for ``vcompute inspect``."""

from pathlib import Path
from typing import TYPE_CHECKING

from vcompute.cli.files import read_batch, read_holder
from vcompute.cli.output import Json
from vcompute.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from vcompute.proof.statement import Statement
    from vcompute.proof.succinct.commitment import Commitment
    from vcompute.proof.succinct.dump import Section
    from vcompute.proof.suite import ProofEnvelope

Row = dict[str, Json]


def read_statement(
    model: Path | None, inputs: Path | None, outputs: Path | None, context: bytes, semantics: str
) -> "Statement | None":
    """The statement that a proof is dumped for; None where no file is named.

    Raises:
        UsageError: some are named and others are not.
    """
    from vcompute.proof.statement import Statement

    if model is None and inputs is None and outputs is None:
        return None
    if model is None or inputs is None or outputs is None:
        raise UsageError("a dump of a proof needs --model, --input and --output together")
    return Statement(read_holder(model, semantics), read_batch(inputs), read_batch(outputs), context)


def envelope_rows(envelope: "ProofEnvelope") -> list[Row]:
    """The fields of a proof's envelope with their places in the file."""
    from vcompute.proof.succinct.dump import record_sections

    return [_row(section) for section in record_sections(envelope)]


def body_rows(envelope: "ProofEnvelope", statement: "Statement", file_size: int) -> tuple[list[Row], str | None]:
    """The messages of a succinct proof with their places in the file, and why the verifier stopped, if it did."""
    from vcompute.proof.succinct.dump import dump_proof

    dump = dump_proof(statement, envelope.body, envelope.parameter_set)
    start = file_size - len(envelope.body)
    rows = [_row(section, start) for section in dump.sections]
    if dump.rest:
        rows.append(
            {
                "offset": file_size - dump.rest,
                "bytes": dump.rest,
                "label": "rest",
                "type": "bytes",
                "messages": 1,
                "items": dump.rest,
                "meaning": "not read: the verifier stopped before",
            }
        )
    return rows, None if dump.code is None else dump.code.name.lower()


def commitment_rows(commitment: "Commitment") -> list[Row]:
    """The fields of a commitment with their places in the file."""
    from vcompute.proof.succinct.dump import record_sections

    return [_row(section) for section in record_sections(commitment.record)]


def plan_rows(commitment: "Commitment") -> list[Row]:
    """The public constants of each requantised node."""
    return [
        {
            "node": index,
            "operator": commitment.graph.nodes[index].operator.name,
            "limbs": plan.limbs,
            "form": ("two-sided" if plan.two_sided else "one-sided") + (", divided" if plan.divided else ""),
            "K": plan.limbs * commitment.limb_bits + plan.two_sided,
            "least": plan.least,
            "greatest": plan.greatest,
            "scalars": list(plan.scalars),
        }
        for index, plan in sorted(commitment.plans.items())
    ]


def weight_rows(commitment: "Commitment") -> list[Row]:
    """The blocks of the committed table of weights."""
    names = {number: key for key, number in commitment.columns.numbers.items()}
    return [
        {
            "offset": piece.offset,
            "elements": 1 << piece.variables,
            "node": names[piece.column][0],
            "part": names[piece.column][1],
            "block": [f"{start}+{1 << bits}" for start, bits in piece.parts],
        }
        for piece in commitment.columns.layout.pieces
    ]


def _row(section: "Section", start: int = 0) -> Row:
    return {
        "offset": start + section.offset,
        "bytes": section.size,
        "label": section.label,
        "type": section.type,
        "messages": section.messages,
        "items": section.items,
        "meaning": section.meaning,
    }


def draw(console: "Console", title: str, rows: list[Row]) -> None:
    """Rows as aligned lines, numbers to the right, the last column as long as it is."""
    if not rows:
        return
    names = [name.replace("_", " ") for name in rows[0]]
    lines = [names, *([_shown(value) for value in row.values()] for row in rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(names) - 1)]
    numbers = [isinstance(value, int) for value in rows[0].values()]
    console.print(f"\n{title}", markup=False)
    for line in lines:
        cells = [
            cell.rjust(width) if number else cell.ljust(width)
            for cell, width, number in zip(line, widths, numbers, strict=False)
        ]
        console.print("  ".join([*cells, line[-1]]).rstrip(), markup=False)


def _shown(value: Json) -> str:
    if isinstance(value, list):
        return " ".join(map(str, value)) or "-"
    return f"{value:,}" if isinstance(value, int) else str(value)
