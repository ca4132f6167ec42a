# SPDX-License-Identifier: Apache-2.0
"""MAX_POOL_2D: a running maximum over the taps of a window, one column and one lookup for each tap but the first.

With x_0, x_1, ... what the taps see (-128 outside the image) and m_0 = x_0, the lookup of (m_{j-1} - x_j, m_j - x_j) in
the table of max(u, 0) makes m_j the greater of m_{j-1} and x_j: none other (membership), none smaller (dominance). A
clamp that can bite is one more lookup.
"""

import numpy as np

from vcompute.errors import TaskError
from vcompute.field import Backend, Ext
from vcompute.field.extension import lift
from vcompute.kernels.reference.linear import pad_image, tap
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.forms import Axis, Form, full, mass, window_axis
from vcompute.registry import ErrorCode
from vcompute.task import operators as ops

OUTSIDE = -128
"""What a tap outside the image counts as: no greater than anything."""


def pool_of(circuit: Circuit, node: Proved) -> ops.MaxPool2D:
    """The operator of a proved node with maxima."""
    operator = circuit.graph.nodes[node.node].operator
    if not isinstance(operator, ops.MaxPool2D):
        raise TaskError(f"{operator.name} has no running maximum", code=ErrorCode.UNSUPPORTED_OPERATOR)
    return operator


def seen_by_taps(circuit: Circuit, node: Proved, x: IntArray) -> list[IntArray]:
    """x_0, x_1, ...: what each tap sees of the operand, in the box of the node's columns."""
    operator = pool_of(circuit, node)
    image = pad_image(x, operator.window, OUTSIDE)
    size = circuit.graph.nodes[node.node].output.shape[:2]
    return [
        tap(image, operator.window, row, column, size).reshape(circuit.columns[node.column])
        for row in range(operator.kernel_h)
        for column in range(operator.kernel_w)
    ]


class TapForms:
    """x_0, x_1, ... of a node, weighed by ``axes``, as linear forms of its operand."""

    def __init__(self, circuit: Circuit, node: Proved, axes: tuple[Axis, ...], backend: Backend) -> None:
        operator = pool_of(circuit, node)
        window = operator.window
        self._operand = circuit.graph.nodes[node.node].inputs[0]
        self._axes, self._width = axes, operator.kernel_w
        image = circuit.graph.values[self._operand].shape
        one = lift(np.ones(1, np.uint64))
        rows, columns = full(axes[1], backend), full(axes[2], backend)
        self._rows = [
            window_axis(rows, one, image[0], window.stride_h, 1, window.pad_top - row, backend)
            for row in range(operator.kernel_h)
        ]
        self._columns = [
            window_axis(columns, one, image[1], window.stride_w, 1, window.pad_left - column, backend)
            for column in range(operator.kernel_w)
        ]
        self._mass = mass(axes)

    def add(self, form: Form, number: int, scale: Ext) -> None:
        """Add scale * <axes, x_number>."""
        row, column = divmod(number, self._width)
        seen = [self._axes[0], (self._rows[row],), (self._columns[column],), self._axes[3]]
        form.add_value(self._operand, scale, seen)
        form.constant = form.constant + scale * OUTSIDE * (self._mass - mass(seen))
