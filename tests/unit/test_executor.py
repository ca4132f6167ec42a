# SPDX-License-Identifier: Apache-2.0
"""The executor gives the reference's results whichever it picks, and says once where it is slow."""

import subprocess
import sys

import numpy as np
import pytest

from tests.unit.proof.dense import dense, samples
from vcompute.errors import TaskError
from vcompute.kernels import executor, reference
from vcompute.task import Batch, make_batch

WITHOUT_CORE = """
import sys, warnings
sys.modules["vcompute._native._core"] = None  # as where no C compiler was there
from tests.unit.proof.dense import dense, samples
from vcompute.kernels import executor, reference
from vcompute.proof.api import prove, verify
from vcompute.proof.statement import Statement
model = dense()
with warnings.catch_warnings(record=True) as caught:
    warnings.simplefilter("always")
    assert executor.run(model, samples(model)) == reference.run(model, samples(model))
    for suite in ("replay", "freivalds"):
        outputs, proof = prove(model, samples(model), suite)
        verify(Statement(model, samples(model), outputs), proof)
assert [str(w.message) for w in caught if "native core" in str(w.message)] == [str(caught[0].message)]
"""


@pytest.mark.parametrize("threads", [1, 2])
def test_results_are_the_reference_s(threads: int) -> None:
    model = dense()
    batch = samples(model, 7)
    assert executor.run(model, batch, threads) == reference.run(model, batch)


def test_arrays_in_any_order_are_taken() -> None:
    model = dense()
    array = np.asfortranarray(samples(model).arrays[0])
    assert executor.run(model, Batch((array,))) == reference.run(model, make_batch(array))


def test_models_of_one_digest_share_a_plan() -> None:
    assert executor.plan_of(dense()) is executor.plan_of(dense())


def test_wrong_inputs_are_refused() -> None:
    with pytest.raises(TaskError, match="input 0"):
        executor.run(dense(), make_batch(np.zeros((2, 3), np.int8)))


def test_without_the_native_core_results_are_the_same_and_one_warning_says_so() -> None:
    done = subprocess.run([sys.executable, "-c", WITHOUT_CORE], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
