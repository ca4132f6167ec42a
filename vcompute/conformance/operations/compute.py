# SPDX-License-Identifier: Apache-2.0
"""Operations that run models, with either set of kernels."""

from collections.abc import Callable, Mapping
from typing import Any, Final

import numpy as np

from vcompute.conformance.wire import to_bytes, to_text
from vcompute.errors import UsageError
from vcompute.kernels import reference
from vcompute.kernels.reference.requantize import multiply_by_quantized_multiplier
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, Rounding, decode_batch, decode_model, make_batch
from vcompute.task.tensor import NDArray

Trace = Callable[[Model, Batch], list[NDArray]]
Operation = Callable[[Mapping[str, Any]], Mapping[str, Any]]

TRACES: Final[dict[str, Trace]] = {"portable": reference.trace}
"""Executors that give every value of a run, by the name of their kernels."""


def requantize(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{values, multiplier, shift, rounding}`` -> ``{values}``, before the zero point and the clamp."""
    values = np.array([int(value) for value in request["values"]], np.int64)
    scaled = multiply_by_quantized_multiplier(
        values, int(request["multiplier"]), int(request["shift"]), Rounding(int(request["rounding"]))
    )
    return {"values": [int(value) for value in scaled]}


def _run(trace: Trace, request: Mapping[str, Any]) -> tuple[Model, list[NDArray]]:
    model = decode_model(to_bytes(request["model"]))
    return model, trace(model, decode_batch(to_bytes(request["inputs"])))


def operations(kernels: str) -> dict[str, Operation]:
    """The operations with these kernels."""
    if kernels not in TRACES:
        raise UsageError(
            "kernels that are not there", code=ErrorCode.NATIVE_UNAVAILABLE, expected=sorted(TRACES), got=kernels
        )
    trace = TRACES[kernels]

    def run(request: Mapping[str, Any]) -> Mapping[str, Any]:
        """``{model, inputs}`` -> ``{outputs}``, an encoded batch."""
        model, values = _run(trace, request)
        return {"outputs": to_text(make_batch([values[index] for index in model.graph.outputs]).encoded)}

    def layers(request: Mapping[str, Any]) -> Mapping[str, Any]:
        """``{model, inputs}`` -> ``{digests}``, for each node that of the batch of its output alone."""
        model, values = _run(trace, request)
        outputs = values[len(model.graph.inputs) :]
        return {"digests": [to_text(make_batch(array).digest) for array in outputs]}

    return {"compute.requantize": requantize, "compute.run": run, "compute.trace": layers}
