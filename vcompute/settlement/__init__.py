# SPDX-License-Identifier: Apache-2.0
"""Settlement: escrow and bonds in integer amounts, released only against admitted evidence."""

from vcompute.settlement.base import AuditReport, Holding, Settlement
from vcompute.settlement.ledger import Ledger
from vcompute.settlement.rules import ESCROW_TABLE, EscrowState
from vcompute.settlement.sqlite import SqliteBook, open_ledger

__all__ = [
    "ESCROW_TABLE",
    "AuditReport",
    "EscrowState",
    "Holding",
    "Ledger",
    "Settlement",
    "SqliteBook",
    "open_ledger",
]
