# SPDX-License-Identifier: Apache-2.0
"""What the two interactive proofs leave to check, as linear forms: the same code for both sides.

:func:`leaf_claims` says what the lookups' numerators and denominators are at a point of the leaves; the part that comes
from linear nodes is left as *loads*, coefficients of their T. :func:`product_claims` says what the two stacked tables
of the products are at a point: the right one of values, the left one of weights.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, to_array
from vcompute.field.goldilocks import P
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.constants import NodePlan
from vcompute.proof.succinct.forms import Axis, Form, full, mass, window_axis
from vcompute.proof.succinct.maxima import TapForms
from vcompute.proof.succinct.pools import pixel_counts, split_constants
from vcompute.proof.succinct.roles import BILINEAR, LINEAR
from vcompute.proof.succinct.stack import AtPoint
from vcompute.task import operators as ops

ORDER_OF_TWO: Final = 192
"""2^192 = 1 modulo p: the inverse of a power of two is another one, which costs less."""


@dataclass(frozen=True, slots=True)
class Challenges:
    """alpha, and the weights of u, v and s in a lookup's fingerprint: table + b1 u + b2 v + b3 s."""

    alpha: Ext
    u: Ext
    v: Ext
    s: Ext


@dataclass(frozen=True, slots=True)
class Load:
    """scale * the sum of a linear node's T, or of a bilinear node's products, weighed by ``axes`` (batch first).

    Of a divided node it is that of (T - rem) / M, and gap * the sum of its channels' gaps, weighed alike.
    """

    scale: Ext
    axes: tuple[Axis, ...]
    gap: Ext = ZERO


@dataclass(frozen=True, slots=True)
class LeafClaims:
    """Numerator and denominator at a point; the denominator is its form plus the loads, those of nodes with weights and
    those of products of two values.
    """

    numerator: Form
    denominator: Form
    loads: Mapping[int, Load]
    bilinear: Mapping[int, Load]


def group_axes(vectors: tuple[ExtWords, ...], factors: tuple[tuple[int, ...], ...]) -> tuple[Axis, ...]:
    """The vectors of a column (batch first, then factors) by axis."""
    axes: list[Axis] = [(vectors[0],)]
    used = 1
    for sizes in factors:
        axes.append(vectors[used : used + len(sizes)])
        used += len(sizes)
    return tuple(axes)


def leaf_claims(
    circuit: Circuit, plans: Mapping[int, NodePlan], point: list[Ext], challenges: Challenges, backend: Backend
) -> LeafClaims:
    """The leaves' numerator and denominator at a point."""
    numerator, denominator = Form(circuit, backend), Form(circuit, backend)
    denominator.constant = ONE
    loads: dict[int, Load] = {}
    bilinear: dict[int, Load] = {}
    at = circuit.leaves.at(point, backend)
    base = challenges.alpha - ONE
    for node in circuit.proved.values():
        if node.maxima:
            _add_maxima(circuit, node, at, challenges, numerator, denominator)
        if node.column in node.maxima:
            continue
        leaf = circuit.leaf_of[node.column]
        vectors, weight = at.axes(leaf), at.mass(leaf)  # one box, so the same for all
        for column in (node.column, *node.limbs):
            place = at.place(circuit.leaf_of[column])
            numerator.constant = numerator.constant + place * weight
            if column != node.column:
                denominator.constant = denominator.constant + place * weight * base
                denominator.add_column(column, -(challenges.u * place), vectors)
        gap = ZERO
        if node.raised is not None:
            place = at.place(node.raised)
            numerator.constant = numerator.constant + place * weight
            denominator.constant = denominator.constant + place * weight * base
            gap = -(challenges.u * place)
            denominator.add_column(node.limbs[-1], gap, vectors)
        place = at.place(leaf)
        axes = group_axes(vectors, circuit.factors[circuit.first + node.node])
        denominator.constant = denominator.constant + place * (base - node.table) * weight
        denominator.add_column(node.column, -(challenges.v * place), vectors)
        if node.sign is not None:
            denominator.add_column(node.sign, -(challenges.s * place), vectors)
        key = Key(node, -(challenges.u * place), axes, vectors, weight, gap)
        _add_key(circuit, plans, key, denominator, loads, bilinear)
    for table, column in zip(circuit.tables, circuit.multiplicities, strict=True):
        leaf = circuit.leaf_of[column]
        place = at.place(leaf)
        numerator.add_column(column, -place, at.axes(leaf))
        rows, u, v, s = table.evaluate(point[: circuit.leaves.bits[leaf]], backend)
        key_there = rows * table.id + challenges.u * u + challenges.v * v + challenges.s * s
        denominator.constant = denominator.constant + place * (base * rows - key_there)
    return LeafClaims(numerator, denominator, loads, bilinear)


