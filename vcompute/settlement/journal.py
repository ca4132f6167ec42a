# SPDX-License-Identifier: Apache-2.0
"""The journal: double entries in a hash chain."""

import hashlib
from dataclasses import dataclass
from enum import IntEnum, unique
from typing import Final

from vcompute.codec import Bytes, Enum, Kind, Uint, encode, field
from vcompute.messages.primitives import AMOUNT, DIGEST, TIME

GENESIS: Final = bytes(32)
_TAG: Final = b"vcompute/journal/1\x00"
_ACCOUNT: Final[Kind] = Bytes(33, 33)


@unique
class AccountKind(IntEnum):
    """What an account is. Only ISSUE may be negative."""

    PARTY = 0
    """free balance, by thumbprint"""
    ESCROW = 1
    """price held, by task"""
    BOND = 2
    """bond held, by lease"""
    ISSUE = 3
    """where funding comes from"""
    STAKE = 4
    """stake held in a draw"""


@unique
class EntryKind(IntEnum):
    """Why money moved."""

    FUND = 1
    """the operator adds to a balance"""
    HOLD_PRICE = 2
    """requester to escrow"""
    HOLD_BOND = 3
    """worker to bond"""
    PAY = 4
    """escrow to worker"""
    RETURN_BOND = 5
    """bond to worker"""
    SLASH = 6
    """bond to requester"""
    GIVE_BACK = 7
    """escrow to requester"""
    HOLD_STAKE = 8
    """party of a draw to stake"""
    RETURN_STAKE = 9
    """stake to its party"""
    FORFEIT_STAKE = 10
    """stake of a silent party to the worker, or past a convicted one to the requester"""
    TRANSFER = 11
    """balance of a party whose key is revoked to a party that the operator names"""


def account(kind: AccountKind, name: bytes) -> bytes:
    """The name of an account: one byte of kind, 32 of thumbprint, task, lease or stake."""
    return bytes([kind]) + name


def stake_account(result: bytes, party: bytes) -> bytes:
    """Where the stake of a party of a draw is held, by the digest of the drawn Result."""
    return account(AccountKind.STAKE, hashlib.sha256(b"vcompute/stake/1\x00" + result + party).digest())


ISSUE: Final = account(AccountKind.ISSUE, bytes(32))


@dataclass(frozen=True, slots=True)
class Entry:
    """One movement of money."""

    sequence: int = field(0, Uint(53), "position, from 1")
    previous: bytes = field(1, DIGEST, "digest of the entry before")
    kind: EntryKind = field(2, Enum(EntryKind), "why")
    source: bytes = field(3, _ACCOUNT, "account debited")
    target: bytes = field(4, _ACCOUNT, "account credited")
    amount: int = field(5, AMOUNT, "how much")
    operation: bytes = field(6, DIGEST, "the operation, by the digest of its evidence")
    time: int = field(7, TIME, "when")

    @property
    def digest(self) -> bytes:
        """What the next entry names."""
        return hashlib.sha256(_TAG + encode(self)).digest()
