# SPDX-License-Identifier: Apache-2.0
"""The vectors, checked by code that shares none with their generator: cbor2, hashlib and plain integers."""

import base64
import hashlib
import json
import re
from collections.abc import Iterator
from fractions import Fraction
from math import floor
from pathlib import Path
from typing import Any

import cbor2
import jsonschema
import pytest

ROOT = Path(__file__).resolve().parent.parent.parent
SCHEMA = json.loads((ROOT / "spec" / "vectors" / "schema.json").read_text(encoding="utf-8"))
VECTORS = sorted((ROOT / "spec" / "vectors" / "v1").glob("*.json"))


def cases(*names: str) -> list[Any]:
    return list(_cases(*names))


def _cases(*names: str) -> Iterator[Any]:
    for path in VECTORS:
        for case in json.loads(path.read_text(encoding="utf-8"))["cases"]:
            if not names or case["op"] in names:
                yield pytest.param(case, id=case["id"])


def raw(value: Any) -> bytes:
    if isinstance(value, dict):
        return hashlib.shake_256(value["shake256"].encode()).digest(value["length"])
    return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))


def text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_file_has_the_form_of_the_book(path: Path) -> None:
    group = json.loads(path.read_text(encoding="utf-8"))
    assert group["format"] == "vcompute-vectors/1"
    assert re.fullmatch("L[0-5]", group["level"])
    names = [case["id"] for case in group["cases"]]
    assert len(set(names)) == len(names)
    for case in group["cases"]:
        assert case["id"].startswith(f"{group['group']}/")
        assert case["requirements"]
        assert ("error" in case) is ("negative" in case["flags"]) is ("out" not in case)


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
def test_file_fits_its_schema(path: Path) -> None:
    group = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    jsonschema.validate(group, SCHEMA, cls=jsonschema.Draft202012Validator)


@pytest.mark.parametrize(
    "change",
    [
        {"error": "no_such"},  # beside a result
        {"flags": ["negative"]},
        {"requirements": []},
        {"requirements": ["ENC-1"]},
        {"id": "codec"},
        {"op": "decode"},
        {"roles": ["settlement"]},
        {"extra": 1},
    ],
    ids=str,
)
def test_the_schema_refuses(change: dict[str, Any]) -> None:
    group = json.loads(VECTORS[0].read_text(encoding="utf-8"))
    case = next(case for case in group["cases"] if "out" in case)
    group["cases"] = [{**case, **change}]
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate(group, SCHEMA, cls=jsonschema.Draft202012Validator)


def test_four_in_ten_are_negative() -> None:
    """At least four vectors in ten are negative, and every group has some."""
    share = {}
    for path in VECTORS:
        found = [bool(case["flags"]) for case in json.loads(path.read_text(encoding="utf-8"))["cases"]]
        share[path.stem] = (sum(found), len(found))
    assert sum(negative for negative, _ in share.values()) >= 0.4 * sum(count for _, count in share.values()), share
    assert all(negative for negative, _ in share.values()), share


def plain(form: Any) -> Any:
    ((kind, value),) = form.items()
    match kind:
        case "uint" | "nint":
            return int(value)
        case "bytes":
            return raw(value)
        case "array":
            return [plain(item) for item in value]
        case "map":
            return {int(key): plain(item) for key, item in value}
        case "tag":
            return cbor2.CBORTag(int(value[0]), plain(value[1]))
        case "null":
            return None
    return value


@pytest.mark.parametrize("case", cases("cbor.decode", "cbor.encode"))
def test_data_items_by_cbor2(case: dict[str, Any]) -> None:
    if "error" in case:
        return
    form = case["in"].get("value") or case["out"]["value"]
    data = raw(case["in"].get("bytes") or case["out"]["bytes"])
    assert cbor2.dumps(plain(form)) == data


def root(leaves: list[bytes]) -> bytes:
    """Level by level: neighbours in pairs, an odd last one carried up."""
    while len(leaves) > 1:
        pairs = [hashlib.sha256(b"\x01" + a + b).digest() for a, b in zip(leaves[::2], leaves[1::2], strict=False)]
        leaves = pairs + leaves[len(leaves) & ~1 :]
    return leaves[0]


@pytest.mark.parametrize("case", cases("blob.digest"))
def test_blob_digests(case: dict[str, Any]) -> None:
    data = raw(case["in"]["bytes"])
    chunks = [data[at : at + 65536] for at in range(0, len(data), 65536)] or [b""]
    top = root([hashlib.sha256(b"\x00" + chunk).digest() for chunk in chunks])
    assert case["out"]["root"] == text(top)
    sizes = len(data).to_bytes(8, "big") + (65536).to_bytes(4, "big")
    assert case["out"]["digest"] == text(hashlib.sha256(b"vcompute/blob/1\x00" + sizes + top).digest())


@pytest.mark.parametrize("case", cases("compute.requantize"))
def test_requantisation_by_fractions(case: dict[str, Any]) -> None:
    given = case["in"]
    multiplier, shift = given["multiplier"], given["shift"]
    got = []
    for value in given["values"]:
        if given["rounding"] == 2:
            got.append(floor(Fraction(value * multiplier) * Fraction(2) ** (shift - 31) + Fraction(1, 2)))
            continue
        high = floor(Fraction(value * 2 ** max(shift, 0) * multiplier, 2**31) + Fraction(1, 2))
        quotient = Fraction(high, 2 ** max(-shift, 0))
        away = floor(abs(quotient) + Fraction(1, 2))
        got.append(away if quotient >= 0 else -away)
    assert got == case["out"]["values"]
