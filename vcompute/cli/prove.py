# SPDX-License-Identifier: Apache-2.0
"""``vcompute prove``, ``vcompute verify`` and ``vcompute suites``."""

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vcompute.api import read_bounded
from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.files import read_batch, read_holder, read_model, write_atomic, write_batch
from vcompute.cli.model import PATH, semantics_option
from vcompute.cli.output import Json, Reporter
from vcompute.errors import UsageError, VcomputeError
from vcompute.proof.suite import ENVELOPE_OVERHEAD, MAX_PROOF
from vcompute.registry import ErrorCode

if TYPE_CHECKING:
    from rich.console import Console

    from vcompute.proof.suite import Acceptance

EXIT_REJECTED = 1


class HexBytes(click.ParamType[bytes]):
    """Bytes in hexadecimal."""

    name = "HEX"

    def convert(self, value: object, param: click.Parameter | None, ctx: click.Context | None) -> bytes:
        if isinstance(value, bytes):
            return value
        try:
            return bytes.fromhex(str(value))
        except ValueError:
            self.fail(f"{value!r} is not hexadecimal", param, ctx)


context_option = click.option(
    "--context", type=HexBytes(), default=b"", metavar="HEX", help="Bytes that the statement is bound to."
)
threads_option = click.option(
    "--threads", type=click.IntRange(1, 1024), default=1, show_default=True, help="Threads to use."
)


@click.command("prove", cls=Command)
@click.argument("model", type=PATH)
@click.argument("inputs", type=PATH, metavar="INPUT.npy")
@click.option("--suite", required=True, metavar="NAME", help="The verification suite; see 'vcompute suites'.")
@click.option("--parameter-set", metavar="NAME", help="A parameter set of the suite; its default without.")
@click.option("-o", "--proof", type=PATH, required=True, metavar="PROOF", help="The proof to write.")
@click.option("--output", type=PATH, required=True, metavar="OUT.npy", help="The outputs to write.")
@context_option
@threads_option
@semantics_option
@pass_reporter
def prove(
    reporter: Reporter,
    model: Path,
    inputs: Path,
    suite: str,
    parameter_set: str | None,
    proof: Path,
    output: Path,
    context: bytes,
    threads: int,
    semantics: str,
) -> None:
    """Run a model on a batch of inputs and prove the outputs."""
    import vcompute
    from vcompute.proof.suites import parameter_set_named, suite_table

    chosen = suite_table().named(suite)
    parameters = parameter_set_named(chosen, parameter_set)
    loaded, batch = read_model(model, semantics), read_batch(inputs)
    with reporter.progress("proving"):
        wall, cpu = time.perf_counter(), time.process_time()
        outputs, data = vcompute.prove(loaded, batch, suite, context, parameters.name, threads)
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    security = chosen.security(loaded.graph, batch.size, parameters.id)
    write_batch(output, outputs)
    write_atomic(proof, data)
    record: dict[str, Json] = {
        "suite": suite,
        "parameter_set": parameters.name,
        "seconds": wall,
        "cpu_seconds": cpu,
        "proof_bytes": len(data),
        "peak_rss_bytes": peak_memory(),
        "samples": batch.size,
        "activations": loaded.work().elements * batch.size,
        "security_bits": security.bits,
        "union_bits": security.union_bits,
    }
    reporter.result(record)


def peak_memory() -> int | None:
    """The most memory this process has held, bytes; None where the system does not say."""
    if sys.platform == "win32":
        return None
    import resource

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@click.command("verify", cls=Command)
@click.argument("model", type=PATH, metavar="MODEL|COMMITMENT")
@click.argument("inputs", type=PATH, metavar="INPUT.npy")
@click.argument("outputs", type=PATH, metavar="OUT.npy")
@click.argument("proof", type=PATH)
@click.option(
    "--suite",
    "suites",
    multiple=True,
    metavar="NAME[/SET]",
    help="Accept this suite, or this parameter set of it, and no other; may be repeated.",
)
@click.option("--allow-insecure", is_flag=True, help="Also accept parameter sets that are for tests only.")
@context_option
@threads_option
@semantics_option
@pass_reporter
def verify(
    reporter: Reporter,
    model: Path,
    inputs: Path,
    outputs: Path,
    proof: Path,
    suites: tuple[str, ...],
    allow_insecure: bool,
    context: bytes,
    threads: int,
    semantics: str,
) -> int:
    """Check a proof that a model gives these outputs on these inputs.

    COMMITMENT is what the model's publisher made with 'vcompute commit': it stands for the model where a suite can do
    without.

    Exit status 0 where it is accepted, 1 where it is not.
    """
    import vcompute
    from vcompute.proof.suites import suite_table

    policy = suite_table().policy(suites, allow_insecure=allow_insecure)
    start = time.perf_counter()
    accepted: Acceptance | None = None
    code: str | None = None
    reason: str | None = None
    try:
        holder = read_holder(model, semantics)
        statement = vcompute.Statement(holder, read_batch(inputs), read_batch(outputs), context)
        data = read_bounded(proof, MAX_PROOF + ENVELOPE_OVERHEAD)
        start = time.perf_counter()  # what is timed is the check, not the reading
        with reporter.progress("verifying"):
            accepted = vcompute.verify(statement, data, policy, threads)
    except VcomputeError as error:
        if isinstance(error, UsageError) and error.code is ErrorCode.USAGE:
            raise
        code, reason = error.code.name.lower(), str(error)
    record: dict[str, Json] = {"accepted": accepted is not None, "code": code, "reason": reason}
    record["seconds"] = time.perf_counter() - start
    record["suite"] = accepted.suite if accepted else None
    record["parameter_set"] = accepted.parameter_set if accepted else None
    record["security_bits"] = accepted.security.bits if accepted else None
    record["union_bits"] = accepted.security.union_bits if accepted else None
    reporter.result(record)
    return 0 if accepted is not None else EXIT_REJECTED


@click.command("suites", cls=Command)
@pass_reporter
def suites(reporter: Reporter) -> None:
    """List the verification suites and their parameter sets.

    For the sets of 'succinct' also the error of every challenge in the largest instance that they admit.
    """
    from vcompute.cli.suites import admitted, draw_admitted
    from vcompute.proof.suites import suite_table

    rows: list[dict[str, Json]] = [
        {
            "suite": suite.name,
            "id": suite.id,
            "parameter_set": item.name,
            "parameter_set_id": item.id,
            "security_bits": item.security_bits or None,
            "secure": item.secure,
            **admitted(item.id),
        }
        for suite in suite_table()
        for item in suite.parameter_sets
    ]

    def render(console: "Console") -> None:
        from rich.table import Table

        table = Table("suite", "id", "parameter set", "id", "at least", "")
        for row in rows:
            bits = f"{row['security_bits']} bits" if row["security_bits"] else "exact" if row["secure"] else "-"
            numbers = str(row["id"]), str(row["parameter_set"]), str(row["parameter_set_id"])
            table.add_row(str(row["suite"]), *numbers, bits, "" if row["secure"] else "for tests only")
        console.print(table)
        for row in rows:
            draw_admitted(console, row)

    reporter.result({"suites": rows}, render)
