# SPDX-License-Identifier: Apache-2.0
"""L0: data items of the profile, and everything next to it."""

from vcompute.codec import Tagged, dumps
from vcompute.codec.cbor import Value
from vcompute.conformance.wire import diagnostic
from vectors.base import Group

INTEGERS = (0, 1, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**53, 2**64 - 1)
VALUES: tuple[tuple[str, Value], ...] = (
    *((f"uint-{n}", n) for n in INTEGERS),
    *((f"nint-{-1 - n}", -1 - n) for n in INTEGERS),
    ("bytes-empty", b""),
    ("bytes-23", bytes(range(23))),
    ("bytes-24", bytes(range(24))),
    ("bytes-256", bytes(range(256))),
    ("text-empty", ""),
    ("text-ascii", "vcompute"),
    ("text-two-bytes", "\u00fc"),
    ("text-three-bytes", "\u20ac"),
    ("text-four-bytes", "\U0001f4f1"),
    ("text-last-code-point", "\U0010ffff"),
    ("array-empty", []),
    ("array-23", list(range(23))),
    ("array-24", list(range(24))),
    ("array-mixed", [0, -1, b"\x00", "a", True, False, None]),
    ("map-empty", {}),
    ("map-order", {0: 0, 23: 1, 24: 2, 255: 3, 256: 4, 2**64 - 1: 5}),
    ("map-nested", {1: {1: {1: []}}}),
    ("simple-false", False),
    ("simple-true", True),
    ("simple-null", None),
    ("tag-18", Tagged(18, [b"", {}, b"", b""])),
)

# name, bytes in hexadecimal, requirement, what is wrong
MALFORMED = (
    ("uint-0-in-1-byte", "1800", 3, "0 in two bytes"),
    ("uint-23-in-1-byte", "1817", 3, "23 in two bytes"),
    ("uint-24-in-2-bytes", "190018", 3, "24 in three bytes"),
    ("uint-255-in-2-bytes", "1900ff", 3, "255 in three bytes"),
    ("uint-256-in-4-bytes", "1a00000100", 3, "256 in five bytes"),
    ("uint-65535-in-4-bytes", "1a0000ffff", 3, "65535 in five bytes"),
    ("uint-65536-in-8-bytes", "1b0000000000010000", 3, "65536 in nine bytes"),
    ("uint-2-32-minus-1-in-8-bytes", "1b00000000ffffffff", 3, "2**32 - 1 in nine bytes"),
    ("nint-in-1-byte", "3800", 3, "-1 in two bytes"),
    ("nint-in-8-bytes", "3b0000000000000001", 3, "-2 in nine bytes"),
    ("bytes-length-in-1-byte", "580100", 3, "the length of a byte string in two bytes"),
    ("text-length-in-2-bytes", "79000161", 3, "the length of a text in three bytes"),
    ("array-length-in-1-byte", "980100", 3, "the length of an array in two bytes"),
    ("map-length-in-1-byte", "b8010000", 3, "the length of a map in two bytes"),
    ("map-key-in-1-byte", "a1180100", 3, "the key of a map in two bytes"),
    ("tag-in-1-byte-too-many", "d9001280", 3, "tag 18 in three bytes"),
    ("bytes-indefinite", "5f4100ff", 4, "a byte string of indefinite length"),
    ("text-indefinite", "7f6161ff", 4, "a text of indefinite length"),
    ("array-indefinite", "9f00ff", 4, "an array of indefinite length"),
    ("map-indefinite", "bf0000ff", 4, "a map of indefinite length"),
    ("break-alone", "ff", 4, "a break without a beginning"),
    ("info-28", "1c", 4, "additional information 28"),
    ("info-29", "3d", 4, "additional information 29"),
    ("info-30", "5e", 4, "additional information 30"),
    ("uint-info-31", "1f", 4, "an unsigned integer with additional information 31"),
    ("map-keys-descending", "a201000000", 5, "keys 1, 0"),
    ("map-keys-repeated", "a200000001", 5, "key 0 twice"),
    ("map-keys-length-first", "a31818000000170000", 5, "keys 24, 0, 23"),
    ("map-key-negative", "a12000", 5, "key -1"),
    ("map-key-text", "a1616100", 5, "a text as key"),
    ("map-key-bytes", "a1416100", 5, "a byte string as key"),
    ("map-key-null", "a1f600", 5, "null as key"),
    ("text-lone-continuation", "6180", 6, "a continuation byte alone"),
    ("text-overlong", "62c080", 6, "U+0000 in two bytes"),
    ("text-overlong-3", "63e08080", 6, "U+0000 in three bytes"),
    ("text-surrogate", "63eda080", 6, "U+D800"),
    ("text-above-range", "64f4908080", 6, "U+110000"),
    ("text-cut", "61c3", 6, "half of a character"),
    ("text-latin-1", "61fc", 6, "Latin-1"),
    ("empty", "", 7, "no byte at all"),
    ("trailing-zero", "0000", 7, "a byte after the item"),
    ("trailing-item", "8000", 7, "an item after the item"),
    ("head-cut-1", "18", 7, "the end inside a head of two bytes"),
    ("head-cut-2", "1901", 7, "the end inside a head of three bytes"),
    ("head-cut-8", "1b01020304050607", 7, "the end inside a head of nine bytes"),
    ("bytes-cut", "4200", 7, "a byte string without its last byte"),
    ("text-cut-short", "6261", 7, "a text without its last byte"),
    ("array-cut", "8200", 7, "an array without its last item"),
    ("map-cut-value", "a100", 7, "a map without its last value"),
    ("map-cut-key", "a20000", 7, "a map without its last entry"),
    ("tag-cut", "d2", 7, "a tag without its item"),
    ("float-half", "f90000", 2, "a float of 16 bits"),
    ("float-single", "fa00000000", 2, "a float of 32 bits"),
    ("float-double", "fb0000000000000000", 2, "a float of 64 bits"),
    ("float-nan", "f97e00", 2, "a float that is no number"),
    ("undefined", "f7", 2, "undefined"),
    ("simple-0", "e0", 2, "simple value 0"),
    ("simple-19", "f3", 2, "simple value 19"),
    ("simple-in-1-byte", "f8ff", 2, "simple value 255"),
    ("false-in-1-byte", "f814", 2, "false in two bytes"),
    ("tag-0", "c06161", 2, "a date"),
    ("tag-2", "c24101", 2, "a bignum"),
    ("tag-17", "d180", 2, "COSE_Mac0"),
    ("tag-19", "d380", 2, "tag 19"),
    ("tag-35", "d8236161", 2, "a regular expression"),
    ("tag-55799", "d9d9f700", 2, "self-described CBOR"),
    ("bytes-count-huge", "5bffffffffffffffff", 8, "a byte string of 2**64 - 1 bytes"),
    ("array-count-huge", "9bffffffffffffffff", 8, "an array of 2**64 - 1 items"),
    ("map-count-huge", "bbffffffffffffffff", 8, "a map of 2**64 - 1 entries"),
    ("array-count-over-input", "8400", 8, "an array of 4 with room for 1"),
    ("map-count-over-input", "a20000" + "00", 8, "a map of 2 entries with room for 1 and a half"),
)


