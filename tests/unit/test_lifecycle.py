# SPDX-License-Identifier: Apache-2.0
"""VC-IDN: rotation, revocation and evidence of device keys."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vcompute.codec import encode
from vcompute.errors import ProtocolError, VcomputeError
from vcompute.identity import PrivateKey, sign1
from vcompute.identity.history import KeyHistory
from vcompute.identity.lifecycle import (
    EAT_PROFILE,
    EVIDENCE_AAD,
    ROTATION_AAD,
    SUCCESSOR_AAD,
    Confirmation,
    Evidence,
    Measurement,
    Rotation,
    Successor,
    attest,
    open_evidence,
    revoke,
    rotate,
)
from vcompute.registry import AttestationType, ErrorCode, RevocationReason

KEYS = [PrivateKey.from_seed(bytes([index])) for index in range(6)]
COMPROMISED = RevocationReason.COMPROMISED


def refused(code: ErrorCode, action: object, *arguments: object) -> None:
    with pytest.raises(VcomputeError) as caught:
        action(*arguments)  # type: ignore[operator]
    assert caught.value.code is code


def test_rotation_moves_the_right_to_sign() -> None:
    """VC-IDN-030: from the effective time on the new key signs and the old one does not; a replay changes nothing."""
    history = KeyHistory(KEYS[0].thumbprint, 100)
    record = rotate(KEYS[0], KEYS[1], 1, 200)
    history.apply_rotation(record)
    history.apply_rotation(record)
    assert history.current == KEYS[1].thumbprint
    assert history.name == KEYS[0].thumbprint
    times = [99, 100, 199, 200, 1000]
    assert [history.valid_at(KEYS[0].thumbprint, time) for time in times] == [False, True, True, False, False]
    assert [history.valid_at(KEYS[1].thumbprint, time) for time in times] == [False, False, False, True, True]
    history.apply_rotation(rotate(KEYS[1], KEYS[2], 2, 300))
    assert history.current == KEYS[2].thumbprint


def test_rotation_needs_both_keys_and_order() -> None:
    """VC-IDN-031: who does not hold the newest key, or the next, cannot rotate; keys do not come back."""
    history = KeyHistory(KEYS[0].thumbprint, 100)
    refused(ErrorCode.UNEXPECTED_SIGNER, history.apply_rotation, rotate(KEYS[3], KEYS[1], 1, 200))
    refused(ErrorCode.SCHEMA_VIOLATION, history.apply_rotation, rotate(KEYS[0], KEYS[1], 2, 200))
    refused(ErrorCode.SCHEMA_VIOLATION, history.apply_rotation, rotate(KEYS[0], KEYS[1], 1, 99))
    refused(ErrorCode.KEY_REUSED, history.apply_rotation, rotate(KEYS[0], KEYS[0], 1, 200))
    consent = sign1(KEYS[1], encode(Successor(KEYS[3].thumbprint, 1)), SUCCESSOR_AAD)
    stolen = sign1(KEYS[0], encode(Rotation(consent, 200)), ROTATION_AAD)
    refused(ErrorCode.UNEXPECTED_SIGNER, history.apply_rotation, stolen)
    wrong_domain = sign1(KEYS[1], encode(Successor(KEYS[0].thumbprint, 1)), ROTATION_AAD)
    refused(
        ErrorCode.BAD_SIGNATURE,
        history.apply_rotation,
        sign1(KEYS[0], encode(Rotation(wrong_domain, 200)), ROTATION_AAD),
    )
    history.apply_rotation(rotate(KEYS[0], KEYS[1], 1, 200))
    refused(ErrorCode.UNEXPECTED_SIGNER, history.apply_rotation, rotate(KEYS[0], KEYS[2], 2, 300))
    refused(ErrorCode.UNEXPECTED_SIGNER, history.apply_rotation, rotate(KEYS[0], KEYS[2], 1, 200))
    refused(ErrorCode.KEY_REUSED, history.apply_rotation, rotate(KEYS[1], KEYS[0], 2, 300))


def test_revocation_fails_closed() -> None:
    """VC-IDN-032: by the key itself or a later one; the earliest time counts; a revoked key names no successor."""
    history = KeyHistory(KEYS[0].thumbprint, 100)
    history.apply_rotation(rotate(KEYS[0], KEYS[1], 1, 200))
    history.apply_revocation(revoke(KEYS[1], KEYS[0].thumbprint, 180, COMPROMISED))
    history.apply_revocation(revoke(KEYS[0], KEYS[0].thumbprint, 190, COMPROMISED))
    assert history.valid_at(KEYS[0].thumbprint, 179)
    assert not history.valid_at(KEYS[0].thumbprint, 180)
    refused(
        ErrorCode.UNEXPECTED_SIGNER,
        history.apply_revocation,
        revoke(KEYS[0], KEYS[1].thumbprint, 500, COMPROMISED),
    )
    refused(ErrorCode.INVALID_KEY, history.apply_revocation, revoke(KEYS[1], KEYS[5].thumbprint, 500, COMPROMISED))
    history.apply_revocation(revoke(KEYS[1], KEYS[1].thumbprint, 500, RevocationReason.DEVICE_LOST))
    refused(ErrorCode.UNEXPECTED_SIGNER, history.apply_rotation, rotate(KEYS[1], KEYS[2], 2, 600))


MEASUREMENT = Measurement(AttestationType.ANDROID_KEY, b"certificate chain")


def test_evidence_is_fresh_and_about_its_signer() -> None:
    """VC-IDN-033: the challenge, the key and the profile of an evidence envelope are checked; its worth is not."""
    data = attest(KEYS[0], b"challenge", 1_700_000_000, MEASUREMENT)
    assert open_evidence(data, b"challenge").measurement == MEASUREMENT
    refused(ErrorCode.EVIDENCE_STALE, open_evidence, data, b"another challenge")
    body = Evidence(1, Confirmation(KEYS[1].thumbprint), b"challenge", EAT_PROFILE, MEASUREMENT)
    refused(ErrorCode.UNEXPECTED_SIGNER, open_evidence, sign1(KEYS[0], encode(body), EVIDENCE_AAD), b"challenge")
    body = Evidence(1, Confirmation(KEYS[0].thumbprint), b"challenge", "other", MEASUREMENT)
    refused(ErrorCode.SCHEMA_VIOLATION, open_evidence, sign1(KEYS[0], encode(body), EVIDENCE_AAD), b"challenge")


@given(data=st.data())
@settings(max_examples=60, deadline=None)
def test_altered_records_are_refused(data: st.DataObject) -> None:
    """VC-IDN-034: any changed byte of a record is a typed rejection and changes no history."""
    record = bytearray(
        data.draw(st.sampled_from([rotate(KEYS[0], KEYS[1], 1, 200), attest(KEYS[0], b"n" * 8, 1, MEASUREMENT)]))
    )
    record[data.draw(st.integers(0, len(record) - 1))] ^= data.draw(st.integers(1, 255))
    history = KeyHistory(KEYS[0].thumbprint, 100)
    for use in (history.apply_rotation, history.apply_revocation, lambda raw: open_evidence(raw, b"n" * 8)):
        with pytest.raises(VcomputeError):
            use(bytes(record))
    assert history.current == KEYS[0].thumbprint


class Histories(RuleBasedStateMachine):
    """Records of several keys in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.history = KeyHistory(KEYS[0].thumbprint, 0)

    @rule(old=st.sampled_from(KEYS), new=st.sampled_from(KEYS), sequence=st.integers(1, 5), time=st.integers(0, 9))
    def rotate(self, old: PrivateKey, new: PrivateKey, sequence: int, time: int) -> None:
        before = self.history.current
        try:
            self.history.apply_rotation(rotate(old, new, sequence, time))
        except ProtocolError:
            assert self.history.current == before

    @rule(signer=st.sampled_from(KEYS), key=st.sampled_from(KEYS), time=st.integers(0, 9))
    def revoke(self, signer: PrivateKey, key: PrivateKey, time: int) -> None:
        valid = [self.history.valid_at(key.thumbprint, at) for at in range(12)]
        try:
            self.history.apply_revocation(revoke(signer, key.thumbprint, time, COMPROMISED))
        except ProtocolError:
            return
        after = [self.history.valid_at(key.thumbprint, at) for at in range(12)]
        assert all(before or not now for before, now in zip(valid, after, strict=True))
        assert not any(after[time:])

    @invariant()
    def one_key_at_a_time(self) -> None:
        for time in range(12):
            assert sum(self.history.valid_at(key.thumbprint, time) for key in KEYS) <= 1


TestHistories = Histories.TestCase
TestHistories.settings = settings(max_examples=30, stateful_step_count=15, deadline=None)
