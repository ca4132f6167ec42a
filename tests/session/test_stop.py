# SPDX-License-Identifier: Apache-2.0
"""Stopping in bounded time: runs, proofs, and what a worker computes when its lease ends or its device must stop."""

import asyncio
import threading
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.session.test_nodes import Net, Reverse, play
from tests.unit.proof.dense import dense, samples
from vcompute import load_model
from vcompute.data import digits_model, digits_samples
from vcompute.errors import Stopped
from vcompute.kernels import executor, reference
from vcompute.node.compute import Order, Work
from vcompute.proof.api import prove
from vcompute.registry import ErrorCode, YieldReason
from vcompute.stop import Stop, check, current, until
from vcompute.task import Batch, make_batch

WITHIN = 3.0
"""Seconds, with room for a busy machine; on a quiet one a stop takes milliseconds."""


def for_ever(work: Callable[[], object]) -> None:
    while True:
        work()


def stopped_after(seconds: float, work: Callable[[], object]) -> float:
    """Start work, stop it from another thread; how long it went on."""
    stop, at = Stop(), [0.0]

    def end() -> None:
        at[0] = time.monotonic()
        stop.set()

    timer = threading.Timer(seconds, end)
    timer.start()
    with until(stop), pytest.raises(Stopped) as caught:
        for_ever(work)
    timer.join()
    assert caught.value.code is ErrorCode.CANCELLED
    return time.monotonic() - at[0]


def images() -> Batch:
    data, _ = digits_samples()
    return make_batch(np.tile(data, (60, 1, 1, 1))[:40_000])


def test_a_long_native_run_ends_between_its_steps() -> None:
    model, inputs = load_model(digits_model()), images()
    expected = executor.run(model, inputs).encoded
    for threads in (1, 2):
        assert stopped_after(0.05, lambda threads=threads: executor.run(model, inputs, threads)) < WITHIN  # type: ignore[misc]
    assert current() is None
    assert executor.run(model, inputs).encoded == expected, "what was stopped left nothing behind"


def test_a_stop_that_was_set_before_lets_nothing_begin() -> None:
    model, stop = dense(), Stop()
    inputs = samples(model)
    expected = executor.run(model, inputs).encoded
    with until(stop):
        assert executor.run(model, inputs).encoded == expected
        stop.set()
        for run in (executor.run, reference.run):
            with pytest.raises(Stopped):
                run(model, inputs)
        with until(Stop()):
            check()
        with pytest.raises(Stopped):
            check()
    check()


def test_a_proof_ends_at_a_message() -> None:
    model = load_model(digits_model())
    inputs = make_batch(digits_samples()[0][:1])
    assert stopped_after(0.3, lambda: prove(model, inputs, "succinct")) < 4 * WITHIN


class Endless(Reverse):
    """Work that ends when it is stopped alone."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = threading.Event()
        self.begun = threading.Event()

    def execute(self, order: Order) -> Work:
        if order.inputs == b"short":
            return super().execute(order)
        try:
            while True:
                self.begun.set()
                check()
                time.sleep(0.005)
        finally:
            self.ended.set()


@pytest.mark.parametrize("how", ["the user", "the requester", "the end"])
def test_a_worker_stops_computing_when_the_lease_ends(how: str, tmp_path: Path) -> None:
    compute = Endless()

    async def body(net: Net) -> None:
        task = (await net.offer(b"long"))[0]
        while not compute.begun.is_set():
            await asyncio.sleep(0.01)
        worker = net.workers[0]
        if how == "the user":
            worker.give_back(YieldReason.USER)
        elif how == "the requester":
            net.requester.act(net.requester.requester.cancel(task, net.requester.clock()))
        else:
            worker.stop()
        start = time.monotonic()
        while not compute.ended.is_set():
            await asyncio.sleep(0.01)
            assert time.monotonic() - start < 3 * WITHIN
        if how == "the requester":
            more = (await net.offer(b"short"))[0]
            await net.requester.finished([more])  # the one thread of the worker is free again
            assert net.requester.outputs(more) == b"trohs"
        assert worker._stops == {}

    play(tmp_path, body, compute)
