# SPDX-License-Identifier: Apache-2.0
"""How a vector writes bytes and data items, and the strict profile of CBOR."""

import base64
import hashlib
from collections.abc import Mapping
from typing import Any

import cbor2


class Refused(Exception):
    """What the checker itself finds malformed."""


def unpack(value: Any) -> bytes:
    """base64url without padding, or the first bytes of SHAKE256 of a name."""
    if isinstance(value, str):
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return hashlib.shake_256(value["shake256"].encode()).digest(value["length"])


def pack(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def item(form: dict[str, Any]) -> Any:
    """The data item of a diagnostic form."""
    ((kind, value),) = form.items()
    return {
        "null": lambda: None,
        "bool": lambda: value,
        "uint": lambda: int(value),
        "nint": lambda: int(value),
        "bytes": lambda: unpack(value),
        "text": lambda: value,
        "tag": lambda: cbor2.CBORTag(int(value[0]), item(value[1])),
        "array": lambda: [item(entry) for entry in value],
        "map": lambda: {int(key): item(entry) for key, entry in value},
    }[kind]()


def strict(data: bytes, limits: dict[str, int] | None = None) -> Any:
    """One item of the profile: what cbor2 reads, whose canonical bytes these are, without what the profile lacks."""
    limits = limits or {"bytes": 1 << 20, "depth": 16, "items": 1 << 20}
    if len(data) > limits["bytes"]:
        raise Refused("too long")
    try:
        value = cbor2.loads(data)
        items = admitted(value, limits["depth"])
        again = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Refused(str(error)) from error
    if again != data or items > limits["items"]:
        raise Refused("not the deterministic encoding, or too many items")
    return value


def admitted(value: Any, depth: int) -> int:
    """The number of items; refuses what the profile does not have."""
    if depth < 0:
        raise Refused("too deep")
    if isinstance(value, Mapping):
        if any(type(key) is not int or key < 0 for key in value):
            raise Refused("a key that is no unsigned integer")
        return 1 + sum(admitted(entry, depth - 1) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return 1 + sum(admitted(entry, depth - 1) for entry in value)
    if isinstance(value, cbor2.CBORTag):
        if value.tag != 18:
            raise Refused("a tag")
        return 1 + admitted(value.value, depth - 1)
    if value is not None and type(value) not in (int, bytes, str, bool):
        raise Refused(type(value).__name__)
    if type(value) is int and not -(2**64) <= value < 2**64:
        raise Refused("an integer of more than 64 bits")
    return 1


def diagnostic(value: Any) -> dict[str, Any]:
    """The diagnostic form of a data item."""
    if isinstance(value, Mapping):
        return {"map": [[str(key), diagnostic(entry)] for key, entry in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"array": [diagnostic(entry) for entry in value]}
    if isinstance(value, cbor2.CBORTag):
        return {"tag": [str(value.tag), diagnostic(value.value)]}
    if value is None or isinstance(value, bool):
        return {"null": True} if value is None else {"bool": value}
    if isinstance(value, int):
        return {"uint" if value >= 0 else "nint": str(value)}
    return {"bytes": pack(value)} if isinstance(value, bytes) else {"text": value}
