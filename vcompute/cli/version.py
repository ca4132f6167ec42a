# SPDX-License-Identifier: Apache-2.0
"""``vcompute version``."""

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter


@click.command("version", cls=Command)
@pass_reporter
def version(reporter: Reporter) -> None:
    """Show versions and the instruction set in use."""
    import vcompute
    from vcompute import _native
    from vcompute.proof.suite import PROOF_VERSION
    from vcompute.session.handshake import VERSIONS
    from vcompute.task.graph import GRAPH_VERSION

    features = _native.features()
    record: dict[str, Json] = {
        "version": vcompute.__version__,
        "protocol": list(VERSIONS),
        "task_format": GRAPH_VERSION,
        "proof_format": PROOF_VERSION,
        "core": "native" if _native.available() else "fallback",
        "instruction_set": list(features.in_use),
        "left_out": list(features.left_out),
    }
    reporter.result(record)
