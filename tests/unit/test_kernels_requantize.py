# SPDX-License-Identifier: Apache-2.0
"""Requantisation against exact rational arithmetic, fixed-point functions against the real ones."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from vcompute.kernels.reference import activation, fixed_point
from vcompute.kernels.reference.requantize import multiply_by_quantized_multiplier, rounding_divide_by_power_of_two
from vcompute.task import DType, Rounding, ValueType
from vcompute.task.operators import Softmax

MULTIPLIERS = st.integers(0, 2**31 - 1) | st.sampled_from([0, 1, 1 << 30, (1 << 30) + 1, 2**31 - 1])
SHIFTS = st.integers(-31, 30)
ACCUMULATORS = st.integers(-(2**31), 2**31 - 1) | st.integers(-300, 300)


def half_up(x: Fraction) -> int:
    return math.floor(x + Fraction(1, 2))


def half_away(x: Fraction) -> int:
    return math.floor(abs(x) + Fraction(1, 2)) * (1 if x >= 0 else -1)


def double(accumulator: int, multiplier: int, shift: int) -> int:
    """VC-INT-002 in rational arithmetic."""
    high = half_up(Fraction(accumulator * 2 ** max(shift, 0) * multiplier, 2**31))
    return half_away(Fraction(high, 2 ** max(-shift, 0)))


def single(accumulator: int, multiplier: int, shift: int) -> int:
    """VC-INT-003 in rational arithmetic."""
    return half_up(Fraction(accumulator * multiplier) * Fraction(2) ** (shift - 31))


@given(ACCUMULATORS, MULTIPLIERS, SHIFTS)
def test_both_rules_are_their_rational_definitions(accumulator: int, multiplier: int, shift: int) -> None:
    accumulator >>= max(shift, 0)  # a left shift stays within int32: models are refused otherwise
    x = np.array([accumulator], np.int64)
    for rule, rounding in ((double, Rounding.DOUBLE), (single, Rounding.SINGLE)):
        got = multiply_by_quantized_multiplier(x, multiplier, shift, rounding)
        assert int(got[0]) == rule(accumulator, multiplier, shift)


@given(st.integers(-(2**40), 2**40), st.integers(0, 31))
def test_rounding_shift_goes_half_away_from_zero(x: int, exponent: int) -> None:
    got = rounding_divide_by_power_of_two(np.array([x], np.int64), exponent)
    assert int(got[0]) == half_away(Fraction(x, 2**exponent))


def test_the_two_rules_differ() -> None:
    """Where the first rounding of the double rule makes a tie that the exact product is not."""
    pairs = [(a, m) for a in range(-40, 40) for m in (1 << 30, 3 << 29, 0x55555555)]
    assert any(double(a, m, -3) != single(a, m, -3) for a, m in pairs)


def test_scalar_and_per_channel_shifts_agree() -> None:
    x = np.arange(-1000, 1000, dtype=np.int64).reshape(-1, 4) * 12345
    multiplier, shift = np.array([1 << 30, 2**31 - 1, 0, 77]), np.array([0, -7, -31, 3])
    together = multiply_by_quantized_multiplier(x >> 3, multiplier, shift, Rounding.DOUBLE)
    for channel in range(4):
        alone = multiply_by_quantized_multiplier(
            x[:, channel] >> 3, int(multiplier[channel]), int(shift[channel]), Rounding.DOUBLE
        )
        np.testing.assert_array_equal(together[:, channel], alone)


def test_exp_is_exp() -> None:
    """exp(a) for a in (-32, 0]: within 2**-21 of the real one, as a polynomial of degree 4 is."""
    a = np.concatenate([np.arange(-(2**31) + 1, 0, 7_654_321), [-1, 0]]).astype(np.int64)
    got = fixed_point.exp_of_negative(a, 5) / 2**31
    np.testing.assert_allclose(got, np.exp(a / 2.0**26), atol=2.0**-21)


def test_reciprocal_is_the_reciprocal() -> None:
    a = np.arange(0, 2**31, 3_456_789, dtype=np.int64)
    got = fixed_point.one_over_one_plus(a) / 2**31
    np.testing.assert_allclose(got, 1 / (1 + a / 2.0**31), atol=2.0**-27)


@pytest.mark.parametrize(("scale_exponent", "depth"), [(-6, 3), (-4, 10), (-2, 1000), (0, 4095)])
def test_softmax_is_softmax_to_half_a_step(scale_exponent: int, depth: int) -> None:
    x = np.random.default_rng(depth).integers(-128, 128, (4, depth)).astype(np.int8)
    x[0] = 5  # all equal: the sum of exponentials is the depth
    operator = Softmax(1 << 30, 27 + scale_exponent)  # 2**(30 - 31 + shift) = 2**26 * 2**scale_exponent
    got = activation.softmax(operator, x, ValueType(DType.INT8, (depth,), -128))
    real = x * 2.0**scale_exponent
    exponentials = np.exp(real - real.max(axis=1, keepdims=True))
    expected = 256 * exponentials / exponentials.sum(axis=1, keepdims=True) - 128
    assert np.all(np.abs(got - np.minimum(expected, 127)) <= 0.51)
