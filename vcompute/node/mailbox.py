# SPDX-License-Identifier: Apache-2.0
"""Messages waiting for a party that fetches them."""

import asyncio
from collections import deque
from contextlib import suppress
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode

MAX_WAITING: Final = 1024
"""Messages kept for a party; the oldest goes first, sessions send again what matters."""


class Mailbox:
    """A queue that is read by rising sequence numbers; the same number again gives the same message again."""

    def __init__(self) -> None:
        self._waiting: deque[bytes] = deque(maxlen=MAX_WAITING)
        self._arrived = asyncio.Event()
        self._sequence = 0
        self._last: bytes | None = None

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, data: bytes) -> None:
        """Add a message, unless the same is waiting."""
        if data not in self._waiting:
            self._waiting.append(data)
        self._arrived.set()

    def restart(self) -> None:
        """A new session: what was given and not acknowledged waits again."""
        if self._last is not None:
            self._waiting.appendleft(self._last)
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
            self._last = self._waiting.popleft()
        return self._last if self._sequence == sequence else None
