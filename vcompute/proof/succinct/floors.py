# SPDX-License-Identifier: Apache-2.0
"""The columns of requantised nodes by the C kernels: the same integers as :mod:`vcompute.proof.succinct.witness`.

Accumulators come from the int8 kernels a few lines of an image at a time, and one pass over them floors, clamps, cuts
limbs and counts. Threads share out lines; each counts for itself.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute._native import memory
from vcompute._native.arrays import pointer
from vcompute.errors import TaskError
from vcompute.field.native import NativeBackend
from vcompute.kernels.native.lower import Operation, lower_linear
from vcompute.kernels.native.memory import aligned_bytes
from vcompute.kernels.native.plan import check_status, set_fields
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.requant import Floor
from vcompute.proof.succinct.steps import Int64
from vcompute.registry import ErrorCode
from vcompute.task import Graph, Node
from vcompute.task import operators as ops

if TYPE_CHECKING:
    from vcompute.proof.succinct.witness import Filling

Int32 = npt.NDArray[np.int32]
WORD = (1 << 64) - 1
KEY_COUNTS: Final = 4
"""``VC_KEY_COUNTS`` of the header."""
LEAST_PERIOD: Final = 1 << 9
"""Constants by channel are written out to so many elements at least: few channels still fill a kernel's chunk."""
STREAMED: Final = 1 << 22
"""From so many values on, keys and limbs are written around the caches, which they would only empty."""
WORDS_AN_ELEMENT: Final = 2
"""About as much work as an element is, in words of the field."""


class Counts:
    """How often the rows of every table are looked up, as one thread counts."""

    def __init__(self, circuit: Circuit) -> None:
        rows = [table.rows for table in circuit.tables]
        self._sizes = [rows[0], *(KEY_COUNTS * size for size in rows[1:])]
        self._rows = rows
        self._low = np.zeros(sum(self._sizes), np.uint8)
        self._high = np.zeros(sum(rows), np.uint32)
        self._scratch: tuple[int, Any] = (0, None)

    def point(self, handle: Any, table: int) -> None:
        """Let a ``vc_floor`` count keys of a table, and limbs, here."""
        low, high = pointer("uint8_t[]", self._low), pointer("uint32_t[]", self._high)
        handle.range.low, handle.range.high = low, high
        handle.keys.low, handle.keys.high = low + sum(self._sizes[:table]), high + sum(self._rows[:table])

    def scratch(self, size: int) -> Any:
        """Aligned bytes for a kernel of this thread."""
        if self._scratch[0] < size:
            self._scratch = (size, aligned_bytes(size, zeroed=False))
        return self._scratch[1]

    def add_to(self, counts: list[Int64]) -> None:
        """Add everything counted."""
        low, high = 0, 0
        for count, size, rows in zip(counts, self._sizes, self._rows, strict=True):
            count[...] += self._low[low : low + size].reshape(-1, rows).sum(axis=0, dtype=np.int64)
            count[...] += self._high[high : high + rows].astype(np.int64) << 8
            low, high = low + size, high + rows


class Workshop:
    """What the native kernels of one witness share: counts, one for each thread that ran at once."""

    def __init__(self, circuit: Circuit, backend: NativeBackend) -> None:
        self.circuit, self.backend = circuit, backend
        self.streamed = sum(prod(circuit.columns[node.column]) for node in circuit.proved.values()) >= STREAMED
        self._counts: list[Counts] = []
        self._free: list[Counts] = []

    def floor(self, filled: "Filled", count: int, size: int, kernel: Callable[[Any, Counts, int, int], int]) -> None:
        """kernel(handle, counts, first, number) over 0 .. count - 1 in parts.

        Raises:
            TaskError: a quotient outside its table, which constants of the proof compiler never give.
        """
        done: list[int] = []

        def part(first: int, number: int) -> None:
            counts = self._borrow()
            handle = _native.ffi.new("vc_floor *", filled.handle[0])
            counts.point(handle, filled.proved.table)
            done.append(kernel(handle, counts, first, number))
            self._free.append(counts)

        self.backend.parts(part, count, size * WORDS_AN_ELEMENT)
        if not all(done):
            raise TaskError("a quotient outside its table", code=ErrorCode.ACCUMULATOR_OVERFLOW)

    def _borrow(self) -> Counts:
        try:
            return self._free.pop()
        except IndexError:
            self._counts.append(Counts(self.circuit))
            return self._counts[-1]

    def add_to(self, counts: list[Int64]) -> None:
        """Add everything counted."""
        for each in self._counts:
            each.add_to(counts)


