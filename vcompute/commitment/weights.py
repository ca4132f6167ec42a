# SPDX-License-Identifier: Apache-2.0
"""Claims about committed tables: weighted sums, their weights known to both sides in their own form.

A claim says: the sum over its terms of <weight, table> is a value. The prover adds a weight, scaled, to a dense table;
the verifier evaluates the weight's multilinear extension at one point. Both methods of a weight must agree: the law
suite checks it for every weight here, and a new kind of weight has only these two methods to write.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np

from vcompute.errors import Rejected
from vcompute.field.backend import Backend
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.scalar import ONE, Ext, eq_index, evaluate, from_array, to_array
from vcompute.registry import ErrorCode

_INNER: Final = 9
"""Variables of the inner part of a product: a table that stays in the fastest cache."""


class Weight(Protocol):
    """A weight on the cube of ``variables`` variables (those of the table it meets; see TableShape)."""

    @property
    def extent(self) -> int:
        """The weight is zero from here on."""
        ...

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        """Add scale * weight to a table in place (prover). The table may end early: after the stored lanes."""
        ...

    def evaluate(self, point: Sequence[Ext]) -> Ext:
        """The weight's multilinear extension (verifier); the point has the table's number of variables."""
        ...


class Product(NamedTuple):
    """A scale times the product of a vector for each axis."""

    vectors: tuple[ExtWords, ...]
    scale: Ext


class Terms(NamedTuple):
    """The products of a weight's sums, one behind the other, their vectors in one memory: a weight whose vectors always
    lie at the same places of it says only once where.
    """

    memory: ExtWords
    starts: Words
    """For each product and axis the element where its vector begins."""
    lengths: Words
    """For each product and axis the elements of its vector."""
    scales: ExtWords


def in_one_memory(products: Sequence[Product]) -> Terms:
    """Products whose vectors stand anywhere. A vector that several share is copied once."""
    starts, lengths = (
        np.zeros((len(products), max((len(p.vectors) for p in products), default=0)), np.uint64) for _ in range(2)
    )
    places: dict[int, int] = {}
    parts, used = [np.empty((0, 2), np.uint64)], 0
    for row, product in enumerate(products):
        for axis, vector in enumerate(product.vectors):
            if id(vector) not in places:
                places[id(vector)], used = used, used + len(vector)
                parts.append(vector)
            starts[row, axis], lengths[row, axis] = places[id(vector)], len(vector)
    return Terms(np.concatenate(parts), starts, lengths, to_array([product.scale for product in products]))


class Block(NamedTuple):
    """A sum of products on the aligned block at ``offset`` of 2^bits elements an axis: each vector from ``start`` on,
    and zero from ``valid`` on. Blocks share sums.
    """

    offset: int
    bits: tuple[int, ...]
    start: tuple[int, ...]
    valid: tuple[int, ...]
    sum: int
    """The number of the sum."""


@dataclass(frozen=True, eq=False)
class Blocks:
    """Where a weight is which sum. Equal to itself alone, so what follows from the places may be kept by this object,
    which a weight has for every proof of a model.
    """

    places: tuple[Block, ...]
    terms: tuple[int, ...]
    """Products of each sum."""


class ProductWeight(Weight, Protocol):
    """A weight that is sums of products on blocks: whoever has these methods is taken for one."""

    def blocks(self) -> Blocks:
        """The blocks."""
        ...

    def terms(self, scale: Ext) -> Terms:
        """scale * the products of all sums that blocks name, in order of the sums."""
        ...


@dataclass(frozen=True, slots=True)
class EqWeight:
    """eq(point, .) on the aligned block of 2^len(point) values at ``offset``: <weight, table> is the multilinear
    extension of that block at the point.
    """

    point: tuple[Ext, ...]
    offset: int = 0

    @property
    def extent(self) -> int:
        return self.offset + (1 << len(self.point))

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        block = table[self.offset : self.offset + (1 << len(self.point))]
        outer, inner = self.point[:-_INNER], self.point[-_INNER:]
        backend.add_outer(block, backend.eq_tensor(outer, scale), backend.eq_tensor(inner))

    def evaluate(self, point: Sequence[Ext]) -> Ext:
        prefix, rest = split_point(point, len(self.point), self.offset)
        result = prefix
        for x, r in zip(self.point, rest, strict=True):
            product = x * r
            result = result * (ONE - x - r + product + product)
        return result


@dataclass(frozen=True, slots=True)
class TensorWeight:
    """A product of vectors on the aligned block at ``offset``: at the index (i_1, ..., i_k), first axis most
    significant, the value is the product of factors[j][i_j]. Each factor has shape (2^v_j, 2).

    The verifier works in the sum of the factors' lengths.
    """

    factors: tuple[ExtWords, ...]
    offset: int = 0

    @property
    def extent(self) -> int:
        return self.offset + (1 << sum(self._variables()))

    def _variables(self) -> list[int]:
        return [factor.shape[0].bit_length() - 1 for factor in self.factors]

    def add_to(self, table: ExtWords, scale: Ext, backend: Backend) -> None:
        factors, inner = list(self.factors), to_array([ONE])
        while factors and len(inner) < 1 << _INNER:
            inner = _outer(factors.pop(), inner, backend)
        outer = to_array([scale])
        for factor in factors:
            outer = _outer(outer, factor, backend)
        block = table[self.offset : self.offset + len(outer) * len(inner)]
        backend.add_outer(block, outer, inner)

    def evaluate(self, point: Sequence[Ext]) -> Ext:
        variables = self._variables()
        result, rest = split_point(point, sum(variables), self.offset)
        for factor, count in zip(self.factors, variables, strict=True):
            result = result * evaluate(from_array(factor), rest[:count])
            rest = rest[count:]
        return result


def _outer(a: ExtWords, b: ExtWords, backend: Backend) -> ExtWords:
    result = np.zeros((len(a) * len(b), 2), dtype=np.uint64)
    backend.add_outer(result, a, b)
    return result


def split_point(point: Sequence[Ext], variables: int, offset: int) -> tuple[Ext, list[Ext]]:
    """eq of the block's place and the point's leading coordinates, and the coordinates inside the block.

    Raises:
        Rejected: opening_shape, where the block is not an aligned block of the cube.
    """
    outer = len(point) - variables
    if outer < 0 or offset % (1 << variables) or offset >> len(point):
        raise Rejected(
            "a weight's block is not an aligned block of its table", code=ErrorCode.OPENING_SHAPE,
            expected=f"a multiple of 2^{variables} below 2^{len(point)}", got=offset,
        )  # fmt: skip
    return eq_index(offset >> variables, point[:outer]), list(point[outer:])


@dataclass(frozen=True, slots=True)
class Part:
    """<weight, table number ``table``>."""

    table: int
    weight: Weight


@dataclass(frozen=True, slots=True)
class Claim:
    """The sum of its parts is ``value``."""

    parts: tuple[Part, ...]
    value: Ext


def claim(table: int, weight: Weight, value: Ext) -> Claim:
    """A claim about one table."""
    return Claim((Part(table, weight),), value)
