# SPDX-License-Identifier: Apache-2.0
"""Messages waiting for a party that fetches them."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode

MAX_WAITING: Final = 1024
MAX_BYTES: Final = 1 << 20
"""Messages kept for a party, and their bytes; the oldest goes first, sessions send again what matters."""
MAX_BOXES: Final = 1 << 17
MAX_TOTAL: Final = 1 << 28
"""Mailboxes of a coordinator, and bytes in all of them; the box used longest ago goes first."""


class Mailbox:
    """A queue that is read by rising sequence numbers; the same number again gives the same message again."""

    def __init__(self, count: Callable[[int], None] = lambda _: None) -> None:
        """``count`` hears by how many bytes what waits has grown or shrunk."""
        self._count = count
        self._waiting: OrderedDict[bytes, None] = OrderedDict()
        self._size = 0
        self._arrived = asyncio.Event()
        self._sequence = 0
        self._last: bytes | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes) -> None:
        """Add a message, unless the same is waiting."""
        if data not in self._waiting:
            self._add(data)
            while len(self._waiting) > MAX_WAITING or self._size > MAX_BYTES:
                self._take()
        self._arrived.set()

    def _add(self, data: bytes) -> None:
        self._waiting[data] = None
        self._size += len(data)
        self._count(len(data))

    def _take(self) -> bytes:
        data, _ = self._waiting.popitem(last=False)
        self._size -= len(data)
        self._count(-len(data))
        return data

    def drop(self) -> None:
        """Forget what waits."""
        while self._waiting:
            self._take()

    def restart(self) -> None:
        """A new session: what was given and not acknowledged waits again."""
        if self._last is not None and self._last not in self._waiting:
            self._add(self._last)
            self._waiting.move_to_end(self._last, last=False)
        self._sequence, self._last = 0, None

    async def fetch(self, sequence: int, wait: int) -> bytes | None:
        """The message of a number; None where none came within ``wait`` milliseconds.

        Raises:
            ProtocolError: ``unexpected_message``: the number is one of the past.
        """
        if sequence < self._sequence:
            raise ProtocolError(
                "this message was fetched and acknowledged",
                code=ErrorCode.UNEXPECTED_MESSAGE,
                expected=f">= {self._sequence}",
                got=sequence,
            )
        if sequence > self._sequence:
            self._sequence, self._last = sequence, None
        if self._last is None and not self._waiting:
            self._arrived.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(wait / 1000):
                    await self._arrived.wait()
        if self._sequence == sequence and self._last is None and self._waiting:
            self._last = self._take()
        return self._last if self._sequence == sequence else None


class Mailboxes:
    """Mailboxes by party, in bounded memory."""

    def __init__(self, boxes: int = MAX_BOXES, total: int = MAX_TOTAL) -> None:
        self._boxes: OrderedDict[bytes, Mailbox] = OrderedDict()
        self._most = boxes
        self._total = total
        self.size = 0
        """Bytes that wait in all of them."""

    def __len__(self) -> int:
        return len(self._boxes)

    def of(self, party: bytes) -> Mailbox:
        """A party's mailbox; it may cost another party its own, whose sessions then send again."""
        box = self._boxes.get(party)
        if box is None:
            box = self._boxes[party] = Mailbox(self._count)
        self._boxes.move_to_end(party)
        return box

    def put(self, party: bytes, data: bytes) -> None:
        """Add a message to a party's mailbox."""
        self.of(party).put(data)
        while len(self._boxes) > self._most or self.size > self._total:
            self._boxes.popitem(last=False)[1].drop()

    def _count(self, size: int) -> None:
        self.size += size
