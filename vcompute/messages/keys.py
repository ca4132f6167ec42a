# SPDX-License-Identifier: Apache-2.0
"""The messages of a key's life: a change of a party's keys, the question for its records, the records.

The records inside are signed by the keys they are about. Who sends them matters to nobody: a revocation may be brought
by a friend, and a coordinator that passes on another's records cannot alter them.
"""

from dataclasses import dataclass
from typing import Final

from vcompute.codec import Array, Bool, Bytes, Enum, Kind, Record, Uint, field
from vcompute.identity.lifecycle import MAX_EVIDENCE, KeyRecord
from vcompute.messages.primitives import DIGEST
from vcompute.registry import Role

MAX_RECORDS: Final = 7
"""Records in one message, so that the longest fit."""
MAX_EVIDENCE_ENVELOPE: Final = MAX_EVIDENCE + 1024
"""Bytes of a signed Evidence."""
RECORD: Final[Kind] = Record(KeyRecord)


@dataclass(frozen=True, slots=True)
class KeyChange:
    """A record for the coordinator to take; signed by anyone."""

    record: KeyRecord = field(0, RECORD, "the signed record")


@dataclass(frozen=True, slots=True)
class Enrol:
    """A party enrols for a session; signed by its device key, which shows that it holds it."""

    session: bytes = field(0, DIGEST, "digest of the coordinator's Hello: the challenge that evidence answers")
    role: Role = field(1, Enum(Role), "what it enrols as")
    evidence: bytes | None = field(2, Bytes(1, MAX_EVIDENCE_ENVELOPE), "signed Evidence about its key", optional=True)


@dataclass(frozen=True, slots=True)
class Lookup:
    """Asks for the records of the party that a key speaks or spoke for."""

    key: bytes = field(0, DIGEST, "thumbprint of one of the party's keys")
    after: int = field(1, Uint(16), "records that the asker has")


@dataclass(frozen=True, slots=True)
class Keys:
    """Records of one party, in the order in which they were taken."""

    party: bytes = field(0, DIGEST, "the party: thumbprint of its first key")
    after: int = field(1, Uint(16), "records before these")
    records: tuple[KeyRecord, ...] = field(2, Array(RECORD, 0, MAX_RECORDS), "the signed records")
    more: bool = field(3, Bool(), "whether further ones follow")


def pages_of(party: bytes, records: tuple[KeyRecord, ...]) -> list[Keys]:
    """The messages that hold all records of a party; one without records where there are none."""
    starts = range(0, max(len(records), 1), MAX_RECORDS)
    return [page_of(party, records, start) for start in starts]


def page_of(party: bytes, records: tuple[KeyRecord, ...], after: int) -> Keys:
    """The message with the records that follow the first ``after``."""
    end = after + MAX_RECORDS
    return Keys(party, after, records[after:end], end < len(records))
