# SPDX-License-Identifier: Apache-2.0
"""VC-QRM: aggregate signatures of verifiers, two backends against each other and published answers."""

from hashlib import sha256

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vcompute.codec import decode, encode
from vcompute.errors import EncodingError, ProtocolError, UsageError
from vcompute.identity import bls
from vcompute.identity.quorum import Member, Quorum, QuorumCertificate, VerifierSet
from vcompute.registry import ErrorCode

FAST, REFERENCE = bls.load_backend("arkworks"), bls.load_backend("reference")
BACKENDS = [FAST, REFERENCE]

# Known answers of the ciphersuite that the consensus clients of Ethereum test against (github: bls12-381-tests).
SECRETS = [
    0x263DBD792F5B1BE47ED85F8938C0F29586AF0D3AC7B977F21C278FE1462040E3,
    0x47B8192D77BF871B62E87859D653922725724A5C031AFEABC60BCEF5FF665138,
    0x328388AFF0D4A5B7DC9205ABD374E7E98F3CD9F3418EDB4EAFDA5FB16473D216,
]
KEYS = [
    "a491d1b0ecd9bb917989f0e74f0dea0422eac4a873e5e2644f368dffb9a6e20fd6e10c1b77654d067c0618f6e5a7f79a",
    "b301803f8b5ac4a1133581fc676dfedc60d891dd5fa99028805e5ea5b08d3491af75d0707adab3b70c6a6a580217bf81",
    "b53d21a4cfd562c469cc81514d4ce5a6b577d8403d32a394dc265dd190b47fa9f829fdd7963afdf972e5e77854051f6f",
]
SIGNATURES_OF_ZEROS = [
    "b6ed936746e01f8ecf281f020953fbf1f01debd5657c4a383940b020b26507f6076334f91e2366c96e9ab279fb515809"
    "0352ea1c5b0c9274504f4f0e7053af24802e51e4568d164fe986834f41e55c8e850ce1f98458c0cfc9ab380b55285a55",
    "b23c46be3a001c63ca711f87a005c200cc550b9429d5f4eb38d74322144f1b63926da3388979e5321012fb1a0526bcd1"
    "00b5ef5fe72628ce4cd5e904aeaa3279527843fae5ca9ca675f4f51ed8f83bbf7155da9ecc9663100a885d5dc6df96d9",
    "948a7cb99f76d616c2c564ce9bf4a519f1bea6b0a624a02276443c245854219fabb8d4ce061d255af5330b078d538068"
    "1751aa7053da2c98bae898edc218c75f07e24d8802a17cd1f6833b71e58f5eb5b94208b4d0bb3848cecb075ea21be115",
]
ZEROS = bytes(32)
PROOFS = [FAST.sign(secret, bytes.fromhex(key), bls.POP_DST) for secret, key in zip(SECRETS, KEYS, strict=True)]


def code_of(action: object, *arguments: object) -> ErrorCode:
    with pytest.raises(ProtocolError) as caught:
        action(*arguments)  # type: ignore[operator]
    return caught.value.code


@pytest.mark.parametrize("backend", BACKENDS, ids=["arkworks", "reference"])
def test_published_answers(backend: bls.Backend) -> None:
    """VC-QRM-001: keys and signatures of the ciphersuite, byte for byte."""
    for secret, key, signature in zip(SECRETS, KEYS, SIGNATURES_OF_ZEROS, strict=True):
        own = bls.SecretKey(secret, backend)
        assert own.public.hex() == key
        assert own.sign(ZEROS).hex() == signature


@pytest.mark.parametrize("backend", BACKENDS, ids=["arkworks", "reference"])
def test_aggregate_of_possessed_keys(backend: bls.Backend) -> None:
    """VC-QRM-002: an aggregate verifies under all its keys, and under no fewer, more or other message."""
    keys = [bls.register(FAST, bytes.fromhex(key), proof) for key, proof in zip(KEYS, PROOFS, strict=True)]
    total = bls.aggregate(backend, [bytes.fromhex(item) for item in SIGNATURES_OF_ZEROS])
    assert total == bls.aggregate(FAST, [bytes.fromhex(item) for item in reversed(SIGNATURES_OF_ZEROS)])
    bls.verify(backend, keys, ZEROS, total)
    assert code_of(bls.verify, backend, keys[:2], ZEROS, total) is ErrorCode.BAD_SIGNATURE
    assert code_of(bls.verify, backend, [], ZEROS, total) is ErrorCode.BAD_SIGNATURE
    assert code_of(bls.verify, FAST, keys, b"\x01" * 32, total) is ErrorCode.BAD_SIGNATURE
    assert code_of(bls.aggregate, backend, []) is ErrorCode.NON_CANONICAL_SIGNATURE


