# SPDX-License-Identifier: Apache-2.0
"""Schemas: frozen dataclasses <-> plain CBOR values, and their CDDL (RFC 8610).

A record is a frozen dataclass whose fields carry a map key and a *kind*::

    @dataclass(frozen=True, slots=True)
    class Point:
        '''A point.'''
        x: int = field(0, Uint(32), "abscissa")
        y: int = field(1, Uint(32), "ordinate")

The same kinds drive the encoder, the decoder, the CDDL, the tables of the book and the Hypothesis strategies
(:mod:`vcompute.testing`). Unknown keys are refused: extension points are explicit fields.
"""

import dataclasses
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, TypeAlias, TypeVar, cast

from vcompute.codec.cbor import DEFAULT_LIMITS, Limits, Value, dumps, loads
from vcompute.errors import EncodingError
from vcompute.registry import ErrorCode

T = TypeVar("T")
_METADATA = "vcompute.codec"


def _refuse(path: str, expected: str, got: object) -> EncodingError:
    return EncodingError(f"{path}: wrong type or value", code=ErrorCode.SCHEMA_VIOLATION, expected=expected, got=got)


class Kind:
    """What one value of a record may be. ``path`` names the place in error messages."""

    def to_wire(self, value: Any, path: str) -> Value:
        """The plain value; refuses what the schema does not admit, so that nothing invalid is ever sent."""
        raise NotImplementedError

    def from_wire(self, wire: Value, path: str) -> Any:
        """The Python value, or :class:`EncodingError`."""
        raise NotImplementedError

    def cddl(self) -> str:
        """The CDDL type expression."""
        raise NotImplementedError


@dataclass(frozen=True, slots=True)
class Int(Kind):
    """An integer in ``[low, high]``."""

    low: int
    high: int

    def to_wire(self, value: Any, path: str) -> Value:
        return self.from_wire(value, path)

    def from_wire(self, wire: Value, path: str) -> int:
        if type(wire) is not int or not self.low <= wire <= self.high:
            raise _refuse(path, f"an integer in [{self.low}, {self.high}]", _shown(wire))
        return wire

    def cddl(self) -> str:
        if self.low >= 0:
            return f"{self.low}..{self.high}"
        return f"(int .ge {self.low}) .and (int .le {self.high})"  # ranges with negative ends are read by few tools


@dataclass(frozen=True, slots=True)
class Uint(Int):
    """An unsigned integer of ``bits`` bits: ``Uint(32)``."""

    low: int = dataclasses.field(init=False, default=0)
    high: int = dataclasses.field(init=False, default=0)
    bits: int = 64

    def __init__(self, bits: int = 64) -> None:
        object.__setattr__(self, "bits", bits)
        object.__setattr__(self, "low", 0)
        object.__setattr__(self, "high", (1 << bits) - 1)


@dataclass(frozen=True, slots=True)
class Bool(Kind):
    """False or true."""

    def to_wire(self, value: Any, path: str) -> Value:
        return self.from_wire(value, path)

    def from_wire(self, wire: Value, path: str) -> bool:
        if type(wire) is not bool:
            raise _refuse(path, "false or true", _shown(wire))
        return wire

    def cddl(self) -> str:
        return "bool"


@dataclass(frozen=True, slots=True)
class Bytes(Kind):
    """A byte string of ``low`` to ``high`` bytes; ``Bytes(32, 32)`` is a digest."""

    low: int
    high: int

    def to_wire(self, value: Any, path: str) -> Value:
        return self.from_wire(value, path)

    def from_wire(self, wire: Value, path: str) -> bytes:
        if not isinstance(wire, bytes) or not self.low <= len(wire) <= self.high:
            raise _refuse(path, f"{self.low} to {self.high} bytes", _shown(wire))
        return wire

    def cddl(self) -> str:
        return f"bstr .size {_span(self.low, self.high)}"


@dataclass(frozen=True, slots=True)
class Text(Kind):
    """A text string of at most ``high`` bytes in UTF-8."""

    high: int

    def to_wire(self, value: Any, path: str) -> Value:
        return self.from_wire(value, path)

    def from_wire(self, wire: Value, path: str) -> str:
        if not isinstance(wire, str) or len(wire.encode("utf-8", "surrogatepass")) > self.high:
            raise _refuse(path, f"text of at most {self.high} bytes", _shown(wire))
        return wire

    def cddl(self) -> str:
        return f"tstr .size (0..{self.high})"


