# SPDX-License-Identifier: Apache-2.0
"""Attempts of a prover that follows the protocol but for one lie, each a function that gives the forged proof."""

from collections.abc import Callable
from dataclasses import replace
from functools import cache

import numpy as np

from tests.unit.proof.succinct.build import POOL, Sketch, inputs_for, int8, network
from tests.unit.proof.succinct.cheating import PORTABLE, TINY, Forgery, cheat, replaced
from vcompute.commitment.parameters import CommitmentParameters, TableShape
from vcompute.commitment.prove import Committed, commit
from vcompute.field import ONE, Ext
from vcompute.field.goldilocks import P
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct import setting, witness
from vcompute.proof.succinct.bilinear import bilinear_tables
from vcompute.proof.succinct.circuit import Circuit, Proved
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.lookup.tree import NumpyTree
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.requant import Floor
from vcompute.proof.succinct.setting import ROOT_ONLY, Prepared, prepare
from vcompute.proof.succinct.steps import Int64
from vcompute.proof.succinct.witness import Filling, Witness, make_witness
from vcompute.task import Batch, Model, build, make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Requant, Rounding
from vcompute.transcript import Transcript

MODEL = network(1)
INPUTS = inputs_for(MODEL)


@cache
def pooled() -> Model:
    """A MAX_POOL_2D of proved values."""
    sketch = Sketch([int8(4, 4, 2)], 3)
    greatest = sketch.unary(ops.MaxPool2D(POOL, 2, 2, -128, 127), sketch.conv(0, 3))
    return sketch.model(sketch.dense(greatest, 2))


@cache
def squared() -> Model:
    """A MUL of proved values."""
    sketch = Sketch([int8(4)], 3)
    left, right = sketch.dense(0, 5), sketch.dense(0, 5)
    operator = ops.Mul(Requant(1 << 30, -6), Rounding.DOUBLE, -128, 127)
    return sketch.model(sketch.dense(sketch.node(operator, [left, right], [], int8(5)), 2))


@cache
def shared() -> Model:
    """A value with two consumers."""
    sketch = Sketch([int8(4)], 3)
    value = sketch.dense(0, 5)
    return sketch.model(sketch.dense(sketch.add(sketch.dense(value, 6), sketch.dense(value, 6)), 2))


@cache
def around_zero() -> tuple[Model, Batch]:
    """A two-sided node whose accumulators for three samples are -1, 0 and 1."""
    sketch = Sketch([int8(1 + 64)], 2)
    kernel = np.full((2, 65), 127, "i1")
    kernel[:, 0] = 1
    kernel[1, 33:] = -127
    requant = [np.zeros(2, "<i4"), np.array([1518500250, 1618500251], "<i4"), np.array([-11, -11], "i1")]
    operator = ops.FullyConnected(Rounding.DOUBLE, -128, 127)
    hidden = sketch.node(operator, [0], [kernel, *requant], int8(2))
    model = sketch.model(sketch.dense(hidden, 2))
    assert prepare(model).plans[0].two_sided
    assert min(prepare(model).floors[0].step) > 0
    inputs = np.zeros((3, 65), "i1")
    inputs[:, 0] = (-1, 0, 1)
    return model, make_batch(inputs)


def lying_witness(alter: Callable[[Circuit, Witness], None]) -> dict[tuple[object, str], object]:
    """A prover whose columns are altered after the run."""

    def altered(circuit: Circuit, *rest: object) -> Witness:
        result = make_witness(circuit, *rest)  # type: ignore[arg-type]
        alter(circuit, result)
        return result

    return {(prover, "make_witness"): altered}


def column(found: Witness, number: int) -> Int64:
    """A column that may hold any integer; flat."""
    found.columns[number] = found.columns[number].astype(np.int64)  # type: ignore[index]
    return found.columns[number].reshape(-1)


def first_node(circuit: Circuit) -> Proved:
    return next(iter(circuit.proved.values()))


# Statements.


def wrong_output() -> Forgery:
    """The claimed outputs are not those of the revealed accumulators; everything else is made for the claim."""

    def forged(outputs: Batch) -> Batch:
        array = np.array(outputs.arrays[0])
        array.reshape(-1)[0] ^= 1
        return make_batch(array)

    def claim(model: Model, inputs: Batch, outputs: Batch, context: bytes) -> Statement:
        return Statement(model, inputs, forged(outputs), context)

    forgery = cheat(MODEL, INPUTS, {(prover, "Statement"): claim})
    return replace(forgery, statement=replace(forgery.statement, outputs=forged(forgery.statement.outputs)))


