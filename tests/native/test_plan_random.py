# SPDX-License-Identifier: Apache-2.0
"""The native executor against the reference on random models of every operator, and its refusals."""

import threading

import numpy as np
import pytest

from tests.support import graphs
from vcompute.errors import TaskError, UsageError
from vcompute.kernels import reference
from vcompute.kernels.native import compile_plan
from vcompute.task.operators import OPERATORS, Constant, Reshape

SEEDS = 25


@pytest.mark.parametrize("maker", graphs.OPERATORS, ids=lambda maker: maker.__name__)
def test_every_operator_is_the_reference_s(maker: object) -> None:
    for seed in range(SEEDS):
        model = graphs.random_model(maker, seed)
        batch = graphs.random_batch(model, seed, 1 + seed % 5)
        expected = reference.run(model, batch)
        got = compile_plan(model).run_batch(batch)
        message = f"seed {seed}: {model.graph.nodes[0].operator} of {model.graph.inputs}"
        np.testing.assert_array_equal(got.arrays[0], expected.arrays[0], err_msg=message)
        assert got.arrays[0].dtype == expected.arrays[0].dtype


@pytest.mark.parametrize("seed", range(40))
def test_every_value_of_a_random_network_is_the_reference_s(seed: int) -> None:
    model = graphs.random_model(graphs.network, seed)
    batch = graphs.random_batch(model, seed, 1 + seed % 3)
    plan = compile_plan(model)
    for got, expected in zip(plan.run_batch(batch).arrays, reference.run(model, batch).arrays, strict=True):
        np.testing.assert_array_equal(got, expected)
    for got, expected in zip(plan.trace(batch.arrays), reference.trace(model, batch), strict=True):
        np.testing.assert_array_equal(got, expected)


def test_the_makers_cover_the_operator_set() -> None:
    models = [graphs.random_model(maker, seed) for maker in graphs.OPERATORS for seed in range(9)]
    seen = {type(model.graph.nodes[0].operator) for model in models}
    assert seen | {Reshape, Constant} == set(OPERATORS)


@pytest.fixture(scope="module")
def model():
    return graphs.random_model(graphs.conv_2d, 3)


@pytest.mark.parametrize("size", [1, 2, 63, 64, 65, 200])
@pytest.mark.parametrize("threads", [1, 3])
def test_batches_of_any_size_and_threads(model, size: int, threads: int) -> None:
    batch = graphs.random_batch(model, size, size)
    expected = reference.run(model, batch).arrays[0]
    np.testing.assert_array_equal(compile_plan(model).run(batch.arrays[0], threads), expected)


def test_one_plan_serves_many_threads_at_once(model) -> None:
    plan, results = compile_plan(model), {}
    batches = [graphs.random_batch(model, seed, 5) for seed in range(6)]

    def work(index: int) -> None:
        for _ in range(20):
            results[index] = plan.run(batches[index].arrays[0])

    threads = [threading.Thread(target=work, args=(index,)) for index in range(len(batches))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for index, batch in enumerate(batches):
        np.testing.assert_array_equal(results[index], reference.run(model, batch).arrays[0])


def test_misuse_is_refused(model) -> None:
    plan = compile_plan(model)
    good = graphs.random_batch(model, 0, 2).arrays[0]
    for bad in (good[0], good.astype(np.int16), good[:, :1], good[:0], np.asfortranarray(good), np.array(3, np.int8)):
        with pytest.raises(TaskError):
            plan.run(bad)
    with pytest.raises(TaskError):
        plan.run((good, good))
    with pytest.raises(TaskError):
        plan.run(())
    with pytest.raises(UsageError):
        plan.run(good, threads=0)
