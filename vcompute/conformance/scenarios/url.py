# SPDX-License-Identifier: Apache-2.0
"""Cases against a running coordinator: ``vcompute conformance run --url URL``. They need no money and leave none behind.

Every run has keys of its own, so that it can be repeated against the same coordinator.
"""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from vcompute.conformance.case import Case, Failure, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import expect
from vcompute.conformance.testee import Answer, BrokenTestee, Testee
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.messages import (
    Advertise,
    Cancel,
    Extension,
    Fetch,
    Hello,
    Message,
    Progress,
    Signed,
    Verdict,
    open_message,
    seal,
)
from vcompute.registry import Basis, ErrorCode, Role
from vcompute.session import ClientHandshake
from vcompute.session.handshake import greeting

EXCHANGE: Final = "link.exchange"


class UrlTestee:
    """A coordinator behind the HTTP transport."""

    def __init__(self, url: str, *, insecure: bool = False) -> None:
        self.url, self._insecure = url, insecure

    def ask(self, op: str, request: Mapping[str, Any]) -> Answer:
        if op != EXCHANGE:
            return Answer(unsupported=True)
        try:
            answered = asyncio.run(self._exchange(to_bytes(request["message"])))
        except ProtocolError as error:
            if error.code is ErrorCode.TRANSPORT_FAILED:
                raise BrokenTestee(f"{self.url}: {error}") from error
            return Answer(error=error.code.name.lower(), message=str(error))
        return Answer(out={"message": None if answered is None else to_text(answered)})

    async def _exchange(self, data: bytes) -> bytes | None:
        from vcompute.transport.http import HttpLink

        link = HttpLink(self.url, insecure=self._insecure)
        try:
            return await link.exchange(data)
        finally:
            await link.close()


@dataclass
class Caller:
    """A party with a fresh key that talks to the coordinator."""

    testee: Testee
    role: Role = Role.REQUESTER

    def __post_init__(self) -> None:
        self.key = PrivateKey.generate()
        self.sequence = 0

    def send(self, message: bytes | Signed[Any]) -> Signed[Message] | str | None:
        """Send; the immediate answer, or the name of the error, sent as a problem or as a message."""
        data = message if isinstance(message, bytes) else message.data
        answered = self.testee.ask(EXCHANGE, {"message": to_text(data)})
        if answered.error is not None:
            return answered.error
        body = (answered.out or {}).get("message")
        return None if body is None else open_message(to_bytes(body))

    def say(self, body: Message) -> Signed[Message] | str | None:
        """Sign and send."""
        return self.send(seal(self.key, body))

    def greet(self) -> Signed[Hello]:
        """Greet and check the answer."""
        handshake = ClientHandshake(self.key, self.role, self.key.thumbprint[:16], None)
        answered = self.send(handshake.hello)
        if not isinstance(answered, Signed):
            raise Failure("a Hello is answered", "a Hello", str(answered))
        hello = answered.of(Hello)
        handshake.receive(hello)
        return hello

    def fetch(self, session: bytes, *, again: bool = False) -> Signed[Message] | str | None:
        """The next message, or the last one again."""
        self.sequence += 0 if again else 1
        return self.say(Fetch(session, self.sequence, 2_000))


def _refused(make: Callable[[Caller], bytes | Signed[Any]], *codes: str) -> Callable[[Testee], None]:
    def script(testee: Testee) -> None:
        caller = Caller(testee)
        answered = caller.send(make(caller))
        if answered not in codes:
            raise Failure("refused", " or ".join(codes), str(answered))

    return script


def _hello(testee: Testee) -> None:
    caller = Caller(testee)
    expect("one coordinator", caller.greet().signer.hex(), Caller(testee).greet().signer.hex())


def _advertise(testee: Testee) -> None:
    caller = Caller(testee, Role.WORKER)
    session = caller.greet().digest
    body = Advertise(session, 1, Role.WORKER, 1, (kit.REPLAY,), 0, 0, 0, 1_000)
    expect("taken", None, caller.say(body))


def _unfunded(testee: Testee) -> None:
    caller = Caller(testee)
    hello = caller.greet()
    far = 4_000_000_000_000
    terms = replace(
        kit.TERMS, settlement=hello.body.settlement or bytes(32), deadline=far, nonce=caller.key.thumbprint[:16]
    )
    offer = seal(caller.key, terms)
    caller.send(offer)
    answered = caller.fetch(hello.digest)
    body: Any = answered.body if isinstance(answered, Signed) else None
    expect("the offer is declined", "Decline", type(body).__name__)
    expect("why", "insufficient_funds", ErrorCode(body.code).name.lower())
    expect("the task", offer.digest.hex(), body.task.hex())
    again = caller.fetch(hello.digest, again=True)
    expect("the same sequence gets the same message", True, again == answered)


