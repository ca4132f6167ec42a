# SPDX-License-Identifier: Apache-2.0
"""A coordinator's tasks in bounded memory: open ones and the last closed ones; others are read back when asked for.

Every record that leaves memory was stored by the driver before: it leaves at a tick, and a driver acts on all actions
of earlier steps before it ticks.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterator
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode
from vcompute.session.coordinator_table import TASK_TABLE, TaskRecord

MAX_OPEN: Final = 1 << 17
"""Open tasks of a coordinator."""
MAX_OPEN_OF_ONE: Final = 1 << 13
"""Open tasks of one requester."""
MAX_CLOSED: Final = 1 << 10
"""Closed tasks kept in memory, for answers to whoever asks again."""
BUSY_FOR: Final = 10_000
"""Milliseconds after which a requester with too many open tasks may try again."""


class Shelf:
    """Records by task. ``recall`` reads a stored record that is not in memory, or gives None."""

    def __init__(self, recall: Callable[[bytes], TaskRecord | None], closed: int = MAX_CLOSED) -> None:
        self._recall = recall
        self._limit = closed
        self._open: dict[bytes, TaskRecord] = {}
        self._closed: OrderedDict[bytes, TaskRecord] = OrderedDict()
        self._of: Counter[bytes] = Counter()

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def __contains__(self, task: object) -> bool:
        return isinstance(task, bytes) and self.get(task) is not None

    def get(self, task: bytes) -> TaskRecord | None:
        """The record of a task; None where no task of this name is known."""
        return self._open.get(task) or self._closed.get(task) or self._recall(task)

    def __getitem__(self, task: bytes) -> TaskRecord:
        record = self.get(task)
        if record is None:
            raise ProtocolError("no task of this name", code=ErrorCode.UNKNOWN_TASK, got=task.hex())
        return record

    def __setitem__(self, task: bytes, record: TaskRecord) -> None:
        known = self._open.pop(task, None)
        if known is not None:
            self._of[known.requester] -= 1
            if not self._of[known.requester]:
                del self._of[known.requester]
        self._closed.pop(task, None)
        if TASK_TABLE.final(record.state):
            self._closed[task] = record
        else:
            self._open[task] = record
            self._of[record.requester] += 1

    def __iter__(self) -> Iterator[bytes]:
        yield from self._open
        yield from self._closed

    def values(self) -> Iterator[TaskRecord]:
        """The records in memory."""
        yield from self._open.values()
        yield from self._closed.values()

    def items(self) -> Iterator[tuple[bytes, TaskRecord]]:
        """The records in memory by task."""
        yield from self._open.items()
        yield from self._closed.items()

    def admit(self, requester: bytes) -> None:
        """Refuse one more open task where there are too many.

        Raises:
            ProtocolError: ``busy``.
        """
        if self._of.get(requester, 0) >= MAX_OPEN_OF_ONE or len(self._open) >= MAX_OPEN:
            raise ProtocolError("too many open tasks", code=ErrorCode.BUSY, retry_after=BUSY_FOR)

    def trim(self) -> None:
        """Let the oldest closed tasks go, as far as they are too many."""
        while len(self._closed) > self._limit:
            self._closed.popitem(last=False)
