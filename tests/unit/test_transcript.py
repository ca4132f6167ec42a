# SPDX-License-Identifier: Apache-2.0
"""The transcript: what is bound, what is refused, and a hand-computed challenge."""

import hashlib

import numpy as np
import pytest

from vcompute.errors import Rejected
from vcompute.field import P, default_backend
from vcompute.field.scalar import Ext
from vcompute.registry import ErrorCode
from vcompute.transcript import ProverTranscript, Transcript, VerifierTranscript


def prover() -> ProverTranscript:
    return ProverTranscript("test", default_backend())


def test_first_challenge_by_hand() -> None:
    """The state machine of the module's docstring, written out again. (VC-TRN-001, VC-TRN-002, VC-TRN-003)"""
    fed = b"vcompute transcript v1\0"
    fed += bytes([1, 8]) + b"protocol" + (4).to_bytes(8, "little") + b"test"
    fed += bytes([2, 1]) + b"n" + (8).to_bytes(8, "little") + (77).to_bytes(8, "little")
    fed += bytes([0, 1]) + b"c" + bytes(8)
    seed = hashlib.sha256(fed).digest()
    block = hashlib.sha256(seed + bytes(8)).digest()
    words = [int.from_bytes(block[i : i + 8], "little") for i in range(0, 32, 8)]
    assert all(w < P for w in words)
    transcript = Transcript("test")
    transcript.absorb_int("n", 77)
    assert transcript.challenges("c", 2) == [Ext(words[0], words[1]), Ext(words[2], words[3])]
    after = hashlib.sha256(b"vcompute ratchet v1\0" + seed + bytes([0, 1]) + b"d" + bytes(8)).digest()
    block = hashlib.sha256(after + bytes(8)).digest()
    assert transcript.challenge("d").c0 == int.from_bytes(block[:8], "little")


@pytest.mark.parametrize(
    "other",
    [
        lambda t: t.absorb_bytes("b", b"x"),
        lambda t: t.absorb_bytes("a", b"y"),
        lambda t: t.absorb_bytes("a", b"x\0"),
        lambda t: t.absorb_bytes("ax", b""),
        lambda t: t.absorb_int("a", ord("x")),
        lambda t: (t.absorb_bytes("a", b""), t.absorb_bytes("", b"x")),
        lambda t: (t.absorb_bytes("a", b"x"), t.challenge("e")),
    ],
)
def test_every_part_of_an_absorb_moves_the_challenge(other) -> None:  # type: ignore[no-untyped-def]
    first, second = Transcript("test"), Transcript("test")
    first.absorb_bytes("a", b"x")
    other(second)
    assert first.challenge("c") != second.challenge("c")
    assert Transcript("test").challenge("c") != Transcript("tesu").challenge("c")


def test_round_trip_and_agreement() -> None:
    p = prover()
    p.send_base("base", np.array([1, P - 1], dtype=np.uint64))
    p.send_ext("ext", [Ext(3, 4)])
    p.grind("work", 8)
    expected = p.challenges("c", 3), p.challenge_positions("q", 5, 20)
    p.send_bytes("tail", b"xyz")
    v = VerifierTranscript("test", p.finish())
    assert v.receive_base("base", 2).tolist() == [1, P - 1]
    assert v.receive_ext("ext", 1) == [Ext(3, 4)]
    v.check_grind("work", 8)
    assert (v.challenges("c", 3), v.challenge_positions("q", 5, 20)) == expected
    assert all(position < 1 << 20 for position in expected[1])
    assert v.receive_bytes("tail", 3) == b"xyz"
    v.finish()


def test_leftovers_truncation_and_noncanonical_words_are_refused() -> None:
    """VC-FLD-001, VC-TRN-004."""
    with pytest.raises(Rejected) as caught:
        VerifierTranscript("test", b"x").finish()
    assert caught.value.code is ErrorCode.TRAILING_BYTES
    with pytest.raises(Rejected) as caught:
        VerifierTranscript("test", bytes(15)).receive_ext("e", 1)
    assert caught.value.code is ErrorCode.TRUNCATED_PROOF
    for value in (P, 2**64 - 1):
        with pytest.raises(Rejected) as caught:
            VerifierTranscript("test", value.to_bytes(8, "little")).receive_base("e", 1)
        assert caught.value.code is ErrorCode.NONCANONICAL_ELEMENT


def test_grinding_is_checked() -> None:
    """VC-TRN-005."""
    p = prover()
    p.grind("work", 10)
    nonce = int.from_bytes(p.finish(), "little")
    VerifierTranscript("test", nonce.to_bytes(8, "little")).check_grind("work", 10)
    for wrong in range(nonce):  # the prover takes the least
        with pytest.raises(Rejected) as caught:
            VerifierTranscript("test", wrong.to_bytes(8, "little")).check_grind("work", 10)
        assert caught.value.code is ErrorCode.GRINDING
    VerifierTranscript("test", b"").check_grind("work", 0)


def test_challenges_are_rejection_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Words of p and more are skipped, not reduced. (VC-TRN-003)"""
    from vcompute import transcript as module

    monkeypatch.setattr(module, "_stream", lambda seed: iter([P, 5, 2**64 - 1, P - 1]))
    assert Transcript("test").challenge("c") == Ext(5, P - 1)
