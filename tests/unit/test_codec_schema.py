# SPDX-License-Identifier: Apache-2.0
"""Schemas: every record of the task encoding goes round, and every kind refuses what it does not admit."""

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcompute.codec import (
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
    decode,
    dumps,
    encode,
    field,
)
from vcompute.errors import EncodingError
from vcompute.registry import ErrorCode
from vcompute.task import operators as ops
from vcompute.task.batch import BatchRecord, TensorRecord
from vcompute.task.graph import Graph, Node
from vcompute.task.model import ModelFile
from vcompute.task.tensor import ConstantType, QuantizationScale, ValueType
from vcompute.testing.strategies import records, values


class Colour(IntEnum):
    RED = 1
    BLUE = 7


@dataclass(frozen=True, slots=True)
class Leaf:
    """A leaf."""

    number: int = field(0, Int(-5, 5), "a number")
    note: str | None = field(3, Text(8), "a note", optional=True)


@dataclass(frozen=True, slots=True)
class Branch:
    """A branch."""

    leaves: tuple[Leaf, ...] = field(1, Array(Record(Leaf), 0, 3), "leaves")
    colour: Colour = field(2, Enum(Colour), "a colour")


RECORDS = [
    Graph,
    Node,
    ModelFile,
    BatchRecord,
    TensorRecord,
    ConstantType,
    ValueType,
    QuantizationScale,
    Branch,
    *ops.OPERATORS,
]


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=20)
@given(data=st.data())
def test_records_go_round(cls: type[Any], data: st.DataObject) -> None:
    value = data.draw(records(cls))
    assert decode(cls, encode(value)) == value


@pytest.mark.parametrize(
    "kind", [Int(-3, 9), Uint(16), Bool(), Bytes(2, 5), Text(9), Enum(Colour), Array(Int(0, 3), 1, 4)], ids=repr
)
@given(data=st.data())
def test_kinds_go_round(kind: Kind, data: st.DataObject) -> None:
    value = data.draw(values(kind))
    assert kind.from_wire(kind.to_wire(value, "x"), "x") == value


@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        (Int(-3, 9), 10),
        (Int(-3, 9), -4),
        (Int(-3, 9), True),
        (Int(-3, 9), "1"),
        (Int(-3, 9), None),
        (Uint(8), 256),
        (Uint(8), -1),
        (Bool(), 0),
        (Bool(), None),
        (Bytes(2, 5), b"a"),
        (Bytes(2, 5), b"abcdef"),
        (Bytes(2, 5), "abc"),
        (Text(4), "abcde"),
        (Text(4), "ééé"),
        (Text(4), b"abc"),
        (Enum(Colour), 2),
        (Enum(Colour), True),
        (Enum(Colour), "RED"),
        (Array(Int(0, 3), 1, 2), []),
        (Array(Int(0, 3), 1, 2), [1, 1, 1]),
        (Array(Int(0, 3), 1, 2), [4]),
        (Array(Int(0, 3), 1, 2), b"\1"),
        (Array(Int(0, 3), 1, 2), {0: 1}),
        (Record(Leaf), [1]),
        (Record(Leaf), {}),
        (Record(Leaf), {3: "x"}),
        (Record(Leaf), {0: 1, 1: 2}),
        (Record(Leaf), {0: 1, 3: None}),
        (Variant("thing", ((1, Leaf),)), [2, {0: 1}]),
        (Variant("thing", ((1, Leaf),)), [1]),
        (Variant("thing", ((1, Leaf),)), [True, {0: 1}]),
        (Variant("thing", ((1, Leaf),)), {0: 1}),
    ],
    ids=repr,
)
def test_kinds_refuse(kind: Kind, wire: Any) -> None:
    with pytest.raises(EncodingError) as caught:
        kind.from_wire(wire, "x")
    assert caught.value.code is ErrorCode.SCHEMA_VIOLATION
    assert "x" in caught.value.message


@pytest.mark.parametrize(
    "value",
    [
        Leaf(6),
        Leaf("1"),
        Leaf(1, "x" * 9),
        Branch((Leaf(1),) * 4, Colour.RED),
        Branch((), 3),
        Branch((), "RED"),
        Branch(3, Colour.RED),
    ],  # type: ignore[arg-type]
)
def test_nothing_invalid_is_written(value: Any) -> None:
    with pytest.raises(EncodingError):
        encode(value)


def test_paths_name_the_place() -> None:
    data = dumps({1: [{0: 1}, {0: 9}], 2: 1})
    with pytest.raises(EncodingError, match=r"Branch\.leaves\[1\]\.number"):
        decode(Branch, data)


def test_absent_optional_fields_are_not_written() -> None:
    assert encode(Leaf(1)) == dumps({0: 1})
    assert decode(Leaf, dumps({0: 1})) == Leaf(1, None)
