# SPDX-License-Identifier: Apache-2.0
"""Readings out of a recorded trace: JSON lines, each ``{"at": milliseconds, ...}`` with the values that were known.

The names are those of :class:`~vcompute.policy.device.state.Reading`; ``thermal`` is a registered name. A line holds
until the next one; a missing value is unknown.
"""

import json
from bisect import bisect_right
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any, Final

from vcompute.codec import encode, fields_of
from vcompute.errors import EncodingError, UsageError
from vcompute.policy.device.state import Reading
from vcompute.registry import ErrorCode, ThermalStatus

MAX_LINES: Final = 1_000_000
MAX_LINE: Final = 4096
_NAMES: Final = frozenset(spec.name for spec in fields_of(Reading))
_STATUSES: Final = {status.name.lower(): status for status in ThermalStatus}


class TraceDriver:
    """A trace that begins at its first line and, with ``repeat``, begins again after that many milliseconds."""

    def __init__(self, readings: Iterable[tuple[int, Reading]], repeat: int | None = None) -> None:
        """Take readings in strictly ascending order of time.

        Raises:
            EncodingError: ``schema_violation``: none, or not in order.
        """
        pairs = list(readings)
        self._times = [at for at, _ in pairs]
        self._readings = [reading for _, reading in pairs]
        self._repeat = repeat
        if not pairs or any(left >= right for left, right in pairwise(self._times)):
            raise EncodingError(
                "a trace has lines in ascending order of time",
                code=ErrorCode.SCHEMA_VIOLATION,
                got=f"{len(pairs)} lines",
            )

    def read(self, now: int) -> Reading:
        """See :class:`~vcompute.policy.device.state.Driver`; before the first line nothing is known."""
        if self._repeat is not None:
            now = self._times[0] + (now - self._times[0]) % self._repeat
        index = bisect_right(self._times, now)
        return self._readings[index - 1] if index else Reading()


def parse_trace(lines: Iterable[str]) -> list[tuple[int, Reading]]:
    """The readings of a trace.

    Raises:
        EncodingError: ``malformed_encoding``, ``schema_violation`` or ``limit_exceeded``, with the line's number.
    """
    readings: list[tuple[int, Reading]] = []
    for number, line in enumerate(lines, start=1):
        if number > MAX_LINES or len(line) > MAX_LINE:
            raise EncodingError(
                f"line {number}: a trace is too long", code=ErrorCode.LIMIT_EXCEEDED, expected=MAX_LINES
            )
        if line.strip():
            readings.append(_parse_line(number, line))
    return readings


def load_trace(path: Path, repeat: int | None = None) -> TraceDriver:
    """A driver from a file.

    Raises:
        UsageError: ``unreadable_file``.
        EncodingError: as :func:`parse_trace`.
    """
    try:
        with path.open(encoding="utf-8") as file:
            return TraceDriver(parse_trace(file), repeat)
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the trace {path}: {error}", code=ErrorCode.UNREADABLE_FILE) from error


def _parse_line(number: int, line: str) -> tuple[int, Reading]:
    try:
        values: Any = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise EncodingError(f"line {number}: not JSON") from error
    at = values.pop("at", None) if isinstance(values, dict) else None
    if type(at) is not int or not 0 <= at < 2**62 or not values.keys() <= _NAMES:
        raise _violation(number, "an object with 'at' and the names of a reading")
    if (thermal := values.get("thermal")) is not None:
        if not isinstance(thermal, str) or thermal not in _STATUSES:
            raise _violation(number, "a registered temperature status")
        values["thermal"] = _STATUSES[thermal]
    reading = Reading(**values)
    try:
        encode(reading)
    except EncodingError as error:
        raise _violation(number, error.describe()) from error
    return at, reading


def _violation(number: int, expected: str) -> EncodingError:
    return EncodingError(f"line {number} of a trace", code=ErrorCode.SCHEMA_VIOLATION, expected=expected)
