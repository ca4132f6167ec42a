# SPDX-License-Identifier: Apache-2.0
"""``vcompute commit``."""

import time
from pathlib import Path

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.files import read_model, write_atomic
from vcompute.cli.model import PATH, semantics_option
from vcompute.cli.output import Json, Reporter


@click.command("commit", cls=Command)
@click.argument("model", type=PATH)
@click.option("-o", "--output", type=PATH, required=True, metavar="COMMITMENT", help="The file to write.")
@click.option("--parameter-set", metavar="NAME", help="A parameter set of the suite succinct; its default without.")
@semantics_option
@pass_reporter
def commit(reporter: Reporter, model: Path, output: Path, parameter_set: str | None, semantics: str) -> None:
    """Commit to a model, for verifiers that do not have it.

    Whoever has the model can make the same file again and compare.
    """
    from vcompute.field import default_backend
    from vcompute.proof.succinct.commitment import encode_commitment
    from vcompute.proof.succinct.publish import commit_model
    from vcompute.proof.suites import parameter_set_named, suite_table

    parameters = parameter_set_named(suite_table().named("succinct"), parameter_set)
    loaded = read_model(model, semantics)
    with reporter.progress("committing"):
        start = time.perf_counter()
        commitment = commit_model(loaded, parameters.id, default_backend())
        seconds = time.perf_counter() - start
    data = encode_commitment(commitment)
    write_atomic(output, data)
    record: dict[str, Json] = {
        "model": loaded.digest.hex(),
        "parameter_set": parameters.name,
        "root": commitment.record.root.hex(),
        "bytes": len(data),
        "seconds": seconds,
        "file": str(output),
    }
    reporter.result(record)
