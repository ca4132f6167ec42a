# SPDX-License-Identifier: Apache-2.0
"""Operators that multiply and accumulate: convolutions, matrix products."""

from dataclasses import dataclass
from typing import ClassVar, Final

from vcompute.codec import Bool, Int, Record, field
from vcompute.registry import Opcode
from vcompute.task.limits import MAX_DIMENSION
from vcompute.task.operators.base import (
    CLAMP,
    ROUNDING,
    Operator,
    Requant,
    Rounding,
    Work,
    bad_shape,
    check_clamp,
    check_constant,
)
from vcompute.task.tensor import ConstantType, DType, Shape, ValueType

STEP: Final = Int(1, 1 << 12)
PADDING: Final = Int(0, 1 << 12)
REQUANT_CONSTANTS: Final = ("filter", "bias", "multiplier", "shift")


@dataclass(frozen=True, slots=True)
class Window:
    """How a kernel slides over an image: strides, dilations and explicit padding, in pixels."""

    stride_h: int = field(0, STEP, "rows between outputs")
    stride_w: int = field(1, STEP, "columns between outputs")
    dilation_h: int = field(2, STEP, "rows between taps")
    dilation_w: int = field(3, STEP, "columns between taps")
    pad_top: int = field(4, PADDING, "rows skipped above the image")
    pad_left: int = field(5, PADDING, "columns skipped left of the image")
    pad_bottom: int = field(6, PADDING, "rows skipped below the image")
    pad_right: int = field(7, PADDING, "columns skipped right of the image")

    @property
    def padded(self) -> bool:
        """Whether any tap can fall outside the image."""
        return bool(self.pad_top or self.pad_left or self.pad_bottom or self.pad_right)

    def output_size(self, operator: Operator, image: Shape, kernel: tuple[int, int]) -> tuple[int, int]:
        """Output rows and columns for an image (H, W, C) and a kernel (KH, KW).

        Every window must hold at least one pixel of the image.
        """
        sizes = []
        for size, taps, stride, dilation, before, after in (
            (image[0], kernel[0], self.stride_h, self.dilation_h, self.pad_top, self.pad_bottom),
            (image[1], kernel[1], self.stride_w, self.dilation_w, self.pad_left, self.pad_right),
        ):
            extent = dilation * (taps - 1) + 1
            if before >= extent or after >= extent:
                raise bad_shape(
                    operator, "padding reaches past the window", expected=f"< {extent}", got=max(before, after)
                )
            room = size + before + after - extent
            if room < 0:
                raise bad_shape(operator, "the window is larger than the padded image", got=f"{extent} > {size}")
            sizes.append(room // stride + 1)
        return sizes[0], sizes[1]


def check_per_channel(operator: Operator, constants: tuple[ConstantType, ...], channels: int) -> None:
    """Bias, multiplier and shift have one entry for each output channel."""
    for index, dtype in ((1, DType.INT32), (2, DType.INT32), (3, DType.INT8)):
        check_constant(operator, REQUANT_CONSTANTS[index], constants[index], dtype, (channels,))


@dataclass(frozen=True, slots=True)
class Conv2D(Operator):
    """2-D convolution of an image (H, W, Cin) with a filter [Cout, KH, KW, Cin]."""

    opcode: ClassVar[Opcode] = Opcode.CONV_2D
    constant_names: ClassVar[tuple[str, ...]] = REQUANT_CONSTANTS

    window: Window = field(0, Record(Window), "how the kernel slides")
    rounding: Rounding = field(1, ROUNDING, "requantisation rounding")
    low: int = field(2, CLAMP, "least output")
    high: int = field(3, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        image, kernel = inputs[0].shape, constants[0]
        if len(image) != 3 or kernel.dtype is not DType.INT8 or len(kernel.shape) != 4:
            raise bad_shape(self, "needs an image (H, W, C) and an int8 filter [Cout, KH, KW, Cin]", got=image)
        channels, rows, columns, depth = kernel.shape
        if depth != image[2]:
            raise bad_shape(self, "filter depth differs from the image's", expected=image[2], got=depth)
        check_per_channel(self, constants, channels)
        check_clamp(self, self.low, self.high)
        return (*self.window.output_size(self, image, (rows, columns)), channels)

    def work(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...], output: ValueType) -> Work:
        return Work(output.elements * constants[0].elements // constants[0].shape[0], output.elements)


@dataclass(frozen=True, slots=True)
class DepthwiseConv2D(Operator):
    """2-D depthwise convolution of an image (H, W, Cin) with a filter [KH, KW, Cin * multiplier]."""

    opcode: ClassVar[Opcode] = Opcode.DEPTHWISE_CONV_2D
    constant_names: ClassVar[tuple[str, ...]] = REQUANT_CONSTANTS

    window: Window = field(0, Record(Window), "how the kernel slides")
    depth_multiplier: int = field(1, Int(1, MAX_DIMENSION), "output channels for each input channel")
    rounding: Rounding = field(2, ROUNDING, "requantisation rounding")
    low: int = field(3, CLAMP, "least output")
    high: int = field(4, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        image, kernel = inputs[0].shape, constants[0]
        if len(image) != 3 or kernel.dtype is not DType.INT8 or len(kernel.shape) != 3:
            raise bad_shape(self, "needs an image (H, W, C) and an int8 filter [KH, KW, C]", got=image)
        rows, columns, channels = kernel.shape
        if channels != image[2] * self.depth_multiplier:
            raise bad_shape(self, "filter channels", expected=image[2] * self.depth_multiplier, got=channels)
        check_per_channel(self, constants, channels)
        check_clamp(self, self.low, self.high)
        return (*self.window.output_size(self, image, (rows, columns)), channels)

    def work(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...], output: ValueType) -> Work:
        rows, columns, _ = constants[0].shape
        return Work(output.elements * rows * columns, output.elements)


@dataclass(frozen=True, slots=True)
class FullyConnected(Operator):
    """Product of the last axis (..., K) with a filter [N, K], giving (..., N)."""

    opcode: ClassVar[Opcode] = Opcode.FULLY_CONNECTED
    constant_names: ClassVar[tuple[str, ...]] = REQUANT_CONSTANTS

    rounding: Rounding = field(0, ROUNDING, "requantisation rounding")
    low: int = field(1, CLAMP, "least output")
    high: int = field(2, CLAMP, "greatest output")

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        channels = _filter_channels(self, inputs[0].shape, constants[0])
        check_per_channel(self, constants, channels)
        check_clamp(self, self.low, self.high)
        return (*inputs[0].shape[:-1], channels)

    def work(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...], output: ValueType) -> Work:
        return Work(output.elements * constants[0].shape[1], output.elements)


@dataclass(frozen=True, slots=True)
class MatMul(Operator):
    """Product of the last axis (..., K) with a filter [N, K] into int32 accumulators; no requantisation."""

    opcode: ClassVar[Opcode] = Opcode.MATMUL
    constant_names: ClassVar[tuple[str, ...]] = ("filter",)
    output_dtypes: ClassVar[frozenset[DType]] = frozenset({DType.INT32})

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        return (*inputs[0].shape[:-1], _filter_channels(self, inputs[0].shape, constants[0]))

    def work(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...], output: ValueType) -> Work:
        return Work(output.elements * constants[0].shape[1], output.elements)