def wrong_input() -> Forgery:
    """The model ran on another input than the statement's."""
    other = inputs_for(MODEL, seed=8)

    def run(circuit: Circuit, model: Model, floors: object, plans: object, _: Batch, *rest: object) -> Witness:
        return make_witness(circuit, model, floors, plans, other, *rest)  # type: ignore[arg-type]

    return cheat(MODEL, INPUTS, {(prover, "make_witness"): run})


def last_filter_changed() -> Model:
    """MODEL but for one weight of the last layer: both have one circuit."""
    constants = [np.array(array) for array in MODEL.constants]
    constants[MODEL.graph.nodes[-1].constants[0]][0, 0] ^= 1
    return build(MODEL.graph, constants)


def proof_of_another_model() -> Forgery:
    """The proof of a model that differs in one weight, made for the statement about this one."""
    other = last_filter_changed()

    def claim(model: Model, inputs: Batch, outputs: Batch, context: bytes) -> Statement:
        return Statement(MODEL, inputs, outputs, context)

    return cheat(other, INPUTS, {(prover, "Statement"): claim}, claimed=MODEL)


def root_of_another_model() -> Forgery:
    """The weights opened are another model's, under the root and the digest of this one."""
    other, right = last_filter_changed(), commit_model(MODEL, TINY, PORTABLE)
    absorb = setting.absorb_statement

    def claim(model: Model, inputs: Batch, outputs: Batch, context: bytes) -> Statement:
        return Statement(MODEL, inputs, outputs, context)

    def absorbed(transcript: Transcript, own: object, holder: object, statement: Statement, _: bytes) -> None:
        absorb(transcript, own, holder, statement, right.root.digest)  # type: ignore[arg-type]

    changes = {(prover, "Statement"): claim, (prover, "absorb_statement"): absorbed}
    return replace(cheat(other, INPUTS, changes, mode=ROOT_ONLY, claimed=MODEL), holder=right)


# Columns.


def altered_activation() -> Forgery:
    """One activation, from then on used as if it were right."""
    original = witness._fill

    def filled(circuit: Circuit, proved: Proved, floor: Floor, t: Int64, filling: Filling) -> IntArray:
        value = np.array(original(circuit, proved, floor, t, filling))
        if proved is first_node(circuit):
            value.reshape(-1)[0] ^= 1
            filling.columns[proved.column] = value.reshape(circuit.columns[proved.column])
        return value

    return cheat(MODEL, INPUTS, {(witness, "_fill"): filled})


def altered_multiplicities() -> Forgery:
    def alter(circuit: Circuit, found: Witness) -> None:
        column(found, circuit.multiplicities[0])[0] += 1

    return cheat(MODEL, INPUTS, lying_witness(alter))


def row_of_another_table() -> Forgery:
    """A count moved to the row of the same number of another table."""

    def alter(circuit: Circuit, found: Witness) -> None:
        row = int(np.argmax(column(found, circuit.multiplicities[0])[:2]))
        column(found, circuit.multiplicities[0])[row] -= 1
        column(found, circuit.multiplicities[1])[row] += 1

    return cheat(MODEL, INPUTS, lying_witness(alter))


def lookup_outside_its_table() -> Forgery:
    """q - 1 and a remainder of 2^K more: the equation holds, the last limb has no row."""

    def alter(circuit: Circuit, found: Witness) -> None:
        node = first_node(circuit)
        column(found, node.limbs[-1])[0] += 1 << circuit.limb_bits
        found.keys[node.node].reshape(-1)[0] -= 1

    return cheat(MODEL, INPUTS, lying_witness(alter))


def remainder(value: int) -> Callable[[], Forgery]:
    """The remainder is ``value`` times 2^K (or -1) and the key makes up for it: only its range is wrong."""

    def attempt() -> Forgery:
        def alter(circuit: Circuit, found: Witness) -> None:
            node = first_node(circuit)
            lowest = column(found, node.limbs[0])
            if value > 0:
                lowest[0] += 1 << (node.bits - node.two_sided)
                found.keys[node.node].reshape(-1)[0] -= 1
            else:
                for limb in node.limbs[1:]:
                    column(found, limb)[0] = 0
                lowest[0] = -1

        return cheat(MODEL, INPUTS, lying_witness(alter))

    return attempt


