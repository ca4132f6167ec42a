# SPDX-License-Identifier: Apache-2.0
"""A prover that follows the protocol on a false witness: whatever it alters, the verifier refuses."""

from collections.abc import Callable

import numpy as np
import pytest

from tests.unit.proof.succinct.build import image_network, inputs_for, network
from tests.unit.proof.succinct.cheating import TINY, cheat
from vcompute.errors import Rejected
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.setting import WITH_WEIGHTS
from vcompute.proof.succinct.suite import SUITE_WITH_WEIGHTS, Succinct
from vcompute.proof.succinct.witness import Witness, make_witness
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model

Alteration = Callable[[Circuit, Witness], None]


def attempt(model: Model, inputs: Batch, alter: Alteration) -> None:
    """Prove with an altered witness, in plain numpy: native kernels would wrap what is out of range, so that the prover
    would not say what it is meant to. The proof must be refused by both verifiers.
    """

    def altered(circuit: Circuit, *rest: object) -> Witness:
        witness = make_witness(circuit, *rest)  # type: ignore[arg-type]
        alter(circuit, witness)
        return witness

    forgery = cheat(model, inputs, {(prover, "make_witness"): altered})
    codes = []
    for suite in (SUITE_WITH_WEIGHTS, Succinct(WITH_WEIGHTS, readable=True)):
        with pytest.raises(Rejected) as caught:
            suite.verify(forgery.statement, forgery.body, TINY, 1)
        codes.append(caught.value.code)
    assert codes[0] is codes[1]
    assert codes[0] in (
        ErrorCode.LOOKUP_SUM, ErrorCode.SUMCHECK, ErrorCode.FINAL_POLYNOMIAL, ErrorCode.QUERY_CONSISTENCY,
    )  # fmt: skip


def bump(witness: Witness, column: int, delta: int = 1) -> None:
    array = witness.columns[column].astype(np.int64)
    array.reshape(-1)[0] += delta
    witness.columns[column] = array  # type: ignore[index]


def value(circuit: Circuit, witness: Witness) -> None:
    """A single activation, the rest as it was."""
    bump(witness, next(iter(circuit.proved.values())).column)


def activation_with_its_count(circuit: Circuit, witness: Witness) -> None:
    """A single activation, with the table's counts moved as if it were right: the row it needs is not there."""
    node = next(iter(circuit.proved.values()))
    bump(witness, node.column)
    bump(witness, circuit.multiplicities[node.table], -1)


def low_limb(circuit: Circuit, witness: Witness) -> None:
    bump(witness, next(iter(circuit.proved.values())).limbs[0])


def high_limb(circuit: Circuit, witness: Witness) -> None:
    bump(witness, next(iter(circuit.proved.values())).limbs[-1], -1)


def quotient_off_by_one_with_the_remainder_compensated(circuit: Circuit, witness: Witness) -> None:
    """q - 1 and rem + 2^K: the limb leaves the range table."""
    node = next(iter(circuit.proved.values()))
    unit = node.bits - node.two_sided
    top = unit - circuit.limb_bits * (len(node.limbs) - 1)
    bump(witness, node.limbs[-1], 1 << top)
    witness.keys[node.node].reshape(-1)[0] -= 1


def remainder_of_minus_one(circuit: Circuit, witness: Witness) -> None:
    node = next(iter(circuit.proved.values()))
    witness.columns[node.limbs[0]] = witness.columns[node.limbs[0]].astype(np.int64)  # type: ignore[index]
    for limb in node.limbs:
        array = witness.columns[limb].astype(np.int64)
        array.reshape(-1)[0] = -1 if limb == node.limbs[0] else 0
        witness.columns[limb] = array  # type: ignore[index]


def multiplicity(circuit: Circuit, witness: Witness) -> None:
    bump(witness, circuit.multiplicities[0])


def moved_multiplicity(circuit: Circuit, witness: Witness) -> None:
    """A count moved from one row to the next."""
    counts = witness.columns[circuit.multiplicities[0]]
    counts[int(np.argmax(counts))] -= 1
    counts[int(np.argmin(counts))] += 1


def row_of_another_table(circuit: Circuit, witness: Witness) -> None:
    """A count taken to another table, whose row of the same number stands for something else."""
    first, second = (witness.columns[circuit.multiplicities[i]] for i in (0, 1))
    first[int(np.argmax(first))] -= 1
    second[0] += 1


def revealed_accumulator(circuit: Circuit, witness: Witness) -> None:
    node = circuit.revealed[0]
    witness.accumulators[node].reshape(-1)[0] += 1


ALTERATIONS = [
    value,
    activation_with_its_count,
    low_limb,
    high_limb,
    quotient_off_by_one_with_the_remainder_compensated,
    remainder_of_minus_one,
    multiplicity,
    moved_multiplicity,
    row_of_another_table,
    revealed_accumulator,
]


@pytest.mark.parametrize("alter", ALTERATIONS, ids=lambda f: f.__name__)
@pytest.mark.parametrize("make", [network, image_network], ids=lambda f: f.__name__)
def test_an_altered_witness(make: Callable[[], Model], alter: Alteration) -> None:
    model = make()
    attempt(model, inputs_for(model, 1), alter)


def test_every_single_activation() -> None:
    """Each element of each value column, one at a time."""
    model = network()
    inputs = inputs_for(model, 1)
    circuit_columns: list[tuple[int, int]] = []

    def collect(circuit: Circuit, witness: Witness) -> None:
        for node in circuit.proved.values():
            circuit_columns.extend((node.column, i) for i in range(witness.columns[node.column].size))
        value(circuit, witness)

    attempt(model, inputs, collect)
    for column, index in circuit_columns:

        def alter(circuit: Circuit, witness: Witness, column: int = column, index: int = index) -> None:
            array = witness.columns[column].astype(np.int64)
            array.reshape(-1)[index] -= 1
            witness.columns[column] = array  # type: ignore[index]

        attempt(model, inputs, alter)
