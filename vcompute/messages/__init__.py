# SPDX-License-Identifier: Apache-2.0
"""The messages of the protocol: one schema each, signed envelopes, names by digest."""

from vcompute.messages.draw import Draw, SampleCommit, SampleReveal
from vcompute.messages.envelope import (
    AAD,
    MAX_MESSAGE,
    Message,
    Names,
    Signed,
    by_name,
    itself,
    message_type,
    open_message,
    reopen,
    seal,
)
from vcompute.messages.flow import (
    Accept,
    Answer,
    Assign,
    Cancel,
    Challenge,
    Check,
    Decline,
    Progress,
    Result,
    Verdict,
    Yield,
)
from vcompute.messages.keys import Enrol, KeyChange, Keys, Lookup
from vcompute.messages.money import Receipt
from vcompute.messages.offer import Always, Confidential, Offer, OnChallenge, Policy, Sampled, SuiteChoice
from vcompute.messages.primitives import BlobRef, Extension
from vcompute.messages.secret import Opening, Reader
from vcompute.messages.session import Advertise, Error, Fetch, Hello

__all__ = [
    "AAD",
    "MAX_MESSAGE",
    "Accept",
    "Advertise",
    "Always",
    "Answer",
    "Assign",
    "BlobRef",
    "Cancel",
    "Challenge",
    "Check",
    "Confidential",
    "Decline",
    "Draw",
    "Enrol",
    "Error",
    "Extension",
    "Fetch",
    "Hello",
    "KeyChange",
    "Keys",
    "Lookup",
    "Message",
    "Names",
    "Offer",
    "OnChallenge",
    "Opening",
    "Policy",
    "Progress",
    "Reader",
    "Receipt",
    "Result",
    "SampleCommit",
    "SampleReveal",
    "Sampled",
    "Signed",
    "SuiteChoice",
    "Verdict",
    "Yield",
    "by_name",
    "itself",
    "message_type",
    "open_message",
    "reopen",
    "seal",
]
