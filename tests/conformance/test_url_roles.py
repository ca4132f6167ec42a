# SPDX-License-Identifier: Apache-2.0
"""``conformance run --url URL --role ...``: running clients against the suite as their coordinator, over HTTP."""

import json
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from vcompute.cli import main
from vcompute.data import digits_model, digits_samples

pytestmark = [pytest.mark.server, pytest.mark.slow]


@pytest.fixture
def url() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def run(role: str, url: str, client: list[str], capfd: pytest.CaptureFixture[str], *more: str) -> dict[str, object]:
    """Start a client that tries until the suite listens, run the suite; its counts."""
    command = [sys.executable, "-m", "vcompute", *client, "--url", url]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            status = main(["conformance", "run", "--url", url, "--role", role, "--json", *more])
        finally:
            process.terminate()
    counts = json.loads(capfd.readouterr().out)
    assert status == (1 if counts["failed"] else 0)
    return counts


@pytest.mark.parametrize(("role", "least"), [("worker", 10), ("verifier", 6)])
def test_a_running_client(role: str, least: int, url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """VC-SES-001 VC-SES-007 VC-SUI-008 VC-NET-010: the library's own client passes every case of its role."""
    counts = run(role, url, [role, "--state", str(tmp_path / "state")], capfd)
    assert counts["failed"] == counts["skipped"] == 0
    assert counts["passed"] >= least


def test_a_running_requester(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "digits.tflite").write_bytes(digits_model())
    np.save(tmp_path / "images.npy", digits_samples()[0][:4])
    client = ["submit", str(tmp_path / "digits.tflite"), str(tmp_path / "images.npy"), "--price", "10"]
    client += ["--state", str(tmp_path / "state"), "-o", str(tmp_path / "out.npy"), "--verifier", "07" * 32]
    counts = run("requester", url, client, capfd)
    assert counts["failed"] == counts["skipped"] == 0
    assert counts["passed"] == 2


def test_a_client_of_another_role_fails(url: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """A verifier that is tested as a worker never connects as one."""
    from vcompute.conformance.scenarios import host

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(host, "WAIT", 3.0)
        counts = run("worker", url, ["verifier", "--state", str(tmp_path / "state")], capfd, "--case", "connects")
    assert counts["failed"] == 1


def test_the_suite_listens_on_http_alone(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "run", "--url", "https://127.0.0.1:1", "--role", "worker", "--json"]) == 2
    assert main(["conformance", "run", "--url", "http://0.0.0.0:0", "--role", "worker", "--json"]) == 1
    assert "insecure_transport" in capfd.readouterr().out