def _add_maxima(
    circuit: Circuit, node: Proved, at: AtPoint, challenges: Challenges, numerator: Form, denominator: Form
) -> None:
    """The leaves of a running maximum: keys (m - x, max(m, x) - x) of the maximum so far and the next tap."""
    leaves = [circuit.leaf_of[column] for column in node.maxima]
    vectors, weight = at.axes(leaves[0]), at.mass(leaves[0])  # one box, so the same for all
    axes = group_axes(vectors, circuit.factors[circuit.first + node.node])
    taps = TapForms(circuit, node, axes, denominator.backend)
    for number, (leaf, column) in enumerate(zip(leaves, node.maxima, strict=True)):
        place = at.place(leaf)
        numerator.constant = numerator.constant + place * weight
        denominator.constant = denominator.constant + place * (challenges.alpha - ONE - node.maxima_table) * weight
        denominator.add_column(column, -(challenges.v * place), vectors)
        taps.add(denominator, number + 1, (challenges.u + challenges.v) * place)
        if number:
            denominator.add_column(node.maxima[number - 1], -(challenges.u * place), vectors)
        else:
            taps.add(denominator, 0, -(challenges.u * place))


@dataclass(frozen=True, slots=True)
class Key:
    """scale * the key u of a node's value column, weighed by ``vectors`` (by axis: ``axes``) of total ``mass``, and
    gap * the gaps of a divided node.
    """

    node: Proved
    scale: Ext
    axes: tuple[Axis, ...]
    vectors: tuple[ExtWords, ...]
    mass: Ext
    gap: Ext


def _add_key(
    circuit: Circuit,
    plans: Mapping[int, NodePlan],
    key: Key,
    form: Form,
    loads: dict[int, Load],
    bilinear: dict[int, Load],
) -> None:
    """Add scale * u: the operand of a map; the quotient plus the zero point; or h."""
    node, scale, axes, vectors = key.node, key.scale, key.axes, key.vectors
    graph_node = circuit.graph.nodes[node.node]
    operator = graph_node.operator
    if isinstance(operator, ops.MaxPool2D):
        if node.maxima:
            form.add_column(node.maxima[-1], scale, vectors)
        else:
            TapForms(circuit, node, axes, form.backend).add(form, 0, scale)
        return
    if not node.bits:
        form.add_value(graph_node.inputs[0], scale, axes)
        return
    if not node.two_sided and not isinstance(operator, ops.AveragePool2D):
        form.constant = form.constant + scale * graph_node.output.zero_point * key.mass
    if node.raised is not None:
        loads[node.node] = Load(scale, axes, key.gap)
        return
    unit = scale * pow(2, ORDER_OF_TWO - (node.bits - node.two_sided), P)
    for place, limb in enumerate(node.limbs):
        form.add_column(limb, -(unit * (1 << (place * circuit.limb_bits))), vectors)
    if isinstance(operator, LINEAR):
        loads[node.node] = Load(unit, axes)
        return
    if isinstance(operator, ops.AveragePool2D):
        _add_average(circuit, node, plans[node.node], unit, axes, form)
        return
    *slopes, offset, step = plans[node.node].scalars
    form.constant = form.constant + unit * offset * key.mass
    if node.sign is not None:
        form.add_column(node.sign, -(unit * step), vectors)
    if isinstance(operator, BILINEAR):
        bilinear[node.node] = Load(unit * slopes[0], axes)
        return
    _add_affine(circuit, node.node, [unit * slope for slope in slopes], axes, form)