@dataclass(frozen=True, slots=True)
class Enum(Kind):
    """A member of a registry."""

    registry: type[IntEnum]

    def to_wire(self, value: Any, path: str) -> Value:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _refuse(path, f"a registered {self.registry.__name__}", _shown(value))
        return int(self.from_wire(int(value), path))

    def from_wire(self, wire: Value, path: str) -> IntEnum:
        member = self.registry._value2member_map_.get(wire) if type(wire) is int else None
        if not isinstance(member, IntEnum):
            raise _refuse(path, f"a registered {self.registry.__name__}", _shown(wire))
        return member

    def cddl(self) -> str:
        return self.rule_name()

    def rule_name(self) -> str:
        """The CDDL rule of the registry."""
        return _kebab(self.registry.__name__)

    def rule(self) -> str:
        """The right side of the CDDL rule."""
        return " / ".join(str(int(member)) for member in self.registry)


@dataclass(frozen=True, slots=True)
class Array(Kind):
    """``low`` to ``high`` values of one kind; a tuple in Python."""

    of: Kind
    low: int
    high: int

    def to_wire(self, value: Any, path: str) -> Value:
        self._check(value, path)
        return [self.of.to_wire(item, f"{path}[{index}]") for index, item in enumerate(value)]

    def from_wire(self, wire: Value, path: str) -> tuple[Any, ...]:
        self._check(wire, path)
        items = cast("Sequence[Value]", wire)
        return tuple(self.of.from_wire(item, f"{path}[{index}]") for index, item in enumerate(items))

    def _check(self, value: object, path: str) -> None:
        if not isinstance(value, (list, tuple)) or not self.low <= len(value) <= self.high:
            raise _refuse(path, f"an array of {self.low} to {self.high} items", _shown(value))

    def cddl(self) -> str:
        return f"[{self.low}*{self.high} {self.of.cddl()}]"


@dataclass(frozen=True, slots=True)
class Record(Kind):
    """A map: one dataclass."""

    cls: type[Any]

    def to_wire(self, value: Any, path: str) -> Value:
        if type(value) is not self.cls:
            raise _refuse(path, self.cls.__name__, type(value).__name__)
        result: dict[int, Value] = {}
        for spec in fields_of(self.cls):
            item = getattr(value, spec.name)
            if item is None and spec.optional:
                continue
            result[spec.key] = spec.kind.to_wire(item, f"{path}.{spec.name}")
        return result

    def from_wire(self, wire: Value, path: str) -> Any:
        if not isinstance(wire, Mapping):
            raise _refuse(path, f"a map ({self.cls.__name__})", _shown(wire))
        specs = fields_of(self.cls)
        values: dict[str, Any] = {}
        for spec in specs:
            if spec.key in wire:
                values[spec.name] = spec.kind.from_wire(wire[spec.key], f"{path}.{spec.name}")
            elif spec.optional:
                values[spec.name] = None
            else:
                raise _refuse(path, f"key {spec.key} ({spec.name})", "nothing there")
        if len(wire) > sum(value is not None for value in values.values()):
            unknown = wire.keys() - {spec.key for spec in specs}
            raise _refuse(path, f"only the keys of {self.cls.__name__}", f"key {min(unknown)}")
        return self.cls(**values)

    def cddl(self) -> str:
        return _kebab(self.cls.__name__)


@dataclass(frozen=True, slots=True)
class Variant(Kind):
    """One of several records, as ``[tag, record]``; the tag is a registry's id."""

    name: str
    cases: tuple[tuple[int, type[Any]], ...]

    def to_wire(self, value: Any, path: str) -> Value:
        for tag, cls in self.cases:
            if type(value) is cls:
                return [int(tag), Record(cls).to_wire(value, path)]
        raise _refuse(path, f"a {self.name}", type(value).__name__)

    def from_wire(self, wire: Value, path: str) -> Any:
        if not isinstance(wire, list) or len(wire) != 2 or type(wire[0]) is not int:
            raise _refuse(path, f"[tag, {self.name}]", _shown(wire))
        for tag, cls in self.cases:
            if tag == wire[0]:
                return Record(cls).from_wire(wire[1], f"{path}<{cls.__name__}>")
        raise _refuse(path, f"a registered {self.name} tag", wire[0])

    def cddl(self) -> str:
        return self.rule_name()

    def rule_name(self) -> str:
        """The CDDL rule of the choice: a rule of its own, because validators differ on choices in parentheses."""
        return f"{_kebab(self.name)}-choice"

    def rule(self) -> str:
        """The right side of the CDDL rule."""
        return " / ".join(f"[{int(tag)}, {_kebab(cls.__name__)}]" for tag, cls in self.cases)


