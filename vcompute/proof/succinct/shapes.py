# SPDX-License-Identifier: Apache-2.0
"""Axes of values: every axis of a value is cut into the factors that some reader of it needs.

A RESHAPE keeps the row-major order, so a value and its reshaped form share one list of factors where their axes allow
it. A column has one axis for each factor; an axis of size 1 has none. Factors decide only what a claim costs: a weight
that is cut otherwise than a column becomes a sum of several (:func:`vcompute.proof.succinct.forms.deal`).
"""

import math
from collections.abc import Sequence
from itertools import chain, pairwise
from typing import Final

from vcompute.errors import Rejected
from vcompute.proof.succinct.roles import Role
from vcompute.registry import ErrorCode
from vcompute.task import Graph
from vcompute.task import operators as ops
from vcompute.task.tensor import Shape

Factors = tuple[tuple[int, ...], ...]
"""For each axis of one sample its factors, none of them 1."""

MOST_TERMS: Final = 1 << 14
"""The most terms that all reads of values without a column may come to."""
MOST_DEPTH: Final = 64
"""The most PAD, CONCATENATION, RESHAPE and TRANSPOSE in a row."""


def value_factors(graph: Graph) -> tuple[Factors, ...]:
    """The factors of every value; values whose cuts cross keep their own."""
    values = graph.values
    cuts = [_cuts(value.shape) for value in values]
    first, places = len(graph.inputs), range(len(graph.nodes))
    changed = True
    while changed:
        changed = False
        for position in chain(places, reversed(places)):  # both ways: a long chain takes one round, not one a node
            node, output = graph.nodes[position], first + position
            if not isinstance(node.operator, (ops.Reshape, ops.Add, ops.Mul, ops.Quantize, ops.Logistic)):
                continue
            for index in node.inputs:
                if values[index].elements != values[output].elements:
                    continue
                union = cuts[index] | cuts[output]
                if not _nested(union):
                    continue
                changed = changed or union != cuts[index] or union != cuts[output]
                cuts[index] = cuts[output] = union
    return tuple(_factors(value.shape, cut) for value, cut in zip(values, cuts, strict=True))


def _cuts(shape: Shape) -> frozenset[int]:
    """The sizes of the trailing parts of a shape."""
    return frozenset(math.prod(shape[axis:]) for axis in range(len(shape) + 1))


def _nested(cuts: frozenset[int]) -> bool:
    """Whether each cut divides the next: they cut one row-major index."""
    return not any(larger % smaller for smaller, larger in pairwise(sorted(cuts)))


def _factors(shape: Shape, cuts: frozenset[int]) -> Factors:
    ordered = sorted(cuts)
    result, inner = [], math.prod(shape)
    for size in shape:
        outer, inner = inner, inner // size
        marks = sorted((cut for cut in ordered if inner <= cut <= outer), reverse=True)
        result.append(tuple(a // b for a, b in pairwise(marks)))
    return tuple(result)


def check_layouts(graph: Graph, roles: Sequence[Role], factors: Sequence[Factors]) -> None:
    """Refuse a graph whose claims about values without a column would be sums of too many terms: RESHAPEs that cut
    across one another multiply them, one behind the other, and CONCATENATION adds them up.

    Raises:
        Rejected: suite_unsupported_model.
    """
    first, values = len(graph.inputs), graph.values
    terms, depth, total = [1] * first, [0] * first, 0
    for position, (node, role) in enumerate(zip(graph.nodes, roles, strict=True)):
        if role is not Role.LAYOUT:
            if role is not Role.PUBLIC:
                total += sum(terms[index] for index in node.inputs)
            terms.append(1)
            depth.append(0)
        else:
            dealt = 1
            if isinstance(node.operator, ops.Reshape):
                dealt = _crossings(values[first + position].shape, factors[node.inputs[0]])
            terms.append(dealt * sum(terms[index] for index in node.inputs))
            depth.append(1 + max(depth[index] for index in node.inputs))
        if max(terms[-1], total) > MOST_TERMS or depth[-1] > MOST_DEPTH:
            raise Rejected(
                f"node {position}: shapes that cut across one another, or too many in a row: give the model fewer "
                "RESHAPEs, or ones that keep whole axes together", code=ErrorCode.SUITE_UNSUPPORTED_MODEL,
                expected=f"at most {MOST_TERMS} terms, {MOST_DEPTH} in a row",
                got=f"{max(terms[-1], total)} terms, {depth[-1]} in a row",
            )  # fmt: skip


def _crossings(shape: Shape, wanted: Factors) -> int:
    """The terms of a weight with one vector for each axis of a shape, dealt to factors (see :func:`forms.deal`)."""
    needed = _cuts(tuple(size for sizes in wanted for size in sizes))
    result = 1
    for outer, inner in pairwise(sorted(_cuts(shape) & needed, reverse=True)):
        marks = sorted((cut for cut in needed if inner <= cut <= outer), reverse=True)
        sizes = [a // b for a, b in pairwise(marks)]
        result *= math.prod(sizes) // max(sizes)
    return result
