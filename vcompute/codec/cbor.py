# SPDX-License-Identifier: Apache-2.0
"""Strict deterministic CBOR: bytes <-> plain values.

The profile (RFC 8949 section 4.2.1, narrowed): integers of 64 bits, byte strings, text strings in UTF-8, arrays,
maps with unsigned-integer keys in ascending order, false, true, null, and tag 18 (COSE_Sign1) only. Definite
lengths, shortest heads, no floats, no other tags, no trailing bytes. One value has one encoding and every other
byte string is refused.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from vcompute.errors import EncodingError
from vcompute.registry import ErrorCode

Value: TypeAlias = "int | bytes | str | bool | Sequence[Value] | Mapping[int, Value] | Tagged | None"

COSE_SIGN1_TAG: Final = 18


@dataclass(frozen=True, slots=True)
class Tagged:
    """A tagged value; the profile admits tag 18 alone."""

    tag: int
    value: Value


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds a decoder enforces before it allocates."""

    bytes: int = 1 << 20
    """The longest input, in bytes."""
    depth: int = 16
    """The deepest nesting of arrays, maps and tags."""
    items: int = 1 << 16
    """The most data items in one input."""


DEFAULT_LIMITS: Final = Limits()


_SHORT: Final = tuple(bytes([head]) for head in range(256))
"""Every head of one byte."""


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return _SHORT[major << 5 | argument]
    if argument < 256:
        return bytes((major << 5 | 24, argument))
    for code, size in ((25, 2), (26, 4), (27, 8)):
        if argument < 1 << (8 * size):
            return _SHORT[major << 5 | code] + argument.to_bytes(size, "big")
    raise EncodingError("an integer needs more than 64 bits", code=ErrorCode.LIMIT_EXCEEDED, got=argument)


def _encode_map(out: bytearray, value: Mapping[int, Value]) -> None:
    for key in value:
        if type(key) is not int or key < 0:
            raise EncodingError("map keys are unsigned integers", got=repr(key))
    out += _head(5, len(value))
    for key in sorted(value):
        out += _head(0, key)
        _encode(out, value[key])


def _encode(out: bytearray, value: Any) -> None:
    kind = type(value)
    if kind is bytes:  # the common kinds first: this is the hot path of every message
        out += _head(2, len(value))
        out += value
    elif kind is int:
        out += _head(0, value) if value >= 0 else _head(1, -1 - value)
    elif kind is dict:
        _encode_map(out, value)
    elif kind is list:
        out += _head(4, len(value))
        for item in value:
            _encode(out, item)
    else:
        _encode_rest(out, value)


def _encode_text(out: bytearray, value: str) -> None:
    try:
        text = value.encode("utf-8")
    except UnicodeEncodeError as error:
        raise EncodingError("a text string holds a surrogate, which UTF-8 cannot carry") from error
    out += _head(3, len(text))
    out += text


def _encode_rest(out: bytearray, value: Value) -> None:
    match value:
        case None:
            out.append(0xF6)
        case bool():
            out.append(0xF5 if value else 0xF4)
        case int():
            out += _head(0, value) if value >= 0 else _head(1, -1 - value)
        case bytes():
            out += _head(2, len(value))
            out += value
        case str():
            _encode_text(out, value)
        case Tagged():
            if value.tag != COSE_SIGN1_TAG:
                raise EncodingError("a tag outside the profile", expected=COSE_SIGN1_TAG, got=value.tag)
            out += _head(6, value.tag)
            _encode(out, value.value)
        case Mapping():
            _encode_map(out, value)
        case list() | tuple():
            out += _head(4, len(value))
            for item in value:
                _encode(out, item)
        case _:
            raise EncodingError("a value outside the profile", got=type(value).__name__)


def dumps(value: Value) -> bytes:
    """Encode a plain value in its one deterministic form.

    Raises:
        EncodingError: the value is outside the profile.
    """
    out = bytearray()
    try:
        _encode(out, value)
    except RecursionError as error:
        raise EncodingError("nesting is too deep", code=ErrorCode.LIMIT_EXCEEDED) from error
    return bytes(out)


