# SPDX-License-Identifier: Apache-2.0
"""What is tested: anything that answers requests ``{"id", "op", "in"}``.

The answer is ``{"id", "out"}``, ``{"id", "error": {"code"}}`` with a registered error's name, or
``{"id", "unsupported": true}``. One request is answered by one line, in order.
"""

import contextlib
import json
import os
import selectors
import shlex
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import IO, Any, Final, Protocol, Self

from vcompute.errors import VcomputeError

MAX_LINE: Final = 64 << 20
"""The longest answer in bytes."""


class BrokenTestee(Exception):
    """The testee does not speak the protocol: it ended, is silent, or what it says is not an answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a testee said."""

    out: Mapping[str, Any] | None = None
    error: str | None = None
    message: str = ""
    unsupported: bool = False

    def as_json(self) -> Any:
        """The answer as reports show it."""
        if self.unsupported:
            return {"unsupported": True}
        return {"error": self.error} if self.error is not None else {"out": self.out}


@dataclass(frozen=True, slots=True)
class Exchange:
    """A request and its answer, for reports."""

    op: str
    request: Mapping[str, Any]
    answer: Answer


class Testee(Protocol):
    """Anything that answers requests."""

    def ask(self, op: str, request: Mapping[str, Any]) -> Answer:
        """The answer to one request.

        Raises:
            BrokenTestee: there is none.
        """


class RecordingTestee:
    """Another testee, and the last requests it answered."""

    def __init__(self, inner: Testee, kept: int = 24) -> None:
        self._inner = inner
        self._last: deque[Exchange] = deque(maxlen=kept)

    @property
    def exchanges(self) -> tuple[Exchange, ...]:
        """The last requests and answers, oldest first."""
        return tuple(self._last)

    def ask(self, op: str, request: Mapping[str, Any]) -> Answer:
        answer = self._inner.ask(op, request)
        self._last.append(Exchange(op, request, answer))
        return answer


class LocalTestee:
    """A table of operations in this process."""

    def __init__(self, operations: Mapping[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]) -> None:
        self._operations = operations

    def ask(self, op: str, request: Mapping[str, Any]) -> Answer:
        operation = self._operations.get(op)
        if operation is None:
            return Answer(unsupported=True)
        try:
            return Answer(out=operation(request))
        except VcomputeError as error:
            return Answer(error=error.code.name.lower(), message=str(error))


class ProcessTestee:
    """A child process on JSON lines; its standard error is kept for the report."""

    def __init__(self, command: str, *, timeout: float = 60.0) -> None:
        self._timeout = timeout
        self._command = command
        self._number = 0
        self._buffer = bytearray()
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the testee
        try:
            self._process = subprocess.Popen(  # noqa: S603 - the user names the testee
                shlex.split(command), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log
            )
        except (OSError, ValueError) as error:
            self._log.close()
            raise BrokenTestee(f"cannot start the testee {command!r}: {error}") from error
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._stdout, selectors.EVENT_READ)

    @property
    def _stdout(self) -> IO[bytes]:
        if self._process.stdout is None:
            raise BrokenTestee("the testee has no standard output")
        return self._process.stdout

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def ask(self, op: str, request: Mapping[str, Any]) -> Answer:
        self._number += 1
        line = json.dumps({"id": self._number, "op": op, "in": request}, separators=(",", ":")) + "\n"
        try:
            if self._process.stdin is None:
                raise BrokenTestee("the testee has no standard input")
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()
        except (BrokenPipeError, OSError) as error:
            raise BrokenTestee(self._ended(f"the testee ended before {op!r}")) from error
        return parse_answer(self._read_line(op), self._number)

    def _read_line(self, op: str) -> bytes:
        deadline = time.monotonic() + self._timeout
        while (end := self._buffer.find(b"\n")) < 0:
            if len(self._buffer) > MAX_LINE:
                raise BrokenTestee(f"the answer to {op!r} is longer than {MAX_LINE} bytes")
            if not self._selector.select(max(0.0, deadline - time.monotonic())):
                raise BrokenTestee(self._ended(f"no answer to {op!r} within {self._timeout:g} s"))
            chunk = os.read(self._stdout.fileno(), 1 << 16)
            if not chunk:
                raise BrokenTestee(self._ended(f"the testee ended during {op!r}"))
            self._buffer += chunk
        line = bytes(self._buffer[:end])
        del self._buffer[: end + 1]
        return line

    def _ended(self, message: str) -> str:
        self._log.seek(0, os.SEEK_END)
        self._log.seek(max(0, self._log.tell() - 2000))
        tail = self._log.read().decode("utf-8", "replace").strip()
        return f"{message}; its standard error ends with:\n{tail}" if tail else message

    def close(self) -> None:
        """End the child: end of input first, then a signal where that does not help."""
        with contextlib.suppress(OSError):
            if self._process.stdin is not None:
                self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._selector.close()
        self._stdout.close()
        self._log.close()


def parse_answer(line: bytes, number: int) -> Answer:
    """Read one answer.

    Raises:
        BrokenTestee: not an answer to request ``number``.
    """
    try:
        document = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise BrokenTestee(f"an answer is not JSON: {line[:200]!r}") from error
    if not isinstance(document, dict) or document.get("id") != number:
        raise BrokenTestee(f"an answer does not carry the id {number} of its request: {line[:200]!r}")
    if document.get("unsupported") is True:
        return Answer(unsupported=True)
    refusal = document.get("error")
    if isinstance(refusal, dict) and isinstance(refusal.get("code"), str):
        return Answer(error=refusal["code"], message=str(refusal.get("message", "")))
    if isinstance(document.get("out"), dict):
        return Answer(out=document["out"])
    raise BrokenTestee(f"an answer has neither 'out', 'error' nor 'unsupported': {line[:200]!r}")
