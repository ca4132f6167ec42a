# SPDX-License-Identifier: Apache-2.0
"""The weights as one committed table, and the claim about them."""

from collections.abc import Sequence

import numpy as np

from vcompute.commitment.weights import Weight
from vcompute.field import Backend, Words
from vcompute.field.goldilocks import elements
from vcompute.proof.succinct.claims import WeightTerm
from vcompute.proof.succinct.columns import ColumnWeight, fill
from vcompute.proof.succinct.forms import ColumnTerm
from vcompute.proof.succinct.setting import Prepared
from vcompute.proof.succinct.stored import StoredTerms, StoredWeight
from vcompute.proof.succinct.weight_layout import WeightColumns


def weight_table(prepared: Prepared, columns: WeightColumns, backend: Backend) -> Words:
    """The committed table."""
    arrays = {}
    for (index, part), number in columns.numbers.items():
        words = prepared.weights[index]
        if part != "kernel":
            arrays[number] = words[part]
            continue
        kernel = prepared.model.constants[prepared.model.graph.nodes[index].constants[0]]
        slope = words["slope"]
        if kernel.ndim != 3:
            slope = slope.reshape(-1, *(1,) * (kernel.ndim - 1))
        arrays[number] = backend.mul(elements(kernel), np.ascontiguousarray(np.broadcast_to(slope, kernel.shape)))
    return fill(columns.layout, arrays, columns.shape)


def weight_claim(columns: WeightColumns, terms: Sequence[WeightTerm], backend: Backend) -> Weight:
    """The left table at a point as a weight on the committed weights."""
    if isinstance(terms, StoredTerms):
        return StoredWeight(columns.layout, terms, lambda node, part: columns.numbers[node, part], backend)
    return ColumnWeight(
        columns.layout,
        [ColumnTerm(columns.numbers[term.node, term.part], term.scale, term.vectors) for term in terms],
        backend,
    )
