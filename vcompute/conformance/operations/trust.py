# SPDX-License-Identifier: Apache-2.0
"""Operations on confidential inputs, other signature schemes, quorums and the life of keys."""

from collections.abc import Callable, Mapping
from importlib.util import find_spec
from typing import Any, Final

from vcompute.codec import decode, encode
from vcompute.conformance.operations.messages import private_key
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.errors import UsageError
from vcompute.identity import bls, hpke
from vcompute.identity.confidential import SealedInput, TaskConfiguration, commit_input, open_input
from vcompute.identity.ed25519 import Ed25519PublicKey
from vcompute.identity.history import KeyHistory
from vcompute.identity.lifecycle import open_evidence
from vcompute.identity.quorum import Quorum, QuorumCertificate, VerifierSet

Request = Mapping[str, Any]


def hpke_seal(request: Request) -> Request:
    """``{recipient, info, aad, plaintext, private}``, the ephemeral key -> ``{encapsulation, ciphertext}``."""
    encapsulation, ciphertext = hpke.seal(
        to_bytes(request["recipient"]),
        to_bytes(request["info"]),
        to_bytes(request["aad"]),
        to_bytes(request["plaintext"]),
        ephemeral=private_key(request).wrapped,
    )
    return {"encapsulation": to_text(encapsulation), "ciphertext": to_text(ciphertext)}


def hpke_open(request: Request) -> Request:
    """``{private, encapsulation, info, aad, ciphertext}`` -> ``{plaintext}``."""
    parts = [to_bytes(request[name]) for name in ("encapsulation", "info", "aad", "ciphertext")]
    return {"plaintext": to_text(hpke.open_sealed(private_key(request).wrapped, *parts))}


def input_commit(request: Request) -> Request:
    """``{salt, inputs}`` -> ``{commitment}``."""
    return {"commitment": to_text(commit_input(to_bytes(request["salt"]), to_bytes(request["inputs"])))}


def input_open(request: Request) -> Request:
    """``{configuration, private, sealed}``, encoded records -> ``{inputs}``."""
    configuration = decode(TaskConfiguration, to_bytes(request["configuration"]))
    sealed = decode(SealedInput, to_bytes(request["sealed"]))
    return {"inputs": to_text(open_input(configuration, private_key(request).wrapped, sealed))}


def ed25519_verify(request: Request) -> Request:
    """``{key, signature, message}``, the key as COSE_Key -> ``{thumbprint}``."""
    key = Ed25519PublicKey(to_bytes(request["key"]))
    key.verify(to_bytes(request["signature"]), to_bytes(request["message"]))
    return {"thumbprint": to_text(key.thumbprint)}


def key_history(request: Request) -> Request:
    """``{enrolled, since, records, key, time}``, records as ``[kind, bytes]`` -> ``{current, valid}``."""
    history = KeyHistory(to_bytes(request["enrolled"]), int(request["since"]))
    apply = {
        "enrolment": history.apply_enrolment,
        "rotation": history.apply_rotation,
        "revocation": history.apply_revocation,
    }
    for kind, data in request["records"]:
        if kind not in apply:
            raise UsageError("a record is an enrolment, a rotation or a revocation", got=kind)
        apply[kind](to_bytes(data))
    valid = history.valid_at(to_bytes(request["key"]), int(request["time"]))
    return {"current": to_text(history.current), "valid": valid}


def evidence_open(request: Request) -> Request:
    """``{bytes, nonce}`` -> ``{key, type, data}``."""
    evidence = open_evidence(to_bytes(request["bytes"]), to_bytes(request["nonce"]))
    kind, data = evidence.measurement.type, evidence.measurement.data
    return {"key": to_text(evidence.confirmation.kid), "type": int(kind), "data": to_text(data)}


def bls_register(request: Request) -> Request:
    """``{key, proof}`` -> ``{key}`` of a key whose possession is proved."""
    key = bls.register(bls.load_backend(), to_bytes(request["key"]), to_bytes(request["proof"]))
    return {"key": to_text(key.key)}


def quorum_verify(request: Request) -> Request:
    """``{verifier_set, certificate, statement}``, encoded records -> ``{digest, signers}``."""
    verifier_set = decode(VerifierSet, to_bytes(request["verifier_set"]))
    certificate = decode(QuorumCertificate, to_bytes(request["certificate"]))
    quorum = Quorum(verifier_set, bls.load_backend())
    signers = quorum.verify(certificate, to_bytes(request["statement"]))
    return {"digest": to_text(quorum.digest), "signers": list(signers)}


def configuration_encode(request: Request) -> Request:
    """``{bytes}`` -> ``{bytes}``: the task configuration read and written again."""
    return {"bytes": to_text(encode(decode(TaskConfiguration, to_bytes(request["bytes"]))))}


_NEEDS_BACKEND: Final = {"bls.register": bls_register, "quorum.verify": quorum_verify}
_HAS_BACKEND: Final = any(find_spec(name) is not None for name in ("py_arkworks_bls12381", "py_ecc"))

OPERATIONS: Final[dict[str, Callable[[Request], Request]]] = {
    "hpke.seal": hpke_seal,
    "hpke.open": hpke_open,
    "input.commit": input_commit,
    "input.open": input_open,
    "configuration.encode": configuration_encode,
    "ed25519.verify": ed25519_verify,
    "key.history": key_history,
    "evidence.open": evidence_open,
    **(_NEEDS_BACKEND if _HAS_BACKEND else {}),
}
"""Without the extra ``bls`` the operations of quorums are unsupported."""
