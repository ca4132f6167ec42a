# SPDX-License-Identifier: Apache-2.0
"""L0: confidential inputs, Ed25519, quorums, rotation, revocation and evidence."""

from typing import Any

from vcompute.codec import encode
from vcompute.identity import PrivateKey, bls, hpke, sign1
from vcompute.identity.confidential import SealedInput, TaskConfiguration, commit_input
from vcompute.identity.ed25519 import FIELD, ORDER, Ed25519PrivateKey
from vcompute.identity.lifecycle import ROTATION_AAD, Measurement, Rotation, attest, enrol, recover, revoke, rotate
from vcompute.identity.quorum import Member, Quorum, QuorumCertificate, VerifierSet
from vcompute.registry import AttestationType, RevocationReason, Role
from vectors.base import Group, xof

KEYS = [PrivateKey.from_seed(f"vectors/trust/{index}".encode()) for index in range(4)]
INFO = b"vcompute/1 input"


def scalar(key: PrivateKey) -> bytes:
    """The secret of a test key."""
    return key.wrapped.private_numbers().private_value.to_bytes(32, "big")


def point(key: PrivateKey) -> bytes:
    """The public half, as HPKE writes it."""
    return hpke.public_bytes(key.wrapped.public_key())


def group() -> Group:
    """The group ``trust``."""
    result = Group("trust", "L0", "Confidential inputs, Ed25519, verifier quorums, the life of keys, evidence.")
    _hpke(result)
    _inputs(result)
    _ed25519(result)
    result.roles = ("requester", "coordinator", "verifier")  # a worker checks no certificate
    _quorums(result)
    result.roles = ()
    _lifecycle(result)
    return result


def _hpke(result: Group) -> None:
    reader, ephemeral = KEYS[0], KEYS[1]
    aad, plaintext = xof("vcompute/vectors/hpke/aad", 40), xof("vcompute/vectors/hpke/plaintext", 100)
    encapsulation, ciphertext = hpke.seal(point(reader), INFO, aad, plaintext, ephemeral=ephemeral.wrapped)
    given = {"recipient": point(reader), "info": INFO, "aad": aad, "plaintext": plaintext, "private": scalar(ephemeral)}
    out = {"encapsulation": encapsulation, "ciphertext": ciphertext}
    result.valid("hpke/seal", "hpke.seal", "VC-HPK-001", given, out)
    base = {
        "private": scalar(reader),
        "encapsulation": encapsulation,
        "info": INFO,
        "aad": aad,
        "ciphertext": ciphertext,
    }
    result.valid("hpke/open", "hpke.open", "VC-HPK-001", base, {"plaintext": plaintext})
    empty = hpke.seal(point(reader), b"", b"", b"", ephemeral=ephemeral.wrapped)
    nothing = {"private": scalar(reader), "encapsulation": empty[0], "info": b"", "aad": b"", "ciphertext": empty[1]}
    result.valid("hpke/open-empty", "hpke.open", "VC-HPK-001", nothing, {"plaintext": b""})
    closed = {
        "other-key": {"private": scalar(KEYS[2])},
        "other-info": {"info": INFO + b"\x00"},
        "other-aad": {"aad": aad[:-1]},
        "no-aad": {"aad": b""},
        "bit-of-ciphertext": {"ciphertext": bytes([ciphertext[0] ^ 1]) + ciphertext[1:]},
        "bit-of-tag": {"ciphertext": ciphertext[:-1] + bytes([ciphertext[-1] ^ 0x80])},
        "short": {"ciphertext": ciphertext[:-1]},
        "shorter-than-tag": {"ciphertext": ciphertext[:15]},
        "other-encapsulation": {"encapsulation": point(KEYS[2])},
    }
    for name, change in closed.items():
        result.refused(f"hpke/{name}", "hpke.open", "VC-HPK-002", {**base, **change}, "decryption_failed", name)
    points = {
        "empty": b"",
        "compressed": bytes([2 + (encapsulation[-1] & 1)]) + encapsulation[1:33],
        "hybrid": bytes([6 + (encapsulation[-1] & 1)]) + encapsulation[1:],
        "off-curve": encapsulation[:-1] + bytes([encapsulation[-1] ^ 1]),
        "long": encapsulation + b"\x00",
        "zero": b"\x04" + bytes(64),
        "not-reduced": b"\x04" + b"\xff" * 32 + encapsulation[33:],
    }
    for name, data in points.items():
        result.refused(
            f"hpke/point-{name}", "hpke.open", "VC-HPK-003", {**base, "encapsulation": data}, "invalid_key", name
        )


