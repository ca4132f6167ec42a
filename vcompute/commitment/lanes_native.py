# SPDX-License-Identifier: Apache-2.0
"""The native twin of :class:`vcompute.commitment.lanes.NumpyLanes`: two variables in one pass over the tables (see
``native/src/lanes.c``).
"""

import struct
from collections.abc import Callable, Sequence
from typing import Any, Final

import numpy as np

from vcompute import _native
from vcompute.commitment.parameters import TableShape
from vcompute.commitment.weights import Block, Product, Weight
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


def supports(shape: TableShape, weights: Sequence[tuple[Weight, Ext]]) -> bool:
    """Whether lanes are whole cells and no weight reaches beyond them."""
    return shape.lane_length % CELL == 0 and all(weight.extent <= shape.stored for weight, _ in weights)


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
        self._backend = backend
        self._empty, self._left = variables - shape.fold, shape.fold
        """Variables beyond the lanes, which are bound first; and those of the lanes."""
        self._scale = ONE
        """What the table and the weights are to be multiplied by, each."""
        self._table, self._weights = table, np.empty((0, 2), np.uint64)
        self._pieces = Pieces(pieces_of(shape, weights, backend))
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

    def bound(self) -> tuple[ExtWords, ExtWords]:
        """See :class:`vcompute.commitment.lanes.Lanes`."""
        if not self._weights.size:  # one lane: nothing told it apart
            self._fold()
        return pairs_of(self._table), pairs_of(self._weights)


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


def pairs_of(blocks: ExtWords) -> ExtWords:
    """Extension elements as pairs, from blocks."""
    out = np.empty_like(blocks)
    _native.lib.vc_blocks_to_pairs(_words(out), _words(blocks), blocks.shape[0])
    return out


def pieces_of(shape: TableShape, weights: Sequence[tuple[Weight, Ext]], backend: NativeBackend) -> list[list[Block]]:
    """The scaled weights as pieces that share no element, in order: each the blocks that are to be added up there."""
    from vcompute.commitment.lanes import dense

    makers = [(getattr(weight, "blocks", None), scale) for weight, scale in weights]  # isinstance takes longer
    if all(callable(make) for make, _ in makers):
        pieces: dict[int, list[Block]] = {}
        for make, scale in makers:
            for block in make(scale) if make else ():
                pieces.setdefault(block.offset, []).append(block)
        ordered = [pieces[offset] for offset in sorted(pieces)]
        if _apart(ordered):
            return ordered
    words, length = dense(shape, weights, backend), shape.lane_length
    terms = (Product((words,), ONE),)
    return [
        [Block(lane * length, (shape.lane_variables,), (lane * length,), (length,), terms)]
        for lane in range(shape.lanes)
    ]


def _apart(pieces: list[list[Block]]) -> bool:
    """Whether blocks are the same or share no element, and have no more axes than the core takes."""
    end = 0
    for blocks in pieces:
        block = blocks[0]
        if block.offset < end or len(block.bits) > MOST_AXES:
            return False
        if len(blocks) > 1 and any(other[:4] != block[:4] for other in blocks):
            return False
        end = block.offset + (1 << sum(block.bits))
    return True


class Pieces:
    """Pieces as the core takes them; those of the same terms share them."""

    def __init__(self, pieces: list[list[Block]]) -> None:
        self.count = len(pieces)
        self._addresses: dict[int, int] = {}
        self._held: list[object] = []
        self._terms: list[bytes] = []
        found: dict[tuple[int, ...], tuple[int, int, list[int]]] = {}
        described = []
        for blocks in pieces:
            offset, bits, start, valid, terms = blocks[0]
            key = (id(terms),) if len(blocks) == 1 else tuple(id(block.terms) for block in blocks)
            if key not in found:
                found[key] = self._add(blocks)
            first, count, sizes = found[key]
            for begin, length, size in zip(start, valid, sizes, strict=True):
                if begin + length > size:
                    raise ValueError("a weight's vector is shorter than its axis")
            axes = len(bits)
            described.append(_LAYOUTS[axes].pack(offset, axes, first, count, *bits, *start, *valid))
        self.pieces = self._records("vc_weight_piece[]", described)
        self.terms = self._records("vc_weight_term[]", self._terms)

    def _records(self, kind: str, records: list[bytes]) -> Any:
        self._held.append(_native.ffi.from_buffer(kind, b"".join(records)))
        return self._held[-1]

    def _add(self, blocks: list[Block]) -> tuple[int, int, list[int]]:
        """The blocks' terms: the first one's number, how many there are, and what their vectors reach on each axis."""
        first = len(self._terms)
        terms = [term for block in blocks for term in block.terms]
        for vectors, scale in terms:
            addresses = [self._address(vector) for vector in vectors]
            self._terms.append(_TERM.pack(scale.c0, scale.c1, *addresses, *[0] * (MOST_AXES - len(addresses))))
        return first, len(terms), [min(map(len, axis)) for axis in zip(*(term.vectors for term in terms), strict=True)]

    def _address(self, vector: Words) -> int:
        """Of a vector's words, which stay as long as this does."""
        if id(vector) not in self._addresses:
            kept = np.ascontiguousarray(vector)
            self._held += [vector, kept]
            self._addresses[id(vector)] = int(_native.ffi.cast("uintptr_t", _words(kept)))
        return self._addresses[id(vector)]


_LAYOUTS: Final = [
    struct.Struct(
        f"=4Q{axes}Q{8 * (MOST_AXES - axes)}x{axes}Q{8 * (MOST_AXES - axes)}x{axes}Q{8 * (MOST_AXES - axes)}x"
    )
    for axes in range(MOST_AXES + 1)
]
"""``vc_weight_piece`` of so many axes."""
_TERM: Final = struct.Struct(f"=2Q{MOST_AXES}Q")
"""``vc_weight_term``."""


def _words(array: Words) -> Any:
    if array.dtype != np.uint64 or not array.flags.c_contiguous:
        raise ValueError("expected contiguous words")
    return _native.ffi.from_buffer("uint64_t[]", array)
