# SPDX-License-Identifier: Apache-2.0
"""A session's records in bounded memory: those under way and the last closed ones; others are read back when asked for.

Every record that leaves memory was stored by the driver before: it leaves at a tick, and a driver acts on all actions
of earlier steps before it ticks.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator
from typing import Final, Generic, TypeVar

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode

R = TypeVar("R")

MAX_CLOSED: Final = 1 << 10
"""Closed records kept in memory, for answers to whoever asks again."""
MAX_UNDER_WAY: Final = 1 << 12
"""Records under way that a worker or verifier lets others begin."""
BUSY_FOR: Final = 10_000
"""Milliseconds after which whoever found no place may try again."""


class Shelf(Generic[R]):
    """Records by the name of what they are about."""

    def __init__(
        self, closed: Callable[[R], bool], recall: Callable[[bytes], R | None], limit: int = MAX_CLOSED
    ) -> None:
        """``closed`` says whether a record is over; ``recall`` reads a stored record that is not in memory, or gives
        None; ``limit`` closed ones stay in memory."""
        self._is_closed = closed
        self._recall = recall
        self._limit = limit
        self._open: dict[bytes, R] = {}
        self._closed: OrderedDict[bytes, R] = OrderedDict()

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def __contains__(self, name: object) -> bool:
        return isinstance(name, bytes) and self.get(name) is not None

    def get(self, name: bytes) -> R | None:
        """The record of this name; None where none is known."""
        return self._open.get(name) or self._closed.get(name) or self._recall(name)

    def __getitem__(self, name: bytes) -> R:
        record = self.get(name)
        if record is None:
            raise ProtocolError("no task of this name", code=ErrorCode.UNKNOWN_TASK, got=name.hex())
        return record

    def __setitem__(self, name: bytes, record: R) -> None:
        self._open.pop(name, None)
        self._closed.pop(name, None)
        (self._closed if self._is_closed(record) else self._open)[name] = record

    def __iter__(self) -> Iterator[bytes]:
        yield from self._open
        yield from self._closed

    @property
    def under_way(self) -> list[R]:
        """The records that are not closed."""
        return list(self._open.values())

    def values(self) -> Iterator[R]:
        """The records in memory."""
        yield from self._open.values()
        yield from self._closed.values()

    def items(self) -> Iterator[tuple[bytes, R]]:
        """The records in memory by name."""
        yield from self._open.items()
        yield from self._closed.items()

    def require_place(self, limit: int = MAX_UNDER_WAY) -> None:
        """Refuse one more record under way where there are ``limit``.

        Raises:
            ProtocolError: ``busy``.
        """
        if len(self._open) >= limit:
            raise ProtocolError("too much is under way", code=ErrorCode.BUSY, retry_after=BUSY_FOR)

    def trim(self) -> None:
        """Let the oldest closed records go, as far as they are too many."""
        while len(self._closed) > self._limit:
            self._closed.popitem(last=False)
