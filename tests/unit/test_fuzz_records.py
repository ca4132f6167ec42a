# SPDX-License-Identifier: Apache-2.0
"""Mutated vectors through every decoder of blobs, identity and policy: typed refusals, or the same bytes again.

``VCOMPUTE_FUZZ_SECONDS`` makes a run longer; by default it is two seconds over a fixed seed.
"""

import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest

from vcompute.blobs import Chunk
from vcompute.codec import decode, encode
from vcompute.conformance.wire import to_bytes
from vcompute.errors import VcomputeError
from vcompute.identity import PrivateKey, bls, hpke
from vcompute.identity.attestation import AttesterToken
from vcompute.identity.confidential import EncryptionKey, SealedInput, TaskConfiguration
from vcompute.identity.ed25519 import Ed25519PublicKey
from vcompute.identity.history import KeyHistory
from vcompute.identity.lifecycle import Enrolment, Evidence, KeyRecord, Revocation, Rotation, Successor, open_evidence
from vcompute.identity.quorum import Quorum, QuorumCertificate, VerifierSet
from vcompute.policy.device import DevicePolicy, Reading
from vcompute.policy.device.trace import parse_trace

VECTORS = Path(__file__).resolve().parents[2] / "spec" / "vectors" / "v1"
RECORDS = (
    AttesterToken,
    Chunk,
    DevicePolicy,
    EncryptionKey,
    Enrolment,
    Evidence,
    KeyRecord,
    QuorumCertificate,
    Reading,
    Revocation,
    Rotation,
    SealedInput,
    Successor,
    TaskConfiguration,
    VerifierSet,
)
KEY = PrivateKey.from_seed(b"fuzz")
BACKEND = bls.load_backend()
READERS: tuple[Callable[[bytes], object], ...] = (
    lambda data: KeyHistory(KEY.thumbprint, 0).apply_rotation(data),
    lambda data: KeyHistory(KEY.thumbprint, 0).apply_revocation(data),
    lambda data: open_evidence(data, b"challenge"),
    Ed25519PublicKey,
    lambda data: bls.register(BACKEND, data[:48], data[48:]),
    lambda data: hpke.open_sealed(KEY.wrapped, data[:65], b"", b"", data[65:]),
    lambda data: Quorum(decode(VerifierSet, data), BACKEND),
    lambda data: parse_trace([data.decode("latin1")]),
)


def seeds(value: Any) -> Iterator[bytes]:
    """Every byte string of a vector's input."""
    if isinstance(value, str):
        try:
            yield to_bytes(value)
        except VcomputeError:
            return
    elif isinstance(value, dict):
        for item in value.values():
            yield from seeds(item)
    elif isinstance(value, list):
        for item in value:
            yield from seeds(item)


def mutated(random: Random, corpus: list[bytes]) -> bytes:
    data = bytearray(random.choice(corpus))
    for _ in range(random.randrange(5)):
        if not data:
            break
        place = random.randrange(len(data))
        match random.randrange(5):
            case 0:
                data[place] ^= 1 << random.randrange(8)
            case 1:
                del data[place : place + random.randrange(1, 9)]
            case 2:
                data[place:place] = random.randbytes(random.randrange(1, 9))
            case 3:
                data[place] = random.choice((0x00, 0x18, 0x5B, 0x7F, 0x80, 0x9B, 0xBB, 0xF6, 0xFF))
            case _:
                other = random.choice(corpus)
                data[place:] = other[random.randrange(len(other)) :] if other else b""
    return bytes(data)


@pytest.mark.parametrize("seed", [1])
def test_mutants_are_refused_or_round_trip(seed: int) -> None:
    """VC-BLB-011, VC-HPK-006, VC-QRM-009, VC-IDN-034, VC-DEV-008: nothing but typed refusals."""
    corpus = [
        data
        for name in ("trust", "policy", "digests")
        for case in json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))["cases"]
        for data in seeds(case["in"])
        if len(data) < 4096
    ]
    random, accepted = Random(seed), 0
    end = time.monotonic() + float(os.environ.get("VCOMPUTE_FUZZ_SECONDS", "2"))
    while time.monotonic() < end:
        data = mutated(random, corpus)
        for record in RECORDS:
            try:
                value = decode(record, data)
            except VcomputeError:
                continue
            assert encode(value) == data
            accepted += 1
        try:
            random.choice(READERS)(data)
        except VcomputeError:
            continue
    assert accepted > 20
