# SPDX-License-Identifier: Apache-2.0
"""Which results are checked: a draw that nobody can grind, by commit and reveal after the worker's commitment.

1. The worker signs its Result. Its digest r is fixed from here on.
2. Requester and verifiers each commit to 32 random bytes, bound to r and to their key.
3. When all commitments are there, all reveal. The draw is a hash of r and every revealed value.
4. Who does not reveal in time loses its stake, and the result is checked.

Why nobody can grind. The worker fixed r before any value was drawn, and the draw is uniform as soon as one party's
value is: a hash of 32 bytes it does not know. Requester and verifiers are bound by their commitments before they see
another's value, and a copied commitment is bound to another key and cannot be opened. The last to reveal knows the draw
and can only stay silent; silence leads to a check, so that it never turns a check into none, and turning none into a
check costs the silent party its stake and an honest worker nothing.
"""

import hashlib
from collections.abc import Mapping, Sequence
from enum import Enum, unique
from typing import Final

from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.messages import Names, SampleCommit, SampleReveal, itself, open_message, seal
from vcompute.messages.offer import RATE_ONE
from vcompute.registry import ErrorCode
from vcompute.task.digest import tagged

COMMIT_TAG: Final = b"vcompute/sample-commit/1\x00"
DRAW_TAG: Final = b"vcompute/sample-draw/1\x00"
NONCE_SIZE: Final = 32


def commitment(result: bytes, party: bytes, nonce: bytes) -> bytes:
    """A party's commitment: all arguments are 32 bytes, ``party`` its name."""
    return tagged(COMMIT_TAG, result, party, nonce)


def drawn(result: bytes, nonces: Mapping[bytes, bytes], rate: int) -> bool:
    """Whether the result is checked, given every party's nonce by its name, at ``rate`` in 1/65536.

    The first 128 bits of the draw, as a fraction, are below the rate with a bias under 2^-112.
    """
    ordered = b"".join(party + nonces[party] for party in sorted(nonces))
    seed = tagged(DRAW_TAG, result, len(nonces).to_bytes(2, "big"), ordered)
    return int.from_bytes(seed[:16], "big") * RATE_ONE < rate << 128


def seal_commit(key: PrivateKey, result: bytes, nonce: bytes, party: bytes | None = None) -> bytes:
    """The signed commitment of the holder of ``key``; ``party`` is its name where that is another than the key's."""
    return seal(key, SampleCommit(result, commitment(result, party or key.thumbprint, nonce))).data


def seal_reveal(key: PrivateKey, result: bytes, nonce: bytes) -> bytes:
    """The signed opening of the commitment."""
    return seal(key, SampleReveal(result, nonce)).data


@unique
class RoundState(Enum):
    """Where a draw stands."""

    COMMITTING = "waiting for commitments"
    REVEALING = "waiting for nonces"
    CHECKED = "the result is checked"
    NOT_SAMPLED = "the result is paid as not sampled"


