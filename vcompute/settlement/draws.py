# SPDX-License-Identifier: Apache-2.0
"""Draws as a settlement sees them: replayed from the recorded commitments and nonces, never taken from a caller."""

import hashlib
from dataclasses import replace

from vcompute.errors import ProtocolError
from vcompute.messages import Names, Offer, OnChallenge, SampleCommit, Sampled, Signed, itself, reopen
from vcompute.policy.sampling import RoundState, SamplingRound
from vcompute.registry import ErrorCode
from vcompute.settlement.book import EscrowRow
from vcompute.settlement.journal import AccountKind, account, stake_account


def replay(row: EscrowRow, offer: Offer, now: int, names: Names = itself) -> SamplingRound:
    """The draw on a recorded result as it stands at ``now``.

    Raises:
        ProtocolError: ``verdict_not_admitted``: the offer's policy has no draw, or no result is recorded.
    """
    policy = offer.policy
    if not isinstance(policy, Sampled) or row.result is None:
        raise ProtocolError("there is no draw for this task", code=ErrorCode.VERDICT_NOT_ADMITTED)
    parties = frozenset({row.requester, *offer.verifiers})
    digest = hashlib.sha256(row.result).digest()
    draw = SamplingRound(digest, parties, policy.rate, policy.reveal_within, row.draw_since or now, names)
    for index, record in enumerate(row.commits, start=1):
        draw.commit(record, row.reveal_since if index == len(parties) else row.draw_since)
    for record in row.reveals:
        draw.reveal(record, row.reveal_since)
    draw.tick(now)
    return draw


def record(row: EscrowRow, offer: Offer, message: Signed[object], now: int, names: Names = itself) -> EscrowRow:
    """The row with one more commitment or nonce; unchanged where its party said the same before.

    Raises:
        ProtocolError: it is not admitted, as :class:`SamplingRound` says.
    """
    draw = replay(row, offer, now, names)
    commits = isinstance(message.body, SampleCommit)
    said, add = (row.commits, draw.commit) if commits else (row.reveals, draw.reveal)
    add(message.data, now)
    if names(message.signer) in {reopen(known, names).signer for known in said}:
        return row  # the same under another signature: its stake is held once
    if commits:
        row = replace(row, commits=(*row.commits, message.data), draw_since=row.draw_since or now)
        return replace(row, reveal_since=now) if draw.state is RoundState.REVEALING else row
    return replace(row, reveals=(*row.reveals, message.data))


def require_not_sampled(row: EscrowRow, offer: Offer, now: int, names: Names = itself) -> None:
    """Refuse the basis ``not_sampled`` unless every party's nonce is recorded and the draw spared the result.

    Raises:
        ProtocolError: ``verdict_not_admitted``.
    """
    if replay(row, offer, now, names).state is not RoundState.NOT_SAMPLED:
        raise ProtocolError("the draw did not spare this result", code=ErrorCode.VERDICT_NOT_ADMITTED)


def stake_of(offer: Offer) -> int:
    """What each party of a draw puts up."""
    return offer.policy.stake if isinstance(offer.policy, Sampled) else 0


def account_of(row: EscrowRow, party: bytes) -> bytes:
    """Where a party's stake is held."""
    return stake_account(hashlib.sha256(row.result or b"").digest(), party)


def challenge_stake(row: EscrowRow, offer: Offer, names: Names = itself) -> tuple[bytes, bytes, int]:
    """Where the stake of a challenge is held, its challenger's account, and how much it is; 0 where there is none."""
    challenger = bytes(32) if row.challenge is None else reopen(row.challenge, names).signer
    staked = offer.policy.stake if isinstance(offer.policy, OnChallenge) and row.challenge is not None else 0
    return account_of(row, challenger), account(AccountKind.PARTY, challenger), staked
