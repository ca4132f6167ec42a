# SPDX-License-Identifier: Apache-2.0
"""``vcompute coordinator``."""

from pathlib import Path

import click

from vcompute.cli.attestation import policy_of
from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Reporter
from vcompute.cli.party import CACHE, key_in, passphrase_of, passphrase_option, state_option


@click.command("coordinator", cls=Command)
@state_option
@passphrase_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port", default=8420, show_default=True, type=click.IntRange(0, 65535), help="Port; 0 takes a free one."
)
@click.option("--certificate", type=click.Path(path_type=Path, exists=True), help="Chain in PEM: speak TLS.")
@click.option("--certificate-key", type=click.Path(path_type=Path, exists=True), help="The certificate's key in PEM.")
@click.option(
    "--attestation",
    type=click.Choice(["ignore", "prefer", "require"]),
    default="ignore",
    show_default=True,
    help="What evidence about a worker's key is worth here.",
)
@click.option("--trust-attester", "attesters", multiple=True, help="Thumbprint of an attester that is believed.")
@click.option("--insecure", is_flag=True, help="Allow plain HTTP beyond this machine.")
@pass_reporter
def coordinator(
    reporter: Reporter,
    state: Path,
    passphrase_file: Path | None,
    host: str,
    port: int,
    certificate: Path | None,
    certificate_key: Path | None,
    attestation: str,
    attesters: tuple[str, ...],
    insecure: bool,
) -> None:
    """Match offers with workers, relay, and keep the ledger. Prints its address once it listens."""
    import asyncio

    from vcompute.node.serve import Endpoint, Service

    passphrase = passphrase_of(passphrase_file)
    key, settlement = key_in(state, "key", passphrase), key_in(state, "settlement", passphrase)
    endpoint = Endpoint(host, port, certificate, certificate_key, insecure)
    bound = endpoint.bind()
    service = Service(state, key, settlement, CACHE, policy_of(attestation, attesters))

    async def ready() -> None:
        reporter.result(
            {
                "url": endpoint.url(bound),
                "coordinator": key.thumbprint.hex(),
                "settlement": settlement.thumbprint.hex(),
            }
        )
        import sys

        sys.stdout.flush()

    asyncio.run(service.serve(endpoint, bound, ready))
