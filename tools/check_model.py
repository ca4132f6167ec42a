# SPDX-License-Identifier: Apache-2.0
"""Check the settlement's model with spin: ``check_model.py [NAME=VALUE ...]`` sets macros such as ``FAULT=1``."""

import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

MODEL = Path(__file__).resolve().parent.parent / "spec" / "model"
_FLAGS = ["-DSAFETY", "-DNOCLAIM", "-DVECTORSZ=512"]
_LIVENESS = ["-DNFAIR=4", "-DVECTORSZ=512"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What spin said of one property."""

    errors: int
    states: int
    text: str


def run(liveness: bool, macros: list[str], table: str | None = None) -> Outcome:
    """Check the assertions and end states, or the progress property under weak fairness, over all states.

    ``table`` replaces the generated transitions.
    """
    tools = [shutil.which(name) for name in ("spin", "gcc")]
    if None in tools:
        raise SystemExit("the model needs spin and gcc (Debian: spin, gcc)")
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        for source in MODEL.glob("*.pml"):
            shutil.copy(source, work)
        if table is not None:
            (work / "escrow_table.pml").write_text(table, encoding="utf-8")
        defines = [f"-D{macro}" for macro in macros]
        _call(["spin", "-a", *defines, "settlement.pml"], work)
        _call(["gcc", *(_LIVENESS if liveness else _FLAGS), "-w", "-o", "pan", "pan.c"], work)
        mode = ["-a", "-f", "-N", "progress"] if liveness else []
        text = _call(["./pan", "-m1000000", *mode], work)
    errors = re.search(r"errors: (\d+)", text)
    states = re.search(r"(\d+) states, stored", text)
    if errors is None or states is None or "max search depth too small" in text:
        raise SystemExit(f"spin did not finish:\n{text}")
    return Outcome(int(errors[1]), int(states[1]), text)


def _call(command: list[str], directory: Path) -> str:
    done = subprocess.run(command, cwd=directory, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def main(macros: list[str]) -> int:
    failed = False
    for liveness, name in ((False, "safety"), (True, "progress under weak fairness")):
        outcome = run(liveness, macros)
        print(f"{name}: {outcome.errors} errors in {outcome.states} states")
        failed |= outcome.errors > 0
    return int(failed)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
