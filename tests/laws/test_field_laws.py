# SPDX-License-Identifier: Apache-2.0
"""The laws of the field, its extension and the multilinear tables, over every backend, against Python integers."""

import hashlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcompute.field import Backend, Ext, P, from_array, implementations, scalar, to_array
from vcompute.field import goldilocks as gl
from vcompute.field.native import NativeBackend
from vcompute.field.ntt import domain_point
from vcompute.field.portable import NumpyBackend

EDGES = [0, 1, 2, 7, 2**32 - 2, 2**32 - 1, 2**32, 2**32 + 1, 2**63, P - 2**32, P - 2, P - 1, (P - 1) // 2]
words = st.one_of(st.sampled_from(EDGES), st.integers(0, P - 1))
exts = st.builds(Ext, words, words)
backends = pytest.mark.parametrize("backend", implementations(), ids=lambda b: b.name)
pytestmark = backends


def array(values: list[int]) -> np.ndarray:
    return np.array(values, dtype=np.uint64)


@settings(deadline=None)
@given(st.lists(st.tuples(words, words), min_size=1, max_size=40))
def test_base_operations_are_those_of_integers(backend: Backend, pairs: list[tuple[int, int]]) -> None:
    a, b = (array([pair[i] for pair in pairs]) for i in (0, 1))
    assert backend.add(a, b).tolist() == [(x + y) % P for x, y in pairs]
    assert backend.sub(a, b).tolist() == [(x - y) % P for x, y in pairs]
    assert backend.mul(a, b).tolist() == [x * y % P for x, y in pairs]
    assert backend.inverse(a).tolist() == [pow(x, P - 2, P) for x, _ in pairs]


def test_every_pair_of_edges(backend: Backend) -> None:
    a, b = (m.ravel() for m in np.meshgrid(array(EDGES), array(EDGES)))
    assert backend.mul(a, b).tolist() == [int(x) * int(y) % P for x, y in zip(a, b, strict=True)]
    assert backend.add(a, b).tolist() == [(int(x) + int(y)) % P for x, y in zip(a, b, strict=True)]
    assert backend.sub(a, b).tolist() == [(int(x) - int(y)) % P for x, y in zip(a, b, strict=True)]


@settings(deadline=None)
@given(st.lists(st.tuples(exts, exts), min_size=1, max_size=20))
def test_extension_operations_are_the_scalar_ones(backend: Backend, pairs: list[tuple[Ext, Ext]]) -> None:
    a, b = (to_array([pair[i] for pair in pairs]) for i in (0, 1))
    assert from_array(backend.ext_mul(a, b)) == [x * y for x, y in pairs]
    assert from_array(backend.ext_mul_base(a, b[:, 0].copy())) == [x * y.c0 for x, y in pairs]
    assert from_array(backend.ext_inverse(a)) == [x if x == 0 else x.inverse() for x, _ in pairs]
    assert backend.dot_ext(a, b) == sum((x * y for x, y in pairs), Ext(0))
    assert backend.dot_base(a, b[:, 1].copy()) == sum((x * y.c1 for x, y in pairs), Ext(0))


def test_extension_elements_of_edges(backend: Backend) -> None:
    """Every pair of elements whose words are edges: carries and borrows of lazy sums."""
    pairs = np.stack(np.meshgrid(array(EDGES), array(EDGES)), -1).reshape(-1, 2)
    a, b = np.repeat(pairs, len(pairs), 0), np.tile(pairs, (len(pairs), 1))
    twin, r = NumpyBackend(), Ext(P - 1, 2**32 - 1)
    assert (backend.ext_mul(a, b) == twin.ext_mul(a, b)).all()
    assert (backend.fold_halves(a, b, r) == twin.fold_halves(a, b, r)).all()
    for ours, theirs in zip(backend.add_fractions(a, b, b, a), twin.add_fractions(a, b, b, a), strict=True):
        assert (ours == theirs).all()


@settings(deadline=None)
@given(exts, exts, exts)
def test_extension_axioms(backend: Backend, x: Ext, y: Ext, z: Ext) -> None:
    assert (x + y) * z == x * z + y * z
    assert (x * y) * z == x * (y * z)
    assert x * y == y * x
    assert x - y == -(y - x)
    assert Ext(0, 1) * Ext(0, 1) == 7
    if x != 0:
        assert x * x.inverse() == 1
        assert y / x * x == y


@settings(deadline=None)
@given(st.integers(0, 7), st.data())
def test_eq_fold_and_evaluation_share_one_variable_order(backend: Backend, n: int, data: st.DataObject) -> None:
    """VC-FLD-002."""
    point = data.draw(st.lists(exts, min_size=n, max_size=n))
    seed = data.draw(st.integers(0, 2**32 - 1))
    table = gl.elements(np.random.default_rng(seed).integers(0, P, 1 << n, dtype=np.uint64))
    values = [Ext(int(v)) for v in table]
    expected = scalar.evaluate(values, point)
    weights = backend.eq_tensor(point)
    assert from_array(weights) == [scalar.eq_index(b, point) for b in range(1 << n)]
    assert backend.dot_base(weights, table) == expected
    if n:
        folded = backend.fold_base(table, point[0])
        assert from_array(folded) == [
            values[b] + point[0] * (values[b + (1 << n - 1)] - values[b]) for b in range(1 << n - 1)
        ]
        for r in point[1:]:
            fresh = backend.fold_ext(folded, r)
            folded = backend.fold_ext(folded, r, reuse=True)
            assert from_array(folded) == from_array(fresh)
        assert from_array(folded) == [expected]


@settings(deadline=None)
@given(st.lists(exts, min_size=1, max_size=9), st.lists(exts, min_size=1, max_size=9), exts)
def test_outer_products(backend: Backend, outer: list[Ext], inner: list[Ext], start: Ext) -> None:
    table = to_array([start] * (len(outer) * len(inner)))
    backend.add_outer(table, to_array(outer), to_array(inner))
    assert from_array(table) == [start + a * b for a in outer for b in inner]


@settings(deadline=None)
@given(st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_round_polynomials(backend: Backend, n: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    f = rng.integers(0, P, (1 << n, 2), dtype=np.uint64)
    w = rng.integers(0, P, (1 << n, 2), dtype=np.uint64)

    def h(f_table: np.ndarray, x: Ext) -> Ext:
        return backend.dot_ext(backend.fold_ext(f_table, x), backend.fold_ext(w, x))

    for table, (h0, lead) in (
        (f, backend.round_ext(f, w)),
        (to_array([Ext(int(v)) for v in f[:, 0]]), backend.round_base(f[:, 0].copy(), w)),
    ):
        assert h0 == h(table, Ext(0))
        # The second difference of a quadratic is twice its leading coefficient.
        assert h(table, Ext(2)) - 2 * h(table, Ext(1)) + h(table, Ext(0)) == 2 * lead


@settings(deadline=None)
@given(st.integers(1, 20), st.integers(0, 2**32 - 1), exts)
def test_fractions_and_halves(backend: Backend, n: int, seed: int, r: Ext) -> None:
    tables = np.random.default_rng(seed).integers(0, P, (9, n, 2), dtype=np.uint64)
    rows = [from_array(table) for table in tables]
    numerators, denominators = backend.add_fractions(*tables[:4])
    for i, (n0, d0, n1, d1) in enumerate(zip(*rows[:4], strict=True)):
        assert from_array(numerators)[i] == n0 * d1 + n1 * d0
        assert from_array(denominators)[i] == d0 * d1
    assert from_array(backend.fold_halves(tables[0], tables[1], r)) == [
        a + r * (b - a) for a, b in zip(rows[0], rows[1], strict=True)
    ]
    scaled = np.empty((n, 2), np.uint64)
    backend.scale(tables[2], r, scaled)
    assert from_array(scaled) == [r * a for a in rows[2]]
    backend.scale(scaled, r, scaled)  # in place
    assert from_array(scaled) == [r * r * a for a in rows[2]]
    words = np.ascontiguousarray(tables[2, :, 0])
    backend.scale(words, r, scaled)
    assert from_array(scaled) == [r * int(a) for a in words]
    at_zero, leading = backend.fraction_round(tuple(tables[:4]), tuple(tables[4:8]), tables[8])
    low = list(zip(*rows[:4], strict=True))
    step = [[y - x for x, y in zip(a, b, strict=True)] for a, b in zip(low, zip(*rows[4:8], strict=True), strict=True)]
    for found, quads in ((at_zero, low), (leading, step)):
        assert found == sum((w * (a * b + c * d) for w, (a, b, c, d) in zip(rows[8], quads, strict=True)), Ext(0))
    joined = [np.concatenate([tables[i], tables[i + 2]]) for i in (0, 1)]
    assert backend.round_halves((tables[0], tables[1]), (tables[2], tables[3])) == backend.round_ext(*joined)


@settings(deadline=None)
@given(st.integers(0, 5), st.integers(0, 3), st.integers(1, 17), st.booleans(), st.integers(0, 2**32 - 1))
def test_codes_are_evaluations(
    backend: Backend, log_n: int, rate_bits: int, lanes: int, extension: bool, seed: int
) -> None:
    """VC-FLD-003, VC-COM-001."""
    n = 1 << log_n
    shape = (lanes * n, 2) if extension else (lanes * n,)
    table = np.random.default_rng(seed).integers(0, P, shape, dtype=np.uint64)
    code = backend.encode(table, lanes, rate_bits)
    columns = table.reshape(lanes, n, -1)
    assert code.shape == (n << rate_bits, lanes * columns.shape[2])
    for position in {0, 1 % code.shape[0], code.shape[0] // 2, code.shape[0] - 1}:
        x = domain_point(log_n + rate_bits, position)
        expected = [
            sum(int(columns[lane, i, c]) * pow(x, i, P) for i in range(n)) % P
            for lane in range(lanes)
            for c in range(columns.shape[2])
        ]
        assert code[position].tolist() == expected


def same_code(backend: Backend, table: np.ndarray, lanes: int, rate_bits: int) -> None:
    code = backend.encode(table, lanes, rate_bits)
    assert (code < P).all()
    assert np.array_equal(code, NumpyBackend().encode(table, lanes, rate_bits))


@pytest.mark.parametrize("lanes", range(1, 66))
def test_codes_of_every_width(backend: Backend, lanes: int) -> None:
    """A row's words are not a vector's: its last ones are handled apart."""
    rng = np.random.default_rng(lanes)
    for log_lane in (1, 2, 3, 4, 5, 6):
        same_code(backend, rng.integers(0, P, lanes << log_lane, dtype=np.uint64), lanes, 1)


@pytest.mark.parametrize("log_lane", range(7, 16))
def test_codes_of_long_lanes(backend: Backend, log_lane: int) -> None:
    """Long lanes take more passes, over tiles and over blocks of the cache's size."""
    rng = np.random.default_rng(log_lane)
    for lanes, rate_bits in ((1, 1), (3, 0), (2, 2)):
        same_code(backend, rng.integers(0, P, lanes << log_lane, dtype=np.uint64), lanes, rate_bits)


@pytest.mark.parametrize("log_lane", [16, 19])
def test_codes_of_the_longest_lanes(backend: Backend, log_lane: int) -> None:
    """Blocks of six layers inside of such blocks, and not the first one of them alone."""
    for choice in (EDGES, [P - 1, 0]):
        table = np.random.default_rng(log_lane).choice(array(choice), 1 << log_lane)
        same_code(backend, table, 1, 0)


@pytest.mark.parametrize("log_lane", range(14))
def test_codes_of_edges(backend: Backend, log_lane: int) -> None:
    """Sums inside a transform are as large as they get, and words as near to p, where all inputs are edges."""
    rng, lanes = np.random.default_rng(log_lane), 3
    for choice in ([P - 1], [P - 1, 0], [1], [2**32 - 1, P - 2**32], EDGES):
        same_code(backend, rng.choice(array(choice), lanes << log_lane), lanes, 1)
    signs = np.where(rng.integers(0, 2, 1 << log_lane) == 0, 1, P - 1).astype(np.uint64)
    same_code(backend, signs, 1, 3)


SMALL = [0, 1, 127, P - 1, P - 128, 2**14, P - 2**14, 2**18 - 1, 2**18, P - 2**18, 2**31, 2**32 - 1, P - 2**32 + 1]


@pytest.mark.parametrize("log_lane", [1, 2, 3, 4, 7, 12, 13])
@pytest.mark.parametrize(("lanes", "words"), [(1, 1), (9, 1), (42, 1), (1, 2), (5, 2), (8, 2)])
def test_codes_of_integers(backend: Backend, log_lane: int, lanes: int, words: int) -> None:
    """What tables hold: small integers, and some among any words, in lanes that fill a vector and that do not."""
    rng = np.random.default_rng(log_lane)
    small = rng.choice(array(SMALL), (lanes << log_lane, 2)[:words])
    mixed = np.where(rng.integers(0, 4, small.shape) == 0, rng.integers(0, P, small.shape, dtype=np.uint64), small)
    for rate_bits in (0, 1) if log_lane > 10 else (0, 1, 2, 3):
        same_code(backend, small, lanes, rate_bits)
        same_code(backend, mixed, lanes, rate_bits)


@pytest.mark.parametrize(("log_lane", "words"), [(13, 1), (12, 2), (14, 1)])
def test_codes_in_parts(backend: Backend, log_lane: int, words: int) -> None:
    """Threads take rows and blocks in parts of any size."""
    several = NativeBackend(3) if backend.name == "native" else backend
    shape = (9 << log_lane, 2)[:words]
    same_code(several, np.random.default_rng(log_lane).integers(0, P, shape, dtype=np.uint64), 9, 1)


@settings(deadline=None)
@given(st.integers(0, 6), st.integers(0, 3), st.data())
def test_powers_of_domain_points(backend: Backend, log_table: int, extra: int, data: st.DataObject) -> None:
    """Adding powers, evaluating polynomials and extending the weights x^b all mean the same x^b."""
    log_domain = log_table + extra
    positions = sorted(data.draw(st.sets(st.integers(0, (1 << log_domain) - 1), max_size=20)))
    scales = data.draw(st.lists(exts, min_size=len(positions), max_size=len(positions)))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    start = rng.integers(0, P, (1 << log_table, 2), dtype=np.uint64)
    table = start.copy()
    backend.add_powers(table, positions, log_domain, to_array(scales))
    points = [domain_point(log_domain, position) for position in positions]
    assert backend.domain_points(log_domain, positions).tolist() == points
    expected = [
        value + sum((s * pow(x, b, P) for s, x in zip(scales, points, strict=True)), Ext(0))
        for b, value in enumerate(from_array(start))
    ]
    assert from_array(table) == expected
    xs = array(points)
    at = from_array(backend.evaluate_at(start, xs))
    assert at == [sum((c * pow(x, b, P) for b, c in enumerate(from_array(start))), Ext(0)) for x in points]
    r = data.draw(st.lists(exts, min_size=log_table, max_size=log_table))
    weights = from_array(backend.powers_extension(r, xs))
    assert weights == [scalar.evaluate([Ext(pow(x, b, P)) for b in range(1 << log_table)], r) for x in points]


@settings(deadline=None)
@given(st.integers(0, 70), st.integers(1, 70), st.integers(0, 2**32 - 1))
def test_hashes_are_sha256(backend: Backend, rows: int, width: int, seed: int) -> None:
    data = np.random.default_rng(seed).integers(0, P, (rows, width), dtype=np.uint64)
    digests = backend.hash_rows(data)
    assert [bytes(d) for d in digests] == [hashlib.sha256(r.astype("<u8").tobytes()).digest()[:27] for r in data]
    even = digests[: rows // 2 * 2]
    assert [bytes(d) for d in backend.hash_pairs(even)] == [
        hashlib.sha256(b"\x01" + bytes(even[i]) + bytes(even[i + 1])).digest()[:27] for i in range(0, len(even), 2)
    ]


@pytest.mark.parametrize("bits", [0, 1, 2, 5, 9, 13])
def test_grinding_finds_the_least_nonce(backend: Backend, bits: int) -> None:
    seed = hashlib.sha256(bytes([bits])).digest()
    nonce = backend.grind(seed, bits)
    works = [
        hashlib.sha256(seed + i.to_bytes(8, "little")).digest()[0:2] for i in range(nonce + 1)
    ]  # fmt: skip
    zero_bits = [16 - int.from_bytes(d, "big").bit_length() for d in works]
    assert zero_bits[-1] >= bits
    assert all(z < bits for z in zero_bits[:-1])