def _add_average(
    circuit: Circuit, proved: Proved, plan: NodePlan, unit: Ext, axes: tuple[Axis, ...], form: Form
) -> None:
    """Add T of a mean over windows (less s * S), whose constants vary with the number of pixels."""
    node, backend = circuit.graph.nodes[proved.node], form.backend
    operator = node.operator
    if not isinstance(operator, ops.AveragePool2D):
        return
    image = circuit.graph.values[node.inputs[0]].shape
    slopes, offsets, steps = split_constants(plan.scalars, 3)
    rows, columns = full(axes[1], backend), full(axes[2], backend)
    for place, in_rows, in_columns in pixel_counts(operator, image, node.output.shape).regions():
        own = (axes[0], (kept(rows, in_rows, backend),), (kept(columns, in_columns, backend),), axes[3])
        form.constant = form.constant + unit * offsets[place] * mass(own)
        if proved.sign is not None:
            form.add_column_of(circuit.first + proved.node, proved.sign, -(unit * steps[place]), own)
        seen = [axes[0], *window_axes(operator, own, image, None, backend), axes[3]]
        form.add_value(node.inputs[0], unit * slopes[place], seen)


def kept(vector: ExtWords, where: npt.NDArray[np.bool_], backend: Backend) -> ExtWords:
    """The vector, 0 elsewhere."""
    return vector if bool(where.all()) else backend.ext_mul_base(vector, where.astype(np.uint64))


def _add_affine(circuit: Circuit, index: int, scales: list[Ext], axes: tuple[Axis, ...], form: Form) -> None:
    """Add the slopes' part of T of a node without weights."""
    node, backend = circuit.graph.nodes[index], form.backend
    types = circuit.graph.operand_types(node)[0]
    match node.operator:
        case ops.Add():
            for value, scale, kind in zip(node.inputs, scales, types, strict=True):
                stretched, seen = broadcast_axes(scale, axes, kind.shape, node.output.shape, backend)
                form.add_value(value, stretched, seen)
        case ops.Mean() as operator:
            kept = iter(axes[1:])
            seen = [axes[0]]
            for axis, size in enumerate(types[0].shape):
                if axis in operator.axes:
                    seen.append((ones(size),))
                    if operator.keep_dims:
                        next(kept)
                else:
                    seen.append(next(kept))
            form.add_value(node.inputs[0], scales[0], seen)
            form.constant = form.constant - scales[0] * types[0].zero_point * mass(seen)


def ones(size: int) -> ExtWords:
    """The vector of ones."""
    return np.tile(to_array([ONE]), (size, 1))


def broadcast_axes(
    scale: Ext, axes: tuple[Axis, ...], shape: tuple[int, ...], output: tuple[int, ...], backend: Backend
) -> tuple[Ext, list[Axis]]:
    """The axes of an operand that stretches to the output's shape."""
    seen: list[Axis] = [axes[0]]
    missing = len(output) - len(shape)
    for axis in axes[1 : 1 + missing]:
        scale = scale * mass([axis])
    for axis, size, target in zip(axes[1 + missing :], shape, output[missing:], strict=True):
        if size == 1 and target != 1:
            scale = scale * mass([axis])
            seen.append(())
        else:
            seen.append(axis)
    return scale, seen


def window_axes(
    operator: ops.Conv2D | ops.DepthwiseConv2D | ops.AveragePool2D,
    axes: tuple[Axis, ...],
    image: tuple[int, ...],
    taps: tuple[ExtWords, ExtWords] | None,
    backend: Backend,
) -> list[Axis]:
    """The two image axes of a window's operand; without ``taps`` every tap weighs 1."""
    window = operator.window
    if taps is None:
        taps = (ones(getattr(operator, "kernel_h", 1)), ones(getattr(operator, "kernel_w", 1)))
    sides = (
        (window.stride_h, window.dilation_h, window.pad_top),
        (window.stride_w, window.dilation_w, window.pad_left),
    )
    return [
        (window_axis(full(axes[1 + side], backend), taps[side], image[side], stride, dilation, before, backend),)
        for side, (stride, dilation, before) in enumerate(sides)
    ]


