# SPDX-License-Identifier: Apache-2.0
"""Timers on a clock that the caller reads: one time for each name, the earliest first."""

import heapq
from collections.abc import Hashable
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)

FIRST_RESEND: Final = 1_000
"""Milliseconds until an unanswered message is sent again; each time twice as long."""
LAST_RESEND: Final = 30_000
"""The longest wait between two sendings."""


def resend_after(tries: int) -> int:
    """The wait before sending number ``tries`` + 1: doubling, bounded."""
    return min(FIRST_RESEND << min(tries, 10), LAST_RESEND)


class Timers(Generic[K]):
    """At most one time for each key; setting it again replaces it."""

    def __init__(self) -> None:
        self._heap: list[tuple[int, int, K]] = []
        self._times: dict[K, int] = {}
        self._count = 0

    def set(self, key: K, time: int | None) -> None:
        """Fire ``key`` at ``time``, or not at all."""
        if time is None:
            self._times.pop(key, None)
        elif self._times.get(key) != time:
            self._times[key] = time
            self._count += 1
            heapq.heappush(self._heap, (time, self._count, key))
            if len(self._heap) > 2 * len(self._times) + 64:
                self._compact()

    def _compact(self) -> None:
        """Drop what was replaced: the heap stays as small as the times that stand."""
        self._heap = [item for item in self._heap if self._times.get(item[2]) == item[0]]
        heapq.heapify(self._heap)

    def next(self) -> int | None:
        """The earliest time set."""
        while self._heap and self._times.get(self._heap[0][2]) != self._heap[0][0]:
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def due(self, now: int) -> list[K]:
        """The keys whose time has come, each once, unset from here on."""
        fired = []
        while (time := self.next()) is not None and time <= now:
            key = heapq.heappop(self._heap)[2]
            del self._times[key]
            fired.append(key)
        return fired
