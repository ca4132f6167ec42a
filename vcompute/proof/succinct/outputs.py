# SPDX-License-Identifier: Apache-2.0
"""Claims about public values of linear nodes and bound outputs, at points drawn after everything is fixed."""

from collections.abc import Mapping

from vcompute.field import ONE, ZERO, Backend, Ext
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.claims import Load, group_axes
from vcompute.proof.succinct.contract import IntArray, contract
from vcompute.proof.succinct.forms import Axis, Form
from vcompute.proof.succinct.stack import Stack
from vcompute.proof.succinct.steps import Int64
from vcompute.transcript import Transcript


def public_loads(
    transcript: Transcript, circuit: Circuit, accumulators: Mapping[int, Int64], backend: Backend
) -> tuple[dict[int, Load], Ext]:
    """A load for each revealed node, with random scale at a random point, and the sum of them all."""
    loads, total = {}, ZERO
    for index in circuit.revealed:
        scale = transcript.challenge("accumulators")
        axes = _random_axes(transcript, circuit, index, backend)
        vectors = [vector for axis in axes for vector in axis]
        tensor = accumulators[index].reshape([vector.shape[0] for vector in vectors])
        loads[index] = Load(scale, axes)
        total = total + scale * contract(tensor, vectors, backend)
    return loads, total


def bound_claims(
    transcript: Transcript, circuit: Circuit, values: Mapping[int, IntArray], backend: Backend
) -> list[tuple[Form, Ext]]:
    """For each proved value that is public: its column at a random point, and what it must be there."""
    claims = []
    for value in sorted(circuit.bound):
        axes = _random_axes(transcript, circuit, value - circuit.first, backend)
        vectors = [vector for axis in axes for vector in axis]
        tensor = values[value].reshape([vector.shape[0] for vector in vectors])
        form = Form(circuit, backend)
        form.add_value(value, ONE, axes)
        claims.append((form, contract(tensor, vectors, backend)))
    return claims


def _random_axes(transcript: Transcript, circuit: Circuit, node: int, backend: Backend) -> tuple[Axis, ...]:
    stack = Stack([circuit.columns_of(node)])
    point = transcript.challenges("point of a public value", stack.variables)
    return group_axes(stack.at(point, backend).axes(0), circuit.factors[circuit.first + node])
