# SPDX-License-Identifier: Apache-2.0
"""The prover's leaves: a fraction for every committed element that carries a lookup or a table row."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from vcompute._native import memory
from vcompute.field import ZERO, Backend, Ext, ExtWords, to_array
from vcompute.field.extension import lift
from vcompute.field.goldilocks import elements
from vcompute.field.native import NativeBackend
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.claims import Challenges
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.lookup.boxes import MOST_KEYS, CountedLeaves, UnitLeaves
from vcompute.proof.succinct.lookup.geometry import Geometry, supports
from vcompute.proof.succinct.lookup.native import NativeTree
from vcompute.proof.succinct.lookup.tree import NumpyTree, Tree
from vcompute.proof.succinct.maxima import seen_by_taps
from vcompute.proof.succinct.rounds import NOTHING, ONE_VALUE
from vcompute.proof.succinct.tables import Table
from vcompute.proof.succinct.witness import Witness
from vcompute.task import operators as ops


@dataclass(frozen=True, slots=True, eq=False)
class Keys:
    """One box of leaves: each looks up (u, v, s) in a table or, with multiplicities, is a row of it."""

    leaf: int
    table: Table
    u: IntArray
    v: IntArray | None = None
    s: IntArray | None = None
    multiplicities: IntArray | None = None


def keys_of(circuit: Circuit, witness: Witness) -> Iterator[Keys]:
    """All leaves."""
    yield from lookups(circuit, witness)
    for table, column in zip(circuit.tables, circuit.multiplicities, strict=True):
        yield Keys(circuit.leaf_of[column], table, *table.words(), witness.columns[column])


def lookups(circuit: Circuit, witness: Witness) -> Iterator[Keys]:
    """The leaves that look something up."""
    tables, columns, leaf_of = circuit.tables, witness.columns, circuit.leaf_of
    for node in circuit.proved.values():
        if node.maxima:
            taps = seen_by_taps(circuit, node, witness.values[circuit.graph.nodes[node.node].inputs[0]])
            before = taps[0]
            for column, x in zip(node.maxima, taps[1:], strict=True):
                u, v = (part.astype(np.int64) - x for part in (before, columns[column]))
                yield Keys(leaf_of[column], tables[node.maxima_table], u, v)
                before = columns[column]
        if node.column in node.maxima:
            continue
        sign = None if node.sign is None else columns[node.sign]
        key = _key(circuit, witness, node)
        yield Keys(leaf_of[node.column], tables[node.table], key, columns[node.column], sign)
        for limb in node.limbs:
            yield Keys(leaf_of[limb], tables[0], columns[limb])
        if node.raised is not None:
            yield Keys(node.raised, tables[0], witness.raised[node.node])


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


@dataclass(frozen=True, slots=True, eq=False)
class LeafPlan:
    """What the leaves of every proof of a circuit share."""

    geometry: Geometry
    rows: tuple[UnitLeaves, ...]
    """The rows of each table, their constants left at zero."""


def leaf_plan(circuit: Circuit) -> LeafPlan:
    """Unit boxes are those of lookups with two variables and more."""
    rows = frozenset(circuit.leaf_of[column] for column in circuit.multiplicities)
    unit = frozenset(leaf for leaf, bits in enumerate(circuit.leaves.bits) if bits > 1 and leaf not in rows)
    tables = zip(circuit.tables, circuit.multiplicities, strict=True)
    nothing = to_array([ZERO] * 4)
    integers = tuple(
        _unit_leaves(Keys(circuit.leaf_of[column], table, *table.words()), nothing) for table, column in tables
    )
    return LeafPlan(Geometry(circuit.leaves, unit), integers)


def leaf_tree(
    circuit: Circuit, witness: Witness, challenges: Challenges, backend: Backend, kept: dict[str, object]
) -> Tree:
    """The tree of fractions over the leaves: native where the backend is. ``kept`` holds what proofs share."""
    fits = max(table.rows for table in circuit.tables) <= MOST_KEYS and supports(circuit.leaves)
    if not isinstance(backend, NativeBackend) or not fits:
        return NumpyTree(circuit.leaves, *_padded(circuit, witness, challenges, backend), backend)
    plan = kept.get("leaves")
    if not isinstance(plan, LeafPlan):
        with memory.plain():
            kept["leaves"] = plan = leaf_plan(circuit)
    unit: dict[int, UnitLeaves] = {}
    general: dict[int, tuple[ExtWords, ExtWords] | CountedLeaves] = {}
    constants = [_constants(table, challenges) for table in circuit.tables]
    for keys in lookups(circuit, witness):
        leaf = keys.leaf
        if circuit.leaves.bits[leaf] > 1:
            unit[leaf] = _unit_leaves(keys, constants[keys.table.id])
        else:
            numerators, denominators = _fractions(keys, challenges, backend)
            general[leaf] = numerators.reshape(-1, 2), denominators.reshape(-1, 2)
    for table, column, rows in zip(circuit.tables, circuit.multiplicities, plan.rows, strict=True):
        looked_up = replace(rows, constants=constants[table.id])
        general[circuit.leaf_of[column]] = CountedLeaves(looked_up, witness.columns[column])
    return NativeTree(circuit.leaves, plan.geometry, unit, general, backend)


def _constants(table: Table, challenges: Challenges) -> ExtWords:
    """Of the denominators of leaves that look up one table: c0 + c1 * u + c2 * v + c3 * s, u counted from the table's
    first and v from its least.
    """
    start = challenges.alpha - table.id - challenges.u * table.first - challenges.v * table.least
    return to_array([start, -challenges.u, -challenges.v, -challenges.s])


def _unit_leaves(keys: Keys, constants: ExtWords) -> UnitLeaves:
    """Integers that are not negative: u counted from the table's first, v from its least."""
    table, v, sign = keys.table, None, None
    u = np.ascontiguousarray(keys.u, np.int32)
    key = (u - np.int32(table.first) if table.first else u).view(np.uint32)
    if keys.v is not None:  # modulo 256
        v = np.ascontiguousarray(keys.v, np.int8).view(np.uint8) - np.uint8(table.least % 256)
    if keys.s is not None:
        sign = np.ascontiguousarray(keys.s, np.uint8)
    return UnitLeaves(key, v, sign, constants, table.rows)


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
    fractions = {keys.leaf: _fractions(keys, challenges, backend) for keys in keys_of(circuit, witness)}
    numerators, denominators = zip(*(fractions[leaf] for leaf in range(len(fractions))), strict=True)
    stack = circuit.leaves
    return (
        stack.assemble(numerators, (int(NOTHING[0]), 0)),
        stack.assemble(denominators, (int(ONE_VALUE[0]), 0)),
    )


def _scaled(values: IntArray, scale: Ext, backend: Backend) -> ExtWords:
    words = elements(values.reshape(-1))
    return backend.ext_mul_base(np.broadcast_to(to_array([scale]), (words.shape[0], 2)), words)
