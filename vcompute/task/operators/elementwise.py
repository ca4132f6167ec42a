# SPDX-License-Identifier: Apache-2.0
"""Operators on single elements: ADD, MUL, QUANTIZE, LOGISTIC, SOFTMAX."""

from dataclasses import dataclass
from typing import ClassVar, Final

from vcompute.codec import Int, Record, field
from vcompute.registry import Opcode
from vcompute.task.operators.base import (
    CLAMP,
    MULTIPLIER_RANGE,
    ROUNDING,
    Operator,
    Requant,
    Rounding,
    bad_shape,
    bad_value,
    check_clamp,
    check_constant,
)
from vcompute.task.operators.linear import broadcast
from vcompute.task.tensor import ConstantType, DType, Shape, ValueType

MAX_SOFTMAX_DEPTH: Final = (1 << 12) - 1
"""The longest row: its sum of exponentials has 12 integer bits."""


@dataclass(frozen=True, slots=True)
class Add(Operator):
    """Sum of two values: each shifted left by 20 and rescaled, added, rescaled; always double rounding."""

    opcode: ClassVar[Opcode] = Opcode.ADD
    operands: ClassVar[tuple[int, int]] = (2, 2)

    a: Requant = field(0, Record(Requant), "scale of the first operand")
    b: Requant = field(1, Record(Requant), "scale of the second operand")
    out: Requant = field(2, Record(Requant), "scale of the sum")
    low: int = field(3, CLAMP, "least output")
    high: int = field(4, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        check_clamp(self, self.low, self.high)
        for requant in (self.a, self.b, self.out):
            if requant.shift > 0:
                raise bad_value(self, "shifts must not exceed 0", got=requant.shift)
        return broadcast(self, inputs[0].shape, inputs[1].shape)


@dataclass(frozen=True, slots=True)
class Mul(Operator):
    """Product of two values, rescaled."""

    opcode: ClassVar[Opcode] = Opcode.MUL
    operands: ClassVar[tuple[int, int]] = (2, 2)

    requant: Requant = field(0, Record(Requant), "scale of the products")
    rounding: Rounding = field(1, ROUNDING, "requantisation rounding")
    low: int = field(2, CLAMP, "least output")
    high: int = field(3, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        check_clamp(self, self.low, self.high)
        return broadcast(self, inputs[0].shape, inputs[1].shape)


@dataclass(frozen=True, slots=True)
class Quantize(Operator):
    """The same reals under another scale and zero point."""

    opcode: ClassVar[Opcode] = Opcode.QUANTIZE

    requant: Requant = field(0, Record(Requant), "ratio of the scales")
    rounding: Rounding = field(1, ROUNDING, "requantisation rounding")
    low: int = field(2, CLAMP, "least output")
    high: int = field(3, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        check_clamp(self, self.low, self.high)
        return inputs[0].shape


@dataclass(frozen=True, slots=True)
class Logistic(Operator):
    """1 / (1 + exp(-x)), by a table of its value for each of the 256 inputs; output scale 1/256, zero point -128.

    The table is a constant of the model: entry i is the output for the input i - 128. No rule says how it was made.
    """

    opcode: ClassVar[Opcode] = Opcode.LOGISTIC
    constant_names: ClassVar[tuple[str, ...]] = ("table",)

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        check_constant(self, "table", constants[0], DType.INT8, (256,))
        return inputs[0].shape

    def check_output(self, inputs: tuple[ValueType, ...], output: ValueType) -> None:
        if output.zero_point != -128:
            raise bad_value(self, "output zero point", expected=-128, got=output.zero_point)


@dataclass(frozen=True, slots=True)
class Softmax(Operator):
    """exp(x) / sum of exp over the last axis in fixed point; output scale 1/256, zero point -128."""

    opcode: ClassVar[Opcode] = Opcode.SOFTMAX

    multiplier: int = field(0, Int(*MULTIPLIER_RANGE), "input multiplier, the factor beta included")
    shift: int = field(1, Int(0, 31), "input left shift")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        if not inputs[0].shape:
            raise bad_shape(self, "needs at least one axis")
        if inputs[0].shape[-1] > MAX_SOFTMAX_DEPTH:
            raise bad_shape(
                self, "the last axis is too long", expected=f"<= {MAX_SOFTMAX_DEPTH}", got=inputs[0].shape[-1]
            )
        return inputs[0].shape

    def check_output(self, inputs: tuple[ValueType, ...], output: ValueType) -> None:
        if output.zero_point != -128:
            raise bad_value(self, "output zero point", expected=-128, got=output.zero_point)
