# SPDX-License-Identifier: Apache-2.0
"""Keys, COSE_Sign1 envelopes and key files, against cbor2 and cryptography used directly."""

import hashlib
import os
import stat
from pathlib import Path

import cbor2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from hypothesis import given
from hypothesis import strategies as st

from vcompute.codec import Tagged, dumps
from vcompute.errors import ProtocolError, UsageError, VcomputeError
from vcompute.identity import PrivateKey, PublicKey, load_key, open1, save_key, sign1
from vcompute.identity.cose import MAX_PAYLOAD
from vcompute.identity.keys import ORDER
from vcompute.registry import ErrorCode

KEY = PrivateKey.from_seed(b"test")
AAD = b"aad"


def code_of(call: object, *args: object) -> ErrorCode:
    with pytest.raises(VcomputeError) as caught:
        call(*args)  # type: ignore[operator]
    return caught.value.code


def test_cose_key_is_the_deterministic_map_of_required_parameters() -> None:
    decoded = cbor2.loads(KEY.public.cose_key)
    numbers = KEY.wrapped.public_key().public_numbers()
    assert decoded == {1: 2, -1: 1, -2: numbers.x.to_bytes(32, "big"), -3: numbers.y.to_bytes(32, "big")}
    assert cbor2.dumps(decoded, canonical=True) == KEY.public.cose_key


def test_thumbprint_of_rfc_9679_section_6() -> None:
    # RFC 9679 section 6: the key of the example and the SHA-256 of its required members.
    x = "65eda5a12577c2bae829437fe338701a10aaa375e1bb5b5de108de439c08551d"
    y = "1e52ed75701163f7f9e40ddf9f341b3dc9ba860af7e0ca7ca7e9eecd0084d19c"
    key = PublicKey(bytes.fromhex("a40102200121 5820" + x + "225820" + y))
    assert key.thumbprint.hex() == "496bd8afadf307e5b08c64b0421bf9dc01528a344a43bda88fadd1669da253ec"


def test_envelope_is_a_cose_sign1_that_others_read_and_verify() -> None:
    envelope = cbor2.loads(sign1(KEY, b"payload", AAD))
    assert envelope.tag == 18
    protected, unprotected, payload, signature = envelope.value
    header = cbor2.loads(protected)
    assert (header[1], unprotected, payload) == (-7, {}, b"payload")
    claimed = header[14][8][1]
    point = ec.EllipticCurvePublicNumbers(
        int.from_bytes(claimed[-2], "big"), int.from_bytes(claimed[-3], "big"), ec.SECP256R1()
    ).public_key()
    r, s = int.from_bytes(signature[:32], "big"), int.from_bytes(signature[32:], "big")
    structure = cbor2.dumps(["Signature1", protected, AAD, payload], canonical=True)
    point.verify(encode_dss_signature(r, s), structure, ec.ECDSA(hashes.SHA256()))


def test_open_gives_signer_payload_and_digest() -> None:
    data = sign1(KEY, b"payload", AAD)
    sealed = open1(data, AAD)
    assert (sealed.payload, sealed.signer, sealed.data) == (b"payload", KEY.public, data)
    assert sealed.digest == hashlib.sha256(data).digest()


def test_deterministic_nonces_give_the_same_bytes_and_random_ones_do_not() -> None:
    assert sign1(KEY, b"p", AAD) == sign1(KEY, b"p", AAD)
    random = PrivateKey.generate()
    assert random.sign(b"p") != random.sign(b"p")


@given(st.binary(max_size=64))
def test_signatures_are_low_s(data: bytes) -> None:
    assert int.from_bytes(KEY.sign(data)[32:], "big") <= ORDER // 2


def test_high_s_is_refused_though_it_verifies() -> None:
    signature = KEY.sign(b"data")
    s = int.from_bytes(signature[32:], "big")
    high = signature[:32] + (ORDER - s).to_bytes(32, "big")
    assert code_of(KEY.public.verify, high, b"data") is ErrorCode.NON_CANONICAL_SIGNATURE


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, b"\x01" * 63, b"\x01" * 65, b""])
def test_signatures_out_of_range_are_refused(signature: bytes) -> None:
    assert code_of(KEY.public.verify, signature, b"data") is ErrorCode.NON_CANONICAL_SIGNATURE


def test_every_flipped_byte_of_an_envelope_is_refused_with_a_typed_error() -> None:
    data = sign1(KEY, b"payload", AAD)
    for position in range(len(data)):
        for bit in (0x01, 0x80):
            flipped = bytearray(data)
            flipped[position] ^= bit
            with pytest.raises(VcomputeError):
                open1(bytes(flipped), AAD)


def test_every_truncation_and_extension_is_refused() -> None:
    data = sign1(KEY, b"payload", AAD)
    for size in range(len(data)):
        with pytest.raises(VcomputeError):
            open1(data[:size], AAD)
    with pytest.raises(VcomputeError):
        open1(data + b"\0", AAD)


def test_another_purpose_is_refused() -> None:
    assert code_of(open1, sign1(KEY, b"payload", b"vcompute/1"), b"vcompute/2") is ErrorCode.BAD_SIGNATURE


def test_a_payload_over_the_bound_is_refused_on_both_sides() -> None:
    assert code_of(sign1, KEY, bytes(MAX_PAYLOAD + 1), AAD) is ErrorCode.LIMIT_EXCEEDED
    assert open1(sign1(KEY, bytes(MAX_PAYLOAD), AAD), AAD).payload == bytes(MAX_PAYLOAD)
    assert code_of(open1, bytes(1 << 20), AAD) is ErrorCode.LIMIT_EXCEEDED


def test_other_header_forms_are_refused() -> None:
    protected, _, payload, signature = cbor2.loads(sign1(KEY, b"payload", AAD)).value
    for parts in (
        [protected, {4: b"kid"}, payload, signature],
        [b"\xa1\x01\x26", {}, payload, signature],
        [protected, {}, None, signature],
        [protected, {}, payload],
        [protected, [], payload, signature],
    ):
        assert code_of(open1, dumps(Tagged(18, parts)), AAD) is ErrorCode.SCHEMA_VIOLATION


def test_a_point_off_the_curve_is_refused() -> None:
    key = bytearray(KEY.public.cose_key)
    key[-1] ^= 1
    assert code_of(PublicKey, bytes(key)) is ErrorCode.INVALID_KEY


def test_key_files_are_private_and_never_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    save_key(KEY, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert load_key(path).thumbprint == KEY.thumbprint
    with pytest.raises(UsageError, match="never overwritten"):
        save_key(KEY, path)
    if os.name == "posix":
        path.chmod(0o644)
        with pytest.raises(UsageError, match="chmod 600"):
            load_key(path)


def test_encrypted_key_files_need_their_passphrase(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    save_key(KEY, path, b"open sesame")
    assert b"ENCRYPTED" in path.read_bytes()
    assert load_key(path, b"open sesame").thumbprint == KEY.thumbprint
    for passphrase in (None, b"wrong"):
        with pytest.raises(UsageError):
            load_key(path, passphrase)


def test_other_key_files_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "key.pem"
    with pytest.raises(UsageError):
        load_key(path)
    path.write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    path.chmod(0o600)
    assert code_of(load_key, path) is ErrorCode.UNREADABLE_FILE
    with pytest.raises(ProtocolError):
        PrivateKey(ec.generate_private_key(ec.SECP384R1()))


def test_repr_never_shows_the_secret() -> None:
    secret = KEY.wrapped.private_numbers().private_value
    assert f"{secret:x}"[:8] not in repr(KEY)
