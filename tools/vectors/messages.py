# SPDX-License-Identifier: Apache-2.0
"""L0: keys, envelopes and every message of the protocol, least, full, and with one fault each."""

import hashlib
from collections.abc import Iterator
from typing import Any

from vcompute.codec import Array, Bytes, Int, Record, Tagged, Text, Variant, dumps, fields_of, loads
from vcompute.codec import Enum as EnumKind
from vcompute.codec.cbor import Value
from vcompute.codec.schema import Kind
from vcompute.identity import PrivateKey, sign1
from vcompute.identity.keys import ORDER
from vcompute.messages import AAD
from vcompute.messages.envelope import TYPES
from vcompute.registry import MessageType
from vectors.base import Group, xof

KEY = PrivateKey.from_seed(b"vectors")
OTHER = PrivateKey.from_seed(b"another")


def group() -> Group:
    """The group ``messages``."""
    result = Group("messages", "L0", "Keys, signed envelopes and messages.")
    _keys(result)
    _envelopes(result)
    for tag, cls in TYPES:
        _message(result, tag, cls)
    return result


def _keys(result: Group) -> None:
    key = KEY.public.cose_key
    result.valid("key/good", "key.thumbprint", "VC-ID-001 VC-ID-002", {"key": key}, {"thumbprint": KEY.thumbprint})
    point: Any = loads_key(key)
    off_curve = point["y"][:-1] + bytes([point["y"][-1] ^ 1])
    cases = (
        ("off-curve", key[:-32] + off_curve, "a point beside the curve"),
        ("zero", key[:10] + bytes(32) + b"\x22\x58\x20" + bytes(32), "the point (0, 0)"),
        ("x-not-reduced", key[:10] + b"\xff" * 32 + key[42:], "x above the field's prime"),
        ("short", key[:-1], "a byte missing"),
        ("trailing", key + b"\x00", "a byte too many"),
        ("empty", b"", "nothing"),
        ("kty-okp", b"\xa4\x01\x01" + key[3:], "key type OKP"),
        ("crv-p384", key[:4] + b"\x02" + key[5:], "curve P-384"),
        ("compressed", bytes.fromhex("a401022001215820") + point["x"] + b"\x22\xf5", "y as a sign bit"),
        ("with-alg", b"\xa5\x01\x02\x03\x26" + key[3:], "an algorithm beside the required parameters"),
    )
    for name, data, text in cases:
        result.refused(f"key/{name}", "key.thumbprint", "VC-ID-001", {"key": data}, "invalid_key", text)


def loads_key(key: bytes) -> dict[str, bytes]:
    """x and y of a COSE_Key."""
    return {"x": key[8:40], "y": key[43:75]}


