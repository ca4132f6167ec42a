# SPDX-License-Identifier: Apache-2.0
"""The committed CDDL of keys, confidential inputs and quorums accepts what the vectors hold and nothing beside."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cbor2
import pycddl
import pytest

from vcompute.conformance.wire import to_bytes
from vcompute.identity import bls
from vcompute.identity.lifecycle import EVIDENCE_AAD, ROTATION_AAD, SUCCESSOR_AAD

ROOT = Path(__file__).resolve().parents[2]


def schema(name: str, root: str) -> pycddl.Schema:
    text = (ROOT / "spec" / "cddl" / f"{name}.cddl").read_text(encoding="utf-8")
    return pycddl.Schema(f"root = {root}\n{text}")


def cases(op: str) -> Iterator[dict[str, Any]]:
    for case in json.loads((ROOT / "spec" / "vectors" / "v1" / "trust.json").read_text(encoding="utf-8"))["cases"]:
        if case["op"] == op and "out" in case:
            yield case["in"]


def records() -> Iterator[tuple[str, str, bytes]]:
    """File, root and bytes of each kind of record."""
    history = next(
        item for item in cases("key.history") if len(item["records"]) == 2 and item["records"][1][0] == "revocation"
    )
    rotation = cbor2.loads(to_bytes(history["records"][0][1])).value[2]
    yield "keys", "rotation", rotation
    yield "keys", "successor", cbor2.loads(cbor2.loads(rotation)[0]).value[2]
    yield "keys", "revocation", cbor2.loads(to_bytes(history["records"][1][1])).value[2]
    yield "keys", "evidence", cbor2.loads(to_bytes(next(cases("evidence.open"))["bytes"])).value[2]
    opened = next(cases("input.open"))
    yield "inputs", "task-configuration", to_bytes(opened["configuration"])
    yield "inputs", "sealed-input", to_bytes(opened["sealed"])
    certified = next(cases("quorum.verify"))
    yield "quorums", "verifier-set", to_bytes(certified["verifier_set"])
    yield "quorums", "quorum-certificate", to_bytes(certified["certificate"])


@pytest.mark.parametrize(
    ("name", "root", "data"), list(records()), ids=lambda value: value if isinstance(value, str) else ""
)
def test_records_fit_their_schema(name: str, root: str, data: bytes) -> None:
    """VC-IDN-034, VC-HPK-006, VC-QRM-009: the schema in CDDL and the decoder mean the same records."""
    checked = schema(name, root)
    checked.validate_cbor(data)
    content = cbor2.loads(data)
    first = next(iter(content))
    for wrong in (
        {**content, 99: 0},
        {key: value for key, value in content.items() if key != first},
        {**content, first: None},
    ):
        with pytest.raises(pycddl.ValidationError):
            checked.validate_cbor(cbor2.dumps(wrong))


def test_purposes_are_apart() -> None:
    """VC-IDN-034: no two kinds of records are signed under the same additional data, nor under the same BLS domain."""
    assert len({EVIDENCE_AAD, ROTATION_AAD, SUCCESSOR_AAD}) == 3
    assert bls.SIGN_DST != bls.POP_DST
