# SPDX-License-Identifier: Apache-2.0
"""Operations on keys, envelopes and messages."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric import ec

from vcompute.conformance.wire import to_bytes, to_text
from vcompute.identity import PrivateKey, PublicKey, open1, sign1
from vcompute.messages import message_type, open_message


def private_key(request: Mapping[str, Any]) -> PrivateKey:
    """The private key that a request names by its scalar, 32 bytes, big-endian."""
    secret = int.from_bytes(to_bytes(request["private"]), "big")
    return PrivateKey(ec.derive_private_key(secret, ec.SECP256R1()))


def key_thumbprint(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{key}``, a COSE_Key -> ``{thumbprint}``."""
    return {"thumbprint": to_text(PublicKey(to_bytes(request["key"])).thumbprint)}


def envelope_open(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes, aad}`` -> ``{signer, payload, digest}``."""
    sealed = open1(to_bytes(request["bytes"]), to_bytes(request["aad"]))
    return {
        "signer": to_text(sealed.signer.thumbprint),
        "payload": to_text(sealed.payload),
        "digest": to_text(sealed.digest),
    }


def envelope_seal(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{private, payload, aad}`` -> ``{bytes}``."""
    return {"bytes": to_text(sign1(private_key(request), to_bytes(request["payload"]), to_bytes(request["aad"])))}


def message_open(request: Mapping[str, Any]) -> Mapping[str, Any]:
    """``{bytes}`` -> ``{type, signer, digest}`` of a signed message."""
    message = open_message(to_bytes(request["bytes"]))
    return {
        "type": int(message_type(message.body)),
        "signer": to_text(message.signer),
        "digest": to_text(message.digest),
    }


OPERATIONS: Final[dict[str, Callable[[Mapping[str, Any]], Mapping[str, Any]]]] = {
    "key.thumbprint": key_thumbprint,
    "envelope.open": envelope_open,
    "envelope.seal": envelope_seal,
    "message.open": message_open,
}
