# SPDX-License-Identifier: Apache-2.0
"""The clock of a simulation, on simpy: processes are generators that yield how long they wait."""

from collections.abc import Generator
from typing import Any, TypeAlias

import simpy

Steps: TypeAlias = Generator[int, None, None]
"""A process; what it yields is a wait in milliseconds."""


class Clock:
    """Virtual time and what is to happen in it, in simpy's order."""

    def __init__(self) -> None:
        self._env = simpy.Environment()

    @property
    def now(self) -> int:
        """Milliseconds since the begin."""
        return int(self._env.now)

    def process(self, steps: Steps) -> None:
        """Begin a process now, once whoever asks for it waits."""
        self._env.process(self._drive(steps))

    def _drive(self, steps: Steps) -> Generator[simpy.Event, Any, None]:
        timeout = self._env.timeout
        for wait in steps:
            yield timeout(wait)

    def run(self, until: int) -> None:
        """Let time pass; what is due at ``until`` is left."""
        self._env.run(until=until)
