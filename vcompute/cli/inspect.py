# SPDX-License-Identifier: Apache-2.0
"""``vcompute inspect``: what a file is and what it holds. The kind is told by content, never by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.describe import describe_graph, describe_record, describe_types
from vcompute.cli.files import COMMITMENT_KIND, HEAD, NPY_MAGIC, parse_npy
from vcompute.cli.model import PATH, semantics_option
from vcompute.cli.output import Json, Reporter
from vcompute.errors import UsageError, VcomputeError
from vcompute.registry import ErrorCode

if TYPE_CHECKING:
    from rich.console import Console

    from vcompute.task import Model

COSE_SIGN1_HEAD: Final = 0xD2


@dataclass(frozen=True, slots=True)
class Description:
    """What a file holds: a record for programs and, where a plain list is not enough, a drawing for people."""

    record: dict[str, Json]
    render: "Callable[[Console], None] | None" = None


@click.command("inspect", cls=Command)
@click.argument("file", type=PATH)
@semantics_option
@pass_reporter
def inspect(reporter: Reporter, file: Path, semantics: str) -> None:
    """Show what a file holds: a model, commitment, proof, batch, message or array."""
    from vcompute.api import read_bounded
    from vcompute.task.limits import MODEL_LIMITS

    data = read_bounded(file, MODEL_LIMITS.bytes)
    try:
        description = describe(data, semantics)
    except VcomputeError as error:
        raise type(error)(f"{file}: {error}", code=error.code) from error
    reporter.result({"bytes": len(data), **description.record}, description.render)


def describe(data: bytes, semantics: str) -> Description:
    """The description of a file's content.

    Raises:
        VcomputeError: the content is damaged, or of no kind the library knows.
    """
    from vcompute.api import TFLITE_MARK

    if data[4:8] == TFLITE_MARK or b"vcompute-model" in data[:HEAD]:
        return _model(data, semantics)
    if COMMITMENT_KIND in data[:HEAD]:
        return _commitment(data)
    if b"vcompute-proof" in data[:HEAD]:
        return _proof(data)
    if data.startswith(NPY_MAGIC):
        array = parse_npy(data, "the file")
        return Description({"kind": "array", "dtype": str(array.dtype), "shape": list(array.shape)})
    if data[:1] == bytes([COSE_SIGN1_HEAD]):
        return _message(data)
    if data[:2] == b"\xa2\x00":
        return _batch(data)
    raise UsageError("not a file of vcompute's", code=ErrorCode.UNREADABLE_FILE, got=f"{len(data)} bytes")


def _model(data: bytes, semantics: str) -> Description:
    from vcompute.api import load_model

    model = load_model(data, semantics)
    graph = model.graph
    work = model.work()
    record: dict[str, Json] = {
        "kind": "model",
        "model": model.digest.hex(),
        "graph": model.graph_digest.hex(),
        "weights": model.weights_digest.hex(),
        "weight_bytes": len(model.weights),
        "macs": work.macs,
        "elements": work.elements,
        "inputs": describe_types(graph.inputs),
        "outputs": describe_types(graph.output_types),
        "nodes": describe_graph(graph),
    }
    return Description(record, lambda console: _draw_model(console, model, record))


def _draw_model(console: "Console", model: "Model", record: dict[str, Json]) -> None:
    from rich.table import Table

    for key in ("model", "graph", "weights"):
        console.print(f"{key:<8} {record[key]}")
    console.print(f"{'sample':<8} {record['macs']:,} multiply-accumulates, {record['elements']:,} elements")
    table = Table("node", "reads", "output", "zero point", "MACs", "weight bytes")
    table.columns[0].no_wrap = True
    nodes: Any = record["nodes"]
    for row in nodes:
        table.add_row(
            f"{row['node']} {row['operator']}",
            ", ".join(map(str, row["inputs"])),
            "x".join(map(str, row["shape"])),
            str(row["zero_point"]),
            f"{row['macs']:,}",
            f"{row['constant_bytes']:,}",
        )
    console.print(table)


def _commitment(data: bytes) -> Description:
    from vcompute.proof.succinct.commitment import decode_commitment

    commitment = decode_commitment(data)
    record: dict[str, Json] = {
        "kind": "commitment",
        "model": commitment.digest.hex(),
        "parameter_set_id": commitment.record.parameter_set,
        "root": commitment.record.root.hex(),
        "inputs": describe_types(commitment.graph.inputs),
        "outputs": describe_types(commitment.graph.output_types),
        "nodes": len(commitment.graph.nodes),
    }
    return Description(record)


def _proof(data: bytes) -> Description:
    from vcompute.errors import Rejected
    from vcompute.proof.suite import decode_envelope
    from vcompute.proof.suites import suite_table

    envelope = decode_envelope(data)
    record: dict[str, Json] = {
        "kind": "proof",
        "version": envelope.version,
        "suite_id": envelope.suite,
        "parameter_set_id": envelope.parameter_set,
        "suite": None,
        "parameter_set": None,
        "statement": envelope.statement.hex(),
        "body_bytes": len(envelope.body),
    }
    try:
        suite, parameters = suite_table().numbered(envelope.suite, envelope.parameter_set)
    except Rejected:  # a suite that is not installed here: its numbers are all there is to show
        return Description(record)
    return Description(record | {"suite": suite.name, "parameter_set": parameters.name})


def _batch(data: bytes) -> Description:
    from vcompute.task import decode_batch

    batch = decode_batch(data)
    tensors: list[Json] = [{"dtype": str(array.dtype), "shape": list(array.shape)} for array in batch.arrays]
    return Description({"kind": "batch", "batch": batch.digest.hex(), "samples": batch.size, "tensors": tensors})


def _message(data: bytes) -> Description:
    from vcompute.messages import message_type, open_message

    message = open_message(data)
    record: dict[str, Json] = {
        "kind": "message",
        "type": message_type(message.body).name.lower(),
        "signer": message.signer.hex(),
        "message": message.digest.hex(),
        "body": describe_record(message.body),
    }

    def render(console: "Console") -> None:
        from rich.pretty import Pretty

        for key in ("type", "signer", "message"):
            console.print(f"{key:<8} {record[key]}")
        console.print(Pretty(record["body"], expand_all=True))

    return Description(record, render)