def group() -> Group:
    """The group ``codec``."""
    result = Group("codec", "L0", "Data items: deterministic CBOR, and every other byte string refused.")
    for name, value in VALUES:
        data, form = dumps(value), diagnostic(value)
        result.valid(f"decode/{name}", "cbor.decode", "VC-ENC-002 VC-ENC-003", {"bytes": data}, {"value": form})
        result.valid(f"encode/{name}", "cbor.encode", "VC-ENC-002 VC-ENC-003", {"value": form}, {"bytes": data})
    for name, data, number, text in MALFORMED:
        given = {"bytes": bytes.fromhex(data)}
        result.refused(f"decode/{name}", "cbor.decode", f"VC-ENC-{number:03d}", given, "malformed_encoding", text)
    _limits(result)
    return result


def _limits(result: Group) -> None:
    def limits(size: int, depth: int, items: int) -> dict[str, int]:
        return {"bytes": size, "depth": depth, "items": items}

    def check(name: str, data: bytes, bounds: dict[str, int], text: str) -> None:
        given = {"bytes": data, "limits": bounds}
        result.refused(f"limits/{name}", "cbor.decode", "VC-ENC-008", given, "limit_exceeded", text)

    deep = bytes([0x81]) * 4 + b"\x00"
    wide = b"\x84" + bytes(4)
    value = diagnostic([0, 0, 0, 0])
    nested = diagnostic([[[[0]]]])
    result.valid(
        "limits/depth-reached",
        "cbor.decode",
        "VC-ENC-008",
        {"bytes": deep, "limits": limits(64, 4, 64)},
        {"value": nested},
    )
    result.valid(
        "limits/items-reached",
        "cbor.decode",
        "VC-ENC-008",
        {"bytes": wide, "limits": limits(64, 4, 5)},
        {"value": value},
    )
    result.valid(
        "limits/bytes-reached",
        "cbor.decode",
        "VC-ENC-008",
        {"bytes": wide, "limits": limits(5, 4, 64)},
        {"value": value},
    )
    check("depth-passed", deep, limits(64, 3, 64), "an item of depth 4 where 3 is the bound")
    check("items-passed", wide, limits(64, 4, 4), "five items where four are the bound")
    check("bytes-passed", wide, limits(4, 4, 64), "five bytes where four are the bound")
    check("depth-in-map", bytes.fromhex("a100a100a10000"), limits(64, 2, 64), "a map inside a map inside a map")
    check("depth-in-tag", bytes.fromhex("d28180"), limits(64, 1, 64), "an array inside an array inside a tag")
    check("default-depth", bytes([0x81]) * 17 + b"\x00", {"bytes": 1 << 20, "depth": 16, "items": 1 << 16}, "depth 17")
