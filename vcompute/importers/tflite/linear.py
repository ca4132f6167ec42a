# SPDX-License-Identifier: Apache-2.0
"""CONV_2D, DEPTHWISE_CONV_2D, FULLY_CONNECTED, BATCH_MATMUL -> their operators, and windows with explicit padding."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

import numpy as np

from vcompute.errors import ImportFailed
from vcompute.importers.tflite.assembly import Assembly, channel_scales, scale_of, value_type
from vcompute.importers.tflite.scales import activation_range, float32_product, quantize_multiplier, requant
from vcompute.importers.tflite.schema import OperatorCall, Tensor, TensorType
from vcompute.importers.tflite.semantics import Semantics, rounding_of
from vcompute.importers.tflite.single_rounding import Staircases, single_rounding
from vcompute.task.bounds import channel_bounds
from vcompute.task.graph import Node
from vcompute.task.operators import BatchMatMul, Conv2D, DepthwiseConv2D, FullyConnected, Reshape, Window
from vcompute.task.tensor import Shape, ValueType

Convert = Callable[[Assembly, OperatorCall, Semantics], None]
ScaleRule = Callable[[float, float, float], float]

PADDING_SAME: Final = 0


def double_scale(x: float, w: float, y: float) -> float:
    """x * w / y in binary64."""
    return x * w / y


def float32_product_scale(x: float, w: float, y: float) -> float:
    """The product in binary32, the quotient in binary64."""
    return float32_product(x, w) / y


def conv_2d(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """CONV_2D: image NHWC, filter OHWI."""
    # Conv2DOptions: padding 0, stride_w 1, stride_h 2, activation 3, dilation_w 4, dilation_h 5
    value, kernel, output = assembly.operand(call, 0), assembly.tensor(call, 1), assembly.output(call)
    image = _image(assembly, value)
    if len(kernel.shape) != 4:
        raise ImportFailed(f"{kernel}: a filter has four axes", got=kernel.shape)
    window = window_of(call, image, kernel.shape[1:3], dilation_field=4)
    low, high = activation_range(_activation(call, 3), scale_of(output), value_type(output))
    rounding = rounding_of(call, semantics)
    weights = _filter(assembly, kernel, kernel.shape)
    rescale = _per_channel(assembly, call, kernel.shape[0], 0, double_scale)
    assembly.finish(call, Conv2D(window, rounding, low, high), (value,), (weights, *rescale))


def depthwise_conv_2d(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """DEPTHWISE_CONV_2D: image NHWC, filter 1HWC."""
    # DepthwiseConv2DOptions: padding 0, stride_w 1, stride_h 2, depth_multiplier 3, activation 4, dilation_w 5,
    # dilation_h 6. The kernel takes the depth multiplier from the shapes, and so is it taken here.
    value, kernel, output = assembly.operand(call, 0), assembly.tensor(call, 1), assembly.output(call)
    image = _image(assembly, value)
    if len(kernel.shape) != 4 or kernel.shape[0] != 1:
        raise ImportFailed(f"{kernel}: a depthwise filter has shape (1, H, W, C)", got=kernel.shape)
    channels = kernel.shape[3]
    if channels < image[2] or channels % image[2]:
        raise ImportFailed(f"{kernel}: channels must be a multiple of the image's {image[2]}", got=channels)
    window = window_of(call, image, kernel.shape[1:3], dilation_field=5)
    low, high = activation_range(_activation(call, 4), scale_of(output), value_type(output))
    operator = DepthwiseConv2D(window, channels // image[2], rounding_of(call, semantics), low, high)
    weights = _filter(assembly, kernel, kernel.shape[1:])
    rescale = _per_channel(assembly, call, channels, 3, double_scale)
    assembly.finish(call, operator, (value,), (weights, *rescale))


def fully_connected(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """FULLY_CONNECTED: any shape that divides into rows of K, filter (N, K)."""
    # FullyConnectedOptions: activation 0, weights_format 1, keep_num_dims 2
    options = call.options
    if options is not None and options.int8(1) != 0:
        raise ImportFailed("shuffled weights are not supported", got=options.int8(1))
    value, kernel, output = assembly.operand(call, 0), assembly.tensor(call, 1), assembly.output(call)
    if len(kernel.shape) != 2:
        raise ImportFailed(f"{kernel}: weights have two axes", got=kernel.shape)
    channels, depth = kernel.shape
    weights = _filter(assembly, kernel, kernel.shape)
    if options is None or not options.boolean(2):
        value = _flattened(assembly, call, value, depth)
    low, high = activation_range(_activation(call, 0), scale_of(output), value_type(output))
    operator = FullyConnected(rounding_of(call, semantics), low, high)
    if semantics is Semantics.CLASSIC:
        if kernel.scales.size != 1:
            raise ImportFailed(f"{kernel}: classic kernels know one scale only", got=f"{kernel.scales.size} scales")
        rescale = _per_channel(assembly, call, channels, 0, float32_product_scale)
    else:
        rescale = _binary64(assembly, call, channels, Node(operator, (value,), (weights,), value_type(output)))
    assembly.finish(call, operator, (value,), (weights, *rescale))


def batch_matmul(assembly: Assembly, call: OperatorCall, semantics: Semantics) -> None:
    """BATCH_MATMUL of two activations, or of one and a constant."""
    # BatchMatMulOptions: adj_x 0, adj_y 1
    options, output = call.options, assembly.output(call)
    rank = len(output.shape)
    a, b = assembly.operand(call, 0, rank), assembly.operand(call, 1, rank)
    scale = float32_product_scale(*(scale_of(t) for t in (assembly.tensor(call, 0), assembly.tensor(call, 1), output)))
    low, high = activation_range(0, scale_of(output), value_type(output))
    operator = BatchMatMul(
        options is not None and options.boolean(0),
        options is not None and options.boolean(1),
        requant(scale),
        rounding_of(call, semantics),
        low,
        high,
    )
    assembly.finish(call, operator, (a, b))


def window_of(call: OperatorCall, image: Shape, kernel: Shape, *, dilation_field: int | None) -> Window:
    """The window of a convolution or pool; SAME padding becomes explicit, its odd pixel below and on the right."""
    options = call.options
    if options is None:
        raise ImportFailed("the options are missing")
    stride = (options.int32(2), options.int32(1))
    dilation = (
        (1, 1) if dilation_field is None else (options.int32(dilation_field + 1, 1), options.int32(dilation_field, 1))
    )
    if min(*stride, *dilation, *kernel) < 1:
        raise ImportFailed("strides, dilations and filter sizes are positive", got=(stride, dilation, kernel))
    pads = []
    for size, taps, step, spread in zip(image, kernel, stride, dilation, strict=False):
        extent = spread * (taps - 1) + 1
        total = max((-(-size // step) - 1) * step + extent - size, 0) if options.int8(0) == PADDING_SAME else 0
        pads.append((total // 2, total - total // 2))
    (top, bottom), (left, right) = pads
    return Window(*stride, *dilation, top, left, bottom, right)


def _image(assembly: Assembly, value: int) -> Shape:
    shape = assembly.type_of(value).shape
    if len(shape) != 3:
        raise ImportFailed("the input must be an image (1, H, W, C)", got=(1, *shape))
    return shape


def _activation(call: OperatorCall, field_id: int) -> int:
    return 0 if call.options is None else call.options.int8(field_id)


def _filter(assembly: Assembly, kernel: Tensor, shape: Shape) -> int:
    if kernel.type != TensorType.INT8 or kernel.unsupported:
        raise ImportFailed(f"{kernel}: weights must be INT8", got=kernel.unsupported or kernel.type_name)
    return assembly.file_constant(kernel, shape)


def _per_channel(
    assembly: Assembly, call: OperatorCall, channels: int, axis: int, rule: ScaleRule
) -> tuple[int, int, int]:
    """Bias, multiplier and shift, one for each output channel."""
    x, y = scale_of(assembly.tensor(call, 0)), scale_of(assembly.output(call))
    scales = channel_scales(assembly.tensor(call, 1), channels, axis)
    pairs = {w: quantize_multiplier(rule(x, w, y)) for w in set(scales)}
    return _bias(assembly, call, channels), *_requantisation(assembly, [pairs[w] for w in scales])


def _binary64(assembly: Assembly, call: OperatorCall, channels: int, node: Node) -> tuple[int, int, int]:
    """As :func:`_per_channel`, for a kernel that requantises in binary64; see :mod:`.single_rounding`."""
    x, y = scale_of(assembly.tensor(call, 0)), scale_of(assembly.output(call))
    scales = channel_scales(assembly.tensor(call, 1), channels, 0)
    bias = _bias(assembly, call, channels)
    node = replace(node, constants=(*node.constants, bias))
    value = node.inputs[0]
    bounds = channel_bounds(assembly.type_of(value), node, assembly.ranges[value], assembly.constants, assembly.sums)
    low, high = activation_range(_activation(call, 0), y, node.output)
    zero = node.output.zero_point
    factors = np.array([[double_scale(x, w, y)] for w in scales])
    stairs = Staircases(factors, bounds.low[:, np.newaxis], bounds.high[:, np.newaxis], low - zero, high - zero)
    return bias, *_requantisation(assembly, single_rounding(stairs, assembly.source.reader.charge))


def _requantisation(assembly: Assembly, pairs: list[tuple[int, int]]) -> tuple[int, int]:
    """The constants ``multiplier`` and ``shift``."""
    multiplier = assembly.made_constant(np.array([m for m, _ in pairs], "<i4"))
    return multiplier, assembly.made_constant(np.array([s for _, s in pairs], np.int8))


def _bias(assembly: Assembly, call: OperatorCall, channels: int) -> int:
    """The constant ``bias``; zeros where the file has none."""
    bias = assembly.optional(call, 2)
    if bias is None:
        return assembly.made_constant(np.zeros(channels, "<i4"))
    if bias.type != TensorType.INT32 or bias.elements != channels:
        raise ImportFailed(f"{bias}: a bias is INT32 with {channels} elements", got=f"{bias.type_name} {bias.shape}")
    return assembly.file_constant(bias, (channels,))


def _flattened(assembly: Assembly, call: OperatorCall, value: int, depth: int) -> int:
    """The value as one row of ``depth`` elements."""
    current = assembly.type_of(value)
    if current.elements != depth:
        raise ImportFailed(
            "the input makes other than one row for each sample, which mixes the batch",
            expected=depth,
            got=current.shape,
        )
    if current.shape == (depth,):
        return value
    return assembly.add_node(call, Reshape(), (value,), (), ValueType(current.dtype, (depth,), current.zero_point))
