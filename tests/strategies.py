# SPDX-License-Identifier: Apache-2.0
"""Hypothesis strategies from the schemas: one for each kind."""

from typing import Any

from hypothesis import strategies as st

from vcompute.codec import Array, Bool, Bytes, Enum, Int, Kind, Record, Text, Variant, fields_of


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
            return st.text(max_size=high // 4)
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
