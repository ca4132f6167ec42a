# SPDX-License-Identifier: Apache-2.0
"""Values that are not yet known: they stand for the verifier's own while it is recorded.

Whatever would need to look inside one raises :class:`NotRecordable`.
"""

from collections.abc import Sequence
from math import prod
from typing import Any, Final, cast

import numpy as np
import numpy.typing as npt

from vcompute.field import ONE, ZERO, Ext, ExtWords, Words
from vcompute.field.scalar import eq_index
from vcompute.proof.succinct.program.recorder import NotRecordable, Op, Recorder


class RecordedExt(Ext):
    """An element in a program's memory."""

    __slots__ = ("at", "recorder")

    at: int
    recorder: Recorder

    def __init__(self, recorder: Recorder, at: int) -> None:
        object.__setattr__(self, "recorder", recorder)
        object.__setattr__(self, "at", at)

    def __add__(self, other: Ext | int) -> Ext:
        b = _element(other)
        return self if b is ZERO else self._commutative(Op.ADD, place(self.recorder, b))

    def __sub__(self, other: Ext | int) -> Ext:
        b = _element(other)
        return self if b is ZERO else self._scalar(Op.SUB, self.at, place(self.recorder, b))

    def __mul__(self, other: Ext | int) -> Ext:
        b = _element(other)
        if b is ZERO:
            return ZERO
        return self if b is ONE else self._commutative(Op.MUL, place(self.recorder, b))

    def __neg__(self) -> Ext:
        return ZERO - self

    def __radd__(self, other: Ext | int) -> Ext:
        return self + other

    def __rsub__(self, other: Ext | int) -> Ext:
        return self._scalar(Op.SUB, place(self.recorder, _element(other)), self.at)

    def __rmul__(self, other: Ext | int) -> Ext:
        return self * other

    def inverse(self) -> Ext:
        """1/self; a verifier has required that self is not zero."""
        return self._scalar(Op.INVERSE, self.at)

    def __eq__(self, other: object) -> bool:
        raise NotRecordable("a comparison: verifiers compare through the transcript")

    def __bool__(self) -> bool:
        raise NotRecordable("a comparison: verifiers compare through the transcript")

    def __hash__(self) -> int:
        return hash(self.at)

    def __repr__(self) -> str:
        return f"RecordedExt({self.at})"

    def _commutative(self, op: Op, b: int) -> Ext:
        return self._scalar(op, self.at, b) if self.at < b else self._scalar(op, b, self.at)

    def _scalar(self, op: Op, *operands: int) -> Ext:
        """Most of what is recorded: each result is one object."""
        recorder = self.recorder
        key = (op, operands)
        found = recorder.scalars.get(key)
        if found is None:
            at = recorder.take(1)
            recorder.emit(op, at, *operands)
            found = recorder.scalars[key] = RecordedExt(recorder, at)
        return cast(Ext, found)


def _element(value: Ext | int) -> Ext:
    """An element; zero and one are always the same object."""
    if type(value) is RecordedExt:
        return value
    known = value if isinstance(value, Ext) else Ext(value)
    return ZERO if known == ZERO else ONE if known == ONE else known


def place(recorder: Recorder, value: Ext) -> int:
    """Where an element stands in memory."""
    return value.at if isinstance(value, RecordedExt) else recorder.constant(value)


def as_recorded(vector: object) -> "RecordedVector | None":
    """The vector, where it is not yet known."""
    return vector if isinstance(vector, RecordedVector) else None


class RecordedVector:
    """A vector in a program's memory; looks like an array (n, 2) as far as verifiers look."""

    __slots__ = ("_at", "count", "recorder")
    __array_ufunc__: Final = None

    def __init__(self, recorder: Recorder, at: int, count: int) -> None:
        self.recorder, self._at, self.count = recorder, at, count

    @property
    def at(self) -> int:
        """Where it begins in memory."""
        return self._at

    @property
    def shape(self) -> tuple[int, int]:
        """(n, 2)."""
        return self.count, 2

    @property
    def ndim(self) -> int:
        """2."""
        return 2

    def __len__(self) -> int:
        return self.count

    def __getitem__(self, key: object) -> "RecordedVector":
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise NotRecordable(f"a choice of elements: {key!r}")
        start, stop, _ = key.indices(self.count)
        return RecordedVector(self.recorder, self.at + start, max(stop - start, 0))

    def element(self, index: int) -> Ext:
        """One element."""
        return RecordedExt(self.recorder, self.at + range(self.count)[index])

    def total(self) -> Ext:
        """The sum of the elements."""
        return RecordedExt(self.recorder, self.recorder.once(Op.SUM, 1, (self.count,), (self.at,)))

    def times(self, factors: Words) -> ExtWords:
        """Element by element times known base elements."""
        if factors.size != self.count:
            raise NotRecordable(f"vectors of {self.count} and {factors.size} elements")
        at = self.recorder.once(Op.MUL_BASE, self.count, (self.count,), (self.at, self.recorder.words(factors)))
        return cast(ExtWords, RecordedVector(self.recorder, at, self.count))

    def window(self, taps: ExtWords, size: int, stride: int, dilation: int, before: int) -> ExtWords:
        """See :func:`vcompute.proof.succinct.forms.window_axis`."""
        weights = vector(self.recorder, taps)
        counts = (self.count, weights.count, size)
        operands = (self.at, weights.at, stride, dilation, before & 0xFFFFFFFF)
        return cast(
            ExtWords, RecordedVector(self.recorder, self.recorder.once(Op.WINDOW, size, counts, operands), size)
        )

    def __array__(self, *_: object, **__: object) -> Any:
        raise NotRecordable("an array of what is not yet known")

    def __array_function__(self, function: Any, types: Any, args: Any, kwargs: Any) -> "RecordedVector":
        if function is np.repeat and kwargs in ({}, {"axis": 0}) and isinstance(args[1], int):
            return self._repeat(args[1])
        if function is np.concatenate and not kwargs:
            return _concatenate(self.recorder, args[0])
        raise NotRecordable(f"numpy.{function.__name__} of what is not yet known")

    def _repeat(self, times: int) -> "RecordedVector":
        at = self.recorder.once(Op.REPEAT, self.count * times, (self.count, times), (self.at,))
        return RecordedVector(self.recorder, at, self.count * times)


