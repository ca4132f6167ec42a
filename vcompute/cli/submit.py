# SPDX-License-Identifier: Apache-2.0
"""``vcompute submit``."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter
from vcompute.cli.party import Connection, connection_options, members_of, thumbprint

if TYPE_CHECKING:
    from vcompute.node.requester import RequesterNode, Terms
    from vcompute.session.requester import RequesterRecord
    from vcompute.task import Batch, Model

REVEAL_WITHIN = 10_000
"""Milliseconds for each phase of a draw."""


@click.command("submit", cls=Command)
@click.argument("model_path", metavar="MODEL", type=click.Path(path_type=Path, dir_okay=False))
@click.argument("input_path", metavar="INPUT.npy", type=click.Path(path_type=Path, dir_okay=False))
@connection_options
@click.option("-o", "--output", type=click.Path(path_type=Path, dir_okay=False), help="Where the outputs go (.npy).")
@click.option("--batch", default=16, show_default=True, type=click.IntRange(1, 1 << 16), help="Samples in a task.")
@click.option("--suite", "suites", multiple=True, help="SUITE or SUITE/SET to accept; replay by default.")
@click.option("--sample", type=click.FloatRange(0, 1, min_open=True), help="Check this share of the tasks, drawn.")
@click.option("--on-challenge", type=click.FloatRange(0.1), help="Pay what nobody challenges for so many seconds.")
@click.option("--answer-within", default=60.0, show_default=True, type=click.FloatRange(0.1), help="Seconds to answer.")
@click.option("--watch", default=1.0, show_default=True, type=click.FloatRange(0, 1), help="Share to run again here.")
@click.option("--stake", default=0, show_default=True, type=click.IntRange(0, 2**62), help="Of a draw or challenge.")
@click.option("--price", required=True, type=click.IntRange(0, 2**62), help="Paid for each task.")
@click.option("--bond", type=click.IntRange(0, 2**62), help="The worker's bond for each; by default the least.")
@click.option("--verifier", "verifiers", multiple=True, help="Thumbprint of a judge; the requester judges by default.")
@click.option("--member", "members", multiple=True, help="Entry of a judge that signs certificates.")
@click.option("--fallback", multiple=True, help="Thumbprint that judges where the others are silent.")
@click.option("--confidential", is_flag=True, help="Seal the inputs for the worker alone, and for --verifier.")
@click.option("--quorum", default=1, show_default=True, type=click.IntRange(1, 32), help="Verdicts that must agree.")
@click.option("--receipts", type=click.Path(path_type=Path, file_okay=False), help="Where offers and receipts go.")
@click.option("--within", default=600.0, show_default=True, type=click.FloatRange(1), help="Seconds until the refund.")
@click.option("--lease", default=30.0, show_default=True, type=click.FloatRange(0.1), help="Seconds of a lease.")
@pass_reporter
def submit(
    reporter: Reporter,
    /,
    model_path: Path,
    input_path: Path,
    output: Path | None,
    batch: int,
    suites: tuple[str, ...],
    sample: float | None,
    on_challenge: float | None,
    answer_within: float,
    watch: float,
    stake: int,
    price: int,
    bond: int | None,
    verifiers: tuple[str, ...],
    members: tuple[str, ...],
    fallback: tuple[str, ...],
    confidential: bool,
    quorum: int,
    receipts: Path | None,
    within: float,
    lease: float,
    **connection: Any,
) -> int:
    """Offer INPUT.npy, an array with a leading batch axis, as tasks and wait for the checked outputs.

    After an interruption the same command goes on where it stopped; nothing is paid twice.
    """
    from fractions import Fraction

    from vcompute.errors import UsageError
    from vcompute.messages import Confidential
    from vcompute.node.requester import Terms
    from vcompute.policy.deposit import Deterrence, deposit_for

    model, inputs = _load_model(model_path), _load_input(input_path)
    verifier_set = members_of(members, quorum) if members else None
    judges = tuple(thumbprint(text) for text in verifiers)
    if verifier_set is not None:
        judges = tuple(sorted(item.device for item in verifier_set.members))
    if sample is not None and on_challenge is not None:
        raise UsageError("results are drawn or challenged: give --sample or --on-challenge")
    policy = _policy(_choices(suites), sample, stake, on_challenge, answer_within)
    assumed = Deterrence(watched=Fraction(watch))
    terms = Terms(
        policy=policy,
        price=price,
        bond=deposit_for(policy, price, assumed) if bond is None else bond,
        assumed=assumed,
        verifiers=judges,
        verifier_set=verifier_set,
        fallback=tuple(thumbprint(text) for text in fallback) or None,
        confidential=Confidential(bool(judges)) if confidential else None,
        quorum=quorum,
        within=int(within * 1000),
        lease=int(lease * 1000),
    )
    with reporter.progress("tasks", -(-len(inputs) // batch)) as advance:
        record, arrays = _run(Connection(**connection), model, inputs, batch, terms, advance, receipts, watch)
    if output is not None and arrays is not None:
        import numpy as np

        with output.open("wb") as file:
            np.save(file, arrays, allow_pickle=False)
    reporter.result(record)
    return 0 if arrays is not None else 1


def _load_model(path: Path) -> "Model":
    import vcompute

    model: Model = vcompute.load_model(path)
    return model


def _load_input(path: Path) -> Any:
    import numpy as np

    from vcompute.errors import UsageError
    from vcompute.registry import ErrorCode

    try:
        return np.load(path, allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        raise UsageError(f"cannot read {path} as a .npy array: {error}", code=ErrorCode.UNREADABLE_FILE) from error


def _choices(names: tuple[str, ...]) -> Any:
    from vcompute.messages import SuiteChoice
    from vcompute.proof.suites import suite_table

    table = suite_table()
    admitted = table.policy(names or ("replay",)).parameter_sets
    return tuple(
        SuiteChoice(int(suite.id), int(item.id))
        for suite in table
        for item in suite.parameter_sets
        if item.id in admitted
    )


def _policy(suites: Any, sample: float | None, stake: int, window: float | None, answer_within: float) -> Any:
    """Check always, a drawn share, or what is challenged."""
    from vcompute.messages import Always, OnChallenge, Sampled
    from vcompute.messages.offer import RATE_ONE

    if window is not None:
        return OnChallenge(suites, int(window * 1000), int(answer_within * 1000), stake)
    if sample is None:
        return Always(suites)
    return Sampled(suites, max(1, round(sample * RATE_ONE)), REVEAL_WITHIN, stake)


def _run(
    connection: Connection,
    model: "Model",
    inputs: Any,
    batch: int,
    terms: "Terms",
    advance: Callable[[float], None],
    receipts: Path | None,
    share: float,
) -> tuple[dict[str, Json], Any]:
    """Submit and wait; the record to report, and the outputs where every task was paid."""
    import asyncio

    import numpy as np

    from vcompute.node.compute import SuiteCompute, work_units
    from vcompute.node.requester import RequesterNode
    from vcompute.registry import Role
    from vcompute.session.requester import RequesterState
    from vcompute.task import decode_batch, encode_model, make_batch

    arguments = connection.arguments()
    batches = [make_batch(inputs[start : start + batch]) for start in range(0, len(inputs), batch)]

    async def main() -> tuple[dict[str, Json], Any]:
        closed: set[bytes] = set()

        def watch(record: "RequesterRecord") -> None:
            done = (RequesterState.DONE, RequesterState.REFUNDED, RequesterState.REFUSED)
            if record.state in done and record.task in tasks and record.task not in closed:
                closed.add(record.task)
                advance(1)

        tasks: list[bytes] = []
        node = RequesterNode(role=Role.REQUESTER, checker=SuiteCompute(), watch=share, seen=watch, **arguments)
        running = asyncio.ensure_future(node.run())
        try:
            await _or_fail(running, node.connected.wait())
            data = encode_model(model)
            for index, item in enumerate(batches):
                units = work_units(model, item.size)
                memo = _memo(model, item, terms, index)
                tasks.append(await node.submit(data, item.encoded, item.size, units, terms, memo))
                watch(node.record(tasks[-1]))  # it may be over from an earlier run
            await _or_fail(running, node.finished(tasks))
        finally:
            node.stop()
            await asyncio.gather(running, return_exceptions=True)
        records = [node.record(task) for task in tasks]
        done = [record for record in records if record.state is RequesterState.DONE]
        report = _report(node, records, terms)
        if receipts is not None:
            _write_receipts(receipts, records)
        if len(done) < len(records):
            return report, None
        parts = [decode_batch(node.outputs(task)).arrays[0] for task in tasks]
        return report, np.concatenate(parts)

    return asyncio.run(main())


def _write_receipts(directory: Path, records: "list[RequesterRecord]") -> None:
    """Each task's signed offer and the receipt that ended it, named by the task."""
    directory.mkdir(parents=True, exist_ok=True)
    for record in records:
        (directory / f"{record.task.hex()}.offer").write_bytes(record.offer)
        if record.receipt is not None:
            (directory / f"{record.task.hex()}.receipt").write_bytes(record.receipt)


