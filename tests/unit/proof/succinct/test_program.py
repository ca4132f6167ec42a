# SPDX-License-Identifier: Apache-2.0
"""Recorded verifiers: what cannot be recorded is said so, and the core refuses a program that leaves its memory."""

import random
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import cast

import numpy as np
import pytest

from tests.unit.proof.succinct.build import image_network, inputs_for
from vcompute import _native
from vcompute.errors import Rejected
from vcompute.field import Ext, default_backend
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.program import run as program
from vcompute.proof.succinct.program.backend import RecordingBackend
from vcompute.proof.succinct.program.recorder import NotRecordable, Recorder
from vcompute.proof.succinct.program.values import RecordedExt, RecordedVector, as_recorded
from vcompute.proof.succinct.suite import SUITE, SUITE_WITH_WEIGHTS, holder_of
from vcompute.proof.succinct.verify import Opened, open_statement
from vcompute.registry import ErrorCode, ParameterSetId

TINY = int(ParameterSetId.TINY)
MODEL = image_network()
INPUTS = inputs_for(MODEL)


@pytest.fixture(autouse=True)
def _needs_native() -> None:
    _native.require()


def opened(suite: object = SUITE_WITH_WEIGHTS) -> tuple[object, Opened, bytes]:
    outputs, body = suite.prove(MODEL, INPUTS, b"", TINY, 1)  # type: ignore[attr-defined]
    statement = Statement(MODEL, INPUTS, outputs)
    holder = holder_of(statement, body, TINY, default_backend())
    return holder, open_statement(holder, statement, body, TINY), body


@pytest.mark.parametrize("suite", [SUITE, SUITE_WITH_WEIGHTS], ids=["root only", "with weights"])
def test_a_program_runs_again_and_again(suite: object) -> None:
    holder, known, body = opened(suite)
    recorded = program.record(holder, known)  # type: ignore[arg-type]
    for _ in range(3):
        program.run(recorded, known, body)
        with pytest.raises(Rejected) as caught:
            program.run(recorded, known, body[:-1])
        assert caught.value.code is ErrorCode.TRUNCATED_PROOF
    assert len(recorded.spare) == 1


def test_an_altered_program_is_refused_or_stays_inside_its_memory() -> None:
    """Words drawn at random in its code: what passes the check is run, under sanitizers too."""
    holder, known, body = opened()
    recorded = program.record(holder, known)  # type: ignore[arg-type]
    code = cast(array, recorded.arrays[1])
    scratch, rng, refused = _native.ffi.new("size_t *"), random.Random(4), 0
    for _ in range(600):
        place = rng.randrange(len(code))
        was = code[place]
        code[place] = rng.choice([0, 1, was + 1, was ^ 1 << rng.randrange(20), rng.randrange(1 << 32), (1 << 32) - 1])
        if _native.lib.vc_program_check(recorded.code, scratch):
            refused += 1
        elif scratch[0] <= recorded.scratch:
            with suppress(Rejected, ValueError):
                program.run(recorded, known, body)
        code[place] = was
    assert refused > 150
    program.run(recorded, known, body)


def element(recorder: Recorder) -> RecordedExt:
    return RecordedExt(recorder, recorder.take(1))


PEEKS: dict[str, Callable[[Recorder, RecordedVector], object]] = {
    "comparison": lambda r, _: element(r) == Ext(3),
    "truth": lambda r, _: bool(element(r)),
    "array": lambda _, v: np.asarray(v),
    "choice": lambda _, v: v[np.array([1, 0])],
    "every other": lambda _, v: v[::2],
    "numpy": lambda _, v: np.tile(v, 2),
    "kernel": lambda r, v: RecordingBackend(r).inverse(v),
    "lengths": lambda r, v: RecordingBackend(r).dot_ext(v, v[1:]),
    "tensor": lambda r, v: RecordingBackend(r).contract(np.zeros(3), [v[:3]]),
}


@pytest.mark.parametrize("name", PEEKS)
def test_what_cannot_be_recorded_is_said(name: str) -> None:
    recorder = Recorder()
    with pytest.raises(NotRecordable):
        PEEKS[name](recorder, RecordedVector(recorder, recorder.take(8), 8))


def test_a_circuit_that_cannot_be_recorded_is_verified_by_the_readable_twin(monkeypatch: pytest.MonkeyPatch) -> None:
    holder, known, body = opened()
    known.setting.kept.clear()

    def refuse(*_: object) -> None:
        raise NotRecordable

    with monkeypatch.context() as patch:
        patch.setattr(program, "record", refuse)
        for data, code in ((body, None), (body[:-1], ErrorCode.TRUNCATED_PROOF)):
            try:
                program.verify(holder, known.statement, data, TINY, default_backend())  # type: ignore[arg-type]
                seen = None
            except Rejected as error:
                seen = error.code
            assert seen is code
    assert known.setting.kept.pop("program") is None


def test_known_values_are_not_computed_again() -> None:
    recorder = Recorder()
    a, b = element(recorder), element(recorder)
    assert (a * b) is not a
    assert cast(RecordedExt, a * b).at == cast(RecordedExt, b * a).at
    assert a * Ext(1) is a
    assert a + 0 is a
    assert type(a * Ext(0)) is Ext
    vector = RecordedVector(recorder, recorder.take(4), 4)
    assert vector.total() is not a
    assert cast(RecordedExt, vector.total()).at == cast(RecordedExt, vector.total()).at
    assert as_recorded(vector) is vector
    assert as_recorded(np.zeros((4, 2))) is None
