# SPDX-License-Identifier: Apache-2.0
"""Keys and messages that the protocol's tests share."""

from dataclasses import replace
from typing import Any

from vcompute.identity import PrivateKey
from vcompute.messages import Accept, Always, BlobRef, Offer, Result, Signed, SuiteChoice, Verdict, seal
from vcompute.registry import Basis, ErrorCode, ParameterSetId
from vcompute.task.digest import blob_digest

REQUESTER = PrivateKey.from_seed(b"requester")
WORKER = PrivateKey.from_seed(b"worker")
OTHER = PrivateKey.from_seed(b"other worker")
VERIFIER = PrivateKey.from_seed(b"verifier")
COORDINATOR = PrivateKey.from_seed(b"coordinator")
SETTLEMENT = PrivateKey.from_seed(b"settlement")
REPLAY = SuiteChoice.of(ParameterSetId.EXACT)
NOW = 1_700_000_000_000


def ref(data: bytes) -> BlobRef:
    return BlobRef(blob_digest(data), len(data))


OFFER = Offer(
    nonce=bytes(16),
    settlement=SETTLEMENT.thumbprint,
    model=ref(b"model"),
    inputs=ref(b"inputs"),
    batch=4,
    work_units=1000,
    policy=Always((REPLAY,)),
    verifiers=(VERIFIER.thumbprint,),
    quorum=1,
    price=50,
    bond=20,
    deadline=NOW + 60_000,
    lease=5_000,
    verdict_within=10_000,
    extensions=(),
)


def offer(**changes: Any) -> Signed[Any]:
    return seal(REQUESTER, replace(OFFER, **changes))


def accept(task: Signed[Any], key: PrivateKey = WORKER, attempt: int = 1) -> Signed[Any]:
    return seal(key, Accept(task.digest, attempt, task.body.bond))


def result(
    lease: Signed[Any], key: PrivateKey = WORKER, outputs: bytes = b"outputs", suite: SuiteChoice = REPLAY
) -> Signed[Any]:
    return seal(key, Result(lease.body.task, lease.digest, ref(outputs), suite))


def verdict(
    judged: Signed[Any], accepted: bool = True, key: PrivateKey = VERIFIER, basis: Basis = Basis.REPLAYED
) -> Signed[Any]:
    code = None if accepted else ErrorCode.OUTPUT_MISMATCH
    return seal(key, Verdict(judged.body.task, judged.body.lease, judged.digest, accepted, basis, code))
