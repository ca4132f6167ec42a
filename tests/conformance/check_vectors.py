# SPDX-License-Identifier: Apache-2.0
"""Check the vectors of codec, digests, tasks and compute with a program that shares no code with their generator.

``check_vectors.py DIRECTORY [GROUP...]``: plain Python, hashlib and cbor2. It is also the shortest whole implementation
of the integer semantics: one sample at a time, lists of integers, the formulas of the chapter as they stand.
"""

import base64
import hashlib
import itertools
import json
import math
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cbor2

GROUPS = ("codec", "digests", "tasks", "compute")
CHUNK = 1 << 16
ITEM = {1: 1, 2: 4}  # bytes of an int8 and of an int32


class Refused(Exception):
    """What the checker itself finds malformed."""


# ---- forms ----------------------------------------------------------------------------------------------------------


def unpack(value: Any) -> bytes:
    """base64url without padding, or the first bytes of SHAKE256 of a name."""
    if isinstance(value, str):
        return base64.urlsafe_b64decode(value + "=" * (-len(value) % 4))
    return hashlib.shake_256(value["shake256"].encode()).digest(value["length"])


def pack(data: bytes) -> str:
    """base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def item(form: dict[str, Any]) -> Any:
    """The data item of a diagnostic form."""
    ((kind, value),) = form.items()
    return {
        "null": lambda: None,
        "bool": lambda: value,
        "uint": lambda: int(value),
        "nint": lambda: int(value),
        "bytes": lambda: unpack(value),
        "text": lambda: value,
        "tag": lambda: cbor2.CBORTag(int(value[0]), item(value[1])),
        "array": lambda: [item(entry) for entry in value],
        "map": lambda: {int(key): item(entry) for key, entry in value},
    }[kind]()


def strict(data: bytes, limits: dict[str, int] | None = None) -> Any:
    """One item of the profile: what cbor2 reads, whose canonical bytes these are, without what the profile lacks."""
    limits = limits or {"bytes": 1 << 20, "depth": 16, "items": 1 << 20}
    if len(data) > limits["bytes"]:
        raise Refused("too long")
    try:
        value = cbor2.loads(data)
        items = admitted(value, limits["depth"])
        again = cbor2.dumps(value, canonical=True)
    except (cbor2.CBORError, ValueError, TypeError, RecursionError, OverflowError) as error:
        raise Refused(str(error)) from error
    if again != data or items > limits["items"]:
        raise Refused("not the deterministic encoding, or too many items")
    return value


def admitted(value: Any, depth: int) -> int:
    """The number of items; refuses what the profile does not have."""
    if depth < 0:
        raise Refused("too deep")
    if isinstance(value, Mapping):
        if any(type(key) is not int or key < 0 for key in value):
            raise Refused("a key that is no unsigned integer")
        return 1 + sum(admitted(entry, depth - 1) for entry in value.values())
    if isinstance(value, (list, tuple)):
        return 1 + sum(admitted(entry, depth - 1) for entry in value)
    if isinstance(value, cbor2.CBORTag):
        if value.tag != 18:
            raise Refused("a tag")
        return 1 + admitted(value.value, depth - 1)
    if value is not None and type(value) not in (int, bytes, str, bool):
        raise Refused(type(value).__name__)
    if type(value) is int and not -(2**64) <= value < 2**64:
        raise Refused("an integer of more than 64 bits")
    return 1


def diagnostic(value: Any) -> dict[str, Any]:
    """The diagnostic form of a data item."""
    if isinstance(value, Mapping):
        return {"map": [[str(key), diagnostic(entry)] for key, entry in value.items()]}
    if isinstance(value, (list, tuple)):
        return {"array": [diagnostic(entry) for entry in value]}
    if isinstance(value, cbor2.CBORTag):
        return {"tag": [str(value.tag), diagnostic(value.value)]}
    if value is None or isinstance(value, bool):
        return {"null": True} if value is None else {"bool": value}
    if isinstance(value, int):
        return {"uint" if value >= 0 else "nint": str(value)}
    return {"bytes": pack(value)} if isinstance(value, bytes) else {"text": value}


# ---- digests --------------------------------------------------------------------------------------------------------


def sha(*parts: bytes) -> bytes:
    return hashlib.sha256(b"".join(parts)).digest()


def leaves(data: bytes) -> list[bytes]:
    return [sha(b"\0", data[start : start + CHUNK]) for start in range(0, max(len(data), 1), CHUNK)]


def root(nodes: Sequence[bytes]) -> bytes:
    """RFC 9162, section 2.1.1."""
    if len(nodes) == 1:
        return nodes[0]
    split = 1 << (len(nodes) - 1).bit_length() - 1
    return sha(b"\1", root(nodes[:split]), root(nodes[split:]))


def audit_path(nodes: Sequence[bytes], index: int) -> list[bytes]:
    """RFC 9162, section 2.1.3.1."""
    if len(nodes) == 1:
        return []
    split = 1 << (len(nodes) - 1).bit_length() - 1
    if index < split:
        return [*audit_path(nodes[:split], index), root(nodes[split:])]
    return [*audit_path(nodes[split:], index - split), root(nodes[:split])]


def blob(data: bytes) -> bytes:
    size = len(data).to_bytes(8, "big") + CHUNK.to_bytes(4, "big")
    return sha(b"vcompute/blob/1\0", size, root(leaves(data)))


# ---- integer semantics ----------------------------------------------------------------------------------------------


def away(x: int, exponent: int) -> int:
    """x / 2**exponent to the nearest integer, ties away from zero."""
    half = 1 << exponent >> 1
    return (x + half) >> exponent if x >= 0 else -((-x + half) >> exponent)


def high(x: int, m: int) -> int:
    """x * m / 2**31 to the nearest integer, ties up."""
    return (x * m + (1 << 30)) >> 31


def requantize(x: int, m: int, s: int, rounding: int) -> int:
    """VC-INT-002 for 1, VC-INT-003 for 2."""
    if rounding == 2:
        return (x * m + (1 << 30 - s)) >> 31 - s
    return away(high(x << max(s, 0), m), max(-s, 0))


def clamp(x: int, low: int, most: int) -> int:
    return min(max(x, low), most)


@dataclass
class Tensor:
    """Integers in row-major order."""

    shape: tuple[int, ...]
    items: list[int]
    zero: int = 0

    def __getitem__(self, index: Sequence[int]) -> int:
        return self.items[self.place(index)]

    def place(self, index: Sequence[int]) -> int:
        position = 0
        for size, at in zip(self.shape, index, strict=True):
            position = position * size + at
        return position

    def broadcast(self, index: Sequence[int]) -> int:
        """The element that stretches to an index of a shape of the same or higher rank."""
        tail = index[len(index) - len(self.shape) :]
        return self[[0 if size == 1 else at for size, at in zip(self.shape, tail, strict=True)]]


def indices(shape: Iterable[int]) -> Iterable[tuple[int, ...]]:
    return itertools.product(*(range(size) for size in shape))


def taps(
    window: dict[int, int], kernel: tuple[int, int], image: tuple[int, ...], at: tuple[int, int]
) -> list[tuple[int, ...]]:
    """(kernel row, kernel column, image row, image column) of the taps inside the image."""
    found = []
    for row, column in indices(kernel):
        y = at[0] * window[0] + row * window[2] - window[4]
        x = at[1] * window[1] + column * window[3] - window[5]
        if 0 <= y < image[0] and 0 <= x < image[1]:
            found.append((row, column, y, x))
    return found


def conv(a: dict[int, Any], x: Tensor, k: list[Tensor], shape: tuple[int, ...], zero: int) -> list[int]:
    weights, bias, multiplier, shift = k
    out = []
    for i, j, c in indices(shape):
        total = bias.items[c]
        for row, column, y, z in taps(a[0], weights.shape[1:3], x.shape, (i, j)):
            total += sum(weights[c, row, column, d] * (x[y, z, d] - x.zero) for d in range(x.shape[2]))
        out.append(clamp(requantize(total, multiplier.items[c], shift.items[c], a[1]) + zero, a[2], a[3]))
    return out


def depthwise(a: dict[int, Any], x: Tensor, k: list[Tensor], shape: tuple[int, ...], zero: int) -> list[int]:
    weights, bias, multiplier, shift = k
    out = []
    for i, j, c in indices(shape):
        total = bias.items[c]
        for row, column, y, z in taps(a[0], weights.shape[:2], x.shape, (i, j)):
            total += weights[row, column, c] * (x[y, z, c // a[1]] - x.zero)
        out.append(clamp(requantize(total, multiplier.items[c], shift.items[c], a[2]) + zero, a[3], a[4]))
    return out


def rows_by_filter(x: Tensor, weights: Tensor) -> Iterable[tuple[int, int]]:
    """(channel, sum) of the last axis with each row of the filter."""
    channels, depth = weights.shape
    for start in range(0, len(x.items), depth):
        row = [value - x.zero for value in x.items[start : start + depth]]
        for c in range(channels):
            yield c, sum(w * v for w, v in zip(weights.items[c * depth : (c + 1) * depth], row, strict=True))


def dense(a: dict[int, Any], x: Tensor, k: list[Tensor], zero: int) -> list[int]:
    return [
        clamp(requantize(total + k[1].items[c], k[2].items[c], k[3].items[c], a[0]) + zero, a[1], a[2])
        for c, total in rows_by_filter(x, k[0])
    ]


def batch_matmul(a: dict[int, Any], x: Tensor, y: Tensor, shape: tuple[int, ...], zero: int) -> list[int]:
    depth = x.shape[-2] if a[0] else x.shape[-1]
    out = []
    for *lead, m, n in indices(shape):
        total = 0
        for k in range(depth):
            left = x.broadcast([*lead, k, m] if a[0] else [*lead, m, k]) - x.zero
            right = y.broadcast([*lead, n, k] if a[1] else [*lead, k, n]) - y.zero
            total += left * right
        out.append(clamp(requantize(total, a[2][0], a[2][1], a[3]) + zero, a[4], a[5]))
    return out


def add(a: dict[int, Any], x: Tensor, y: Tensor, shape: tuple[int, ...], zero: int) -> list[int]:
    out = []
    for index in indices(shape):
        left = requantize((x.broadcast(index) - x.zero) << 20, a[0][0], a[0][1], 1)
        right = requantize((y.broadcast(index) - y.zero) << 20, a[1][0], a[1][1], 1)
        out.append(clamp(requantize(left + right, a[2][0], a[2][1], 1) + zero, a[3], a[4]))
    return out


def mul(a: dict[int, Any], x: Tensor, y: Tensor, shape: tuple[int, ...], zero: int) -> list[int]:
    products = [(x.broadcast(i) - x.zero) * (y.broadcast(i) - y.zero) for i in indices(shape)]
    return [clamp(requantize(p, a[0][0], a[0][1], a[1]) + zero, a[2], a[3]) for p in products]


def pool(a: dict[int, Any], x: Tensor, shape: tuple[int, ...], greatest: bool) -> list[int]:
    out = []
    for i, j, c in indices(shape):
        seen = [x[y, z, c] for _, _, y, z in taps(a[0], (a[1], a[2]), x.shape, (i, j))]
        total, half = sum(seen), len(seen) // 2
        mean = (total + half) // len(seen) if total > 0 else -((-total + half) // len(seen))
        out.append(clamp(max(seen) if greatest else mean, a[3], a[4]))
    return out


def mean(a: dict[int, Any], x: Tensor, zero: int) -> list[int]:
    kept = [size for axis, size in enumerate(x.shape) if axis not in a[0]]
    sums = dict.fromkeys(indices(kept), 0)
    for index in indices(x.shape):
        sums[tuple(at for axis, at in enumerate(index) if axis not in a[0])] += x[index] - x.zero
    return [clamp(requantize(total, a[2][0], a[2][1], a[3]) + zero, a[4], a[5]) for total in sums.values()]


def saturate(x: int) -> int:
    return clamp(x, -(1 << 31), (1 << 31) - 1)


def exp_negative(a: int) -> int:
    """exp of a <= 0 with 26 fractional bits, as a fraction of 31."""
    if a == 0:
        return (1 << 31) - 1
    rest = (a & (1 << 24) - 1) - (1 << 24)
    x = saturate(rest << 5) + (1 << 28)
    x2 = high(x, x)
    x3, x4 = high(x2, x), high(x2, x2)
    tail = away(high(away(x4, 2) + x3, 715827883) + x2, 1)
    result = 1895147668 + high(1895147668, x + tail)
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for bit, factor in enumerate(factors, start=24):
        if rest - a & 1 << bit:
            result = high(result, factor)
    return result


def reciprocal(a: int) -> int:
    """1 / (1 + a) of a fraction of 31 bits."""
    half = (a + (1 << 31)) >> 1
    x = 1515870810 + high(half, -1010580540)
    for _ in range(3):
        x += saturate(high(x, (1 << 29) - high(half, x)) << 2)
    return saturate(x << 1)


def softmax(a: dict[int, Any], x: Tensor) -> list[int]:
    out = []
    width = x.shape[-1]
    least = -((31 << 26) >> a[1])
    for start in range(0, len(x.items), width):
        row = x.items[start : start + width]
        differences = [value - max(row) for value in row]
        powers = [exp_negative(high(d << a[1], a[0])) if d >= least else 0 for d in differences]
        total = sum(away(power, 12) for power in powers)
        zeros = 32 - total.bit_length()
        scale = reciprocal((total << zeros) - (1 << 31))
        for d, power in zip(differences, powers, strict=True):
            quotient = away(high(power, scale), 12 - zeros + 23) if d >= least else 0
            out.append(clamp(quotient - 128, -128, 127))
    return out


def pad(a: dict[int, Any], x: Tensor, shape: tuple[int, ...]) -> list[int]:
    out = []
    for index in indices(shape):
        at = [i - before for i, before in zip(index, a[0], strict=True)]
        out.append(x[at] if all(0 <= i < size for i, size in zip(at, x.shape, strict=True)) else a[2])
    return out


def concatenation(a: dict[int, Any], parts: list[Tensor], shape: tuple[int, ...]) -> list[int]:
    out = []
    for index in indices(shape):
        at = list(index)
        for part in parts:
            if at[a[0]] < part.shape[a[0]]:
                out.append(part[at])
                break
            at[a[0]] -= part.shape[a[0]]
    return out


def transpose(a: dict[int, Any], x: Tensor, shape: tuple[int, ...]) -> list[int]:
    out = []
    for index in indices(shape):
        at = [0] * len(index)
        for axis, source in enumerate(a[0]):
            at[source] = index[axis]
        out.append(x[at])
    return out


def evaluate(
    opcode: int, a: dict[int, Any], xs: list[Tensor], k: list[Tensor], shape: tuple[int, ...], zero: int
) -> list[int]:
    """The output of one node for one sample; ``a`` are the attributes by key."""
    return {
        1: lambda: conv(a, xs[0], k, shape, zero),
        2: lambda: depthwise(a, xs[0], k, shape, zero),
        3: lambda: dense(a, xs[0], k, zero),
        4: lambda: batch_matmul(a, xs[0], xs[1], shape, zero),
        5: lambda: add(a, xs[0], xs[1], shape, zero),
        6: lambda: mul(a, xs[0], xs[1], shape, zero),
        7: lambda: pool(a, xs[0], shape, greatest=False),
        8: lambda: pool(a, xs[0], shape, greatest=True),
        9: lambda: mean(a, xs[0], zero),
        10: lambda: pad(a, xs[0], shape),
        11: lambda: concatenation(a, xs, shape),
        12: lambda: xs[0].items,
        13: lambda: transpose(a, xs[0], shape),
        14: lambda: softmax(a, xs[0]),
        15: lambda: [k[0].items[value + 128] for value in xs[0].items],
        16: lambda: [
            clamp(requantize(value - xs[0].zero, a[0][0], a[0][1], a[1]) + zero, a[2], a[3]) for value in xs[0].items
        ],
        64: lambda: k[0].items,
        65: lambda: [total for _, total in rows_by_filter(xs[0], k[0])],
    }[opcode]()


# ---- models ---------------------------------------------------------------------------------------------------------


def numbers(data: bytes, dtype: int) -> list[int]:
    size = ITEM[dtype]
    return [int.from_bytes(data[i : i + size], "little", signed=True) for i in range(0, len(data), size)]


def encoded_batch(samples: list[list[tuple[dict[int, Any], list[int]]]]) -> bytes:
    """A batch from (type, items) of each value of each sample."""
    tensors = []
    for position, (kind, _) in enumerate(samples[0]):
        data = b"".join(
            x.to_bytes(ITEM[kind[0]], "little", signed=True) for sample in samples for x in sample[position][1]
        )
        tensors.append({0: kind[0], 1: list(kind[1]), 2: data})
    return cbor2.dumps({0: len(samples), 1: tensors}, canonical=True)


def run(model: bytes, inputs: bytes) -> tuple[dict[int, Any], list[list[tuple[dict[int, Any], list[int]]]]]:
    """The graph, and for each sample (type, items) of every value."""
    file, batch = cbor2.loads(model), cbor2.loads(inputs)
    graph = cbor2.loads(file[2])
    constants, offset = [], 0
    for kind in graph[2]:
        size = math.prod(kind[1]) * ITEM[kind[0]]
        constants.append(Tensor(tuple(kind[1]), numbers(file[3][offset : offset + size], kind[0])))
        offset += size
    if [(t[0], list(t[1])) for t in batch[1]] != [(v[0], list(v[1])) for v in graph[1]]:
        raise Refused("inputs of other types")
    samples = []
    for number in range(batch[0]):
        values: list[tuple[dict[int, Any], list[int]]] = []
        for kind, tensor in zip(graph[1], batch[1], strict=True):
            size = len(tensor[2]) // batch[0]
            values.append((kind, numbers(tensor[2][number * size : (number + 1) * size], kind[0])))
        for node in graph[3]:
            (opcode, attributes), kind = node[0], node[3]
            xs = [Tensor(tuple(values[i][0][1]), values[i][1], values[i][0][2]) for i in node[1]]
            out = evaluate(opcode, attributes, xs, [constants[i] for i in node[2]], tuple(kind[1]), kind[2])
            values.append((kind, out))
        samples.append(values)
    return graph, samples


def work(graph: dict[int, Any]) -> tuple[int, int]:
    """Multiply-accumulates and elements of one sample."""
    values, macs, elements = [*graph[1], *(node[3] for node in graph[3])], 0, 0
    for node in graph[3]:
        opcode, size = node[0][0], math.prod(node[3][1])
        kernel = graph[2][node[2][0]][1] if node[2] else ()
        shape = values[node[1][0]][1] if node[1] else ()
        terms = {
            1: math.prod(kernel[1:]),
            2: math.prod(kernel[:2]),
            3: kernel[-1] if kernel else 0,
            4: shape[-2 if node[0][1].get(0) else -1] if opcode == 4 else 0,
            65: kernel[-1] if kernel else 0,
        }
        macs, elements = macs + size * terms.get(opcode, 0), elements + size
    return macs, elements


# ---- cases ----------------------------------------------------------------------------------------------------------


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
