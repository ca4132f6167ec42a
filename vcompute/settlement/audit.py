# SPDX-License-Identifier: Apache-2.0
"""An audit: recompute balances, chain and states from the journal, and check the evidence of every payment."""

from collections import Counter
from collections.abc import Iterator

from vcompute.codec import decode
from vcompute.errors import VcomputeError
from vcompute.identity import Keyring
from vcompute.identity.lifecycle import KeyRecord
from vcompute.messages import Names, Offer, OnChallenge, Verdict, open_message, reopen
from vcompute.policy.verification import judged_bases
from vcompute.registry import Basis
from vcompute.settlement.base import AuditReport
from vcompute.settlement.book import Book, EscrowRow
from vcompute.settlement.draws import account_of, challenge_stake, require_not_sampled, stake_of
from vcompute.settlement.journal import GENESIS, AccountKind, Entry, EntryKind, account
from vcompute.settlement.rules import BONDED, EscrowState

_HELD = tuple(bytes([kind]) for kind in (AccountKind.ESCROW, AccountKind.BOND, AccountKind.STAKE))


def audit(book: Book, settlement: bytes) -> AuditReport:
    """Audit a whole book against the key ``settlement`` that offers must name."""
    with book.transaction():
        balances: Counter[bytes] = Counter()
        sums: Counter[EntryKind] = Counter()
        problems: list[str] = []
        keys = _keys(book, settlement, problems)
        count = 0
        for entry in _chain(book, problems):
            count += 1
            sums[entry.kind] += entry.amount
            balances[entry.source] -= entry.amount
            balances[entry.target] += entry.amount
            if entry.source[0] != AccountKind.ISSUE and balances[entry.source] < 0:
                problems.append(f"entry {entry.sequence} makes an account negative")
        stored = {name: amount for name, amount in book.balances() if amount}
        if stored != {name: amount for name, amount in balances.items() if amount}:
            problems.append("the stored balances are not those of the journal")
        expected = _held(book, settlement, keys, problems)
        held = {name: amount for name, amount in stored.items() if name[:1] in _HELD}
        if held != {name: amount for name, amount in expected.items() if amount}:
            problems.append("what is held is not what the open escrows and leases say")
    return AuditReport(
        entries=count,
        issued=sums[EntryKind.FUND],
        paid=sums[EntryKind.PAY],
        slashed=sums[EntryKind.SLASH],
        returned=sums[EntryKind.RETURN_BOND],
        refunded=sums[EntryKind.GIVE_BACK],
        forfeited=sums[EntryKind.FORFEIT_STAKE],
        held=sum(held.values()),
        problems=tuple(problems),
    )


def _keys(book: Book, settlement: bytes, problems: list[str]) -> Keyring:
    """The parties' keys, every record checked again."""
    keys = Keyring(settlement)
    for number, party, data in book.key_records(0):
        try:
            right = keys.apply(decode(KeyRecord, data), 2**62)[0] == party
        except VcomputeError as error:
            problems.append(f"key record {number} is refused: {error}")
            continue
        if not right:
            problems.append(f"key record {number} is of another party")
    return keys


def _chain(book: Book, problems: list[str]) -> Iterator[Entry]:
    """The entries as far as the chain holds."""
    previous = GENESIS
    for number, (data, digest) in enumerate(book.entries(), start=1):
        try:
            entry = decode(Entry, data)
        except VcomputeError as error:
            problems.append(f"entry {number} does not decode: {error}")
            return
        if entry.sequence != number or entry.previous != previous or entry.digest != digest:
            problems.append(f"the chain breaks at entry {number}")
            return
        previous = digest
        yield entry


def _held(book: Book, settlement: bytes, keys: Keyring, problems: list[str]) -> Counter[bytes]:
    """What the escrows say is held; their evidence is checked on the way."""
    expected: Counter[bytes] = Counter()
    for row in book.escrows():
        try:
            offer = open_message(row.offer, keys.name_of).of(Offer)
            if offer.digest != row.task or offer.body.settlement != settlement:
                problems.append(f"task {row.task.hex()} is not its offer's")
            if row.state is EscrowState.PAID:
                _check_payment(row, offer.body, keys.name_of, problems)
        except VcomputeError as error:
            problems.append(f"task {row.task.hex()}: evidence is refused: {error}")
            continue
        if row.state in BONDED or row.state is EscrowState.OPEN:
            expected[account(AccountKind.ESCROW, row.task)] += offer.body.price
        if row.state in BONDED and row.lease is not None:
            expected[account(AccountKind.BOND, row.lease)] += row.bond or 0
        if row.state in (EscrowState.CHALLENGED, EscrowState.ANSWERED):
            stake, _, staked = challenge_stake(row, offer.body, keys.name_of)
            expected[stake] += staked
        if row.state in BONDED:
            for record in row.commits:
                expected[account_of(row, reopen(record, keys.name_of).signer)] += stake_of(offer.body)
    return expected


def _check_payment(row: EscrowRow, offer: Offer, names: Names, problems: list[str]) -> None:
    """A paid task has a quorum of accepting verdicts of its verifiers on admitted bases."""
    signers = set()
    unchallenged = isinstance(offer.policy, OnChallenge) and row.challenge is None
    for data in row.verdicts:
        verdict = open_message(data, names).of(Verdict)
        body = verdict.body
        if unchallenged and verdict.signer == offer.settlement and body.basis is Basis.UNCHALLENGED:
            return
        if (
            body.accepted
            and (body.task, body.lease) == (row.task, row.lease)
            and verdict.signer in (*offer.verifiers, *(offer.fallback or ()))
            and body.basis in judged_bases(offer.policy, accepted=True)
        ):
            if body.basis is Basis.NOT_SAMPLED:
                require_not_sampled(row, offer, row.reveal_since, names)
            signers.add(verdict.signer)
            if verdict.signer in (offer.fallback or ()):
                return
    if len(signers) < offer.quorum:
        problems.append(f"task {row.task.hex()} was paid without a quorum of verdicts")
