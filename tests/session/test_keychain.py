# SPDX-License-Identifier: Apache-2.0
"""The keys of a state directory: a rotation that is killed at any moment goes on, and leaves one key or the other."""

import asyncio
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from tests.protocol_kit import COORDINATOR, NOW, SETTLEMENT
from vcompute.blobs import BlobCache
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey, save_key
from vcompute.identity.lifecycle import KeyRecord, RecordKind, revoke
from vcompute.node.client import wall_clock
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.keychain import Keychain, bring, records_of
from vcompute.node.store import Store
from vcompute.registry import ErrorCode, RevocationReason
from vcompute.settlement import Ledger, SqliteBook
from vcompute.transport.memory import MemoryLink


def coordinator(path: Path) -> CoordinatorNode:
    ledger = Ledger(SqliteBook(path / "ledger.db"), SETTLEMENT)
    blobs = BlobCache(path / "blobs", 1 << 20, durable=False)
    return CoordinatorNode(COORDINATOR, ledger, Store(path / "state.db"), blobs, nonce=os.urandom)


def served(path: Path, work: Callable[[MemoryLink], Awaitable[Any]]) -> Any:
    """Work with a coordinator that starts for it and ends after it."""
    hub = coordinator(path)

    async def run() -> Any:
        serving = asyncio.ensure_future(hub.run())
        try:
            return await work(MemoryLink(hub))
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    return asyncio.run(run())


def directory(path: Path) -> tuple[Path, PrivateKey]:
    path.mkdir()
    key = PrivateKey.generate()
    save_key(key, path / "key.pem")
    return path, key


def test_a_rotation_killed_at_each_step_goes_on(tmp_path: Path) -> None:
    """VC-KEY-005: before it is brought, after it, between the files: the same command again ends with the new key."""
    hub = coordinator(tmp_path)
    home, first = directory(tmp_path / "worker")
    hub.settlement.fund(first.thumbprint, 7, b"", NOW)
    begun = Keychain(home).begin(wall_clock())
    with pytest.raises(UsageError):
        Keychain(home).require_settled()
    again = Keychain(home)
    assert again.begin(wall_clock()) == begun
    assert again.key.thumbprint == first.thumbprint
    served(tmp_path, lambda link: bring(link, first, begun))
    after = Keychain(home)
    assert after.begin(wall_clock()) == begun
    served(tmp_path, lambda link: bring(link, first, begun))
    after.keep([*after.records, begun])  # killed before the new key is in its place
    pending = (home / "next.cbor").read_bytes()
    Keychain(home).finish()
    (home / "next.cbor").write_bytes(pending)  # killed before the last step
    last = Keychain(home)
    served(tmp_path, lambda link: bring(link, first, last.begin(wall_clock())))
    last.finish()
    done = Keychain(home)
    done.require_settled()
    assert done.key.thumbprint != first.thumbprint
    assert done.who.name == first.thumbprint
    assert hub.settlement.balance(done.key.thumbprint) == 7
    assert done.begin(wall_clock()) != begun


def test_a_coordinator_that_starts_again_has_the_records(tmp_path: Path) -> None:
    """VC-KEY-005: what its settlement recorded is in force from the first message of the next process."""
    home, first = directory(tmp_path / "worker")
    record = Keychain(home).begin(wall_clock())
    served(tmp_path, lambda link: bring(link, first, record))
    found = served(tmp_path, lambda link: records_of(link, first.thumbprint, wall_clock))
    assert found.keys.records(first.thumbprint) == (record,)
    assert found.keys.current(first.thumbprint) != first.thumbprint


def test_what_the_settlement_refuses_its_bringer_hears(tmp_path: Path) -> None:
    """VC-KEY-002: a rotation to a key with an account is refused to whoever brings it, not in a log alone."""
    hub = coordinator(tmp_path)
    home, first = directory(tmp_path / "worker")
    chain = Keychain(home)
    record = chain.begin(wall_clock())
    (new,) = (key for key in hub.session.keys.preview(record, wall_clock()).keys if key != first.thumbprint)
    hub.settlement.fund(new, 1, b"", NOW)
    with pytest.raises(ProtocolError) as caught:
        served(tmp_path, lambda link: bring(link, first, record))
    assert caught.value.code is ErrorCode.KEY_REUSED
    assert hub.settlement.keys.current(first.thumbprint) == first.thumbprint


def test_an_operators_revocation_is_looked_up(tmp_path: Path) -> None:
    """VC-KEY-013: who asks greets first, hears which settlement it is, and takes that key's revocations."""
    key = PrivateKey.generate()
    data = revoke(SETTLEMENT, key.thumbprint, wall_clock(), RevocationReason.COMPROMISED)
    served(tmp_path, lambda link: bring(link, SETTLEMENT, KeyRecord(RecordKind.REVOCATION, data)))
    found = served(tmp_path, lambda link: records_of(link, key.thumbprint, wall_clock))
    assert found.keys.ended(key.thumbprint)
