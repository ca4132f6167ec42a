# SPDX-License-Identifier: Apache-2.0
"""VC-IDN-042 end to end: a coordinator that requires evidence, workers with and without an attester."""

import asyncio
import os
from pathlib import Path
from typing import Any

import pytest

from tests.protocol_kit import COORDINATOR, SETTLEMENT
from vcompute.blobs import BlobCache
from vcompute.cli.attestation import attester_of, policy_of
from vcompute.errors import UsageError
from vcompute.identity import PrivateKey, save_key
from vcompute.node.compute import SuiteCompute
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.store import Store
from vcompute.node.worker import WorkerNode
from vcompute.policy import WorkerTerms
from vcompute.policy.attestation import AttestationPolicy
from vcompute.registry import Role
from vcompute.settlement import Ledger, SqliteBook
from vcompute.transport.memory import MemoryLink

UEID = "01" * 17


def coordinator(path: Path, attestation: AttestationPolicy) -> CoordinatorNode:
    ledger = Ledger(SqliteBook(":memory:"), SETTLEMENT)
    blobs = BlobCache(path / "blobs", 1 << 20, durable=False)
    store = Store(":memory:")
    return CoordinatorNode(COORDINATOR, ledger, store, blobs, nonce=os.urandom, attestation=attestation)


def worker(path: Path, hub: CoordinatorNode, attester: Any) -> WorkerNode:
    compute = SuiteCompute(1)
    return WorkerNode(
        key=PrivateKey.generate(),
        role=Role.WORKER,
        link=MemoryLink(hub),
        store=Store(":memory:"),
        blobs=BlobCache(path / "worker", 1 << 20, durable=False),
        nonce=os.urandom,
        compute=compute,
        terms=WorkerTerms(compute.suites),
        attester=attester,
    )


@pytest.mark.parametrize("trusted", [True, False])
def test_only_attested_workers_get_tasks_where_that_is_required(tmp_path: Path, trusted: bool) -> None:
    attester = PrivateKey.generate()
    save_key(attester, tmp_path / "attester.pem")
    believed = attester.thumbprint if trusted else COORDINATOR.thumbprint
    hub = coordinator(tmp_path, policy_of("require", (believed.hex(),)))
    node = worker(tmp_path, hub, attester_of(tmp_path / "attester.pem", UEID))

    async def run() -> None:
        serving, working = asyncio.ensure_future(hub.run()), asyncio.ensure_future(node.run())
        for _ in range(200):
            party = hub.session.roster.parties.get(node.key.thumbprint)
            if party is not None and (party.advertise is not None or (not trusted and hub.traffic.refused)):
                break
            await asyncio.sleep(0.02)
        assert party is not None
        assert (party.advertise is not None) is trusted
        assert (party.appraisal is not None) is trusted
        if party.appraisal is not None:
            assert party.appraisal.device == bytes.fromhex(UEID)
        assert hub.session.roster.idle is not trusted
        node.stop()
        await working
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(run())


def test_options_that_make_no_sense_are_refused(tmp_path: Path) -> None:
    for weight, attesters in (("require", ()), ("ignore", ("00" * 32,)), ("prefer", ("zz",))):
        with pytest.raises(UsageError):
            policy_of(weight, attesters)
    save_key(PrivateKey.generate(), tmp_path / "attester.pem")
    for path, ueid in ((None, UEID), (tmp_path / "attester.pem", None), (tmp_path / "attester.pem", "01")):
        with pytest.raises(UsageError):
            attester_of(path, ueid)
    assert attester_of(None, None) is None
