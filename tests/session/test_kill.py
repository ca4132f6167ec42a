# SPDX-License-Identifier: Apache-2.0
"""``kill -9`` of each party at random moments, with real processes: nothing is lost, nothing is paid twice."""

import random
import socket
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest

from tests.session.processes import COMMAND, Deployment, run
from vcompute.data import digits_model, digits_samples

pytestmark = pytest.mark.server
TASKS, PRICE, BOND = 24, 7, 3


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.parametrize("victim", ["coordinator", "worker", "requester"])
def test_kill_at_random_moments_loses_nothing_and_pays_once(victim: str, tmp_path: Path) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    moments = random.Random(seed)
    print(f"seed {seed}")
    images, labels = digits_samples()
    model, inputs, out = tmp_path / "digits.tflite", tmp_path / "images.npy", tmp_path / "out.npy"
    model.write_bytes(digits_model())
    np.save(inputs, images[:TASKS])
    deployment = Deployment(tmp_path, free_port())
    try:
        state, requester = deployment.requester()
        workers = [deployment.worker(f"w{index}", "--capacity", 2) for index in range(2)]
        submit = ["submit", model, inputs, "-o", out, "--url", deployment.url, "--state", state, "--json"]
        submit += ["--batch", 1, "--price", PRICE, "--bond", BOND, "--lease", 3, "--within", 120]
        under_way = subprocess.Popen([*COMMAND, *map(str, submit)], stdout=subprocess.DEVNULL)
        for _ in range(2):
            time.sleep(moments.uniform(1.0, 4.0))
            if victim == "coordinator":
                deployment.coordinator.kill()
                time.sleep(moments.uniform(0.0, 0.5))
                deployment.coordinator.start()
            elif victim == "worker":
                chosen = moments.choice(workers)
                chosen.kill()
                chosen.start()
            else:
                under_way.kill()
                under_way.wait(20)
                under_way = subprocess.Popen([*COMMAND, *map(str, submit)], stdout=subprocess.DEVNULL)
        assert under_way.wait(150) == 0
        done = run(*submit)
        assert done["accepted"] == done["tasks"] == TASKS
        assert done["rejected"] == 0
        classes = np.load(out).reshape(TASKS, -1).argmax(1)
        assert (classes == labels[:TASKS]).sum() >= TASKS - 2
        report = deployment.ledger("verify")
        assert report["conserved"], report["problems"]
        assert (report["paid"], report["held"], report["slashed"]) == (TASKS * PRICE, 0, 0)
        balances = deployment.ledger("show")["balances"]
        assert balances[requester] == 1000 - TASKS * PRICE
        assert sum(balances.values()) == 3000
    finally:
        deployment.close()
