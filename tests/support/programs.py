# SPDX-License-Identifier: Apache-2.0
"""Lowered models, their inputs and expected outputs as the stream that ``native/tests/run_programs.c`` reads.

The executor's own lowering and memory plan, but for scratch and packed constants, whose sizes depend on the processor
that runs them.
"""

import struct
from collections.abc import Iterable, Sequence

import numpy as np

from tests.support import graphs, models
from vcompute import _native
from vcompute.importers import Semantics
from vcompute.kernels import reference
from vcompute.kernels.native.arena import place
from vcompute.kernels.native.lower import NO_BUFFER, Operation, lower, value_bytes
from vcompute.kernels.native.plan import _fill, _lifetimes
from vcompute.task import Model
from vcompute.task.tensor import NDArray

TYPES = (np.int8, np.int32, np.int32, np.int8)
"""Of an operation's constants: filter, bias, multiplier, shift."""


def program(model: Model, inputs: Sequence[NDArray], outputs: Sequence[NDArray], block: int = 1) -> bytes:
    """One program of the stream; arrays are (N, *shape)."""
    graph, lowered = model.graph, lower(model)
    kept = [lowered.values[index] for index in graph.outputs]
    offsets, arena_bytes = place(_lifetimes(lowered, kept, block))
    ops = _native.ffi.new("vc_op[]", max(1, len(lowered.operations)))
    for op, operation in zip(ops, lowered.operations, strict=False):
        _fill(op, operation, lowered)
        op.a = offsets[operation.a] if operation.a != NO_BUFFER else 0
        op.b = offsets[operation.b] if operation.b != NO_BUFFER else 0
        op.out = offsets[operation.out]
    raw = bytes(_native.ffi.buffer(ops))[: len(lowered.operations) * _native.ffi.sizeof("vc_op")]
    samples = len(inputs[0])
    counts = (block, arena_bytes, samples, len(lowered.operations), len(inputs), len(outputs))
    parts = [struct.pack("<6q", *counts), raw, *(_constants(operation) for operation in lowered.operations)]
    for buffer, value, array in zip(lowered.values, graph.inputs, inputs, strict=False):
        parts.append(_port(offsets[buffer], value_bytes(value), array))
    for buffer, index, array in zip(kept, graph.outputs, outputs, strict=True):
        parts.append(_port(offsets[buffer], value_bytes(graph.values[index]), array))
    return b"".join(parts)


def _constants(operation: Operation) -> bytes:
    arrays = [*operation.constants, *[np.empty(0)] * (4 - len(operation.constants))]
    return b"".join(_sized(np.ascontiguousarray(a, t).tobytes()) for a, t in zip(arrays, TYPES, strict=True))


def _sized(data: bytes) -> bytes:
    return struct.pack("<q", len(data)) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 8)


def _port(offset: int, size: int, array: NDArray) -> bytes:
    data = np.ascontiguousarray(array).tobytes()
    assert len(data) == len(array) * size
    return struct.pack("<2q", offset, size) + _padded(data)


def stored(name: str, semantics: Semantics, count: int) -> bytes:
    """A real model on its first stored inputs, real and random, with the reference runtime's outputs."""
    model = models.load(name, semantics)
    inputs, outputs = (
        np.concatenate([file(random)[:count] for random in (False, True)])
        for file in (
            lambda random: models.stored_inputs(name, random),
            lambda random: models.stored_outputs(name, semantics, random),
        )
    )
    return program(model, [inputs], [outputs], block=1 + count // 2)


def random_operators(seeds: Iterable[int]) -> bytes:
    """A random model of every operator for each seed, with the reference kernels' outputs."""
    parts = []
    for seed in seeds:
        for maker in (*graphs.OPERATORS, graphs.network):
            model = graphs.random_model(maker, seed)
            batch = graphs.random_batch(model, seed, 1 + seed % 4)
            expected = reference.run(model, batch)
            parts.append(program(model, batch.arrays, expected.arrays, block=1 + seed % 3))
    return b"".join(parts)
