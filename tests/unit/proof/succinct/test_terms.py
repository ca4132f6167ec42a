# SPDX-License-Identifier: Apache-2.0
"""Every challenge that a verifier draws has its term in the report, as often as it is drawn; and work is checked."""

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction

import pytest

from tests.unit.proof.succinct.build import Sketch, image_network, inputs_for, int8, network
from tests.unit.proof.succinct.forgeries import squared
from vcompute import soundness
from vcompute.commitment import STANDARD, parameters
from vcompute.errors import Rejected
from vcompute.field import default_backend
from vcompute.field.portable import NumpyBackend
from vcompute.proof.statement import Statement
from vcompute.proof.succinct import prove as prover
from vcompute.proof.succinct import setting as settings
from vcompute.proof.succinct.publish import commit_model
from vcompute.proof.succinct.setting import PROTOCOL, ROOT_ONLY, WITH_WEIGHTS, Setting, prepare
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS, Succinct, holder_of
from vcompute.proof.succinct.tape import Kind, Tape
from vcompute.proof.succinct.verify import open_statement, verify
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import Model
from vcompute.task import operators as ops
from vcompute.task.operators import Requant, Rounding

TINY = int(ParameterSetId.TINY)
STANDARD_SET = int(ParameterSetId.STANDARD)


def summed(seed: int = 5) -> Model:
    """An output that is a sum of proved values, beside one that is a layer, and a product of two values."""
    sketch = Sketch([int8(2, 4, zero_point=3)], seed)
    left, right = sketch.dense(0, 5), sketch.dense(0, 5)
    product = sketch.node(ops.Mul(Requant(1 << 30, -6), Rounding.DOUBLE, -128, 127), [left, right], [], int8(2, 5))
    return sketch.model(sketch.add(product, left), sketch.dense(product, 3))


def drawn(model: Model, suite: Succinct) -> tuple[Setting, Tape]:
    """An instance and what its verifier absorbed, received and drew."""
    inputs = inputs_for(model)
    outputs, body = suite.prove(model, inputs, b"", TINY, 1)
    statement, backend = Statement(model, inputs, outputs), NumpyBackend()
    holder, tape = holder_of(statement, body, TINY, backend), Tape(PROTOCOL, body)
    verify(holder, statement, body, TINY, backend, tape)
    return open_statement(holder, statement, body, TINY).setting, tape


@pytest.mark.parametrize("suite", [SUITE, SUITE_WITH_WEIGHTS], ids=["root only", "with weights"])
@pytest.mark.parametrize("make", [network, image_network, squared, summed], ids=lambda f: f.__name__)
def test_every_challenge_has_its_term(make: Callable[[], Model], suite: Succinct) -> None:
    """A challenge that is drawn but not counted, or of another size, would be missing from the bits claimed."""
    setting, tape = drawn(make(), suite)
    squeezed = [entry for entry in tape.entries if entry.kind is Kind.SQUEEZE]
    count = Counter(entry.label for entry in squeezed)
    coordinates = sum(len(entry.elements) for entry in squeezed if entry.label == "point of a public value")
    terms = {term.name: term for term in setting.report.terms}
    rounds, last = setting.schedule.rounds, setting.schedule.rounds[-1].next_variables

    def error(name: str) -> Fraction:
        return terms.pop(name).error * soundness.FIELD_SIZE

    def of_rounds(name: str, degree: int) -> int:
        assert terms[name].error * soundness.FIELD_SIZE == degree
        return terms.pop(name).count

    assert count.pop("lookup") == 1
    assert error("lookups") == sum(_product(box) for box in setting.circuit.leaves.boxes)
    assert count.pop("fraction sumcheck") == of_rounds("fractions: each round", 3)
    assert (
        count.pop("fraction pair") == count.pop("fraction layer") + 1 == of_rounds("fractions: joining of a layer", 2)
    )
    count.pop("point of a public value")
    public = coordinates + count.pop("accumulators", 0) + 1
    assert error("public values: points and their combination") == public
    assert count.pop("product sumcheck") == of_rounds("products: each round", 2)
    if setting.circuit.bilinear:
        assert count.pop("bilinear sumcheck") == of_rounds("products of two values: each round", 3)
    assert count.pop("batch") == 1
    claimed = [entry for entry in tape.entries if entry.label == "claimed values" and entry.kind is Kind.ABSORB]
    assert error("batching of claims") == len(claimed[0].data) // 16
    assert count.pop("fold") == sum(step.fold for step in rounds) + last
    assert [terms.pop(f"round {index}: each fold").count for index in range(len(rounds))] == [
        step.fold for step in rounds
    ]
    assert of_rounds("final sumcheck, each round", 2) == last
    assert count.pop("positions") == sum(len(step.oracles) for step in rounds)
    assert count.pop("combination", 0) == len(rounds) - 1
    assert all(terms.pop(f"round {index}: queries").count == 1 for index in range(len(rounds)))
    assert not terms
    assert count == Counter({"query work": len(rounds), "end of opening": 1})


