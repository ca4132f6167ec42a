# SPDX-License-Identifier: Apache-2.0
"""What a settlement says of an escrow: what it holds, and the receipt it signs at an end."""

import hashlib
from dataclasses import replace

from vcompute.identity import Keyring, PrivateKey
from vcompute.messages import Names, Offer, Receipt, Signed, Verdict, reopen, seal
from vcompute.policy.certificate import certify
from vcompute.registry import Basis, Outcome
from vcompute.settlement import draws
from vcompute.settlement.base import Holding
from vcompute.settlement.book import EscrowRow
from vcompute.settlement.rules import BONDED, EscrowState


def sign_receipt(
    key: PrivateKey, entry: int, outcome: Outcome, row: EscrowRow, offer: Offer, now: int, keys: Keyring
) -> Signed[Receipt]:
    """The receipt of a lease or escrow that ends, after entry ``entry`` of the journal.

    It names the rotation to each key that signed what it holds, so that its reader can follow the parties' names.
    """
    names = keys.name_of
    judged = outcome in (Outcome.PAID, Outcome.SLASHED)
    by_verifiers = judged and offer.verifier_set is not None and _by_verifiers(row, offer, names)
    certificate = certify(offer, [reopen(v, names).of(Verdict) for v in row.verdicts]) if by_verifiers else None
    body = Receipt(
        task=row.task,
        outcome=outcome,
        requester=row.requester,
        amount=offer.price if outcome in (Outcome.PAID, Outcome.REFUNDED) else 0,
        bond=row.bond or 0,
        work_units=offer.work_units if outcome is Outcome.PAID else 0,
        time=now,
        entry=entry,
        verdicts=row.verdicts if judged and certificate is None else (),
        worker=row.worker,
        lease=row.lease,
        result=row.result if judged else None,
        certificate=certificate,
        challenge=row.challenge if judged else None,
        draw=((*row.commits, *row.reveals) or None) if judged else None,
    )
    rotations = _rotations((row.offer, body.result, body.challenge, *body.verdicts, *(body.draw or ())), keys)
    return seal(key, replace(body, rotations=rotations)).of(Receipt)


def _rotations(signed: tuple[bytes | None, ...], keys: Keyring) -> tuple[bytes, ...] | None:
    """The rotations to the keys that signed these messages, each once; None where there is none."""
    if not len(keys):
        return None
    found = [keys.rotation_to(reopen(data).signer) for data in signed if data is not None]
    return tuple(dict.fromkeys(rotation for rotation in found if rotation is not None)) or None


def unchallenged(key: PrivateKey, row: EscrowRow) -> Signed[Verdict]:
    """The settlement's own word that nobody challenged the result: it keeps the record of challenges and time."""
    result = hashlib.sha256(row.result or b"").digest()
    body = Verdict(row.task, row.lease or bytes(32), result, True, Basis.UNCHALLENGED)
    return seal(key, body).of(Verdict)


def _by_verifiers(row: EscrowRow, offer: Offer, names: Names) -> bool:
    """Whether verifiers judged, rather than time."""
    return bool(row.verdicts) and all(reopen(v, names).signer in offer.verifiers for v in row.verdicts)


def holding_of(row: EscrowRow, receipt: bytes | None = None) -> Holding:
    """What is held for a row."""
    offer = reopen(row.offer).of(Offer).body
    bonded = row.state in BONDED
    challenged = row.state in (EscrowState.CHALLENGED, EscrowState.ANSWERED)
    staked = draws.challenge_stake(row, offer)[2] if challenged else 0
    return Holding(
        task=row.task,
        state=row.state,
        escrow=offer.price if bonded or row.state is EscrowState.OPEN else 0,
        bond=(row.bond or 0) if bonded else 0,
        until=row.until,
        attempts=row.attempts,
        stakes=staked + (len(row.commits) * draws.stake_of(offer) if bonded else 0),
        lease=row.lease,
        receipt=receipt,
    )