def put_remainder(circuit: Circuit, found: Witness, floor: Floor, place: int, key: int, rem: int) -> None:
    """A divided first node's key and remainder of one element, the highest limb raised as it should be."""
    node, limb = first_node(circuit), 0
    found.keys[node.node].reshape(-1)[place] = key
    for number, limb_column in enumerate(node.limbs):
        limb = (rem >> number * circuit.limb_bits) & ((1 << circuit.limb_bits) - 1)
        column(found, limb_column)[place] = limb
    gaps = floor.gaps(circuit.limb_bits)
    found.raised[node.node].reshape(-1)[place] = limb + gaps[place % len(gaps)]


def remainder_of_a_divisor_more() -> Forgery:
    """q - 1 and a remainder of M more: every limb has its row, but the highest one plus its gap."""
    model, inputs = around_zero()

    def alter(circuit: Circuit, found: Witness) -> None:
        node, floor = first_node(circuit), prepare(model).floors[0]
        assert node.raised is not None
        place = 1  # of the second channel, whose divisor is the smaller one
        limbs = [int(column(found, limb)[place]) << i * circuit.limb_bits for i, limb in enumerate(node.limbs)]
        rem = sum(limbs) + floor.divisors[1]
        assert rem < 1 << floor.remainder_bits
        put_remainder(circuit, found, floor, place, int(found.keys[0].reshape(-1)[place]) - 1, rem)

    return cheat(model, inputs, lying_witness(alter))


def flipped_sign(sample: int) -> Callable[[], Forgery]:
    """The sign of an accumulator of -1, 0 or 1 flipped, key and remainder made to fit, counts as they were."""

    def attempt() -> Forgery:
        model, inputs = around_zero()

        def alter(circuit: Circuit, found: Witness) -> None:
            node, floor = circuit.proved[0], prepare(model).floors[0]
            assert node.sign is not None
            sign = column(found, node.sign)
            place = sample * 2
            accumulator = int(inputs.arrays[0][sample, 0])
            sign[place] ^= 1
            t = floor.slope[0] * accumulator + floor.offset[0] - int(sign[place]) * floor.step[0]
            put_remainder(circuit, found, floor, place, *divmod(t, floor.divisors[0]))

        return cheat(model, inputs, lying_witness(alter))

    return attempt


def greatest(delta: int) -> Callable[[], Forgery]:
    """A maximum that is none of its window's values (1), or not the greatest (-1); used as if it were right."""
    original = witness._maximum

    def attempt() -> Forgery:
        def maximum(
            circuit: Circuit, proved: Proved, x: IntArray, columns: dict[int, IntArray], counts: object
        ) -> IntArray:
            value = np.array(original(circuit, proved, x, columns, counts))  # type: ignore[arg-type]
            value.reshape(-1)[0] += delta
            columns[proved.column] = value.reshape(circuit.columns[proved.column])
            return value

        return cheat(pooled(), inputs_for(pooled()), {(witness, "_maximum"): maximum})

    return attempt


# Constants.


def other_constants(change: Callable[[Floor], Floor]) -> Callable[[], Forgery]:
    """A prover whose first node has other constants: its run, columns and weights all follow them."""

    def attempt() -> Forgery:
        model, inputs = around_zero()
        own = prepare(model)
        floors = {**own.floors, 0: change(own.floors[0])}
        return cheat(model, inputs, {}, prepared=Prepared(model, own.limb_bits, floors, own.plans, own.maps))

    return attempt


def wrong_step(floor: Floor) -> Floor:
    """S_c."""
    return replace(floor, step=(floor.step[0] - 1, *floor.step[1:]))


def broken_end(floor: Floor) -> Floor:
    """A slope that is right around zero and passes a threshold at the end of the range."""
    return replace(floor, slope=(floor.slope[0] + 3, *floor.slope[1:]))


# The interactive proofs.


def wrong_sum_of_fractions() -> Forgery:
    class Tree(NumpyTree):
        def top(self) -> tuple[Ext, Ext, Ext, Ext]:
            n0, n1, d0, d1 = super().top()
            return n0 + ONE, n1, d0, d1

    from vcompute.proof.succinct import leaves

    return cheat(MODEL, INPUTS, {(leaves, "NumpyTree"): Tree})


