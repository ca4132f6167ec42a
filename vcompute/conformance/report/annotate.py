# SPDX-License-Identifier: Apache-2.0
"""Bytes for people: data items one a line with offset and meaning, and hex dumps with the first difference marked."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

MAX_LINES: Final = 200
ROW: Final = 16


@dataclass(frozen=True, slots=True)
class Line:
    """One line of an annotated encoding."""

    offset: int
    depth: int
    data: bytes
    text: str
    wrong: bool = False


class _Stop(Exception):
    """The bytes cannot be read further."""


def annotate(data: bytes) -> list[Line]:
    """The items of an encoding, read leniently; the last line says where and why reading ended early."""
    lines: list[Line] = []
    position = 0
    try:
        for line in _item(data, 0, 0):
            lines.append(line)
            position = line.offset + len(line.data)
            if len(lines) >= MAX_LINES:
                lines.append(Line(position, 0, b"", "and so on"))
                return lines
        if position < len(data):
            lines.append(Line(position, 0, data[position : position + ROW], "bytes after the item", wrong=True))
    except _Stop as stop:
        position = lines[-1].offset + len(lines[-1].data) if lines else 0
        lines.append(Line(position, 0, data[position : position + ROW], str(stop), wrong=True))
    return lines


def _item(data: bytes, offset: int, depth: int) -> Iterator[Line]:  # noqa: PLR0912 - one branch for each major type
    if depth > 32:
        raise _Stop("nested too deeply to show")
    if offset >= len(data):
        raise _Stop("the input ends here; an item is missing")
    initial = data[offset]
    major, info = initial >> 5, initial & 31
    if info > 27:
        raise _Stop("an indefinite or reserved length")
    size = 0 if info < 24 else 1 << (info - 24)
    head = data[offset : offset + 1 + size]
    if len(head) < 1 + size:
        raise _Stop("the input ends inside a head")
    value = info if not size else int.from_bytes(head[1:], "big")
    short = size and value < (24 if size == 1 else 1 << (4 * size))
    note = " (not in the shortest form)" if short and major != 7 else ""
    after = offset + len(head)
    match major:
        case 0:
            yield Line(offset, depth, head, f"{value}{note}", bool(note))
        case 1:
            yield Line(offset, depth, head, f"{-1 - value}{note}", bool(note))
        case 2 | 3:
            kind = "bytes" if major == 2 else "text"
            content = data[after : after + min(value, len(data))]
            shown = f" {content[:40].decode('utf-8', 'replace')!r}" if major == 3 else ""
            yield Line(offset, depth, head + content, f"{kind}, {value}{shown}{note}", bool(note))
            if len(content) < value:
                raise _Stop(f"the input ends inside the {kind}")
        case 4 | 5:
            yield Line(offset, depth, head, f"{'array' if major == 4 else 'map'}, {value} entries{note}", bool(note))
            position = after
            for _ in range(min(value, 1 << 16) * (major - 3)):
                for line in _item(data, position, depth + 1):
                    yield line
                    position = max(position, line.offset + len(line.data))
        case 6:
            yield Line(offset, depth, head, f"tag {value}{note}", bool(note) or value != 18)
            yield from _item(data, after, depth + 1)
        case _:
            names = {20: "false", 21: "true", 22: "null"}
            yield Line(offset, depth, head, names.get(value, "a float or simple value"), value not in names or size > 0)


def first_difference(left: bytes, right: bytes) -> int | None:
    """Offset of the first byte that differs, or None where they are equal."""
    for offset, (a, b) in enumerate(zip(left, right, strict=False)):
        if a != b:
            return offset
    return None if len(left) == len(right) else min(len(left), len(right))


def rows_around(data: bytes, offset: int, context: int = 3) -> Iterator[tuple[int, bytes]]:
    """Rows of a hex dump near an offset."""
    first = max(0, offset // ROW - context)
    for row in range(first, min(first + 2 * context + 1, -(-len(data) // ROW))):
        yield row * ROW, data[row * ROW : (row + 1) * ROW]
