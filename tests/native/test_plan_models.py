# SPDX-License-Identifier: Apache-2.0
"""The native executor on the real models: stored outputs, and every intermediate value against the reference."""

import numpy as np
import pytest

from tests.support import models
from vcompute.importers import Semantics
from vcompute.kernels import reference
from vcompute.kernels.native import compile_plan
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