def _envelopes(result: Group) -> None:
    payload, aad = b"payload", b"vcompute/vectors"

    def sealed(**change: Any) -> bytes:
        envelope: Any = loads(sign1(KEY, change.pop("payload", payload), change.pop("aad", aad)))
        parts = list(envelope.value)
        for index, value in change.items():
            parts[int(index[1:])] = value
        return dumps(Tagged(18, parts))

    base: Any = loads(sealed())
    protected, signature = base.value[0], base.value[3]
    r, s = signature[:32], int.from_bytes(signature[32:], "big")
    high = r + (ORDER - s).to_bytes(32, "big")

    def valid(name: str, **change: Any) -> None:
        data = sealed(**change)
        out = {
            "signer": KEY.thumbprint,
            "payload": change.get("payload", payload),
            "digest": hashlib.sha256(data).digest(),
        }
        result.valid(
            f"envelope/{name}",
            "envelope.open",
            "VC-ID-003 VC-ID-004",
            {"bytes": data, "aad": change.get("aad", aad)},
            out,
        )

    valid("plain")
    valid("payload-empty", payload=b"")
    valid("aad-empty", aad=b"")
    valid("payload-longest", payload=bytes(1 << 15))

    def refuse(name: str, requirement: str, data: bytes, error: str, text: str, given_aad: bytes = aad) -> None:
        given = {"bytes": data, "aad": given_aad}
        result.refused(f"envelope/{name}", "envelope.open", requirement, given, error, text)

    flipped = signature[:31] + bytes([signature[31] ^ 1]) + signature[32:]
    other_header = protected[:-75] + OTHER.public.cose_key
    bad = "bad_signature"
    refuse("aad-differs", "VC-ID-004", sealed(), bad, "signed for another purpose", b"vcompute/other")
    refuse("payload-flipped", "VC-ID-004", sealed(f2=b"Payload"), bad, "one bit of the payload")
    refuse("r-flipped", "VC-ID-004", sealed(f3=flipped), bad, "one bit of r")
    refuse("other-key", "VC-ID-004", sealed(f0=other_header), bad, "another key in the header")
    malleable = "non_canonical_signature"
    refuse("s-high", "VC-ID-005", sealed(f3=high), malleable, "the same signature with n - s")
    refuse("r-zero", "VC-ID-005", sealed(f3=bytes(32) + signature[32:]), malleable, "r = 0")
    refuse("s-zero", "VC-ID-005", sealed(f3=r + bytes(32)), malleable, "s = 0")
    refuse("r-order", "VC-ID-005", sealed(f3=ORDER.to_bytes(32, "big") + signature[32:]), malleable, "r = n")
    refuse("signature-short", "VC-ID-005", sealed(f3=signature[:-1]), malleable, "63 bytes")
    refuse("signature-long", "VC-ID-005", sealed(f3=signature + b"\x00"), malleable, "65 bytes")
    schema = "schema_violation"
    refuse("signature-text", "VC-ID-005", sealed(f3="signature"), malleable, "a text for the signature")
    refuse("unprotected", "VC-ID-003", sealed(f1={1: -7}), schema, "something in the unprotected header")
    refuse("unprotected-null", "VC-ID-003", sealed(f1=None), schema, "null for the unprotected header")
    refuse("protected-empty", "VC-ID-003", sealed(f0=b""), schema, "no protected header")
    refuse(
        "protected-alg",
        "VC-ID-003",
        sealed(f0=protected.replace(b"\x01\x26", b"\x01\x27", 1)),
        schema,
        "EdDSA in the header",
    )
    refuse("payload-null", "VC-ID-003", sealed(f2=None), schema, "a detached payload")
    refuse("three-parts", "VC-ID-003", dumps(Tagged(18, base.value[:3])), schema, "no signature")
    refuse("untagged", "VC-ID-003", dumps(base.value), schema, "no tag")
    refuse("map", "VC-ID-003", dumps({0: 1}), schema, "a map")
    refuse(
        "key-off-curve",
        "VC-ID-001",
        sealed(f0=protected[:-1] + bytes([protected[-1] ^ 1])),
        "invalid_key",
        "a key beside the curve",
    )
    refuse("trailing", "VC-ENC-007", sealed() + b"\x00", "malformed_encoding", "a byte after the envelope")
    refuse("tag-long", "VC-ENC-003", b"\xd8\x12" + sealed()[1:], "malformed_encoding", "tag 18 in two bytes")
    refuse("too-long", "VC-ENC-008", sealed(f2=bytes((1 << 15) + 512)), "limit_exceeded", "an envelope over its bound")


