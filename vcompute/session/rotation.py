# SPDX-License-Identifier: Apache-2.0
"""What a client has under way when it changes its key."""

import hashlib
from collections.abc import Iterable
from typing import Any, Final

from vcompute.messages import reopen
from vcompute.session.requester import REQUESTER_TABLE, RequesterRecord
from vcompute.session.verifier_table import VERIFIER_TABLE, VerifierRecord
from vcompute.session.worker_table import WORKER_TABLE, WorkerRecord

_TABLES: Final[dict[type[Any], Any]] = {
    RequesterRecord: REQUESTER_TABLE,
    VerifierRecord: VERIFIER_TABLE,
    WorkerRecord: WORKER_TABLE,
}
_SAID: Final = ("last", "result", "accept", "verdict", "challenge", "cancel", "offer")
"""Fields of records that may hold the party's own messages."""


def in_flight(records: Iterable[Any]) -> list[tuple[bytes, bytes]]:
    """Digest and signing key of each message that open records would send again."""
    found: dict[bytes, bytes] = {}
    for record in records:
        if _TABLES[type(record)].final(record.state):
            continue
        for name in _SAID:
            data = getattr(record, name, None)
            if data is not None:
                found[hashlib.sha256(data).digest()] = reopen(data).signer
    return list(found.items())
