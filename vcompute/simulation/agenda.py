# SPDX-License-Identifier: Apache-2.0
"""The clock of a simulation: processes are generators that yield how long they wait.

The order is that of simpy, against which the tests run the same market: by time, a process that begins before one that
goes on, and otherwise who asked first.
"""

import heapq
from collections.abc import Generator
from typing import Final, TypeAlias

Steps: TypeAlias = Generator[int, None, None]
"""A process; what it yields is a wait in milliseconds."""
_BEGINS: Final = 0
_GOES_ON: Final = 1


class Agenda:
    """What is to happen, the earliest first."""

    def __init__(self) -> None:
        self.now = 0
        self._count = 0
        self._heap: list[tuple[int, int, int, Steps]] = []

    def process(self, steps: Steps) -> None:
        """Begin a process now, once whoever asks for it waits."""
        self._count += 1
        heapq.heappush(self._heap, (self.now, _BEGINS, self._count, steps))

    def run(self, until: int) -> None:
        """Let time pass; what is due at ``until`` is left."""
        heap, pop, push = self._heap, heapq.heappop, heapq.heappush
        while heap and heap[0][0] < until:
            self.now, _, _, steps = pop(heap)
            for wait in steps:
                self._count += 1
                push(heap, (self.now + wait, _GOES_ON, self._count, steps))
                break
        self.now = until
