# SPDX-License-Identifier: Apache-2.0
"""Who vouches for a device key: attester tokens and the appraisal of evidence.

Evidence is an Entity Attestation Token (RFC 9711) that the device key itself signs for the coordinator's challenge; it
carries what the platform says. One platform statement is of this library: the *attester token*, an Entity Attestation
Token signed by an attester whose key the operator trusts. For the others (Android key attestation, App Attest, TPM) an
operator brings an :class:`Appraiser` of its own.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final, Protocol

from vcompute.codec import Bool, Bytes, Enum, Int, Record, Text, decode, encode, field
from vcompute.errors import ProtocolError
from vcompute.identity.cose import open1, sign1
from vcompute.identity.keys import PrivateKey
from vcompute.identity.lifecycle import EAT_PROFILE, Confirmation, Evidence, open_evidence
from vcompute.registry import AttestationType, ErrorCode

TOKEN_AAD: Final = b"vcompute/1/attester-token"
MAX_AGE: Final = 600
"""Seconds between the issue of a token or evidence and its appraisal, either way."""


@unique
class DebugStatus(IntEnum):
    """``dbgstat`` of RFC 9711 section 4.2.9: who may debug the device."""

    ENABLED = 0
    DISABLED = 1
    DISABLED_SINCE_BOOT = 2
    DISABLED_PERMANENTLY = 3
    DISABLED_FULLY_AND_PERMANENTLY = 4


@dataclass(frozen=True, slots=True)
class AttesterToken:
    """An attester's word about a device and a key in it."""

    issued_at: int = field(6, Int(0, 2**62), "iat: when, in seconds since 1970-01-01 UTC")
    confirmation: Confirmation = field(8, Record(Confirmation), "cnf: the device key")
    nonce: bytes = field(10, Bytes(8, 64), "eat_nonce: the coordinator's challenge")
    ueid: bytes = field(256, Bytes(7, 33), "ueid: the device, one name for as long as it lives")
    debug: DebugStatus = field(263, Enum(DebugStatus), "dbgstat: 0 debugging is enabled, 1 to 4 disabled, ever firmer")
    profile: str = field(265, Text(64), "eat_profile: the profile of this page")
    authorized_boot: bool | None = field(262, Bool(), "oemboot: only software of its maker starts", optional=True)


@dataclass(frozen=True, slots=True)
class Appraisal:
    """What an appraiser found."""

    attester: bytes
    """Who vouches: thumbprint of the attester's key, or a name of the appraiser's own of 32 bytes."""
    device: bytes
    """The device's name with that attester."""


class Appraiser(Protocol):
    """Judges the platform's statement in an evidence whose form, key and freshness were checked."""

    def appraise(self, evidence: Evidence, now: int) -> Appraisal:
        """What the statement is worth; ``now`` in milliseconds.

        Raises:
            EncodingError: not the statement's form.
            ProtocolError: ``evidence_rejected``, ``evidence_stale``, or the envelope's own errors. No other exception.
        """


def issue_token(
    attester: PrivateKey,
    key: bytes,
    nonce: bytes,
    issued_at: int,
    ueid: bytes,
    debug: DebugStatus = DebugStatus.DISABLED_PERMANENTLY,
    *,
    authorized_boot: bool | None = None,
) -> bytes:
    """An attester's token about the device key of thumbprint ``key``, for one challenge; ``issued_at`` in seconds."""
    body = AttesterToken(issued_at, Confirmation(key), nonce, ueid, debug, EAT_PROFILE, authorized_boot)
    return sign1(attester, encode(body), TOKEN_AAD)


@dataclass(frozen=True, slots=True)
class TokenAppraiser:
    """Appraises attester tokens: fails closed."""

    attesters: frozenset[bytes]
    """Thumbprints of the attesters that are trusted."""
    debug: DebugStatus = DebugStatus.DISABLED
    """The least debug status."""
    authorized_boot: bool = False
    """Whether the token must say that only the maker's software starts."""

    def appraise(self, evidence: Evidence, now: int) -> Appraisal:
        """See :class:`Appraiser`."""
        sealed = open1(evidence.measurement.data, TOKEN_AAD)
        token = decode(AttesterToken, sealed.payload)
        if token.profile != EAT_PROFILE:
            raise ProtocolError("another token profile", expected=EAT_PROFILE, got=token.profile)
        if sealed.signer.thumbprint not in self.attesters:
            raise _rejected("the attester is not trusted here", got=sealed.signer.thumbprint.hex())
        if token.confirmation != evidence.confirmation:
            raise _rejected("the token is about another key")
        if token.nonce != evidence.nonce or abs(now // 1000 - token.issued_at) > MAX_AGE:
            raise ProtocolError("a token for another challenge or time", code=ErrorCode.EVIDENCE_STALE)
        if token.debug < self.debug:
            raise _rejected(
                "the device can be debugged", expected=self.debug.name.lower(), got=token.debug.name.lower()
            )
        if self.authorized_boot and not token.authorized_boot:
            raise _rejected("the device starts other software than its maker's")
        return Appraisal(sealed.signer.thumbprint, token.ueid)


def appraise(
    data: bytes, key: bytes, nonce: bytes, now: int, appraisers: Mapping[AttestationType, Appraiser]
) -> Appraisal:
    """Check evidence about the device key of thumbprint ``key`` for a challenge, and have its statement appraised.

    Raises:
        EncodingError: not the schema.
        ProtocolError: as :func:`open_evidence`; ``unexpected_signer``: of another key; ``evidence_stale``: not of this
            challenge or time; ``evidence_rejected``: no appraiser for its type, or as the appraiser says.
    """
    evidence = open_evidence(data, nonce)
    if evidence.confirmation.kid != key:
        raise ProtocolError("evidence of another key", code=ErrorCode.UNEXPECTED_SIGNER, expected=key.hex())
    if abs(now // 1000 - evidence.issued_at) > MAX_AGE:
        raise ProtocolError("evidence of another time", code=ErrorCode.EVIDENCE_STALE)
    appraiser = appraisers.get(evidence.measurement.type)
    if appraiser is None:
        raise _rejected("no appraiser for this evidence", got=evidence.measurement.type.name.lower())
    return appraiser.appraise(evidence, now)


def _rejected(message: str, expected: object = None, got: object = None) -> ProtocolError:
    return ProtocolError(message, code=ErrorCode.EVIDENCE_REJECTED, expected=expected, got=got)
