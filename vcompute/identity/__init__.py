# SPDX-License-Identifier: Apache-2.0
"""Who signed: P-256 device keys, their names, and COSE_Sign1 envelopes (RFC 9052, RFC 9679)."""

from vcompute.identity.cose import MAX_PAYLOAD, Sealed, open1, reopen1, sign1
from vcompute.identity.keyring import Keyring
from vcompute.identity.keys import PrivateKey, PublicKey
from vcompute.identity.storage import load_key, save_key

__all__ = [
    "MAX_PAYLOAD",
    "Keyring",
    "PrivateKey",
    "PublicKey",
    "Sealed",
    "load_key",
    "open1",
    "reopen1",
    "save_key",
    "sign1",
]
