# SPDX-License-Identifier: Apache-2.0
"""The strict CBOR codec against cbor2, and every way in which bytes are not the deterministic profile."""

from typing import Any

import cbor2
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcompute.codec import Limits, Tagged, dumps, loads
from vcompute.errors import EncodingError
from vcompute.registry import ErrorCode
from vcompute.testing.strategies import wire_values


def foreign(value: Any) -> Any:
    """A value as cbor2 has it."""
    if isinstance(value, Tagged):
        return cbor2.CBORTag(value.tag, foreign(value.value))
    if isinstance(value, list):
        return [foreign(item) for item in value]
    if isinstance(value, dict):
        return {key: foreign(item) for key, item in value.items()}
    return value


@given(wire_values())
def test_bytes_are_those_of_cbor2_and_read_back(value: Any) -> None:
    data = dumps(value)
    assert data == cbor2.dumps(foreign(value), canonical=True)
    assert loads(data) == value
    assert dumps(loads(data)) == data


@given(st.binary(min_size=1, max_size=60))
def test_whatever_is_accepted_has_one_encoding_and_cbor2_agrees(data: bytes) -> None:
    try:
        value = loads(data)
    except EncodingError:
        return
    assert dumps(value) == data
    assert cbor2.loads(data) == foreign(value)


@given(wire_values(), st.data())
def test_a_changed_byte_is_refused_or_is_another_value_s_one_encoding(value: Any, draw: st.DataObject) -> None:
    data = bytearray(dumps(value))
    position = draw.draw(st.integers(0, len(data) - 1))
    data[position] ^= draw.draw(st.integers(1, 255))
    try:
        other = loads(bytes(data))
    except EncodingError:
        return
    assert dumps(other) == bytes(data)


@given(wire_values())
def test_prefixes_and_trailing_bytes_are_refused(value: Any) -> None:
    data = dumps(value)
    for end in range(len(data)):
        with pytest.raises(EncodingError):
            loads(data[:end])
    with pytest.raises(EncodingError, match="trailing"):
        loads(data + b"\0")


@pytest.mark.parametrize(
    "number", [0, 23, 24, 255, 256, 65535, 65536, 2**32 - 1, 2**32, 2**64 - 1, -1, -24, -25, -(2**64)]
)
def test_integers_at_the_edges_of_their_heads(number: int) -> None:
    assert dumps(number) == cbor2.dumps(number)
    assert loads(dumps(number)) == number


@pytest.mark.parametrize(
    ("data", "message"),
    [
        ("", "ends inside"),
        ("1800", "shortest form"),
        ("1817", "shortest form"),
        ("1900ff", "shortest form"),
        ("1a0000ffff", "shortest form"),
        ("1b00000000ffffffff", "shortest form"),
        ("3817", "shortest form"),
        ("5801aa", "shortest form"),
        ("780161", "shortest form"),
        ("9801f6", "shortest form"),
        ("b80100f6", "shortest form"),
        ("d812f6", "shortest form"),
        ("1c", "indefinite or reserved"),
        ("1f", "indefinite or reserved"),
        ("5f41aaff", "indefinite or reserved"),
        ("7f6161ff", "indefinite or reserved"),
        ("9ff6ff", "indefinite or reserved"),
        ("bf00f6ff", "indefinite or reserved"),
        ("ff", "indefinite or reserved"),
        ("f7", "simple value outside"),
        ("e0", "simple value outside"),
        ("f820", "float or unassigned"),
        ("f93c00", "float or unassigned"),
        ("fa3f800000", "float or unassigned"),
        ("fb3ff0000000000000", "float or unassigned"),
        ("c000", "tag outside"),
        ("c249ffffffffffffffffff", "tag outside"),
        ("d9d9f700", "tag outside"),
        ("61ff", "not UTF-8"),
        ("63eda080", "not UTF-8"),
        ("62c080", "not UTF-8"),
        ("a1f600", "not an unsigned integer"),
        ("a12000", "not an unsigned integer"),
        ("a1616100", "not an unsigned integer"),
        ("a201000000", "not strictly ascending"),
        ("a200000000", "not strictly ascending"),
        ("9a7fffffff", "larger than the input"),
        ("ba7fffffff", "larger than the input"),
        ("5a7fffffff", "ends inside"),
        ("7a7fffffff", "ends inside"),
        ("82f6", "larger than the input"),
        ("0000", "trailing"),
    ],
)
def test_refused(data: str, message: str) -> None:
    with pytest.raises(EncodingError, match=message) as caught:
        loads(bytes.fromhex(data))
    assert caught.value.code is ErrorCode.MALFORMED_ENCODING


@pytest.mark.parametrize(
    ("data", "limits"),
    [
        (b"\x43abc", Limits(bytes=3)),
        (b"\x81\x81\x81\xf6", Limits(depth=2)),
        (b"\xa1\x00\xa1\x00\xf6", Limits(depth=1)),
        (b"\xd2\xd2\xf6", Limits(depth=1)),
        (b"\x83\xf6\xf6\xf6", Limits(items=3)),
        (b"\x81" * 5000 + b"\xf6", Limits()),
    ],
)
def test_limits(data: bytes, limits: Limits) -> None:
    with pytest.raises(EncodingError) as caught:
        loads(data, limits)
    assert caught.value.code is ErrorCode.LIMIT_EXCEEDED


def test_limits_admit_what_lies_on_them() -> None:
    assert loads(b"\x43abc", Limits(bytes=4)) == b"abc"
    assert loads(b"\x81\x81\x81\xf6", Limits(depth=3)) == [[[None]]]
    assert loads(b"\x83\xf6\xf6\xf6", Limits(items=4)) == [None] * 3


def nested(depth: int) -> Any:
    value: Any = None
    for _ in range(depth):
        value = [value]
    return value


@pytest.mark.parametrize(
    "value",
    [
        1.5,
        2**64,
        -(2**64) - 1,
        "\ud800",
        {"a": 1},
        {-1: 1},
        {True: 1},
        {0: 1, "a": 2},
        Tagged(17, None),
        {1, 2},
        bytearray(b"abc"),
        memoryview(b"abc"),
        object(),
        range(3),
        nested(100_000),
    ],
    ids=lambda value: type(value).__name__,
)
def test_nothing_outside_the_profile_is_written(value: Any) -> None:
    with pytest.raises(EncodingError):
        dumps(value)
