# SPDX-License-Identifier: Apache-2.0
"""Model files: their constants, a run over every node, work units."""

import math
from typing import Any

import cbor2
from arithmetic import Tensor
from forms import Refused
from operators import evaluate

ITEM = {1: 1, 2: 4}
"""Bytes of an int8 and of an int32."""


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
