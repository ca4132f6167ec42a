# SPDX-License-Identifier: Apache-2.0
"""Stacked boxes, lookups' tables and layouts against plain definitions."""

from itertools import product

import numpy as np
import pytest

from vcompute import _native
from vcompute.commitment import TINY
from vcompute.field import ONE, ZERO, Backend, Ext, default_backend, from_array, to_array
from vcompute.field.extension import lift
from vcompute.field.goldilocks import P
from vcompute.field.portable import NumpyBackend
from vcompute.field.scalar import eq_index
from vcompute.proof.succinct.columns import ColumnWeight, fill
from vcompute.proof.succinct.contract import contract, contract_axis, project, project_limbs, vector_sum
from vcompute.proof.succinct.forms import ColumnTerm, window_axis
from vcompute.proof.succinct.layout import cut_axis, lay_out
from vcompute.proof.succinct.stack import Stack, bits_of
from vcompute.proof.succinct.sumcheck.prove import NativeRounds, Rounds
from vcompute.proof.succinct.tables import (
    clamp_table,
    listed_table,
    native_prefix_sums,
    prefix_sums,
    range_table,
    signed_table,
)
from vcompute.transcript import ProverTranscript

BOXES = [(3, 5), (1,), (4, 2, 3), (7,), (), (2, 2), (1, 9)]


def point_of(count: int, seed: int) -> list[Ext]:
    rng = np.random.default_rng(seed)
    return [Ext(int(a), int(b)) for a, b in rng.integers(0, 1 << 62, (count, 2))]


def random_table(size: int, seed: int) -> np.ndarray:  # type: ignore[type-arg]
    return np.random.default_rng(seed).integers(0, 1 << 62, (size, 2)).astype(np.uint64)


def test_binding_every_variable_is_the_weighted_sum() -> None:
    """Folding the stack to one value is the sum over boxes of place * eq of each axis * value."""
    backend, stack = default_backend(), Stack(BOXES)
    tables = [random_table(int(np.prod(box)), i).reshape(*box, 2) for i, box in enumerate(BOXES)]
    point = point_of(stack.variables, 1)
    expected = ZERO
    for index, box in enumerate(BOXES):
        axes = [from_array(vector) for vector in stack.at(point, backend).axes(index)]
        for place in product(*map(range, box)):
            term = from_array(tables[index][place])[0] * stack.at(point, backend).place(index)
            for axis, i in enumerate(place):
                term = term * axes[axis][i]
            expected = expected + term
    flat = stack.assemble(tables, (0, 0))
    for s, r in enumerate(point):
        assert flat.shape[0] == stack.levels[s].size
        low, high = stack.halves(flat, s, np.zeros(2, np.uint64))
        flat = backend.add(low, backend.ext_mul(backend.sub(high, low), to_array([r])))
    assert from_array(flat) == [expected]


def test_weights_of_a_level_are_those_of_its_places() -> None:
    backend, stack = default_backend(), Stack(BOXES)
    for s in range(stack.variables + 1):
        rest = point_of(stack.variables - s, s)
        assert stack.eq(s, rest, backend).shape[0] == stack.levels[s].size
        weights = ZERO
        for value in from_array(stack.eq(s, rest, backend)):
            weights = weights + value
        if s == 0:
            whole = sum((1 << bits for bits in stack.bits), 0)
            if whole == 1 << stack.variables:
                assert weights == ONE


TABLES = [
    range_table(0, 5),
    clamp_table(1, -70, 90, -50, 60),
    clamp_table(2, 5, 9, -128, 127),
    clamp_table(3, -20, -3, 0, 7),
    signed_table(4, -37, 41, 3, -10, 9),
    signed_table(5, -8, -2, 0, -128, 127),
    signed_table(6, 3, 12, -128, -128, 127),
    listed_table(7, -128, [(i * i) % 97 - 40 for i in range(256)]),
]


BACKENDS = [NumpyBackend(), default_backend()]


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
@pytest.mark.parametrize("table", TABLES, ids=lambda table: str(table.id))
def test_a_table_in_closed_form(table: object, backend: Backend) -> None:
    from vcompute.proof.succinct.tables import Table

    assert isinstance(table, Table)
    point = point_of(bits_of(table.rows), table.id)
    weights = [eq_index(i, point) for i in range(table.rows)]
    words = [np.ones(table.rows, np.int64), *table.words()]
    assert table.least == words[2].min()
    for value, column in zip(table.evaluate(point, backend), words, strict=True):
        expected = ZERO
        for weight, word in zip(weights, column, strict=True):
            expected = expected + weight * int(word)
        assert value == expected


