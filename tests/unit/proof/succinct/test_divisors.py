# SPDX-License-Identifier: Apache-2.0
"""Divided floors give exactly the integers of the semantics, with the least divisors; native and readable alike."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.proof.succinct.build import Sketch, int8
from tests.unit.proof.succinct.test_requant import CLAMPS, EXTREME, check, oracle, values_of
from tests.unit.proof.succinct.test_witness import compare
from vcompute import _native
from vcompute.proof.succinct import divisors
from vcompute.proof.succinct.divisors import Divisors, find_divisors, simplest_fractions
from vcompute.proof.succinct.requant import search
from vcompute.proof.succinct.setting import prepare
from vcompute.proof.succinct.steps import Steps, channel_steps
from vcompute.task import make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Rounding

needs_core = pytest.mark.skipif(not _native.available(), reason="the native core is not built")
WAYS = [(18, 1), (13, 2), (12, 2), (11, 2), (8, 3), (6, 4)]
"""Widths and numbers of limbs."""


def channels(seed: int, count: int = 12, widest: int = 26) -> tuple[Steps, list[tuple[int, int]], tuple[int, int, int]]:
    """Step functions of random channels, a dead and a constant one among them, and the rule of each."""
    rng = np.random.default_rng(seed)
    width = (1 << rng.integers(3, widest, count)).astype(np.int64)
    low, high = -rng.integers(0, width), rng.integers(0, width) + 1
    multiplier, shift = rng.integers(1 << 30, 1 << 31, count), rng.integers(-14, 2, count)
    if count > 2:
        multiplier[0], multiplier[1], low[2] = 0, 1 << 30, high[2]
    clamp, rounding = CLAMPS[seed % len(CLAMPS)], list(Rounding)[seed // len(CLAMPS) % 2]
    rules = list(zip(multiplier.tolist(), shift.tolist(), strict=True))
    return channel_steps(multiplier, shift, rounding, clamp, low, high), rules, clamp


def rounding_of(seed: int) -> Rounding:
    return list(Rounding)[seed // len(CLAMPS) % 2]


@pytest.mark.parametrize("two_sided", [False, True])
@pytest.mark.parametrize("seed", range(28))
def test_every_channel_keeps_its_steps(seed: int, two_sided: bool) -> None:
    steps, rules, clamp = channels(seed)
    found = find_divisors(search(steps, two_sided))
    for width, limbs in WAYS:
        floor = found.floor(width, limbs)
        if floor is None:
            continue
        assert floor.remainder_bits == width * limbs
        assert all(0 < m <= 1 << width * limbs and m % (1 << width * (limbs - 1)) == 0 for m in floor.divisors)
        assert all(0 <= gap < 1 << width for gap in floor.gaps(width))
        for channel, (multiplier, shift) in enumerate(rules):
            check(steps, floor, channel, (multiplier, shift, rounding_of(seed), clamp))


def test_most_channels_have_small_divisors() -> None:
    """One limb serves most one-sided channels whose quotients are a few hundred: what a power of two never does."""
    served = total = 0
    for seed in range(40):
        rng = np.random.default_rng(seed)
        scale = float(rng.uniform(0.002, 0.02))
        multiplier, shift = round(scale * 2**39), -8
        steps = channel_steps(
            np.array([multiplier]), np.array([shift]), Rounding.SINGLE, (-128, -128, 127), np.array([-(1 << 19)]),
            np.array([1 << 19]),
        )  # fmt: skip
        prepared = search(steps, two_sided=False)
        bits = prepared.least_bits()
        assert bits is None or bits > 20
        served += find_divisors(prepared).floor(18, 1) is not None
        total += 1
    assert served > total * 3 // 4


@pytest.mark.parametrize("seed", range(20))
def test_every_accumulator_of_small_ranges(seed: int) -> None:
    """No thresholds here: each accumulator of a small range, against the rule."""
    steps, rules, clamp = channels(seed, 6, 10)
    for two_sided in (False, True):
        found = find_divisors(search(steps, two_sided))
        for width, limbs in WAYS:
            floor = found.floor(width, limbs)
            for channel, (multiplier, shift) in enumerate(rules if floor else ()):
                for acc in range(int(steps.low[channel]), int(steps.high[channel]) + 1):
                    expected = oracle(acc, multiplier, shift, rounding_of(seed), clamp)
                    assert floor is not None
                    assert values_of(floor, channel, acc, clamp) == {expected}


@pytest.mark.parametrize("channel", EXTREME)
def test_extreme_channels_are_right_or_have_none(
    channel: tuple[Rounding, int, int, int, int, tuple[int, int, int]],
) -> None:
    rounding, multiplier, shift, low, high, clamp = channel
    steps = channel_steps(np.array([multiplier]), np.array([shift]), rounding, clamp, np.array([low]), np.array([high]))
    for two_sided in (False, True):
        found = find_divisors(search(steps, two_sided))
        for width, limbs in ((18, 1), (18, 2), (16, 2), (12, 3)):
            floor = found.floor(width, limbs)
            if floor is not None:
                check(steps, floor, 0, (multiplier, shift, rounding, clamp))


def test_t_keeps_its_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    ends = np.array([-(1 << 19)]), np.array([1 << 19])
    steps = channel_steps(np.array([1234567890]), np.array([-9]), Rounding.SINGLE, (0, -128, 127), *ends)
    found = find_divisors(search(steps, False))
    floor = found.floor(13, 2)
    assert floor is not None
    most = max(abs(floor.slope[0] * int(end[0]) + floor.offset[0]) for end in ends)
    assert most <= divisors.MAX_T
    monkeypatch.setattr(divisors, "MAX_T", most - 1)
    assert found.floor(13, 2) is None


@needs_core
@pytest.mark.parametrize("seed", range(28))
def test_the_native_search_finds_the_same_divisors(seed: int) -> None:
    steps, _, _ = channels(seed)
    for two_sided in (False, True):
        both = [find_divisors(search(steps, two_sided, native=native)) for native in (True, False)]
        assert same_fractions(both[0], both[1])
        for width, limbs in WAYS:
            assert both[0].floor(width, limbs) == both[1].floor(width, limbs)


def same_fractions(one: Divisors, other: Divisors) -> bool:
    """Equal fractions may come from different pairs of points; where none is left, any may contradict one another."""
    left, right = one.ranges, other.ranges
    open_ = [ranges[:, 0] * ranges[:, 3] < ranges[:, 2] * ranges[:, 1] for ranges in (left, right)]
    cross = [left[:, k] * right[:, k + 1] == right[:, k] * left[:, k + 1] for k in (0, 2)]
    return np.array_equal(*open_) and bool(np.all(np.array(cross) | ~open_[0]))


def brute(low: Fraction, high: Fraction | None) -> tuple[int, int]:
    """The first denominator that has a numerator, by trying them all."""
    denominator = 1
    while True:
        numerator = low * denominator // 1 + 1
        if high is None or Fraction(numerator, denominator) < high:
            return int(numerator), denominator
        denominator += 1


@given(st.integers(0, 200), st.integers(1, 60), st.integers(0, 200), st.integers(0, 60))
def test_the_simplest_fraction(a: int, b: int, c: int, d: int) -> None:
    if d and Fraction(a, b) >= Fraction(c, d):
        a, b, c, d = c, d, a, b
    if d and Fraction(a, b) == Fraction(c, d):
        c += 1
    c = max(c, 1)
    if d == 0 or Fraction(a, b) < Fraction(c, d):
        expected = brute(Fraction(a, b), Fraction(c, d) if d else None)
        for native in {False, _native.available()}:
            numerators, denominators = simplest_fractions(np.array([[a, b, c, d]]), native)
            assert (int(numerators[0]), int(denominators[0])) == expected


def dense(multiplier: int, shift: int, rounding: Rounding, width: int) -> Sketch:
    """A dense layer of two channels, whose weights are extreme, and one behind it."""
    sketch = Sketch([int8(width)], 4)
    kernel = np.full((2, width), 127, "i1")
    kernel[1] = -127
    requant = [
        np.array([1 << 20, -(1 << 20)], "<i4"), np.full(2, multiplier, "<i4"), np.full(2, shift, "i1"),
    ]  # fmt: skip
    sketch.node(ops.FullyConnected(rounding, -128, 127), [0], [kernel, *requant], int8(2, zero_point=5))
    return sketch


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("shift", [-14, -10, -7, -4])
def test_columns_at_extremes(rounding: Rounding, shift: int) -> None:
    """Accumulators from end to end: the quotients of every backend are floors, and remainders in range."""
    sketch = dense(1518500250, shift, rounding, 90)
    model = sketch.model(sketch.dense(1, 2))
    rng = np.random.default_rng(-shift)
    inputs = rng.integers(-128, 128, (64, 90)).astype("i1")
    inputs[0], inputs[1], inputs[2] = -128, 127, 0
    assert prepare(model).plans[0].divided
    compare(model, make_batch([inputs]))


@pytest.mark.parametrize("seed", range(28))
def test_every_fraction_of_the_interval_has_an_intercept(seed: int) -> None:
    """Two-sided too: what bounds S bounds slopes."""
    steps, _, _ = channels(seed, 1)
    for two_sided in (False, True):
        found = find_divisors(search(steps, two_sided))
        for width, limbs in WAYS:
            least = found.least(width * (limbs - 1))
            if least is not None and int(least[1].max()) <= 1 << width:
                assert found.floor(width, limbs) is not None