def _memo(model: "Model", batch: "Batch", terms: "Terms", index: int) -> bytes:
    """What makes a task the same task when a submission is repeated: content, terms, place."""
    import hashlib

    parts = repr((model.digest, batch.digest, terms.policy, terms.price, terms.bond, terms.verifiers, index))
    return hashlib.sha256(parts.encode()).digest()


async def _or_fail(running: Any, waiting: Any) -> None:
    """Wait, but not longer than the node runs."""
    import asyncio

    job = asyncio.ensure_future(waiting)
    await asyncio.wait([running, job], return_when=asyncio.FIRST_COMPLETED)
    if not job.done():
        job.cancel()
        running.result()


def _report(node: "RequesterNode", records: "list[RequesterRecord]", terms: "Terms") -> dict[str, Json]:
    from vcompute.session.requester import RequesterState

    count = {state: sum(record.state is state for record in records) for state in RequesterState}
    codes = sorted({record.code.name.lower() for record in records if record.code is not None})
    return {
        "requester": node.who.name.hex(),
        "tasks": len(records),
        "accepted": count[RequesterState.DONE],
        "rejected": sum(record.rejected for record in records),
        "reassigned": sum(record.rejected + record.moved for record in records),
        "refunded": count[RequesterState.REFUNDED],
        "refused": count[RequesterState.REFUSED],
        "reasons": list[Json](codes),
        "paid": count[RequesterState.DONE] * terms.price,
    }
