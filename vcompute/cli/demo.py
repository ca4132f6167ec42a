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
    from vcompute.node.requester import RequesterNode

IMAGES = 64
BATCH = 4
LEASE = 1_500
"""Milliseconds of a lease: what a worker that leaves costs."""
PATIENCE = 120.0
"""Seconds until the demo gives up."""


@click.command("demo", cls=Command)
@pass_reporter
def demo(reporter: Reporter) -> int:
    """Outsource 64 digit images to workers on this machine, honest and not, and pay for checked results."""
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
        self.kinds: list[Behaviour] = [*honest, Behaviour.ALTERS, Behaviour.LEAVES]
        self.workers: dict[bytes, tuple[str, Behaviour]] = {}
        self.correct = 0
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
        self.key = PrivateKey.generate()
        states = []
        for index, kind in enumerate(self.kinds, start=1):
            key, state = PrivateKey.generate(), self._directory / f"worker-{index}"
            state.mkdir(mode=0o700)
            save_key(key, state / "key.pem")
            self.workers[key.thumbprint] = (f"worker {index}", kind)
            states.append((state, kind))
        self._pipe, theirs = context.Pipe()
        funded = [self.key.thumbprint, *self.workers]
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
        import asyncio
        import os

        import numpy as np

        from vcompute.blobs import BlobCache
        from vcompute.data import digits_samples
        from vcompute.node.compute import SuiteCompute
        from vcompute.node.requester import RequesterNode
        from vcompute.node.store import Store, state_directory
        from vcompute.registry import Role
        from vcompute.task import decode_batch
        from vcompute.transport.http import HttpLink

        state = state_directory(self._directory / "requester")
        node = RequesterNode(
            role=Role.REQUESTER,
            key=self.key,
            link=HttpLink(self._url),
            store=Store(state / "state.db"),
            blobs=BlobCache(state / "blobs", 1 << 28, durable=False),
            coordinator=self._pin,
            nonce=os.urandom,
            checker=SuiteCompute(),
        )
        running = asyncio.ensure_future(node.run())
        try:
            await node.connected.wait()
            await self._workers_there()
            images, labels = digits_samples()
            tasks = await self._offer(node, images[:IMAGES])
            with self._live(node):
                await node.finished(tasks)
        finally:
            node.stop()
            await asyncio.gather(running, return_exceptions=True)
        records = [node.record(task) for task in tasks]
        self.tasks = len(tasks)
        self.accepted = sum(record.receipt is not None and record.result is not None for record in records)
        self.moved = sum(record.rejected + record.moved for record in records)
        classes = [decode_batch(node.outputs(task)).arrays[0].reshape(BATCH, -1).argmax(1) for task in tasks]
        self.correct = int((np.concatenate(classes) == labels[:IMAGES]).sum())

    async def _workers_there(self) -> None:
        """Wait until every worker has advertised."""
        import asyncio

        import httpx

        async with httpx.AsyncClient(base_url=self._url, trust_env=False) as client:
            while (await client.get("/v1/status")).json()["workers"] < len(self.kinds):
                await asyncio.sleep(0.05)

    async def _offer(self, node: "RequesterNode", images: Any) -> list[bytes]:
        from vcompute.data import digits_model
        from vcompute.importers import import_tflite
        from vcompute.messages import Always, SuiteChoice
        from vcompute.node.compute import work_units
        from vcompute.node.requester import Terms
        from vcompute.registry import ParameterSetId
        from vcompute.task import encode_model, make_batch

        model = import_tflite(digits_model())
        units = work_units(model, BATCH)
        price = units // 1000
        policy = Always((SuiteChoice.of(ParameterSetId.EXACT),))
        terms = Terms(policy, price=price, bond=2 * price, lease=LEASE)
        data = encode_model(model)
        tasks = []
        for start in range(0, len(images), BATCH):
            batch = make_batch(images[start : start + BATCH])
            tasks.append(await node.submit(data, batch.encoded, BATCH, units, terms))
        return tasks

    @contextlib.contextmanager
    def _live(self, node: "RequesterNode") -> Iterator[None]:
        """A live view on standard error, where that is a terminal."""
        console = self._reporter.console(stderr=True)
        if not console.is_terminal:
            yield
            return
        from rich.live import Live

        began = time.monotonic()
        view = _View(node, began)
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

        rejected = sum(outcome is Outcome.SLASHED for _, outcome, *_ in summary.receipts)
        return {
            "tasks": self.tasks,
            "accepted": self.accepted,
            "rejected": rejected,
            "reassigned": self.moved,
            "correct_labels": self.correct,
            "paid": summary.paid,
            "slashed": summary.slashed,
            "refunded": summary.refunded,
            "conserved": summary.conserved and summary.held == 0,
        }

    def table(self, summary: "Summary") -> "Table":
        """Who did what."""
        from rich.table import Table

        from vcompute.registry import Outcome

        table = Table(title="who did what")
        for name in ("party", "what it does", "accepted", "refused", "left", "earned", "lost"):
            table.add_column(name, justify="left" if name in ("party", "what it does") else "right")
        for thumbprint, (name, kind) in self.workers.items():
            mine = [receipt for receipt in summary.receipts if receipt[2] == thumbprint]
            paid = [receipt for receipt in mine if receipt[1] is Outcome.PAID]
            slashed = [receipt for receipt in mine if receipt[1] is Outcome.SLASHED]
            left = sum(receipt[1] is Outcome.RETURNED for receipt in mine)
            earned, lost = sum(receipt[3] for receipt in paid), sum(receipt[4] for receipt in slashed)
            cells = (str(value) if value else "-" for value in (len(paid), len(slashed), left, earned, lost))
            table.add_row(name, kind.value, *cells)
        table.add_row("requester", f"pays {summary.paid}, receives {summary.slashed} of bonds", *[""] * 5)
        return table

    def closing(self, record: dict[str, Json]) -> str:
        """The sentence under the table."""
        return (
            f"{record['accepted']} of {record['tasks']} tasks accepted, {record['rejected']} results refused, "
            f"{record['reassigned']} leases moved to another worker; {record['correct_labels']} of {IMAGES} labels are "
            f"right; money {'conserved to the last unit' if record['conserved'] else 'NOT CONSERVED'}."
        )


class _View:
    """What the requester sees while tasks run."""

    def __init__(self, node: "RequesterNode", began: float) -> None:
        self._node = node
        self._began = began

    def __rich__(self) -> "Table":
        from rich.table import Table

        from vcompute.session.requester import RequesterState

        records = list(self._node.requester.records.values())
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
