# SPDX-License-Identifier: Apache-2.0
"""The reference BLS backend, over py_ecc: readable, two hundred times slower, the oracle of the fast one."""

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from eth_typing import BLSPubkey, BLSSignature
from py_ecc.bls.g2_primitives import (
    G1_to_pubkey,
    G2_to_signature,
    pubkey_to_G1,
    signature_to_G2,
    subgroup_check,
)
from py_ecc.bls.hash_to_curve import hash_to_G2
from py_ecc.bls.typing import G2Uncompressed
from py_ecc.optimized_bls12_381 import (
    FQ12,
    G1,
    Z1,
    add,
    final_exponentiate,
    is_inf,
    multiply,
    neg,
    pairing,
)


def _hash(message: bytes, dst: bytes) -> G2Uncompressed:
    return hash_to_G2(message, dst, sha256)  # type: ignore[arg-type]  # py_ecc annotates the state, not the class


class Reference:
    """See :class:`vcompute.identity.bls.Backend`. py_ecc raises ValueError alone for bytes that are no point."""

    def public_key(self, secret: int) -> bytes:
        """See the interface."""
        return bytes(G1_to_pubkey(multiply(G1, secret)))

    def sign(self, secret: int, message: bytes, dst: bytes) -> bytes:
        """See the interface."""
        return bytes(G2_to_signature(multiply(_hash(message, dst), secret)))

    def key_in_group(self, key: bytes) -> bool:
        """See the interface."""
        try:
            return bool(subgroup_check(pubkey_to_G1(BLSPubkey(key))))
        except ValueError:
            return False

    def aggregate(self, signatures: Sequence[bytes]) -> bytes | None:
        """See the interface."""
        try:
            points = [signature_to_G2(BLSSignature(signature)) for signature in signatures]
        except ValueError:
            return None
        total = points[0]
        for point in points[1:]:
            total = add(total, point)
        return bytes(G2_to_signature(total)) if all(subgroup_check(point) for point in points) else None

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes, dst: bytes) -> bool:
        """See the interface."""
        try:
            point = signature_to_G2(BLSSignature(signature))
            total = Z1
            for key in keys:
                total = add(total, pubkey_to_G1(BLSPubkey(key)))
        except ValueError:
            return False
        if is_inf(total) or not subgroup_check(point):
            return False
        left = pairing(_hash(message, dst), total, final_exponentiate=False)
        right = pairing(point, neg(G1), final_exponentiate=False)
        return bool(final_exponentiate(left * right) == FQ12.one())


BACKEND: Final = Reference()