def chosen_challenge() -> dict[tuple[object, str], object]:
    """alpha is the key of a limb, so that its fraction and that of its table row have no denominator."""
    own = prepare(MODEL)
    circuit = setting.make_setting(own, INPUTS.size, TINY, setting.WITH_WEIGHTS).circuit
    honest = make_witness(circuit, MODEL, own.floors, own.plans, INPUTS, PORTABLE)
    limb = int(honest.columns[first_node(circuit).limbs[0]].reshape(-1)[-1])
    drawn = Transcript.challenges

    def challenges(self: Transcript, label: str, count: int) -> list[Ext]:
        found = drawn(self, label, count)
        return [found[1] * limb, *found[1:]] if label == "lookup" else found

    return {(Transcript, "challenges"): challenges}


def zero_denominator() -> Forgery:
    """Altered multiplicities under a challenge as if it had been known before: 0 / 0 for the sum of all fractions."""
    with replaced(chosen_challenge()):
        return altered_multiplicities()


def different_claims_of_two_consumers() -> Forgery:
    """The second consumer of a value ran on another one."""
    model, original = shared(), witness.accumulate
    other: dict[int, IntArray] = {}

    def accumulate(node: object, x: IntArray, constants: object, zero_point: int) -> Int64:
        if node == model.graph.nodes[2]:
            x = np.array(x)
            x.reshape(-1)[0] ^= 1
            other[2] = x
        return original(node, x, constants, zero_point)  # type: ignore[arg-type]

    from vcompute.proof.succinct import products

    folded = products._folded_operand

    def operand(circuit: Circuit, found: Witness, index: int, *rest: object) -> object:
        if index == 2:
            values = [*found.values]
            values[model.graph.nodes[2].inputs[0]] = other[2]
            found = replace(found, values=values)
        return folded(circuit, found, index, *rest)  # type: ignore[arg-type]

    return cheat(
        model, inputs_for(model), {(witness, "accumulate"): accumulate, (products, "_folded_operand"): operand}
    )


def product_of_another_value() -> Forgery:
    """The sum over two values runs with another left one; what is sent of it at the end is right."""

    def altered(*args: object) -> list[object]:
        weights, left, right = bilinear_tables(*args)  # type: ignore[arg-type]
        honest.append(left)
        left = np.array(left)
        left[0, 0] = (left[0, 0] + np.uint64(1)) % np.uint64(P)
        return [weights, left, right]

    honest: list[object] = []
    triple = prover.sumcheck.prove_triple

    def proved(transcript: object, stack: object, tables: object, backend: object) -> object:
        point, ends = triple(transcript, stack, tables, backend)  # type: ignore[arg-type]
        table = honest[0]
        for s, r in enumerate(point):
            low, high = stack.halves(table, s, np.zeros(2, np.uint64))  # type: ignore[attr-defined]
            table = PORTABLE.add(low, PORTABLE.ext_mul(PORTABLE.sub(high, low), np.array([[r.c0, r.c1]], np.uint64)))
        return point, [ends[0], Ext(int(table[0, 0]), int(table[0, 1])), ends[2]]  # type: ignore[index]

    model = squared()
    return cheat(
        model, inputs_for(model),
        {(prover, "bilinear_tables"): altered, (prover.sumcheck, "prove_triple"): proved},
    )  # fmt: skip


def extra_table() -> Forgery:
    """One committed table more than the verifier expects: weights opened to a verifier that has them itself."""
    own = prepare(MODEL)
    committed: list[Committed] = []

    def one_more(*args: object) -> None:
        tables, claims = args[1], args[2]
        extra = commit(np.arange(64, dtype=np.uint64), TableShape.of_length(64), setting.PARAMETERS[TINY], PORTABLE)
        committed.append(extra)
        opened(args[0], [*tables, extra], claims, *args[3:])  # type: ignore[arg-type,misc]

    opened = prover.open_claims
    return cheat(MODEL, INPUTS, {(prover, "open_claims"): one_more}, prepared=own)


def other_parameters(change: Callable[[CommitmentParameters], CommitmentParameters]) -> Callable[[], Forgery]:
    """A prover that takes another rate, fewer queries or another schedule than the set it names."""

    def attempt() -> Forgery:
        changed = {**setting.PARAMETERS, TINY: change(setting.PARAMETERS[TINY])}
        own = prepare(MODEL)
        fresh = Prepared(MODEL, own.limb_bits, own.floors, own.plans, own.maps)
        return cheat(MODEL, INPUTS, {(setting, "PARAMETERS"): changed}, prepared=fresh)

    return attempt
