# SPDX-License-Identifier: Apache-2.0
"""The native twin of :class:`vcompute.commitment.lanes.NumpyLanes`: two variables in one pass over the tables (see
``native/src/lanes.c``).
"""

import struct
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from operator import add, le
from typing import Any, Final, NamedTuple, cast

import numpy as np

from vcompute import _native
from vcompute.commitment.lanes import Scaled, dense
from vcompute.commitment.parameters import TableShape
from vcompute.commitment.weights import Block, Blocks, Product, ProductWeight
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.native import NativeBackend
from vcompute.field.scalar import ONE, ZERO, Ext, from_array

CELL: Final = 16
"""Elements of the shortest lane."""
AHEAD: Final = 2
"""Variables of one pass."""
MOST_AXES: Final = 16
"""Of a piece (``vc_weight_piece``)."""

SUMS: Final = 16
"""Of a pass."""


def supports(shape: TableShape, weights: Sequence[Scaled]) -> bool:
    """Whether lanes are whole cells and no weight reaches beyond them."""
    return shape.lane_length % CELL == 0 and all(weight.extent <= shape.stored for weight, _ in weights)


class NativeLanes:
    """See :class:`vcompute.commitment.lanes.Lanes`."""

    def __init__(
        self,
        shape: TableShape,
        table: Words,
        weights: Sequence[Scaled],
        variables: int,
        backend: NativeBackend,
    ) -> None:
        """See :class:`vcompute.commitment.lanes.NumpyLanes`."""
        self._backend = backend
        self._empty, self._left = variables - shape.fold, shape.fold
        """Variables beyond the lanes, which are bound first; and those of the lanes."""
        self._scale = ONE
        """What the table and the weights are to be multiplied by, each."""
        self._table, self._weights = table, np.empty((0, 2), np.uint64)
        self._pieces = Pieces(shape, weights, backend)
        self._pass = handle = _native.ffi.new("vc_lanes *")
        handle.length, handle.lanes, handle.variables = shape.lane_length, shape.lanes, shape.fold
        handle.f, handle.base = _words(table), True
        handle.pieces, handle.terms, handle.count = self._pieces.pieces, self._pieces.terms, self._pieces.count
        self._alphas: list[Ext] = []
        lib = _native.lib
        sums = self._sums(lib.vc_lanes_products_parts, lib.vc_lanes_products_scratch, lib.vc_lanes_products)
        self._whole = sum((sums[5 * i] for i in range(1 << min(AHEAD, self._left))), ZERO)
        """The sum of table * weights."""
        self._values = _values(sums, min(AHEAD, self._left))
        """Sums of products at values of the next variables (``vc_lanes_bind``)."""

    def _sums(
        self, parts: Callable[[Any, int], int], scratch: Callable[[Any], int], kernel: Callable[..., None]
    ) -> list[Ext]:
        """A pass over all positions, in parts; the sums of its products."""
        ahead, handle = min(AHEAD, self._left), self._pass
        found: list[list[Ext]] = []

        def part(first: int, count: int) -> None:
            sums = np.empty((SUMS, 2), np.uint64)
            kernel(_words(sums), handle, ahead, first, count, _words(np.empty(scratch(handle), np.uint64)))
            found.append(from_array(sums))

        self._backend.parts(part, parts(handle, ahead), self._table.size)
        return [sum((sums[i] for sums in found), ZERO) for i in range(SUMS)]

    def message(self) -> tuple[Ext, Ext]:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        square, values = self._scale * self._scale, self._values
        if self._empty:  # all lanes have the variable at 0
            return square * self._whole, square * self._whole
        if len(self._alphas) == 0 and self._left > 1:
            return square * (values[0] + values[1]), square * (values[3] + values[4])
        return square * values[0], square * values[1]

    def bind(self, alpha: Ext) -> None:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        if self._empty:
            self._empty, self._scale = self._empty - 1, self._scale * (ONE - alpha)
            return
        self._alphas.append(alpha)
        if len(self._alphas) == min(AHEAD, self._left):
            self._fold()
            return
        at = (ONE - alpha, alpha, alpha * (alpha - ONE))
        self._values = [
            sum((x * self._values[i] for x, i in zip(at, places, strict=True)), ZERO)
            for places in ((0, 2, 3), (5, 6, 7))
        ]

    def _fold(self) -> None:
        """Bind the variables of this pass, and sum up products for the next one."""
        lib, handle, factors = _native.lib, self._pass, self._backend.eq_tensor(self._alphas, self._scale)
        self._left -= len(self._alphas)
        lanes = min(handle.lanes, 1 << self._left)
        table, weights = (np.empty((lanes * handle.length, 2), np.uint64) for _ in range(2))
        handle.factors, handle.bound = _words(factors), len(self._alphas)
        handle.f_out, handle.w_out = _words(table), _words(weights)
        self._values = self._sums(lib.vc_lanes_bind_parts, lib.vc_lanes_bind_scratch, lib.vc_lanes_bind)
        handle.f, handle.w, handle.base = handle.f_out, handle.w_out, False
        handle.lanes, handle.variables = lanes, self._left
        self._table, self._weights = table, weights
        self._alphas, self._scale = [], ONE

    def take(self, table: ExtWords, weights: ExtWords) -> None:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        if not self._weights.size:  # one lane: nothing told it apart
            self._fold()
        for pairs, blocks in ((table, self._table), (weights, self._weights)):
            if pairs.shape != blocks.shape:
                raise ValueError(f"{len(blocks)} elements are left, not {len(pairs)}")
            _native.lib.vc_blocks_to_pairs(_words(pairs), _words(blocks), len(pairs))


