# SPDX-License-Identifier: Apache-2.0
"""The claims of :mod:`vcompute.proof.succinct.claims` for a prover: recorded once for a circuit, as a verifier's checks
are, and carried out by the native core for every proof. What is recorded are the functions that both sides share.

A record receives what it depends on as if it were a proof's messages; its results are read from its memory.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeVar, cast

import numpy as np

from vcompute import _native
from vcompute._native import memory
from vcompute.field import Backend, Ext, ExtWords, to_array
from vcompute.proof.succinct.circuit import Circuit
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
from vcompute.proof.succinct.program.values import place, vector
from vcompute.proof.succinct.setting import Setting
from vcompute.proof.succinct.stored import Head, Places, StoredTerms

T = TypeVar("T")
Given = Sequence[ExtWords]
"""What a record depends on: vectors of extension elements."""


def claims_at_leaves(setting: Setting, point: list[Ext], challenges: Challenges, backend: Backend) -> LeafClaims:
    """As :func:`vcompute.proof.succinct.claims.leaf_claims`."""
    circuit, plans = setting.circuit, setting.plans

    def recorded(given: Given, recording: RecordingBackend) -> Kept:
        *at, alpha, u, v, s = _elements(given[0])
        found = leaf_claims(circuit, plans, at, Challenges(alpha, u, v, s), recording)
        keep = Keeper(recording.recorder)
        return Kept(
            tuple(map(keep.form, (found.numerator, found.denominator))),
            tuple(map(keep.loads, (found.loads, found.bilinear))),
        )

    given = [to_array([*point, challenges.alpha, challenges.u, challenges.v, challenges.s])]
    replay = _replay_of("leaf claims", given, recorded, setting.kept, backend)
    if replay is None:
        return leaf_claims(circuit, plans, point, challenges, backend)
    found, run = replay.result, Run(replay.program, given)
    numerator, denominator = (run.form(form, circuit, backend) for form in found.forms)
    loads, bilinear = map(run.loads, found.loads)
    return LeafClaims(numerator, denominator, loads, bilinear)


def claims_of_products(
    setting: Setting, loads: Mapping[int, Load], point: list[Ext], backend: Backend
) -> ProductClaims:
    """As :func:`vcompute.proof.succinct.claims.product_claims`."""
    circuit = setting.circuit

    def recorded(given: Given, recording: RecordingBackend) -> Kept:
        elements, vectors, again = iter(_elements(given[0])), iter(given[1:]), {}
        for index, known in loads.items():
            axes = tuple(tuple(next(vectors) for _ in axis) for axis in known.axes)
            again[index] = Load(next(elements), axes, next(elements))
        found, keep = product_claims(circuit, again, list(elements), recording), Keeper(recording.recorder)
        return Kept((keep.form(found.right),), left=keep.weights(found.left))

    scalars = [scalar for each in loads.values() for scalar in (each.scale, each.gap)]
    given = [to_array([*scalars, *point])]
    given += [vector for each in loads.values() for axis in each.axes for vector in axis]
    replay = _replay_of("product claims", given, recorded, setting.kept, backend)
    if replay is None:
        return product_claims(circuit, loads, point, backend)
    found, run = replay.result, Run(replay.program, given)
    (right,) = found.forms
    return ProductClaims(run.weights(found.left), run.form(right, circuit, backend))


@dataclass(frozen=True, eq=False)
class Replay:
    """A record, and where its result is."""

    program: Program
    result: "Kept"


def _replay_of(
    name: str, given: Given, function: "Recorded", kept: dict[str, object], backend: Backend
) -> Replay | None:
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
    return cast("Replay | None", kept[name])


_ASKED_ONCE: Final = object()


def _record(name: str, given: Given, function: "Recorded") -> Replay:
    recorder = Recorder()
    transcript = RecordingTranscript(name, recorder)
    result = function([transcript.receive_ext_array(name, len(vector)) for vector in given], RecordingBackend(recorder))
    transcript.finish()
    return Replay(load(recorder, transcript.messages), result)


def _elements(vector: Any) -> list[Ext]:
    return [vector.element(index) for index in range(len(vector))]


Vectors = tuple[slice, ...]
"""Where vectors stand."""


@dataclass(frozen=True, eq=False)
class KeptForm:
    """Where a form stands."""

    constant: int
    columns: Places[ColumnTerm]
    values: tuple[tuple[int, int, Vectors], ...]
    """Each term's value, scale and vectors."""


