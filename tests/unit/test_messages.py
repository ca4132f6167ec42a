# SPDX-License-Identifier: Apache-2.0
"""Message schemas: round trips, CDDL checked by pycddl, refusals."""

from dataclasses import replace

import cbor2
import pycddl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.protocol_kit import OFFER, REQUESTER, WORKER, accept, offer, ref, result, verdict
from vcompute.codec import cddl, dumps
from vcompute.errors import EncodingError, ProtocolError, VcomputeError
from vcompute.identity import sign1
from vcompute.messages import AAD, Accept, Offer, Result, open_message, reopen, seal
from vcompute.messages.envelope import MAX_MESSAGE, TYPES
from vcompute.registry import ErrorCode, MessageType
from vcompute.testing.strategies import records

CLASSES = [cls for _, cls in TYPES]


def test_every_registered_message_type_has_one_schema() -> None:
    assert [tag for tag, _ in TYPES] == sorted(MessageType)
    assert len(set(CLASSES)) == len(CLASSES)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_messages_round_trip_and_fit_their_cddl(cls: type) -> None:
    schema = pycddl.Schema(cddl(cls))

    @settings(max_examples=40, deadline=None)
    @given(records(cls))
    def check(body: object) -> None:
        sealed = seal(REQUESTER, body)  # type: ignore[arg-type]
        opened = open_message(sealed.data)
        assert opened == sealed
        assert reopen(sealed.data) == sealed
        assert len(sealed.data) <= MAX_MESSAGE
        payload = cbor2.loads(cbor2.loads(sealed.data).value[2])
        schema.validate_cbor(cbor2.dumps(payload[1]))

    check()


def test_a_message_is_named_by_its_bytes_and_tied_to_its_signer() -> None:
    first, second = seal(REQUESTER, OFFER), seal(WORKER, OFFER)
    assert first.digest != second.digest
    with pytest.raises(ProtocolError) as caught:
        second.require_signer(REQUESTER.thumbprint)
    assert caught.value.code is ErrorCode.UNEXPECTED_SIGNER


def test_every_flipped_byte_of_every_kind_of_message_is_refused() -> None:
    task = offer()
    lease = accept(task)
    for message in (task, lease, result(lease), verdict(result(lease), False)):
        for position in range(len(message.data)):
            flipped = bytearray(message.data)
            flipped[position] ^= 0x04
            with pytest.raises(VcomputeError):
                open_message(bytes(flipped))


@settings(deadline=None)
@given(st.binary(max_size=200))
def test_random_bytes_are_refused_with_typed_errors(data: bytes) -> None:
    with pytest.raises(VcomputeError):
        open_message(data)


@settings(deadline=None)
@given(st.binary(max_size=60))
def test_signed_nonsense_is_refused_with_typed_errors(payload: bytes) -> None:
    with pytest.raises(VcomputeError):
        open_message(sign1(REQUESTER, payload, AAD))


def test_an_unregistered_type_has_its_own_error() -> None:
    with pytest.raises(EncodingError) as caught:
        open_message(sign1(REQUESTER, dumps([2570, {}]), AAD))
    assert caught.value.code is ErrorCode.UNKNOWN_MESSAGE


def test_unknown_keys_and_out_of_range_values_are_refused() -> None:
    body = cbor2.loads(cbor2.loads(seal(WORKER, Accept(bytes(32), 1, 5)).data).value[2])[1]
    for change in ({9: 1}, {2: -1}, {0: bytes(31)}, {1: 2**32}):
        with pytest.raises(EncodingError) as caught:
            open_message(sign1(WORKER, dumps([int(MessageType.ACCEPT), {**body, **change}]), AAD))
        assert caught.value.code is ErrorCode.SCHEMA_VIOLATION
    with pytest.raises(EncodingError):
        seal(REQUESTER, replace(OFFER, price=-1))


def test_of_refuses_another_message() -> None:
    assert offer().of(Offer).body == OFFER
    with pytest.raises(ProtocolError) as caught:
        offer().of(Result)
    assert caught.value.code is ErrorCode.UNKNOWN_MESSAGE


def test_blob_references_bind_the_size() -> None:
    assert ref(b"a").digest != ref(b"a\0").digest