def test_the_signed_table_says_what_it_should() -> None:
    table = signed_table(4, -37, 41, 3, -10, 9)
    for h, value, sign in zip(*table.words(), strict=True):
        assert value == min(max((int(h) >> 1) + 3, -10), 9)
        assert sign == (h <= 0)


@pytest.mark.parametrize("bound", [0, 1, 5, 8, 13, 16])
@pytest.mark.parametrize("shift", [0, 1, 2])
def test_prefix_sums(bound: int, shift: int) -> None:
    point = point_of(4, 3)
    mass, moment = ZERO, ZERO
    for i in range(bound):
        mass, moment = mass + eq_index(i, point), moment + eq_index(i, point) * (i >> shift)
    assert prefix_sums(bound, point, shift) == (mass, moment)


@pytest.mark.parametrize("size", range(1, 70))
def test_cuts_cover_their_axis(size: int) -> None:
    for most in (1, 2, 3):
        parts = cut_axis(size, most)
        assert len(parts) <= most
        assert parts[0][0] == 0
        ends = [start + (1 << bits) for start, bits in parts]
        assert [start for start, _ in parts[1:]] == ends[:-1]
        assert ends[-1] >= size
        assert all(start % (1 << bits) == 0 for start, bits in parts)


def test_both_forms_of_a_weight_agree() -> None:
    """The table the prover adds to and the point the verifier evaluates at."""
    backend = default_backend()
    boxes = ((3, 5), (7, 33, 2), (96,), (1, 1))
    layout = lay_out(boxes)
    variables = (layout.length - 1).bit_length()
    terms = []
    for index, column in enumerate((0, 1, 1, 2, 3)):
        vectors = tuple(random_table(size, 7 * index + axis) for axis, size in enumerate(boxes[column]))
        terms.append(ColumnTerm(column, point_of(1, index)[0], vectors))
    weight = ColumnWeight(layout, terms, backend)
    table = np.zeros((1 << variables, 2), np.uint64)
    scale = point_of(1, 77)[0]
    weight.add_to(table, scale, backend)
    point = point_of(variables, 5)
    assert weight.evaluate(point) * scale == backend.dot_ext(table, backend.eq_tensor(point))