@dataclass(frozen=True, eq=False)
class Kept:
    """Where the results of a record stand in its memory."""

    forms: tuple[KeptForm, ...]
    loads: tuple[Mapping[int, tuple[int, tuple[Vectors, ...], int]], ...] = ()
    """By node the places of a load's scale, axes and gap."""
    left: Places[WeightTerm] | None = None


Recorded = Callable[[Given, RecordingBackend], Kept]


class Keeper:
    """Finds the places of a record's results; what has none yet, since nothing asked for it, gets one."""

    def __init__(self, recorder: Recorder) -> None:
        self._recorder = recorder

    def _vectors(self, axis: Axis) -> Vectors:
        known = [vector(self._recorder, each) for each in axis]
        return tuple(slice(each.at, each.at + each.count) for each in known)

    def form(self, form: Form) -> KeptForm:
        """Of a form."""
        return KeptForm(
            place(self._recorder, form.constant),
            self._terms(ColumnTerm, [((term.column,), term) for term in form.columns]),
            tuple((t.value, place(self._recorder, t.scale), self._vectors(t.vectors)) for t in form.values),
        )

    def loads(self, loads: Mapping[int, Load]) -> Mapping[int, tuple[int, tuple[Vectors, ...], int]]:
        """Of loads."""
        return {
            index: (
                place(self._recorder, load.scale), tuple(map(self._vectors, load.axes)),
                place(self._recorder, load.gap),
            )
            for index, load in loads.items()
        }  # fmt: skip

    def weights(self, terms: Sequence[WeightTerm]) -> Places[WeightTerm]:
        """Of weight terms."""
        return self._terms(WeightTerm, [((term.node, term.part), term) for term in terms])

    def _terms(self, make: type[T], terms: Sequence[tuple[Head, ColumnTerm | WeightTerm]]) -> Places[T]:
        """Of terms with their heads; those of the same vectors become one."""
        columns: dict[Head, dict[tuple[tuple[int, int], ...], Ext]] = {}
        for head, term in terms:
            column, vectors = columns.setdefault(head, {}), self._vectors(term.vectors)
            where = tuple((each.start, each.stop - each.start) for each in vectors)
            column[where] = column[where] + term.scale if where in column else term.scale
        rows = [(head, where, scale) for head, column in columns.items() for where, scale in column.items()]
        places = np.zeros((2, len(rows), max((len(where) for _, where, _ in rows), default=0)), np.uint64)
        for row, (_, where, _) in enumerate(rows):
            places[:, row, : len(where)] = np.array(where, np.uint64).reshape(-1, 2).T
        return Places(
            make,
            tuple((head, len(own), tuple(size for _, size in next(iter(own)))) for head, own in columns.items()),
            tuple(head for head, _, _ in rows),
            np.array([place(self._recorder, scale) for _, _, scale in rows], np.intp),
            *places,
        )


class Run:
    """A program carried out: what the results of its record are in its memory."""

    def __init__(self, program: Program, given: Given) -> None:
        ffi, proof = _native.ffi, b"".join([vector.tobytes() for vector in given])
        self._memory = np.empty((program.elements, 2), np.uint64)
        status = _native.lib.vc_program_run(
            program.code, ffi.NULL, proof, len(proof), ffi.from_buffer("uint64_t[]", self._memory), ffi.NULL,
            ffi.from_buffer("uint64_t[]", np.empty(program.scratch, np.uint64)), ffi.new("size_t *"),
        )  # fmt: skip
        if status:
            raise ValueError(f"a record that does not fit what it is given: {status}")

    def _element(self, at: int) -> Ext:
        return Ext(*self._memory[at].tolist())

    def _vectors(self, places: Vectors) -> Axis:
        return tuple([self._memory[each] for each in places])

    def form(self, kept: KeptForm, circuit: Circuit, backend: Backend) -> Form:
        """A form, which nobody adds to: its columns are a sequence, no list."""
        values = [ValueTerm(value, self._element(at), self._vectors(places)) for value, at, places in kept.values]
        columns = cast("list[ColumnTerm]", StoredTerms(kept.columns, self._memory))
        return Form(circuit, backend, self._element(kept.constant), columns, values)

    def weights(self, places: Places[WeightTerm] | None) -> Sequence[WeightTerm]:
        """Weight terms."""
        return () if places is None else StoredTerms(places, self._memory)

    def loads(self, kept: Mapping[int, tuple[int, tuple[Vectors, ...], int]]) -> dict[int, Load]:
        """Loads."""
        return {
            index: Load(self._element(scale), tuple([self._vectors(axis) for axis in axes]), self._element(gap))
            for index, (scale, axes, gap) in kept.items()
        }
