# SPDX-License-Identifier: Apache-2.0
"""Stopping a computation from outside: a flag that executors and provers look at between their steps.

Whoever starts a computation in a thread runs it inside :func:`until` and may set the flag from any other thread; the
computation then ends within the time of one step with :class:`~vcompute.errors.Stopped`. Results never depend on it.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final

import numpy as np

from vcompute.errors import Stopped


class Stop:
    """A flag that is set once."""

    __slots__ = ("flag",)

    def __init__(self) -> None:
        self.flag: Final = np.zeros(1, np.int32)
        """What native code reads: not zero once the computation is to end."""

    def set(self) -> None:
        """End the computation; from any thread."""
        self.flag[0] = 1

    def check(self) -> None:
        """Go on unless the flag is set.

        Raises:
            Stopped: it is.
        """
        if self.flag[0]:
            raise Stopped("the computation was stopped from outside")


_CURRENT: Final[ContextVar[Stop | None]] = ContextVar("vcompute.stop", default=None)


@contextmanager
def until(stop: Stop) -> Iterator[None]:
    """Let what this block computes, in this thread and those it starts for it, end when ``stop`` is set."""
    token = _CURRENT.set(stop)
    try:
        yield
    finally:
        _CURRENT.reset(token)


def current() -> Stop | None:
    """The flag of the block this runs in."""
    return _CURRENT.get()


def check() -> None:
    """Go on unless the block's flag is set.

    Raises:
        Stopped: it is.
    """
    stop = _CURRENT.get()
    if stop is not None:
        stop.check()
