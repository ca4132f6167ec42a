# SPDX-License-Identifier: Apache-2.0
"""Check the vectors of succinct proofs with a verifier that shares no code with the library.

``python check_succinct DIRECTORY``: plain Python integers, hashlib and cbor2. It is a whole verifier, written from the
book, for every operator that the suite proves: sums over every element stand where a fast verifier uses structure. For
a trace it gives every step of its own; what it refuses must be negative, and nothing else.
"""

import copy
import json
import sys
from pathlib import Path
from typing import Any

import cbor2
from field import Refused, demand
from graph import Graph
from holder import Holder, read_record
from model import commit, read_model, record
from opening import TINY
from proof import CLOSED, OPEN, verify
from transcript import pack, unpack


def resolve(value: Any, data: dict[str, str]) -> bytes:
    if isinstance(value, str):
        return unpack(value)
    whole, at = unpack(data[value["data"]]), value.get("at", 0)
    return whole[:at] + unpack(value.get("put", "")) + whole[at + value.get("drop", 0) :]


def replaced(holder: Holder, root: bytes) -> Holder:
    """The holder of the same model by its commitment."""
    other = copy.copy(holder)
    other.root = root
    return other


class Answers:
    """What this program gives for the cases of a group."""

    def __init__(self, group: dict[str, Any]) -> None:
        self.data = group["data"]
        self.constants = {self.read(case["in"]["model"]): case["out"] for case in group["cases"]
                          if case["op"] == "succinct.constants"}  # fmt: skip
        """By model."""
        self.kept: dict[bytes, dict[int, Holder]] = {}

    def read(self, value: Any) -> bytes:
        return resolve(value, self.data)

    def holder(self, given: dict[str, Any], mode: int) -> Holder | None:
        """What the verifier holds; None for a model whose constants this program does not know."""
        if "commitment" in given:
            return read_record(self.read(given["commitment"]))
        model = self.read(given["model"])
        Graph(cbor2.loads(model)[2])
        if model not in self.constants:
            return None
        if model not in self.kept:
            holder = read_model(model, self.constants[model])
            self.kept[model] = {OPEN: holder, CLOSED: replaced(holder, root=commit(holder.table))}
        return self.kept[model][mode]

    def answer(self, case: dict[str, Any]) -> Any:
        """The result, "refused", or None for what this program does not do."""
        given = case["in"]
        if case["op"] not in ("succinct.trace", "succinct.verify", "succinct.commit", "succinct.constants"):
            return None
        try:
            return self.result(case["op"], given)
        except (Refused, KeyError, IndexError) as reason:
            return {"refused": str(reason)}

    def result(self, operation: str, given: dict[str, Any]) -> Any:
        if operation in ("succinct.commit", "succinct.constants"):
            holder = self.holder(given, OPEN)
            if holder is None:
                return None
            if operation == "succinct.constants":
                return self.constants[self.read(given["model"])]  # read_model has found them exact
            return {"commitment": pack(record(holder, cbor2.loads(self.read(given["model"]))))}
        # A trace names no policy: it is asked for by the owner.
        demand(operation == "succinct.trace" or TINY["number"] in given.get("parameter_sets", ()), "a set not accepted")
        content = {name: self.read(given[name]) for name in ("inputs", "outputs", "context", "proof")}
        body = cbor2.loads(content["proof"])[5]
        holder = self.holder(given, OPEN if body[1:2] == bytes([OPEN]) else CLOSED)
        return holder and {"steps": verify(holder, content)}


COUNTS = {"succinct.trace": "traced", "succinct.commit": "committed", "succinct.constants": "exact"}


def main(directory: Path) -> int:
    """Print the counts as one JSON line; 1 where a vector is wrong."""
    counts = dict.fromkeys(("traced", "committed", "exact", "accepted", "refused", "passed_over"), 0)
    wrong = []
    group = json.loads((directory / "succinct.json").read_text(encoding="utf-8"))
    answers = Answers(group)
    for case in group["cases"]:
        found = answers.answer(case)
        right = "refused" in found if case["flags"] and found else "refused" not in (found or ())
        if found is None:
            counts["passed_over"] += 1
        elif case["flags"]:
            counts["refused"] += 1
        else:
            counts[COUNTS.get(case["op"], "accepted")] += 1
            right = right and (case["op"] not in COUNTS or found == case["out"])
        wrong += [] if right else [case["id"]]
    print(json.dumps({**counts, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1])))
