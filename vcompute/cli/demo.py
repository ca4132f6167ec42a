# SPDX-License-Identifier: Apache-2.0
"""``vcompute demo``: the whole protocol on one machine, cheats and all."""

import contextlib
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter

if TYPE_CHECKING:
    from multiprocessing.process import BaseProcess

    from rich.table import Table

    from vcompute.cli.demo_parts import Summary
    from vcompute.cli.demo_requesters import Customer

IMAGES = 64
REPLAYED = 40
"""Images whose outputs are checked by replay; the others' are proved."""
PATIENCE = 120.0
"""Seconds until the demo gives up."""


@click.command("demo", cls=Command)
@pass_reporter
def demo(reporter: Reporter) -> int:
    """Outsource 64 digit images to workers on this machine, honest and not, and pay for checked results.

    One requester has the model and replays; another has only the model's commitment and checks succinct proofs.
    """
    with tempfile.TemporaryDirectory(prefix="vcompute-demo-") as directory:
        show = _Show(reporter, Path(directory))
        with contextlib.ExitStack() as stack:
            stack.callback(show.end)
            show.start()
            show.work()
            summary = show.sum_up()
    record = show.record(summary)
    reporter.result(record, lambda console: console.print(show.table(summary), show.closing(record)))
    good = record["conserved"] and record["accepted"] == record["tasks"]
    return 0 if good else 1


