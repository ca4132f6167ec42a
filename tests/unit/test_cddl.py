# SPDX-License-Identifier: Apache-2.0
"""The committed CDDL accepts what the schemas encode, refuses what they refuse, and is up to date."""

import subprocess
import sys
from pathlib import Path

import cbor2
import numpy as np
import pycddl
import pytest

from tests.protocol_kit import OFFER, REQUESTER, accept, offer, result, verdict
from vcompute.blobs import Upload
from vcompute.data import digits_model
from vcompute.importers import import_tflite
from vcompute.messages import seal
from vcompute.proof.api import prove
from vcompute.task import encode_model, make_batch

ROOT = Path(__file__).resolve().parents[2]


def schema(name: str, root: str | None = None) -> pycddl.Schema:
    text = (ROOT / "spec" / "cddl" / f"{name}.cddl").read_text(encoding="utf-8")
    return pycddl.Schema(f"root = {root}\n{text}" if root else text)


def test_the_committed_files_are_up_to_date() -> None:
    subprocess.run([sys.executable, str(ROOT / "tools" / "generate_cddl.py"), "--check"], check=True)


def test_signed_messages_fit_the_envelope() -> None:
    envelopes = schema("messages")
    lease = accept(offer())
    for message in (offer(), lease, result(lease), verdict(result(lease), False)):
        envelopes.validate_cbor(message.data)
        schema("messages", "message-choice").validate_cbor(cbor2.loads(message.data).value[2])
    parts = cbor2.loads(seal(REQUESTER, OFFER).data).value
    for position, wrong in ((0, b""), (2, {}), (3, bytes(63))):
        damaged = [*parts[:position], wrong, *parts[position + 1 :]]
        with pytest.raises(pycddl.ValidationError):
            envelopes.validate_cbor(cbor2.dumps(cbor2.CBORTag(18, damaged)))


def test_files_fit_their_schema() -> None:
    model = import_tflite(digits_model())
    outputs, proof = prove(model, np.zeros((2, 8, 8, 1), np.int8))
    batch = make_batch(outputs.arrays[0])
    for name, root, data in (
        ("task", "model-file", encode_model(model)),
        ("task", "batch-record", batch.encoded),
        ("proof", "proof-envelope", proof),
        ("blobs", "chunk", Upload.of_bytes(bytes(200_000)).chunk(1).encode()),
    ):
        schema(name, root).validate_cbor(data)
        with pytest.raises(pycddl.ValidationError):
            schema(name, root).validate_cbor(cbor2.dumps({**cbor2.loads(data), 99: 0}))
