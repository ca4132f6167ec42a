# SPDX-License-Identifier: Apache-2.0
"""The native lanes of an opening against their numpy twin: every message, what is left, and the weights as blocks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import pytest

from vcompute import _native
from vcompute.commitment import TableShape
from vcompute.commitment.lanes import NumpyLanes, dense, make_lanes
from vcompute.commitment.lanes_native import NativeLanes, blocked_weights, pairs_of
from vcompute.commitment.weights import EqWeight, Product
from vcompute.field import Backend, Ext, ExtWords, P, from_array
from vcompute.field.native import NativeBackend
from vcompute.field.portable import NumpyBackend

pytestmark = pytest.mark.skipif(not _native.available(), reason="the native core is not built")

TOP = P - 1
SHAPES = [(3, 1), (3, 2), (4, 3), (5, 5), (3, 11), (4, 16), (3, 17), (4, 44), (3, 64), (8, 6), (12, 3)]


def words(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random words with the greatest among them."""
    table = rng.integers(0, P, shape, dtype=np.uint64)
    table.reshape(-1)[:: max(table.size // 7, 1)] = TOP
    return table


@dataclass(frozen=True)
class Terms:
    """A weight of products, given as they are."""

    terms: tuple[Product, ...]
    extent: int

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        for term in self.products(scale):
            cube = np.array([[term.scale.c0, term.scale.c1]], np.uint64)
            for bits, start, valid, vector in zip(term.bits, term.start, term.valid, term.vectors, strict=True):
                axis = np.zeros((1 << bits, 2), np.uint64)
                axis[:valid] = vector[start : start + valid]
                wide = np.repeat(cube, len(axis), axis=0)
                cube = backend.ext_mul(wide, np.tile(axis, (len(cube), 1)))
            block = table[term.offset : term.offset + len(cube)]
            block[...] = backend.add(np.ascontiguousarray(block), cube)

    def evaluate(self, point: object) -> Ext:
        raise NotImplementedError

    def products(self, scale: Ext) -> Iterator[Product]:
        for t in self.terms:
            yield Product(t.offset, t.bits, t.start, t.valid, t.vectors, scale * t.scale)


def random_terms(rng: np.random.Generator, most: int) -> Terms:
    """Pieces behind one another, larger first, of every number of axes; up to twelve terms a piece, gaps between."""
    terms, offset = [], 0
    sizes = sorted((tuple(rng.integers(0, 5, rng.integers(0, 5)).tolist()) for _ in range(12)), key=lambda b: -sum(b))
    for bits in [(2, 7), (9,), *sizes]:
        size = 1 << sum(bits)
        if offset + size > most:
            continue
        offset = -(-offset // size) * size
        valid = tuple(int(rng.integers(1, (1 << b) + 1)) for b in bits)
        start = tuple(int(s) for s in rng.integers(0, 3, len(bits)))
        for _ in range(rng.integers(0, 13)):
            vectors = tuple(words(rng, s + v, 2) for s, v in zip(start, valid, strict=True))
            terms.append(Product(offset, bits, start, valid, vectors, from_array(words(rng, 1, 2))[0]))
        offset += size
    return Terms(tuple(terms), most)


@pytest.mark.parametrize("seed", range(12))
def test_native_weights_are_the_dense_ones(seed: int) -> None:
    rng, shape = np.random.default_rng(seed), TableShape(9, 5)
    scaled = [(random_terms(rng, shape.stored), from_array(words(rng, 1, 2))[0])]
    blocks = blocked_weights(shape, scaled, NativeBackend())
    assert np.array_equal(pairs_of(blocks), dense(shape, scaled, NumpyBackend()))


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("threads", [1, 2])
def test_native_lanes_send_the_same_messages(shape: tuple[int, int], threads: int) -> None:
    """For every number of variables from the lanes' own to two more, which bind zeros."""
    rng, kind = np.random.default_rng(sum(shape)), TableShape(*shape)
    table = words(rng, kind.stored)
    point = tuple(from_array(words(rng, kind.lane_variables, 2)))
    weights = [
        (EqWeight(point, lane << kind.lane_variables), from_array(words(rng, 1, 2))[0]) for lane in range(kind.lanes)
    ]
    for variables in range(kind.fold, kind.fold + 3):
        native = make_lanes(kind, table, weights, variables, NativeBackend(threads))
        twin = NumpyLanes(kind, table, weights, variables, NumpyBackend())
        assert isinstance(native, NativeLanes)
        for alpha in from_array(words(rng, variables, 2)):
            assert native.message() == twin.message()
            native.bind(alpha)
            twin.bind(alpha)
        for one, two in zip(native.bound(), twin.bound(), strict=True):
            assert np.array_equal(one, two if two.ndim == 2 else np.stack([two, np.zeros_like(two)], axis=1))


def test_native_sums_are_reduced_in_time() -> None:
    """The greatest words in every place of more positions than a sum of products holds."""
    kind = TableShape(15, 4)
    table = np.full(kind.stored, TOP, np.uint64)
    weights = [
        (
            Terms((Product(0, (17,), (0,), (1 << 17,), (np.full((1 << 17, 2), TOP, np.uint64),), Ext(1)),), 1 << 17),
            Ext(1),
        )
    ]
    native = NativeLanes(kind, table, weights, 2, NativeBackend())
    twin = NumpyLanes(kind, table, weights, 2, NumpyBackend())
    for alpha in (Ext(TOP, TOP), Ext(3, TOP)):
        assert native.message() == twin.message()
        native.bind(alpha)
        twin.bind(alpha)
    assert all(np.array_equal(one, two) for one, two in zip(native.bound(), twin.bound(), strict=True))
