# SPDX-License-Identifier: Apache-2.0
"""The prover's leaves: a fraction for every committed element that carries a lookup or a table row."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vcompute.field import Backend, Ext, ExtWords, to_array
from vcompute.field.extension import lift
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.claims import Challenges
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.lookup.native import Geometry, NativeTree, UnitLeaves, supports
from vcompute.proof.succinct.lookup.tree import NumpyTree, Tree
from vcompute.proof.succinct.maxima import seen_by_taps
from vcompute.proof.succinct.rounds import NOTHING, ONE_VALUE
from vcompute.proof.succinct.tables import Table
from vcompute.proof.succinct.witness import Witness
from vcompute.task import operators as ops


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """The leaves of one column: each looks up (u, v, s) in a table or, with multiplicities, is a row of it."""

    column: int
    table: Table
    u: IntArray
    v: IntArray | None = None
    s: IntArray | None = None
    multiplicities: IntArray | None = None


def keys_of(circuit: Circuit, witness: Witness) -> Iterator[Keys]:
    """The leaves of every column that has any."""
    tables, columns = circuit.tables, witness.columns
    for node in circuit.proved.values():
        if node.maxima:
            taps = seen_by_taps(circuit, node, witness.values[circuit.graph.nodes[node.node].inputs[0]])
            before = taps[0]
            for column, x in zip(node.maxima, taps[1:], strict=True):
                u, v = (part.astype(np.int64) - x for part in (before, columns[column]))
                yield Keys(column, tables[node.maxima_table], u, v)
                before = columns[column]
        if node.column in node.maxima:
            continue
        sign = None if node.sign is None else columns[node.sign]
        yield Keys(node.column, tables[node.table], _key(circuit, witness, node), columns[node.column], sign)
        for limb in node.limbs:
            yield Keys(limb, tables[0], columns[limb])
    for table, column in zip(tables, circuit.multiplicities, strict=True):
        yield Keys(column, table, *table.words(), columns[column])


def _key(circuit: Circuit, witness: Witness, node: Proved) -> IntArray:
    """u of a value column: the operand of a map, else the quotient as the witness computed it."""
    if node.maxima:
        return witness.columns[node.maxima[-1]]
    if isinstance(circuit.graph.nodes[node.node].operator, ops.MaxPool2D):
        return seen_by_taps(circuit, node, witness.values[circuit.graph.nodes[node.node].inputs[0]])[0]
    if not node.bits:
        operand = circuit.graph.nodes[node.node].inputs[0]
        return witness.values[operand].reshape(circuit.columns[node.column])
    return witness.keys[node.node]


def leaf_tree(circuit: Circuit, witness: Witness, challenges: Challenges, backend: Backend) -> Tree:
    """The tree of fractions over the leaves: native where the backend is."""
    if backend.name != "native" or not supports(circuit.leaves):
        return NumpyTree(circuit.leaves, *_padded(circuit, witness, challenges, backend), backend)
    unit, general = {}, {}
    for keys in keys_of(circuit, witness):
        leaf = circuit.leaf_of[keys.column]
        if keys.multiplicities is None and circuit.leaves.bits[leaf] > 1:
            unit[leaf] = _unit_leaves(keys, challenges)
        else:
            numerators, denominators = _fractions(keys, challenges, backend)
            general[leaf] = numerators.reshape(-1, 2), denominators.reshape(-1, 2)
    return NativeTree(circuit.leaves, Geometry(circuit.leaves, frozenset(unit)), unit, general)


def _unit_leaves(keys: Keys, challenges: Challenges) -> UnitLeaves:
    """Integers that are not negative: u counted from the table's first, v from its least."""
    first, least = keys.table.first, keys.table.least
    start = challenges.alpha - keys.table.id - challenges.u * first
    value = None
    if keys.v is not None:
        value = (keys.v.astype(np.int16) - least).astype(np.uint8).ravel()
        start = start - challenges.v * least
    key = (keys.u.astype(np.int32) - first).astype(np.uint32).ravel()
    sign = None if keys.s is None else keys.s.astype(np.uint8).ravel()
    return UnitLeaves(key, value, sign, (start, challenges.u, challenges.v, challenges.s))


def _fractions(keys: Keys, challenges: Challenges, backend: Backend) -> tuple[ExtWords, ExtWords]:
    """Numerators and denominators, in the shape of the column."""
    total = np.tile(to_array([challenges.alpha - keys.table.id]), (keys.u.size, 1))
    for scale, words in ((challenges.u, keys.u), (challenges.v, keys.v), (challenges.s, keys.s)):
        if words is not None:
            total = backend.sub(total, _scaled(words, scale, backend))
    numerators = np.ones(keys.u.shape, np.int64) if keys.multiplicities is None else -keys.multiplicities
    return lift(elements(numerators)), total.reshape(*keys.u.shape, 2)


def _padded(circuit: Circuit, witness: Witness, challenges: Challenges, backend: Backend) -> tuple[ExtWords, ExtWords]:
    """Level 0 of numerators and denominators, every box padded."""
    fractions = {
        circuit.leaf_of[keys.column]: _fractions(keys, challenges, backend) for keys in keys_of(circuit, witness)
    }
    numerators, denominators = zip(*(fractions[leaf] for leaf in range(len(fractions))), strict=True)
    stack = circuit.leaves
    return (
        stack.assemble(numerators, (int(NOTHING[0]), 0)),
        stack.assemble(denominators, (int(ONE_VALUE[0]), 0)),
    )


def _scaled(values: IntArray, scale: Ext, backend: Backend) -> ExtWords:
    words = elements(values.reshape(-1))
    return backend.ext_mul_base(np.broadcast_to(to_array([scale]), (words.shape[0], 2)), words)
