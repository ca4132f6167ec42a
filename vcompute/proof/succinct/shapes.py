# SPDX-License-Identifier: Apache-2.0
"""Axes of values: every axis of a value is cut into the factors that some reader of it needs.

A RESHAPE keeps the row-major order, so a value and its reshaped form share one list of factors where their axes allow
it. A column has one axis for each factor; an axis of size 1 has none. Factors decide only what a claim costs: a weight
that is cut otherwise than a column becomes a sum of several (:func:`vcompute.proof.succinct.forms.deal`).
"""

import math
from itertools import pairwise

from vcompute.task import Graph
from vcompute.task import operators as ops
from vcompute.task.tensor import Shape

Factors = tuple[tuple[int, ...], ...]
"""For each axis of one sample its factors, none of them 1."""


def value_factors(graph: Graph) -> tuple[Factors, ...]:
    """The factors of every value; values whose cuts cross keep their own."""
    values = graph.values
    cuts = [_cuts(value.shape) for value in values]
    first = len(graph.inputs)
    changed = True
    while changed:
        changed = False
        for position, node in enumerate(graph.nodes):
            output = first + position
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