@pytest.mark.parametrize("dtype", ["i1", "<i4"])
@pytest.mark.parametrize("rows", [2, 57, 3000, (1 << 16) + 5])
def test_integers_against_extension_vectors(dtype: str, rows: int) -> None:
    """Exact for every word and integer: sums must neither round nor wrap."""
    backend = default_backend()
    info = np.iinfo(dtype)
    rng = np.random.default_rng(3)
    matrix = rng.integers(info.min, info.max, (rows, 9), endpoint=True).astype(dtype)
    matrix[: rows // 2], matrix[rows // 2 : -1] = info.min, info.max
    vector = random_table(rows, 4)
    expected = [backend.dot_base(vector, lift_words(matrix[:, column])) for column in range(9)]
    assert from_array(project([vector], matrix, backend)[0]) == expected
    other = random_table(9, 5)
    total = ZERO
    for value, weight in zip(expected, from_array(other), strict=True):
        total = total + value * weight
    assert contract(matrix, [vector, other], backend) == total


@pytest.mark.parametrize("columns", [1, 7, 8, 64, 259])
@pytest.mark.parametrize("zero_point", [-128, -3, 127])
def test_bytes_less_a_zero_point_by_both_twins(columns: int, zero_point: int) -> None:
    rng = np.random.default_rng(columns)
    for rows in (1, 3, 4, 9, (1 << 16) + 1 if columns < 9 else 70):
        matrix = rng.integers(-128, 127, (rows, columns), endpoint=True).astype(np.int8)
        matrix[rows // 2 :] = -128 if zero_point > 0 else 127
        vectors = [random_table(rows, seed) for seed in (6, 7)]
        made = [project(vectors, matrix, backend, zero_point) for backend in BACKENDS]
        assert all(np.array_equal(a, b) for found in made for a, b in zip(found, made[0], strict=True))


@pytest.mark.parametrize("columns", [1, 7, 8, 64, 259])
def test_limbs_by_both_twins(columns: int) -> None:
    rng = np.random.default_rng(columns)
    for rows in (1, 3, 4, 9, (1 << 11) + 5):
        limbs = [rng.integers(0, 1 << 20, (rows, columns)).astype(np.int32) for _ in range(3)]
        limbs[0][rows // 2 :] = (1 << 20) - 1
        vector = np.full((rows, 2), P - 1, np.uint64) if rows == 9 else random_table(rows, 6)
        for count in (1, 2, 3):
            made = [project_limbs(vector, limbs[:count], 18, backend) for backend in BACKENDS]
            assert all(np.array_equal(found, made[0]) for found in made)


def test_sums_and_window_axes_of_both_twins() -> None:
    for size, stride, dilation, before in product((1, 2, 7, 12), (1, 2, 3), (1, 2), (0, 1, 3)):
        for n_taps in (1, 3):
            positions, taps = random_table(5, size), random_table(n_taps, stride)
            found = [window_axis(positions, taps, size, stride, dilation, before, backend) for backend in BACKENDS]
            assert all(np.array_equal(each, found[0]) for each in found)
    vector = random_table(1000, 8)
    assert vector_sum(vector) == vector_sum(vector, native=False) == sum(from_array(vector), ZERO)


@pytest.mark.skipif(not _native.available(), reason="the native core was not built")
def test_rounds_of_products_by_both_twins() -> None:
    for boxes in (BOXES, [(5,)], [(), (), ()], [()]):
        stack, backend = Stack(boxes), default_backend()
        left, right = (random_table(stack.levels[0].size, seed) for seed in (3, 4))
        twins = [kind(stack, left, right, backend) for kind in (Rounds, NativeRounds)]
        for s, r in enumerate(point_of(stack.variables, 9)):
            first, second = (list(rounds.message(s)) for rounds in twins)
            assert first == second
            for rounds in twins:
                rounds.bind(s, r)
            assert np.array_equal(twins[0].left, twins[1].left)
            assert np.array_equal(twins[0].right, twins[1].right)
        transcripts = [ProverTranscript("rounds", backend) for _ in twins]
        again = [kind(stack, left, right, backend) for kind in (Rounds, NativeRounds)]
        points = [rounds.run(transcript) for rounds, transcript in zip(again, transcripts, strict=True)]
        assert points[0] == points[1]
        assert len(points[0]) == stack.variables
        assert transcripts[0].finish() == transcripts[1].finish()
        assert transcripts[0].challenge("next") == transcripts[1].challenge("next")
        assert np.array_equal(again[0].left, again[1].left)
        assert np.array_equal(again[0].right, again[1].right)


def lift_words(values: np.ndarray) -> np.ndarray:  # type: ignore[type-arg]
    from vcompute.field.goldilocks import elements

    words = elements(values)
    assert np.array_equal(lift(words)[:, 0], words)
    return words


@pytest.mark.parametrize("bits", [0, 1, 5])
def test_prefix_sums_of_both_twins(bits: int) -> None:
    point = point_of(bits, 7)
    for bound in range((1 << bits) + 2):
        for shift in (0, 1):
            assert native_prefix_sums(bound, to_array(point), shift) == prefix_sums(bound, point, shift)


@pytest.mark.parametrize("backend", BACKENDS, ids=lambda backend: backend.name)
def test_a_contraction_of_one_axis(backend: Backend) -> None:
    left, size, right, count = 2, 5, 11, 3
    table = random_table(left * size * right, 1).reshape(left, size, right, 2)
    vectors = random_table(count * size, 2).reshape(count, size, 2)
    found = contract_axis(table, vectors, backend)
    for i, j, k in product(range(left), range(count), range(right)):
        expected = ZERO
        for place in range(size):
            expected = expected + from_array(table[i, place, k])[0] * from_array(vectors[j, place])[0]
        assert from_array(found[i, j, k])[0] == expected


@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("dilation", [1, 2])
@pytest.mark.parametrize("before", [-7, -2, 0, 1, 5])
def test_what_a_window_weighs(stride: int, dilation: int, before: int) -> None:
    backend, size = default_backend(), 9
    positions, taps = random_table(6, 3), random_table(3, 4)
    expected = [ZERO] * size
    for p, at in enumerate(from_array(positions)):
        for k, weight in enumerate(from_array(taps)):
            place = stride * p + dilation * k - before
            if 0 <= place < size:
                expected[place] = expected[place] + at * weight
    assert from_array(window_axis(positions, taps, size, stride, dilation, before, backend)) == expected


@pytest.mark.skipif(not _native.available(), reason="the native core is not built")
def test_columns_fill_the_table_alike() -> None:
    """Every width, the extremes of each, and field words."""
    boxes = ((3, 5), (7,), (), (4, 2, 3), (300,), (1, 9), (16, 33))
    rng, layout, columns = np.random.default_rng(5), lay_out(boxes), {}
    kinds = (np.int8, np.int32, np.int64, np.uint64, np.int16)
    for turn in range(len(kinds)):
        for number, box in enumerate(boxes):
            kind = kinds[(number + turn) % len(kinds)]
            limits = np.iinfo(kind)
            values = rng.integers(limits.min, limits.max, box, dtype=kind, endpoint=True)
            columns[number] = np.asarray(values, kind).reshape(box)
            columns[number].reshape(-1)[:1] = limits.min
        shape = TINY.shape(layout.length)
        assert np.array_equal(fill(layout, columns, shape, native=True), fill(layout, columns, shape, native=False))
