# SPDX-License-Identifier: Apache-2.0
"""Operator set v1: attributes, shape rules and work units. The arithmetic is in :mod:`vcompute.kernels.reference`."""

from typing import Final

from vcompute.codec import Variant
from vcompute.task.operators.base import Operator, Requant, Rounding, Work
from vcompute.task.operators.elementwise import Add, Logistic, Mul, Quantize, Softmax
from vcompute.task.operators.layout import Concatenation, Constant, Pad, Reshape, Transpose
from vcompute.task.operators.linear import BatchMatMul, Conv2D, DepthwiseConv2D, FullyConnected, MatMul, Window
from vcompute.task.operators.pooling import AveragePool2D, MaxPool2D, Mean

OPERATORS: Final[tuple[type[Operator], ...]] = (
    Conv2D,
    DepthwiseConv2D,
    FullyConnected,
    BatchMatMul,
    Add,
    Mul,
    AveragePool2D,
    MaxPool2D,
    Mean,
    Pad,
    Concatenation,
    Reshape,
    Transpose,
    Softmax,
    Logistic,
    Quantize,
    Constant,
    MatMul,
)
"""Every operator of the set, in order of opcode."""

OPERATOR_KIND: Final = Variant("operator", tuple((int(cls.opcode), cls) for cls in OPERATORS))
"""An operator on the wire: ``[opcode, attributes]``."""

__all__ = [
    "OPERATORS",
    "OPERATOR_KIND",
    "Add",
    "AveragePool2D",
    "BatchMatMul",
    "Concatenation",
    "Constant",
    "Conv2D",
    "DepthwiseConv2D",
    "FullyConnected",
    "Logistic",
    "MatMul",
    "MaxPool2D",
    "Mean",
    "Mul",
    "Operator",
    "Pad",
    "Quantize",
    "Requant",
    "Reshape",
    "Rounding",
    "Softmax",
    "Transpose",
    "Window",
    "Work",
]
