# SPDX-License-Identifier: Apache-2.0
"""The native twin of :class:`vcompute.commitment.lanes.NumpyLanes`: two variables in one pass over the tables (see
``native/src/lanes.c``).
"""

import struct
from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import accumulate
from typing import Any, Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute._native import memory
from vcompute.commitment.lanes import Scaled, dense
from vcompute.commitment.parameters import TableShape
from vcompute.commitment.weights import Block, Blocks, ProductWeight, Terms
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.native import NativeBackend
from vcompute.field.scalar import ONE, ZERO, Ext, from_array, to_array

IntArray = npt.NDArray[np.intp]

CELL: Final = 16
"""Elements of the shortest lane."""
AHEAD: Final = 2
"""Variables of one pass."""
MOST_AXES: Final = 16
"""Of a piece (``vc_weight_piece``)."""
PAIR: Final = np.uint64(16)
"""Bytes of an element."""
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
        return found[0] if len(found) == 1 else [sum((sums[i] for sums in found), ZERO) for i in range(SUMS)]

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
    order: IntArray
    """The terms in the core's order, by their numbers among those of all weights."""
    reach: tuple[Words, ...]
    """Of each weight, for each term and axis, how far blocks read its vector."""


@lru_cache(maxsize=1 << 5)
def _arranged(weights: tuple[Blocks, ...]) -> _Arranged | None:
    """Kept, since every proof of a model has the same thousands of blocks. None where blocks share some elements, not
    all, or have more axes than the core takes.
    """
    found: dict[int, list[tuple[int, Block]]] = {}
    for number, weight in enumerate(weights):
        for block in weight.places:
            found.setdefault(block.offset, []).append((number, block))
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
    begins = list(accumulate((count for weight in weights for count in weight.terms), initial=0))
    numbers = list(accumulate((len(weight.terms) for weight in weights), initial=0))
    sums = [numbers[number] + which for keys in first for number, which in keys]
    order = [term for which in sums for term in range(begins[which], begins[which + 1])]
    with memory.plain():  # it outlives the proof
        return _Arranged(b"".join(described), len(described), np.array(order, np.intp), tuple(map(_reach, weights)))


def _reach(weight: Blocks) -> Words:
    """For each term and axis, how far blocks read its vector."""
    ends = np.zeros((len(weight.terms), max((len(block.bits) for block in weight.places), default=0)), np.uint64)
    for block in weight.places:
        own = ends[block.sum, : len(block.bits)]
        np.maximum(own, np.array(block.start, np.uint64) + np.array(block.valid, np.uint64), out=own)
    return np.repeat(ends, weight.terms, axis=0)


def _dense(shape: TableShape, weights: Sequence[Scaled], backend: NativeBackend) -> tuple[Blocks, Terms]:
    """The sum of weights of any kind: a block for each lane."""
    length, bits = shape.lane_length, (shape.lane_variables,)
    places = [Block(lane * length, bits, (lane * length,), (length,), 0) for lane in range(shape.lanes)]
    table, nowhere = dense(shape, weights, backend), np.zeros((1, 1), np.uint64)
    return Blocks(tuple(places), (1,)), Terms(table, nowhere, nowhere + np.uint64(len(table)), to_array([ONE]))


class Pieces:
    """Scaled weights as the core takes them: pieces that share no element, and their terms."""

    def __init__(self, shape: TableShape, weights: Sequence[Scaled], backend: NativeBackend) -> None:
        arranged = None
        if all(hasattr(weight, "terms") for weight, _ in weights):  # isinstance takes longer
            products = cast("Sequence[tuple[ProductWeight, Ext]]", weights)
            arranged = _arranged(tuple(weight.blocks() for weight, _ in products))
        if arranged is None:
            blocks, terms = _dense(shape, weights, backend)
            arranged, given = _arranged.__wrapped__((blocks,)), [terms]
        else:
            given = [weight.terms(scale) for weight, scale in products]
        if arranged is None:
            raise ValueError("lanes that share elements")
        self._memories = [_words(terms.memory) for terms in given]
        """They stay as long as this does."""
        self.count = arranged.length
        self.pieces = _native.ffi.from_buffer("vc_weight_piece[]", arranged.pieces)
        self.terms = _native.ffi.from_buffer("vc_weight_term[]", self._records(arranged, given))

    def _records(self, arranged: _Arranged, given: Sequence[Terms]) -> Words:
        """``vc_weight_term`` of each term in order: a scale, and the addresses of its vectors."""
        records = np.zeros((sum(len(terms.scales) for terms in given), 2 + MOST_AXES), np.uint64)
        used = 0
        for terms, reach, words in zip(given, arranged.reach, self._memories, strict=True):
            count, axes = terms.starts.shape
            _check(terms, reach)
            own = records[used : used + count]
            own[:, :2] = terms.scales
            own[:, 2 : 2 + axes] = terms.starts * PAIR + np.uint64(_native.ffi.cast("uintptr_t", words))
            used += count
        return records[arranged.order]


def _check(terms: Terms, reach: Words) -> None:
    """The core reads nothing but the terms' vectors."""
    if (len(terms.scales), *terms.starts.shape) != (len(reach), *reach.shape) or terms.lengths.shape != reach.shape:
        raise ValueError(f"{terms.starts.shape} products and axes, not {reach.shape}")
    if (terms.lengths < reach).any():
        raise ValueError("a weight's vector is shorter than its axis")
    if (terms.starts + terms.lengths > len(terms.memory)).any():
        raise ValueError("a weight's vector leaves its memory")


_LAYOUTS: Final = [
    struct.Struct(
        f"=4Q{axes}Q{8 * (MOST_AXES - axes)}x{axes}Q{8 * (MOST_AXES - axes)}x{axes}Q{8 * (MOST_AXES - axes)}x"
    )
    for axes in range(MOST_AXES + 1)
]
"""``vc_weight_piece`` of so many axes."""


def _words(array: Words) -> Any:
    if array.dtype != np.uint64 or not array.flags.c_contiguous:
        raise ValueError("expected contiguous words")
    return _native.ffi.from_buffer("uint64_t[]", array)
