# SPDX-License-Identifier: Apache-2.0
"""A reader of FlatBuffers that trusts nothing: every offset, size and count is checked before it is used.

Objects refer forwards only (offsets are unsigned and not zero), so a walk along references always ends. References
may share their targets, which can make a small file describe much more than its size; what is read is therefore
charged to an allowance proportional to the file.

Source: the FlatBuffers binary format, https://flatbuffers.dev/internals/ (tables, vtables, vectors, strings).
"""

import struct
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from vcompute.errors import ImportFailed

ALLOWANCE: Final = 4
"""How many bytes may be read for each byte of the file: objects are shared seldom and little by honest writers."""
_ALLOWANCE_FLOOR: Final = 1 << 16

_U8: Final = struct.Struct("<B")
_I8: Final = struct.Struct("<b")
_U16: Final = struct.Struct("<H")
_I32: Final = struct.Struct("<i")
_U32: Final = struct.Struct("<I")
_U64: Final = struct.Struct("<Q")
_F32: Final = struct.Struct("<f")


@dataclass(slots=True)
class Reader:
    """One file under inspection."""

    data: bytes
    allowance: int = field(init=False)

    def __post_init__(self) -> None:
        self.allowance = ALLOWANCE * len(self.data) + _ALLOWANCE_FLOOR

    def charge(self, size: int) -> None:
        """Spend ``size`` bytes of the allowance.

        Raises:
            ImportFailed: the file describes far more than it holds.
        """
        self.allowance -= size
        if self.allowance < 0:
            raise ImportFailed(
                "the file asks for far more than its size explains: content referred to too often",
                got=f"{len(self.data)} bytes",
            )

    def unpack(self, layout: struct.Struct, position: int) -> Any:
        """One number at ``position``."""
        if not 0 <= position <= len(self.data) - layout.size:
            raise ImportFailed(
                "a FlatBuffers offset points outside the file", expected=f"< {len(self.data)}", got=position
            )
        return layout.unpack_from(self.data, position)[0]

    def follow(self, position: int) -> int:
        """Where the forward reference at ``position`` points."""
        offset: int = self.unpack(_U32, position)
        if offset == 0:
            raise ImportFailed(f"a FlatBuffers reference at byte {position} points at itself")
        return position + offset

    def root(self, identifier: bytes) -> "Table":
        """The root table of a file with this identifier."""
        if self.data[4:8] != identifier:
            raise ImportFailed("not a file of this kind", expected=identifier, got=self.data[4:8])
        return self.table(self.follow(0))

    def table(self, position: int) -> "Table":
        """The table at ``position``, its vtable checked."""
        vtable = position - self.unpack(_I32, position)
        vtable_size, size = self.unpack(_U16, vtable), self.unpack(_U16, vtable + 2)
        if vtable_size < 4 or vtable_size % 2 or vtable + vtable_size > len(self.data):
            raise ImportFailed(f"a FlatBuffers vtable at byte {vtable} has a wrong size", got=vtable_size)
        if size < 4 or position + size > len(self.data):
            raise ImportFailed(f"a FlatBuffers table at byte {position} has a wrong size", got=size)
        self.charge(size)
        return Table(self, position, size, vtable, vtable_size)

    def vector(self, position: int, item_size: int) -> tuple[int, int]:
        """Start and count of the vector at ``position``, its whole extent inside the file."""
        count: int = self.unpack(_U32, position)
        if count * item_size > len(self.data) - position - 4:
            raise ImportFailed(
                f"a FlatBuffers vector at byte {position} reaches outside the file",
                expected=f"at most {(len(self.data) - position - 4) // item_size} items",
                got=count,
            )
        self.charge(4 + count * item_size)
        return position + 4, count


@dataclass(frozen=True, slots=True)
class Table:
    """A table: its fields by the ids of the schema. An absent field has its schema's default."""

    reader: Reader
    position: int
    size: int
    vtable: int
    vtable_size: int

    def _locate(self, field_id: int, size: int) -> int | None:
        """Where field ``field_id`` of ``size`` bytes stands, or None where it is absent."""
        entry = 4 + 2 * field_id
        if entry + 2 > self.vtable_size:
            return None
        offset: int = self.reader.unpack(_U16, self.vtable + entry)
        if offset == 0:
            return None
        if offset < 4 or offset + size > self.size:
            raise ImportFailed(f"a field of the FlatBuffers table at byte {self.position} lies outside it", got=offset)
        return self.position + offset

    def _number(self, field_id: int, layout: struct.Struct, default: int) -> int:
        position = self._locate(field_id, layout.size)
        return default if position is None else int(self.reader.unpack(layout, position))

    def int8(self, field_id: int, default: int = 0) -> int:
        """A signed byte."""
        return self._number(field_id, _I8, default)

    def uint8(self, field_id: int, default: int = 0) -> int:
        """An unsigned byte: an enumeration or the type of a union."""
        return self._number(field_id, _U8, default)

    def boolean(self, field_id: int, default: bool = False) -> bool:
        """A truth value."""
        return self._number(field_id, _U8, int(default)) != 0

    def int32(self, field_id: int, default: int = 0) -> int:
        """A signed 32-bit integer."""
        return self._number(field_id, _I32, default)

    def uint32(self, field_id: int, default: int = 0) -> int:
        """An unsigned 32-bit integer."""
        return self._number(field_id, _U32, default)

    def uint64(self, field_id: int, default: int = 0) -> int:
        """An unsigned 64-bit integer."""
        return self._number(field_id, _U64, default)

    def float32(self, field_id: int, default: float = 0.0) -> float:
        """A binary32 number."""
        position = self._locate(field_id, _F32.size)
        return default if position is None else float(self.reader.unpack(_F32, position))

    def table(self, field_id: int) -> "Table | None":
        """A sub-table."""
        position = self._locate(field_id, 4)
        return None if position is None else self.reader.table(self.reader.follow(position))

    def tables(self, field_id: int, most: int) -> list["Table"]:
        """A vector of tables, refused before any is read where it has more than ``most``."""
        position = self._locate(field_id, 4)
        if position is None:
            return []
        start, count = self.reader.vector(self.reader.follow(position), 4)
        if count > most:
            raise ImportFailed("a FlatBuffers vector of tables is too long", expected=f"<= {most}", got=count)
        return [self.reader.table(self.reader.follow(start + 4 * index)) for index in range(count)]

    def numbers(self, field_id: int, dtype: npt.DTypeLike) -> npt.NDArray[Any] | None:
        """A vector of numbers as a read-only view into the file."""
        position = self._locate(field_id, 4)
        if position is None:
            return None
        item = np.dtype(dtype)
        start, count = self.reader.vector(self.reader.follow(position), item.itemsize)
        return np.frombuffer(self.reader.data, item, count, start)

    def text(self, field_id: int) -> str:
        """A string, for people: bytes that are not UTF-8 are replaced."""
        raw = self.numbers(field_id, "u1")
        return "" if raw is None else raw.tobytes().decode("utf-8", "replace")
