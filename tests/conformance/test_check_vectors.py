# SPDX-License-Identifier: Apache-2.0
"""The vectors against a program that shares no code with the library, and that program against wrong vectors."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
VECTORS = HERE.parents[1] / "spec" / "vectors" / "v1"


def check(directory: Path, *groups: str) -> dict[str, Any]:
    # -I and a foreign directory: nothing of the library can be imported by accident.
    command = [sys.executable, "-I", str(HERE / "check_vectors"), str(directory), *groups]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=directory)
    counts: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == bool(counts["wrong"]), done.stderr
    return counts


def test_the_checker_does_not_know_the_library() -> None:
    for source in (HERE / "check_vectors").glob("*.py"):
        assert "import vcompute" not in source.read_text(encoding="utf-8")
        assert "from vcompute" not in source.read_text(encoding="utf-8")


def test_every_vector_holds() -> None:
    counts = check(VECTORS)
    assert counts["wrong"] == []
    assert counts["checked"] >= 280
    assert counts["refused"] >= 80


OPERATIONS = {
    "codec": ("cbor.decode", "cbor.encode"),
    "digests": ("blob.digest", "blob.path", "statement.digest"),
    "tasks": ("graph.decode", "model.decode", "batch.decode"),
    "compute": ("compute.requantize", "compute.run", "compute.trace"),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_wrong_vectors_are_found(name: str, tmp_path: Path) -> None:
    """Of every operation one expected result changed by a character, and one valid case said to be negative."""
    group = json.loads((VECTORS / f"{name}.json").read_text(encoding="utf-8"))
    expected = set()
    for operation in OPERATIONS[name]:
        turned, *_, changed = (case for case in group["cases"] if case["op"] == operation and "out" in case)
        changed["out"] = json.loads(spoilt(json.dumps(changed["out"])))
        turned["flags"] = ["negative"]
        expected |= {changed["id"], turned["id"]}
    (tmp_path / f"{name}.json").write_text(json.dumps(group), encoding="utf-8")
    assert set(check(tmp_path, name)["wrong"]) == expected


def spoilt(text: str) -> str:
    """JSON text with the last character of its last value changed."""
    place = max(index for index, letter in enumerate(text[:-1]) if letter.isalnum() and text[index + 1] in '",]}')
    other = str(9 - int(text[place])) if text[place].isdigit() else "B" if text[place] == "A" else "A"
    return text[:place] + other + text[place + 1 :]
