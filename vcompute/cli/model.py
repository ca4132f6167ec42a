# SPDX-License-Identifier: Apache-2.0
"""``vcompute import`` and ``vcompute run``."""

import time
from pathlib import Path

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.files import read_batch, read_model, write_atomic, write_batch
from vcompute.cli.output import Json, Reporter

PATH = click.Path(path_type=Path)
semantics_option = click.option(
    "--semantics",
    type=click.Choice(["litert", "classic"]),
    default="litert",
    show_default=True,
    help="Whose integer arithmetic a .tflite model follows.",
)


@click.command("import", cls=Command)
@click.argument("model", type=PATH, metavar="MODEL.tflite")
@click.option("-o", "--output", type=PATH, required=True, metavar="MODEL.vcm", help="The file to write.")
@semantics_option
@pass_reporter
def import_command(reporter: Reporter, model: Path, output: Path, semantics: str) -> None:
    """Turn a .tflite model into a .vcm file."""
    from vcompute.task import encode_model

    imported = read_model(model, semantics)
    data = encode_model(imported)
    write_atomic(output, data)
    work = imported.work()
    record: dict[str, Json] = {
        "model": imported.digest.hex(),
        "file": str(output),
        "bytes": len(data),
        "nodes": len(imported.graph.nodes),
        "weight_bytes": len(imported.weights),
        "macs": work.macs,
        "semantics": semantics,
    }
    reporter.result(record)


@click.command("run", cls=Command)
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH, metavar="INPUT.npy")
@click.option("-o", "--output", type=PATH, metavar="OUT.npy", help="Write the outputs.")
@click.option("--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Threads to use.")
@semantics_option
@pass_reporter
def run(reporter: Reporter, model: Path, inputs: Path, output: Path | None, threads: int, semantics: str) -> None:
    """Run a model on a batch of inputs, exactly.

    MODEL is a .vcm or .tflite file; INPUT.npy has a leading batch axis.
    """
    import vcompute

    loaded, batch = read_model(model, semantics), read_batch(inputs)
    with reporter.progress("running"):
        start = time.perf_counter()
        outputs = vcompute.run(loaded, batch, threads)
        seconds = time.perf_counter() - start
    if output is not None:
        write_batch(output, outputs)
    record: dict[str, Json] = {
        "model": loaded.digest.hex(),
        "samples": batch.size,
        "seconds": seconds,
        "macs": loaded.work().macs * batch.size,
        "inputs": batch.digest.hex(),
        "outputs": outputs.digest.hex(),
        "shapes": [list(array.shape) for array in outputs.arrays],
        "file": None if output is None else str(output),
    }
    reporter.result(record)