class _Reader:
    """A cursor over one input with its bounds."""

    __slots__ = ("data", "items", "limits", "position")

    def __init__(self, data: bytes, limits: Limits) -> None:
        self.data = data
        self.limits = limits
        self.position = 0
        self.items = 0

    def take(self, size: int) -> bytes:
        end = self.position + size
        if end > len(self.data):
            raise EncodingError(
                f"the input ends inside an item at byte {self.position}",
                expected=f"{size} more bytes",
                got=len(self.data) - self.position,
            )
        chunk = self.data[self.position : end]
        self.position = end
        return chunk

    def head(self) -> tuple[int, int]:
        """The next item's major type and argument, its shortest form enforced."""
        start = self.position
        if start >= len(self.data):
            self.take(1)
        initial = self.data[start]
        self.position = start + 1
        major, info = initial >> 5, initial & 31
        if info < 24:
            return major, info
        if info > 27:
            raise EncodingError(f"an indefinite or reserved length at byte {start}", got=f"0x{initial:02x}")
        if major == 7:
            raise EncodingError(f"a float or unassigned simple value at byte {start}", got=f"0x{initial:02x}")
        size = 1 << (info - 24)
        argument = int.from_bytes(self.take(size), "big")
        if argument < (24 if size == 1 else 1 << (4 * size)):
            raise EncodingError(f"a length or integer at byte {start} is not in its shortest form", got=argument)
        return major, argument

    def count(self, argument: int, floor: int) -> int:
        """A collection's count, refused before use where the rest of the input cannot hold it."""
        if argument * floor > len(self.data) - self.position:
            raise EncodingError("a count larger than the input can hold", got=argument)
        return argument

    def text(self, size: int) -> str:
        try:
            return self.take(size).decode("utf-8")
        except UnicodeDecodeError as error:
            raise EncodingError(f"a text string before byte {self.position} is not UTF-8") from error

    def map(self, count: int, depth: int) -> dict[int, Value]:
        result: dict[int, Value] = {}
        last = -1
        for _ in range(count):
            key = self.data[self.position] if self.position < len(self.data) else 255
            if key < 24:  # an unsigned integer in a head of one byte
                self.position += 1
            else:
                major, key = self.head()
                if major != 0:
                    raise EncodingError(f"a map key before byte {self.position} is not an unsigned integer")
            if key <= last:
                raise EncodingError("map keys are not strictly ascending", expected=f"> {last}", got=key)
            last = key
            result[key] = self.value(depth + 1)
        return result

    def value(self, depth: int) -> Value:
        self.items += 1
        if depth > self.limits.depth or self.items > self.limits.items:
            raise self.bounded(depth)
        initial = self.data[self.position] if self.position < len(self.data) else 255
        if initial & 31 < 24:  # the head is this byte alone
            self.position += 1
            major, argument = initial >> 5, initial & 31
        else:
            major, argument = self.head()
        if major == 0:
            return argument
        if major == 2:
            return self.take(argument)
        if major == 5:
            return self.map(self.count(argument, 2), depth)
        if major == 4:
            return [self.value(depth + 1) for _ in range(self.count(argument, 1))]
        return self.rest(major, argument, depth)

    def rest(self, major: int, argument: int, depth: int) -> Value:
        """The less common kinds."""
        match major:
            case 1:
                return -1 - argument
            case 3:
                return self.text(argument)
            case 6:
                if argument != COSE_SIGN1_TAG:
                    raise EncodingError("a tag outside the profile", expected=COSE_SIGN1_TAG, got=argument)
                return Tagged(argument, self.value(depth + 1))
            case _:
                return self.simple(argument)

    def bounded(self, depth: int) -> EncodingError:
        """The bound that was passed."""
        if depth > self.limits.depth:
            return EncodingError(
                "nesting is too deep", code=ErrorCode.LIMIT_EXCEEDED, expected=f"<= {self.limits.depth}"
            )
        return EncodingError("too many items", code=ErrorCode.LIMIT_EXCEEDED, expected=self.limits.items)

    def simple(self, argument: int) -> bool | None:
        simple: dict[int, bool | None] = {20: False, 21: True, 22: None}
        if argument not in simple:
            raise EncodingError("a simple value outside the profile", expected="false, true or null", got=argument)
        return simple[argument]


def loads(data: bytes, limits: Limits = DEFAULT_LIMITS) -> Value:
    """Decode one deterministic item that fills ``data``.

    Raises:
        EncodingError: any byte is not what the deterministic encoding of some value has there, or a bound of
            ``limits`` is passed.
    """
    if len(data) > limits.bytes:
        raise EncodingError(
            "the input is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=f"<= {limits.bytes}", got=len(data)
        )
    reader = _Reader(bytes(data), limits)
    value = reader.value(0)
    if reader.position != len(data):
        raise EncodingError("trailing bytes after the item", got=len(data) - reader.position)
    return value