@dataclass(frozen=True, slots=True)
class BatchMatMul(Operator):
    """Product of two values (..., M, K) and (..., K, N); either may be stored with its last two axes swapped."""

    opcode: ClassVar[Opcode] = Opcode.BATCH_MATMUL
    operands: ClassVar[tuple[int, int]] = (2, 2)

    transpose_a: bool = field(0, Bool(), "the first operand is stored (..., K, M)")
    transpose_b: bool = field(1, Bool(), "the second operand is stored (..., N, K)")
    requant: Requant = field(2, Record(Requant), "scale of the products")
    rounding: Rounding = field(3, ROUNDING, "requantisation rounding")
    low: int = field(4, CLAMP, "least output")
    high: int = field(5, CLAMP, "greatest output")

    def sizes(self, inputs: tuple[ValueType, ...]) -> tuple[Shape, int, int, int]:
        """Leading axes of the output, and M, K, N."""
        a, b = inputs[0].shape, inputs[1].shape
        if len(a) < 2 or len(b) < 2:
            raise bad_shape(self, "operands need at least two axes", got=f"{a} and {b}")
        m, k = (a[-1], a[-2]) if self.transpose_a else (a[-2], a[-1])
        k_b, n = (b[-1], b[-2]) if self.transpose_b else (b[-2], b[-1])
        if k != k_b:
            raise bad_shape(self, "inner sizes differ", expected=k, got=k_b)
        return broadcast(self, a[:-2], b[:-2]), m, k, n

    def output_shape(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...]) -> Shape:
        check_clamp(self, self.low, self.high)
        leading, m, _, n = self.sizes(inputs)
        return (*leading, m, n)

    def work(self, inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...], output: ValueType) -> Work:
        return Work(output.elements * self.sizes(inputs)[2], output.elements)


def broadcast(operator: Operator, a: Shape, b: Shape) -> Shape:
    """The common shape of two shapes aligned at their last axes, where an axis of 1 stretches."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    result = []
    for left, right in pairs:
        if left != right and 1 not in (left, right):
            raise bad_shape(operator, "shapes do not broadcast", expected=a, got=b)
        result.append(max(left, right))
    return tuple(result)


def _filter_channels(operator: Operator, shape: Shape, kernel: ConstantType) -> int:
    if len(shape) < 1 or kernel.dtype is not DType.INT8 or len(kernel.shape) != 2:
        raise bad_shape(operator, "needs a value (..., K) and an int8 filter [N, K]", got=shape)
    if kernel.shape[1] != shape[-1]:
        raise bad_shape(operator, "filter depth differs from the last axis", expected=shape[-1], got=kernel.shape[1])
    return kernel.shape[0]
