# SPDX-License-Identifier: Apache-2.0
"""Record an instance's checks; carry them out on a proof. The native twin of :mod:`vcompute.proof.succinct.verify`."""

from collections.abc import Mapping
from typing import Final, cast

import numpy as np

from vcompute import _native
from vcompute.errors import Rejected
from vcompute.field import Backend
from vcompute.field.backend import DIGEST_BYTES
from vcompute.proof.statement import Statement
from vcompute.proof.succinct.circuit import Circuit
from vcompute.proof.succinct.commitment import Commitment
from vcompute.proof.succinct.contract import IntArray
from vcompute.proof.succinct.program.backend import RecordingBackend
from vcompute.proof.succinct.program.core import Program, load
from vcompute.proof.succinct.program.recorder import NotRecordable, Recorder
from vcompute.proof.succinct.program.transcript import RecordingTranscript
from vcompute.proof.succinct.program.values import RecordedBytes, RecordedTensor
from vcompute.proof.succinct.setting import PROTOCOL, Prepared
from vcompute.proof.succinct.steps import Int64
from vcompute.proof.succinct.verify import Opened, check, open_statement
from vcompute.registry import ErrorCode
from vcompute.soundness import Report
from vcompute.task.tensor import NUMPY_DTYPE
from vcompute.transcript import VerifierTranscript

STATEMENT: Final = ("statement",)

_MESSAGES: Final = {
    ErrorCode.NONCANONICAL_ELEMENT: "a field element is not below p",
    ErrorCode.TRUNCATED_PROOF: "the proof ends before its last message",
    ErrorCode.TRAILING_BYTES: "the proof has bytes after its last message",
    ErrorCode.GRINDING: "a nonce does not do its work",
    ErrorCode.MERKLE_PATH: "opened rows do not hash to the committed root",
    ErrorCode.QUERY_CONSISTENCY: "an opened leaf disagrees with the final polynomial",
}


class _Values(dict[int, RecordedTensor]):
    """Public values, as they are asked for."""

    def __init__(self, recorder: Recorder, circuit: Circuit) -> None:
        super().__init__()
        self._recorder, self._circuit = recorder, circuit

    def __missing__(self, value: int) -> RecordedTensor:
        kind = self._circuit.graph.values[value]
        shape = (self._circuit.batch, *kind.shape)
        self[value] = RecordedTensor(self._recorder, ("value", value), shape, NUMPY_DTYPE[kind.dtype])
        return self[value]


class _Accumulators(dict[int, RecordedTensor]):
    """Revealed accumulators, as they are asked for."""

    def __init__(self, recorder: Recorder, circuit: Circuit) -> None:
        super().__init__()
        self._recorder, self._circuit = recorder, circuit

    def __missing__(self, node: int) -> RecordedTensor:
        shape = (self._circuit.batch, *self._circuit.graph.nodes[node].output.shape)
        self[node] = RecordedTensor(self._recorder, ("accumulators", node), shape, "<i4")
        return self[node]


class _Statement:
    """A statement that is not yet known."""

    def __init__(self, recorder: Recorder) -> None:
        self.encoded = RecordedBytes()
        self.encoded.slot = recorder.slot(STATEMENT, 0)


def verify(
    holder: Prepared | Commitment, statement: Statement, body: bytes, parameter_set: int, backend: Backend
) -> Report:
    """As :func:`vcompute.proof.succinct.verify.verify`; all but steps 1 and 2 natively where the backend is native.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    opened = open_statement(holder, statement, body, parameter_set)
    program = program_of(holder, opened) if backend.name == "native" else None
    if program is None:
        check(VerifierTranscript(PROTOCOL, body), holder, opened, backend)
    else:
        run(program, opened, body)
    return opened.setting.report


def record(holder: Prepared | Commitment, opened: Opened) -> Program:
    """The program of an instance; of ``opened`` only the setting and the roots are used.

    Raises:
        NotRecordable: the circuit needs an operation that programs do not have.
    """
    recorder, circuit = Recorder(), opened.setting.circuit
    blank = Opened(
        opened.setting,
        opened.weights,
        cast(Statement, _Statement(recorder)),
        cast(Mapping[int, IntArray], _Values(recorder, circuit)),
        cast(Mapping[int, Int64], _Accumulators(recorder, circuit)),
    )
    transcript = RecordingTranscript(PROTOCOL, recorder)
    check(transcript, holder, blank, RecordingBackend(recorder), transcript.reduce_opening)
    return load(recorder, transcript.messages)


def program_of(holder: Prepared | Commitment, opened: Opened) -> Program | None:
    """The program of an instance, recorded once; None where it cannot be."""
    kept = opened.setting.kept
    if "program" not in kept:
        try:
            kept["program"] = record(holder, opened)
        except NotRecordable:
            kept["program"] = None
    return cast(Program | None, kept["program"])


def run(program: Program, opened: Opened, body: bytes) -> None:
    """Carry the checks out.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    ffi = _native.ffi
    held = [_given(program, key, opened) for key in program.slots]
    slots = ffi.new("vc_array[]", len(held))
    for slot, data in zip(slots, held, strict=True):
        slot.data, slot.bytes = ffi.from_buffer(data), len(data) if isinstance(data, bytes) else data.nbytes
    try:
        memory, digests, scratch = program.spare.pop()
    except IndexError:
        memory = np.empty((program.elements, 2), np.uint64)
        digests = np.empty(program.digests * DIGEST_BYTES, np.uint8)
        scratch = np.empty(program.scratch, np.uint64)
    at = ffi.new("size_t *")
    status = _native.lib.vc_program_run(
        program.code, slots, ffi.from_buffer("uint8_t[]", body), len(body), ffi.from_buffer("uint64_t[]", memory),
        ffi.from_buffer("uint8_t[]", digests), ffi.from_buffer("uint64_t[]", scratch), at,
    )  # fmt: skip
    program.spare.append((memory, digests, scratch))
    if status:
        code = ErrorCode(status)
        raise Rejected(program.messages.get(at[0]) or _MESSAGES[code], code=code)


def _given(program: Program, key: tuple[object, ...], opened: Opened) -> bytes | IntArray:
    """An array of a run."""
    if key in program.fixed:
        return program.fixed[key]
    if key == STATEMENT:
        return opened.statement.encoded
    kind, number = key
    if kind == "accumulators":
        return np.ascontiguousarray(opened.accumulators[cast(int, number)], "<i4")
    return np.ascontiguousarray(opened.values[cast(int, number)])
