# SPDX-License-Identifier: Apache-2.0
"""From scales to integers: against exact rational arithmetic."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcompute.errors import ImportFailed, TaskError
from vcompute.importers.tflite import scales
from vcompute.importers.tflite.single_rounding import Staircases, single_rounding
from vcompute.kernels.reference.requantize import multiply_by_quantized_multiplier
from vcompute.task import DType, Rounding, ValueType

INT8 = ValueType(DType.INT8, (1,), 0)


@given(st.floats(2.0**-31, 2.0**29))
def test_multiplier_is_normalised_and_the_nearest(real: float) -> None:
    multiplier, shift = scales.quantize_multiplier(real)
    assert 1 << 30 <= multiplier < 1 << 31
    error = abs(Fraction(multiplier) * Fraction(2) ** (shift - 31) - Fraction(real))
    assert error <= Fraction(2) ** (shift - 32)


@pytest.mark.parametrize(
    ("real", "expected"),
    [
        (0.0, (0, 0)),
        (1.0, (1 << 30, 1)),
        (0.5, (1 << 30, 0)),
        (1 - 2.0**-53, (1 << 30, 1)),  # rounds up to 2**31: halved, exponent one more
        (1 - 2.0**-32, (1 << 30, 1)),  # a tie goes away from zero
        (1 - 2.0**-31, ((1 << 31) - 1, 0)),
        (2.0**-32, (1 << 30, -31)),
        (2.0**-33, (0, 0)),
        (2.0**30 - 1, ((1 << 31) - 2, 30)),
    ],
)
def test_multiplier_edges(real: float, expected: tuple[int, int]) -> None:
    assert scales.quantize_multiplier(real) == expected


@pytest.mark.parametrize("real", [2.0**30, math.inf, -math.inf, math.nan, -0.5])
def test_multiplier_refuses(real: float) -> None:
    with pytest.raises(ImportFailed):
        scales.quantize_multiplier(real)


@given(st.floats(2.0**-8, 2.0**8), st.integers(1, 1 << 20))
def test_mean_multiplier_holds_the_division(ratio: float, count: int) -> None:
    requant = scales.mean_requant(ratio, count)
    real = Fraction(requant.multiplier) * Fraction(2) ** (requant.shift - 31)
    assert abs(real * count / Fraction(ratio) - 1) < Fraction(2) ** -28
    assert requant.multiplier < 1 << 31


@pytest.mark.parametrize(
    ("kind", "scale", "zero_point", "expected"),
    [
        (0, 0.1, 3, (-128, 127)),
        (1, 0.1, 3, (3, 127)),
        (1, 0.1, -128, (-128, 127)),
        (3, 0.1, 3, (3, 63)),
        (3, 0.01, 3, (3, 127)),
        (2, 0.25, 0, (-4, 4)),
        (2, 0.8, 0, (-1, 1)),  # 1.25 rounds to 1
        (2, 0.4, 0, (-3, 3)),  # 2.5 rounds away from zero
    ],
)
def test_activation_ranges(kind: int, scale: float, zero_point: int, expected: tuple[int, int]) -> None:
    assert scales.activation_range(kind, scale, ValueType(DType.INT8, (1,), zero_point)) == expected


def test_activation_refuses() -> None:
    with pytest.raises(TaskError, match="fused activation"):
        scales.activation_range(4, 0.1, INT8)
    with pytest.raises(ImportFailed, match="cannot be quantised"):
        scales.activation_range(3, 1e-45, INT8)


def test_logistic_table_is_the_function() -> None:
    for scale, zero_point in ((0.05, 0), (2.0**-4, -128), (8.0, 127), (1e-6, 5), (1e30, 0)):
        table = scales.logistic_table(scale, zero_point)
        reals = [float(np.float32(scale)) * (q - zero_point) for q in range(-128, 128)]
        expected = [256 / (1 + math.exp(-max(min(real, 700), -700))) - 128 for real in reals]
        assert np.all(np.abs(table - np.clip(expected, -128, 127)) <= 0.5 + 1e-4)
        assert np.all(np.diff(table.astype(int)) >= 0)


def test_softmax_multiplier() -> None:
    assert scales.softmax_multiplier(1.0, 2.0**-4) == (1 << 30, 23)
    assert scales.softmax_multiplier(1.0, 1e9) == ((1 << 31) - 1, 31)  # capped: exp of any difference is zero
    for beta in (0.0, -1.0, math.nan, 2.0**-30):
        with pytest.raises(ImportFailed, match="too small"):
            scales.softmax_multiplier(beta, 1.0)


def binary64(accumulators: np.ndarray, factor: float, least: int, greatest: int) -> list[int]:
    """The kernel in Python: one rounded product, half away from zero."""
    quotients = []
    for accumulator in accumulators.tolist():
        product = Fraction(float(accumulator) * factor)
        rounded = math.floor(abs(product) + Fraction(1, 2)) * (1 if product >= 0 else -1)
        quotients.append(min(max(rounded, least), greatest))
    return quotients


@given(
    st.one_of(st.floats(2.0**-24, 2.0), st.integers(-20, 3).map(lambda e: 2.0**e)),
    st.integers(-(2**18), 2**18),
    st.integers(1, 2**10),
    st.integers(-255, 0),
    st.integers(0, 255),
)
def test_single_rounding_is_binary64_on_the_whole_interval(
    factor: float, low: int, width: int, least: int, greatest: int
) -> None:
    stairs = Staircases(np.array([[factor]]), np.array([[low]]), np.array([[low + width]]), least, greatest)
    multiplier, shift = single_rounding(stairs, lambda cost: None)[0]
    accumulators = np.arange(low, low + width + 1)
    single = multiply_by_quantized_multiplier(accumulators, multiplier, shift, Rounding.SINGLE)
    assert np.clip(single, least, greatest).tolist() == binary64(accumulators, factor, least, greatest)


def test_exact_negative_ties_need_another_multiplier() -> None:
    """With a factor of one half, -1, -3, ... are ties; the nearest multiplier would round them up."""
    stairs = Staircases(np.array([[0.5]]), np.array([[-(2**16)]]), np.array([[2**16]]), -128, 127)
    costs: list[int] = []
    assert single_rounding(stairs, costs.append)[0] == ((1 << 30) + 1, 0)
    assert len(costs) == 1


def test_single_rounding_refuses_where_no_multiplier_agrees() -> None:
    """Accumulators up to 2**31 with exact ties on both sides: a larger multiplier moves the steps far out."""
    stairs = Staircases(np.array([[2.0**-24]]), np.array([[-(2**31)]]), np.array([[2**31 - 1]]), -128, 127)
    with pytest.raises(ImportFailed, match="no multiplier of 31 bits"):
        single_rounding(stairs, lambda cost: None)
