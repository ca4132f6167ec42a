# SPDX-License-Identifier: Apache-2.0
"""Annotated dumps: the messages of a proof with their places and meaning, and the parts of a commitment.

No length stands in a proof: where its messages lie follows from the statement. So a dump runs the verifier over a
:class:`Tape`, and shows how far it came where it refuses.
"""

from dataclasses import dataclass
from typing import Any, Final

from vcompute.codec import dumps, fields_of
from vcompute.errors import Rejected
from vcompute.field.portable import NumpyBackend
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.setting import PROTOCOL
from vcompute.proof.succinct.suite import holder_of
from vcompute.proof.succinct.tape import Entry, Tape
from vcompute.proof.succinct.verify import verify
from vcompute.registry import ErrorCode

MEANING: Final[dict[str, str]] = {
    "header": "version of the proof format, mode",
    "revealed": "accumulators of public linear nodes, values that travel",
    "root": "root of a committed table",
    "lookup work": "nonce of the work before the lookup challenges",
    "fraction sumcheck": "h(0) and leading coefficient of a round of a layer of fractions",
    "fraction pair": "numerators and denominators of the two halves of a layer",
    "linear sum": "part of the denominator that comes from linear nodes",
    "bilinear sum": "part of the denominator that comes from products of two values",
    "bilinear sumcheck": "h(0) and the coefficients of X^2 and X^3 of a round of the sum over two values",
    "bilinear operands": "both operands at the end point of that sum",
    "product sumcheck": "h(0) and leading coefficient of a round of the sum of products",
    "right table": "the values' table of the products at the end point",
    "left table": "the weights' table of the products at the end point",
    "batch work": "nonce of the work before the claims are batched",
    "sumcheck": "h(0) and leading coefficient of a round of the opening",
    "fold work": "nonce of the work before a fold challenge",
    "query work": "nonce of the work before the positions of a round",
    "rows": "opened leaves, in order of position",
    "siblings": "digests that the paths of the opened leaves need",
    "final polynomial": "the last table, in clear",
}
"""What each message of a proof is, by label."""


@dataclass(frozen=True, slots=True)
class Section:
    """Bytes with a meaning: consecutive messages of one label, or a field of a record."""

    offset: int
    size: int
    label: str
    type: str
    messages: int
    items: int
    meaning: str


@dataclass(frozen=True, slots=True)
class Dump:
    """The sections of a proof's body, and what the verifier said."""

    sections: tuple[Section, ...]
    code: ErrorCode | None
    """Why the verifier stopped; None where it accepts."""
    rest: int
    """Bytes after the last section."""


def dump_proof(statement: Statement, body: bytes, parameter_set: int) -> Dump:
    """The messages of a proof's body, as far as the verifier comes."""
    tape, code, backend = Tape(PROTOCOL, body), None, NumpyBackend()
    try:
        verify(holder_of(statement, body, parameter_set, backend), statement, body, parameter_set, backend, tape)
    except Rejected as error:
        code = error.code
    return Dump(_sections(tape.messages), code, tape.remaining())


def _sections(messages: list[Entry]) -> tuple[Section, ...]:
    sections: list[Section] = []
    for entry in messages:
        last = sections[-1] if sections else None
        if last is not None and last.label == entry.label and last.type == entry.type:
            sections[-1] = Section(
                last.offset, last.size + len(entry.data), last.label, last.type, last.messages + 1,
                last.items + entry.items, last.meaning,
            )  # fmt: skip
        else:
            meaning = MEANING[entry.label]
            sections.append(Section(entry.offset, len(entry.data), entry.label, entry.type, 1, entry.items, meaning))
    return tuple(sections)


def record_sections(record: Any) -> tuple[Section, ...]:
    """Where each field of a record lies in its encoding: the map's head, then key and value of each field."""
    specs = fields_of(type(record))
    sections, offset = [Section(0, 1, "map", "cbor", 1, len(specs), "head of the record's map")], 1
    for spec in specs:
        value = getattr(record, spec.name)
        size = 1 + len(dumps(spec.kind.to_wire(value, spec.name)))
        items = len(value) if isinstance(value, (bytes, tuple)) else 1
        sections.append(Section(offset, size, spec.name, type(value).__name__, 1, items, spec.doc))
        offset += size
    return tuple(sections)
