# SPDX-License-Identifier: Apache-2.0
"""Imported models against ai-edge-litert's reference kernels, live: random operators, rounding ties, real models."""

import numpy as np
import pytest

from tests.support import models, random_models, tie_models
from tests.support.litert import Oracle
from vcompute.errors import ImportFailed
from vcompute.importers import import_tflite
from vcompute.importers.tflite.schema import read_subgraph
from vcompute.kernels import reference
from vcompute.task import make_batch

pytestmark = pytest.mark.litert

SEEDS = 120
TIE_SEEDS = 25


def signed(array: np.ndarray) -> np.ndarray:
    """The int8 array that stands for the same reals as an int8 or uint8 one."""
    return (array.astype(np.int16) - 128).astype(np.int8) if array.dtype == np.uint8 else array


def content(array: np.ndarray) -> tuple[tuple[int, ...], bytes]:
    """An array as something that can stand in a set."""
    return array.shape, array.tobytes()


@pytest.mark.parametrize("name", random_models.BUILDERS)
def test_random_operator(name: str) -> None:
    """Batches of six samples through the reference kernels equal six runs of the runtime."""
    distinct = 0
    for seed in range(SEEDS):
        data = random_models.build(name, seed)
        oracle, rng = Oracle(data), np.random.default_rng(seed)
        inputs = [random_models.random_inputs(rng, 6, tuple(d["shape"][1:]), d["dtype"]) for d in oracle.inputs]
        expected = signed(np.stack([oracle.run(*sample)[0] for sample in zip(*inputs, strict=True)]))
        out = reference.run(import_tflite(data), make_batch([signed(x) for x in inputs])).arrays[0]
        np.testing.assert_array_equal(out, expected.reshape(out.shape), err_msg=f"seed {seed}")
        distinct += np.unique(out).size
    assert distinct > 4 * SEEDS, "the outputs say little: nearly all are the same"


@pytest.mark.parametrize("name", tie_models.BUILDERS)
def test_ties(name: str) -> None:
    """At and next to rounding ties, where one bit of a factor, or another rule, gives another output."""
    refused = 0
    for seed in range(TIE_SEEDS):
        case = tie_models.build(name, seed)
        expected = Oracle(case.model).run(*case.inputs)[0]
        try:
            model = import_tflite(case.model)
        except ImportFailed:
            # Accumulators beyond 2**28 next to a tie: refused rather than rounded another way.
            refused += 1
            continue
        out = reference.run(model, make_batch([x[np.newaxis] for x in case.inputs])).arrays[0]
        np.testing.assert_array_equal(out[0], expected, err_msg=f"seed {seed}")
    assert refused <= 2


@pytest.mark.models
@pytest.mark.parametrize("name", models.NAMES)
def test_every_intermediate_tensor_of_a_real_model(name: str) -> None:
    """Each operator's output, for real and random inputs, in the canonical order's place of it."""
    path = models.directory() / f"{name}.tflite"
    oracle = Oracle(path.read_bytes())
    model = models.load(name)
    for random in (False, True):
        x = models.stored_inputs(name, random)[0]
        values = reference.trace(model, make_batch(x[np.newaxis]))[1:]
        unsigned = oracle.inputs[0]["dtype"] == np.uint8
        oracle.run((x.astype(np.int16) + 128).astype(np.uint8) if unsigned else x)
        expected = {content(signed(array)) for array in oracle.operator_outputs()}
        found = {content(value[0]) for value in values}
        # The file's order may differ from the canonical one; a QUANTIZE that does nothing is no node.
        assert expected - {content(x)} == found - {content(x)}
    assert len(values) >= len(read_subgraph(path.read_bytes()).operators) - 2
