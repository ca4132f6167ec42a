# SPDX-License-Identifier: Apache-2.0
"""The JSON forms of the testee protocol: bytes as base64url without padding, data items in diagnostic form."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

from vcompute.codec import Tagged
from vcompute.codec.cbor import Value
from vcompute.errors import UsageError
from vcompute.registry import ErrorCode


def to_text(data: bytes) -> str:
    """Bytes as base64url without padding (RFC 4648 section 5)."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode("ascii")


def to_bytes(value: object) -> bytes:
    """Bytes from base64url, or from ``{"shake256": NAME, "length": N}``, the first N bytes of SHAKE256 of the name.

    Raises:
        UsageError: neither of them.
    """
    if isinstance(value, str):
        try:
            return base64.b64decode(value + "=" * (-len(value) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError) as error:
            raise UsageError("not base64url", got=value[:40]) from error
    if isinstance(value, Mapping) and set(value) == {"shake256", "length"}:
        return hashlib.shake_256(str(value["shake256"]).encode()).digest(int(value["length"]))
    raise UsageError("bytes are base64url or a SHAKE256 pattern", code=ErrorCode.USAGE, got=type(value).__name__)


def diagnostic(value: Value) -> dict[str, Any]:
    """A data item in diagnostic form, an object of one member."""
    match value:
        case None:
            return {"null": True}
        case bool():
            return {"bool": value}
        case int():
            return {"uint": str(value)} if value >= 0 else {"nint": str(value)}
        case bytes():
            return {"bytes": to_text(value)}
        case str():
            return {"text": value}
        case Tagged():
            return {"tag": [str(value.tag), diagnostic(value.value)]}
        case Mapping():
            return {"map": [[str(key), diagnostic(item)] for key, item in value.items()]}
        case Sequence():
            return {"array": [diagnostic(item) for item in value]}


def from_diagnostic(form: Any) -> Value:
    """The data item of a diagnostic form.

    Raises:
        UsageError: not a diagnostic form.
    """
    if not isinstance(form, Mapping) or len(form) != 1:
        raise UsageError("a diagnostic form is an object of one member", got=form)
    ((kind, value),) = form.items()
    match kind:
        case "uint" | "nint":
            return int(value)
        case "bytes":
            return to_bytes(value)
        case "text":
            return str(value)
        case "array":
            return [from_diagnostic(item) for item in value]
        case "map":
            return {int(key): from_diagnostic(item) for key, item in value}
        case "tag":
            return Tagged(int(value[0]), from_diagnostic(value[1]))
        case "bool":
            return bool(value)
        case "null":
            return None
    raise UsageError("an unknown diagnostic form", got=kind)