def _values(gram: list[Ext], ahead: int) -> list[Ext]:
    """The values of the next variables that messages follow from, from products of groups of lanes."""

    def product(a: dict[int, int], b: dict[int, int]) -> Ext:
        terms = ((x * y, gram[4 * j + i]) for i, x in a.items() for j, y in b.items())
        return sum((value if sign > 0 else -value for sign, value in terms), ZERO)

    points: list[dict[int, int]] = [{0: 1}, {1: 1, 0: -1}]
    if ahead == AHEAD:
        points = [{0: 1}, {1: 1}, {2: 1}, {2: 1, 0: -1}, {3: 1, 1: -1}, {1: 1, 0: -1}, {3: 1, 2: -1},
                  {3: 1, 2: -1, 1: -1, 0: 1}]  # fmt: skip
    return [product(point, point) for point in points]


class _Arranged(NamedTuple):
    """The blocks of several weights as the core takes them, in order; those of the same sums share their terms."""

    pieces: bytes
    length: int
    """How many pieces."""
    sums: tuple[tuple[int, int, int, tuple[int, ...]], ...]
    """Of the terms in their order: a weight, the number of its sum, how many terms, and what their vectors reach."""


@lru_cache(maxsize=1 << 5)
def _arranged(weights: tuple[Blocks, ...]) -> _Arranged | None:
    """Kept, since every proof of a model has the same thousands of blocks. None where blocks share some elements, not
    all, or have more axes than the core takes.
    """
    found: dict[int, list[tuple[int, Block]]] = {}
    reach: dict[tuple[int, int], tuple[int, ...]] = {}
    for number, weight in enumerate(weights):
        for block in weight.places:
            found.setdefault(block.offset, []).append((number, block))
            ends, key = tuple(map(add, block.start, block.valid)), (number, block.sum)
            reach[key] = tuple(map(max, ends, reach.get(key, ends)))
    end, used, described = 0, 0, []
    first: dict[tuple[tuple[int, int], ...], int] = {}
    for offset, blocks in sorted(found.items()):
        bits, start, valid = same = blocks[0][1][1:4]
        axes, keys = len(bits), tuple((number, block.sum) for number, block in blocks)
        if offset < end or axes > MOST_AXES or any(block[1:4] != same for _, block in blocks):
            return None
        terms = sum(weights[number].terms[which] for number, which in keys)
        if keys not in first:
            first[keys], used = used, used + terms
        described.append(_LAYOUTS[axes].pack(offset, axes, first[keys], terms, *bits, *start, *valid))
        end = offset + (1 << sum(bits))
    sums = [(*key, weights[key[0]].terms[key[1]], reach[key]) for keys in first for key in keys]
    return _Arranged(b"".join(described), len(described), tuple(sums))


