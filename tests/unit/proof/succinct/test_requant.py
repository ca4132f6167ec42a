# SPDX-License-Identifier: Apache-2.0
"""The affine floors give exactly the integers of the semantics: at every reachable threshold and both ends."""

import numpy as np
import pytest

from tests.support import models
from tests.unit.proof.succinct.build import Sketch, int8, network
from vcompute import _native
from vcompute.errors import Rejected
from vcompute.field.goldilocks import P
from vcompute.proof.succinct import constants, requant
from vcompute.proof.succinct.circuit import compile_circuit, requantised_nodes
from vcompute.proof.succinct.constants import NodePlan, _add_table, compile_constants
from vcompute.proof.succinct.pair import pair_search, solve_pair
from vcompute.proof.succinct.requant import Floor, search, solve
from vcompute.proof.succinct.steps import Steps, channel_steps, pool_steps
from vcompute.registry import ErrorCode
from vcompute.task import Model
from vcompute.task import operators as ops
from vcompute.task.bounds import Range, accumulator_bounds, value_ranges
from vcompute.task.operators import Rounding


def oracle(acc: int, multiplier: int, shift: int, rounding: Rounding, clamp: tuple[int, int, int]) -> int:
    """The rule in plain integers, written from the published semantics."""
    if rounding is Rounding.SINGLE:
        value = (acc * multiplier + (1 << (30 - shift))) >> (31 - shift)
    else:
        high = ((acc << max(shift, 0)) * multiplier + (1 << 30)) >> 31
        exponent = max(-shift, 0)
        mask = (1 << exponent) - 1
        value = (high >> exponent) + ((high & mask) > (mask >> 1) + (high < 0))
    zero_point, low, high_clamp = clamp
    return min(max(value + zero_point, low), high_clamp)


