# SPDX-License-Identifier: Apache-2.0
"""VC-HPK: HPKE against RFC 9180's own vector and another implementation; sealed inputs and their commitments."""

import pytest
from cryptography.hazmat.primitives import hpke as other
from cryptography.hazmat.primitives.asymmetric import ec
from hypothesis import given, settings
from hypothesis import strategies as st

from vcompute.codec import decode, encode
from vcompute.errors import EncodingError, ProtocolError
from vcompute.identity import hpke
from vcompute.identity.confidential import (
    SealedInput,
    TaskConfiguration,
    commit_input,
    open_input,
    seal_input,
)
from vcompute.registry import ErrorCode, Role

# RFC 9180 appendix A.3.1: DHKEM(P-256, HKDF-SHA256), HKDF-SHA256, AES-128-GCM, base mode, sequence number 0.
INFO = bytes.fromhex("4f6465206f6e2061204772656369616e2055726e")
IKM_E = bytes.fromhex("4270e54ffd08d79d5928020af4686d8f6b7d35dbe470265f1f5aa22816ce860e")
IKM_R = bytes.fromhex("668b37171f1072f3cf12ea8a236a45df23fc13b82af3609ad1e354f6ef817550")
SK_R = bytes.fromhex("f3ce7fdae57e1a310d87f1ebbde6f328be0a99cdbcadf4d6589cf29de4b8ffd2")
ENC = bytes.fromhex(
    "04a92719c6195d5085104f469a8b9814d5838ff72b60501e2c4466e5e67b325ac9"
    "8536d7b61a1af4b78e5b7f951c0900be863c403ce65c9bfcb9382657222d18c4"
)
SHARED = bytes.fromhex("c0d26aeab536609a572b07695d933b589dcf363ff9d93c93adea537aeabb8cb8")
KEY = bytes.fromhex("868c066ef58aae6dc589b6cfdd18f97e")
NONCE = bytes.fromhex("4e0bc5018beba4bf004cca59")
AAD = b"Count-0"
PLAINTEXT = bytes.fromhex("4265617574792069732074727574682c20747275746820626561757479")
CIPHERTEXT = bytes.fromhex("5ad590bb8baa577f8619db35a36311226a896e7342a6d836d8b7bcd2f20b6c7f9076ac232e3ab2523f39513434")

RECIPIENT = hpke.derive_key_pair(IKM_R)
PUBLIC = hpke.public_bytes(RECIPIENT.public_key())


def test_rfc_9180_vector() -> None:
    """VC-HPK-001: every value of appendix A.3.1, from the seeds to the ciphertext."""
    ephemeral = hpke.derive_key_pair(IKM_E)
    assert RECIPIENT.private_numbers().private_value == int.from_bytes(SK_R, "big")
    secret = hpke.shared_secret(ephemeral.exchange(ec.ECDH(), RECIPIENT.public_key()), ENC, PUBLIC)
    assert secret == SHARED
    assert hpke.key_schedule(secret, INFO) == hpke.KeySchedule(KEY, NONCE)
    assert hpke.seal(PUBLIC, INFO, AAD, PLAINTEXT, ephemeral=ephemeral) == (ENC, CIPHERTEXT)
    assert hpke.open_sealed(RECIPIENT, ENC, INFO, AAD, CIPHERTEXT) == PLAINTEXT


@given(info=st.binary(max_size=64), plaintext=st.binary(max_size=200))
@settings(max_examples=30, deadline=None)
def test_another_implementation_reads_and_writes_the_same(info: bytes, plaintext: bytes) -> None:
    """VC-HPK-001: both directions against an independent implementation (without associated data, which it lacks)."""
    suite = other.Suite(other.KEM.P256, other.KDF.HKDF_SHA256, other.AEAD.AES_128_GCM)
    encapsulation, ciphertext = hpke.seal(PUBLIC, info, b"", plaintext)
    assert suite.decrypt(encapsulation + ciphertext, RECIPIENT, info) == plaintext
    theirs = suite.encrypt(plaintext, RECIPIENT.public_key(), info)
    size = hpke.POINT_SIZE
    assert hpke.open_sealed(RECIPIENT, theirs[:size], info, b"", theirs[size:]) == plaintext


