# SPDX-License-Identifier: Apache-2.0
"""Operators that only move elements: PAD, CONCATENATION, RESHAPE, TRANSPOSE, CONSTANT."""

from dataclasses import dataclass
from typing import ClassVar, Final

from vcompute.codec import Array, Int, field
from vcompute.registry import Opcode
from vcompute.task.limits import MAX_RANK
from vcompute.task.operators.base import CLAMP, Operator, bad_shape, same_zero_point
from vcompute.task.tensor import ConstantType, DType, Shape, ValueType

AXES: Final = Array(Int(0, MAX_RANK - 1), 0, MAX_RANK)
AMOUNTS: Final = Array(Int(0, 1 << 16), 0, MAX_RANK)


@dataclass(frozen=True, slots=True)
class Layout(Operator):
    """Base of the operators that keep values and zero point."""

    def check_output(self, inputs: tuple[ValueType, ...], output: ValueType) -> None:
        same_zero_point(self, inputs, output)


@dataclass(frozen=True, slots=True)
class Pad(Layout):
    """The operand with constant elements around it."""

    opcode: ClassVar[Opcode] = Opcode.PAD

    before: tuple[int, ...] = field(0, AMOUNTS, "elements added before, for each axis of one sample")
    after: tuple[int, ...] = field(1, AMOUNTS, "elements added after, for each axis of one sample")
    value: int = field(2, CLAMP, "what is added")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        shape = inputs[0].shape
        if not len(self.before) == len(self.after) == len(shape):
            raise bad_shape(self, "needs one amount for each axis", expected=len(shape), got=len(self.before))
        return tuple(b + size + a for b, size, a in zip(self.before, shape, self.after, strict=True))


@dataclass(frozen=True, slots=True)
class Concatenation(Layout):
    """Operands joined along one axis; all have one zero point and scale."""

    opcode: ClassVar[Opcode] = Opcode.CONCATENATION
    operands: ClassVar[tuple[int, int]] = (1, 256)

    axis: int = field(0, Int(0, MAX_RANK - 1), "axis of one sample")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        first = inputs[0].shape
        if self.axis >= len(first):
            raise bad_shape(self, "axis", expected=f"< {len(first)}", got=self.axis)
        for value in inputs[1:]:
            if len(value.shape) != len(first) or any(
                a != b for axis, (a, b) in enumerate(zip(value.shape, first, strict=True)) if axis != self.axis
            ):
                raise bad_shape(self, "operands differ off the axis", expected=first, got=value.shape)
        total = sum(value.shape[self.axis] for value in inputs)
        return (*first[: self.axis], total, *first[self.axis + 1 :])


@dataclass(frozen=True, slots=True)
class Reshape(Layout):
    """The same elements in row-major order under the node's output shape."""

    opcode: ClassVar[Opcode] = Opcode.RESHAPE

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> None:
        return None

    def check_output(self, inputs: tuple[ValueType, ...], output: ValueType) -> None:
        same_zero_point(self, inputs, output)
        if inputs[0].elements != output.elements:
            raise bad_shape(self, "number of elements", expected=inputs[0].elements, got=output.elements)


@dataclass(frozen=True, slots=True)
class Transpose(Layout):
    """Axes in another order: output axis i is operand axis ``permutation[i]``."""

    opcode: ClassVar[Opcode] = Opcode.TRANSPOSE

    permutation: tuple[int, ...] = field(0, AXES, "axes of one sample")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        shape = inputs[0].shape
        if sorted(self.permutation) != list(range(len(shape))):
            raise bad_shape(self, "not a permutation of the axes", expected=len(shape), got=self.permutation)
        return tuple(shape[axis] for axis in self.permutation)


@dataclass(frozen=True, slots=True)
class Constant(Operator):
    """A constant int8 tensor, the same for every sample."""

    opcode: ClassVar[Opcode] = Opcode.CONSTANT
    operands: ClassVar[tuple[int, int]] = (0, 0)
    constant_names: ClassVar[tuple[str, ...]] = ("value",)

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        if constants[0].dtype is not DType.INT8:
            raise bad_shape(self, "needs an int8 constant", got=constants[0].dtype.name.lower())
        return constants[0].shape
