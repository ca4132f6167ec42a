# SPDX-License-Identifier: Apache-2.0
"""Run a model with the fastest executor there is: the native core, else the numpy reference. Results are the same."""

from functools import lru_cache
from typing import Final

from vcompute import _native
from vcompute.kernels import reference
from vcompute.kernels.native import Plan, compile_plan
from vcompute.task import Batch, Model, make_batch

PLANS: Final = 4
"""How many compiled plans are kept: a worker runs few models, and each plan holds its weights once more."""


@lru_cache(maxsize=PLANS)
def plan_of(model: Model) -> Plan:
    """The compiled plan of a model; models with the same digest share one."""
    return compile_plan(model)


def run(model: Model, inputs: Batch, threads: int = 1) -> Batch:
    """The outputs of a run.

    Raises:
        TaskError: ``invalid_input`` where the batch is not of the graph's input types.
    """
    if not _native.available():
        _native.warn_fallback()
        return reference.run(model, inputs)
    if not all(array.flags.c_contiguous for array in inputs.arrays):
        inputs = make_batch(inputs.arrays)
    return plan_of(model).run_batch(inputs, threads)
