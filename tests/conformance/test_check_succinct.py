# SPDX-License-Identifier: Apache-2.0
"""The vectors of succinct proofs against a verifier that shares no code with the library, and it against wrong ones."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from vcompute.conformance.wire import to_bytes
from vcompute.task import decode_model
from vcompute.task.operators import OPERATORS

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
    """VC-SUC-013: two verifiers without common code make the same steps. Nothing but ``proof.make`` is passed over."""
    counts = check(VECTORS)
    assert counts["wrong"] == []
    cases = json.loads((VECTORS / "succinct.json").read_text(encoding="utf-8"))["cases"]
    assert counts["passed_over"] == sum(case["op"] == "proof.make" for case in cases)
    assert counts["refused"] == sum(bool(case["flags"]) for case in cases) >= 80
    assert (counts["traced"], counts["accepted"], counts["exact"], counts["committed"]) == (6, 24, 8, 8)


def test_every_operator_is_in_an_accepted_proof_and_in_a_refused_one() -> None:
    """VC-SUC-026, VC-SUC-027: a run in which such a node did something else is refused."""
    group = json.loads((VECTORS / "succinct.json").read_text(encoding="utf-8"))
    found: dict[bool, set[str]] = {True: set(), False: set()}
    for case in group["cases"]:
        model = case["id"].split("/")[1]
        if case["id"].endswith("/accepted-commitment") and model in group["data"]:
            nodes = decode_model(to_bytes(group["data"][model])).graph.nodes
            found[True] |= {node.operator.name for node in nodes}
        elif "/otherwise/" in case["id"]:
            found[False].add(case["id"].split("/")[-1].replace("-", "_"))
    assert found[True] == found[False] == {operator.opcode.name.lower() for operator in OPERATORS}


def test_wrong_vectors_are_found(tmp_path: Path) -> None:
    group = json.loads((VECTORS / "succinct.json").read_text(encoding="utf-8"))
    trace = next(case for case in group["cases"] if case["id"] == "succinct/dense/trace")
    notes = [step for step in trace["out"]["steps"] if "note" in step]
    notes[-1]["values"][0][1] = str(int(notes[-1]["values"][0][1]) ^ 1)
    accepted = next(case for case in group["cases"] if case["id"] == "succinct/dense/accepted-commitment")
    refused = next(case for case in group["cases"] if case["id"] == "succinct/dense/bit/rows-first")
    accepted["flags"], refused["flags"] = ["negative"], []
    exact, committed = (next(case for case in group["cases"] if case["id"] == f"succinct/{name}/other")
                        for name in ("constants", "commit"))  # fmt: skip
    offsets = exact["out"]["nodes"][0]["Q"]
    offsets[0] = str(int(offsets[0]) + (1 << 30))
    (tmp_path / "succinct.json").write_text(json.dumps(group), encoding="utf-8")
    wrong = {case["id"] for case in (trace, accepted, refused, exact, committed)}
    assert set(check(tmp_path)["wrong"]) == wrong
