# SPDX-License-Identifier: Apache-2.0
"""Messages that a coordinator takes in batches: one transaction of each database serves all of a batch."""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Any, Final

from vcompute.errors import ProtocolError
from vcompute.messages import Message, Signed
from vcompute.registry import ErrorCode

BATCH: Final = 512
"""Messages of one batch at most, so that nobody waits long for the batch's end."""
MAX_WAITING: Final = 1 << 14
"""Messages that wait for a batch; more are refused as ``rate_limited``."""
RETRY_AFTER: Final = 100


@dataclass(frozen=True, slots=True, eq=False)
class Delivery:
    """A message and whoever waits for its answer."""

    message: Signed[Message]
    answer: asyncio.Future[bytes | None]

    def done(self, answer: bytes | None) -> None:
        """The message was taken and everything it caused is stored."""
        if not self.answer.done():
            self.answer.set_result(answer)

    def refuse(self, error: Exception) -> None:
        """The message was refused."""
        if not self.answer.done():
            self.answer.set_exception(error)


class Inbox:
    """Deliveries in the order they came."""

    def __init__(self) -> None:
        self._waiting: deque[Delivery] = deque()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, message: Signed[Message]) -> asyncio.Future[bytes | None]:
        """Add a message; await the result for its answer.

        Raises:
            ProtocolError: ``rate_limited`` where too many wait, ``transport_failed`` after :meth:`close`.
        """
        if self._closed:
            raise ProtocolError("the coordinator has stopped", code=ErrorCode.TRANSPORT_FAILED)
        if len(self._waiting) >= MAX_WAITING:
            raise ProtocolError("too many messages", code=ErrorCode.RATE_LIMITED, retry_after=RETRY_AFTER)
        answer: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._waiting.append(Delivery(message, answer))
        return answer

    def take(self) -> list[Delivery]:
        """The next batch, of at most one message about any one task: the second waits for what the first causes."""
        batch: list[Delivery] = []
        later: list[Delivery] = []
        subjects: set[bytes] = set()
        while self._waiting and len(batch) < BATCH:
            delivery = self._waiting.popleft()
            name = subject(delivery.message)
            (later if name in subjects else batch).append(delivery)
            subjects.add(name)
        self._waiting.extendleft(reversed(later))
        return batch

    def close(self) -> None:
        """Take no more, and tell all who wait that nothing will come."""
        self._closed = True
        while self._waiting:
            self._waiting.popleft().refuse(
                ProtocolError("the coordinator has stopped", code=ErrorCode.TRANSPORT_FAILED)
            )


def subject(message: Signed[Message]) -> bytes:
    """What a message is about: its task, for records of a draw the result, else the message itself."""
    body: Any = message.body
    name = getattr(body, "task", None) or getattr(body, "result", None)
    return name if isinstance(name, bytes) else message.digest
