# SPDX-License-Identifier: Apache-2.0
"""A coordinator's tasks in bounded memory, with a quota for each requester."""

from collections import Counter
from collections.abc import Callable
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.registry import ErrorCode
from vcompute.session.coordinator_table import TASK_TABLE, TaskRecord
from vcompute.session.shelf import BUSY_FOR, MAX_CLOSED, Shelf

MAX_OPEN: Final = 1 << 17
"""Open tasks of a coordinator."""
MAX_OPEN_OF_ONE: Final = 1 << 13
"""Open tasks of one requester."""


class TaskShelf(Shelf[TaskRecord]):
    """Records by task."""

    def __init__(self, recall: Callable[[bytes], TaskRecord | None], limit: int = MAX_CLOSED) -> None:
        super().__init__(lambda record: TASK_TABLE.final(record.state), recall, limit)
        self._of: Counter[bytes] = Counter()

    def __setitem__(self, name: bytes, record: TaskRecord) -> None:
        known = self._open.get(name)
        if known is not None:
            self._of[known.requester] -= 1
            if not self._of[known.requester]:
                del self._of[known.requester]
        super().__setitem__(name, record)
        if name in self._open:
            self._of[record.requester] += 1

    def open_of(self, requester: bytes) -> list[TaskRecord]:
        """The open tasks of a requester."""
        if requester not in self._of:
            return []
        return [record for record in self.under_way if record.requester == requester]

    def admit(self, requester: bytes) -> None:
        """Refuse one more open task where there are too many.

        Raises:
            ProtocolError: ``busy``.
        """
        self.require_place(MAX_OPEN)
        if self._of.get(requester, 0) >= MAX_OPEN_OF_ONE:
            raise ProtocolError("too many open tasks", code=ErrorCode.BUSY, retry_after=BUSY_FOR)