def least(kind: Kind, seed: str, *, full: bool) -> Value:
    """The least value of a kind on the wire, or with ``full`` one near its other end."""
    match kind:
        case EnumKind():
            members = sorted(int(member) for member in kind.registry)
            return members[-1] if full else members[0]
        case Int():
            return kind.high if full else kind.low
        case Bytes():
            return xof(f"vcompute/vectors/{seed}", min(kind.high, 300) if full else kind.low)
        case Text():
            return "é" * (kind.high // 2) if full else ""
        case Array():
            count = min(kind.high, 2) if full else kind.low
            return [least(kind.of, f"{seed}/{index}", full=full) for index in range(count)]
        case Record():
            return record(kind.cls, seed, full=full)
        case Variant():
            tag, cls = kind.cases[-1 if full else 0]
            return [int(tag), record(cls, seed, full=full)]
        case _:
            return full


def record(cls: type[Any], seed: str, *, full: bool) -> dict[int, Value]:
    """A record's least or fullest wire form; optional fields are there in the full one."""
    return {
        spec.key: least(spec.kind, f"{seed}/{spec.name}", full=full)
        for spec in fields_of(cls)
        if full or not spec.optional
    }


def wrong(kind: Kind) -> Iterator[tuple[str, Value, str]]:
    """Values just outside a kind."""
    match kind:
        case EnumKind():
            yield "unregistered", 65534, "a number that is not registered"
        case Int():
            if kind.low > -(2**63):
                yield "low", kind.low - 1, f"{kind.low - 1}"
            if kind.high < 2**64 - 1:
                yield "high", kind.high + 1, f"{kind.high + 1}"
        case Bytes():
            if kind.low:
                yield "short", bytes(kind.low - 1), f"{kind.low - 1} bytes"
            yield "long", bytes(kind.high + 1), f"{kind.high + 1} bytes"
        case Text():
            yield "long", "x" * (kind.high + 1), f"{kind.high + 1} bytes of text"
        case Array():
            if kind.low:
                yield "empty", [], "no entry"
            item = least(kind.of, "wrong", full=False)
            yield "long", [item] * (kind.high + 1), f"{kind.high + 1} entries"
        case Record():
            yield "empty", {}, "an empty map"
        case Variant():
            yield "unregistered", [250, {}], "a case that is not registered"
        case _:
            yield "number", 1, "1 for true"


def _message(result: Group, tag: int, cls: type[Any]) -> None:
    name = MessageType(tag).name.lower()

    def signed(body: Value, number: Value = int(tag)) -> bytes:
        return sign1(KEY, dumps([number, body]), AAD)

    for form in ("least", "full"):
        data = signed(record(cls, name, full=form == "full"))
        out = {"type": int(tag), "signer": KEY.thumbprint, "digest": hashlib.sha256(data).digest()}
        result.valid(f"{name}/{form}", "message.open", "VC-MSG-001 VC-MSG-002", {"bytes": data}, out)

    def refuse(case: str, requirement: str, data: bytes, error: str, text: str) -> None:
        result.refused(f"{name}/{case}", "message.open", requirement, {"bytes": data}, error, text)

    body = record(cls, name, full=False)
    first = fields_of(cls)[0]
    missing = {key: value for key, value in body.items() if key != first.key}
    refuse("missing", "VC-ENC-009", signed(missing), "schema_violation", f"no {first.name}")
    refuse("unknown-key", "VC-ENC-009", signed({**body, 200: 0}), "schema_violation", "a key of no field")
    for spec in fields_of(cls):
        for case, value, text in wrong(spec.kind):
            data = signed({**body, spec.key: value})
            if len(data) > (1 << 15):
                continue
            refuse(
                f"{spec.name}-{case}".replace("_", "-"),
                "VC-MSG-002 VC-ENC-010",
                data,
                "schema_violation",
                f"{spec.name}: {text}",
            )
            break
    if tag == MessageType.HELLO:
        _framing(result, body, signed)


def _framing(result: Group, body: Value, signed: Any) -> None:
    def refuse(name: str, requirement: str, data: bytes, error: str, text: str) -> None:
        result.refused(f"framing/{name}", "message.open", requirement, {"bytes": data}, error, text)

    refuse("type-unknown", "VC-MSG-003", signed(body, 60_000), "unknown_message", "a type that is not registered")
    refuse(
        "type-of-another", "VC-MSG-002", signed(body, int(MessageType.FETCH)), "schema_violation", "a Hello as Fetch"
    )
    refuse("bare-body", "VC-MSG-002", sign1(KEY, dumps(body), AAD), "schema_violation", "a body without its type")
    refuse("not-cbor", "VC-ENC-007", sign1(KEY, b"\x82\x01", AAD), "malformed_encoding", "a payload cut short")
    refuse(
        "other-version",
        "VC-MSG-001",
        sign1(KEY, dumps([1, body]), b"vcompute/2"),
        "bad_signature",
        "signed for version 2",
    )
    deep: Value = 0
    for _ in range(9):
        deep = [deep]
    refuse("deep", "VC-ENC-008", sign1(KEY, dumps(deep), AAD), "limit_exceeded", "a payload nested 9 deep")