class Filled:
    """The columns that a node's kernel writes to."""

    def __init__(self, workshop: Workshop, proved: Proved) -> None:
        circuit = workshop.circuit
        node, table = circuit.graph.nodes[proved.node], circuit.tables[proved.table]
        self.proved, self.box = proved, circuit.columns[proved.column]
        self.key = np.empty(self.box, np.int32)
        self.value = np.empty(self.box, np.int8)
        self.sign = np.empty(self.box if proved.two_sided else 0, np.int8)
        self.limbs = [np.empty(self.box, np.int32) for _ in proved.limbs]
        self.raised = np.empty(0 if proved.raised is None else self.box, np.int32)
        handle = self.handle = _native.ffi.new("vc_floor *")
        pool = isinstance(node.operator, ops.AveragePool2D)
        handle.unit, handle.two_sided = proved.bits - proved.two_sided, proved.two_sided
        handle.width, handle.n_limbs = circuit.limb_bits, len(self.limbs)
        handle.zero_point = 0 if pool else node.output.zero_point
        handle.low, handle.high = getattr(node.operator, "low", -128), getattr(node.operator, "high", 127)
        handle.streamed = workshop.streamed
        handle.first, handle.rows = table.first, table.rows
        handle.key, handle.value = pointer("int32_t[]", self.key), pointer("int8_t[]", self.value)
        handle.sign = pointer("int8_t[]", self.sign)
        for place, limb in enumerate(self.limbs):
            handle.limbs[place] = pointer("int32_t[]", limb)
        if proved.raised is not None:
            handle.raised = pointer("int32_t[]", self.raised)

    def keep(self, filling: "Filling") -> None:
        """Hand the columns over."""
        proved, columns = self.proved, filling.columns
        columns[proved.column], filling.keys[proved.node] = self.value, self.key
        if proved.sign is not None:
            columns[proved.sign] = self.sign
        for column, limb in zip(proved.limbs, self.limbs, strict=True):
            columns[column] = limb
        if proved.raised is not None:
            filling.raised[proved.node] = self.raised


@dataclass(frozen=True, slots=True, eq=False)
class Linear:
    """A linear node as the core runs it."""

    op: Any
    constants: Any
    samples: int
    elements: int
    """Of the result, in a line."""

    @property
    def lines(self) -> int:
        """Lines of all samples."""
        return self.samples * int(self.op.out_h)

    def accumulators(self, x: IntArray) -> Int32:
        """The accumulators, lines by elements."""
        out = np.empty((self.lines, self.elements), np.int32)
        scratch = aligned_bytes(_native.lib.vc_linear_scratch(self.op), zeroed=False)
        _native.lib.vc_linear_lines(
            pointer("int32_t[]", out), self.op, self.constants, _bytes(x), self.samples, 0, self.lines, scratch
        )
        return out


@dataclass(frozen=True, slots=True, eq=False)
class Affine:
    """A floor's constants by channel, written out."""

    slope: Int64
    offset: Int64
    step: Int64
    divisor: Int64
    inverse: npt.NDArray[np.float64]
    gap: Int32
    """The last three of a divided floor, else empty."""


def linear_of(
    graph: Graph, index: int, constants: tuple[IntArray, ...], batch: int, kept: dict[str, object]
) -> Linear | None:
    """A linear node for the core; None where it takes more than one operation."""
    key = f"linear {index}"
    if key not in kept:
        with memory.plain():
            kept[key] = _make_linear(graph, graph.nodes[index], constants, batch)
    found = kept[key]
    return found if isinstance(found, Linear) else None