def _product(box: tuple[int, ...]) -> int:
    result = 1
    for size in box:
        result *= size
    return result


def test_products_of_two_values_are_in_the_report() -> None:
    """And in what `security` says of the graph alone."""
    for mode in (WITH_WEIGHTS, ROOT_ONLY):
        setting = settings.make_setting(prepare(squared()), 2, STANDARD_SET, mode)
        (term,) = (term for term in setting.report.terms if term.name == "products of two values: each round")
        assert term.count == setting.circuit.bilinear_boxes.variables > 0
        assert term.error == Fraction(3, soundness.FIELD_SIZE)
        without = soundness.Report(tuple(t for t in setting.report.terms if t is not term))
        assert setting.report.union_bits < without.union_bits
    plain = settings.make_setting(prepare(network()), 2, STANDARD_SET, WITH_WEIGHTS)
    assert not any(term.name.startswith("products of two") for term in plain.report.terms)


WEAKER = {
    "queries": {"query_bits": 60},
    "work": {"query_grinding": 2},
    "digests": {"security_bits": 109, "query_bits": 110},
}


@pytest.mark.parametrize("name", WEAKER)
def test_an_instance_that_cannot_reach_its_level_is_refused_before_proving(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the prover before it makes a witness, by the publisher, and by the verifier before it reads the proof."""
    model = network(seed=1000 + list(WEAKER).index(name))  # a model that nothing is kept of
    inputs = inputs_for(model)
    outputs, body = SUITE.prove(network(), inputs, b"", STANDARD_SET, 1)
    monkeypatch.setitem(settings.PARAMETERS, STANDARD_SET, replace(STANDARD, **WEAKER[name]))  # type: ignore[arg-type]
    monkeypatch.setattr(prover, "make_witness", None)
    statement = Statement(model, inputs, outputs)
    for suite in (SUITE, SUITE_WITH_WEIGHTS):
        for attempt in (
            lambda suite=suite: suite.prove(model, inputs, b"", STANDARD_SET, 1),
            lambda suite=suite: suite.security(model.graph, 2, STANDARD_SET),
            lambda suite=suite: suite.verify(statement, body[:1] + bytes([suite.mode]), STANDARD_SET, 1),
        ):
            with pytest.raises(Rejected) as caught:
                attempt()
            assert caught.value.code is ErrorCode.SECURITY_UNREACHABLE


@pytest.fixture
def work_everywhere(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two bits of work before every challenge that can have any; small instances need none."""
    monkeypatch.setattr(soundness, "grinding_for", lambda *_: 2)
    monkeypatch.setattr(parameters, "_schedule", parameters._schedule.__wrapped__)  # one that keeps nothing


@pytest.mark.usefixtures("work_everywhere")
def test_every_kind_of_work_is_checked_by_both_twins() -> None:
    """A nonce that does not do its work is refused as that, wherever it stands."""
    model = network(seed=2000)  # a model that nothing is kept of
    setting, tape = drawn(model, SUITE)
    inputs = inputs_for(model)
    outputs, body = SUITE.prove(model, inputs, b"", TINY, 1)
    nonces = [entry for entry in tape.messages if entry.type == "nonce"]
    assert Counter(entry.label for entry in nonces) == Counter({
        "lookup work": 1, "batch work": 1, "fold work": sum(step.fold for step in setting.schedule.rounds),
        "query work": len(setting.schedule.rounds),
    })  # fmt: skip
    commitment = commit_model(model, TINY, default_backend())
    for entry in nonces:
        codes = set()
        for delta in range(1, 9):
            low = body[entry.offset] ^ delta
            altered = body[: entry.offset] + bytes((low,)) + body[entry.offset + 1 :]
            for suite in (SUITE, Succinct(readable=True)):
                with pytest.raises(Rejected) as caught:
                    suite.verify(Statement(commitment, inputs, outputs), altered, TINY, 1)
                codes.add((delta, caught.value.code))
        assert len(codes) == 8, "the twins differ"
        assert ErrorCode.GRINDING in {code for _, code in codes}
