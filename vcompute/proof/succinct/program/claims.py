# SPDX-License-Identifier: Apache-2.0
"""The claims of :mod:`vcompute.proof.succinct.claims` for a prover: recorded once for a circuit, as a verifier's checks
are, and carried out by the native core for every proof. What is recorded are the functions that both sides share.

A record receives what it depends on as if it were a proof's messages; its results are read from its memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Generic, TypeVar, cast

import numpy as np

from vcompute import _native
from vcompute._native import memory
from vcompute.field import Backend, Ext, ExtWords, to_array
from vcompute.proof.succinct.claims import (
    Challenges,
    LeafClaims,
    Load,
    ProductClaims,
    WeightTerm,
    leaf_claims,
    product_claims,
)
from vcompute.proof.succinct.forms import Axis, ColumnTerm, Form, ValueTerm
from vcompute.proof.succinct.program.backend import RecordingBackend
from vcompute.proof.succinct.program.core import Program, load
from vcompute.proof.succinct.program.recorder import NotRecordable, Recorder
from vcompute.proof.succinct.program.transcript import RecordingTranscript
from vcompute.proof.succinct.program.values import RecordedExt, RecordedVector, as_recorded
from vcompute.proof.succinct.setting import Setting

T = TypeVar("T")
Given = Sequence[ExtWords]
"""What a record depends on: vectors of extension elements."""


def claims_at_leaves(setting: Setting, point: list[Ext], challenges: Challenges, backend: Backend) -> LeafClaims:
    """As :func:`vcompute.proof.succinct.claims.leaf_claims`."""
    circuit, plans = setting.circuit, setting.plans

    def recorded(given: Given, recording: Backend) -> LeafClaims:
        *at, alpha, u, v, s = _elements(given[0])
        return leaf_claims(circuit, plans, at, Challenges(alpha, u, v, s), recording)

    given = [to_array([*point, challenges.alpha, challenges.u, challenges.v, challenges.s])]
    replay = _replay_of("leaf claims", given, recorded, setting.kept, backend)
    if replay is None:
        return leaf_claims(circuit, plans, point, challenges, backend)
    found, run = replay.result, Run(replay.program, given, backend)
    return LeafClaims(
        run.form(found.numerator), run.form(found.denominator), run.loads(found.loads), run.loads(found.bilinear)
    )


def claims_of_products(
    setting: Setting, loads: Mapping[int, Load], point: list[Ext], backend: Backend
) -> ProductClaims:
    """As :func:`vcompute.proof.succinct.claims.product_claims`."""
    circuit = setting.circuit

    def recorded(given: Given, recording: Backend) -> ProductClaims:
        elements, vectors, again = iter(_elements(given[0])), iter(given[1:]), {}
        for index, known in loads.items():
            axes = tuple(tuple(next(vectors) for _ in axis) for axis in known.axes)
            again[index] = Load(next(elements), axes, next(elements))
        return product_claims(circuit, again, list(elements), recording)

    scalars = [scalar for each in loads.values() for scalar in (each.scale, each.gap)]
    given = [to_array([*scalars, *point])]
    given += [vector for each in loads.values() for axis in each.axes for vector in axis]
    replay = _replay_of("product claims", given, recorded, setting.kept, backend)
    if replay is None:
        return product_claims(circuit, loads, point, backend)
    found, run = replay.result, Run(replay.program, given, backend)
    left = [WeightTerm(term.node, term.part, run.element(term.scale), run.vectors(term.vectors)) for term in found.left]
    return ProductClaims(tuple(left), run.form(found.right))


@dataclass(frozen=True, eq=False)
class Replay(Generic[T]):
    """A record and its result, of values that are not yet known."""

    program: Program
    result: T


def _replay_of(
    name: str, given: Given, function: Callable[[Given, Backend], T], kept: dict[str, object], backend: Backend
) -> Replay[T] | None:
    """The record of a function, made for the second proof of a setting: it takes as long as what it saves a few proofs.
    None for the first one, where the backend is not native, and where it cannot be made. Of ``given`` only the lengths
    are used, which are the same for every proof of a setting.
    """
    if backend.name != "native":
        return None
    if name not in kept:
        kept[name] = _ASKED_ONCE
        return None
    if kept[name] is _ASKED_ONCE:
        with memory.plain():  # it outlives the proof
            try:
                kept[name] = _record(name, given, function)
            except NotRecordable:
                kept[name] = None
    return cast("Replay[T] | None", kept[name])


_ASKED_ONCE: Final = object()


def _record(name: str, given: Given, function: Callable[[Given, Backend], T]) -> Replay[T]:
    recorder = Recorder()
    transcript = RecordingTranscript(name, recorder)
    result = function([transcript.receive_ext_array(name, len(vector)) for vector in given], RecordingBackend(recorder))
    _compute_vectors(result)
    transcript.finish()
    return Replay(load(recorder, transcript.messages), result)


def _compute_vectors(result: object) -> None:
    """Vectors are computed where somebody asks for their place: ask for those of a result."""
    if isinstance(result, RecordedVector):
        _ = result.at
    elif isinstance(result, (tuple, list)):
        for each in result:
            _compute_vectors(each)
    elif isinstance(result, Mapping):
        _compute_vectors(tuple(result.values()))
    elif isinstance(result, LeafClaims):
        _compute_vectors((result.numerator, result.denominator, result.loads, result.bilinear))
    elif isinstance(result, ProductClaims):
        _compute_vectors((result.left, result.right))
    elif isinstance(result, Form):
        _compute_vectors((result.columns, result.values))
    elif isinstance(result, (ColumnTerm, ValueTerm, WeightTerm)):
        _compute_vectors(result.vectors)
    elif isinstance(result, Load):
        _compute_vectors(result.axes)


def _elements(vector: Any) -> list[Ext]:
    return [vector.element(index) for index in range(len(vector))]


class Run:
    """A program carried out: what the results of its record are in its memory."""

    def __init__(self, program: Program, given: Given, backend: Backend) -> None:
        ffi, proof = _native.ffi, b"".join([vector.tobytes() for vector in given])
        self._memory = np.empty((program.elements, 2), np.uint64)
        self._vectors: dict[int, tuple[ExtWords, ...]] = {}
        self._parts: dict[tuple[int, int], ExtWords] = {}
        self._backend = backend
        status = _native.lib.vc_program_run(
            program.code, ffi.NULL, proof, len(proof), ffi.from_buffer("uint64_t[]", self._memory), ffi.NULL,
            ffi.from_buffer("uint64_t[]", np.empty(program.scratch, np.uint64)), ffi.new("size_t *"),
        )  # fmt: skip
        if status:
            raise ValueError(f"a record that does not fit what it is given: {status}")

    def element(self, value: Ext) -> Ext:
        """An element of a result."""
        return Ext(*self._memory[value.at].tolist()) if isinstance(value, RecordedExt) else value

    def vectors(self, axis: Axis) -> Axis:
        """Vectors of a result; terms that share them share these."""
        found = self._vectors.get(id(axis))
        if found is None:
            found = self._vectors[id(axis)] = tuple(map(self._vector, axis))
        return found

    def _vector(self, vector: ExtWords) -> ExtWords:
        recorded = as_recorded(vector)
        if recorded is None:
            return vector
        place = (recorded.at, recorded.count)
        if place not in self._parts:
            self._parts[place] = self._memory[recorded.at : recorded.at + recorded.count]
        return self._parts[place]

    def form(self, form: Form) -> Form:
        """A form of a result."""
        return Form(
            form.circuit,
            self._backend,
            self.element(form.constant),
            [ColumnTerm(term.column, self.element(term.scale), self.vectors(term.vectors)) for term in form.columns],
            [ValueTerm(term.value, self.element(term.scale), self.vectors(term.vectors)) for term in form.values],
        )

    def loads(self, loads: Mapping[int, Load]) -> dict[int, Load]:
        """Loads of a result."""
        return {
            index: Load(self.element(load.scale), tuple(map(self.vectors, load.axes)), self.element(load.gap))
            for index, load in loads.items()
        }
