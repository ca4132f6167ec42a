# SPDX-License-Identifier: Apache-2.0
"""What attestation is worth to a coordinator: an earlier turn and one more place, or a condition; never proof."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, unique

from vcompute.errors import ProtocolError
from vcompute.identity.attestation import Appraisal, Appraiser, appraise
from vcompute.registry import AttestationType, ErrorCode

EXTRA_PLACES = 1
"""Tasks in flight that an attested worker may have besides those that its history earns."""


@unique
class Weight(Enum):
    """How much a coordinator makes of evidence."""

    IGNORE = "ignore"
    """it is not looked at"""
    PREFER = "prefer"
    """attested workers get tasks first, and one more at once"""
    REQUIRE = "require"
    """only attested workers get tasks"""


@dataclass(frozen=True, slots=True)
class AttestationPolicy:
    """A coordinator's policy and its appraisers."""

    weight: Weight = Weight.IGNORE
    appraisers: Mapping[AttestationType, Appraiser] = field(default_factory=dict)

    def appraise(self, evidence: bytes | None, key: bytes, nonce: bytes, now: int) -> Appraisal | None:
        """The appraisal of an enrolment's evidence; None where there is none or it is not looked at.

        Raises:
            EncodingError, ProtocolError: as :func:`vcompute.identity.attestation.appraise`; ``evidence_rejected``: it
                is missing where it is required.
        """
        if self.weight is Weight.IGNORE:
            return None
        if evidence is None:
            if self.weight is Weight.REQUIRE:
                raise ProtocolError("this coordinator requires evidence", code=ErrorCode.EVIDENCE_REJECTED)
            return None
        return appraise(evidence, key, nonce, now, self.appraisers)
