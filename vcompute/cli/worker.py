# SPDX-License-Identifier: Apache-2.0
"""``vcompute worker`` and ``vcompute verifier``."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcompute.cli.attestation import attester_of
from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.device import device_of
from vcompute.cli.output import Json, Reporter
from vcompute.cli.party import Connection, connection_options, member_key_in, thumbprint

if TYPE_CHECKING:
    from vcompute.node.client import ClientNode

FILE = click.Path(path_type=Path, dir_okay=False)


@click.command("worker", cls=Command)
@connection_options
@click.option("--capacity", default=1, show_default=True, type=click.IntRange(1, 1024), help="Tasks at once.")
@click.option("--price", default=0, show_default=True, type=click.IntRange(0), help="Least for a million work units.")
@click.option("--bond", default=2**62, type=click.IntRange(0), help="Largest bond for a task.")
@click.option("--trust-verifier", multiple=True, help="Accept verdicts of these thumbprints only.")
@click.option("--independent", is_flag=True, help="Decline where only the requester could give the verdict.")
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Threads for a task.")
@click.option("--device-policy", type=FILE, help="When to work (TOML): charging, battery, temperature, hours.")
@click.option("--device-trace", type=FILE, help="A recorded device instead of this one.")
@click.option("--metered", is_flag=True, help="The network costs by volume.")
@click.option("--attester-key", type=FILE, help="Key of an attester that vouches for this device.")
@click.option("--ueid", help="This device's name with the attester, 7 to 33 bytes in hexadecimal.")
@pass_reporter
def worker(
    reporter: Reporter,
    /,
    capacity: int,
    price: int,
    bond: int,
    trust_verifier: tuple[str, ...],
    independent: bool,
    threads: int,
    device_policy: Path | None,
    device_trace: Path | None,
    metered: bool,
    attester_key: Path | None,
    ueid: str | None,
    **connection: Any,
) -> None:
    """Take tasks, run them, prove them, be paid. A first interrupt gives the leases back."""
    from vcompute.node.compute import SuiteCompute
    from vcompute.node.worker import WorkerNode
    from vcompute.policy import WorkerTerms
    from vcompute.registry import Role, YieldReason

    compute = SuiteCompute(threads)
    verifiers = frozenset(thumbprint(text) for text in trust_verifier) or None
    terms = WorkerTerms(compute.suites, price, bond, verifiers=verifiers, independent=independent)
    device = device_of(device_policy, device_trace, metered)
    attester = attester_of(attester_key, ueid)
    arguments = Connection(**connection).arguments()

    def build() -> WorkerNode:
        return WorkerNode(
            role=Role.WORKER,
            compute=compute,
            terms=terms,
            capacity=capacity,
            device=device,
            attester=attester,
            **arguments,
        )

    _run(reporter, "worker", build, lambda node: node.give_back(YieldReason.USER), {"url": connection["url"]})


@click.command("verifier", cls=Command)
@connection_options
@click.option("--threads", default=1, show_default=True, type=click.IntRange(1), help="Checks at once.")
@click.option(
    "--watch",
    default=1.0,
    show_default=True,
    type=click.FloatRange(0, 1),
    help="Share of challengeable results to run again.",
)
@click.option("--member", is_flag=True, help="Sign certificates with a BLS key too, and print the entry for offers.")
@pass_reporter
def verifier(reporter: Reporter, /, threads: int, watch: float, member: bool, **connection: Any) -> None:
    """Judge the results of offers that name this verifier."""
    from vcompute.codec import encode
    from vcompute.node.compute import SuiteCompute
    from vcompute.node.verifier import VerifierNode
    from vcompute.policy.certificate import member as entry_of
    from vcompute.registry import Role

    secret = member_key_in(connection["state"]) if member else None
    arguments = Connection(**connection).arguments()
    shown = {} if secret is None else {"member": encode(entry_of(secret, arguments["who"].name)).hex()}

    def build() -> VerifierNode:
        return VerifierNode(
            role=Role.VERIFIER, checker=SuiteCompute(), threads=threads, member=secret, watch=watch, **arguments
        )

    _run(reporter, "verifier", build, lambda node: None, {"url": connection["url"], **shown})


def _run(reporter: Reporter, name: str, build: Any, before_stop: Any, shown: dict[str, Json]) -> None:
    """Run a node until it is interrupted."""
    import asyncio

    from vcompute.node.serve import on_signals

    async def main() -> None:
        node: ClientNode = build()

        def stop() -> None:
            before_stop(node)
            asyncio.get_running_loop().call_later(0.5, node.stop)

        with on_signals(stop):
            reporter.result({name: node.who.name.hex(), **shown})
            sys.stdout.flush()
            await node.run()

    asyncio.run(main())
