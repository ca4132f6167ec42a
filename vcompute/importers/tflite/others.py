# SPDX-License-Identifier: Apache-2.0
"""Pools, MEAN, element-wise operators and layout operators -> their operators."""

from vcompute.errors import ImportFailed
from vcompute.importers.tflite.assembly import Assembly, scale_of, value_type
from vcompute.importers.tflite.linear import window_of
from vcompute.importers.tflite.scales import (
    activation_range,
    float32_product,
    float32_quotient,
    logistic_table,
    mean_requant,
    requant,
    softmax_multiplier,
)
from vcompute.importers.tflite.schema import OperatorCall, Tensor, TensorType
from vcompute.importers.tflite.semantics import Semantics, rounding_of
from vcompute.task.operators import (
    Add,
    AveragePool2D,
    Concatenation,
    Logistic,
    MaxPool2D,
    Mean,
    Mul,
    Pad,
    Quantize,
    Reshape,
    Softmax,
    Transpose,
)
from vcompute.task.tensor import DTYPE_RANGE


def add(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """ADD. The factors are exact in binary64: 2 * max and 2**20 * y only move the exponent."""
    del semantics
    output = assembly.output(call)
    rank = len(output.shape)
    a, b = assembly.operand(call, 0, rank), assembly.operand(call, 1, rank)
    scale_a, scale_b, scale_y = (scale_of(t) for t in (assembly.tensor(call, 0), assembly.tensor(call, 1), output))
    twice = 2 * max(scale_a, scale_b)
    # AddOptions: activation 0
    low, high = _clamp(call, output)
    operator = Add(
        requant(scale_a / twice), requant(scale_b / twice), requant(twice / ((1 << 20) * scale_y)), low, high
    )
    assembly.finish(call, operator, (a, b))


def mul(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """MUL. The factor is taken in binary32 throughout."""
    output = assembly.output(call)
    rank = len(output.shape)
    a, b = assembly.operand(call, 0, rank), assembly.operand(call, 1, rank)
    product = float32_product(scale_of(assembly.tensor(call, 0)), scale_of(assembly.tensor(call, 1)))
    # MulOptions: activation 0
    low, high = _clamp(call, output)
    factor = requant(float32_quotient(product, scale_of(output)))
    assembly.finish(call, Mul(factor, rounding_of(call, semantics), low, high), (a, b))


def quantize(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """QUANTIZE from one quantised type to another; between uint8 and int8 of one scale there is nothing to do."""
    value, output = assembly.operand(call, 0), assembly.output(call)
    ratio = scale_of(assembly.tensor(call, 0)) / scale_of(output)
    surface = value < len(assembly.inputs) and output.index in assembly.source.outputs
    if ratio == 1 and assembly.type_of(value) == value_type(output) and not surface:
        assembly.alias(call, value)
        return
    low, high = DTYPE_RANGE[value_type(output).dtype]
    assembly.finish(call, Quantize(requant(ratio), rounding_of(call, semantics), low, high), (value,))


def logistic(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """LOGISTIC: a table of the function's 256 values."""
    del semantics
    value, output = assembly.operand(call, 0), assembly.output(call)
    _unit_output(output)
    table = logistic_table(scale_of(assembly.tensor(call, 0)), assembly.type_of(value).zero_point)
    assembly.finish(call, Logistic(), (value,), (assembly.made_constant(table),))


def softmax(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """SOFTMAX over the last axis."""
    del semantics
    value, output = assembly.operand(call, 0), assembly.output(call)
    _unit_output(output)
    # SoftmaxOptions: beta 0
    beta = 0.0 if call.options is None else call.options.float32(0)
    assembly.finish(call, Softmax(*softmax_multiplier(beta, scale_of(assembly.tensor(call, 0)))), (value,))


def average_pool_2d(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """AVERAGE_POOL_2D."""
    del semantics
    _pool(assembly, call, AveragePool2D)


def max_pool_2d(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """MAX_POOL_2D."""
    del semantics
    _pool(assembly, call, MaxPool2D)


def _pool(assembly: Assembly, call: OperatorCall, operator: type[AveragePool2D] | type[MaxPool2D]) -> None:
    # Pool2DOptions: padding 0, stride_w 1, stride_h 2, filter_width 3, filter_height 4, activation 5
    value, options = assembly.operand(call, 0), call.options
    image = assembly.type_of(value).shape
    if options is None or len(image) != 3:
        raise ImportFailed("a pool needs its options and an image (1, H, W, C)", got=(1, *image))
    kernel = (options.int32(4), options.int32(3))
    low, high = _clamp(call, assembly.output(call), 5)
    assembly.finish(call, operator(window_of(call, image, kernel, dilation_field=None), *kernel, low, high), (value,))


def mean(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """MEAN over constant axes."""
    value, output = assembly.operand(call, 0), assembly.output(call)
    shape = assembly.type_of(value).shape
    axes = tuple(sorted({_sample_axis(axis, len(shape)) for axis in _integers(assembly, call, 1)}))
    if not axes:
        raise ImportFailed("a mean over no axis")
    # ReducerOptions: keep_dims 0
    keep = call.options is not None and call.options.boolean(0)
    count = 1
    for axis in axes:
        count *= shape[axis]
    low, high = DTYPE_RANGE[value_type(output).dtype]
    factor = mean_requant(scale_of(assembly.tensor(call, 0)) / scale_of(output), count)
    assembly.finish(call, Mean(axes, keep, factor, rounding_of(call, semantics), low, high), (value,))


def pad(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """PAD with the output's zero point."""
    del semantics
    value, output = assembly.operand(call, 0), assembly.output(call)
    rank = len(assembly.type_of(value).shape) + 1
    amounts = _integers(assembly, call, 1)
    if len(amounts) != 2 * rank or min(amounts) < 0:
        raise ImportFailed(
            "the paddings must be two non-negative numbers for each axis", expected=2 * rank, got=amounts
        )
    if amounts[0] or amounts[1]:
        raise ImportFailed("padding of the leading axis changes the batch", got=amounts[:2])
    operator = Pad(tuple(amounts[2::2]), tuple(amounts[3::2]), value_type(output).zero_point)
    assembly.finish(call, operator, (value,))


def concatenation(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """CONCATENATION of operands with one scale and zero point."""
    del semantics
    # ConcatenationOptions: axis 0, activation 1
    output, options = assembly.output(call), call.options
    if options is None or options.int8(1) != 0:
        raise ImportFailed("a concatenation needs its options and takes no fused activation")
    rank = len(output.shape)
    values = tuple(assembly.operand(call, position, rank) for position in range(len(call.inputs)))
    for position in range(len(call.inputs)):
        tensor = assembly.tensor(call, position)
        if scale_of(tensor) != scale_of(output):
            raise ImportFailed(
                f"{tensor}: operands and output need one scale", expected=scale_of(output), got=scale_of(tensor)
            )
    assembly.finish(call, Concatenation(_sample_axis(options.int32(0), rank - 1)), values)


def reshape(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """RESHAPE to the shape the output declares, which the operands must agree with."""
    del semantics
    value, output = assembly.operand(call, 0), assembly.output(call)
    # ReshapeOptions: new_shape 0; the second operand has precedence
    wanted: tuple[int, ...] | None = None
    if assembly.optional(call, 1) is not None:
        wanted = _integers(assembly, call, 1)
    elif call.options is not None and (numbers := call.options.numbers(0, "<i4")) is not None:
        wanted = tuple(numbers.tolist())
    if wanted is not None and (
        len(wanted) != len(output.shape)
        or any(size not in (-1, given) for size, given in zip(wanted, output.shape, strict=True))
    ):
        raise ImportFailed("the new shape is not the output's", expected=output.shape, got=wanted)
    assembly.finish(call, Reshape(), (value,))


def transpose(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """TRANSPOSE by a constant permutation."""
    del semantics
    value = assembly.operand(call, 0)
    permutation = _integers(assembly, call, 1)
    if not permutation or permutation[0] != 0:
        raise ImportFailed("a transposition must leave the leading axis, the batch, in place", got=permutation)
    rank = len(permutation) - 1
    assembly.finish(call, Transpose(tuple(_sample_axis(axis, rank) for axis in permutation[1:])), (value,))


def _clamp(call: OperatorCall, output: Tensor, activation_field: int = 0) -> tuple[int, int]:
    kind = 0 if call.options is None else call.options.int8(activation_field)
    return activation_range(kind, scale_of(output), value_type(output))


def _unit_output(output: Tensor) -> None:
    if scale_of(output) != 1 / 256 or int(output.zero_points[0]) != -128:
        raise ImportFailed(
            f"{output}: the output scale must be 1/256 and the zero point -128",
            got=f"{scale_of(output)}, {int(output.zero_points[0])}",
        )


def _integers(assembly: Assembly, call: OperatorCall, position: int) -> tuple[int, ...]:
    """A small constant operand: axes, a shape, a permutation, paddings."""
    tensor = assembly.tensor(call, position)
    if tensor.type not in (TensorType.INT32, TensorType.INT64):
        raise ImportFailed(f"{tensor}: must be INT32 or INT64", got=tensor.type_name)
    if tensor.elements > 16:
        raise ImportFailed(f"{tensor}: too many numbers", expected="<= 16", got=tensor.elements)
    return tuple(int(number) for number in assembly.source.constant(tensor).ravel())


def _sample_axis(axis: int, rank: int) -> int:
    """An axis of a tensor of ``rank`` + 1 axes as an axis of one sample."""
    positive = axis + rank + 1 if axis < 0 else axis
    if not 0 <= positive <= rank:
        raise ImportFailed("an axis that is not there", expected=f"< {rank + 1}", got=axis)
    if positive == 0:
        raise ImportFailed("the operator works along the leading axis, which is the batch", got=axis)
    return positive - 1
