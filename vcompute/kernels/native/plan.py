# SPDX-License-Identifier: Apache-2.0
"""A compiled plan: weights packed once, memory planned ahead, a whole run in one call of the native core."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import cached_property
from typing import Any, Final, TypeAlias

import numpy as np

from vcompute import _native
from vcompute.errors import TaskError, UsageError
from vcompute.kernels.native.arena import Region, aligned, place
from vcompute.kernels.native.lower import NO_BUFFER, Operation, Program, lower, value_bytes
from vcompute.kernels.native.memory import aligned_bytes
from vcompute.registry import ErrorCode
from vcompute.stop import Stop, current
from vcompute.task.batch import Batch, check_batch
from vcompute.task.limits import MAX_BATCH
from vcompute.task.model import Model
from vcompute.task.tensor import NUMPY_DTYPE, NDArray, ValueType

BLOCK_BYTES: Final = 1 << 18
"""Activations of the samples that run together: what a level-2 cache holds beside the weights."""
MAX_BLOCK: Final = 64
Arrays: TypeAlias = NDArray | tuple[NDArray, ...]


class Workspace:
    """What one run writes: an arena, and the pointers of inputs and outputs."""

    __slots__ = ("arena", "inputs", "outputs", "ports")

    def __init__(self, size: int, inputs: Sequence[tuple[int, int]], outputs: Sequence[tuple[int, int]]) -> None:
        self.arena = aligned_bytes(size)
        self.inputs = _ports(inputs)
        self.outputs = _ports(outputs)
        self.ports = [*self.inputs, *self.outputs]


def _ports(places: Sequence[tuple[int, int]]) -> Any:
    ports = _native.ffi.new("vc_port[]", len(places))
    for port, (offset, size) in zip(ports, places, strict=True):
        port.offset, port.size = offset, size
    return ports


class Plan:
    """A model ready to run; make one with :func:`compile_plan`. Safe to share between threads."""

    def __init__(self, model: Model, *, keep_all: bool = False) -> None:
        _native.require()
        self.model = model
        graph = model.graph
        program = lower(model)
        kept = range(len(graph.values)) if keep_all else graph.outputs
        self._inputs: tuple[ValueType, ...] = graph.inputs
        self._outputs: tuple[ValueType, ...] = tuple(graph.values[index] for index in kept)
        self._layout(program, [program.values[index] for index in kept])
        self._expected = tuple((np.dtype(NUMPY_DTYPE[v.dtype]), v.shape) for v in self._inputs)
        self._results = tuple((np.dtype(NUMPY_DTYPE[v.dtype]), v.shape) for v in self._outputs)
        self._bytes = _native.ffi.typeof("uint8_t[]")
        self._free: list[Workspace] = []

    def _layout(self, program: Program, kept: list[int]) -> None:
        """Place every buffer and scratch, fill in the array of ``vc_op``, pack the constants, have it checked."""
        operations = program.operations
        self._block = max(1, min(MAX_BLOCK, BLOCK_BYTES // max(1, _peak(program, kept))))
        self._ops = _native.ffi.new("vc_op[]", max(1, len(operations)))
        self._count = len(operations)
        for op, operation in zip(self._ops, operations, strict=False):
            _fill(op, operation, program)
            check_status(_native.lib.vc_op_prepare(_native.ffi.addressof(op), self._block), operation)
        scratch = [Region(op.scratch_size, i, i) for i, op in enumerate(self._ops[0 : self._count])]
        regions = [*_lifetimes(program, kept, self._block), *scratch]
        offsets, self.arena_bytes = place(regions)
        self.constant_bytes = 0
        for index, (op, operation) in enumerate(zip(self._ops, operations, strict=False)):
            op.a = offsets[operation.a] if operation.a != NO_BUFFER else 0
            op.b = offsets[operation.b] if operation.b != NO_BUFFER else 0
            op.out, op.scratch = offsets[operation.out], offsets[len(program.buffers) + index]
            op.constants = self.constant_bytes
            self.constant_bytes += aligned(op.constants_size)
        self._pack(operations)
        status = _native.lib.vc_plan_check(self._ops, self._count, self._block, self.arena_bytes, self.constant_bytes)
        if status:
            raise TaskError("the native core refuses the plan", got=status)
        inputs = program.values[: len(self._inputs)]
        self._in_places = [(offsets[b], value_bytes(v)) for b, v in zip(inputs, self._inputs, strict=True)]
        self._out_places = [(offsets[b], value_bytes(v)) for b, v in zip(kept, self._outputs, strict=True)]

    def _pack(self, operations: Sequence[Operation]) -> None:
        ffi = _native.ffi
        self._constants = aligned_bytes(self.constant_bytes + 64)
        for op, operation in zip(self._ops, operations, strict=False):
            types = ("int8_t[]", "int32_t[]", "int32_t[]", "int8_t[]")
            arrays = [
                ffi.from_buffer(t, np.ascontiguousarray(a)) for t, a in zip(types, operation.constants, strict=False)
            ]
            arrays += [ffi.NULL] * (4 - len(arrays))
            status = _native.lib.vc_op_pack(self._constants + op.constants, ffi.addressof(op), *arrays)
            check_status(status, operation)

    def run(self, x: Arrays, threads: int = 1) -> Arrays:
        """Run a batch: int8 arrays (N, *shape), one or a tuple; the outputs in the same way.

        With several threads the batch is shared out between them; each has an arena of its own.

        Raises:
            TaskError: ``invalid_input`` where an array is not of its input's type.
            UsageError: a thread count below 1.
            Stopped: the flag of :func:`vcompute.stop.until` was set.
        """
        single = threads == 1 and len(self._expected) == len(self._results) == 1 and current() is None
        if single and isinstance(x, np.ndarray):
            dtype, shape = self._expected[0]
            if x.dtype is dtype and x.ndim > len(shape) and x.shape[1:] == shape and x.flags.c_contiguous:
                samples = x.shape[0]
                if 1 <= samples <= MAX_BATCH:
                    return self._run_one(x, samples)
        arrays = (x,) if isinstance(x, np.ndarray) else tuple(x)
        samples = self._check_inputs(arrays)
        outputs = [np.empty((samples, *shape), dtype) for dtype, shape in self._results]
        if threads == 1:
            self._run_range(arrays, outputs, 0, samples, current())
        else:
            self._run_threads(arrays, outputs, samples, threads)
        return outputs[0] if len(outputs) == 1 else tuple(outputs)

    def _workspace(self) -> Workspace:
        """One that no run is using; the caller gives it back to ``_free``."""
        try:
            return self._free.pop()
        except IndexError:
            return Workspace(self.arena_bytes, self._in_places, self._out_places)

    def _run_one(self, x: NDArray, samples: int) -> NDArray:
        """:meth:`_run_range` for one checked input, one output and no flag: what a small model takes is mostly this."""
        dtype, shape = self._results[0]
        out = np.empty((samples, *shape), dtype)
        work = self._workspace()
        address, kind = _native.ffi.from_buffer, self._bytes
        work.ports[0].data, work.ports[1].data = address(kind, x), address(kind, out)
        _native.lib.vc_plan_run(
            self._ops, self._count, self._constants, work.arena, self._block, samples, work.inputs, 1, work.outputs, 1
        )
        self._free.append(work)
        return out

    def _check_inputs(self, arrays: tuple[NDArray, ...]) -> int:
        expected = self._expected
        if len(arrays) == len(expected):
            samples = arrays[0].shape[0] if arrays[0].ndim else 0
            for array, (dtype, shape) in zip(arrays, expected, strict=True):
                if array.dtype != dtype or array.shape != (samples, *shape) or not array.flags.c_contiguous:
                    break
            else:
                if 1 <= samples <= MAX_BATCH:
                    return samples
        raise TaskError(
            "inputs must be C-contiguous arrays with a leading batch axis",
            code=ErrorCode.INVALID_INPUT,
            expected=", ".join(f"{dtype} (N, {', '.join(map(str, shape))})" for dtype, shape in expected),
            got=", ".join(f"{a.dtype} {a.shape}{'' if a.flags.c_contiguous else ' not contiguous'}" for a in arrays),
        )

    def _run_range(
        self, arrays: Sequence[NDArray], outputs: Sequence[NDArray], first: int, samples: int, stop: Stop | None
    ) -> None:
        """Run ``samples`` samples from ``first`` on; the arrays are C-contiguous."""
        work = self._workspace()
        address, kind = _native.ffi.from_buffer, self._bytes
        for port, array in zip(work.ports, (*arrays, *outputs), strict=True):
            data = address(kind, array)
            port.data = data + first * port.size if first else data
        flag = _native.ffi.NULL if stop is None else address("int32_t[]", stop.flag)
        status = _native.lib.vc_plan_run_until(
            flag, self._ops, self._count, self._constants, work.arena, self._block, samples,
            work.inputs, len(arrays), work.outputs, len(outputs),
        )  # fmt: skip
        self._free.append(work)
        if status and stop is not None:
            stop.check()

    def _run_threads(self, arrays: Sequence[NDArray], outputs: Sequence[NDArray], samples: int, threads: int) -> None:
        if threads < 1:
            raise UsageError("threads", expected="at least 1", got=threads)
        share, stop = -(-samples // min(threads, samples)), current()
        with ThreadPoolExecutor(min(threads, samples)) as pool:
            jobs = [
                pool.submit(self._run_range, arrays, outputs, first, min(share, samples - first), stop)
                for first in range(0, samples, share)
            ]
            for job in jobs:
                job.result()

    def run_batch(self, inputs: Batch, threads: int = 1) -> Batch:
        """Run a :class:`Batch`.

        Raises:
            TaskError: ``invalid_input``.
        """
        check_batch("input", inputs, self._inputs)
        result = self.run(inputs.arrays, threads)
        return Batch((result,) if isinstance(result, np.ndarray) else result)

    @cached_property
    def _all_values(self) -> "Plan":
        return Plan(self.model, keep_all=True)

    def trace(self, x: Arrays) -> list[NDArray]:
        """Every value of a run by value number: inputs, then each node's output, as (N, *shape).

        Raises:
            TaskError: ``invalid_input``.
        """
        result = self._all_values.run(x)
        return [result] if isinstance(result, np.ndarray) else list(result)


def _lifetimes(program: Program, kept: Sequence[int], block: int) -> list[Region]:
    """When each buffer is needed: from where it is first written (an input: the start) to its last reader."""
    end = len(program.operations)
    first, last = [0] * len(program.buffers), [0] * len(program.buffers)
    for step in reversed(range(end)):
        first[program.operations[step].out] = step
    for step, operation in enumerate(program.operations):
        for buffer in (operation.a, operation.b, operation.out):
            if buffer != NO_BUFFER:
                last[buffer] = step
    for buffer in kept:
        last[buffer] = end
    return [Region(size * block, f, t) for size, f, t in zip(program.buffers, first, last, strict=True)]


def _peak(program: Program, kept: Sequence[int]) -> int:
    return place(_lifetimes(program, kept, 1))[1]


def _fill(op: Any, operation: Operation, program: Program) -> None:
    op.kind = int(operation.kind)
    op.a_size = program.buffers[operation.a] if operation.a != NO_BUFFER else 0
    op.b_size = program.buffers[operation.b] if operation.b != NO_BUFFER else 0
    op.out_size = program.buffers[operation.out]
    set_fields(op, operation)


def set_fields(op: Any, operation: Operation) -> None:
    """The fields of a ``vc_op`` that its operation names."""
    for name, value in operation.fields.items():
        if isinstance(value, int):
            setattr(op, name, int(value))
        else:
            array = getattr(op, name)
            for index, item in enumerate(value):
                array[index] = int(item)


def check_status(status: int, operation: Operation) -> None:
    """
    Raises:
        TaskError: the core refuses the operation.
    """
    if status:
        raise TaskError(
            f"the native core refuses a {operation.kind.name.lower()} operation",
            code=ErrorCode.VALUE_OUT_OF_RANGE,
            got=status,
        )


def compile_plan(model: Model) -> Plan:
    """Compile a validated model for this processor.

    Raises:
        UsageError: ``native_unavailable``.
        TaskError: an operator without a native kernel.
    """
    return Plan(model)
