# SPDX-License-Identifier: Apache-2.0
"""The native executor on the real models: stored outputs, and every intermediate value against the reference."""

import numpy as np
import pytest

from tests.support import models
from vcompute.importers import Semantics
from vcompute.kernels import reference
from vcompute.kernels.native import compile_plan
from vcompute.kernels.native.lower import value_bytes
from vcompute.task import make_batch

pytestmark = pytest.mark.models


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("semantics", Semantics)
@pytest.mark.parametrize("random", [False, True])
def test_stored_outputs(name: str, semantics: Semantics, random: bool) -> None:
    plan = compile_plan(models.load(name, semantics))
    expected = models.stored_outputs(name, semantics, random)
    got = plan.run(np.ascontiguousarray(models.stored_inputs(name, random)))
    np.testing.assert_array_equal(got, expected.reshape(got.shape))


@pytest.mark.parametrize("name", models.NAMES)
def test_every_value_is_the_reference_s(name: str) -> None:
    model = models.load(name)
    batch = make_batch(np.ascontiguousarray(models.stored_inputs(name, True)[:2]))
    for position, (got, expected) in enumerate(
        zip(compile_plan(model).trace(batch.arrays), reference.trace(model, batch), strict=True)
    ):
        assert got.dtype == expected.dtype
        np.testing.assert_array_equal(got, expected, err_msg=f"value {position}")


def test_peak_memory_is_near_the_weights_and_two_tensors() -> None:
    """What a run of MobileNetV2-224 holds, arena and packed constants, beside the weights and the largest operand and
    result that are alive together."""
    model = models.load("coral_mobilenet_v2_224_ptq")
    plan, sizes = compile_plan(model), [value_bytes(value) for value in model.graph.values]
    first = len(model.graph.inputs)
    alive = max(
        sizes[first + position] + max(sizes[operand] for operand in node.inputs)
        for position, node in enumerate(model.graph.nodes)
    )
    weights = sum(constant.nbytes for constant in model.constants)
    assert plan.arena_bytes + plan.constant_bytes < 1.2 * (weights + alive)