@pytest.mark.parametrize("change", ["key", "info", "aad", "ciphertext", "tag", "short", "encapsulation"])
def test_anything_else_does_not_open(change: str) -> None:
    """VC-HPK-002: another key, info, associated data or byte is decryption_failed, never a plaintext."""
    key = hpke.derive_key_pair(IKM_E) if change == "key" else RECIPIENT
    encapsulation = PUBLIC if change == "encapsulation" else ENC
    ciphertext = {
        "ciphertext": bytes([CIPHERTEXT[0] ^ 1]) + CIPHERTEXT[1:],
        "tag": CIPHERTEXT[:-1] + bytes([CIPHERTEXT[-1] ^ 1]),
        "short": CIPHERTEXT[:15],
    }.get(change, CIPHERTEXT)
    with pytest.raises(ProtocolError) as caught:
        hpke.open_sealed(
            key,
            encapsulation,
            INFO + b"x" if change == "info" else INFO,
            AAD + b"x" if change == "aad" else AAD,
            ciphertext,
        )
    assert caught.value.code is ErrorCode.DECRYPTION_FAILED


@pytest.mark.parametrize(
    "point",
    [b"", b"\x00", PUBLIC[:-1], PUBLIC + b"\x00", b"\x02" + PUBLIC[1:33], b"\x04" + bytes(64), b"\x06" + PUBLIC[1:]],
    ids=["empty", "infinity", "short", "long", "compressed", "off curve", "hybrid"],
)
def test_keys_are_uncompressed_points(point: bytes) -> None:
    """VC-HPK-003: a key or encapsulation in any other form, or off the curve, is invalid_key."""
    for use in (lambda: hpke.seal(point, INFO, AAD, b""), lambda: hpke.open_sealed(RECIPIENT, point, INFO, AAD, b"")):
        with pytest.raises(ProtocolError) as caught:
            use()
        assert caught.value.code is ErrorCode.INVALID_KEY


SALT = bytes(range(32))
INPUTS = b"inputs of a task"
CONFIGURATION = TaskConfiguration(b"\x01" * 32, b"\x02" * 32, commit_input(SALT, INPUTS), b"\x03" * 32, Role.WORKER)


def test_sealed_input_opens_for_its_configuration_alone() -> None:
    """VC-HPK-004: every field of the configuration is bound, VC-HPK-007: the role too; VC-HPK-005: the commitment."""
    sealed = decode(SealedInput, encode(seal_input(CONFIGURATION, PUBLIC, SALT, INPUTS)))
    assert open_input(CONFIGURATION, RECIPIENT, sealed) == INPUTS
    others = [
        TaskConfiguration(b"\x09" * 32, b"\x02" * 32, CONFIGURATION.commitment, b"\x03" * 32, Role.WORKER),
        TaskConfiguration(b"\x01" * 32, b"\x09" * 32, CONFIGURATION.commitment, b"\x03" * 32, Role.WORKER),
        TaskConfiguration(b"\x01" * 32, b"\x02" * 32, b"\x09" * 32, b"\x03" * 32, Role.WORKER),
        TaskConfiguration(b"\x01" * 32, b"\x02" * 32, CONFIGURATION.commitment, b"\x09" * 32, Role.WORKER),
        TaskConfiguration(b"\x01" * 32, b"\x02" * 32, CONFIGURATION.commitment, b"\x03" * 32, Role.VERIFIER),
    ]
    for configuration in others:
        with pytest.raises(ProtocolError) as caught:
            open_input(configuration, RECIPIENT, sealed)
        assert caught.value.code is ErrorCode.DECRYPTION_FAILED


def test_commitments_bind_and_are_salted() -> None:
    """VC-HPK-005: a requester that seals other inputs than it committed to is found out; salts hide equal inputs."""
    assert commit_input(SALT, INPUTS) != commit_input(bytes(32), INPUTS)
    with pytest.raises(ProtocolError):
        commit_input(b"short", INPUTS)
    with pytest.raises(ProtocolError) as caught:
        seal_input(CONFIGURATION, PUBLIC, SALT, b"other inputs")
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH
    encapsulation, ciphertext = hpke.seal(PUBLIC, b"vcompute/1 input", encode(CONFIGURATION), SALT + b"other inputs")
    with pytest.raises(ProtocolError) as caught:
        open_input(CONFIGURATION, RECIPIENT, SealedInput(encapsulation, ciphertext))
    assert caught.value.code is ErrorCode.DIGEST_MISMATCH


@given(raw=st.binary(max_size=120))
@settings(max_examples=100, deadline=None)
def test_decoder_of_sealed_inputs(raw: bytes) -> None:
    """VC-HPK-006: any bytes round-trip or are refused with a typed error."""
    try:
        assert encode(decode(SealedInput, raw)) == raw
    except EncodingError:
        return