def _inputs(result: Group) -> None:
    salt, inputs = xof("vcompute/vectors/input/salt", 32), xof("vcompute/vectors/input", 64)
    for name, data in (("plain", inputs), ("empty", b""), ("digit", b"\x07")):
        result.valid(
            f"commit/{name}",
            "input.commit",
            "VC-HPK-005",
            {"salt": salt, "inputs": data},
            {"commitment": commit_input(salt, data)},
        )
    for name, bad in (("short", salt[:-1]), ("long", salt + b"\x00"), ("empty", b"")):
        result.refused(
            f"commit/salt-{name}",
            "input.commit",
            "VC-HPK-005",
            {"salt": bad, "inputs": inputs},
            "schema_violation",
            name,
        )
    fields: dict[str, Any] = {
        "task": xof("vcompute/vectors/task", 32),
        "model": xof("vcompute/vectors/model", 32),
        "commitment": commit_input(salt, inputs),
        "reader": KEYS[0].thumbprint,
        "role": Role.WORKER,
    }
    configuration = TaskConfiguration(**fields)

    def sealed(content: bytes) -> bytes:
        parts = hpke.seal(point(KEYS[0]), INFO, encode(configuration), content, ephemeral=KEYS[1].wrapped)
        return encode(SealedInput(*parts))

    good = {"configuration": encode(configuration), "private": scalar(KEYS[0]), "sealed": sealed(salt + inputs)}
    result.valid("input/open", "input.open", "VC-HPK-004 VC-HPK-005", good, {"inputs": inputs})
    for name in fields:
        other = Role.VERIFIER if name == "role" else xof(f"vcompute/vectors/other/{name}", 32)
        data = encode(TaskConfiguration(**{**fields, name: other}))
        text = f"another {name} than it was sealed for"
        given = {**good, "configuration": data}
        result.refused(f"input/other-{name}", "input.open", "VC-HPK-004 VC-HPK-007", given, "decryption_failed", text)
    mismatched = {"other-inputs": salt + inputs[:-1] + b"\x00", "other-salt": bytes(32) + inputs}
    for name, content in mismatched.items():
        given = {**good, "sealed": sealed(content)}
        result.refused(f"input/{name}", "input.open", "VC-HPK-005", given, "digest_mismatch", name)
    given = {**good, "sealed": good["sealed"] + b"\x00"}
    result.refused("input/trailing", "input.open", "VC-HPK-006", given, "malformed_encoding", "a byte too many")


def _ed25519(result: Group) -> None:
    from cryptography.hazmat.primitives.asymmetric import ed25519

    key = Ed25519PrivateKey(ed25519.Ed25519PrivateKey.from_private_bytes(xof("vcompute/vectors/ed25519", 32)))
    cose, message = key.public.cose_key, b"message"
    signature = key.sign(message)
    base = {"key": cose, "signature": signature, "message": message}
    result.valid("ed25519/good", "ed25519.verify", "VC-IDN-020 VC-IDN-021", base, {"thumbprint": key.public.thumbprint})
    s = int.from_bytes(signature[32:], "little")
    prefix, r = cose[:8], signature[:32]
    identity = (1).to_bytes(32, "little")
    cases = (
        ("message", {"message": b"Message"}, "bad_signature", "another message"),
        ("s-flipped", {"signature": r + bytes([signature[32] ^ 1]) + signature[33:]}, "bad_signature", "a bit of S"),
        ("s-plus-l", {"signature": r + (s + ORDER).to_bytes(32, "little")}, "non_canonical_signature", "S + L"),
        ("s-is-l", {"signature": r + ORDER.to_bytes(32, "little")}, "non_canonical_signature", "S = L"),
        ("r-identity", {"signature": identity + bytes(32)}, "non_canonical_signature", "R the identity"),
        ("r-order-2", {"signature": (FIELD - 1).to_bytes(32, "little") + signature[32:]}, "non_canonical_signature", "R small"),
        ("r-not-canonical", {"signature": (FIELD + 2).to_bytes(32, "little") + signature[32:]}, "non_canonical_signature", "y of R over p"),
        ("short", {"signature": signature[:-1]}, "non_canonical_signature", "63 bytes"),
        ("key-identity", {"key": prefix + identity}, "invalid_key", "the identity as a key"),
        ("key-order-4", {"key": prefix + bytes(32)}, "invalid_key", "a key of order 4"),
        ("key-not-canonical", {"key": prefix + (FIELD + 3).to_bytes(32, "little")}, "invalid_key", "y over p"),
        ("key-p256", {"key": KEYS[0].public.cose_key}, "invalid_key", "a key of another kind"),
        ("key-trailing", {"key": cose + b"\x00"}, "invalid_key", "a byte too many"),
    )  # fmt: skip
    for name, change, error, text in cases:
        result.refused(f"ed25519/{name}", "ed25519.verify", "VC-IDN-020 VC-IDN-021", {**base, **change}, error, text)


