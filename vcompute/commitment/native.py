# SPDX-License-Identifier: Apache-2.0
"""The native twin of :func:`vcompute.commitment.verify.reduce_opening`: the same verdict and the same code."""

from collections.abc import Sequence

import numpy as np

from vcompute import _native
from vcompute.commitment.parameters import Schedule
from vcompute.commitment.verify import End, Root
from vcompute.errors import Rejected
from vcompute.field.backend import Backend
from vcompute.field.scalar import Ext, from_array, to_array
from vcompute.registry import ErrorCode
from vcompute.transcript import VerifierTranscript

_MESSAGES = {
    ErrorCode.NONCANONICAL_ELEMENT: "a field element is not below p",
    ErrorCode.TRUNCATED_PROOF: "the proof ends before its last message",
    ErrorCode.GRINDING: "a nonce does not do its work",
    ErrorCode.MERKLE_PATH: "opened rows do not hash to the committed root",
    ErrorCode.QUERY_CONSISTENCY: "an opened leaf disagrees with the final polynomial",
}


def reduce_opening(
    transcript: VerifierTranscript, tables: Sequence[Root], running: Ext, plan: Schedule, backend: Backend
) -> End:
    """See the twin; the backend is not used.

    Raises:
        Rejected: with the code of the first check that failed.
    """
    ffi, lib = _native.ffi, _native.lib
    words = np.array(flat(plan), dtype=np.uint32)
    layout = ffi.from_buffer("uint32_t[]", words)
    seed, proof = transcript.hand_over()
    state, consumed = ffi.new("uint8_t[]", seed), ffi.new("size_t *")
    end = np.empty((3, 2), dtype=np.uint64)
    point = np.empty((plan.variables, 2), dtype=np.uint64)
    scratch = np.empty(lib.vc_check_opening_scratch(layout), dtype=np.uint64)
    status = lib.vc_check_opening(
        ffi.from_buffer("uint64_t[]", end),
        ffi.from_buffer("uint64_t[]", point),
        consumed,
        state,
        ffi.from_buffer("uint8_t[]", proof),
        len(proof),
        ffi.from_buffer("uint64_t[]", to_array([running])),
        layout,
        b"".join(table.digest for table in tables),
        ffi.from_buffer("uint64_t[]", scratch),
    )
    if status:
        code = ErrorCode(status)
        raise Rejected(_MESSAGES[code], code=code)
    transcript.take_back(bytes(ffi.buffer(state, len(seed))), consumed[0])
    value, claim, weights = from_array(end)
    return End(value, claim, weights, from_array(point))


def flat(plan: Schedule) -> list[int]:
    """The schedule as the C side reads it."""
    words = [len(plan.rounds)]
    for step in plan.rounds:
        last = int(step.next_shape is None)
        words += [
            len(step.oracles), step.fold, step.next_variables, last, step.fold_grinding, step.query_grinding,
        ]  # fmt: skip
        for oracle in step.oracles:
            shape = oracle.shape
            words += [shape.lane_variables, shape.lanes, oracle.log_domain, oracle.queries, oracle.offset]
    return words
