# SPDX-License-Identifier: Apache-2.0
"""The native executor against the reference kernels on imported random operators and at rounding ties."""

import numpy as np
import pytest

from tests.support import random_models, tie_models
from vcompute.errors import ImportFailed
from vcompute.importers import Semantics, import_tflite
from vcompute.kernels import reference
from vcompute.kernels.native import compile_plan
from vcompute.task import Model, make_batch

SEEDS = 100
TIE_SEEDS = 20


def check(model: Model, inputs: list[np.ndarray], seed: int) -> None:
    expected = reference.trace(model, make_batch(inputs))
    for position, (got, wanted) in enumerate(zip(compile_plan(model).trace(inputs), expected, strict=True)):
        np.testing.assert_array_equal(got, wanted, err_msg=f"seed {seed}, value {position}")


@pytest.mark.parametrize("name", random_models.BUILDERS)
def test_random_operator(name: str) -> None:
    for seed in range(SEEDS):
        model = import_tflite(random_models.build(name, seed))
        rng = np.random.default_rng(seed)
        size = int(rng.integers(1, 7))
        check(model, [random_models.random_inputs(rng, size, value.shape) for value in model.graph.inputs], seed)


@pytest.mark.parametrize("name", [name for name in tie_models.BUILDERS if "per_channel" not in name])
def test_ties(name: str) -> None:
    for seed in range(TIE_SEEDS):
        case = tie_models.build(name, seed)
        for semantics in Semantics:
            try:
                model = import_tflite(case.model, semantics)
            except ImportFailed:
                continue  # beyond 31-bit multipliers; tests/oracles counts these
            check(model, [x[np.newaxis] for x in case.inputs], seed)
