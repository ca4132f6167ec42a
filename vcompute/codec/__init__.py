# SPDX-License-Identifier: Apache-2.0
"""The only byte layout: strict deterministic CBOR (RFC 8949 section 4.2.1), driven by schemas.

:mod:`vcompute.codec.cbor` turns bytes into plain values and back; :mod:`vcompute.codec.schema` turns frozen
dataclasses into plain values and back, and into CDDL.
"""

from vcompute.codec.cbor import Limits, Tagged, dumps, loads
from vcompute.codec.schema import (
    Array,
    Bool,
    Bytes,
    Enum,
    Int,
    Kind,
    Record,
    Text,
    Uint,
    Variant,
    cddl,
    decode,
    encode,
    field,
    fields_of,
)

__all__ = [
    "Array",
    "Bool",
    "Bytes",
    "Enum",
    "Int",
    "Kind",
    "Limits",
    "Record",
    "Tagged",
    "Text",
    "Uint",
    "Variant",
    "cddl",
    "decode",
    "dumps",
    "encode",
    "field",
    "fields_of",
    "loads",
]