def _quorums(result: Group) -> None:
    backend = bls.load_backend()
    secrets = [int.from_bytes(xof(f"vcompute/vectors/bls/{i}", 48), "big") % bls.GROUP_ORDER for i in range(5)]
    keys = sorted((bls.SecretKey(secret, backend) for secret in secrets), key=lambda key: key.public)
    proofs = [key.prove_possession() for key in keys]
    for index, (key, proof) in enumerate(zip(keys, proofs, strict=True)):
        given = {"key": key.public, "proof": proof}
        result.valid(f"bls/key-{index}", "bls.register", "VC-QRM-001 VC-QRM-003", given, {"key": key.public})
    public, proof = keys[0].public, proofs[0]
    infinity = b"\xc0" + bytes(47)
    bad = (
        ("proof-of-another", public, proofs[1], "bad_signature", "VC-QRM-003"),
        ("signature-as-proof", public, keys[0].sign(public), "bad_signature", "VC-QRM-003"),
        ("identity", infinity, b"\xc0" + bytes(95), "invalid_key", "VC-QRM-005"),
        ("uncompressed-flag", bytes([public[0] & 0x7F]) + public[1:], proof, "invalid_key", "VC-QRM-005"),
        ("x-not-reduced", b"\x9f" + b"\xff" * 47, proof, "invalid_key", "VC-QRM-005"),
        ("key-short", public[:-1], proof, "invalid_key", "VC-QRM-005"),
        ("not-in-subgroup", b"\x80" + bytes(46) + b"\x04", proof, "invalid_key", "VC-QRM-004"),
        ("proof-identity", public, b"\xc0" + bytes(95), "non_canonical_signature", "VC-QRM-005"),
        ("proof-short", public, proof[:-1], "non_canonical_signature", "VC-QRM-005"),
    )
    for name, key_bytes, proof_bytes, error, requirement in bad:
        given = {"key": key_bytes, "proof": proof_bytes}
        result.refused(f"bls/{name}", "bls.register", requirement, given, error, name)

    members = tuple(
        Member(key.public, proof, xof(f"vcompute/vectors/device/{index}", 32))
        for index, (key, proof) in enumerate(zip(keys, proofs, strict=True))
    )
    verifier_set = VerifierSet(members, 3)
    quorum = Quorum(verifier_set, backend)
    statement = xof("vcompute/vectors/statement", 32)
    shares = {index: keys[index].sign(quorum.message(statement)) for index in range(5)}
    three = quorum.certify(statement, {index: shares[index] for index in (0, 2, 3)})
    for name, certificate, signers in (
        ("three", three, [0, 2, 3]),
        ("all", quorum.certify(statement, shares), [*range(5)]),
    ):
        given = {"verifier_set": encode(verifier_set), "certificate": encode(certificate), "statement": statement}
        out = {"digest": quorum.digest, "signers": signers}
        result.valid(f"quorum/{name}", "quorum.verify", "VC-QRM-002 VC-QRM-006 VC-QRM-007 VC-QRM-008", given, out)
    named, total = three.verifier_set, three.signature
    reordered = VerifierSet((members[1], members[0], *members[2:]), 3)
    stolen = VerifierSet((members[0], Member(members[1].key, proofs[0], members[1].device), *members[2:]), 3)
    twice = VerifierSet((members[0], Member(members[1].key, proofs[1], members[0].device), *members[2:]), 3)
    wrong: tuple[tuple[str, VerifierSet, QuorumCertificate, str, str], ...] = (
        ("one-more-signer", verifier_set, QuorumCertificate(named, statement, b"\x0f", total), "bad_signature", "VC-QRM-007"),
        ("another-signer", verifier_set, QuorumCertificate(named, statement, b"\x0b", total), "bad_signature", "VC-QRM-007"),
        ("two-signers", verifier_set, QuorumCertificate(named, statement, b"\x05", total), "quorum_not_reached", "VC-QRM-006"),
        ("no-member", verifier_set, QuorumCertificate(named, statement, b"\x2d", total), "schema_violation", "VC-QRM-007"),
        ("bits-long", verifier_set, QuorumCertificate(named, statement, b"\x0d\x00", total), "schema_violation", "VC-QRM-007"),
        ("other-set", verifier_set, QuorumCertificate(bytes(32), statement, b"\x0d", total), "statement_mismatch", "VC-QRM-007"),
        ("other-statement", verifier_set, QuorumCertificate(named, bytes(32), b"\x0d", total), "statement_mismatch", "VC-QRM-007"),
        ("lower-threshold", VerifierSet(members, 2), three, "statement_mismatch", "VC-QRM-007"),
        ("threshold-over-members", VerifierSet(members, 6), three, "schema_violation", "VC-QRM-008"),
        ("members-unordered", reordered, three, "schema_violation", "VC-QRM-008"),
        ("device-twice", twice, three, "schema_violation", "VC-QRM-008"),
        ("possession-of-another", stolen, three, "bad_signature", "VC-QRM-008"),
    )  # fmt: skip
    for name, of_set, certificate, error, requirement in wrong:
        given = {"verifier_set": encode(of_set), "certificate": encode(certificate), "statement": statement}
        result.refused(f"quorum/{name}", "quorum.verify", requirement, given, error, name)
    given = {"verifier_set": encode(verifier_set), "certificate": encode(three) + b"\x00", "statement": statement}
    result.refused("quorum/trailing", "quorum.verify", "VC-QRM-009", given, "malformed_encoding", "a byte too many")


