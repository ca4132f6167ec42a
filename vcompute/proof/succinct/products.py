# SPDX-License-Identifier: Apache-2.0
"""The prover's two stacked tables: for each linear node, weights folded over its output channels, and its operand
folded over positions. The work is that of K^2 * (input elements), not that of the layer.
"""

from collections.abc import Mapping

import numpy as np

from vcompute.field import Backend, ExtWords, to_array
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.claims import Load
from vcompute.proof.succinct.contract import contract_axis, outer, project, project_limbs
from vcompute.proof.succinct.forms import full, mass
from vcompute.proof.succinct.setting import Prepared
from vcompute.proof.succinct.witness import Witness
from vcompute.task import operators as ops


def empty_table(circuit: Circuit) -> ExtWords:
    """Level 0 of a table before any node's part."""
    return np.zeros((circuit.products.levels[0].size, 2), np.uint64)


def add_loads(
    left: ExtWords,
    right: ExtWords,
    circuit: Circuit,
    prepared: Prepared,
    witness: Witness,
    loads: Mapping[int, Load],
    backend: Backend,
) -> None:
    """Write the nodes' parts of both tables."""
    stack = circuit.products
    for index, load in loads.items():
        numbers, words = circuit.boxes[index], prepared.weights[index]
        weights = full(load.axes[-1], backend)
        channels = backend.ext_mul(weights, to_array([load.scale]))
        folded = _folded_kernel(circuit, prepared, index, backend.ext_mul_base(channels, words["slope"]), backend)
        stack.put(left, numbers.kernel, folded)
        stack.put(right, numbers.kernel, _folded_operand(circuit, witness, index, load, backend))
        bias = backend.dot_base(channels, words["bias"])
        if numbers.inverse is not None:
            bias = bias + load.gap * backend.dot_base(weights, words["gap"])
        stack.put(left, numbers.bias, to_array([bias]))
        stack.put(right, numbers.bias, to_array([mass(load.axes[:-1])]))
        if numbers.step is None and numbers.inverse is None:
            continue
        minus = backend.ext_mul(weights, to_array([-load.scale]))
        proved, rows = circuit.proved[index], outer([vector for axis in load.axes[:-1] for vector in axis], backend)
        if numbers.step is not None and proved.sign is not None:
            sign = witness.columns[proved.sign].reshape(-1, weights.shape[0])
            stack.put(left, numbers.step, backend.ext_mul_base(minus, words["step"]))
            stack.put(right, numbers.step, project([rows], sign, backend)[0])
        if numbers.inverse is not None:
            limbs = [witness.columns[limb].reshape(-1, weights.shape[0]) for limb in proved.limbs]
            stack.put(left, numbers.inverse, backend.ext_mul_base(minus, words["inverse"]))
            stack.put(right, numbers.inverse, project_limbs(rows, limbs, circuit.limb_bits, backend))


def _folded_kernel(circuit: Circuit, prepared: Prepared, index: int, channels: ExtWords, backend: Backend) -> ExtWords:
    """The filter against a vector over output channels."""
    node = circuit.graph.nodes[index]
    kernel = prepared.model.constants[node.constants[0]]
    if isinstance(node.operator, ops.DepthwiseConv2D):
        taps = kernel.shape[0] * kernel.shape[1]
        words = elements(kernel.reshape(taps, -1))
        product = backend.ext_mul_base(np.broadcast_to(channels, (taps, *channels.shape)), words)
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
    x, zero_point = witness.values[value], circuit.graph.values[value].zero_point
    operator = node.operator
    if not isinstance(operator, (ops.Conv2D, ops.DepthwiseConv2D)):
        rows = outer([vector for axis in load.axes[:-1] for vector in axis], backend)
        return project([rows], x.reshape(-1, x.shape[-1]), backend, zero_point)[0]
    window, (batch, height, width, depth) = operator.window, x.shape
    rows_of, columns_of = circuit.products.boxes[circuit.boxes[index].kernel][:2]
    positions = full(load.axes[1], backend), full(load.axes[2], backend)
    samples = load.axes[0][0]
    row_weights = [
        outer([samples, _seen_by(positions[0], k, height, window.stride_h, window.dilation_h, window.pad_top)], backend)
        for k in range(rows_of)
    ]
    folded = project(row_weights, x.reshape(batch * height, width * depth), backend, zero_point)
    table = np.asarray(folded).reshape(rows_of, width, depth, 2)
    column_weights = [
        _seen_by(positions[1], k, width, window.stride_w, window.dilation_w, window.pad_left) for k in range(columns_of)
    ]
    return contract_axis(table, np.stack(column_weights), backend)


def _seen_by(positions: ExtWords, tap: int, size: int, stride: int, dilation: int, before: int) -> ExtWords:
    """The weight of each input place under one tap: that of the position which sees it there."""
    result = np.zeros((size, 2), np.uint64)
    start = tap * dilation - before  # of position 0
    first, stop = max(0, -(start // stride)), min(positions.shape[0], (size - 1 - start) // stride + 1)
    if first < stop:
        result[start + stride * first : start + stride * (stop - 1) + 1 : stride] = positions[first:stop]
    return result
