# SPDX-License-Identifier: Apache-2.0
"""The kernels of :mod:`vcompute.field.backend`, recorded: those that verifiers use."""

from collections.abc import Sequence
from math import prod
from typing import Any, Final

import numpy as np

from vcompute.field import ONE, Ext
from vcompute.proof.succinct.program.recorder import NotRecordable, Op, Recorder
from vcompute.proof.succinct.program.values import EqVector, RecordedExt, RecordedTensor, RecordedVector, place, vector

ROW_COST: Final = 8
"""What a row of a projection costs, in products of elements."""
LONG: Final = 32
"""Longer products of two eq vectors are computed by their closed form."""


class RecordingBackend:
    """Arrays may be known (numpy) or not yet (:class:`RecordedVector`)."""

    name = "recording"

    def __init__(self, recorder: Recorder) -> None:
        self.recorder = recorder

    def __getattr__(self, name: str) -> Any:
        raise NotRecordable(f"the kernel {name}")

    def eq_tensor(self, point: Sequence[Ext], scale: Ext = ONE) -> Any:
        result = EqVector(self.recorder, tuple(point), 0, 1 << len(point))
        return result if scale is ONE else self._scale(result, scale)

    def _scale(self, a: RecordedVector, r: Ext) -> RecordedVector:
        at = self.recorder.once(Op.SCALE, a.count, (a.count,), (a.at, place(self.recorder, r)))
        return RecordedVector(self.recorder, at, a.count)

    def _each(self, op: Op, a: Any, b: Any) -> RecordedVector:
        left, right = vector(self.recorder, a), vector(self.recorder, b)
        if left.count != right.count:
            raise NotRecordable(f"vectors of {left.count} and {right.count} elements")
        at = self.recorder.once(op, left.count, (left.count,), (left.at, right.at))
        return RecordedVector(self.recorder, at, left.count)

    def add(self, a: Any, b: Any) -> Any:
        return self._each(Op.ADD_EACH, a, b)

    def sub(self, a: Any, b: Any) -> Any:
        return self._each(Op.SUB_EACH, a, b)

    def ext_mul(self, a: Any, b: Any) -> Any:
        left, right = vector(self.recorder, a), vector(self.recorder, b)
        if right.count == 1 != left.count:
            return self._scale(left, right.element(0))
        if left.count == 1 != right.count:
            return self._scale(right, left.element(0))
        return self._each(Op.MUL_EACH, left, right)

    def ext_mul_base(self, a: Any, b: Any) -> Any:
        return vector(self.recorder, a).times(b)

    def dot_base(self, a: Any, b: Any) -> Ext:
        left = vector(self.recorder, a)
        if left.count != b.size:
            raise NotRecordable(f"vectors of {left.count} and {b.size} elements")
        at = self.recorder.once(Op.DOT_BASE, 1, (left.count,), (left.at, self.recorder.words(b)))
        return RecordedExt(self.recorder, at)

    def dot_ext(self, a: Any, b: Any) -> Ext:
        left, right = vector(self.recorder, a), vector(self.recorder, b)
        if left.count != right.count:
            raise NotRecordable(f"vectors of {left.count} and {right.count} elements")
        if left.count > LONG and isinstance(left, EqVector) and isinstance(right, EqVector):
            known = left.dot(right)
            if known is not None:
                return known
        at = self.recorder.once(Op.DOT, 1, (left.count,), (left.at, right.at))
        return RecordedExt(self.recorder, at)

    def outer(self, vectors: Sequence[Any]) -> Any:
        """The outer product of vectors, flattened."""
        if not vectors:
            return vector(self.recorder, np.array([[1, 0]], np.uint64))
        result = vector(self.recorder, vectors[0])
        for factor in vectors[1:]:
            right = vector(self.recorder, factor)
            count = result.count * right.count
            at = self.recorder.once(Op.OUTER, count, (result.count, right.count), (result.at, right.at))
            result = RecordedVector(self.recorder, at, count)
        return result

    def contract(self, tensor: Any, vectors: Sequence[Any]) -> Ext:
        """The sum over all indices of tensor[i, j, ...] * vectors[0][i] * vectors[1][j] * ..."""
        shape = tuple(len(v) for v in vectors)
        if tensor.shape != shape or tensor.dtype not in (np.int8, np.dtype("<i4")):
            raise NotRecordable("vectors that do not fit their tensor, or one of other integers")
        slot = tensor.slot if isinstance(tensor, RecordedTensor) else self.recorder.tensor(tensor)
        split = min(range(len(shape)), key=lambda k: prod(shape[k:]) + (1 + ROW_COST) * prod(shape[:k]))
        head, tail = self.outer(vectors[:split]), self.outer(vectors[split:])
        at = self.recorder.once(
            Op.PROJECT, head.count, (head.count, tail.count), (tail.at, slot, tensor.dtype.itemsize)
        )
        return self.dot_ext(RecordedVector(self.recorder, at, head.count), head)
