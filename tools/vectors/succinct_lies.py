# SPDX-License-Identifier: Apache-2.0
"""Proofs of runs in which one node did something else: its operator, its operands or a constant.

The prover fills its columns and its tree of fractions with what that node did, so that whatever it looks up is there,
and goes through the rest of the protocol as it should. A verifier that takes the node for the other one is convinced.
"""

from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from typing import Any
from unittest import mock

import numpy as np

from vcompute.field import default_backend
from vcompute.field.portable import NumpyBackend
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.public import public_values
from vcompute.proof.succinct.setting import ROOT_ONLY, prepare
from vcompute.registry import ParameterSetId
from vcompute.task import Batch, Model, Node
from vcompute.task.operators import Requant


@dataclass(frozen=True)
class Lie:
    """A node that did something else."""

    name: str
    requirement: str
    """The one at stake."""
    text: str
    node: int
    changed: Callable[[Node], Node] = lambda node: node
    constant: int | None = None
    """The place among the node's constants of one whose elements stood one place further on."""


def altered(**change: Any) -> Callable[[Node], Node]:
    """The node with other attributes of its operator."""
    return lambda node: replace(node, operator=replace(node.operator, **change))


def windowed(**change: int) -> Callable[[Node], Node]:
    """The node with another window."""

    def changed(node: Node) -> Node:
        window = getattr(node.operator, "window")  # noqa: B009 - of several operators
        return altered(window=replace(window, **change))(node)

    return changed


def reading(*values: int) -> Callable[[Node], Node]:
    """The node with other operands."""
    return lambda node: replace(node, inputs=values)


def told(model: Model, lie: Lie) -> Model:
    """The model that the prover ran: not in canonical order, perhaps, and never encoded."""
    graph, constants = model.graph, list(model.constants)
    node = graph.nodes[lie.node]
    if lie.constant is not None:
        number = node.constants[lie.constant]
        constants[number] = np.roll(constants[number], 1)
    nodes = (*graph.nodes[: lie.node], lie.changed(node), *graph.nodes[lie.node + 1 :])
    return Model(replace(graph, nodes=nodes), tuple(constants))


def forged(model: Model, lie: Lie, inputs: Batch, context: bytes) -> tuple[Batch, bytes]:
    """The outputs that such a run gives and the proof of them."""
    other = told(model, lie)
    make_witness, leaf_tree = prover.make_witness, prover.leaf_tree

    def witness(circuit: Circuit, _model: Model, *rest: Any) -> Any:
        return make_witness(replace(circuit, graph=other.graph), other, *rest[:-1], {})  # what is kept is of the model

    def tree(circuit: Circuit, *rest: Any) -> Any:
        return leaf_tree(replace(circuit, graph=other.graph), *rest)

    with ExitStack() as stack:
        for name, made in (("make_witness", witness), ("leaf_tree", tree), *_public_ones()):
            stack.enter_context(mock.patch.object(prover, name, made))
        return prover.prove(prepare(model), inputs, context, int(ParameterSetId.TINY), ROOT_ONLY, default_backend())


def long_remainder(model: Model, index: int, channel: int, inputs: Batch, context: bytes) -> tuple[Batch, bytes]:
    """A run in which one element of a divided node has a quotient one less and a remainder a divisor more: its only
    limb stays in its range, and misses the table with its gap.
    """
    prepared, make_witness = prepare(model), prover.make_witness
    divisor = prepared.floors[index].divisors[channel]

    def witness(circuit: Circuit, *rest: Any) -> Any:
        made, proved = make_witness(circuit, *rest), circuit.proved[index]
        (limb,) = proved.limbs
        arrays = made.columns[limb], made.raised[index], made.keys[index]
        place = (0,) * (arrays[0].ndim - 1) + (channel,)
        for array, more in zip(arrays, (divisor, divisor, -1), strict=True):
            array[place] += more
        if int(arrays[0][place]) >= 1 << circuit.limb_bits:
            raise SystemExit("a limb that leaves its range says nothing of the gap")
        return made

    with mock.patch.object(prover, "make_witness", witness):
        return prover.prove(prepared, inputs, context, int(ParameterSetId.TINY), ROOT_ONLY, NumpyBackend())


def _public_ones() -> list[tuple[str, Callable[..., Any]]]:
    """Claims about public values with those that a verifier computes, whatever the run had."""
    absorb, reveal, bound, part = (
        prover.absorb_statement, prover.revealed_bytes, prover.bound_claims, prover.committed_part
    )  # fmt: skip
    seen: dict[str, Any] = {}

    def absorbing(transcript: Any, setting: Any, prepared: Any, statement: Any, *rest: Any) -> None:
        seen["statement"] = prepared.constant, statement
        absorb(transcript, setting, prepared, statement, *rest)

    def revealing(circuit: Circuit, *rest: Any) -> bytes:
        revealed = reveal(circuit, *rest)
        seen["values"], _ = public_values(circuit, *seen["statement"], revealed)
        return revealed

    def binding(transcript: Any, circuit: Circuit, values: Any, backend: Any) -> Any:
        return bound(transcript, circuit, {**values, **seen["values"]}, backend)

    def committing(form: Any, value: Any, values: Any, backend: Any) -> Any:
        return part(form, value, {**values, **seen["values"]}, backend)

    return [
        ("absorb_statement", absorbing), ("revealed_bytes", revealing), ("bound_claims", binding),
        ("committed_part", committing),
    ]  # fmt: skip


LIES: dict[str, tuple[Lie, ...]] = {
    "image": (Lie("add", "VC-SUC-026", "a sum of an image and itself", 2, reading(1, 1)),),
    "pooled": (Lie("pad", "VC-SUC-027", "all padding after", 3, altered(before=(0, 0, 0), after=(0, 1, 1))),),
    "heads": (
        Lie("fully-connected", "VC-SUC-017", "biases one channel further on", 0, constant=1),
        Lie("transpose", "VC-SUC-027", "another permutation", 5, altered(permutation=(1, 0, 2))),
        Lie("logistic", "VC-SUC-016", "its table one place further on", 7, constant=0),
        Lie("batch-matmul", "VC-SUC-019", "a matrix that is not transposed", 10, altered(transpose_a=False)),
        Lie("reshape", "VC-SUC-027", "the value before its transposition reshaped", 12, reading(11)),
        Lie("matmul", "VC-SUC-017", "weights one place further on", 13, constant=0),
    ),
    "scene": (
        Lie("conv-2d", "VC-SUC-017", "no dilation", 0, windowed(dilation_h=1)),
        Lie("depthwise-conv-2d", "VC-SUC-017", "padding above, not below", 1, windowed(pad_top=1, pad_bottom=0)),
        Lie("quantize", "VC-SUC-016", "another factor", 2, altered(requant=Requant(1 << 30, 0))),
        Lie("max-pool-2d", "VC-SUC-023", "another stride", 3, windowed(stride_h=1)),
        Lie("concatenation", "VC-SUC-027", "another order", 6, reading(6, 6, 3)),
        Lie("average-pool-2d", "VC-SUC-024", "padding above and left, not below and right", 7,
            windowed(pad_top=1, pad_left=1, pad_bottom=0, pad_right=0)),
        Lie("mul", "VC-SUC-019", "the image before its pool", 10, reading(7, 10)),
        Lie("mean", "VC-SUC-026", "a mean over the other axis", 11, altered(axes=(1,))),
        Lie("constant", "VC-SUC-026", "its elements one place further on", 15, constant=0),
    ),
}  # fmt: skip
"""By model."""