def _recovery(result: Group, given: Any, names: list[bytes]) -> None:
    """What a recovery key may do, and that it is named once."""
    behind = ("enrolment", enrol(KEYS[0], Role.WORKER, 120, names[3]))
    stolen = ("rotation", rotate(KEYS[0], KEYS[1], 1, 200))
    ended = ("revocation", revoke(KEYS[3], names[1], 250, RevocationReason.COMPROMISED))
    back = ("rotation", recover(KEYS[3], names[1], KEYS[2], 2, 300))
    carried = ("rotation", rotate(KEYS[0], KEYS[1], 1, 200, (names[2], names[3])))
    good = (
        ("carried", "VC-KEY-004", [carried], 1, 200, 1, True),
        ("recovered", "VC-KEY-014", [behind, stolen, ended, back], 2, 300, 2, True),
        ("recovered-twice", "VC-KEY-014", [behind, behind, stolen, ended, back, back], 2, 300, 2, True),
        ("recovered-unrevoked", "VC-KEY-014", [behind, stolen, back], 1, 300, 2, False),
        ("revoked-by-recovery", "VC-KEY-014", [behind, stolen, ended], 1, 250, 1, False),
    )
    for name, requirement, records, key, time, current, valid in good:
        out = {"current": names[current], "valid": valid}
        result.valid(f"history/{name}", "key.history", requirement, given(records, key, time), out)
    other = ("enrolment", enrol(KEYS[0], Role.WORKER, 120, names[2]))
    foreign = ("enrolment", enrol(KEYS[3], Role.WORKER, 120, names[2]))
    to_recovery = ("rotation", rotate(KEYS[0], KEYS[3], 1, 200))
    bad = (
        ("enrols-otherwise", [behind, other], "operation_conflict"),
        ("enrols-late", [stolen, behind], "operation_conflict"),
        ("enrolled-by-another", [foreign], "unexpected_signer"),
        ("recovery-unknown", [stolen, back], "unexpected_signer"),
        ("recovery-out-of-sequence", [behind, ("rotation", recover(KEYS[3], names[0], KEYS[2], 2, 300))], "schema_violation"),
        ("recovery-of-another-key", [behind, stolen, ("rotation", recover(KEYS[3], names[0], KEYS[2], 2, 300))], "unexpected_signer"),
        ("recovery-key-as-device-key", [behind, to_recovery], "key_reused"),
        ("thief-after-revocation", [behind, stolen, ended, ("rotation", rotate(KEYS[1], KEYS[2], 2, 300))], "unexpected_signer"),
    )  # fmt: skip
    for name, records, error in bad:
        result.refused(f"history/{name}", "key.history", "VC-KEY-014", given(list(records), 0, 200), error, name)


