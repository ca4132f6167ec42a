# SPDX-License-Identifier: Apache-2.0
"""The independent verifier against the library's over random models: one verdict on honest proofs and on altered ones.

The library makes models, proofs and their alterations and says what it takes them for, as a file of vectors; the other
program, which shares no code with it, must say the same of every case.
"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from random import Random
from typing import Any

import numpy as np
import pytest

from tests.conformance.test_check_succinct import check
from tests.support import graphs
from tests.support.layers import FILLS, batch_of, between_layers
from vcompute.conformance.operations.succinct import succinct_commit, succinct_constants, succinct_verify
from vcompute.conformance.wire import to_text
from vcompute.errors import Rejected, VcomputeError
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import constants
from vcompute.proof.succinct.dump import dump_proof
from vcompute.proof.succinct.setting import prepare
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS
from vcompute.proof.suite import encode_envelope
from vcompute.registry import ParameterSetId, SuiteId
from vcompute.task import Batch, Graph, Model, Node, build, encode_model, make_batch
from vcompute.task import operators as ops
from vcompute.task.tensor import NUMPY_DTYPE, ConstantType

TINY = int(ParameterSetId.TINY)
CONTEXT = b"task 7, worker 9"
MOST_ELEMENTS, MOST_WEIGHTS, MOST_ROWS, MOST_TRIES = 900, 3000, 1 << 12, 100
UNWRAPPED = (graphs.softmax, graphs.matmul, graphs.network)
"""What has operators that only public values may have, or layers of its own."""
Case = dict[str, Any]


def reshaped(rng: np.random.Generator) -> Model:
    """A value in several shapes, whose axes nest or cut across one another, joined by sums, maps and transpositions."""
    shape, kind = tuple(int(size) for size in rng.permutation([2, 3, 4])), graphs.zero_point(rng)
    nodes: list[Node] = []
    values = [graphs.value(shape, kind)]

    def put(operator: ops.Operator, reads: tuple[int, ...], shape: tuple[int, ...], zero: int) -> int:
        values.append(graphs.value(shape, zero))
        nodes.append(Node(operator, reads, (), values[-1]))
        return len(values) - 1

    def moved(read: int) -> int:
        shape, zero = values[read].shape, values[read].zero_point
        if rng.random() < 0.4:
            order = tuple(int(axis) for axis in rng.permutation(len(shape)))
            return put(ops.Transpose(order), (read,), tuple(shape[axis] for axis in order), zero)
        if rng.random() < 0.3:
            return put(ops.Quantize(graphs.requant(rng, 255), ops.Rounding.DOUBLE, -128, 127), (read,), shape, kind)
        shapes = ((24,), (4, 6), (6, 4), (2, 12), (3, 8), (8, 3), (2, 2, 6), (3, 2, 4), (4, 1, 3, 2))
        return put(ops.Reshape(), (read,), shapes[int(rng.integers(len(shapes)))], zero)

    first = second = 0
    for _ in range(int(rng.integers(1, 4))):
        first, second = moved(first), moved(second)
    second = put(ops.Reshape(), (second,), values[first].shape, values[second].zero_point)
    product = ops.Mul(graphs.requant(rng, 255 * 255), ops.Rounding.SINGLE, -128, 127)
    last = moved(put(product, (first, second), values[first].shape, 3))
    scales = (graphs.UNKNOWN,)
    return build(Graph(1, tuple(values[:1]), (), tuple(nodes), (last,), scales, scales), ())


def layered(rng: np.random.Generator) -> Model:
    """A convolution, a depthwise one and a dense layer, whose factors differ by channel, before a last layer."""
    builder = graphs.Builder(rng, graphs.value((3, 4, 2), graphs.zero_point(rng)))
    window, clamp = ops.Window(1, 1, 1, 1, 0, 1, 1, 0), (-128, 127)
    layers = (
        (ops.Conv2D(window, graphs.rounding(rng), *clamp), (3, 2, 2, 2), 3, 8),
        (ops.DepthwiseConv2D(window, 1, graphs.rounding(rng), *clamp), (2, 2, 3), 3, 4),
        (ops.FullyConnected(graphs.rounding(rng), *clamp), (4, 3), 4, 3),
        (ops.FullyConnected(graphs.rounding(rng), *clamp), (2, 4), 2, 4),
    )
    last = 0
    for operator, kernel, channels, depth in layers:
        parts = graphs.weights(rng, kernel), *graphs.per_channel(rng, channels, depth)
        last = builder.put(operator, (last,), parts, graphs.zero_point(rng))
    dtypes = {dtype: kind for kind, dtype in NUMPY_DTYPE.items()}
    types = tuple(ConstantType(dtypes[array.dtype], array.shape) for array in builder.constants)
    scales = (graphs.UNKNOWN,)
    graph = Graph(1, tuple(builder.values[:1]), types, tuple(builder.nodes), (last,), scales, scales)
    return build(graph, tuple(builder.constants))


def small_models(maker: object, first: int, count: int) -> Iterator[tuple[int, Model]]:
    """The first models of one operator between layers, from a seed on, that plain Python can walk through."""
    for seed in range(first, first + MOST_TRIES):
        model = graphs.random_model(maker, seed)
        model = model if maker in (*UNWRAPPED, layered) else between_layers(model)
        if count and small(model):
            count -= 1
            yield seed, model


def small(model: Model) -> bool:
    """Not for a model outside the suite, nor one with a long table."""
    elements = sum(value.elements for value in model.graph.values)
    if elements > MOST_ELEMENTS or sum(array.size for array in model.constants) > MOST_WEIGHTS:
        return False
    try:
        return all(plan.greatest - plan.least < MOST_ROWS for plan in prepare(model).plans.values())
    except Rejected:
        return False


def verdict(name: str, given: Case) -> Case:
    """The case, negative where the library refuses it."""
    case = {"id": name, "op": "succinct.verify", "flags": [], "in": given, "out": {}}
    try:
        succinct_verify(given)
    except VcomputeError:
        case["flags"] = ["negative"]
    return case


def altered(random: Random, statement: Statement, body: bytes) -> Iterator[tuple[str, Case]]:
    """A bit of the body, and a bit of the outputs under an envelope that fits them. Not of a nonce: another one may do
    its work, and lead to the same few positions.
    """
    sections = dump_proof(statement, body, TINY).sections
    nonces = [range(part.offset, part.offset + part.size) for part in sections if part.label.endswith(" work")]
    place = random.choice([place for place in range(len(body)) if not any(place in nonce for nonce in nonces)])
    flipped = body[:place] + bytes([body[place] ^ 1 << random.randrange(8)]) + body[place + 1 :]
    yield f"bit-{place}", {"proof": to_text(encode_envelope(SuiteId.SUCCINCT, TINY, statement, flipped))}
    arrays = [array.copy() for array in statement.outputs.arrays]
    arrays[0].reshape(-1)[random.randrange(arrays[0].size)] ^= 1
    wrong = Statement(statement.model, statement.inputs, make_batch(arrays), CONTEXT)
    envelope = encode_envelope(SuiteId.SUCCINCT, TINY, wrong, body)
    yield "outputs", {"proof": to_text(envelope), "outputs": to_text(wrong.outputs.encoded)}


def cases_of(name: str, model: Model, inputs: Batch, seed: int) -> Iterator[Case]:
    """The cases of one model: its constants and commitment, and proofs of both modes."""
    encoded = {"model": to_text(encode_model(model))}
    commitment = succinct_commit({**encoded, "parameter_set": TINY})
    yield {"id": f"{name}/constants", "op": "succinct.constants", "flags": [], "in": encoded,
           "out": succinct_constants(encoded)}  # fmt: skip
    yield {"id": f"{name}/commit", "op": "succinct.commit", "flags": [], "in": {**encoded, "parameter_set": TINY},
           "out": commitment}  # fmt: skip
    for label, suite, holder in (("opened", SUITE, commitment), ("with-weights", SUITE_WITH_WEIGHTS, encoded)):
        outputs, body = suite.prove(model, inputs, CONTEXT, TINY, 1)
        statement = Statement(model, inputs, outputs, CONTEXT)
        given = {
            **holder,
            "parameter_sets": [TINY],
            "proof": to_text(encode_envelope(SuiteId.SUCCINCT, TINY, statement, body)),
        }
        given |= {"inputs": to_text(inputs.encoded), "outputs": to_text(outputs.encoded), "context": to_text(CONTEXT)}
        honest = verdict(f"{name}/{label}", given)
        assert honest["flags"] == []
        yield honest
        for change, other in altered(Random(f"{name} {label} {seed}"), statement, body):
            yield verdict(f"{name}/{label}/{change}", given | other)


MAKERS = (*graphs.OPERATORS, graphs.network, reshaped, layered)


def compare(directory: Path, first: int, count: int, among: Sequence[Callable[..., Model]] = MAKERS) -> int:
    """Both verifiers on every case of so many models of each operator; of how many operators there are any."""
    cases: list[Case] = []
    makers = models = 0
    for maker in among:
        found = list(small_models(maker, first, count))
        for seed, model in found:
            inputs = batch_of(model, FILLS[seed % len(FILLS)], 1 + seed % 3, seed)
            cases += cases_of(f"{maker.__name__}/{seed}", model, inputs, seed)
        makers, models = makers + bool(found), models + len(found)
    (directory / "succinct.json").write_text(json.dumps({"data": {}, "cases": cases}), encoding="utf-8")
    counts = check(directory)
    assert counts["wrong"] == []
    assert (counts["exact"], counts["committed"], counts["accepted"]) == (models, models, 2 * models)
    assert counts["refused"] == 4 * models
    return makers


@pytest.mark.slow
def test_both_verifiers_give_one_verdict(tmp_path: Path) -> None:
    """VC-SUC-011, VC-SUC-012, VC-SUC-014 over every operator."""
    assert compare(tmp_path, 0, 2) == len(MAKERS)


@pytest.mark.slow
@pytest.mark.parametrize("width", [6, 8, 12, 14])
def test_both_verifiers_give_one_verdict_on_divided_layers(
    width: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """VC-SUC-008, VC-SUC-017 with remainders of one limb and of several, below divisors that are no powers of two."""
    monkeypatch.setattr(constants, "LIMB_WIDTHS", (width,))
    prepare.cache_clear()
    try:
        plans = [plan for _, model in small_models(layered, 0, 10) for plan in prepare(model).plans.values()]
        divided = [plan for plan in plans if plan.divided]
        assert {plan.two_sided for plan in divided} == {0, 1}
        assert (min(plan.limbs for plan in divided) == 1) == (width >= 12)
        compare(tmp_path, 0, 10, [layered])
    finally:
        prepare.cache_clear()


@pytest.mark.exhaustive
@pytest.mark.parametrize("first", range(1000, 2000, 100))
def test_both_verifiers_give_one_verdict_on_many(first: int, tmp_path: Path) -> None:
    compare(tmp_path, first, 5)
