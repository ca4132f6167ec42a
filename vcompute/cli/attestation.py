# SPDX-License-Identifier: Apache-2.0
"""The attestation options of the commands: who vouches, and what it is worth."""

from pathlib import Path
from typing import TYPE_CHECKING

from vcompute.cli.party import thumbprint
from vcompute.errors import UsageError

if TYPE_CHECKING:
    from vcompute.identity.lifecycle import Measurement
    from vcompute.node.worker import Attester
    from vcompute.policy.attestation import AttestationPolicy


def policy_of(weight: str, attesters: tuple[str, ...]) -> "AttestationPolicy":
    """A coordinator's policy from its options.

    Raises:
        UsageError: evidence counts and nobody is trusted, or a thumbprint is none.
    """
    from vcompute.identity.attestation import TokenAppraiser
    from vcompute.policy.attestation import AttestationPolicy, Weight
    from vcompute.registry import AttestationType

    if (weight != "ignore") != bool(attesters):
        raise UsageError("--attestation prefer or require needs --trust-attester, which needs one of them")
    trusted = frozenset(thumbprint(text) for text in attesters)
    return AttestationPolicy(Weight(weight), {AttestationType.ATTESTER_TOKEN: TokenAppraiser(trusted)})


def attester_of(path: Path | None, ueid: str | None) -> "Attester | None":
    """An attester in software whose key lies in a file: for fleets whose owner vouches for them.

    Raises:
        UsageError: one option without the other, an unreadable key, or a name that is none.
    """
    import time

    from vcompute.identity import load_key
    from vcompute.identity.attestation import issue_token
    from vcompute.identity.lifecycle import Measurement
    from vcompute.registry import AttestationType

    if path is None and ueid is None:
        return None
    try:
        device = bytes.fromhex(ueid or "")
    except ValueError:
        device = b""
    if path is None or not 7 <= len(device) <= 33:
        raise UsageError("--attester-key and --ueid go together; a UEID is 7 to 33 bytes in hexadecimal", got=ueid)
    attester = load_key(path)

    def vouch(key: bytes, nonce: bytes) -> "Measurement":
        return Measurement(
            AttestationType.ATTESTER_TOKEN, issue_token(attester, key, nonce, time.time_ns() // 1_000_000_000, device)
        )

    return vouch
