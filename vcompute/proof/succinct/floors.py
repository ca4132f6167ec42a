# SPDX-License-Identifier: Apache-2.0
"""The columns of requantised nodes by the C kernels: the same integers as :mod:`vcompute.proof.succinct.witness`.

Raw products come from the int8 kernels; zero points, biases and the constants of the floor make one affine function of
them for each channel, so accumulators are never written in 64 bits.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute.errors import TaskError
from vcompute.kernels.native.matmul import MAX_DEPTH, matmul
from vcompute.kernels.reference.linear import pad_image
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.requant import Floor
from vcompute.proof.succinct.roles import LINEAR
from vcompute.proof.succinct.steps import Int64
from vcompute.registry import ErrorCode
from vcompute.task import Node
from vcompute.task import operators as ops

Int32 = npt.NDArray[np.int32]
WORD = (1 << 64) - 1


class Filled:
    """The columns that a node's kernel writes to."""

    def __init__(self, circuit: Circuit, proved: Proved, counts: list[Int64]) -> None:
        node, table = circuit.graph.nodes[proved.node], circuit.tables[proved.table]
        self.proved, self.box = proved, circuit.columns[proved.column]
        self.key = np.empty(self.box, np.int32)
        self.value = np.empty(self.box, np.int8)
        self.sign = np.empty(self.box if proved.two_sided else 0, np.int8)
        self.limbs = [np.empty(self.box, np.int32) for _ in proved.limbs]
        handle = self.handle = _native.ffi.new("vc_floor *")
        pool = isinstance(node.operator, ops.AveragePool2D)
        handle.unit, handle.two_sided = proved.bits - proved.two_sided, proved.two_sided
        handle.width, handle.n_limbs = circuit.limb_bits, len(self.limbs)
        handle.zero_point = 0 if pool else node.output.zero_point
        handle.low, handle.high = getattr(node.operator, "low", -128), getattr(node.operator, "high", 127)
        handle.first, handle.rows = table.first, table.rows
        handle.key, handle.value = _pointer("int32_t[]", self.key), _pointer("int8_t[]", self.value)
        handle.sign = _pointer("int8_t[]", self.sign)
        for place, limb in enumerate(self.limbs):
            handle.limbs[place] = _pointer("int32_t[]", limb)
        handle.key_counts = _pointer("int64_t[]", counts[proved.table])
        handle.limb_counts = _pointer("int64_t[]", counts[0])

    def keep(self, columns: dict[int, IntArray], keys: dict[int, IntArray]) -> None:
        """Hand the columns over."""
        columns[self.proved.column], keys[self.proved.node] = self.value, self.key
        if self.proved.sign is not None:
            columns[self.proved.sign] = self.sign
        for column, limb in zip(self.proved.limbs, self.limbs, strict=True):
            columns[column] = limb


def fill_products(
    filled: Filled, node: Node, x: IntArray, constants: tuple[IntArray, ...], floor: Floor, zero_point: int
) -> None:
    """The columns of a linear node.

    Raises:
        TaskError: a quotient outside its table, which constants of the proof compiler never give.
    """
    products, correction = raw_products(node, x, constants, zero_point)
    bias = [0] * len(correction) if isinstance(node.operator, ops.MatMul) else [int(b) for b in constants[1]]
    offset = [q + d * (b + c) for d, q, b, c in zip(floor.slope, floor.offset, bias, correction, strict=True)]
    columns = products.shape[-1]
    _check(
        _native.lib.vc_floor_products(
            filled.handle, _pointer("int32_t[]", products), *map(_int64, (floor.slope, offset, floor.step)),
            products.size // columns, columns,
        )
    )  # fmt: skip


def fill_values(filled: Filled, t: Int64, floor: Floor) -> None:
    """The columns of a node of known T, with one step.

    Raises:
        TaskError: as :func:`fill_products`.
    """
    values = np.ascontiguousarray(t)
    _check(_native.lib.vc_floor_values(filled.handle, _pointer("int64_t[]", values), floor.step[0], values.size))


