# SPDX-License-Identifier: Apache-2.0
"""The two reference semantics of int8 ``.tflite`` models. Both are exact; they differ in FULLY_CONNECTED alone."""

from enum import Enum

from vcompute.importers.tflite.schema import BuiltinOperator, OperatorCall
from vcompute.task.operators import Rounding


class Semantics(Enum):
    """Which runtime's reference kernels the model is to equal, bit for bit."""

    LITERT = "litert"
    """LiteRT 1.4 and later: FULLY_CONNECTED rounds once, with its factor taken in binary64"""
    CLASSIC = "classic"
    """TensorFlow Lite up to 2.14: double rounding everywhere"""


def rounding_of(call: OperatorCall, semantics: Semantics) -> Rounding:
    """How the requantisation of an operator rounds."""
    if semantics is Semantics.LITERT and call.code == BuiltinOperator.FULLY_CONNECTED:
        return Rounding.SINGLE
    return Rounding.DOUBLE
