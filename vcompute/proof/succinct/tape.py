# SPDX-License-Identifier: Apache-2.0
"""A transcript that writes down everything it absorbs, receives and squeezes: for dumps, vectors and guides.

It changes nothing of what it records: the verifier that runs over it gives the same verdict.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum, unique
from typing import Final

from vcompute.field import Ext
from vcompute.transcript import VerifierTranscript

TYPES: Final = ("squeeze", "bytes", "integer", "base elements", "extension elements", "digests", "nonce")
"""The transcript's message types by number."""
ITEM_BYTES: Final = {"base elements": 8, "extension elements": 16, "digests": 27, "nonce": 8, "integer": 8}


@unique
class Kind(Enum):
    """What happens to the transcript."""

    ABSORB = "absorb"
    """a value both sides know"""
    RECEIVE = "receive"
    """a message of the proof"""
    SQUEEZE = "squeeze"
    NOTE = "note"
    """values that the verifier computed"""


@dataclass(slots=True)
class Entry:
    """One step of a transcript."""

    kind: Kind
    label: str
    type: str
    data: bytes
    """What was absorbed; of a squeeze, the new state."""
    offset: int = 0
    """Of a message: where it begins in the proof."""
    elements: list[Ext] = field(default_factory=list)
    """Challenges of a squeeze, values of a note."""
    positions: list[int] = field(default_factory=list)

    @property
    def items(self) -> int:
        """Elements, digests or numbers; bytes where there are no items."""
        return len(self.data) // ITEM_BYTES.get(self.type, 1)


class Tape(VerifierTranscript):
    """A verifier's transcript with a record; drive it with a backend whose twins are Python."""

    def __init__(self, protocol: str, proof: bytes) -> None:
        self.entries: list[Entry] = []
        super().__init__(protocol, proof)

    def _absorb(self, kind: int, label: str, data: bytes) -> None:
        super()._absorb(kind, label, data)
        if kind:
            self.entries.append(Entry(Kind.ABSORB, label, TYPES[kind], data))

    def _receive(self, kind: int, label: str, length: int) -> bytes:
        offset = self._position
        data = super()._receive(kind, label, length)
        self.entries[-1].kind, self.entries[-1].offset = Kind.RECEIVE, offset
        return data

    def _squeeze(self, label: str) -> bytes:
        seed = super()._squeeze(label)
        self.entries.append(Entry(Kind.SQUEEZE, label, TYPES[0], seed))
        return seed

    def challenges(self, label: str, count: int) -> list[Ext]:
        """See :class:`Transcript`."""
        drawn = super().challenges(label, count)
        self.entries[-1].elements = drawn
        return drawn

    def challenge_positions(self, label: str, count: int, log_size: int) -> list[int]:
        """See :class:`Transcript`."""
        drawn = super().challenge_positions(label, count, log_size)
        self.entries[-1].positions = drawn
        return drawn

    def note(self, name: str, values: Sequence[Ext]) -> None:
        """See :class:`VerifierTranscript`."""
        self.entries.append(Entry(Kind.NOTE, name, "extension elements", b"", elements=list(values)))

    @property
    def messages(self) -> list[Entry]:
        """The proof's messages in order."""
        return [entry for entry in self.entries if entry.kind is Kind.RECEIVE]
