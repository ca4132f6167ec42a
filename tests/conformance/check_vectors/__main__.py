# SPDX-License-Identifier: Apache-2.0
"""Check the vectors of codec, digests, tasks and compute with a program that shares no code with their generator.

``check_vectors DIRECTORY [GROUP...]``: plain Python, hashlib and cbor2. It is also the shortest whole implementation
of the integer semantics: one sample at a time, lists of integers, the formulas of the chapter as they stand.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cbor2
from arithmetic import requantize
from digests import audit_path, blob, leaves, root, sha
from forms import Refused, diagnostic, item, pack, strict, unpack
from models import encoded_batch, run, work

GROUPS = ("codec", "digests", "tasks", "compute")


def resolve(value: Any, data: dict[str, Any]) -> bytes:
    return unpack(data[value["data"]] if isinstance(value, dict) and "data" in value else value)


def answer(case: dict[str, Any], data: dict[str, Any]) -> dict[str, Any] | None:
    """What this program gives for a case; None where it has no such operation.

    Raises:
        Refused: the input is malformed as far as this program looks.
    """
    given, operation = case["in"], case["op"]
    if operation == "cbor.encode":
        return {"bytes": pack(cbor2.dumps(item(given["value"]), canonical=True))}
    if operation == "cbor.decode":
        return {"value": diagnostic(strict(unpack(given["bytes"]), given.get("limits")))}
    if operation == "blob.digest":
        content = resolve(given["bytes"], data)
        return {"digest": pack(blob(content)), "root": pack(root(leaves(content))), "chunks": len(leaves(content))}
    if operation == "blob.path":
        nodes = leaves(resolve(given["bytes"], data))
        return {"path": [pack(node) for node in audit_path(nodes, given["index"])]}
    if operation == "compute.requantize":
        m, s, rounding = given["multiplier"], given["shift"], given["rounding"]
        return {"values": [requantize(x, m, s, rounding) for x in given["values"]]}
    if operation in ("compute.run", "compute.trace"):
        graph, samples = run(resolve(given["model"], data), resolve(given["inputs"], data))
        if operation == "compute.run":
            return {"outputs": pack(encoded_batch([[values[i] for i in graph[4]] for values in samples]))}
        nodes = range(len(graph[1]), len(samples[0]))
        return {"digests": [pack(blob(encoded_batch([[values[i]] for values in samples]))) for i in nodes]}
    if "out" not in case:
        return None
    if operation == "graph.decode":
        content = resolve(given["bytes"], data)
        macs, elements = work(strict(content))
        return {"digest": pack(sha(b"vcompute/graph/1\0", content)), "macs": str(macs), "elements": str(elements)}
    if operation == "batch.decode":
        content = resolve(given["bytes"], data)
        return {"size": strict(content)[0], "digest": pack(blob(content))}
    if operation == "model.decode":
        file = strict(resolve(given["bytes"], data))
        graph, weights = sha(b"vcompute/graph/1\0", file[2]), blob(file[3])
        found = {"digest": sha(b"vcompute/model/1\0", graph, weights), "graph_digest": graph, "weights_digest": weights}
        return {key: pack(found[key]) for key in case["out"]}
    if operation == "statement.digest":
        names = ("model", "batch", "inputs", "outputs", "context")
        parts = [given[name] if name == "batch" else unpack(given[name]) for name in names]
        content = cbor2.dumps(dict(enumerate(parts)), canonical=True)
        return {"bytes": pack(content), "digest": pack(sha(b"vcompute/statement/1\0", content))}
    return None


def main(directory: Path, groups: Sequence[str]) -> int:
    """Print the counts as one JSON line; 1 where a vector is wrong."""
    counts = {"checked": 0, "refused": 0, "passed_over": 0}
    wrong = []
    for name in groups or GROUPS:
        group = json.loads((directory / f"{name}.json").read_text(encoding="utf-8"))
        for case in group["cases"]:
            try:
                found = answer(case, group.get("data", {}))
            except Refused:
                found = {"refused": True}
            if found is None:
                counts["passed_over"] += 1
            elif "negative" in case["flags"]:
                counts["refused"] += 1
                wrong += [] if found == {"refused": True} else [case["id"]]
            else:
                counts["checked"] += 1
                wrong += [] if found == case["out"] else [case["id"]]
    print(json.dumps({**counts, "wrong": wrong}))
    return 1 if wrong else 0


if __name__ == "__main__":
    raise SystemExit(main(Path(sys.argv[1]), sys.argv[2:]))
