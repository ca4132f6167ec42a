# SPDX-License-Identifier: Apache-2.0
"""A random record of any class, from its schema: seeds for the decoders."""

from random import Random
from typing import Any

from vcompute.codec import Array, Bool, Bytes, Enum, Int, Kind, Record, Text, Variant, fields_of
from vcompute.identity.lifecycle import Measurement
from vcompute.registry import AttestationType


def sample(cls: type[Any], random: Random) -> Any:
    """A record of a class; about half of its optional fields are there."""
    return cls(
        **{
            spec.name: None if spec.optional and random.random() < 0.5 else value(spec.kind, random)
            for spec in fields_of(cls)
        }
    )


def value(kind: Kind, random: Random) -> Any:
    """A value of a kind, small, often at an edge."""
    match kind:
        case Int(low, high):
            return random.choice((low, high, min(high, low + random.randrange(100))))
        case Bool():
            return random.random() < 0.5
        case Bytes(low, high):
            return random.randbytes(min(high, low + random.choice((0, 1, 40))))
        case Text(high):
            return "text"[: min(high, 4)]
        case Enum(registry):
            return random.choice(list(registry))
        case Array(of, low, high):
            return tuple(value(of, random) for _ in range(min(high, low + random.randrange(3))))
        case Record(cls):
            return sample(cls, random)
        case Variant(_, cases):
            return sample(random.choice(cases)[1], random)
        case _:
            return Measurement(AttestationType(next(iter(AttestationType))), random.randbytes(20))