def _make_linear(graph: Graph, node: Node, constants: tuple[IntArray, ...], batch: int) -> Linear | None:
    image = isinstance(node.operator, (ops.Conv2D, ops.DepthwiseConv2D))
    operation = lower_linear(graph, node, constants, batch * node.output.elements // node.output.shape[-1])
    if operation is None:
        return None
    op = _native.ffi.new("vc_op *")
    op.kind = int(operation.kind)
    set_fields(op, operation)
    op.a_size, op.out_size = op.h * op.w * op.c, 4 * op.out_h * op.out_w * op.out_c
    check_status(_native.lib.vc_op_prepare(op, 1), operation)
    return Linear(op, _packed(op, operation), batch if image else 1, op.out_w * op.out_c)


def _packed(op: Any, operation: Operation) -> Any:
    """A node's constants as the kernels want them."""
    ffi = _native.ffi
    packed = aligned_bytes(op.constants_size + 64)
    arrays = [
        ffi.from_buffer(kind, np.ascontiguousarray(array))
        for kind, array in zip(("int8_t[]", "int32_t[]"), operation.constants, strict=False)
    ]
    arrays += [ffi.NULL] * (4 - len(arrays))
    check_status(_native.lib.vc_op_pack(packed, op, *arrays), operation)
    return packed


def affine_of(index: int, floor: Floor, width: int, kept: dict[str, object]) -> Affine:
    """A floor's constants for the core."""
    key = f"affine {index}"
    found = kept.get(key)
    if not isinstance(found, Affine):
        repeats = -(-LEAST_PERIOD // len(floor.slope))
        with memory.plain():
            lists = floor.slope, floor.offset, floor.step, floor.divisors, floor.gaps(width)
            slope, offset, step, divisor, gap = (np.tile(_int64(values), repeats) for values in lists)
            kept[key] = found = Affine(slope, offset, step, divisor, 1 / divisor, gap.astype(np.int32))
    return found


def fill_linear(workshop: Workshop, filled: Filled, linear: Linear, affine: Affine, x: IntArray) -> None:
    """The columns of a linear node.

    Raises:
        TaskError: as :meth:`Workshop.floor`.
    """
    source, handle = _bytes(x), filled.handle
    handle.period = affine.slope.size
    handle.slope, handle.offset = pointer("int64_t[]", affine.slope), pointer("int64_t[]", affine.offset)
    handle.step = pointer("int64_t[]", affine.step)
    if affine.divisor.size:
        handle.divisor, handle.inverse = pointer("int64_t[]", affine.divisor), pointer("double[]", affine.inverse)
        handle.gap = pointer("int32_t[]", affine.gap)
    size = _native.lib.vc_floor_scratch(linear.op)

    def kernel(own: Any, counts: Counts, first: int, number: int) -> int:
        done: int = _native.lib.vc_floor_linear(
            own, linear.op, linear.constants, source, linear.samples, first, number, counts.scratch(size)
        )
        return done

    workshop.floor(filled, linear.lines, filled.value.size, kernel)


def fill_values(workshop: Workshop, filled: Filled, t: Int64, floor: Floor) -> None:
    """The columns of a node of known T, with one step.

    Raises:
        TaskError: as :meth:`Workshop.floor`.
    """
    values = pointer("int64_t[]", np.ascontiguousarray(t))

    def kernel(own: Any, _: Counts, first: int, number: int) -> int:
        done: int = _native.lib.vc_floor_values(own, values, floor.step[0], first, number)
        return done

    workshop.floor(filled, t.size, t.size, kernel)


def fill_sums(workshop: Workshop, filled: Filled, operands: list[IntArray], floor: Floor) -> None:
    """The columns of an ADD of values of one shape.

    Raises:
        TaskError: as :meth:`Workshop.floor`.
    """
    a, b = map(_bytes, operands)
    slopes = pointer("int64_t[]", _int64(floor.slope))

    def kernel(own: Any, _: Counts, first: int, number: int) -> int:
        done: int = _native.lib.vc_floor_sums(own, a, b, slopes, floor.offset[0], floor.step[0], first, number)
        return done

    workshop.floor(filled, filled.value.size, filled.value.size, kernel)


def _int64(values: Any) -> Int64:
    return np.array([value & WORD for value in values], np.uint64).view(np.int64)


def _bytes(x: IntArray) -> Any:
    return pointer("int8_t[]", np.ascontiguousarray(x, np.int8))