def values_of(floor: Floor, channel: int, acc: int, clamp: tuple[int, int, int]) -> set[int]:
    """Every output that some witness admits."""
    t = floor.slope[channel] * acc + floor.offset[channel]
    zero_point, low, high = clamp
    assert abs(t) <= requant.MAX_T
    unit = floor.divisors[channel] if floor.divisors else 1 << floor.remainder_bits
    if not floor.two_sided:
        quotients = [(t // unit, 2 * (t // unit))]
    else:
        halves = [(s, (t - s * floor.step[channel]) // unit) for s in (0, 1)]
        quotients = [(h, h) for s, h in halves if s == (h <= 0)]
    assert quotients
    assert all(floor.least <= q <= floor.greatest for q, _ in quotients)
    return {min(max((twice >> 1) + zero_point, low), high) for _, twice in quotients}


def places(steps: Steps, channel: int) -> list[int]:
    """Both ends, all around every threshold, and all around zero."""
    low, high = int(steps.low[channel]), int(steps.high[channel])
    marks = {low, low + 1, high - 1, high, *range(-8, 9)}
    for threshold in {int(t) for t in steps.thresholds[channel]}:
        marks.update(range(threshold - 2, threshold + 3))
    return [mark for mark in marks if low <= mark <= high]


def check(steps: Steps, floor: Floor, channel: int, rule: tuple[int, int, Rounding, tuple[int, int, int]]) -> None:
    multiplier, shift, rounding, clamp = rule
    for acc in places(steps, channel):
        assert values_of(floor, channel, acc, clamp) == {oracle(acc, multiplier, shift, rounding, clamp)}, acc


CLAMPS = [
    (0, -128, 127), (-128, -128, 127), (127, -128, 127), (-4, -128, 127), (-128, -128, -90), (5, 5, 127), (3, 0, 0),
]  # fmt: skip


@pytest.mark.parametrize("rounding", list(Rounding))
@pytest.mark.parametrize("clamp", CLAMPS)
def test_random_channels(rounding: Rounding, clamp: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(hash(clamp) % 2**32)
    count = 24
    shift = rng.integers(-14, 2, count)
    multiplier = rng.integers(1 << 30, 1 << 31, count)
    width = (1 << rng.integers(6, 24, count)).astype(np.int64)
    low, high = -rng.integers(0, width), rng.integers(0, width) + 1
    multiplier[0], low[1], high[1] = 0, high[1], high[1]
    for channel in range(count):
        part = slice(channel, channel + 1)
        one = channel_steps(
            multiplier[part], shift[part], rounding, clamp, low[part].astype(np.int64), high[part].astype(np.int64)
        )
        rule = (int(multiplier[channel]), int(shift[channel]), rounding, clamp)
        prepared = search(one, two_sided=False)
        bits = prepared.least_bits()
        if bits is None or bits > 38:
            prepared = search(one, two_sided=True)
            bits = prepared.least_bits()
        assert bits is not None
        for more in (0, 1, 3):
            if bits + more <= requant.MAX_BITS:
                try:
                    floor = solve(prepared, bits + more)
                except Rejected:
                    continue  # T would leave 62 bits: refused, never wrong
                check(one, floor, 0, rule)


@pytest.mark.parametrize("seed", range(40))
def test_every_accumulator_of_small_ranges(seed: int) -> None:
    """No thresholds here: each accumulator of a small range, against the rule."""
    rng = np.random.default_rng(seed)
    rounding = list(Rounding)[seed % 2]
    clamp = CLAMPS[seed % len(CLAMPS)]
    multiplier, shift = int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-9, 1))
    low, high = np.array([-int(rng.integers(0, 3000))]), np.array([int(rng.integers(1, 3000))])
    steps = channel_steps(np.array([multiplier]), np.array([shift]), rounding, clamp, low, high)
    solved = []
    for two_sided in (False, True):
        prepared = search(steps, two_sided)
        bits = prepared.least_bits()
        solved.append(bits)
        if bits is None:
            continue
        floor = solve(prepared, bits)
        for acc in range(int(low[0]), int(high[0]) + 1):
            assert values_of(floor, 0, acc, clamp) == {oracle(acc, multiplier, shift, rounding, clamp)}
    assert any(bits is not None for bits in solved)


EXTREME = [
    (Rounding.SINGLE, 2147483647, -23, -12782884, 9751014, (-105, -128, 127)),
    (Rounding.SINGLE, 1788341944, -22, -51803083, 149151521, (52, -128, 127)),
    (Rounding.SINGLE, 73898074, -19, -64372000, 40338737, (-46, -128, 127)),
    (Rounding.SINGLE, 21, 1, -63124017, 3384321, (75, -128, 127)),
    (Rounding.DOUBLE, 2147328817, -29, -438994282, 470910265, (-86, -86, 127)),
    (Rounding.DOUBLE, 1363949398, -18, -134217727, 134217727, (-12, -128, 127)),
]
"""Channels whose accumulators are so wide that only the second search finds constants."""


@pytest.mark.parametrize("channel", EXTREME)
def test_extreme_channels(channel: tuple[Rounding, int, int, int, int, tuple[int, int, int]]) -> None:
    rounding, multiplier, shift, low, high, clamp = channel
    steps = channel_steps(np.array([multiplier]), np.array([shift]), rounding, clamp, np.array([low]), np.array([high]))
    assert all(search(steps, two_sided).least_bits() is None for two_sided in (False, True))
    found = []
    for two_sided in (False, True):
        prepared = search(steps, two_sided, requant.MOST_BITS)
        bits = prepared.least_bits()
        if bits is not None:
            check(steps, solve(prepared, bits), 0, (multiplier, shift, rounding, clamp))
            found.append(bits)
    assert found


def test_keys_that_would_wrap_in_the_field_have_a_table_of_their_own() -> None:
    """Two nodes with one clamp share a table, but never rows that stand for another remainder modulo p."""
    sketch = Sketch([int8(4)])
    model = sketch.model(sketch.dense(sketch.dense(sketch.dense(0, 4), 4), 4))
    narrow, wide = NodePlan(3, 0, -130, 130, (), 0), NodePlan(2, 0, -(1 << 19), 1 << 19, (), 0)
    circuit = compile_circuit(model.graph, {0: narrow, 1: wide}, 18, {}, 1)
    assert circuit.proved[0].table != circuit.proved[1].table
    for node, plan in ((0, narrow), (1, wide)):
        table, zero_point = circuit.tables[circuit.proved[node].table], model.graph.nodes[node].output.zero_point
        keys = (table.first - zero_point, table.first + table.rows - 1 - zero_point)
        assert keys[0] <= plan.least
        assert keys[1] >= plan.greatest
        assert (max(map(abs, keys)) + 1) << 18 * plan.limbs <= P // 2
    together = compile_circuit(model.graph, {0: NodePlan(2, 0, -130, 130, (), 0), 1: wide}, 18, {}, 1)
    assert together.proved[0].table == together.proved[1].table


@pytest.mark.parametrize(
    "plan", [NodePlan(3, 0, -1200, 1200, (), 0), NodePlan(3, 1, -1200, 0, (), 0), NodePlan(8, 0, 0, 1, (), 1)]
)
def test_keys_that_wrap_are_refused(plan: NodePlan) -> None:
    sketch = Sketch([int8(4)])
    model = sketch.model(sketch.dense(sketch.dense(0, 4), 4))
    with pytest.raises(Rejected) as caught:
        compile_circuit(model.graph, {0: plan}, 18, {}, 1)
    assert caught.value.code is ErrorCode.SUITE_UNSUPPORTED_MODEL


@pytest.mark.parametrize("count", [1, 2, 3, 4, 9, 16, 49, 64, 100])
def test_average_pools(count: int) -> None:
    clamp = (0, -128, 127)
    steps = pool_steps([count], clamp, -128, 127)
    prepared = search(steps, two_sided=False)
    bits = prepared.least_bits()
    assert bits is not None
    floor = solve(prepared, bits)
    for total in range(-128 * count, 127 * count + 1):
        mean = (abs(total) + count // 2) // count * (1 if total >= 0 else -1)
        assert values_of(floor, 0, total, clamp) == {mean}


def test_an_addition_on_all_pairs() -> None:
    for seed in range(4):
        sketch = Sketch([int8(4, zero_point=3), int8(4, zero_point=-9)], seed)
        sketch.rng = np.random.default_rng(seed)
        model = sketch.model(sketch.add(0, 1))
        node = model.graph.nodes[0]
        table = _add_table(model, node)
        prepared, bits = pair_search(table, node, [Range(-128, 127), Range(-128, 127)])
        floor = solve_pair(prepared, bits)
        clamp = (node.output.zero_point, -128, 127)
        for a in range(-128, 128, 3):
            for b in range(-128, 128):
                t = floor.slope[0] * a + floor.slope[1] * b + floor.offset[0]
                single = Floor(floor.bits, floor.two_sided, (0,), (t,), floor.step, floor.least, floor.greatest)
                assert values_of(single, 0, 0, clamp) == {int(table[a + 128, b + 128])}


@pytest.mark.parametrize("seed", [28, 59, 70, 95, 194])
def test_an_addition_with_constants_at_one_size_has_them_at_every_larger_one(seed: int) -> None:
    """Scales 16 to 1. Slopes rounded at one K may give none where those of a lower K, doubled, do; limbs ask for it."""
    rng = np.random.default_rng(seed)
    small, coarse = (ops.Requant(int(rng.integers(1 << 30, 1 << 31)), shift) for shift in (-5, -1))
    out = ops.Requant(int(rng.integers(1 << 30, 1 << 31)), int(rng.integers(-19, -15)))
    sketch = Sketch([int8(4, zero_point=int(rng.integers(-128, 128))) for _ in range(2)])
    node = sketch.node(ops.Add(small, coarse, out, -128, 127), [0, 1], [], int8(4, zero_point=-7))
    model = sketch.model(node)
    table = _add_table(model, model.graph.nodes[0])
    prepared, least = pair_search(table, model.graph.nodes[0], [Range(-128, 127)] * 2)
    a, b = np.meshgrid(np.arange(-128, 128), np.arange(-128, 128), indexing="ij")
    for bits in range(least, 41):
        floor = solve_pair(prepared, bits)
        t, unit = floor.slope[0] * a + floor.slope[1] * b + floor.offset[0], floor.remainder_bits
        below = (t - floor.step[0]) >> unit
        h = np.where(below <= 0, below, t >> unit) if floor.two_sided else t >> unit
        assert floor.least <= h.min() <= h.max() <= floor.greatest
        assert np.array_equal(np.clip((h >> floor.two_sided) - 7, -128, 127), table)


def test_another_width_of_limbs_is_taken_where_the_best_has_no_constants(monkeypatch: pytest.MonkeyPatch) -> None:
    """And where none has, the best one's reason is given."""
    model = network()
    nodes = requantised_nodes(model.graph)
    best, tried = compile_constants(model, nodes).limb_bits, []

    def refusing(model: Model, index: int, found: constants.Found, width: int) -> Floor:
        tried.append(width)
        if width == best or everywhere:
            raise Rejected(f"width {width}", code=ErrorCode.SUITE_UNSUPPORTED_MODEL)
        return real(model, index, found, width)

    real, everywhere = constants._floor, False
    monkeypatch.setattr(constants, "_floor", refusing)
    compiled = compile_constants(model, nodes)
    assert tried[0] == best != compiled.limb_bits == tried[1]
    assert all(
        plan.limbs * compiled.limb_bits == compiled.floors[i].remainder_bits for i, plan in compiled.plans.items()
    )
    everywhere = True
    with pytest.raises(Rejected, match=f"width {best}"):
        compile_constants(model, nodes)


def test_a_refusal_names_its_node_and_says_what_to_do() -> None:
    """A factor near one on sums of 24 bits: quotients beyond the longest table."""
    sketch = Sketch([int8(2048)])
    kernel = np.full((2, 2048), 127, "i1")
    scales = [np.zeros(2, "<i4"), np.full(2, (1 << 31) - 1, "<i4"), np.zeros(2, "i1")]
    hidden = sketch.node(ops.FullyConnected(Rounding.DOUBLE, -128, 127), [0], [kernel, *scales], int8(2))
    model = sketch.model(sketch.dense(hidden, 2))
    with pytest.raises(Rejected, match=r"node 0, fully_connected: its quotients .*`replay`") as caught:
        compile_constants(model, requantised_nodes(model.graph))
    assert caught.value.code is ErrorCode.SUITE_UNSUPPORTED_MODEL


@pytest.mark.parametrize("shift", [-6, -2, 0])
def test_an_addition_whose_sums_would_leave_62_bits_is_refused(shift: int) -> None:
    """Factors of 2^14 and more, at a K that another node's limbs ask for: not a wrapped word, not another error."""
    sketch = Sketch([int8(4), int8(4)])
    out = ops.Requant(1 << 30, shift)
    operator = ops.Add(ops.Requant(1 << 30, 0), ops.Requant(1 << 30, 0), out, -128, 127)
    node = sketch.node(operator, [0, 1], [], int8(4))
    model = sketch.model(node)
    prepared, least = pair_search(_add_table(model, model.graph.nodes[0]), model.graph.nodes[0], [Range(-128, 127)] * 2)
    assert solve_pair(prepared, least).greatest > 0
    with pytest.raises(Rejected) as caught:
        solve_pair(prepared, 44)
    assert caught.value.code is ErrorCode.SUITE_UNSUPPORTED_MODEL


def test_end_conditions_are_part_of_the_search() -> None:
    """Reached values alone are not enough: T must stay on its side at both ends where nothing clamps."""
    clamp = (0, -128, 127)
    multiplier, shift = 1 << 30, -3
    low, high = np.array([-40]), np.array([45])
    steps = channel_steps(np.array([multiplier]), np.array([shift]), Rounding.SINGLE, clamp, low, high)
    prepared = search(steps, two_sided=False)
    bits = prepared.least_bits()
    assert bits is not None
    floor = solve(prepared, bits)
    for acc in (-40, 45):
        assert values_of(floor, 0, acc, clamp) == {oracle(acc, multiplier, shift, Rounding.SINGLE, clamp)}


def test_constants_that_are_not_there_are_refused() -> None:
    steps = channel_steps(
        np.array([1518500250]), np.array([-7]), Rounding.DOUBLE, (0, -128, 127), np.array([-20000]), np.array([20000])
    )
    prepared = search(steps, two_sided=True)
    least = prepared.least_bits()
    assert least is not None
    with pytest.raises(Rejected):
        solve(prepared, least - 1)


def twins(steps: Steps, two_sided: bool, most: int) -> list[int | None]:
    """The native search and its readable twin agree on every constant of every K; the least K."""
    found = [search(steps, two_sided, most, native) for native in (True, False)]
    assert np.array_equal(found[0].slopes, found[1].slopes)
    for bits in range(2, most + 1):
        native, readable = (prepared.at(bits) for prepared in found)
        assert (native is None) == (readable is None)
        for one, other in zip(native or (), readable or (), strict=True):
            assert np.array_equal(one, other)
    return [prepared.least_bits() for prepared in found]


@pytest.mark.skipif(not _native.available(), reason="the native core is not built")
@pytest.mark.parametrize("seed", range(24))
def test_the_native_search_finds_the_same_constants(seed: int) -> None:
    """Wide and narrow ranges, gentle and extreme slopes (where products wrap), dead and saturated channels."""
    rng = np.random.default_rng(seed)
    count, rounding = 12, list(Rounding)[seed % 2]
    width = (1 << rng.integers(3, 31, count)).astype(np.int64)
    low, high = -rng.integers(0, width), rng.integers(0, width) + 1
    multiplier, shift = rng.integers(1 << 30, 1 << 31, count), rng.integers(-31, 3, count)
    multiplier[0], multiplier[1], multiplier[2], low[3] = 0, 1, 1 << 30, high[3]
    if seed % 3 == 0:
        multiplier[4:] = 1 << 30  # thresholds on straight lines: whole edges of points
    if rounding is Rounding.DOUBLE:  # a left shift keeps accumulators within 32 bits
        low, high = (np.clip(end, -(1 << 29), 1 << 29) for end in (low, high))
    clamp = (int(rng.integers(-128, 128)), *CLAMPS[seed % len(CLAMPS)][1:])
    steps = channel_steps(multiplier, shift, rounding, clamp, low, high)
    for two_sided in (False, True):
        for most in (requant.MAX_BITS, requant.MOST_BITS):
            native, readable = twins(steps, two_sided, most)
            assert native == readable


@pytest.mark.skipif(not _native.available(), reason="the native core is not built")
@pytest.mark.parametrize("channel", EXTREME)
def test_the_native_search_of_extreme_channels(
    channel: tuple[Rounding, int, int, int, int, tuple[int, int, int]],
) -> None:
    rounding, multiplier, shift, low, high, clamp = channel
    steps = channel_steps(np.array([multiplier]), np.array([shift]), rounding, clamp, np.array([low]), np.array([high]))
    for two_sided in (False, True):
        native, readable = twins(steps, two_sided, requant.MOST_BITS)
        assert native == readable


@pytest.mark.skipif(not _native.available(), reason="the native core is not built")
@pytest.mark.parametrize("seed", range(6))
def test_the_native_search_of_additions(seed: int) -> None:
    """The corners of the pairs give the extremes of all of them, and so the same constants."""
    rng = np.random.default_rng(seed)
    sketch = Sketch([int8(4, zero_point=3), int8(4, zero_point=-9)], seed)
    model = sketch.model(sketch.add(0, 1))
    node, table = model.graph.nodes[0], _add_table(model, model.graph.nodes[0])
    ranges = [Range(-int(rng.integers(0, 129)), int(rng.integers(0, 128))) for _ in range(2)]
    (native, bits), (readable, readable_bits) = (pair_search(table, node, ranges, native) for native in (True, False))
    assert bits == readable_bits
    assert native.least.a.size < readable.least.a.size
    assert np.array_equal(native.values, readable.values)
    for slopes in ((0, 0), (1, 0), (0, 1), (5, 5), *((int(x), int(y)) for x, y in rng.integers(0, 1 << 40, (40, 2)))):
        assert all(np.array_equal(x, y) for x, y in zip(native.bounds(slopes), readable.bounds(slopes), strict=True))
    for at in range(8, 45):
        assert native.at(at) == readable.at(at)


@pytest.mark.models
@pytest.mark.parametrize("semantics", list(models.Semantics))
@pytest.mark.parametrize("name", models.NAMES)
def test_every_layer_of_the_real_models(name: str, semantics: models.Semantics) -> None:
    """All thresholds of the channels of every layer (every fifth channel of the largest model)."""
    model = models.load(name, semantics)
    graph, ranges = model.graph, value_ranges(model.graph, model.constants)
    linear = (ops.Conv2D, ops.DepthwiseConv2D, ops.FullyConnected)
    nodes = [index for index, node in enumerate(graph.nodes) if isinstance(node.operator, linear)]
    compiled = compile_constants(model, nodes)
    for index in nodes:
        node, floor = graph.nodes[index], compiled.floors[index]
        operator = node.operator
        assert isinstance(operator, linear)
        bounds = accumulator_bounds(graph, node, [ranges[i] for i in node.inputs], model.constants)
        multiplier, shift = (model.constants[node.constants[i]].astype(np.int64) for i in (2, 3))
        clamp = (node.output.zero_point, operator.low, operator.high)
        steps = channel_steps(multiplier, shift, operator.rounding, clamp, bounds.low, bounds.high)
        for channel in range(0, len(floor.slope), 37 if name.startswith("coral") else 5):
            check(steps, floor, channel, (int(multiplier[channel]), int(shift[channel]), operator.rounding, clamp))
