# SPDX-License-Identifier: Apache-2.0
"""The greeting: versions and suites of both sides, both signed, so that neither is changed on the way.

The answer names the digest of the Hello it answers, lists what its sender speaks and says what it chose. A client
computes the best choice from both lists itself and refuses any other: a downgrade needs a forged signature. Each side
adds one unregistered value to its lists (GREASE), so that peers which do not ignore what they do not know are found
early.
"""

from typing import Final

from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Assign,
    Cancel,
    Check,
    Decline,
    Draw,
    Error,
    Extension,
    Hello,
    Message,
    Signed,
    seal,
)
from vcompute.registry import ErrorCode, Role, SuiteId

VERSIONS: Final = (1,)
"""The protocol versions this implementation speaks."""


def grease(nonce: bytes) -> int:
    """One of the sixteen reserved values 0x0a0a, 0x1a1a, ... 0xfafa, chosen by the nonce."""
    return (nonce[0] & 0xF0) << 8 | 0x0A00 | (nonce[0] & 0xF0) | 0x0A


def is_grease(value: int) -> bool:
    """Whether a value is reserved for GREASE."""
    return value & 0x0F0F == 0x0A0A and value >> 8 == value & 0xFF


def greeting(role: Role, nonce: bytes) -> Hello:
    """A party's first message."""
    return Hello(
        role=role,
        nonce=nonce,
        versions=(*VERSIONS, grease(nonce)),
        suites=(*(int(suite) for suite in SuiteId), grease(nonce[1:])),
        extensions=(Extension(grease(nonce[2:]), False, b""),),
    )


def choose(ours: tuple[int, ...], theirs: tuple[int, ...]) -> int:
    """The highest version both sides speak.

    Raises:
        ProtocolError: ``no_common_version``.
    """
    common = [version for version in ours if version in theirs and not is_grease(version)]
    if not common:
        raise ProtocolError(
            "no protocol version is spoken by both sides",
            code=ErrorCode.NO_COMMON_VERSION,
            expected=f"one of {sorted(ours)}",
            got=sorted(theirs),
        )
    return max(common)


def check_extensions(extensions: tuple[Extension, ...]) -> None:
    """Refuse a critical extension; this version knows none.

    Raises:
        ProtocolError: ``unknown_critical_extension``.
    """
    for extension in extensions:
        if extension.critical:
            raise ProtocolError(
                "an extension that must be understood is not",
                code=ErrorCode.UNKNOWN_CRITICAL_EXTENSION,
                got=extension.id,
            )


def answer(hello: Signed[Hello], nonce: bytes, settlement: bytes) -> Hello:
    """A coordinator's answer.

    Raises:
        ProtocolError: ``no_common_version``, ``unknown_critical_extension``, ``unexpected_message`` for an answer or
            for the greeting of another coordinator.
    """
    body = hello.body
    if body.answers is not None or body.role not in (Role.REQUESTER, Role.WORKER, Role.VERIFIER):
        raise ProtocolError("not a greeting to a coordinator", code=ErrorCode.UNEXPECTED_MESSAGE)
    check_extensions(body.extensions)
    mine = greeting(Role.COORDINATOR, nonce)
    return Hello(
        role=mine.role,
        nonce=mine.nonce,
        versions=mine.versions,
        suites=mine.suites,
        extensions=mine.extensions,
        answers=hello.digest,
        version=choose(VERSIONS, body.versions),
        settlement=settlement,
    )


OWN_WORDS: Final = (Assign, Cancel, Check, Decline, Draw, Error)
"""Messages to a client that a coordinator speaks for itself."""


class ClientHandshake:
    """The client's side of one greeting."""

    def __init__(self, key: PrivateKey, role: Role, nonce: bytes, coordinator: bytes | None) -> None:
        """Greet with a fresh ``nonce`` of 16 bytes; ``coordinator`` is the expected thumbprint, None to take any."""
        self.hello: Final = seal(key, greeting(role, nonce))
        self._coordinator = coordinator
        self.peer: Signed[Hello] | None = None

    @property
    def session(self) -> bytes | None:
        """The session's name: digest of the coordinator's Hello; None before it arrived."""
        return None if self.peer is None else self.peer.digest

    def receive(self, hello: Signed[Hello]) -> None:
        """Check the answer.

        Raises:
            ProtocolError: ``unexpected_signer``, ``unexpected_message`` for an answer to another greeting,
                ``downgrade_detected``, ``unknown_critical_extension``.
        """
        body = hello.body
        if self._coordinator is not None:
            hello.require_signer(self._coordinator)
        if body.role is not Role.COORDINATOR or body.answers != self.hello.digest:
            raise ProtocolError("the Hello answers another greeting", code=ErrorCode.UNEXPECTED_MESSAGE)
        check_extensions(body.extensions)
        best = choose(VERSIONS, body.versions)
        if body.version != best:
            raise ProtocolError(
                "the version chosen is not the best both sides speak",
                code=ErrorCode.DOWNGRADE_DETECTED,
                expected=best,
                got=body.version,
            )
        self.peer = hello

    def require_coordinator(self, message: Signed[Message]) -> None:
        """Refuse a message that only the coordinator speaks and another key signed.

        The coordinator passes on what others sign (Offer, Accept, Receipt); their signers are checked by the sessions.

        Raises:
            ProtocolError: ``unexpected_signer``.
        """
        expected = self._coordinator if self.peer is None else self.peer.signer
        if expected is not None and isinstance(message.body, OWN_WORDS):
            message.require_signer(expected)