def _check(done: int) -> None:
    if not done:
        raise TaskError("a quotient outside its table", code=ErrorCode.ACCUMULATOR_OVERFLOW)


def supports(node: Node, constants: tuple[IntArray, ...]) -> bool:
    """Whether the node's products are within reach of the kernels."""
    if isinstance(node.operator, ops.DepthwiseConv2D):
        return node.operator.depth_multiplier == 1
    return isinstance(node.operator, LINEAR) and constants[0].size // constants[0].shape[0] <= MAX_DEPTH


def raw_products(node: Node, x: IntArray, constants: tuple[IntArray, ...], zero_point: int) -> tuple[Int32, list[int]]:
    """Products in int32, and what a channel's accumulator is more than its product, bias apart."""
    kernel = constants[0]
    if isinstance(node.operator, ops.DepthwiseConv2D):
        return _depthwise(node.operator, node.output.shape, x, kernel, zero_point), [0] * kernel.shape[-1]
    flat = kernel.reshape(kernel.shape[0], -1)
    rows = x
    if isinstance(node.operator, ops.Conv2D):
        rows = _patches(node.operator, node.output.shape, kernel.shape, x, zero_point)
    products: Int32 = matmul(np.ascontiguousarray(rows).reshape(-1, flat.shape[1]), np.ascontiguousarray(flat.T))
    return products, [-zero_point * int(total) for total in flat.sum(axis=1, dtype=np.int64)]


def _patches(
    operator: ops.Conv2D, output: tuple[int, ...], kernel: tuple[int, ...], x: IntArray, zero_point: int
) -> IntArray:
    """What every output position sees, taps first, then channels."""
    window, (_, kernel_h, kernel_w, _) = operator.window, kernel
    if kernel_h == kernel_w == window.stride_h == window.stride_w == 1 and not window.padded:
        return x
    image = pad_image(x, window, zero_point)
    samples, channels = x.shape[0], x.shape[-1]
    result = np.empty((samples, *output[:2], kernel_h, kernel_w, channels), np.int8)
    for row in range(kernel_h):
        for column in range(kernel_w):
            top, left = row * window.dilation_h, column * window.dilation_w
            result[:, :, :, row, column] = image[
                :,
                top : top + (output[0] - 1) * window.stride_h + 1 : window.stride_h,
                left : left + (output[1] - 1) * window.stride_w + 1 : window.stride_w,
            ]
    return result


def _depthwise(
    operator: ops.DepthwiseConv2D, output: tuple[int, ...], x: IntArray, kernel: IntArray, zero_point: int
) -> Int32:
    samples, height, width, channels = x.shape
    window = operator.window
    shape = _native.ffi.new(
        "vc_taps *",
        {
            "h": height, "w": width, "channels": channels, "out_h": output[0], "out_w": output[1],
            "kernel_h": kernel.shape[0], "kernel_w": kernel.shape[1], "stride_h": window.stride_h,
            "stride_w": window.stride_w, "dilation_h": window.dilation_h, "dilation_w": window.dilation_w,
            "pad_top": window.pad_top, "pad_left": window.pad_left, "zero_point": zero_point,
        },
    )  # fmt: skip
    out, scratch = np.empty((samples, *output), np.int32), np.empty(channels, np.int32)
    _native.lib.vc_depthwise_products(
        _pointer("int32_t[]", out), _pointer("int8_t[]", np.ascontiguousarray(x)),
        _pointer("int8_t[]", np.ascontiguousarray(kernel)), shape, samples, _pointer("int32_t[]", scratch),
    )  # fmt: skip
    return out


def _int64(values: Any) -> Any:
    return _pointer("int64_t[]", np.array([value & WORD for value in values], np.uint64).view(np.int64))


def _pointer(kind: str, array: npt.NDArray[Any]) -> Any:
    if not array.flags.c_contiguous:
        raise ValueError("expected a contiguous array")
    return _native.ffi.from_buffer(kind, array)
