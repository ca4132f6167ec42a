# SPDX-License-Identifier: Apache-2.0
"""``vcompute conformance`` and ``vcompute testee``."""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter
from vcompute.errors import ProtocolError, UsageError
from vcompute.registry import ErrorCode, Role

if TYPE_CHECKING:
    from vcompute.conformance.case import Case
    from vcompute.conformance.runner import Summary
    from vcompute.conformance.testee import Testee


@click.group("conformance")
def conformance() -> None:
    """Test an implementation of the protocol, offline."""


@conformance.command("run", cls=Command)
@click.option("--testee", "command", metavar="CMD", help="A program that speaks the testee protocol.")
@click.option("--url", help="A running coordinator; with another --role where the suite listens for that client.")
@click.option("--insecure", is_flag=True, help="Allow plain HTTP beyond this machine.")
@click.option("--level", "levels", multiple=True, type=click.Choice([f"L{n}" for n in range(6)]), help="Only this one.")
@click.option("--role", type=click.Choice(["requester", "worker", "coordinator", "verifier"]), help="Only its profile.")
@click.option("--case", "pattern", default="", metavar="TEXT", help="Only cases whose id holds TEXT.")
@click.option("--report", type=click.Path(path_type=Path, file_okay=False), help="Write HTML, JSON and JUnit here.")
@click.option("--timeout", default=120.0, show_default=True, help="Seconds to wait for one answer.")
@pass_reporter
def conformance_run(
    reporter: Reporter,
    command: str | None,
    url: str | None,
    insecure: bool,
    levels: tuple[str, ...],
    role: str | None,
    pattern: str,
    report: Path | None,
    timeout: float,
) -> int:
    """Run the suite against a testee; exit status 1 where a case fails.

    With --url alone it tests the coordinator there. With --url and the role worker, verifier or requester it is the
    coordinator: it listens at http://HOST:PORT, and the client under test is started with that URL.
    """
    from vcompute.conformance import BrokenTestee, Level, LocalTestee, ProcessTestee, all_cases, run, select
    from vcompute.conformance.report import write
    from vcompute.conformance.report.text import render
    from vcompute.conformance.runner import greet

    if (command is None) == (url is None):
        raise UsageError("name one testee", code=ErrorCode.USAGE, expected="--testee CMD or --url URL")

    def chosen(wanted: "Iterable[Case]") -> "list[Case]":
        cases = select(tuple(wanted), levels=[Level[name] for name in levels], role=role, pattern=pattern)
        if not cases:
            raise UsageError("no case is selected", code=ErrorCode.USAGE)
        return cases

    def carry_out(cases: "list[Case]", testee: "Testee", name: str) -> "Summary":
        with reporter.progress("cases", len(cases)) as advance:
            return run(cases, testee, name=name, on_verdict=lambda _: advance(1))

    try:
        if url is None:
            cases = chosen(all_cases())
            with ProcessTestee(command or "", timeout=timeout) as testee:
                summary = carry_out(cases, testee, greet(testee))
        elif role in (None, "coordinator"):
            from vcompute.conformance.scenarios.url import UrlTestee
            from vcompute.conformance.scenarios.url import cases as coordinator_cases

            summary = carry_out(chosen(coordinator_cases()), UrlTestee(url, insecure=insecure), url)
        else:
            from vcompute.conformance.scenarios.clients import cases as client_cases
            from vcompute.conformance.scenarios.host import Listener

            with Listener(url, Role[str(role).upper()], insecure=insecure) as listener:
                click.echo(f"listening at {listener.url}: start the {role} with this URL", err=True)
                summary = carry_out(chosen(client_cases(listener.host)), LocalTestee({}), f"{role} at {listener.url}")
    except BrokenTestee as error:
        raise ProtocolError(f"the testee does not speak the protocol: {error}") from error
    if report is not None:
        write(report, summary)
    reporter.result(summary.as_json(), lambda console: render(summary, console))
    return 0 if summary.passed else 1


@conformance.command("list", cls=Command)
@pass_reporter
def conformance_list(reporter: Reporter) -> int:
    """List the cases with their levels and requirements."""
    from vcompute.conformance import all_cases

    cases = all_cases()
    record: dict[str, Json] = {
        "cases": [{"id": c.id, "level": c.level.name, "requirements": list(c.requirements)} for c in cases]
    }
    lines = "\n".join(f"{case.level.name} {case.id} {' '.join(case.requirements)}" for case in cases)
    reporter.result(record, lambda console: console.print(lines, markup=False))
    return 0


@click.command("testee")
@click.option("--kernels", type=click.Choice(["portable", "native"]), default="portable", show_default=True)
def testee(kernels: str) -> int:
    """Be a testee: the reference library on JSON lines.

    It is there for the library's own conformance, and as an example of a testee.
    """
    from vcompute.conformance.operations import operations
    from vcompute.conformance.serve import serve

    serve(operations(kernels), sys.stdin, sys.stdout)
    return 0