class _Show:
    """The demo's parts and what they did."""

    def __init__(self, reporter: Reporter, directory: Path) -> None:
        from vcompute.cli.demo_parts import Behaviour

        self._reporter = reporter
        self._directory = directory
        self._processes: list[BaseProcess] = []
        self._pipe: Any = None
        self._url, self._pin = "", b""
        honest = [Behaviour.HONEST] * 3
        self.kinds: list[Behaviour] = [*honest, Behaviour.ALTERS, Behaviour.FORGES, Behaviour.LEAVES]
        self.workers: dict[bytes, tuple[str, Behaviour]] = {}
        self.correct = 0
        self.proved: set[bytes] = set()
        self.tasks = 0
        self.accepted = 0
        self.moved = 0

    def start(self) -> None:
        """Start the coordinator, then the workers, each in a process of its own."""
        import multiprocessing

        from vcompute.cli.demo_parts import run_coordinator, run_worker
        from vcompute.errors import ProtocolError
        from vcompute.identity import PrivateKey, save_key
        from vcompute.registry import ErrorCode

        method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
        context = multiprocessing.get_context(method)
        if method == "forkserver":
            context.set_forkserver_preload(["vcompute.cli.demo_parts", "vcompute.proof.api"])
        self.keys = [PrivateKey.generate(), PrivateKey.generate()]
        states = []
        for index, kind in enumerate(self.kinds, start=1):
            key, state = PrivateKey.generate(), self._directory / f"worker-{index}"
            state.mkdir(mode=0o700)
            save_key(key, state / "key.pem")
            self.workers[key.thumbprint] = (f"worker {index}", kind)
            states.append((state, kind))
        self._pipe, theirs = context.Pipe()
        funded = [*(key.thumbprint for key in self.keys), *self.workers]
        self._spawn(context, run_coordinator, self._directory / "coordinator", funded, theirs)
        theirs.close()
        if not self._pipe.poll(PATIENCE):
            raise ProtocolError("the coordinator did not start", code=ErrorCode.TRANSPORT_FAILED)
        self._url, self._pin = self._pipe.recv()
        for state, kind in states:
            self._spawn(context, run_worker, state, self._url, self._pin, kind)

    def _spawn(self, context: Any, target: Any, *arguments: Any) -> None:
        process = context.Process(target=target, args=arguments, daemon=True)
        process.start()
        self._processes.append(process)

    def work(self) -> None:
        """Offer the images as tasks and wait for their outputs."""
        import asyncio

        asyncio.run(asyncio.wait_for(self._work(), PATIENCE))

    async def _work(self) -> None:
        from vcompute.cli.demo_requesters import Customer, publish
        from vcompute.data import digits_model, digits_samples
        from vcompute.importers import import_tflite
        from vcompute.node.compute import CommitmentChecker, SuiteCompute

        model = import_tflite(digits_model())
        publication = publish(model)
        light = CommitmentChecker({publication.model.digest: publication.commitment})
        place = (self._url, self._pin)
        publisher = Customer(self._directory / "publisher", self.keys[0], *place, SuiteCompute())
        client = Customer(self._directory / "client", self.keys[1], *place, light)
        images, labels = digits_samples()
        async with publisher.connected(), client.connected():
            await self._workers_there()
            await publisher.offer(model, images[:REPLAYED])
            await client.offer_published(publication, images[REPLAYED:IMAGES])
            with self._live([publisher, client]):
                for customer in (publisher, client):
                    await customer.node.finished(customer.tasks)
        self.proved = set(client.tasks)
        self.tasks = len(publisher.tasks) + len(client.tasks)
        self.accepted = publisher.accepted + client.accepted
        self.moved = publisher.moved + client.moved
        classes = publisher.classes() + client.classes()
        self.correct = sum(int(found == label) for found, label in zip(classes, labels[:IMAGES], strict=True))

    async def _workers_there(self) -> None:
        """Wait until every worker has advertised."""
        import asyncio

        import httpx

        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as client:
            while (await client.get("/v1/status")).json()["workers"] < len(self.kinds):
                await asyncio.sleep(0.05)

    @contextlib.contextmanager
    def _live(self, customers: "list[Customer]") -> Iterator[None]:
        """A live view on standard error, where that is a terminal."""
        console = self._reporter.console(stderr=True)
        if not console.is_terminal:
            yield
            return
        from rich.live import Live

        began = time.monotonic()
        view = _View(customers, began)
        with Live(view, console=console, refresh_per_second=8, transient=True):
            yield

    def sum_up(self) -> "Summary":
        """Ask the coordinator for receipts and audit; its process ends with that."""
        from vcompute.errors import ProtocolError
        from vcompute.registry import ErrorCode

        self._pipe.send("end")
        if not self._pipe.poll(PATIENCE):
            raise ProtocolError("the coordinator did not answer", code=ErrorCode.TRANSPORT_FAILED)
        summary: Summary = self._pipe.recv()
        return summary

    def end(self) -> None:
        """End the processes."""
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.join(5)

    def record(self, summary: "Summary") -> dict[str, Json]:
        """The demo's result."""
        from vcompute.registry import Outcome

        refused = [task for task, outcome, *_ in summary.receipts if outcome is Outcome.SLASHED]
        return {
            "tasks": self.tasks,
            "accepted": self.accepted,
            "rejected": len(refused),
            "reassigned": self.moved,
            "correct_labels": self.correct,
            "paid": summary.paid,
            "slashed": summary.slashed,
            "refunded": summary.refunded,
            "conserved": summary.conserved and summary.held == 0,
            "proved": sum(task in self.proved for task, outcome, *_ in summary.receipts if outcome is Outcome.PAID),
            "rejected_proofs": sum(task in self.proved for task in refused),
        }

    def table(self, summary: "Summary") -> "Table":
        """Who did what."""
        from rich.table import Table

        from vcompute.registry import Outcome

        table = Table(title="who did what")
        for name in ("party", "what it does", "done", "proved", "refused", "left", "earned", "lost"):
            table.add_column(name, justify="left" if name in ("party", "what it does") else "right")
        for thumbprint, (name, kind) in self.workers.items():
            mine = [receipt for receipt in summary.receipts if receipt[2] == thumbprint]
            paid = [receipt for receipt in mine if receipt[1] is Outcome.PAID]
            slashed = [receipt for receipt in mine if receipt[1] is Outcome.SLASHED]
            left = sum(receipt[1] is Outcome.RETURNED for receipt in mine)
            earned, lost = sum(receipt[3] for receipt in paid), sum(receipt[4] for receipt in slashed)
            proved = sum(receipt[0] in self.proved for receipt in paid)
            counts = (len(paid), proved, len(slashed), left, earned, lost)
            table.add_row(name, kind.value, *(str(value) if value else "-" for value in counts))
        table.caption = f"the requesters pay {summary.paid} and receive {summary.slashed} of bonds"
        return table

    def closing(self, record: dict[str, Json]) -> str:
        """The sentence under the table."""
        return (
            f"{record['accepted']} of {record['tasks']} tasks accepted, {record['proved']} of them on proofs checked "
            f"against the model's commitment alone; {record['rejected']} results refused, {record['rejected_proofs']} "
            f"with a forged proof; {record['reassigned']} leases moved to another worker; "
            f"{record['correct_labels']} of {IMAGES} labels are "
            f"right; money {'conserved to the last unit' if record['conserved'] else 'NOT CONSERVED'}."
        )


class _View:
    """What the requesters see while tasks run."""

    def __init__(self, customers: "list[Customer]", began: float) -> None:
        self._customers = customers
        self._began = began

    def __rich__(self) -> "Table":
        from rich.table import Table

        from vcompute.session.requester import RequesterState

        records = [record for customer in self._customers for record in customer.records]
        table = Table(title=f"{time.monotonic() - self._began:.1f} s")
        for name in ("offered", "with a worker", "paid", "done", "results refused", "leases moved"):
            table.add_column(name, justify="right")
        states = (
            RequesterState.OFFERED,
            RequesterState.RUNNING,
            RequesterState.FETCHING,
            RequesterState.DONE,
        )
        cells = [sum(record.state is state for record in records) for state in states]
        cells += [sum(record.rejected for record in records), sum(record.moved for record in records)]
        table.add_row(*map(str, cells))
        return table
