# SPDX-License-Identifier: Apache-2.0
"""Operations as words for the native core (``native/src/program.c``), each distinct value computed once."""

from array import array
from collections.abc import Sequence
from enum import IntEnum, unique
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcompute.field import Ext, ExtWords, Words

Key = tuple[object, ...]
IntArray = npt.NDArray[Any]

MOST_ELEMENTS: Final = 1 << 28
"""Elements a program may work on: 4 GiB."""


class NotRecordable(Exception):
    """The verifier looks into a value that is not yet known, or uses an operation that programs do not have."""


@unique
class Op(IntEnum):
    """What the core can do; the operands of each stand in ``native/src/program.c``."""

    FEED = 1
    ABSORB_SLOT = 2
    RECEIVE_BYTES = 3
    RECEIVE_EXT = 4
    RECEIVE_DIGESTS = 5
    GRIND = 6
    CHALLENGES = 7
    ABSORB_EXT = 8
    REQUIRE_EQUAL = 9
    REQUIRE_NONZERO = 10
    FINISH = 11
    ADD = 12
    SUB = 13
    MUL = 14
    INVERSE = 15
    EQ = 16
    MUL_EACH = 17
    ADD_EACH = 18
    SUB_EACH = 19
    SCALE = 20
    OUTER = 21
    DOT = 22
    SUM = 23
    REPEAT = 24
    COPY = 25
    WINDOW = 26
    MUL_BASE = 27
    DOT_BASE = 28
    PROJECT = 29
    OPENING = 30


class Recorder:
    """A program under construction. Memory is an array of extension elements, every cell written once."""

    def __init__(self) -> None:
        self.code = array("I")
        self.blob = bytearray()
        self.base: list[Words] = []
        self.size = 0
        """Elements of memory."""
        self.digests = 0
        """Digests received."""
        self.slots: dict[Key, int] = {}
        """Arrays given at run time or by the model, by what they are."""
        self.slot_bytes: list[int] = []
        self.fixed: dict[Key, IntArray] = {}
        """Those that the model gives."""
        self.scalars: dict[tuple[int, tuple[int, ...]], object] = {}
        """Results of one element, by operation and operands."""
        self._base_size = 0
        self._constants: dict[tuple[int, int], int] = {}
        self._arrays: list[tuple[int, ExtWords]] = []
        self._known: dict[Key, int] = {}
        self._labels: dict[str, int] = {}
        self._held: list[object] = []

    def take(self, count: int) -> int:
        """The place of ``count`` new elements."""
        at = self.size
        self.size += count
        if self.size > MOST_ELEMENTS:
            raise NotRecordable(f"a program of more than {MOST_ELEMENTS} elements")
        return at

    def emit(self, op: Op, *operands: int) -> None:
        """Append an operation."""
        self.code.append(op)
        self.code.extend(operands)

    def once(self, op: Op, count: int, before: tuple[int, ...], after: tuple[int, ...]) -> int:
        """The place of an operation's ``count`` results; the same operation is done once.

        ``before`` and ``after`` are the operands around the result's.
        """
        key = (op, before, after)
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self.take(count)
            self.emit(op, *before, found, *after)
        return found

    def constant(self, value: Ext) -> int:
        """The place of a known element."""
        key = (value.c0, value.c1)
        found = self._constants.get(key)
        if found is None:
            found = self._constants[key] = self.take(1)
        return found

    def vector(self, values: ExtWords) -> int:
        """The place of a known vector (n, 2)."""
        key = ("vector", values.tobytes())
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self.take(values.shape[0])
            self._arrays.append((found, values))
        return found

    def words(self, values: Words) -> int:
        """The place of known base elements; an array is told apart by what it is, not by what it holds."""
        key = ("words", id(values))
        found = self._known.get(key)
        if found is None:
            found = self._known[key] = self._base_size
            self._held.append(values)
            self.base.append(values)
            self._base_size += values.size
        return found

    def label(self, text: str) -> int:
        """The place of a label in the blob."""
        if text not in self._labels:
            self._labels[text] = len(self.blob)
            self.blob += text.encode() + b"\x00"
        return self._labels[text]

    def bytes(self, data: bytes) -> int:
        """The place of known bytes in the blob."""
        at = len(self.blob)
        self.blob += data
        return at

    def slot(self, key: Key, size: int) -> int:
        """The number of an array of ``size`` bytes (0: any) that a run is given."""
        if key not in self.slots:
            self.slots[key] = len(self.slots)
            self.slot_bytes.append(size)
        return self.slots[key]

    def tensor(self, values: IntArray) -> int:
        """The slot of a known integer tensor, told apart by what it is."""
        key = ("tensor", id(values))
        self.fixed[key] = values
        return self.slot(key, values.nbytes)

    def initial(self) -> tuple[Words, ExtWords]:
        """Places and values of all known elements."""
        places = [np.fromiter(self._constants.values(), np.uint64, len(self._constants))]
        values: list[ExtWords] = [np.array(list(self._constants), np.uint64).reshape(-1, 2)]
        for at, vector in self._arrays:
            places.append(np.arange(at, at + vector.shape[0], dtype=np.uint64))
            values.append(vector)
        return np.concatenate(places), np.concatenate(values)


def joined(arrays: Sequence[Words]) -> Words:
    """Base elements one array after the other."""
    return np.concatenate([np.zeros(0, np.uint64), *(np.ascontiguousarray(array).reshape(-1) for array in arrays)])
