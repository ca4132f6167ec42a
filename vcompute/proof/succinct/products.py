# SPDX-License-Identifier: Apache-2.0
"""The prover's two stacked tables: for each linear node, weights folded over its output channels, and its operand
folded over positions. The work is that of K^2 * (input elements), not that of the layer.
"""

from collections.abc import Mapping

import numpy as np

from vcompute.field import Backend, ExtWords, to_array
from vcompute.field.extension import lift
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.claims import Load
from vcompute.proof.succinct.contract import IntArray, contract_axis, outer, project
from vcompute.proof.succinct.forms import full, mass, window_axis
from vcompute.proof.succinct.setting import Prepared
from vcompute.proof.succinct.witness import Witness
from vcompute.task import operators as ops


def tables(
    circuit: Circuit, prepared: Prepared, witness: Witness, loads: Mapping[int, Load], backend: Backend
) -> tuple[ExtWords, ExtWords]:
    """Level 0 of the left and the right table."""
    boxes = circuit.products.boxes
    left: list[ExtWords] = [np.zeros((*box, 2), np.uint64) for box in boxes]
    right = [np.zeros((*box, 2), np.uint64) for box in boxes]
    for index, load in loads.items():
        numbers, words = circuit.boxes[index], prepared.weights[index]
        channels = backend.ext_mul(full(load.axes[-1], backend), to_array([load.scale]))
        box = boxes[numbers.kernel]
        left[numbers.kernel] = _folded_kernel(
            circuit, prepared, index, backend.ext_mul_base(channels, words["slope"]), backend
        ).reshape(*box, 2)
        right[numbers.kernel] = _folded_operand(circuit, witness, index, load, backend).reshape(*box, 2)
        left[numbers.bias] = to_array([backend.dot_base(channels, words["bias"])])[0]
        right[numbers.bias] = to_array([mass(load.axes[:-1])])[0]
        if numbers.step is not None:
            box = boxes[numbers.step]
            step = backend.ext_mul_base(channels, words["step"])
            left[numbers.step] = backend.sub(np.zeros_like(step), step).reshape(*box, 2)
            right[numbers.step] = _folded_sign(circuit, witness, index, load, backend).reshape(*box, 2)
    stack = circuit.products
    return stack.assemble(left, (0, 0)), stack.assemble(right, (0, 0))


def _folded_kernel(circuit: Circuit, prepared: Prepared, index: int, channels: ExtWords, backend: Backend) -> ExtWords:
    """The filter against a vector over output channels."""
    node = circuit.graph.nodes[index]
    kernel = prepared.model.constants[node.constants[0]]
    if isinstance(node.operator, ops.DepthwiseConv2D):
        taps = kernel.shape[0] * kernel.shape[1]
        words = elements(kernel.reshape(taps, -1))
        product = backend.ext_mul_base(np.tile(channels, (taps, 1)), words.reshape(-1))
        multiplier = node.operator.depth_multiplier
        grouped = product.reshape(-1, multiplier, 2)
        total = np.ascontiguousarray(grouped[:, 0])
        for part in range(1, multiplier):
            total = backend.add(total, np.ascontiguousarray(grouped[:, part]))
        return total
    return project([channels], kernel.reshape(kernel.shape[0], -1), backend)[0]


def _folded_operand(circuit: Circuit, witness: Witness, index: int, load: Load, backend: Backend) -> ExtWords:
    """The operand, less its zero point, against the positions' weights, for every tap and input channel."""
    node = circuit.graph.nodes[index]
    value = node.inputs[0]
    x: IntArray = witness.values[value].astype(np.int16) - circuit.graph.values[value].zero_point
    operator = node.operator
    if not isinstance(operator, (ops.Conv2D, ops.DepthwiseConv2D)):
        rows = outer([vector for axis in load.axes[:-1] for vector in axis], backend)
        return project([rows], x.reshape(-1, x.shape[-1]), backend)[0]
    window, (batch, height, width, depth) = operator.window, x.shape
    rows_of, columns_of = circuit.products.boxes[circuit.boxes[index].kernel][:2]
    positions = full(load.axes[1], backend), full(load.axes[2], backend)
    row_weights = [
        outer(
            [
                load.axes[0][0],
                _tap_axis(positions[0], k, height, window.stride_h, window.dilation_h, window.pad_top, backend),
            ],
            backend,
        )
        for k in range(rows_of)
    ]
    folded = project(row_weights, x.reshape(batch * height, width * depth), backend)
    table = np.stack(folded).reshape(rows_of, width, depth, 2)
    column_weights = [
        _tap_axis(positions[1], k, width, window.stride_w, window.dilation_w, window.pad_left, backend)
        for k in range(columns_of)
    ]
    return contract_axis(table, np.stack(column_weights), backend)


def _tap_axis(
    positions: ExtWords, tap: int, size: int, stride: int, dilation: int, before: int, backend: Backend
) -> ExtWords:
    one = lift(np.ones(1, np.uint64))
    return window_axis(positions, one, size, stride, dilation, before - tap * dilation, backend)


def _folded_sign(circuit: Circuit, witness: Witness, index: int, load: Load, backend: Backend) -> ExtWords:
    sign = circuit.proved[index].sign
    column = witness.columns[-1 if sign is None else sign]
    channels = circuit.graph.nodes[index].output.shape[-1]
    rows = outer([vector for axis in load.axes[:-1] for vector in axis], backend)
    return project([rows], column.reshape(-1, channels), backend)[0]
