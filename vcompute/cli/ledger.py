# SPDX-License-Identifier: Apache-2.0
"""``vcompute ledger``: look at a coordinator's ledger, audit it, put money into it."""

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from vcompute.cli.command import Command, pass_reporter
from vcompute.cli.output import Json, Reporter
from vcompute.cli.party import key_in, passphrase_of, passphrase_option, state_option, thumbprint
from vcompute.errors import UsageError

if TYPE_CHECKING:
    from vcompute.settlement import AuditReport, Ledger


@click.group("ledger")
def ledger() -> None:
    """Look at a coordinator's ledger, audit it, put money into it."""


def _open(state: Path, passphrase_file: Path | None) -> "Ledger":
    from vcompute.settlement import open_ledger

    path = state / "ledger.db"
    if not path.is_file():
        raise UsageError(f"{state} is not a coordinator's state directory: it holds no ledger")
    return open_ledger(path, key_in(state, "settlement", passphrase_of(passphrase_file)))


def _totals(report: "AuditReport") -> dict[str, Json]:
    return {
        "entries": report.entries,
        "issued": report.issued,
        "paid": report.paid,
        "slashed": report.slashed,
        "returned": report.returned,
        "refunded": report.refunded,
        "held": report.held,
        "conserved": report.conserved,
    }


@ledger.command("show", cls=Command)
@state_option
@passphrase_option
@pass_reporter
def show(reporter: Reporter, state: Path, passphrase_file: Path | None) -> None:
    """Show balances, open escrows and totals."""
    from vcompute.settlement.journal import AccountKind

    book = _open(state, passphrase_file)
    balances = {name[1:].hex(): amount for name, amount in book.book.balances() if name[0] == AccountKind.PARTY}
    states: dict[str, int] = {}
    for row in book.book.escrows():
        states[row.state.name.lower()] = states.get(row.state.name.lower(), 0) + 1
    reporter.result({**_totals(book.audit()), "balances": balances, "tasks": states})


@ledger.command("verify", cls=Command)
@state_option
@passphrase_option
@pass_reporter
def verify(reporter: Reporter, state: Path, passphrase_file: Path | None) -> int:
    """Recompute everything from the journal and check the evidence of every payment; exit 1 where it does not agree."""
    report = _open(state, passphrase_file).audit()
    reporter.result({**_totals(report), "problems": list(report.problems)})
    return 0 if report.conserved else 1


@ledger.command("transfer", cls=Command)
@state_option
@passphrase_option
@click.argument("party")
@click.argument("to")
@click.option("--operation", required=True, help="Name of this transfer: the same name moves once.")
@pass_reporter
def transfer(
    reporter: Reporter, state: Path, passphrase_file: Path | None, party: str, to: str, operation: str
) -> None:
    """Move the balance of PARTY, whose key is revoked, to TO: thumbprints. Make sure first who its owner is."""
    book = _open(state, passphrase_file)
    now = time.time_ns() // 1_000_000
    amount = book.transfer(thumbprint(party), thumbprint(to), operation.encode(), now)
    reporter.result({"moved": amount, "to": to, "balance": book.balance(thumbprint(to))})


@ledger.command("fund", cls=Command)
@state_option
@passphrase_option
@click.argument("party")
@click.argument("amount", type=click.IntRange(1, 2**62))
@click.option("--operation", help="Name of this payment: the same name pays once. A fresh one by default.")
@pass_reporter
def fund(
    reporter: Reporter, state: Path, passphrase_file: Path | None, party: str, amount: int, operation: str | None
) -> None:
    """Add AMOUNT to the balance of PARTY, a thumbprint."""
    name = os.urandom(16).hex() if operation is None else operation
    book = _open(state, passphrase_file)
    balance = book.fund(thumbprint(party), amount, name.encode(), time.time_ns() // 1_000_000)
    reporter.result({"party": party, "balance": balance, "operation": name})
