# SPDX-License-Identifier: Apache-2.0
"""Operators that reduce: AVERAGE_POOL_2D, MAX_POOL_2D, MEAN."""

import math
from dataclasses import dataclass
from typing import ClassVar, Final

from vcompute.codec import Array, Bool, Int, Record, field
from vcompute.registry import Opcode
from vcompute.task.limits import MAX_DIMENSION, MAX_RANK
from vcompute.task.operators.base import (
    CLAMP,
    ROUNDING,
    Operator,
    Requant,
    Rounding,
    bad_shape,
    check_clamp,
    same_zero_point,
)
from vcompute.task.operators.linear import Window
from vcompute.task.tensor import ConstantType, Shape, ValueType

KERNEL: Final = Int(1, 1 << 12)


@dataclass(frozen=True, slots=True)
class Pool2D(Operator):
    """What both pools share: a window over an image (H, W, C), each channel for itself."""

    window: Window = field(0, Record(Window), "how the kernel slides; dilations are 1")
    kernel_h: int = field(1, KERNEL, "rows of the window")
    kernel_w: int = field(2, KERNEL, "columns of the window")
    low: int = field(3, CLAMP, "least output")
    high: int = field(4, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        image = inputs[0].shape
        if len(image) != 3:
            raise bad_shape(self, "needs an image (H, W, C)", got=image)
        if (self.window.dilation_h, self.window.dilation_w) != (1, 1):
            raise bad_shape(self, "pools are not dilated")
        check_clamp(self, self.low, self.high)
        return (*self.window.output_size(self, image, (self.kernel_h, self.kernel_w)), image[2])

    def check_output(self, inputs: tuple[ValueType, ...], output: ValueType) -> None:
        same_zero_point(self, inputs, output)


@dataclass(frozen=True, slots=True)
class AveragePool2D(Pool2D):
    """Mean over the window's pixels inside the image, rounded half away from zero."""

    opcode: ClassVar[Opcode] = Opcode.AVERAGE_POOL_2D


@dataclass(frozen=True, slots=True)
class MaxPool2D(Pool2D):
    """Greatest of the window's pixels inside the image."""

    opcode: ClassVar[Opcode] = Opcode.MAX_POOL_2D


@dataclass(frozen=True, slots=True)
class Mean(Operator):
    """Mean over axes, rescaled; the division is part of the requantisation."""

    opcode: ClassVar[Opcode] = Opcode.MEAN

    axes: tuple[int, ...] = field(0, Array(Int(0, MAX_RANK - 1), 1, MAX_RANK), "axes of one sample, ascending")
    keep_dims: bool = field(1, Bool(), "whether reduced axes stay as 1")
    requant: Requant = field(2, Record(Requant), "ratio of the scales divided by the count")
    rounding: Rounding = field(3, ROUNDING, "requantisation rounding")
    low: int = field(4, CLAMP, "least output")
    high: int = field(5, CLAMP, "greatest output")

    def count(self, inputs: tuple[ValueType, ...]) -> int:
        """How many elements each mean is of."""
        return math.prod(inputs[0].shape[axis] for axis in self.axes)

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        shape = inputs[0].shape
        if list(self.axes) != sorted(set(self.axes)) or self.axes[-1] >= len(shape):
            raise bad_shape(
                self, "axes must be ascending and of the operand", expected=f"< {len(shape)}", got=self.axes
            )
        if self.count(inputs) >= MAX_DIMENSION:
            raise bad_shape(self, "too many elements in one mean", expected=f"< {MAX_DIMENSION}")
        check_clamp(self, self.low, self.high)
        if self.keep_dims:
            return tuple(1 if axis in self.axes else size for axis, size in enumerate(shape))
        return tuple(size for axis, size in enumerate(shape) if axis not in self.axes)
