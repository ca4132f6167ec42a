# SPDX-License-Identifier: Apache-2.0
"""The vectors of succinct proofs against a verifier that shares no code with the library, and it against wrong ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
PROGRAM = HERE / "check_succinct"
VECTORS = HERE.parents[1] / "spec" / "vectors" / "v1"


def check(directory: Path) -> dict[str, Any]:
    # -I and a foreign directory: nothing of the library can be imported by accident.
    command = [sys.executable, "-I", str(PROGRAM), str(directory)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    counts: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(counts["wrong"]), done.stderr
    return counts


def test_the_checker_does_not_know_the_library() -> None:
    for path in PROGRAM.glob("*.py"):
        assert "vcompute." not in path.read_text(encoding="utf-8")
        assert "import vcompute" not in path.read_text(encoding="utf-8")


def test_every_vector_holds() -> None:
    """VC-SUC-013: two verifiers without common code make the same steps."""
    counts = check(VECTORS)
    assert counts["wrong"] == []
    assert (counts["traced"], counts["accepted"]) == (3, 5)
    assert counts["refused"] >= 55


def test_wrong_vectors_are_found(tmp_path: Path) -> None:
    group = json.loads((VECTORS / "succinct.json").read_text(encoding="utf-8"))
    trace = next(case for case in group["cases"] if case["id"] == "succinct/dense/trace")
    notes = [step for step in trace["out"]["steps"] if "note" in step]
    notes[-1]["values"][0][1] = str(int(notes[-1]["values"][0][1]) ^ 1)
    accepted = next(case for case in group["cases"] if case["id"] == "succinct/dense/accepted-commitment")
    refused = next(case for case in group["cases"] if case["id"] == "succinct/dense/bit/rows-first")
    accepted["flags"], refused["flags"] = ["negative"], []
    (tmp_path / "succinct.json").write_text(json.dumps(group), encoding="utf-8")
    assert set(check(tmp_path)["wrong"]) == {trace["id"], accepted["id"], refused["id"]}
