# SPDX-License-Identifier: Apache-2.0
"""The prover's leaves: a fraction for every committed element that carries a lookup or a table row."""

import numpy as np

from vcompute.field import Backend, Ext, ExtWords, to_array
from vcompute.field.extension import lift
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.claims import Challenges
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.maxima import seen_by_taps
from vcompute.proof.succinct.rounds import NOTHING, ONE_VALUE
from vcompute.proof.succinct.witness import Witness
from vcompute.task import operators as ops


def leaf_tables(
    circuit: Circuit, witness: Witness, challenges: Challenges, backend: Backend
) -> tuple[ExtWords, ExtWords]:
    """Level 0 of numerators and denominators."""
    numerators: dict[int, ExtWords] = {}
    denominators: dict[int, ExtWords] = {}

    def add(column: int, numerator: IntArray | None, keys: list[tuple[Ext, IntArray]], table: int) -> None:
        box = circuit.columns[column]
        leaf = circuit.leaf_of[column]
        total = np.tile(to_array([challenges.alpha - table]), (int(np.prod(box)), 1))
        for scale, words in keys:
            total = backend.sub(total, _scaled(words, scale, backend))
        ones = np.ones(box, np.int64) if numerator is None else -numerator
        numerators[leaf] = lift(elements(ones))
        denominators[leaf] = total.reshape(*box, 2)

    for node in circuit.proved.values():
        if node.maxima:
            taps = seen_by_taps(circuit, node, witness.values[circuit.graph.nodes[node.node].inputs[0]])
            before = taps[0]
            for column, x in zip(node.maxima, taps[1:], strict=True):
                m = witness.columns[column]
                u, v = (part.astype(np.int64) - x for part in (before, m))
                add(column, None, [(challenges.u, u), (challenges.v, v)], node.maxima_table)
                before = m
        if node.column in node.maxima:
            continue
        y, u = witness.columns[node.column], _key(circuit, witness, node)
        keys = [(challenges.u, u), (challenges.v, y)]
        if node.sign is not None:
            keys.append((challenges.s, witness.columns[node.sign]))
        add(node.column, None, keys, node.table)
        for limb in node.limbs:
            add(limb, None, [(challenges.u, witness.columns[limb])], 0)
    for table, column in zip(circuit.tables, circuit.multiplicities, strict=True):
        u, v, s = table.words()
        keys = [(challenges.u, u), (challenges.v, v), (challenges.s, s)]
        add(column, witness.columns[column], keys, table.id)
    count = len(circuit.leaf_of)
    stack = circuit.leaves
    return (
        stack.assemble([numerators[leaf] for leaf in range(count)], (int(NOTHING[0]), 0)),
        stack.assemble([denominators[leaf] for leaf in range(count)], (int(ONE_VALUE[0]), 0)),
    )


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


def _scaled(values: IntArray, scale: Ext, backend: Backend) -> ExtWords:
    words = elements(values.reshape(-1))
    return backend.ext_mul_base(np.broadcast_to(to_array([scale]), (words.shape[0], 2)), words)