def g1_minus(minuend: bytes, subtrahend: bytes) -> bytes:
    from py_ecc.bls.g2_primitives import G1_to_pubkey, pubkey_to_G1
    from py_ecc.optimized_bls12_381 import add, neg

    return bytes(G1_to_pubkey(add(pubkey_to_G1(minuend), neg(pubkey_to_G1(subtrahend)))))


@pytest.mark.parametrize("backend", BACKENDS, ids=["arkworks", "reference"])
def test_a_rogue_key_forges_and_is_kept_out(backend: bls.Backend) -> None:
    """VC-QRM-003: the forgery that aggregation without possession admits is real, and registration refuses its key."""
    victim, attacker = bytes.fromhex(KEYS[0]), SECRETS[1]
    rogue = g1_minus(FAST.public_key(attacker), victim)
    forged = FAST.sign(attacker, ZEROS, bls.SIGN_DST)
    assert backend.verify([victim, rogue], ZEROS, forged, bls.SIGN_DST)
    proofs = (FAST.sign(attacker, rogue, bls.POP_DST), PROOFS[0], PROOFS[1])
    for proof in proofs if backend is FAST else proofs[:1]:
        assert code_of(bls.register, backend, rogue, proof) is ErrorCode.BAD_SIGNATURE


def test_possession_is_not_a_signature() -> None:
    """VC-QRM-003: the two domains do not mix: a signature on a key's bytes proves no possession."""
    own = bls.SecretKey(SECRETS[0], FAST)
    assert code_of(bls.register, FAST, own.public, own.sign(own.public)) is ErrorCode.BAD_SIGNATURE
    assert repr(own) == "SecretKey(...)"
    for scalar in (0, bls.GROUP_ORDER):
        assert code_of(bls.SecretKey, scalar, FAST) is ErrorCode.INVALID_KEY


def outside_subgroup(size: int) -> bytes:
    """A point of the curve that is not in the subgroup, found by counting up x."""
    from py_ecc.bls.g2_primitives import pubkey_to_G1, signature_to_G2, subgroup_check

    for x in range(1, 200):
        candidate = bytes([0x80]) + bytes(size - 2) + bytes([x])
        try:
            point = pubkey_to_G1(candidate) if size == bls.KEY_SIZE else signature_to_G2(candidate)
        except ValueError:
            continue
        if not subgroup_check(point):
            return candidate
    raise AssertionError("no point found")


@pytest.mark.parametrize("backend", BACKENDS, ids=["arkworks", "reference"])
def test_points_outside_the_subgroup(backend: bls.Backend) -> None:
    """VC-QRM-004: keys and signatures outside the prime-order subgroup are refused."""
    key, signature = outside_subgroup(bls.KEY_SIZE), outside_subgroup(bls.SIGNATURE_SIZE)
    assert code_of(bls.register, backend, key, PROOFS[0]) is ErrorCode.INVALID_KEY
    assert code_of(bls.aggregate, backend, [signature]) is ErrorCode.NON_CANONICAL_SIGNATURE
    possessed = [bls.PossessedKey(bytes.fromhex(KEYS[0]))]
    assert code_of(bls.verify, backend, possessed, ZEROS, signature) is ErrorCode.BAD_SIGNATURE


def malformed(data: bytes) -> list[bytes]:
    infinity = bytes([0xC0]) + bytes(len(data) - 1)
    over = bytes([0x9F]) + b"\xff" * (len(data) - 1)
    return [b"", data[:-1], data + b"\x00", bytes([data[0] & 0x7F]) + data[1:], infinity, over, bytes(len(data))]


@pytest.mark.parametrize("backend", BACKENDS, ids=["arkworks", "reference"])
def test_one_encoding(backend: bls.Backend) -> None:
    """VC-QRM-005: the identity, wrong flags, lengths and coordinates over the field are refused."""
    for key in malformed(bytes.fromhex(KEYS[0])):
        assert code_of(bls.register, backend, key, PROOFS[0]) is ErrorCode.INVALID_KEY
    possessed = [bls.PossessedKey(bytes.fromhex(KEYS[0]))]
    for signature in malformed(bytes.fromhex(SIGNATURES_OF_ZEROS[0])):
        assert code_of(bls.verify, backend, possessed, ZEROS, signature) is ErrorCode.NON_CANONICAL_SIGNATURE


@pytest.mark.parametrize("seed", range(6))
def test_backends_agree_on_mutants(seed: int) -> None:
    """VC-QRM-005: whatever the bytes, both backends give the same verdict."""
    noise = sha256(bytes([seed])).digest()
    key, signature = bytearray.fromhex(KEYS[seed % 3]), bytearray.fromhex(SIGNATURES_OF_ZEROS[seed % 3])
    key[noise[0] % 48] ^= 1 << noise[1] % 8
    signature[noise[2] % 96] ^= 1 << noise[3] % 8
    assert FAST.key_in_group(bytes(key)) == REFERENCE.key_in_group(bytes(key))
    assert FAST.aggregate([bytes(signature)]) == REFERENCE.aggregate([bytes(signature)])


