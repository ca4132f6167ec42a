# SPDX-License-Identifier: Apache-2.0
"""A guard over HTTP connections: who sends slowly, reads slowly or opens too many holds nothing for long."""

import asyncio
from typing import Any, ClassVar, Final

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

MAX_CONNECTIONS: Final = 1 << 14
MAX_HEADERS: Final = 1 << 14
"""Bytes of a request's head."""


class GuardedProtocol(H11Protocol):
    """One connection. At every tick it is closed unless since the last one a request came whole, or an answer to one is
    on its way, and that for no more than ``PATIENCE`` ticks: a Fetch waits a minute at most."""

    TICK: ClassVar[float] = 30.0
    """Seconds."""
    PATIENCE: ClassVar[int] = 4
    most: ClassVar[int] = MAX_CONNECTIONS

    _timer: asyncio.TimerHandle | None = None
    _seen: Any = None
    _ticks: int = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Take a connection, or close it where there are too many."""
        super().connection_made(transport)
        if len(self.connections) > self.most:
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection is gone."""
        if self._timer is not None:
            self._timer.cancel()
        super().connection_lost(exc)

    def _arm(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(self.TICK, self._tick)

    def _tick(self) -> None:
        whole = self.conn.their_state is not h11.SEND_BODY
        if self.cycle is not self._seen and whole:
            self._seen, self._ticks = self.cycle, 0
        elif self._seen is not None and not self._seen.response_complete and self._ticks < self.PATIENCE:
            self._ticks += 1
        else:
            self.transport.abort()
            return
        self._arm()
