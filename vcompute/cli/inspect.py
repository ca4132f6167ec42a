# SPDX-License-Identifier: Apache-2.0
"""``vcompute inspect``: what a file is and what it holds. The kind is told by content, never by name."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.describe import describe_graph, describe_record, describe_types
from vcompute.cli.dump import body_rows, commitment_rows, draw, envelope_rows, plan_rows, read_statement, weight_rows
from vcompute.cli.files import COMMITMENT_KIND, HEAD, NPY_MAGIC, parse_npy
from vcompute.cli.model import PATH, semantics_option
from vcompute.cli.output import Json, Reporter
from vcompute.cli.prove import context_option
from vcompute.errors import UsageError, VcomputeError
from vcompute.registry import ErrorCode

if TYPE_CHECKING:
    from rich.console import Console

    from vcompute.identity import Keyring
    from vcompute.proof.statement import Statement
    from vcompute.task import Model

COSE_SIGN1_HEAD: Final = 0xD2


@dataclass(frozen=True, slots=True)
class Description:
    """What a file holds: a record for programs and, where a plain list is not enough, a drawing for people."""

    record: dict[str, Json]
    render: "Callable[[Console], None] | None" = None


@click.command("inspect", cls=Command)
@click.argument("file", type=PATH)
@click.option("--model", type=PATH, metavar="MODEL|COMMITMENT", help="What the proof is about: lists its messages.")
@click.option("--input", "inputs", type=PATH, metavar="INPUT.npy", help="The statement's inputs.")
@click.option("--output", "outputs", type=PATH, metavar="OUT.npy", help="The statement's outputs.")
@context_option
@semantics_option
@click.option("--offer", type=PATH, help="Check a receipt against this signed offer: signatures, amounts, verdicts.")
@click.option(
    "--keys", type=PATH, multiple=True, help="Records of a party's keys, as 'vcompute key lookup -o' keeps them."
)
@pass_reporter
def inspect(
    reporter: Reporter,
    file: Path,
    model: Path | None,
    inputs: Path | None,
    outputs: Path | None,
    context: bytes,
    semantics: str,
    offer: Path | None,
    keys: tuple[Path, ...],
) -> None:
    """Show what a file holds: a model, commitment, proof, batch, message or array.

    A succinct proof holds no lengths: with --model, --input and --output its messages are listed with their places,
    as far as the verifier comes.
    """
    from vcompute.api import read_bounded
    from vcompute.messages import MAX_MESSAGE
    from vcompute.task.limits import MODEL_LIMITS

    data = read_bounded(file, MODEL_LIMITS.bytes)
    statement = read_statement(model, inputs, outputs, context, semantics)
    try:
        description = describe(data, semantics, statement)
        if offer is not None:
            found = check(data, read_bounded(offer, MAX_MESSAGE), _keyring(keys, data))
            record = {**description.record, "checked": found}
            description = Description(record)
    except VcomputeError as error:
        raise type(error)(f"{file}: {error}", code=error.code) from error
    reporter.result({"bytes": len(data), **description.record}, description.render)


def describe(data: bytes, semantics: str, statement: "Statement | None" = None) -> Description:
    """The description of a file's content; ``statement`` is what a proof is about, where that is known.

    Raises:
        VcomputeError: the content is damaged, or of no kind the library knows.
    """
    from vcompute.api import TFLITE_MARK

    if data[4:8] == TFLITE_MARK or b"vcompute-model" in data[:HEAD]:
        return _model(data, semantics)
    if COMMITMENT_KIND in data[:HEAD]:
        return _commitment(data)
    if b"vcompute-proof" in data[:HEAD]:
        return _proof(data, statement)
    if data.startswith(NPY_MAGIC):
        array = parse_npy(data, "the file")
        return Description({"kind": "array", "dtype": str(array.dtype), "shape": list(array.shape)})
    if data[:1] == bytes([COSE_SIGN1_HEAD]):
        return _message(data)
    if data[:2] == b"\xa2\x00":
        return _batch(data)
    raise UsageError("not a file of vcompute's", code=ErrorCode.UNREADABLE_FILE, got=f"{len(data)} bytes")


def _keyring(paths: tuple[Path, ...], receipt: bytes) -> "Keyring":
    """The keys of the parties whose records are in files; the receipt's signer may revoke any of them.

    Raises:
        VcomputeError: a file holds no records, or one that is refused.
    """
    from vcompute.identity import Keyring
    from vcompute.messages import open_message
    from vcompute.node.keychain import read_records

    ring = Keyring(open_message(receipt).signer)
    for path in paths:
        for record in read_records(path):
            ring.apply(record, 2**62)
    return ring


def check(receipt: bytes, offer: bytes, keys: "Keyring | None" = None) -> dict[str, Json]:
    """What a receipt rests on, all of it checked against its offer; ``keys`` knows rotations and revocations.

    Raises:
        VcomputeError: the receipt or the offer does not open, or they do not belong together, or a verdict in it does
            not count.
    """
    from vcompute.messages import Offer, Receipt, open_message
    from vcompute.policy.receipt import check_receipt

    grounds = check_receipt(open_message(receipt).of(Receipt), open_message(offer).of(Offer), keys)
    return {
        "verifiers": [thumbprint.hex() for thumbprint in sorted(grounds.verifiers)],
        "bases": sorted(basis.name.lower() for basis in grounds.bases),
        "certified": grounds.certified,
    }


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
    fields, plans, weights = commitment_rows(commitment), plan_rows(commitment), weight_rows(commitment)
    record: dict[str, Json] = {
        "kind": "commitment",
        "model": commitment.digest.hex(),
        "parameter_set_id": commitment.record.parameter_set,
        "root": commitment.record.root.hex(),
        "inputs": describe_types(commitment.graph.inputs),
        "outputs": describe_types(commitment.graph.output_types),
        "nodes": len(commitment.graph.nodes),
        "sections": list[Json](fields),
        "plans": list[Json](plans),
        "weights": list[Json](weights),
    }

    def render(console: "Console") -> None:
        for key in ("kind", "model", "parameter_set_id", "root", "nodes"):
            console.print(f"{key:<16} {record[key]}")
        draw(console, "fields", fields)
        draw(console, f"public constants, limbs of {commitment.limb_bits} bits", plans)
        draw(console, f"committed weights, {commitment.root.shape.stored} values", weights)

    return Description(record, render)


def _proof(data: bytes, statement: "Statement | None") -> Description:
    from vcompute.errors import Rejected
    from vcompute.proof.suite import decode_envelope
    from vcompute.proof.suites import suite_table
    from vcompute.registry import SuiteId

    envelope = decode_envelope(data)
    sections = envelope_rows(envelope)
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
        record |= {"suite": suite.name, "parameter_set": parameters.name}
    except Rejected:  # a suite that is not installed here: its numbers are all there is to show
        pass
    if statement is not None and envelope.suite == SuiteId.SUCCINCT:
        messages, code = body_rows(envelope, statement, len(data))
        sections = [*sections, *messages]
        record |= {"verifier": code or "accepts", "statement_fits": statement.digest == envelope.statement}
    record["sections"] = list[Json](sections)

    def render(console: "Console") -> None:
        for key in (key for key in record if key != "sections"):
            console.print(f"{key:<16} {record[key]}")
        draw(console, "sections", sections)

    return Description(record, render)


def _batch(data: bytes) -> Description:
    from vcompute.task import decode_batch

    batch = decode_batch(data)
    tensors: list[Json] = [{"dtype": str(array.dtype), "shape": list(array.shape)} for array in batch.arrays]
    return Description({"kind": "batch", "batch": batch.digest.hex(), "samples": batch.size, "tensors": tensors})


def _message(data: bytes) -> Description:
    from vcompute.cli.describe import describe_evidence
    from vcompute.messages import Receipt, message_type, open_message

    message = open_message(data)
    record: dict[str, Json] = {
        "kind": "message",
        "type": message_type(message.body).name.lower(),
        "signer": message.signer.hex(),
        "message": message.digest.hex(),
        "body": describe_record(message.body),
    }
    if isinstance(message.body, Receipt):
        record["evidence"] = describe_evidence(message.body)

    def render(console: "Console") -> None:
        from rich.pretty import Pretty

        for key in ("type", "signer", "message"):
            console.print(f"{key:<8} {record[key]}")
        for key in ("body", "evidence"):
            if key in record:
                console.print(Pretty(record[key], expand_all=True))

    return Description(record, render)