def test_backend_by_name() -> None:
    """VC-QRM-001: the fast backend is the default; an unknown name is a usage error."""
    assert bls.load_backend() is FAST
    with pytest.raises(UsageError):
        bls.load_backend("other")


def make_set(count: int, threshold: int) -> tuple[VerifierSet, list[bls.SecretKey]]:
    secrets = sorted((bls.SecretKey(1000 + i, FAST) for i in range(count)), key=lambda secret: secret.public)
    members = tuple(
        Member(secret.public, secret.prove_possession(), sha256(secret.public).digest()) for secret in secrets
    )
    return VerifierSet(members, threshold), secrets


SET, MEMBERS = make_set(10, 7)
QUORUM = Quorum(SET, FAST)
STATEMENT = sha256(b"a batch of receipts").digest()


def shares(count: int, statement: bytes = STATEMENT) -> dict[int, bytes]:
    return {index: MEMBERS[index].sign(QUORUM.message(statement)) for index in range(count)}


def test_certificate_of_a_quorum() -> None:
    """VC-QRM-006: a certificate names its signers and verifies; below the threshold there is none."""
    certificate = decode(QuorumCertificate, encode(QUORUM.certify(STATEMENT, shares(8))))
    assert QUORUM.verify(certificate, STATEMENT) == tuple(range(8))
    assert code_of(QUORUM.certify, STATEMENT, shares(6)) is ErrorCode.QUORUM_NOT_REACHED
    bad = shares(8) | {3: MEMBERS[4].sign(QUORUM.message(STATEMENT))}
    assert code_of(QUORUM.certify, STATEMENT, bad) is ErrorCode.BAD_SIGNATURE
    assert code_of(QUORUM.certify, STATEMENT, {11: b""}) is ErrorCode.SCHEMA_VIOLATION


def test_certificate_claims_no_more_than_was_signed() -> None:
    """VC-QRM-007: other signers, statement, set or threshold: each is refused."""
    good = QUORUM.certify(STATEMENT, shares(7))
    name, bits, total = good.verifier_set, good.signers, good.signature
    more = bytes([0xFF, bits[1]])
    cases = [
        (QuorumCertificate(name, STATEMENT, more, total), ErrorCode.BAD_SIGNATURE),
        (QuorumCertificate(name, STATEMENT, bytes([0x3F, 0]), total), ErrorCode.QUORUM_NOT_REACHED),
        (QuorumCertificate(name, STATEMENT, bytes([0x7F, 0x80]), total), ErrorCode.SCHEMA_VIOLATION),
        (QuorumCertificate(name, STATEMENT, bytes([0x7F]), total), ErrorCode.SCHEMA_VIOLATION),
        (QuorumCertificate(bytes(32), STATEMENT, bits, total), ErrorCode.STATEMENT_MISMATCH),
        (QuorumCertificate(name, bytes(32), bits, total), ErrorCode.STATEMENT_MISMATCH),
    ]
    for certificate, code in cases:
        assert code_of(QUORUM.verify, certificate, STATEMENT) is code
    weaker = Quorum(VerifierSet(SET.members, 1), FAST)
    alone = weaker.certify(STATEMENT, {0: MEMBERS[0].sign(weaker.message(STATEMENT))})
    assert code_of(QUORUM.verify, alone, STATEMENT) is ErrorCode.STATEMENT_MISMATCH
    renamed = QuorumCertificate(QUORUM.digest, STATEMENT, more, alone.signature)
    assert code_of(QUORUM.verify, renamed, STATEMENT) is ErrorCode.BAD_SIGNATURE


def test_verifier_sets_are_well_formed() -> None:
    """VC-QRM-008: order, doubles and thresholds; each member's possession is checked."""
    members = SET.members
    twin = Member(members[1].key, members[1].possession, members[0].device)
    stolen = Member(members[1].key, members[0].possession, members[1].device)
    cases = [
        (VerifierSet(members[::-1], 2), ErrorCode.SCHEMA_VIOLATION),
        (VerifierSet((members[0], members[0]), 2), ErrorCode.SCHEMA_VIOLATION),
        (VerifierSet((members[0], twin), 2), ErrorCode.SCHEMA_VIOLATION),
        (VerifierSet(members, 11), ErrorCode.SCHEMA_VIOLATION),
        (VerifierSet((members[0], stolen), 2), ErrorCode.BAD_SIGNATURE),
    ]
    for verifier_set, code in cases:
        assert code_of(Quorum, verifier_set, FAST) is code


@given(raw=st.binary(max_size=300), cls=st.sampled_from([VerifierSet, QuorumCertificate]))
@settings(max_examples=200, deadline=None)
def test_decoders(raw: bytes, cls: type) -> None:
    """VC-QRM-009: any bytes round-trip or are refused with a typed error."""
    try:
        assert encode(decode(cls, raw)) == raw
    except EncodingError:
        return
