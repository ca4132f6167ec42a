# SPDX-License-Identifier: Apache-2.0
"""``vcompute status``."""

import json
from pathlib import Path

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter
from vcompute.errors import ProtocolError, UsageError
from vcompute.registry import ErrorCode

LONGEST = 1 << 20


@click.command("status", cls=Command)
@click.option("--url", required=True, help="Base URL of the coordinator.")
@click.option(
    "--authority",
    type=click.Path(path_type=Path, dir_okay=False, exists=True),
    help="Certificates to trust instead of the system's.",
)
@pass_reporter
def status(reporter: Reporter, url: str, authority: Path | None) -> None:
    """Show a coordinator's parties, tasks and totals."""
    import ssl

    import httpx

    verify = True if authority is None else ssl.create_default_context(cafile=str(authority))
    try:
        answer = httpx.get(f"{url.rstrip('/')}/v1/status", verify=verify, timeout=10, trust_env=False)
        answer.raise_for_status()
        record = json.loads(answer.content[:LONGEST])
    except httpx.InvalidURL as error:
        raise UsageError("a coordinator is named by an http or https URL", got=url) from error
    except (httpx.HTTPError, ValueError) as error:
        name = type(error).__name__
        raise ProtocolError(f"no status from {url} ({name})", code=ErrorCode.TRANSPORT_FAILED) from error
    if not isinstance(record, dict):
        raise ProtocolError(f"no status from {url}", code=ErrorCode.TRANSPORT_FAILED)
    reporter.result(record if reporter.json else _flat(record))


def _flat(record: dict[str, Json]) -> dict[str, Json]:
    """One line for each number."""
    lines: dict[str, Json] = {}
    for name, value in record.items():
        if isinstance(value, dict):
            lines.update({f"{name} {inner}" if name != "totals" else inner: item for inner, item in value.items()})
        else:
            lines[name] = value
    return lines
