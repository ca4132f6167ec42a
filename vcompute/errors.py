# SPDX-License-Identifier: Apache-2.0
"""The one error tree: every failure carries a registered code and, where it has them, what was expected and found."""

from typing import Any, ClassVar

from vcompute.registry import ErrorCode


class VcomputeError(Exception):
    """Base of every error the library raises on purpose.

    ``code`` is a registered code, ``message`` a sentence for people, ``expected`` and ``got`` the values compared,
    where there are any.
    """

    default_code: ClassVar[ErrorCode] = ErrorCode.SCHEMA_VIOLATION

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        expected: Any = None,
        got: Any = None,
    ) -> None:
        self.code: ErrorCode = self.default_code if code is None else code
        self.message = message
        self.expected = expected
        self.got = got
        super().__init__(self.describe())

    def describe(self) -> str:
        """The message with the values compared."""
        text = self.message
        if self.expected is not None:
            text += f"; expected {self.expected}"
        if self.got is not None:
            text += f", got {self.got}" if self.expected is not None else f"; got {self.got}"
        return text


class EncodingError(VcomputeError):
    """Bytes that do not decode: not the deterministic profile, not the schema, or over a bound."""

    default_code = ErrorCode.MALFORMED_ENCODING


class TaskError(VcomputeError):
    """A graph, tensor or model that breaks a rule of the task encoding."""

    default_code = ErrorCode.INVALID_GRAPH


class ImportFailed(TaskError):
    """A foreign model that cannot be imported; the message names operator, tensor and reason."""

    default_code = ErrorCode.IMPORT_FAILED


class Rejected(VcomputeError):
    """A verifier's typed rejection of a proof or result."""

    default_code = ErrorCode.PROOF_REJECTED


class ProtocolError(VcomputeError):
    """A peer's message that breaks the protocol, or a session that cannot go on.

    ``retry_after`` is when to try again, in milliseconds, where that may help.
    """

    default_code = ErrorCode.SCHEMA_VIOLATION

    def __init__(
        self,
        message: str,
        *,
        code: ErrorCode | None = None,
        expected: Any = None,
        got: Any = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(message, code=code, expected=expected, got=got)
        self.retry_after = retry_after


class Stopped(VcomputeError):
    """A computation ended early because its caller asked for it."""

    default_code = ErrorCode.CANCELLED


class UsageError(VcomputeError):
    """A caller's arguments, files or configuration are wrong."""

    default_code = ErrorCode.USAGE