@dataclass(frozen=True, slots=True)
class FieldSpec:
    """One field of a record as the wire has it."""

    key: int
    name: str
    kind: Kind
    optional: bool
    doc: str


def field(key: int, kind: Kind, doc: str, *, optional: bool = False) -> Any:
    """Declare a field: its map key, kind and one line for the book. An optional field is ``None`` when absent."""
    metadata = {_METADATA: (key, kind, optional, doc)}
    if optional:
        return dataclasses.field(default=None, metadata=metadata)
    return dataclasses.field(metadata=metadata)


_FIELDS: dict[type[Any], tuple[FieldSpec, ...]] = {}


def fields_of(cls: type[Any]) -> tuple[FieldSpec, ...]:
    """The wire fields of a record class in order of key."""
    if cls not in _FIELDS:
        _FIELDS[cls] = _read_fields(cls)
    return _FIELDS[cls]


def _read_fields(cls: type[Any]) -> tuple[FieldSpec, ...]:
    specs = []
    for item in dataclasses.fields(cls):
        key, kind, optional, doc = item.metadata[_METADATA]
        specs.append(FieldSpec(key, item.name, kind, optional, doc))
    specs.sort(key=lambda spec: spec.key)
    return tuple(specs)


def encode(value: Any) -> bytes:
    """Encode a record; refuses values outside its schema.

    Raises:
        EncodingError: a field is outside its kind.
    """
    return dumps(Record(type(value)).to_wire(value, type(value).__name__))


def decode(cls: type[T], data: bytes, limits: Limits = DEFAULT_LIMITS) -> T:
    """Decode the one encoding of a record.

    Raises:
        EncodingError: the bytes are not deterministic CBOR, do not fit the schema or pass a bound.
    """
    return cast("T", Record(cls).from_wire(loads(data, limits), cls.__name__))


Root: TypeAlias = "type[Any] | Variant | Enum"


def cddl(*roots: Root) -> str:
    """The CDDL of the records, choices and registries reachable from ``roots``, each once, roots first."""
    done: dict[str, str] = {}
    queue: list[Root] = list(roots)
    while queue:
        item = queue.pop(0)
        name = item.rule_name() if isinstance(item, Variant | Enum) else _kebab(item.__name__)
        if name in done:
            continue
        if isinstance(item, Variant | Enum):
            done[name] = f"{name} = {item.rule()}"
            queue += [cls for _, cls in item.cases] if isinstance(item, Variant) else []
            continue
        lines = [f"; {(item.__doc__ or '').strip().splitlines()[0]}", f"{name} = {{"]
        for spec in fields_of(item):
            mark = "? " if spec.optional else ""
            lines.append(f"  {mark}{spec.key}: {spec.kind.cddl()}, ; {spec.name}: {spec.doc}")
            queue += _referenced(spec.kind)
        done[name] = "\n".join([*lines, "}"])
    return "\n\n".join(done.values()) + "\n"


def _referenced(kind: Kind) -> list[Root]:
    match kind:
        case Record():
            return [kind.cls]
        case Variant() | Enum():
            return [kind]
        case Array():
            return _referenced(kind.of)
        case _:
            return []


def _span(low: int, high: int) -> str:
    return str(low) if low == high else f"({low}..{high})"


def _kebab(name: str) -> str:
    return re.sub(r"(?<=[a-z])(?=[A-Z0-9])|(?<=[0-9])(?=[A-Z][a-z])", "-", name).lower()


def _shown(value: object) -> str:
    """A short picture of a peer's value: never its whole content."""
    if isinstance(value, (bytes, str, list, tuple, Mapping)):
        return f"{type(value).__name__} of length {len(value)}"
    return repr(value)