class SamplingRound:
    """The draw for one result. Signed records in, a state out; time is an argument."""

    def __init__(
        self,
        result: bytes,
        parties: frozenset[bytes],
        rate: int,
        reveal_within: int,
        now: int,
        names: Names = itself,
    ) -> None:
        """Begin once the worker's Result is recorded.

        Args:
            result: digest of the signed Result.
            parties: the requester and the verifiers that take part, at least one.
            rate: share of results that are checked, in 1/65536, at least 1.
            reveal_within: milliseconds for commitments, and again for reveals.
            now: milliseconds.
            names: which party a key speaks for.

        Raises:
            ProtocolError: ``terms_not_acceptable``: no party, or a rate outside 1 to 65536.
        """
        if not parties or not 0 < rate <= RATE_ONE:
            raise ProtocolError(
                "a draw has a party and a rate above zero",
                code=ErrorCode.TERMS_NOT_ACCEPTABLE,
                got=(len(parties), rate),
            )
        self.state = RoundState.COMMITTING
        self.absent: frozenset[bytes] = frozenset()
        """Parties that lose their stake."""
        self.until = now + reveal_within
        self._result = result
        self._parties = parties
        self._rate = rate
        self._within = reveal_within
        self._names = names
        self._commits: dict[bytes, bytes] = {}
        self._nonces: dict[bytes, bytes] = {}

    @classmethod
    def replay(
        cls,
        result: bytes,
        parties: frozenset[bytes],
        rate: int,
        commits: Sequence[bytes],
        reveals: Sequence[bytes],
        names: Names = itself,
    ) -> "SamplingRound":
        """The round of a signed Result whose signed records are these, time left out.

        Raises:
            EncodingError, ProtocolError: a record is not admitted, as :meth:`commit` and :meth:`reveal` say.
        """
        draw = cls(hashlib.sha256(result).digest(), parties, rate, 1, 0, names)
        for record in commits:
            draw.commit(record, 0)
        for record in reveals if draw.state is RoundState.REVEALING else ():
            draw.reveal(record, 0)
        return draw

    def commit(self, data: bytes, now: int) -> None:
        """A party's signed commitment; the same one again changes nothing.

        Raises:
            EncodingError: not the schema.
            ProtocolError: the envelope is refused; ``unexpected_signer``: not a party; ``statement_mismatch``: for
                another result; ``operation_conflict``: a second, different commitment; ``unexpected_message``: late.
        """
        signed = open_message(data, self._names).of(SampleCommit)
        party, body = signed.signer, signed.body
        self._check(party, body.result)
        if party in self._commits:
            self._same(self._commits[party], body.commitment)
            return
        self._in_time(RoundState.COMMITTING, now)
        self._commits[party] = body.commitment
        if len(self._commits) == len(self._parties):
            self.state, self.until = RoundState.REVEALING, now + self._within

    def reveal(self, data: bytes, now: int) -> None:
        """A party's signed nonce; the same one again changes nothing.

        Raises:
            EncodingError: not the schema.
            ProtocolError: as :meth:`commit`, and ``digest_mismatch`` where the nonce is not the one committed to.
        """
        signed = open_message(data, self._names).of(SampleReveal)
        party, body = signed.signer, signed.body
        self._check(party, body.result)
        if party in self._nonces:
            self._same(self._nonces[party], body.nonce)
            return
        self._in_time(RoundState.REVEALING, now)
        if commitment(self._result, party, body.nonce) != self._commits[party]:
            raise ProtocolError("the nonce is not the one committed to", code=ErrorCode.DIGEST_MISMATCH)
        self._nonces[party] = body.nonce
        if len(self._nonces) == len(self._parties):
            checked = drawn(self._result, self._nonces, self._rate)
            self.state = RoundState.CHECKED if checked else RoundState.NOT_SAMPLED

    @property
    def staked(self) -> frozenset[bytes]:
        """Parties that committed, and so put up their stake."""
        return frozenset(self._commits)

    @property
    def silent(self) -> frozenset[bytes]:
        """Parties that committed and did not reveal in time."""
        return self.absent & self.staked

    def tick(self, now: int) -> None:
        """Let time pass: after ``until`` whoever is silent is absent and the result is checked."""
        heard = {RoundState.COMMITTING: self._commits, RoundState.REVEALING: self._nonces}.get(self.state)
        if heard is not None and now >= self.until:
            self.absent = self._parties - heard.keys()
            self.state = RoundState.CHECKED

    def _check(self, party: bytes, result: bytes) -> None:
        if party not in self._parties:
            raise ProtocolError("not a party of this draw", code=ErrorCode.UNEXPECTED_SIGNER, got=party.hex())
        if result != self._result:
            raise ProtocolError("randomness for another result", code=ErrorCode.STATEMENT_MISMATCH)

    def _in_time(self, state: RoundState, now: int) -> None:
        self.tick(now)
        if self.state is not state:
            raise ProtocolError(
                "not the time for this", code=ErrorCode.UNEXPECTED_MESSAGE, expected=state.value, got=self.state.value
            )

    @staticmethod
    def _same(before: bytes, now: bytes) -> None:
        if before != now:
            raise ProtocolError("a second, different value", code=ErrorCode.OPERATION_CONFLICT)