def _lifecycle(result: Group) -> None:
    first, second = rotate(KEYS[0], KEYS[1], 1, 200), rotate(KEYS[1], KEYS[2], 2, 300)
    lost = revoke(KEYS[1], KEYS[0].thumbprint, 150, RevocationReason.COMPROMISED)
    names = [key.thumbprint for key in KEYS]

    def given(records: list[tuple[str, bytes]], key: int, time: int) -> dict[str, Any]:
        return {
            "enrolled": names[0],
            "since": 100,
            "records": [list(item) for item in records],
            "key": names[key],
            "time": time,
        }

    one, two, gone = ("rotation", first), ("rotation", second), ("revocation", lost)
    good = (
        ("enrolled", [], 0, 100, 0, True),
        ("before-enrolment", [], 0, 99, 0, False),
        ("old-key-before", [one], 0, 199, 1, True),
        ("old-key-after", [one], 0, 200, 1, False),
        ("new-key-before", [one], 1, 199, 1, False),
        ("new-key-after", [one], 1, 200, 1, True),
        ("replayed", [one, one], 1, 200, 1, True),
        ("twice", [one, two], 2, 300, 2, True),
        ("revoked-before", [one, gone], 0, 149, 1, True),
        ("revoked-after", [one, gone], 0, 150, 1, False),
        ("stranger", [one], 3, 250, 1, False),
    )
    for name, records, key, time, current, valid in good:
        requirements = "VC-IDN-032" if "revoked" in name else "VC-IDN-030"
        out = {"current": names[current], "valid": valid}
        result.valid(f"history/{name}", "key.history", requirements, given(records, key, time), out)
    consent = rotate(KEYS[3], KEYS[1], 1, 200)
    no_consent = sign1(KEYS[0], encode(Rotation(b"nothing", 200)), ROTATION_AAD)
    revoked = ("revocation", revoke(KEYS[0], names[0], 150, RevocationReason.DEVICE_LOST))
    bad = (
        ("by-stranger", [("rotation", consent)], "unexpected_signer", "VC-IDN-031"),
        ("by-old-key", [one, ("rotation", rotate(KEYS[0], KEYS[2], 2, 300))], "unexpected_signer", "VC-IDN-031"),
        ("after-revocation", [revoked, one], "unexpected_signer", "VC-IDN-032"),
        ("out-of-sequence", [("rotation", rotate(KEYS[0], KEYS[1], 2, 200))], "schema_violation", "VC-IDN-031"),
        ("before-enrolment", [("rotation", rotate(KEYS[0], KEYS[1], 1, 99))], "schema_violation", "VC-IDN-031"),
        ("key-comes-back", [one, ("rotation", rotate(KEYS[1], KEYS[0], 2, 300))], "key_reused", "VC-IDN-031"),
        ("no-consent", [("rotation", no_consent)], "malformed_encoding", "VC-IDN-031"),
        ("wrong-purpose", [("revocation", first)], "bad_signature", "VC-IDN-034"),
        ("bit", [("rotation", first[:-1] + bytes([first[-1] ^ 1]))], "bad_signature", "VC-IDN-034"),
        ("revoked-by-stranger", [("revocation", revoke(KEYS[3], names[0], 1, RevocationReason.WITHDRAWN))], "unexpected_signer", "VC-IDN-032"),
        ("revoked-by-older-key", [one, ("revocation", revoke(KEYS[0], names[1], 1, RevocationReason.WITHDRAWN))], "unexpected_signer", "VC-IDN-032"),
        ("revoked-unknown", [("revocation", revoke(KEYS[0], names[3], 1, RevocationReason.WITHDRAWN))], "invalid_key", "VC-IDN-032"),
    )  # fmt: skip
    for name, records, error, requirement in bad:
        result.refused(f"history/{name}-refused", "key.history", requirement, given(list(records), 0, 200), error, name)

    _recovery(result, given, names)
    nonce, measurement = b"challenge", Measurement(AttestationType.ANDROID_KEY, b"certificates")
    evidence = attest(KEYS[0], nonce, 1_700_000_000, measurement)
    out = {"key": names[0], "type": int(measurement.type), "data": measurement.data}
    result.valid("evidence/good", "evidence.open", "VC-IDN-033", {"bytes": evidence, "nonce": nonce}, out)
    stale = {"bytes": evidence, "nonce": b"another challenge"}
    result.refused("evidence/stale", "evidence.open", "VC-IDN-033", stale, "evidence_stale", "another challenge")
    other = {"bytes": first, "nonce": nonce}
    result.refused("evidence/rotation", "evidence.open", "VC-IDN-034", other, "bad_signature", "another record")
