# SPDX-License-Identifier: Apache-2.0
"""Greeting: versions, downgrade, GREASE, extensions."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.protocol_kit import COORDINATOR, OTHER, SETTLEMENT, WORKER
from vcompute.errors import ProtocolError
from vcompute.messages import Extension, Hello, Signed, seal
from vcompute.registry import ErrorCode, Role
from vcompute.session.handshake import VERSIONS, ClientHandshake, answer, choose, grease, greeting, is_grease

NONCE = bytes(range(16))


def client() -> ClientHandshake:
    return ClientHandshake(WORKER, Role.WORKER, NONCE, COORDINATOR.thumbprint)


def reply(to: ClientHandshake, key: Any = COORDINATOR, **changes: Any) -> Signed[Hello]:
    body = answer(to.hello.of(Hello), bytes(16), SETTLEMENT.thumbprint)
    return seal(key, replace(body, **changes)).of(Hello)


def refused(handshake: ClientHandshake, hello: Signed[Hello], code: ErrorCode) -> None:
    with pytest.raises(ProtocolError) as caught:
        handshake.receive(hello)
    assert caught.value.code is code
    assert handshake.session is None


def test_both_sides_agree_on_the_best_version() -> None:
    handshake = client()
    hello = reply(handshake)
    handshake.receive(hello)
    assert handshake.session == hello.digest
    assert handshake.peer is not None
    assert handshake.peer.body.version == max(VERSIONS)


def test_a_downgrade_is_found_out() -> None:
    for version in (0, 2, None):
        refused(client(), reply(client(), version=version), ErrorCode.DOWNGRADE_DETECTED)
    # A coordinator that speaks a better version than it chose.
    assert choose((1, 2, 3), (2, 1)) == 2


def test_an_answer_to_another_greeting_or_by_another_key_is_refused() -> None:
    other = ClientHandshake(WORKER, Role.WORKER, bytes(16), COORDINATOR.thumbprint)
    refused(client(), reply(other), ErrorCode.UNEXPECTED_MESSAGE)
    refused(client(), reply(client(), OTHER), ErrorCode.UNEXPECTED_SIGNER)
    refused(client(), reply(client(), role=Role.WORKER), ErrorCode.UNEXPECTED_MESSAGE)


def test_without_a_pin_any_coordinator_is_taken() -> None:
    handshake = ClientHandshake(WORKER, Role.WORKER, NONCE, None)
    handshake.receive(reply(handshake, OTHER))
    assert handshake.session is not None


def test_no_common_version_is_an_error_on_both_sides() -> None:
    hello = seal(WORKER, replace(greeting(Role.WORKER, NONCE), versions=(7, 0x0A0A))).of(Hello)
    with pytest.raises(ProtocolError) as caught:
        answer(hello, bytes(16), bytes(32))
    assert caught.value.code is ErrorCode.NO_COMMON_VERSION
    refused(client(), reply(client(), versions=(9,)), ErrorCode.NO_COMMON_VERSION)


def test_unknown_extensions_are_ignored_unless_critical() -> None:
    handshake = client()
    handshake.receive(reply(handshake, extensions=(Extension(4711, False, b"x"),)))
    refused(client(), reply(client(), extensions=(Extension(4711, True, b""),)), ErrorCode.UNKNOWN_CRITICAL_EXTENSION)
    critical = replace(greeting(Role.WORKER, NONCE), extensions=(Extension(1, True, b""),))
    with pytest.raises(ProtocolError):
        answer(seal(WORKER, critical).of(Hello), bytes(16), bytes(32))


@pytest.mark.parametrize("role", [Role.COORDINATOR, Role.SETTLEMENT])
def test_only_clients_greet(role: Role) -> None:
    with pytest.raises(ProtocolError):
        answer(seal(WORKER, greeting(role, NONCE)).of(Hello), bytes(16), bytes(32))
    with pytest.raises(ProtocolError):
        answer(reply(client()), bytes(16), bytes(32))


@given(st.binary(min_size=16, max_size=16))
def test_every_greeting_carries_grease_that_is_never_chosen(nonce: bytes) -> None:
    value = grease(nonce)
    assert is_grease(value)
    body = greeting(Role.WORKER, nonce)
    assert value in body.versions
    assert any(is_grease(suite) for suite in body.suites)
    assert body.extensions
    assert choose((1, value), (1, value)) == 1


def test_grease_values_are_the_sixteen_reserved_ones() -> None:
    assert {value for value in range(1 << 16) if is_grease(value)} == {0x0A0A + 0x1010 * n for n in range(16)}
    assert {grease(bytes([n])) for n in range(256)} == {0x0A0A + 0x1010 * n for n in range(16)}
