# SPDX-License-Identifier: Apache-2.0
"""The demo and the deployment commands, as a user runs them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.session.processes import COMMAND, Deployment, run
from vcompute.data import digits_model, digits_samples

pytestmark = pytest.mark.server


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
        "proved",
        "rejected_proofs",
    ]
    assert record["tasks"] == record["accepted"] == 16
    assert (record["proved"], record["rejected"], record["rejected_proofs"]) == (6, 2, 1)
    assert record["reassigned"] >= 3
    assert record["correct_labels"] >= 60
    assert record["paid"] % 16 == 0
    assert record["slashed"] == record["rejected"] * 2 * record["paid"] // 16
    assert (record["refunded"], record["conserved"]) == (0, True)


def test_demo_shows_people_who_did_what() -> None:
    done = subprocess.run([*COMMAND, "demo"], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == 0
    for text in ("alters a byte", "forges a proof", "leaves half-way", "16 of 16 tasks accepted", "conserved"):
        assert text in done.stdout


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
    state, requester = deployment.requester()
    worker = deployment.worker("w").record["worker"]
    pin = deployment.coordinator.record["coordinator"]
    out = tmp_path / "out.npy"
    common = (
        "--url",
        deployment.url,
        "--pin",
        pin,
        "--state",
        state,
        "--price",
        7,
        "--bond",
        3,
        "--batch",
        4,
        "--json",
    )
    done = run("submit", *files, "-o", out, *common)
    assert (done["tasks"], done["accepted"], done["paid"]) == (2, 2, 14)
    outputs = np.load(out)
    assert outputs.shape == (6, 10)
    again = run("submit", *files, "-o", out, *common)
    assert again["accepted"] == 2
    assert np.array_equal(np.load(out), outputs)
    shown = deployment.ledger("show")
    assert shown["balances"] == {requester: 986, worker: 1014}, "the same submission again is paid once"
    assert deployment.ledger("verify")["conserved"] is True


def test_a_separate_verifier_judges(deployment: Deployment, files: tuple[Path, Path], tmp_path: Path) -> None:
    state, _ = deployment.requester()
    judge = deployment.add("verifier", "--url", deployment.url, "--state", tmp_path / "v").record["verifier"]
    deployment.worker("w", "--trust-verifier", judge)
    common = ("--url", deployment.url, "--state", state, "--json", "--price", 5, "--verifier", judge)
    done = run("submit", *files, *common)
    assert (done["tasks"], done["accepted"]) == (1, 1)


def test_a_drawn_share_is_checked(deployment: Deployment, files: tuple[Path, Path], tmp_path: Path) -> None:
    state, _ = deployment.requester()
    judge = deployment.add("verifier", "--url", deployment.url, "--state", tmp_path / "v").record["verifier"]
    deployment.fund(judge)
    deployment.worker("w", "--capacity", 2)
    common = ("--url", deployment.url, "--state", state, "--json", "--price", 5, "--verifier", judge, "--batch", 1)
    done = run("submit", *files, *common, "--sample", 0.5, "--stake", 2)
    assert (done["tasks"], done["accepted"], done["paid"]) == (6, 6, 30)
    report = deployment.ledger("verify")
    assert (report["conserved"], report["held"]) == (True, 0)
    assert deployment.ledger("show")["balances"][judge] == 1000, "every stake came back"


def test_a_worker_declines_judges_it_does_not_trust(deployment: Deployment, files: tuple[Path, Path]) -> None:
    state, _ = deployment.requester()
    deployment.worker("w", "--trust-verifier", "00" * 32)
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
    worker = deployment.add("worker", "--url", deployment.url, "--state", tmp_path / "w")
    deployment.parties.remove(worker)
    assert worker.stop() == 0
