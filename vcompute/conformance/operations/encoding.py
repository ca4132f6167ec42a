# SPDX-License-Identifier: Apache-2.0
"""Operations on encodings: data items, records, registries."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from vcompute.codec import Limits, dumps, loads
from vcompute.codec.cbor import DEFAULT_LIMITS
from vcompute.conformance.wire import diagnostic, from_diagnostic, to_bytes, to_text
from vcompute.errors import EncodingError
from vcompute.registry import HTTP_STATUS, ErrorCode


def cbor_decode(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes, limits?: {bytes, depth, items}}`` -> ``{value}`` in diagnostic form."""
    limits = Limits(**request["limits"]) if "limits" in request else DEFAULT_LIMITS
    return {"value": diagnostic(loads(to_bytes(request["bytes"]), limits))}


def cbor_encode(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{value}`` in diagnostic form -> ``{bytes}``."""
    return {"bytes": to_text(dumps(from_diagnostic(request["value"])))}


def error_lookup(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{numbers}`` -> ``{errors: [{name, http}]}``; ``schema_violation`` for a number that is not registered."""
    known = {int(code): code for code in ErrorCode}
    found = []
    for number in request["numbers"]:
        if number not in known:
            raise EncodingError("not a registered error", code=ErrorCode.SCHEMA_VIOLATION, got=number)
        found.append({"name": known[number].name.lower(), "http": HTTP_STATUS[known[number]]})
    return {"errors": found}


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "cbor.decode": cbor_decode,
    "cbor.encode": cbor_encode,
    "error.lookup": error_lookup,
}
