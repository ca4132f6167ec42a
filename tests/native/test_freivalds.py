# SPDX-License-Identifier: Apache-2.0
"""The projection kernels of `freivalds`, for every instruction set, against Python integers."""

import os
import subprocess
import sys

import numpy as np
import pytest

from vcompute import _native
from vcompute.field.goldilocks import P
from vcompute.kernels.reference.linear import requantize_channels
from vcompute.proof.projection import NativeProjection, NumpyProjection, Projection
from vcompute.proof.requantize import requantize
from vcompute.task import DType, Rounding, ValueType
from vcompute.task.operators import FullyConnected

EDGES = (0, 1, P - 1, P - 2, 2**63, 2**32, 2**32 - 1, 0x7FFF7FFF7FFF7FFF, 0x7FFF7FFF7FFF8000, 0x8000800080008000)
SHAPES = [(1, 1), (1, 3), (3, 4), (8, 64), (9, 255), (17, 257), (65, 100), (64, 513), (2, 16385)]


def vector(rng: np.random.Generator, size: int) -> np.ndarray:
    words = rng.integers(0, P, (size, 2), np.uint64)
    edges = rng.integers(0, len(EDGES), (size, 2))
    return np.where(rng.random((size, 2)) < 0.3, np.array(EDGES, np.uint64)[edges], words)


def matrix(rng: np.random.Generator, shape: tuple[int, int], dtype: type) -> np.ndarray:
    info = np.iinfo(dtype)
    values = rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    return np.where(rng.random(shape) < 0.3, rng.choice([info.min, info.max, -1, 0], shape), values).astype(dtype)


def oracle(values: np.ndarray, words: np.ndarray) -> list[list[int]]:
    product = values.astype(object) @ words.astype(object)
    return [[int(x) % P for x in row] for row in product]


def check(projection: Projection, shapes: list[tuple[int, int]]) -> None:
    for shape in shapes:
        rng = np.random.default_rng([17, *shape])
        right, left = vector(rng, shape[1]), vector(rng, shape[0])
        for dtype in (np.int8, np.int32):
            values = matrix(rng, shape, dtype)
            assert projection.project(values, right).tolist() == oracle(values, right), (shape, dtype)
        values = matrix(rng, shape, np.int8)
        assert projection.project_transposed(values, left).tolist() == oracle(values.T, left), shape
    full = np.full((3, 65536 + 5), -128, np.int8)  # every chunk's sums at their extreme
    right = np.full((full.shape[1], 2), P - 1, np.uint64)
    total = -128 * (P - 1) * full.shape[1] % P
    assert projection.project(full, right).tolist() == [[total, total]] * 3
    assert projection.project_transposed(full.T.copy(), right).tolist() == [[total, total]] * 3


def test_numpy_twin_equals_python_integers() -> None:
    check(NumpyProjection(), SHAPES)


@pytest.mark.parametrize("isa", ["portable", "avx2", "avx512,avx512vnni", ""])
def test_native_equals_python_integers(isa: str) -> None:
    _native.require()
    program = "from tests.native.test_freivalds import *; check(NativeProjection(), SHAPES)"
    environment = {**os.environ, "VCOMPUTE_ISA": isa}
    done = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_results_are_canonical() -> None:
    _native.require()
    zero = NativeProjection().project(np.array([[1, 1]], np.int8), np.array([[1, P - 1], [P - 1, 1]], np.uint64))
    assert zero.tolist() == [[0, 0]]


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("zero_point", [-128, -3, 0, 127])
def test_requantisation_of_products_equals_the_reference(rounding: Rounding, zero_point: int) -> None:
    _native.require()
    rng = np.random.default_rng([3, zero_point + 128])
    shift = np.arange(-31, 31, dtype=np.int8)
    count = shift.size
    multiplier = rng.choice([0, 1, 1 << 30, (1 << 31) - 1, 1518500250], count).astype("<i4")
    bias = rng.integers(-1000, 1000, count).astype("<i4")
    limit = ((1 << 31) - 1) >> np.maximum(shift, 0).astype(np.int64)
    edges = [np.full(count, -1), np.zeros(count), np.ones(count), limit, -limit, limit // 2, -(limit // 2)]
    sums = np.array([*edges, *(rng.integers(-limit, limit, endpoint=True) for _ in range(200))], np.int64)
    products = np.clip(sums - bias, -(1 << 31), (1 << 31) - 1)
    products = np.where(np.abs(products + bias) <= limit, products, -bias).astype("<i4")
    operator = FullyConnected(rounding, -100, 120)
    output = ValueType(DType.INT8, (count,), zero_point)
    constants = (np.zeros((count, 1), np.int8), bias, multiplier, shift)
    expected = requantize_channels(products.astype(np.int64), constants, operator, output)
    assert (requantize(products, constants, operator, output) == expected).all()
