# SPDX-License-Identifier: Apache-2.0
"""Records of the library as plain JSON values."""

from collections.abc import Iterable
from enum import Enum
from typing import TYPE_CHECKING, Any, Final

from vcompute.cli.output import Json
from vcompute.codec import fields_of
from vcompute.task import Graph, ValueType

if TYPE_CHECKING:
    from vcompute.messages import Receipt

SHOWN_BYTES: Final = 64
"""Byte strings up to this long are shown whole."""


def describe_record(value: Any) -> Json:
    """A record of the codec, its fields by name; byte strings in hexadecimal, long ones by their length."""
    match value:
        case None | bool() | str():
            return value
        case Enum():
            return str(value.name).lower()
        case int():
            return value
        case bytes():
            return value.hex() if len(value) <= SHOWN_BYTES else f"{len(value)} bytes"
        case tuple():
            return [describe_record(item) for item in value]
        case _:
            return {spec.name: describe_record(getattr(value, spec.name)) for spec in fields_of(type(value))}


def describe_evidence(receipt: "Receipt") -> list[Json]:
    """The signed messages inside a receipt, each opened: its type, signer, name and content.

    Raises:
        VcomputeError: one does not open.
    """
    from vcompute.messages import message_type, open_message

    held = [item for item in (receipt.result, *receipt.verdicts) if item is not None]
    messages = [open_message(item) for item in held]
    return [
        {
            "type": message_type(message.body).name.lower(),
            "signer": message.signer.hex(),
            "message": message.digest.hex(),
            "body": describe_record(message.body),
        }
        for message in messages
    ]


def describe_types(types: Iterable[ValueType]) -> list[Json]:
    """Types of values, without the batch axis."""
    return [{"dtype": t.dtype.name.lower(), "shape": list(t.shape), "zero_point": t.zero_point} for t in types]


def describe_graph(graph: Graph) -> list[dict[str, Json]]:
    """The nodes in order: operator, the values it reads, its output, its work for one sample."""
    rows: list[dict[str, Json]] = []
    for position, node in enumerate(graph.nodes):
        inputs, constants = graph.operand_types(node)
        work = node.operator.work(inputs, constants, node.output)
        rows.append(
            {
                "node": position,
                "value": len(graph.inputs) + position,
                "operator": node.operator.name,
                "inputs": list(node.inputs),
                "dtype": node.output.dtype.name.lower(),
                "shape": list(node.output.shape),
                "zero_point": node.output.zero_point,
                "macs": work.macs,
                "constant_bytes": sum(constant.nbytes for constant in constants),
            }
        )
    return rows
