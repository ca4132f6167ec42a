# SPDX-License-Identifier: Apache-2.0
"""The native lanes of an opening against their numpy twin: every message, what is left, and the weights as blocks."""

from dataclasses import dataclass

import numpy as np
import pytest

from vcompute import _native
from vcompute.commitment import TableShape
from vcompute.commitment.lanes import NumpyLanes, Scaled, make_lanes
from vcompute.commitment.lanes_native import NativeLanes
from vcompute.commitment.weights import Block, Blocks, EqWeight, Product, Terms, in_one_memory
from vcompute.field import Backend, Ext, ExtWords, P, from_array, to_array
from vcompute.field.goldilocks import elements
from vcompute.field.native import NativeBackend
from vcompute.field.portable import NumpyBackend

pytestmark = pytest.mark.skipif(not _native.available(), reason="the native core is not built")

TOP = P - 1
LEAST = 1 << 19
"""Small integers reach from -2^19 to 2^19 - 1."""
SHAPES = [(4, 1), (4, 2), (5, 3), (5, 5), (4, 11), (4, 16), (6, 17), (4, 44), (4, 64), (8, 6), (12, 3), (15, 5)]


def words(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Random words with the greatest among them."""
    table = rng.integers(0, P, shape, dtype=np.uint64)
    table.reshape(-1)[:: max(table.size // 7, 1)] = TOP
    return table


def mixed(rng: np.random.Generator, kind: TableShape) -> np.ndarray:
    """Small integers but for every third lane, and for one word of another."""
    table = elements(rng.integers(-LEAST, LEAST, kind.stored))
    lanes = table.reshape(kind.lanes, -1)
    for lane in range(0, kind.lanes, 3):
        lanes[lane] = words(rng, kind.lane_length)
    lanes[-1, rng.integers(0, kind.lane_length)] = TOP // 3
    return table


@dataclass(frozen=True)
class Given:
    """A weight of blocks, given as they are, and the sums they name."""

    given: tuple[Block, ...]
    sums: tuple[tuple[Product, ...], ...]
    extent: int

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        for block in self.given:
            for term in self.sums[block.sum]:
                cube = to_array([scale * term.scale])
                for bits, start, valid, vector in zip(block.bits, block.start, block.valid, term.vectors, strict=True):
                    axis = np.zeros((1 << bits, 2), np.uint64)
                    axis[:valid] = vector[start : start + valid]
                    wide = np.repeat(cube, len(axis), axis=0)
                    cube = backend.ext_mul(wide, np.tile(axis, (len(cube), 1)))
                part = table[block.offset : block.offset + len(cube)]
                part[...] = backend.add(np.ascontiguousarray(part), cube)

    def evaluate(self, point: object) -> Ext:
        raise NotImplementedError

    def blocks(self) -> Blocks:
        return Blocks(self.given, tuple(map(len, self.sums)))

    def terms(self, scale: Ext) -> Terms:
        return in_one_memory([Product(term.vectors, scale * term.scale) for terms in self.sums for term in terms])


def random_terms(rng: np.random.Generator, most: int) -> Given:
    """Pieces behind one another, larger first, of every number of axes; up to twelve terms a piece, gaps between."""
    blocks, sums, offset = [], [], 0
    sizes = sorted((tuple(rng.integers(0, 5, rng.integers(0, 5)).tolist()) for _ in range(12)), key=lambda b: -sum(b))
    for bits in [(4, 3, 6), (3, 1, 9), (13,), (12, 2), (2, 7), (9,), *sizes]:
        size = 1 << sum(bits)
        offset = -(-offset // size) * size
        if offset + size > most:
            continue
        valid = tuple(int(rng.integers(1, (1 << b) + 1)) for b in bits)
        start = tuple(int(s) for s in rng.integers(0, 3, len(bits)))
        for _ in range(rng.integers(0, 4)):
            terms = tuple(
                Product(
                    tuple(words(rng, s + v, 2) for s, v in zip(start, valid, strict=True)),
                    from_array(words(rng, 1, 2))[0],
                )
                for _ in range(rng.integers(1, 5))
            )
            blocks.append(Block(offset, bits, start, valid, len(sums)))
            sums.append(terms)
        offset += size
    return Given(tuple(blocks), tuple(sums), most)


def agree(kind: TableShape, table: np.ndarray, weights: list[Scaled], alphas: list[Ext], threads: int = 1) -> None:
    """Every message, and what is left."""
    native = make_lanes(kind, table, weights, len(alphas), NativeBackend(threads))
    twin = NumpyLanes(kind, table, weights, len(alphas), NumpyBackend())
    assert isinstance(native, NativeLanes)
    for alpha in alphas:
        assert native.message() == twin.message()
        native.bind(alpha)
        twin.bind(alpha)
    left = np.ones((2, 2, kind.lane_length, 2), np.uint64)
    native.take(*left[0])
    twin.take(*left[1])
    assert np.array_equal(*left)


@pytest.mark.parametrize("shape", [(9, 5), (6, 33), (4, 64), (13, 1), (13, 2), (15, 3)], ids=str)
@pytest.mark.parametrize("seed", range(4))
def test_native_weights_in_pieces_are_the_dense_ones(shape: tuple[int, int], seed: int) -> None:
    """Pieces longer than lanes and tiles, and of less than a cell; tables whose lanes are small in part."""
    rng, kind = np.random.default_rng(seed), TableShape(*shape)
    table = mixed(rng, kind)
    scaled: list[Scaled] = [(random_terms(rng, kind.stored), from_array(words(rng, 1, 2))[0])]
    agree(kind, table, scaled, from_array(words(rng, kind.fold, 2)), threads=1 + seed % 2)


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
        agree(kind, table, weights, from_array(words(rng, variables, 2)), threads)


EDGES = [
    *(0, 1, LEAST - 1, LEAST, LEAST + 1, (P - 3) // 2, (P - 1) // 2, (P + 1) // 2, (1 << 63) - 1, 1 << 63),
    *(P - LEAST - 1, P - LEAST, P - LEAST + 1, P - (1 << 31), P - 1, (1 << 31) - 1, 1 << 31, 1 << 32, P - (1 << 32)),
]
"""Words about the edges of what is a small integer, and of halves of constants."""


@pytest.mark.parametrize("edge", EDGES)
def test_native_words_at_the_edge_of_small_integers(edge: int) -> None:
    """One such word among the greatest and least small integers, and constants about (p - 1) / 2."""
    rng, kind = np.random.default_rng(edge % 997), TableShape(10, 13)
    table = np.where(rng.integers(0, 2, kind.stored) == 1, LEAST - 1, P - LEAST).astype(np.uint64)
    table[rng.integers(0, kind.stored)] = edge
    middle = np.array(
        [(P - 1) // 2, (P - 3) // 2, (P + 1) // 2, TOP, 0, (1 << 31) - 1, 1 << 31, P - (1 << 31)], np.uint64
    )
    vectors = tuple(middle[rng.integers(0, len(middle), (1 << bits, 2))] for bits in (4, 6, 3))
    terms = (Product(vectors, from_array(rng.choice(middle, (1, 2)))[0]),)
    block = Block(0, (4, 6, 3), (0, 0, 0), (16, 64, 8), 0)
    alphas = [Ext(1), Ext((P - 1) // 2, (P - 1) // 2), Ext((P + 1) // 2, 0), Ext(0, (P + 1) // 2)]
    agree(kind, table, [(Given((block,), (terms,), 1 << 13), Ext(1))], alphas)


def test_native_sums_are_reduced_in_time() -> None:
    """The greatest words, and small integers, in every place of more positions than a sum of products holds."""
    kind = TableShape(15, 4)
    vector = np.full((1 << 17, 2), TOP, np.uint64)
    long, square = ((17,), (vector,)), ((13, 4), (vector[: 1 << 13], vector[:16]))
    for bits, vectors in (long, square):
        block = Block(0, bits, (0,) * len(bits), tuple(1 << b for b in bits), 0)
        terms = (Product(vectors, Ext(1)),)
        for word in (TOP, LEAST - 1, P - LEAST):
            table = np.full(kind.stored, word, np.uint64)
            agree(kind, table, [(Given((block,), (terms,), 1 << 17), Ext(1))], [Ext(TOP, TOP), Ext(3, TOP)])


def broken(weight: Given, **changes: np.ndarray) -> Scaled:
    """A weight whose terms are changed."""

    class Broken(Given):
        def terms(self, scale: Ext) -> Terms:
            return super().terms(scale)._replace(**changes)

    return Broken(weight.given, weight.sums, weight.extent), Ext(1)


def test_native_terms_stay_in_their_memory() -> None:
    """The core is handed no vector that is shorter than its axis, or ends where its memory has ended."""
    kind, vectors = TableShape(4, 4), tuple(np.ones((length, 2), np.uint64) for length in (4, 8))
    weight = Given((Block(0, (2, 3), (0, 0), (4, 8), 0),), ((Product(vectors, Ext(1)),),), 32)
    table = np.ones(kind.stored, np.uint64)
    starts, lengths = np.array([[0, 4]], np.uint64), np.array([[4, 8]], np.uint64)
    NativeLanes(kind, table, [broken(weight, starts=starts, lengths=lengths)], 2, NativeBackend())
    for changes, message in (
        ({"lengths": np.array([[4, 7]], np.uint64)}, "shorter than its axis"),
        ({"starts": np.array([[0, 5]], np.uint64)}, "leaves its memory"),
        ({"scales": np.ones((2, 2), np.uint64)}, "products and axes"),
        ({"starts": starts[:, :1], "lengths": lengths[:, :1]}, "products and axes"),
        ({"starts": starts[:, :1]}, "products and axes"),
    ):
        with pytest.raises(ValueError, match=message):
            NativeLanes(kind, table, [broken(weight, **changes)], 2, NativeBackend())
