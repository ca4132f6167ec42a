# SPDX-License-Identifier: Apache-2.0
"""The witness by C kernels against the witness in numpy: every column, key, multiplicity and value."""

from collections.abc import Sequence

import numpy as np
import pytest

from tests.unit.proof.succinct.build import PLAIN, Sketch, image_network, inputs_for, int8, network
from tests.unit.proof.succinct.test_end_to_end import IMAGE_OPERATORS
from vcompute import _native
from vcompute.field import Backend, implementations
from vcompute.field import native as field_native
from vcompute.field.native import NativeBackend
from vcompute.field.portable import NumpyBackend
from vcompute.proof.succinct import floors
from vcompute.proof.succinct.setting import WITH_WEIGHTS, make_setting, prepare
from vcompute.proof.succinct.witness import make_witness
from vcompute.registry import ParameterSetId
from vcompute.task import Batch, Model, make_batch


def compare(model: Model, inputs: Batch, backends: Sequence[Backend] = implementations()) -> None:
    prepared = prepare(model)
    circuit = make_setting(prepared, inputs.size, int(ParameterSetId.TINY), WITH_WEIGHTS).circuit
    made = [make_witness(circuit, model, prepared.floors, prepared.plans, inputs, backend) for backend in backends]
    for witness in made[1:]:
        assert witness.columns.keys() == made[0].columns.keys()
        assert witness.keys.keys() == made[0].keys.keys()
        pairs = [(made[0].columns[i], witness.columns[i]) for i in witness.columns]
        pairs += [(made[0].keys[i], witness.keys[i]) for i in witness.keys]
        assert witness.raised.keys() == made[0].raised.keys()
        pairs += [(made[0].raised[i], witness.raised[i]) for i in witness.raised]
        pairs += list(zip(made[0].values, witness.values, strict=True))
        for expected, found in pairs:
            np.testing.assert_array_equal(expected, found, strict=False)
            assert expected.shape == found.shape


@pytest.mark.parametrize("name", IMAGE_OPERATORS)
@pytest.mark.parametrize("fill", [-128, 127, None])
def test_every_operator(name: str, fill: int | None) -> None:
    sketch = Sketch([int8(6, 5, 3, zero_point=-7)], seed=3)
    value = IMAGE_OPERATORS[name](sketch, sketch.conv(0, 4, zero_point=-11))
    model = sketch.model(sketch.conv(value, 2, 1, PLAIN))
    inputs = inputs_for(model, batch=3)
    compare(model, inputs if fill is None else make_batch([np.full_like(array, fill) for array in inputs.arrays]))


@pytest.mark.parametrize("seed", range(4))
def test_random_networks(seed: int) -> None:
    for model in (network(seed), image_network(seed)):
        compare(model, inputs_for(model, 1 + seed, seed))


@pytest.mark.skipif(not _native.available(), reason="threads belong to the native core")
@pytest.mark.parametrize("threads", [2, 5])
def test_threads_and_writing_around_the_caches(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(field_native, "LEAST_PART", 1)
    monkeypatch.setattr(floors, "STREAMED", 0)
    for seed in range(4):
        for model in (network(seed), image_network(seed)):
            compare(model, inputs_for(model, 3, seed), (NumpyBackend(), NativeBackend(threads)))
