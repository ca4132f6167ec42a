# SPDX-License-Identifier: Apache-2.0
"""The parties of a deployment as processes that a test starts, kills and starts again."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

COMMAND = [sys.executable, "-m", "vcompute"]


def run(*arguments: object, status: int = 0) -> dict[str, Any]:
    """Run a command to its end; its one JSON line."""
    done = subprocess.run([*COMMAND, *map(str, arguments)], capture_output=True, text=True, timeout=180, check=False)
    assert done.returncode == status, done.stderr + done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 1, done.stdout
    record: dict[str, Any] = json.loads(lines[0])
    return record


class Party:
    """A long-running command that says it is ready by one JSON line."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = [*COMMAND, *map(str, arguments), "--json"]
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(self.arguments, stdout=subprocess.PIPE, text=True)
        assert self.process.stdout is not None
        self.record: dict[str, Any] = json.loads(self.process.stdout.readline())

    def kill(self) -> None:
        """As if the power went."""
        if os.name == "posix":
            self.process.send_signal(signal.SIGKILL)
        else:
            self.process.kill()
        self._end()

    def stop(self) -> int:
        """Interrupt and wait."""
        self.process.send_signal(signal.SIGINT)
        return self._end()

    def close(self) -> None:
        self.process.terminate()
        self._end()

    def _end(self) -> int:
        status = self.process.wait(20)
        if self.process.stdout is not None:
            self.process.stdout.close()
        return status


class Deployment:
    """A coordinator and whoever a test adds."""

    def __init__(self, directory: Path, port: int = 0) -> None:
        self.directory = directory
        self.parties: list[Party] = []
        self.coordinator = self.add("coordinator", "--state", directory / "c", "--port", port)
        self.url: str = self.coordinator.record["url"]

    def add(self, *arguments: object) -> Party:
        party = Party(*arguments)
        self.parties.append(party)
        return party

    def worker(self, name: str, *arguments: object) -> Party:
        party = self.add("worker", "--url", self.url, "--state", self.directory / name, *arguments)
        self.fund(party.record["worker"])
        return party

    def requester(self, name: str = "r", amount: int = 1000) -> tuple[Path, str]:
        """A funded requester: state directory and thumbprint."""
        state = self.directory / name
        state.mkdir(mode=0o700)
        thumbprint: str = run("keygen", state / "key.pem", "--json")["thumbprint"]
        self.fund(thumbprint, amount)
        return state, thumbprint

    def fund(self, party: str, amount: int = 1000) -> None:
        run("ledger", "fund", "--state", self.directory / "c", party, amount, "--json")

    def ledger(self, verb: str) -> dict[str, Any]:
        return run("ledger", verb, "--state", self.directory / "c", "--json")

    def close(self) -> None:
        for party in reversed(self.parties):
            party.close()
