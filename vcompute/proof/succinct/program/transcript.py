# SPDX-License-Identifier: Apache-2.0
"""The verifier's transcript, recorded."""

from collections.abc import Sequence
from typing import Any, Final

from vcompute.commitment.native import flat
from vcompute.commitment.parameters import Schedule
from vcompute.commitment.verify import End, Root
from vcompute.field import Backend, Ext
from vcompute.field.backend import DIGEST_BYTES
from vcompute.proof.succinct.program.recorder import NotRecordable, Op, Recorder
from vcompute.proof.succinct.program.values import RecordedBytes, RecordedExt, RecordedVector, place
from vcompute.registry import ErrorCode
from vcompute.transcript import VerifierTranscript, absorbed_bytes, domain_tag

SQUEEZE: Final = 0


class RecordingTranscript(VerifierTranscript):
    """Messages become operations. Fixed bytes, known when it is recorded, are joined into one."""

    def __init__(self, protocol: str, recorder: Recorder) -> None:
        self.recorder = recorder
        self.messages: dict[int, str] = {}
        """For each comparison, by its place in the code, what it says when it fails."""
        self._pending = bytearray(domain_tag())
        self.absorb_bytes("protocol", protocol.encode())

    def _emit(self, op: Op, *operands: int) -> None:
        if self._pending:
            self.recorder.emit(Op.FEED, len(self._pending), self.recorder.bytes(bytes(self._pending)))
            self._pending.clear()
        self.recorder.emit(op, *operands)

    def _absorb(self, kind: int, label: str, data: bytes) -> None:
        if isinstance(data, RecordedBytes):
            if data.slot is None:
                raise NotRecordable("bytes from nowhere")
            self._emit(Op.ABSORB_SLOT, self.recorder.label(label), data.slot)
        else:
            self._pending += absorbed_bytes(kind, label, data)

    def absorb_ext(self, label: str, values: Sequence[Ext]) -> None:
        places = [place(self.recorder, value) for value in values]
        self._emit(Op.ABSORB_EXT, len(places), self.recorder.label(label), *places)

    def _squeeze(self, label: str) -> bytes:
        self._emit(Op.CHALLENGES, 0, self.recorder.label(label), 0)
        return b""

    def challenges(self, label: str, count: int) -> list[Ext]:
        at = self.recorder.take(count)
        self._emit(Op.CHALLENGES, count, self.recorder.label(label), at)
        return [RecordedExt(self.recorder, at + i) for i in range(count)]

    def challenge_positions(self, label: str, count: int, log_size: int) -> list[int]:
        raise NotRecordable("positions")

    def _receive(self, kind: int, label: str, length: int) -> bytes:
        raise NotRecordable(f"a message of type {kind}")

    def receive_bytes(self, label: str, length: int) -> bytes:
        self._emit(Op.RECEIVE_BYTES, length, self.recorder.label(label))
        return RecordedBytes()

    def receive_ext_array(self, label: str, count: int) -> Any:
        at = self.recorder.take(count)
        self._emit(Op.RECEIVE_EXT, count, self.recorder.label(label), at)
        return RecordedVector(self.recorder, at, count)

    def receive_ext(self, label: str, count: int) -> list[Ext]:
        received = self.receive_ext_array(label, count)
        return [received.element(index) for index in range(count)]

    def receive_digests(self, label: str, count: int) -> Any:
        if count != 1:
            raise NotRecordable("several digests at once")
        self._emit(Op.RECEIVE_DIGESTS, count, self.recorder.label(label), self.recorder.digests)
        self.recorder.digests += count
        return _Digest(self.recorder.digests - 1)

    def check_grind(self, label: str, bits: int) -> None:
        if bits:
            self._emit(Op.GRIND, self.recorder.label(label), bits)

    def require_equal(self, left: Ext, right: Ext, code: ErrorCode, message: str) -> None:
        self._emit(Op.REQUIRE_EQUAL, place(self.recorder, left), place(self.recorder, right), code)
        self.messages[len(self.recorder.code)] = message

    def require_nonzero(self, value: Ext, code: ErrorCode, message: str) -> None:
        self._emit(Op.REQUIRE_NONZERO, place(self.recorder, value), code)
        self.messages[len(self.recorder.code)] = message

    def hand_over(self) -> tuple[bytes, bytes]:
        raise NotRecordable("a hand-over")

    def remaining(self) -> int:
        raise NotRecordable("the number of bytes left")

    def finish(self) -> None:
        self._emit(Op.FINISH)

    def reduce_opening(
        self, _: VerifierTranscript, tables: Sequence[Root], running: Ext, plan: Schedule, __: Backend
    ) -> End:
        """See :func:`vcompute.commitment.verify.reduce_opening`: in C, one operation."""
        recorder = self.recorder
        length = plan.variables
        end, point = recorder.take(3), recorder.take(length)
        roots = [word for table in tables for word in self._root(table.digest)]
        words = flat(plan)
        self._emit(Op.OPENING, end, length, point, place(recorder, running), len(tables), *roots, len(words), *words)
        value, claim, weights = (RecordedExt(recorder, end + i) for i in range(3))
        return End(value, claim, weights, [RecordedExt(recorder, point + i) for i in range(length)])

    def _root(self, digest: bytes) -> tuple[int, int]:
        """Whether a root is received (else it is known), and where it stands."""
        if isinstance(digest, RecordedBytes):
            if digest.digest is None:
                raise NotRecordable("a root from nowhere")
            return 1, digest.digest
        if len(digest) != DIGEST_BYTES:
            raise NotRecordable("a root of another length")
        return 0, self.recorder.bytes(digest)


class _Digest:
    """A received digest, in place of an array of them."""

    def __init__(self, number: int) -> None:
        self._number = number

    def tobytes(self) -> bytes:
        result = RecordedBytes()
        result.digest = self._number
        return result
