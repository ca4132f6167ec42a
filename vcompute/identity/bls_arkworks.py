# SPDX-License-Identifier: Apache-2.0
"""The fast BLS backend, over py_arkworks_bls12381 (extra ``bls``)."""

from collections.abc import Sequence
from typing import Final

from py_arkworks_bls12381 import GT, G1Point, G2Point, Scalar


class Arkworks:
    """See :class:`vcompute.identity.bls.Backend`. The package raises ValueError alone for bytes that are no point."""

    def public_key(self, secret: int) -> bytes:
        """See the interface."""
        return bytes((G1Point() * _scalar(secret)).to_compressed_bytes())

    def sign(self, secret: int, message: bytes, dst: bytes) -> bytes:
        """See the interface."""
        return bytes((G2Point.hash_to_curve(message, dst) * _scalar(secret)).to_compressed_bytes())

    def key_in_group(self, key: bytes) -> bool:
        """See the interface."""
        try:
            G1Point.from_compressed_bytes(key)
        except ValueError:
            return False
        return True

    def aggregate(self, signatures: Sequence[bytes]) -> bytes | None:
        """See the interface."""
        try:
            points = [G2Point.from_compressed_bytes(signature) for signature in signatures]
        except ValueError:
            return None
        return bytes(sum(points[1:], points[0]).to_compressed_bytes())

    def verify(self, keys: Sequence[bytes], message: bytes, signature: bytes, dst: bytes) -> bool:
        """See the interface."""
        try:
            point = G2Point.from_compressed_bytes(signature)
            total = sum(
                (G1Point.from_compressed_bytes_unchecked(key) for key in keys), G1Point.identity()
            )  # registered
        except ValueError:
            return False
        if total == G1Point.identity():
            return False
        return GT.pairing_check([total, -G1Point()], [G2Point.hash_to_curve(message, dst), point])


def _scalar(value: int) -> Scalar:
    return Scalar.from_be_bytes(value.to_bytes(32, "big"))


BACKEND: Final = Arkworks()
