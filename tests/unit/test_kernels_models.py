# SPDX-License-Identifier: Apache-2.0
"""The reference kernels on the real models: both runtimes' stored outputs, stored intermediate tensors, batches."""

import numpy as np
import pytest

from tests.support import models
from vcompute.importers import Semantics
from vcompute.kernels import reference
from vcompute.task import make_batch

pytestmark = pytest.mark.models


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("semantics", Semantics)
@pytest.mark.parametrize("random", [False, True])
def test_stored_outputs(name: str, semantics: Semantics, random: bool) -> None:
    x, y = models.stored_inputs(name, random), models.stored_outputs(name, semantics, random)
    if name == "coral_mobilenet_v2_224_ptq":  # 300 million MACs a sample; the native executor runs them all
        x, y = x[:1], y[:1]
    out = reference.run(models.load(name, semantics), make_batch(x)).arrays[0]
    np.testing.assert_array_equal(out, y.reshape(out.shape))


@pytest.mark.parametrize("name", [name for name in models.NAMES if name not in models.WITHOUT_TENSORS])
@pytest.mark.parametrize("sample", [0, 1])
def test_stored_tensors(name: str, sample: int) -> None:
    stored = models.stored_tensors(name, sample)
    assert stored
    x = models.stored_inputs(name, random=False)[sample : sample + 1]
    values = reference.trace(models.load(name), make_batch(x))[1:]
    found = {(value.shape, value.tobytes()) for value in values}
    assert found == {(array.shape, array.tobytes()) for array in stored}


@pytest.mark.parametrize("name", ["mlperftiny_ic_resnet8", "mlperftiny_sww_streaming"])
def test_a_batch_is_its_samples_one_by_one(name: str) -> None:
    model, x = models.load(name), models.stored_inputs(name, random=True)[:5]
    whole = reference.trace(model, make_batch(x))
    for index in range(5):
        single = reference.trace(model, make_batch(x[index : index + 1]))
        for together, alone in zip(whole, single, strict=True):
            np.testing.assert_array_equal(together[index], alone[0])
