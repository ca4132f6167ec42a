# SPDX-License-Identifier: Apache-2.0
"""Mutations that keep parsers interested: bytes, 32-bit words as FlatBuffers have them, CBOR trees."""

import struct
from collections.abc import Callable
from random import Random
from typing import Any

from vcompute.codec import Limits, Tagged, dumps, loads
from vcompute.errors import EncodingError

WORDS = (0, 1, 2, 3, 4, 8, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, 0xFFFFFFFC)
NUMBERS = (0, 1, -1, 2, 31, 32, 127, 128, -128, -129, 255, 256, 65535, 1 << 24, 2**31 - 1, 2**31, -(2**31), 2**63)
TREE_LIMITS = Limits(bytes=1 << 22, depth=24, items=1 << 14)


def flip(data: bytes, random: Random) -> bytes:
    """Some bits or bytes changed."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 1, 2, 4, 16))):
        position = random.randrange(len(out))
        out[position] = random.choice((out[position] ^ 1 << random.randrange(8), random.randrange(256), 0, 255))
    return bytes(out)


def resize(data: bytes, random: Random) -> bytes:
    """Cut short, or a piece removed, repeated or inserted."""
    start = random.randrange(len(data))
    end = min(len(data), start + random.choice((1, 2, 4, 8, 64, 1024)))
    piece = data[start:end]
    head, tail = data[:start], data[end:]
    return random.choice((head, head + tail, head + piece + piece + tail, head + b"\0\0" + piece + tail))


def word(data: bytes, random: Random) -> bytes:
    """A 16- or 32-bit word replaced: an offset, a size, a count."""
    out = bytearray(data)
    for _ in range(random.choice((1, 1, 2))):
        size, layout = random.choice(((4, "<I"), (4, "<I"), (2, "<H")))
        if len(out) < size:
            break
        position = random.randrange(len(out) - size + 1)
        position -= position % size
        near = struct.unpack_from(layout, out, position)[0] + random.choice((-8, -4, -1, 1, 4, 8))
        value = random.choice((random.choice(WORDS), near, random.randrange(len(out)))) % (1 << 8 * size)
        struct.pack_into(layout, out, position, value)
    return bytes(out)


def tree(data: bytes, random: Random) -> bytes:
    """One value of a CBOR tree replaced, repeated or removed, and the tree encoded again."""
    try:
        root: Any = loads(data, TREE_LIMITS)
    except EncodingError:
        return flip(data, random)
    places = list(_places(root))
    if not places:
        return flip(data, random)
    for _ in range(random.choice((1, 1, 2))):
        container, key = random.choice(places)
        _replace(container, key, random)
        places = list(_places(root))
        if not places:
            break
    try:
        return dumps(root)
    except (EncodingError, TypeError):
        return flip(data, random)


def _places(value: Any) -> list[tuple[Any, Any]]:
    """Every (container, key) below a value."""
    stack, found = [value], []
    while stack:
        current = stack.pop()
        if isinstance(current, Tagged):
            stack.append(current.value)
            continue
        keys: Any = current if isinstance(current, dict) else range(len(current)) if isinstance(current, list) else ()
        for key in keys:
            found.append((current, key))
            stack.append(current[key])
    return found


def _replace(container: Any, key: Any, random: Random) -> None:
    value = container[key]
    choice = random.randrange(8)
    if choice == 0 and isinstance(container, list):
        del container[key]
    elif choice == 1 and isinstance(container, list):
        container.insert(key, value)
    elif choice == 2:
        container[key] = random.choice((None, True, 0, b"", "", [], {}))
    elif isinstance(value, bool) or value is None:
        container[key] = not value
    elif isinstance(value, int):
        container[key] = random.choice((value + 1, value - 1, random.choice(NUMBERS), random.randrange(64)))
    elif isinstance(value, bytes):
        container[key] = tree(value, random) if value and random.random() < 0.5 else flip(value or b"\0", random)
    elif isinstance(value, list) and value:
        random.shuffle(value)
    elif isinstance(value, dict) and value:
        value[random.randrange(10)] = random.choice(NUMBERS)


MUTATIONS: tuple[Callable[[bytes, Random], bytes], ...] = (flip, resize, word, tree)


def mutate(data: bytes, random: Random) -> bytes:
    """One to four mutations."""
    for _ in range(random.choice((1, 1, 2, 4))):
        if not data:
            return b"\0"
        data = random.choice(MUTATIONS)(data, random)
    return data
