# SPDX-License-Identifier: Apache-2.0
"""Operations that run models, with either set of kernels."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from vcompute.conformance.wire import to_bytes, to_text
from vcompute.kernels import reference
from vcompute.kernels.reference.requantize import multiply_by_quantized_multiplier
from vcompute.task import Batch, Model, Rounding, decode_batch, decode_model, make_batch
from vcompute.task.tensor import NDArray

Operation = Callable[[Mapping[str, Any]], Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Executor:
    """One set of kernels."""

    run: Callable[[Model, Batch], Batch]
    trace: Callable[[Model, Batch], Sequence[NDArray]]
    """every value of a run by number"""


def _native() -> Executor:
    from vcompute import _native
    from vcompute.kernels.native import compile_plan

    _native.require()
    return Executor(
        lambda model, inputs: compile_plan(model).run_batch(inputs),
        lambda model, inputs: compile_plan(model).trace(inputs.arrays),
    )


EXECUTORS: Final[dict[str, Callable[[], Executor]]] = {
    "portable": lambda: Executor(reference.run, reference.trace),
    "native": _native,
}
"""By the name of their kernels."""


def requantize(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{values, multiplier, shift, rounding}`` -> ``{values}``, before the zero point and the clamp."""
    values = np.array([int(value) for value in request["values"]], np.int64)
    scaled = multiply_by_quantized_multiplier(
        values, int(request["multiplier"]), int(request["shift"]), Rounding(int(request["rounding"]))
    )
    return {"values": [int(value) for value in scaled]}


def operations(kernels: str) -> dict[str, Operation]:
    """The operations with these kernels.

    Raises:
        UsageError: ``native_unavailable``.
    """
    executor = EXECUTORS[kernels]()

    def read(request: Mapping[str, Any]) -> tuple[Model, Batch]:
        return decode_model(to_bytes(request["model"])), decode_batch(to_bytes(request["inputs"]))

    def run(request: Mapping[str, Any]) -> Mapping[str, Any]:
        """``{model, inputs}`` -> ``{outputs}``, an encoded batch."""
        return {"outputs": to_text(executor.run(*read(request)).encoded)}

    def layers(request: Mapping[str, Any]) -> Mapping[str, Any]:
        """``{model, inputs}`` -> ``{digests}``, for each node that of the batch of its output alone."""
        model, inputs = read(request)
        outputs = executor.trace(model, inputs)[len(model.graph.inputs) :]
        return {"digests": [to_text(make_batch(array).digest) for array in outputs]}

    return {"compute.requantize": requantize, "compute.run": run, "compute.trace": layers}