def _fetched_again(testee: Testee) -> None:
    caller = Caller(testee)
    session = caller.greet().digest
    for sequence in (5, 6):
        caller.say(Fetch(session, sequence, 0))
    expect("a sequence of the past is refused", "unexpected_message", caller.say(Fetch(session, 5, 0)))


def _signed(body: Message) -> Callable[[Caller], Signed[Message]]:
    return lambda caller: seal(caller.key, body)


def _flipped(caller: Caller) -> bytes:
    data = seal(caller.key, greeting(Role.WORKER, bytes(16))).data
    return data[:-1] + bytes([data[-1] ^ 1])


_GREETING: Final = greeting(Role.WORKER, bytes(16))
CASES: Final[Mapping[str, tuple[Level, Callable[[Testee], None], str]]] = {
    "hello": (Level.L4, _hello, "two greetings"),
    "advertise": (Level.L4, _advertise, "an advertisement"),
    "offer-unfunded": (Level.L4, _unfunded, "an offer without money: declined, and the answer again on request"),
    "empty": (Level.L5, _refused(lambda c: b"", "malformed_encoding"), "an empty message"),
    "cut": (Level.L5, _refused(lambda c: seal(c.key, _GREETING).data[:-1], "malformed_encoding"), "a message cut short"),
    "trailing": (Level.L5, _refused(lambda c: seal(c.key, _GREETING).data + b"\x00", "malformed_encoding"), "a byte after a message"),
    "forged": (Level.L5, _refused(_flipped, "bad_signature", "non_canonical_signature"), "a broken signature"),
    "too-long": (Level.L5, _refused(lambda c: bytes(40_000), "limit_exceeded"), "a message over its bound"),
    "no-version": (Level.L5, _refused(_signed(replace(_GREETING, versions=(2, 0x0A0A))), "no_common_version"), "a client of another version"),
    "critical": (Level.L5, _refused(_signed(replace(_GREETING, extensions=(Extension(1, True, b""),))), "unknown_critical_extension"), "a client that needs an extension"),
    "as-coordinator": (Level.L5, _refused(_signed(greeting(Role.COORDINATOR, bytes(16))), "unexpected_message"), "a client in the role of a coordinator"),
    "advertise-no-session": (Level.L5, _refused(_signed(Advertise(bytes(32), 1, Role.WORKER, 1, (kit.REPLAY,), 1, 0, 0, 1_000)), "unknown_session"), "an advertisement without a session"),
    "fetch-no-session": (Level.L5, _refused(_signed(Fetch(bytes(32), 1, 0)), "unknown_session"), "a Fetch without a session"),
    "fetch-past": (Level.L5, _fetched_again, "a Fetch with a sequence that was acknowledged"),
    "progress-unknown": (Level.L5, _refused(_signed(Progress(bytes(32), bytes(32), 1, 0)), "unknown_task"), "a renewal of no task"),
    "cancel-unknown": (Level.L5, _refused(_signed(Cancel(bytes(32), ErrorCode.CANCELLED)), "unknown_task"), "the cancellation of no task"),
    "verdict-unknown": (Level.L5, _refused(_signed(Verdict(bytes(32), bytes(32), bytes(32), True, Basis.REPLAYED)), "unknown_task"), "a verdict on no task"),
}  # fmt: skip


def _requirements(name: str, level: Level) -> tuple[str, ...]:
    """What a case checks; all of them need the coordinator's end of the HTTP transport."""
    more = {
        "fetch-no-session": "VC-NET-005",
        "fetch-past": "VC-NET-005",
        "too-long": "VC-NET-002",
        "offer-unfunded": "VC-NET-005",
    }
    own = ("VC-SES-007",) if level is Level.L5 else ("VC-SES-005", "VC-SES-008")
    return (*own, "VC-NET-010", "VC-NET-011", *((more[name],) if name in more else ()))


def cases() -> Iterator[Case]:
    """The cases for a URL."""
    for name, (level, script, text) in CASES.items():
        yield Case(
            id=f"url/{name}",
            level=level,
            requirements=_requirements(name, level),
            script=script,
            roles=("coordinator",),
            flags=("negative",) if level is Level.L5 else (),
            text=f"{text[0].upper()}{text[1:]}.",
        )
