# SPDX-License-Identifier: Apache-2.0
"""A record in the hands of the native core (``native/src/program.c``)."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from vcompute import _native
from vcompute.proof.succinct.program.recorder import IntArray, NotRecordable, Recorder, joined


@dataclass(frozen=True, eq=False)
class Program:
    """A recorded instance, and the memory of runs that have ended."""

    code: Any
    """The C structure; it points into ``arrays``."""
    arrays: tuple[object, ...]
    slots: tuple[tuple[object, ...], ...]
    """What a run is given, in order."""
    fixed: Mapping[tuple[object, ...], IntArray]
    """What the model gives."""
    messages: Mapping[int, str]
    elements: int
    digests: int
    scratch: int
    spare: list[Any] = field(default_factory=list)


def load(recorder: Recorder, messages: Mapping[int, str]) -> Program:
    """Hand a record to the core, which checks it."""
    ffi, lib = _native.ffi, _native.lib
    places, values = recorder.initial()
    base = joined(recorder.base)
    sizes = np.array(recorder.slot_bytes, np.uint64)
    blob = bytes(recorder.blob)
    arrays = [
        ffi.from_buffer("uint32_t[]", recorder.code), ffi.from_buffer("uint8_t[]", blob),
        *(ffi.from_buffer("uint64_t[]", array) for array in (base, places, values, sizes)),
    ]  # fmt: skip
    code = ffi.new("vc_program *", (
        *arrays, len(recorder.code), len(blob), base.size, places.size, sizes.size, recorder.size, recorder.digests,
    ))  # fmt: skip
    scratch = ffi.new("size_t *")
    if lib.vc_program_check(code, scratch):
        raise NotRecordable("a record that leaves its memory")
    return Program(
        code, (arrays, recorder.code, blob, base, places, values, sizes), tuple(recorder.slots), recorder.fixed,
        messages, recorder.size, recorder.digests, scratch[0],
    )  # fmt: skip
