# SPDX-License-Identifier: Apache-2.0
"""The demo and the deployment commands, as a user runs them."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from vcompute.data import digits_model, digits_samples

pytestmark = pytest.mark.server
COMMAND = [sys.executable, "-m", "vcompute"]


def run(*arguments: object, status: int = 0) -> dict[str, Any]:
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == status, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    record: dict[str, Any] = json.loads(lines[0])
    return record


def test_demo_runs_checks_and_pays() -> None:
    record = run("demo", "--json")
    assert list(record) == [
        "tasks",
        "accepted",
        "rejected",
        "reassigned",
        "correct_labels",
        "paid",
        "slashed",
        "refunded",
        "conserved",
    ]
    assert record["tasks"] == record["accepted"] == 16
    assert record["rejected"] >= 1
    assert record["reassigned"] >= 2
    assert record["correct_labels"] >= 60
    assert record["paid"] % 16 == 0
    assert record["slashed"] == record["rejected"] * 2 * record["paid"] // 16
    assert (record["refunded"], record["conserved"]) == (0, True)


def test_demo_shows_people_who_did_what() -> None:
    done = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0
    for text in ("alters a byte", "leaves half-way", "16 of 16 tasks accepted", "conserved"):
        assert text in done.stdout


class Deployment:
    """A coordinator and one worker as separate processes."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.processes: list[subprocess.Popen[str]] = []
        self.coordinator = self.start("coordinator", "--state", directory / "c", "--port", 0)
        self.url = self.coordinator["url"]

    def start(self, *arguments: object) -> dict[str, Any]:
        process = subprocess.Popen([*COMMAND, *map(str, arguments), "--json"], stdout=subprocess.PIPE, text=True)
        self.processes.append(process)
        assert process.stdout is not None
        record: dict[str, Any] = json.loads(process.stdout.readline())
        return record

    def fund(self, party: str, amount: int = 1000) -> None:
        run("ledger", "fund", "--state", self.directory / "c", party, amount, "--json")

    def close(self) -> None:
        for process in self.processes:
            process.terminate()
        for process in self.processes:
            process.wait(15)
            if process.stdout is not None:
                process.stdout.close()


@pytest.fixture
def deployment(tmp_path: Path) -> Iterator[Deployment]:
    deployed = Deployment(tmp_path)
    yield deployed
    deployed.close()


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    images, _ = digits_samples()
    model, inputs = tmp_path / "digits.tflite", tmp_path / "images.npy"
    model.write_bytes(digits_model())
    np.save(inputs, images[:6])
    return model, inputs


def test_a_deployment_from_the_command_line(deployment: Deployment, files: tuple[Path, Path], tmp_path: Path) -> None:
    model, inputs = files
    state = tmp_path / "r"
    key = run("keygen", tmp_path / "requester.pem", "--json")
    state.mkdir(mode=0o700)
    (tmp_path / "requester.pem").rename(state / "key.pem")
    deployment.fund(key["thumbprint"])
    worker = deployment.start("worker", "--url", deployment.url, "--state", tmp_path / "w")
    deployment.fund(worker["worker"])
    common = ("--url", deployment.url, "--pin", deployment.coordinator["coordinator"], "--state", state, "--json")
    out = tmp_path / "out.npy"
    done = run("submit", model, inputs, "-o", out, "--batch", 4, "--price", 7, "--bond", 3, *common)
    assert (done["tasks"], done["accepted"], done["paid"]) == (2, 2, 14)
    assert np.load(out).shape == (6, 10)
    shown = run("ledger", "show", "--state", tmp_path / "c", "--json")
    assert shown["balances"] == {key["thumbprint"]: 986, worker["worker"]: 1014}
    assert run("ledger", "verify", "--state", tmp_path / "c", "--json")["conserved"] is True


def test_a_separate_verifier_judges(deployment: Deployment, files: tuple[Path, Path], tmp_path: Path) -> None:
    state = tmp_path / "r"
    state.mkdir(mode=0o700)
    key = run("keygen", state / "key.pem", "--json")
    judge = deployment.start("verifier", "--url", deployment.url, "--state", tmp_path / "v")["verifier"]
    worker = deployment.start("worker", "--url", deployment.url, "--state", tmp_path / "w", "--trust-verifier", judge)[
        "worker"
    ]
    deployment.fund(key["thumbprint"])
    deployment.fund(worker)
    common = ("--url", deployment.url, "--state", state, "--json", "--price", 5, "--verifier", judge)
    done = run("submit", *files, *common)
    assert (done["tasks"], done["accepted"]) == (1, 1)


def test_a_worker_declines_judges_it_does_not_trust(
    deployment: Deployment, files: tuple[Path, Path], tmp_path: Path
) -> None:
    state = tmp_path / "r"
    state.mkdir(mode=0o700)
    key = run("keygen", state / "key.pem", "--json")
    worker = deployment.start(
        "worker", "--url", deployment.url, "--state", tmp_path / "w", "--trust-verifier", "00" * 32
    )["worker"]
    deployment.fund(key["thumbprint"])
    deployment.fund(worker)
    common = ("--url", deployment.url, "--state", state, "--json", "--price", 5, "--within", 2)
    done = run("submit", *files, *common, status=1)
    assert (done["accepted"], done["refunded"], done["paid"]) == (0, 1, 0)


def test_an_offer_without_funds_fails_with_its_reason(
    deployment: Deployment, files: tuple[Path, Path], tmp_path: Path
) -> None:
    done = run("submit", *files, "--url", deployment.url, "--state", tmp_path / "r", "--price", 5, "--json", status=1)
    assert (done["refused"], done["reasons"]) == (1, ["insufficient_funds"])


def test_usage_errors(tmp_path: Path) -> None:
    plain = run("worker", "--url", "http://example.org:1", "--state", tmp_path / "w", "--json", status=1)
    assert plain["error"]["code"] == "insecure_transport"
    listen = run("coordinator", "--state", tmp_path / "c", "--host", "0.0.0.0", "--port", 0, "--json", status=1)
    assert listen["error"]["code"] == "insecure_transport"
    assert run("ledger", "show", "--state", tmp_path, "--json", status=2)["error"]["code"] == "usage"
    assert run("ledger", "show", "--json", status=2)["error"]["code"] == "usage"
    pin = ("--pin", "xyz", "--url", "http://127.0.0.1:1", "--state", tmp_path / "w")
    assert run("worker", *pin, "--json", status=2)["error"]["code"] == "usage"


def test_one_process_holds_a_state_directory(deployment: Deployment, tmp_path: Path) -> None:
    again = run("coordinator", "--state", tmp_path / "c", "--port", 0, "--json", status=2)
    assert "in use" in again["error"]["message"]


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_an_interrupted_worker_gives_its_leases_back_and_ends(deployment: Deployment, tmp_path: Path) -> None:
    deployment.start("worker", "--url", deployment.url, "--state", tmp_path / "w")
    process = deployment.processes[-1]
    process.send_signal(signal.SIGINT)
    assert process.wait(15) == 0
