# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies from the schemas: one for each kind, so that a new record has one as soon as it exists."""

from typing import Any

from hypothesis import strategies as st

from vcompute.codec import Array, Bool, Bytes, Enum, Int, Kind, Record, Tagged, Text, Variant, fields_of
from vcompute.codec.cbor import COSE_SIGN1_TAG


def values(kind: Kind) -> st.SearchStrategy[Any]:
    """Every value of a kind, long byte strings cut short."""
    match kind:
        case Int(low, high):
            return st.integers(low, high)
        case Bool():
            return st.booleans()
        case Bytes(low, high):
            return st.binary(min_size=low, max_size=min(high, low + 40))
        case Text(high):
            return st.text(st.characters(codec="utf-8"), max_size=min(high // 4, 40))
        case Enum(registry):
            return st.sampled_from(list(registry))
        case Array(of, low, high):
            return st.lists(values(of), min_size=low, max_size=min(high, low + 3)).map(tuple)
        case Record(cls):
            return records(cls)
        case Variant(_, cases):
            return st.one_of([records(cls) for _, cls in cases])
        case _:
            raise NotImplementedError(kind)


def records(cls: type[Any]) -> st.SearchStrategy[Any]:
    """Every value of a record class."""
    return st.builds(
        cls,
        **{spec.name: st.none() | values(spec.kind) if spec.optional else values(spec.kind) for spec in fields_of(cls)},
    )


def wire_values() -> st.SearchStrategy[Any]:
    """Every plain value of the CBOR profile, small."""
    leaves = (
        st.none()
        | st.booleans()
        | st.integers(-(2**64), 2**64 - 1)
        | st.binary(max_size=30)
        | st.text(st.characters(codec="utf-8"), max_size=20)
    )
    return st.recursive(
        leaves,
        lambda inner: (
            st.lists(inner, max_size=5)
            | st.dictionaries(st.integers(0, 2**64 - 1), inner, max_size=5)
            | inner.map(lambda value: Tagged(COSE_SIGN1_TAG, value))
        ),
        max_leaves=20,
    )
