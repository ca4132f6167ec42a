# SPDX-License-Identifier: Apache-2.0
"""A coordinator's totals: what is counted, once for each task, across restarts; JSON, Prometheus, command line."""

import re
from pathlib import Path

import httpx
import numpy as np
import pytest

from tests.protocol_kit import REPLAY, ref
from tests.session.processes import Deployment, run
from tests.session.test_nodes import TERMS, Net, Reverse, play
from vcompute import load_model
from vcompute.blobs import BlobCache
from vcompute.data import digits_model, digits_samples
from vcompute.errors import ProtocolError
from vcompute.messages import BlobRef
from vcompute.node.compute import Order, Work
from vcompute.node.coordinator import CoordinatorNode
from vcompute.node.metrics import MAX_MODELS, NOTHING, Meter, Totals
from vcompute.task import encode_model

LINE = re.compile(r'[a-z_]+(\{[a-z]+="[a-z_]+"\})? -?[0-9.e+]+')


class Metered(Reverse):
    """A device that knows its energy, but not always."""

    def execute(self, order: Order) -> Work:
        work = super().execute(order)
        return Work(work.outputs, REPLAY, work.proof, 1_500_000 if self.runs > 1 else None)


def test_totals_count_each_task_once_and_survive_a_restart(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        tasks = await net.offer(b"one", b"two", b"three")
        await net.requester.finished(tasks)
        totals = net.coordinator.meter.totals
        assert totals == Totals(
            tasks_paid=3,
            tasks_refunded=0,
            tasks_refused=0,
            inferences=3,
            work_units=3,
            macs=0,
            inferences_uncounted=3,
            microjoules=3_000_000,
            inferences_with_energy=2,
            amount_paid=3 * TERMS.price,
            results_refused=0,
            leases_moved=totals.leases_moved,
        )
        for task in tasks:  # asked again, nothing is counted again
            await net.coordinator.message(net.requester.record(task).offer)
        assert net.coordinator.meter.totals == totals
        common = net.common("c")
        again = CoordinatorNode(
            common["key"], net.ledger, net.coordinator.store, net.cache("other"), nonce=common["nonce"]
        )
        again.restore()
        assert again.meter.totals == totals
        assert again.session.records.get(tasks[0]) is not None
        assert len(again.session.records) == 0, "closed tasks stay on disk"
        text = net.coordinator.metrics()
        assert "\nvcompute_joules_reported_total 3\n" in text
        assert '\nvcompute_messages_total{type="offer"} ' in text
        assert 'vcompute_refusals_total{code="' not in text
        with pytest.raises(ProtocolError):
            await net.coordinator.message(net.requester.record(tasks[0]).offer[:-1] + b"\0")
        assert 'vcompute_refusals_total{code="' in net.coordinator.metrics()

    play(tmp_path, body, Metered())


def test_multiply_accumulates_come_from_the_graph(tmp_path: Path) -> None:
    blobs = BlobCache(tmp_path, 1 << 24, durable=False)
    model = load_model(digits_model())
    data = encode_model(model)
    name = BlobRef(blobs.put(data), len(data))
    meter = Meter(blobs)
    assert meter._macs_of(name) == model.work().macs > 0
    blobs.remove(name.digest)
    assert meter._macs_of(name) == model.work().macs, "kept"
    noise = BlobRef(blobs.put(b"no model"), 8)
    assert meter._macs_of(noise) is None
    for number in range(2 * MAX_MODELS):
        assert meter._macs_of(ref(number.to_bytes(4, "big"))) is None
    assert len(meter._macs) == MAX_MODELS
    assert meter.count([]) == NOTHING


@pytest.mark.server
def test_operators_see_totals_by_url_and_by_command(tmp_path: Path) -> None:
    deployment = Deployment(tmp_path)
    try:
        state, _ = deployment.requester()
        deployment.worker("w")
        model, inputs = tmp_path / "digits.tflite", tmp_path / "images.npy"
        model.write_bytes(digits_model())
        np.save(inputs, digits_samples()[0][:6])
        submit = ["submit", model, inputs, "-o", tmp_path / "out.npy", "--url", deployment.url, "--state", state]
        run(*submit, "--batch", 3, "--price", 7, "--bond", 2, "--json")
        text = httpx.get(deployment.url + "/metrics").text
        assert all(line.startswith("# ") or LINE.fullmatch(line) for line in text.splitlines())
        macs = 6 * load_model(digits_model()).work().macs
        for line in ("inferences_total 6", "tasks_paid_total 2", "amount_paid_total 14", f"macs_total {macs}"):
            assert f"\nvcompute_{line}\n" in "\n" + text
        record = run("status", "--url", deployment.url, "--json")
        assert record["totals"]["inferences"] == 6
        assert record["totals"]["macs"] == macs
        assert record["totals"]["inferences_uncounted"] == 0
        assert record["workers"] == 1
        assert run("status", "--url", "http://127.0.0.1:1", "--json", status=1)["error"]["code"] == "transport_failed"
    finally:
        deployment.close()