@dataclass(frozen=True, slots=True)
class WeightTerm:
    """scale * the sum of a node's tensor weighed by a vector for each of its axes.

    ``part``: "kernel" (D_c * filter, the filter's axes), "bias" (D_c * bias_c + Q_c), "step" (S_c); of a divided node
    these over M_c, "inverse" (1 / M_c) and "gap" (that of M_c).
    """

    node: int
    part: str
    scale: Ext
    vectors: tuple[ExtWords, ...]


@dataclass(frozen=True, slots=True)
class ProductClaims:
    """The two stacked tables at a point."""

    left: Sequence[WeightTerm]
    right: Form


def product_claims(circuit: Circuit, loads: Mapping[int, Load], point: list[Ext], backend: Backend) -> ProductClaims:
    """The left table (weights) and the right one (values) of the products at a point."""
    left: list[WeightTerm] = []
    right = Form(circuit, backend)
    at = circuit.products.at(point, backend)
    for index, load in loads.items():
        boxes, node = circuit.boxes[index], circuit.graph.nodes[index]
        place, vectors = at.place(boxes.kernel), at.axes(boxes.kernel)
        channels = full(load.axes[-1], backend)
        left.append(
            WeightTerm(index, "kernel", load.scale * place, kernel_vectors(circuit, index, channels, vectors, backend))
        )
        seen = operand_axes(circuit, index, load.axes, vectors, backend)
        zero_point = circuit.graph.values[node.inputs[0]].zero_point
        right.add_value(node.inputs[0], place, seen)
        right.constant = right.constant - place * zero_point * mass(seen)
        place = at.place(boxes.bias)
        left.append(WeightTerm(index, "bias", load.scale * place, (channels,)))
        if boxes.inverse is not None:
            left.append(WeightTerm(index, "gap", load.gap * place, (channels,)))
        right.constant = right.constant + place * mass(load.axes[:-1])
        for part, box in (("step", boxes.step), ("inverse", boxes.inverse)):
            if box is None:
                continue
            place, vectors = at.place(box), at.axes(box)
            own = backend.ext_mul(channels, full(vectors, backend))
            left.append(WeightTerm(index, part, -(load.scale * place), (own,)))
            outer_axes = [vector for axis in load.axes[:-1] for vector in axis]
            for column, factor in parts_of(circuit, index, part):
                right.add_column(column, place * factor, [*outer_axes, *vectors])
    return ProductClaims(tuple(left), right)


def parts_of(circuit: Circuit, index: int, part: str) -> tuple[tuple[int, int], ...]:
    """The columns, each with a factor, whose sum a node's vector over channels multiplies: S its sign, 1 / M rem."""
    proved = circuit.proved[index]
    if part == "inverse":
        return tuple((limb, 1 << place * circuit.limb_bits) for place, limb in enumerate(proved.limbs))
    return () if proved.sign is None else ((proved.sign, 1),)


def kernel_vectors(
    circuit: Circuit, index: int, channels: ExtWords, vectors: tuple[ExtWords, ...], backend: Backend
) -> tuple[ExtWords, ...]:
    """A vector for each axis of the filter as it is stored."""
    node = circuit.graph.nodes[index]
    match node.operator:
        case ops.Conv2D():
            return (channels, vectors[0], vectors[1], full(vectors[2:], backend))
        case ops.DepthwiseConv2D() as operator:
            spread = np.repeat(full(vectors[2:], backend), operator.depth_multiplier, axis=0)
            return (vectors[0], vectors[1], backend.ext_mul(channels, spread))
        case _:
            return (channels, full(vectors, backend))


def operand_axes(
    circuit: Circuit, index: int, axes: tuple[Axis, ...], vectors: tuple[ExtWords, ...], backend: Backend
) -> list[Axis]:
    """The axes of a linear node's operand when its kernel box stands at a point with these axis vectors."""
    node = circuit.graph.nodes[index]
    image = circuit.graph.values[node.inputs[0]].shape
    match node.operator:
        case ops.Conv2D() | ops.DepthwiseConv2D() as operator:
            seen = window_axes(operator, axes, image, (vectors[0], vectors[1]), backend)
            return [axes[0], *seen, vectors[2:]]
        case _:
            return [*axes[:-1], vectors]