def _dense(shape: TableShape, weights: Sequence[Scaled], backend: NativeBackend) -> tuple[Blocks, tuple[Product, ...]]:
    """The sum of weights of any kind: a block for each lane."""
    length, bits = shape.lane_length, (shape.lane_variables,)
    places = [Block(lane * length, bits, (lane * length,), (length,), 0) for lane in range(shape.lanes)]
    return Blocks(tuple(places), (1,)), (Product((dense(shape, weights, backend),), ONE),)


class Pieces:
    """Scaled weights as the core takes them: pieces that share no element, and their terms."""

    def __init__(self, shape: TableShape, weights: Sequence[Scaled], backend: NativeBackend) -> None:
        self._addresses: dict[int, int] = {}
        self._held: list[object] = []
        arranged = None
        if all(hasattr(weight, "sums") for weight, _ in weights):  # isinstance takes longer
            products = cast("Sequence[tuple[ProductWeight, Ext]]", weights)
            arranged = _arranged(tuple(weight.blocks() for weight, _ in products))
        if arranged is None:
            blocks, terms = _dense(shape, weights, backend)
            arranged, sums = _arranged.__wrapped__((blocks,)), [[terms]]
        else:
            sums = [weight.sums(scale) for weight, scale in products]
        if arranged is None:
            raise ValueError("lanes that share elements")
        self.count = arranged.length
        self.pieces = self._records("vc_weight_piece[]", arranged.pieces)
        self.terms = self._records("vc_weight_term[]", b"".join(self._terms(arranged, sums)))

    def _records(self, kind: str, records: bytes) -> Any:
        self._held.append(_native.ffi.from_buffer(kind, records))
        return self._held[-1]

    def _terms(self, arranged: _Arranged, sums: Sequence[Sequence[Sequence[Product]]]) -> Iterator[bytes]:
        for number, which, count, reach in arranged.sums:
            terms = sums[number][which]
            if len(terms) != count:
                raise ValueError(f"a sum of {len(terms)} products, not {count}")
            for vectors, scale in terms:
                if not all(map(le, reach, map(len, vectors))):
                    raise ValueError("a weight's vector is shorter than its axis")
                yield _TERMS[len(reach)].pack(scale.c0, scale.c1, *map(self._address, vectors))

    def _address(self, vector: Words) -> int:
        """Of a vector's words, which stay as long as this does."""
        found = self._addresses.get(id(vector))
        if found is None:
            words = _words(np.ascontiguousarray(vector))
            self._held += (vector, words)
            found = self._addresses[id(vector)] = int(_native.ffi.cast("uintptr_t", words))
        return found


_LAYOUTS: Final = [
    struct.Struct(
        f"=4Q{axes}Q{8 * (MOST_AXES - axes)}x{axes}Q{8 * (MOST_AXES - axes)}x{axes}Q{8 * (MOST_AXES - axes)}x"
    )
    for axes in range(MOST_AXES + 1)
]
"""``vc_weight_piece`` of so many axes."""
_TERMS: Final = [struct.Struct(f"=2Q{axes}Q{8 * (MOST_AXES - axes)}x") for axes in range(MOST_AXES + 1)]
"""``vc_weight_term`` of so many axes."""


def _words(array: Words) -> Any:
    if array.dtype != np.uint64 or not array.flags.c_contiguous:
        raise ValueError("expected contiguous words")
    return _native.ffi.from_buffer("uint64_t[]", array)