class EqVector(RecordedVector):
    """``count`` elements of eq(point, .) from ``start`` on. Sums and products with another one have closed forms, so it
    is computed only where something else needs its elements.
    """

    __slots__ = ("point", "start")

    def __init__(self, recorder: Recorder, point: tuple[Ext, ...], start: int, count: int) -> None:
        super().__init__(recorder, -1, count)
        self.point, self.start = point, start

    @property
    def at(self) -> int:
        if self._at < 0:
            coordinates = tuple(place(self.recorder, r) for r in self.point)
            whole = self.recorder.once(Op.EQ, 1 << len(self.point), (len(self.point),), coordinates)
            self._at = whole + self.start
        return self._at

    def __getitem__(self, key: object) -> RecordedVector:
        if not isinstance(key, slice) or key.step not in (None, 1):
            raise NotRecordable(f"a choice of elements: {key!r}")
        start, stop, _ = key.indices(self.count)
        return EqVector(self.recorder, self.point, self.start + start, max(stop - start, 0))

    def total(self) -> Ext:
        pairs = [(ONE - r, r) for r in self.point]
        return block_sum(pairs, self.start, self.count)

    def dot(self, other: "EqVector") -> Ext | None:
        """The sum of products, where it has a closed form: ``other`` begins its own point's cube."""
        bits = len(other.point)
        outer = len(self.point) - bits
        if other.start or outer < 0 or self.start % (1 << bits):
            return None
        inner = list(zip(self.point[outer:], other.point, strict=True))
        products = [(p * q, p, q) for p, q in inner]
        pairs = [(ONE - p - q + product, product) for product, p, q in products]
        return eq_index(self.start >> bits, self.point[:outer]) * block_sum(pairs, 0, self.count)


def block_sum(pairs: Sequence[tuple[Ext, Ext]], start: int, count: int) -> Ext:
    """The sum over start <= i < start + count of the product over the bits b of i, most significant first, of
    ``pairs[k][b]``.
    """
    if count == 1 << len(pairs):
        return prod((zero + one for zero, one in pairs), start=ONE)
    return _below(pairs, start + count) - (_below(pairs, start) if start else ZERO)


def _below(pairs: Sequence[tuple[Ext, Ext]], bound: int) -> Ext:
    """The sum over i < bound; ``equal`` is the product that follows the bound so far."""
    if bound == 1 << len(pairs):
        return block_sum(pairs, 0, bound)
    below, equal = ZERO, ONE
    for place, (zero, one) in enumerate(pairs, 1 - len(pairs)):
        below = below * (zero + one)
        if bound >> -place & 1:
            below, equal = below + equal * zero, equal * one
        else:
            equal = equal * zero
    return below


def vector(recorder: Recorder, values: Any) -> RecordedVector:
    """A vector in memory, of an array or of one that is there already."""
    if isinstance(values, RecordedVector):
        return values
    known = np.ascontiguousarray(values, np.uint64).reshape(-1, 2)
    return RecordedVector(recorder, recorder.vector(known), known.shape[0])


def _concatenate(recorder: Recorder, parts: Sequence[Any]) -> RecordedVector:
    vectors = [vector(recorder, part) for part in parts]
    at = recorder.take(sum(part.count for part in vectors))
    used = at
    for part in vectors:
        recorder.emit(Op.COPY, part.count, used, part.at)
        used += part.count
    return RecordedVector(recorder, at, used - at)


class RecordedTensor:
    """An integer tensor that a run is given; row-major, int8 or int32."""

    __slots__ = ("dtype", "shape", "slot")

    def __init__(
        self, recorder: Recorder, key: tuple[object, ...], shape: tuple[int, ...], dtype: npt.DTypeLike
    ) -> None:
        self.dtype, self.shape = np.dtype(dtype), shape
        self.slot = recorder.slot(key, int(np.prod(shape)) * self.dtype.itemsize)

    def reshape(self, shape: Sequence[int]) -> "RecordedTensor":
        """The same elements in another shape."""
        result = object.__new__(RecordedTensor)
        result.dtype, result.shape, result.slot = self.dtype, tuple(shape), self.slot
        return result


class RecordedBytes(bytes):
    """Bytes that a run is given (a slot) or receives (a digest)."""

    slot: int | None = None
    digest: int | None = None
