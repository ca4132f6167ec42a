# SPDX-License-Identifier: Apache-2.0
"""Check the vectors of succinct proofs with a verifier that shares no code with the library.

``python check_succinct DIRECTORY``: plain Python integers, hashlib and cbor2. It is a whole verifier, written from the
book, for every operator that the suite proves: sums over every element stand where a fast verifier uses structure. For
a trace it gives every step of its own; what it refuses must be negative, and nothing else.
"""

import json
import sys
from pathlib import Path
from typing import Any

from field import Refused
from holder import read_record
from proof import verify
from transcript import unpack


def resolve(value: Any, data: dict[str, str]) -> bytes:
    if isinstance(value, str):
        return unpack(value)
    whole, at = unpack(data[value["data"]]), value.get("at", 0)
    return whole[:at] + unpack(value.get("put", "")) + whole[at + value.get("drop", 0) :]


def answer(case: dict[str, Any], data: dict[str, str]) -> Any:
    """ "steps", "refused", or None for what this program does not do."""
    given = case["in"]
    if "commitment" not in given or case["op"] not in ("succinct.trace", "succinct.verify"):
        return None
    if case["op"] == "succinct.verify" and given.get("parameter_sets") != [4]:
        return None
    content = {name: resolve(given[name], data) for name in ("commitment", "inputs", "outputs", "context", "proof")}
    try:
        return {"steps": verify(read_record(content["commitment"]), content)}
    except (Refused, KeyError, IndexError) as reason:
        return {"refused": str(reason)}


def main(directory: Path) -> int:
    """Print the counts as one JSON line; 1 where a vector is wrong."""
    counts = {"traced": 0, "accepted": 0, "refused": 0, "passed_over": 0}
    wrong = []
    group = json.loads((directory / "succinct.json").read_text(encoding="utf-8"))
    for case in group["cases"]:
        found = answer(case, group["data"])
        if found is None:
            counts["passed_over"] += 1
        elif case["flags"]:
            counts["refused"] += 1
            wrong += [case["id"]] if "refused" not in found else []
        elif case["op"] == "succinct.trace":
            counts["traced"] += 1
            wrong += [case["id"]] if found != case["out"] else []
        else:
            counts["accepted"] += 1
            wrong += [case["id"]] if "steps" not in found else []
    print(json.dumps({**counts, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
