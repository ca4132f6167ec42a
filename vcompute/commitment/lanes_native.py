# SPDX-License-Identifier: Apache-2.0
"""The native twin of :class:`vcompute.commitment.lanes.NumpyLanes`: two variables in one pass over the tables (see
``native/src/lanes.c``).
"""

from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.commitment.parameters import TableShape
from vcompute.commitment.weights import Product, Weight
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.native import NativeBackend
from vcompute.field.scalar import ONE, ZERO, Ext, from_array

BLOCK: Final = 8
"""Elements of a block: eight first words, then eight second words."""
AHEAD: Final = 2
"""Variables of one pass."""
MOST_AXES: Final = 16
"""Of a piece (``vc_weight_piece``)."""

Gram = list[list[Ext]]
"""The sums of products of groups of lanes, of the table by row and of the weights by column."""


def supports(shape: TableShape, weights: Sequence[tuple[Weight, Ext]]) -> bool:
    """Whether lanes are whole blocks and no weight reaches beyond them."""
    return shape.lane_length % BLOCK == 0 and all(weight.extent <= shape.stored for weight, _ in weights)


class NativeLanes:
    """See :class:`vcompute.commitment.lanes.Lanes`."""

    def __init__(
        self,
        shape: TableShape,
        table: Words,
        weights: Sequence[tuple[Weight, Ext]],
        variables: int,
        backend: NativeBackend,
    ) -> None:
        """See :class:`vcompute.commitment.lanes.NumpyLanes`."""
        self._backend, self._length = backend, shape.lane_length
        self._empty, self._left = variables - shape.fold, shape.fold
        """Variables beyond the lanes, which are bound first; and those of the lanes."""
        self._scale = ONE
        """What the table and the weights are to be multiplied by, each."""
        self._lanes, self._base = shape.lanes, True
        self._table, self._weights = table, blocked_weights(shape, weights, backend)
        self._alphas: list[Ext] = []
        self._gram = self._products()

    def _products(self) -> Gram:
        ahead = min(AHEAD, self._left)
        handle = self._handle(self._table, self._weights, self._lanes, self._left, self._base)
        return self._pass(
            ahead,
            lambda sums, first, count, scratch: _native.lib.vc_lanes_products(
                sums, handle, ahead, first, count, scratch
            ),
        )

    def _handle(self, table: Words, weights: Words, lanes: int, variables: int, base: bool) -> Any:
        handle = _native.ffi.new("vc_lanes *")
        handle.f, handle.w = _words(table), _words(weights)
        handle.lanes, handle.variables, handle.length, handle.base = lanes, variables, self._length, base
        return handle

    def _pass(self, ahead: int, kernel: Callable[[Any, int, int, Any], None]) -> Gram:
        """A pass over all positions, in parts; the sums of its products."""
        groups, found = 1 << ahead, []

        def part(first: int, count: int) -> None:
            sums = np.empty((groups * groups, 2), np.uint64)
            scratch = np.empty(_native.lib.vc_lanes_scratch(), np.uint64)
            kernel(_words(sums), BLOCK * first, BLOCK * count, _words(scratch))
            found.append(from_array(sums))

        self._backend.parts(part, self._length // BLOCK, self._lanes * self._length)
        totals = [sum((sums[i] for sums in found), ZERO) for i in range(groups * groups)]
        return [totals[groups * i : groups * (i + 1)] for i in range(groups)]

    def message(self) -> tuple[Ext, Ext]:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        square, gram = self._scale * self._scale, self._gram
        if self._empty:  # all lanes have the variable at 0
            whole = square * sum((gram[i][i] for i in range(len(gram))), ZERO)
            return whole, whole
        half = len(gram) // 2
        at_zero = leading = ZERO
        for i in range(half):
            at_zero = at_zero + gram[i][i]
            leading = leading + gram[i][i] + gram[half + i][half + i] - gram[i][half + i] - gram[half + i][i]
        return square * at_zero, square * leading

    def bind(self, alpha: Ext) -> None:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        if self._empty:
            self._empty, self._scale = self._empty - 1, self._scale * (ONE - alpha)
            return
        self._alphas.append(alpha)
        half, pair = len(self._gram) // 2, (ONE - alpha, alpha)
        self._gram = [
            [
                sum((x * y * self._gram[half * a + i][half * b + j] for a, x in enumerate(pair)
                     for b, y in enumerate(pair)), ZERO)
                for j in range(half)
            ]
            for i in range(half)
        ]  # fmt: skip
        if half == 1:
            self._fold()

    def _fold(self) -> None:
        """Bind the variables of this pass, and sum up products for the next one."""
        bound = len(self._alphas)
        self._left -= bound
        lanes, ahead = min(self._lanes, 1 << self._left), min(AHEAD, self._left)
        table, weights = (np.empty((lanes * self._length, 2), np.uint64) for _ in range(2))
        before = self._handle(self._table, self._weights, self._lanes, self._left + bound, self._base)
        after = self._handle(table, weights, lanes, self._left, False)
        factors = self._backend.eq_tensor(self._alphas, self._scale)
        self._gram = self._pass(
            ahead,
            lambda sums, first, count, scratch: _native.lib.vc_lanes_bind(
                sums, after, before, bound, _words(factors), ahead, first, count, scratch
            ),
        )
        self._table, self._weights, self._lanes, self._base = table, weights, lanes, False
        self._alphas, self._scale = [], ONE

    def bound(self) -> tuple[ExtWords, ExtWords]:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        if self._base:  # one lane: nothing told it apart
            self._fold()
        return pairs_of(self._table), pairs_of(self._weights)


def pairs_of(blocks: ExtWords) -> ExtWords:
    """Extension elements as pairs, from blocks."""
    out = np.empty_like(blocks)
    _native.lib.vc_blocks_to_pairs(_words(out), _words(blocks), blocks.shape[0])
    return out


def blocked_weights(shape: TableShape, weights: Sequence[tuple[Weight, Ext]], backend: NativeBackend) -> ExtWords:
    """The sum of scaled weights, in blocks."""
    from vcompute.commitment.lanes import dense

    products = [(getattr(weight, "products", None), scale) for weight, scale in weights]  # isinstance takes longer
    if all(callable(make) for make, _ in products):
        pieces: dict[tuple[int, tuple[int, ...]], list[Product]] = {}
        for make, scale in products:
            for product in make(scale) if make else ():
                pieces.setdefault((product.offset, product.bits), []).append(product)
        ordered = [pieces[key] for key in sorted(pieces)]
        if _apart(ordered) and all(len(piece[0].bits) <= MOST_AXES for piece in ordered):
            return _filled(shape, ordered, backend)
    words = dense(shape, weights, backend).reshape(-1, BLOCK, 2)
    return np.ascontiguousarray(words.swapaxes(1, 2)).reshape(-1, 2)


def _apart(pieces: list[list[Product]]) -> bool:
    """Whether no two pieces share an element."""
    end = 0
    for piece in pieces:
        if piece[0].offset < end:
            return False
        end = piece[0].offset + (1 << sum(piece[0].bits))
    return True


def _filled(shape: TableShape, pieces: list[list[Product]], backend: NativeBackend) -> ExtWords:
    """The weights piece by piece; a piece's terms are added up before anything is written."""
    ffi, lib = _native.ffi, _native.lib
    table = np.empty((shape.stored, 2), np.uint64)
    _clear_gaps(table, pieces)
    described, terms = (
        ffi.new("vc_weight_piece[]", len(pieces) + 1),
        ffi.new("vc_weight_term[]", sum(map(len, pieces)) + 1),
    )
    addresses: dict[int, Any] = {}
    kept, number = [], 0
    for handle, piece in zip(described, pieces, strict=False):
        handle.offset, handle.axes, handle.first, handle.terms = piece[0].offset, len(piece[0].bits), number, len(piece)
        for axis, (bits, start, valid) in enumerate(zip(piece[0].bits, piece[0].start, piece[0].valid, strict=True)):
            handle.bits[axis], handle.start[axis], handle.valid[axis] = bits, start, valid
        for product in piece:
            term = terms[number]
            number += 1
            term.scale[0], term.scale[1] = product.scale.c0, product.scale.c1
            for axis, vector in enumerate(product.vectors):
                if vector.shape[0] < piece[0].start[axis] + piece[0].valid[axis]:
                    raise ValueError("a weight's vector is shorter than its axis")
                if id(vector) not in addresses:
                    kept.append(np.ascontiguousarray(vector))
                    addresses[id(vector)] = _words(kept[-1])
                term.vectors[axis] = addresses[id(vector)]

    def part(first: int, count: int) -> None:
        scratch = np.empty(max(lib.vc_weights_scratch(described + first, count), 1), np.uint64)
        lib.vc_weights(_words(table), described + first, count, terms, _words(scratch))

    backend.parts(part, len(pieces), table.size)
    return table


def _clear_gaps(table: ExtWords, pieces: list[list[Product]]) -> None:
    """Zeros in every block that pieces leave an element of."""
    end = 0
    for offset, size in [*((piece[0].offset, 1 << sum(piece[0].bits)) for piece in pieces), (table.shape[0], 0)]:
        if end < offset:
            table[end // BLOCK * BLOCK : -(-offset // BLOCK) * BLOCK] = 0
        end = offset + size


def _words(array: Words) -> Any:
    if array.dtype != np.uint64 or not array.flags.c_contiguous:
        raise ValueError("expected contiguous words")
    return _native.ffi.from_buffer("uint64_t[]", array)
