# SPDX-License-Identifier: Apache-2.0
"""VC-POL: draws nobody can grind, bonds that make cheating a loss, challenges, standing and pacing."""

import math
from fractions import Fraction
from itertools import product
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from vcompute.errors import VcomputeError
from vcompute.identity import PrivateKey
from vcompute.messages import Always, OnChallenge, Policy, Sampled, SuiteChoice
from vcompute.messages.offer import RATE_ONE
from vcompute.policy import standing
from vcompute.policy.challenge import (
    CHALLENGE_TABLE,
    ChallengeCase,
    ChallengeEffect,
    ChallengeEvent,
    ChallengeState,
)
from vcompute.policy.deposit import (
    Deterrence,
    challenge_stake_for,
    cheating_gain,
    deposit_for,
    reveal_stake_for,
)
from vcompute.policy.pacing import RateLimit, back_off
from vcompute.policy.sampling import RoundState, SamplingRound, commitment, drawn, seal_commit, seal_reveal
from vcompute.registry import ErrorCode

SUITES = (SuiteChoice(1, 1),)
ALWAYS = Always(SUITES)
CHALLENGE = OnChallenge(SUITES, window=1000, answer_within=500, stake=50)
KEYS = [PrivateKey.from_seed(bytes([index])) for index in range(3)]
PARTIES = frozenset(key.thumbprint for key in KEYS)
RESULT = b"\x07" * 32


def sampled(rate: int) -> Sampled:
    return Sampled(SUITES, rate=rate, reveal_within=100, stake=10)


def nonce(*parts: int) -> bytes:
    return bytes(parts).ljust(32, b"\0")


def refused(code: ErrorCode, action: object, *arguments: object) -> None:
    with pytest.raises(VcomputeError) as caught:
        action(*arguments)  # type: ignore[operator]
    assert caught.value.code is code


def open_round(rate: int = RATE_ONE // 2) -> SamplingRound:
    return SamplingRound(RESULT, PARTIES, rate, 100, 0)


def test_draw_follows_the_rate() -> None:
    """VC-POL-010: the draw is a function of the result and every nonce; its frequency is the rate."""
    for rate in (1, RATE_ONE // 10, RATE_ONE // 2, RATE_ONE):
        hits = sum(
            drawn(RESULT, {KEYS[0].thumbprint: nonce(i & 255, i >> 8), KEYS[1].thumbprint: nonce(3)}, rate)
            for i in range(4000)
        )
        p = rate / RATE_ONE
        assert abs(hits - 4000 * p) <= 5 * math.sqrt(4000 * p * (1 - p)) + 1
    assert drawn(RESULT, {KEYS[0].thumbprint: nonce(1)}, RATE_ONE)


def test_one_honest_nonce_makes_the_draw_uniform() -> None:
    """VC-POL-011: for every choice of the others, over one party's nonces the draw has the rate's frequency."""
    for fixed, result in product(range(4), (RESULT, b"\x08" * 32)):
        others = {KEYS[1].thumbprint: nonce(fixed), KEYS[2].thumbprint: nonce(fixed, 1)}
        hits = sum(
            drawn(result, others | {KEYS[0].thumbprint: nonce(i & 255, i >> 8)}, RATE_ONE // 4) for i in range(2000)
        )
        assert abs(hits - 500) < 5 * math.sqrt(2000 * 3 / 16)


def test_round_of_commit_and_reveal() -> None:
    """VC-POL-012: all commit before any reveals; records again change nothing; the outcome is the draw's."""
    rounds = open_round()
    refused(ErrorCode.UNEXPECTED_MESSAGE, rounds.reveal, seal_reveal(KEYS[0], RESULT, nonce(0)), 1)
    for index, key in enumerate(KEYS):
        for _ in range(2):
            rounds.commit(seal_commit(key, RESULT, nonce(index)), 10)
    assert rounds.state is RoundState.REVEALING
    for index, key in enumerate(KEYS):
        for _ in range(2):
            rounds.reveal(seal_reveal(key, RESULT, nonce(index)), 20)
    nonces = {key.thumbprint: nonce(index) for index, key in enumerate(KEYS)}
    expected = RoundState.CHECKED if drawn(RESULT, nonces, RATE_ONE // 2) else RoundState.NOT_SAMPLED
    assert rounds.state is expected
    rounds.tick(10_000)
    assert rounds.state is expected
    assert rounds.absent == frozenset()


def test_nobody_changes_its_mind() -> None:
    """VC-POL-013: another nonce than committed, a second commitment, a copied one, a stranger's: each is refused."""
    rounds = open_round()
    rounds.commit(seal_commit(KEYS[0], RESULT, nonce(0)), 1)
    refused(ErrorCode.OPERATION_CONFLICT, rounds.commit, seal_commit(KEYS[0], RESULT, nonce(9)), 2)
    refused(ErrorCode.STATEMENT_MISMATCH, rounds.commit, seal_commit(KEYS[1], b"\x08" * 32, nonce(0)), 2)
    stranger = PrivateKey.from_seed(b"stranger")
    refused(ErrorCode.UNEXPECTED_SIGNER, rounds.commit, seal_commit(stranger, RESULT, nonce(0)), 2)
    for index in (1, 2):
        rounds.commit(seal_commit(KEYS[index], RESULT, nonce(index)), 2)
    refused(ErrorCode.DIGEST_MISMATCH, rounds.reveal, seal_reveal(KEYS[0], RESULT, nonce(9)), 3)
    rounds.reveal(seal_reveal(KEYS[0], RESULT, nonce(0)), 3)
    refused(ErrorCode.OPERATION_CONFLICT, rounds.reveal, seal_reveal(KEYS[0], RESULT, nonce(9)), 3)
    assert commitment(RESULT, KEYS[0].thumbprint, nonce(0)) != commitment(RESULT, KEYS[1].thumbprint, nonce(0))
    refused(ErrorCode.UNKNOWN_MESSAGE, rounds.commit, seal_reveal(KEYS[0], RESULT, nonce(0)), 3)


@pytest.mark.parametrize("phase", ["commit", "reveal"])
def test_silence_is_a_check_and_costs_the_stake(phase: str) -> None:
    """VC-POL-014: whoever is silent in time is absent, and the result is checked whatever the draw was."""
    rounds = open_round(rate=1)
    for index, key in enumerate(KEYS[: 2 if phase == "commit" else 3]):
        rounds.commit(seal_commit(key, RESULT, nonce(index)), 10)
    if phase == "reveal":
        for index in (0, 1):
            rounds.reveal(seal_reveal(KEYS[index], RESULT, nonce(index)), 50)
    rounds.tick(99)
    assert rounds.absent == frozenset()
    late = seal_commit(KEYS[2], RESULT, nonce(2)) if phase == "commit" else seal_reveal(KEYS[2], RESULT, nonce(2))
    refused(ErrorCode.UNEXPECTED_MESSAGE, rounds.commit if phase == "commit" else rounds.reveal, late, 110)
    assert rounds.state is RoundState.CHECKED
    assert rounds.absent == frozenset({KEYS[2].thumbprint})


def test_draw_terms() -> None:
    """VC-POL-015: a rate of zero, or a draw without parties, is refused."""
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, SamplingRound, RESULT, frozenset(), 1, 1, 0)
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, SamplingRound, RESULT, PARTIES, 0, 1, 0)
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, SamplingRound, RESULT, PARTIES, RATE_ONE + 1, 1, 0)


fractions = st.fractions(min_value=Fraction(1, 10_000), max_value=1)
policies = st.one_of(st.just(ALWAYS), st.integers(1, RATE_ONE).map(sampled), st.just(CHALLENGE))


@given(
    policy=policies,
    price=st.integers(0, 2**28),
    gain=st.integers(0, 2**28),
    cost=st.integers(0, 2**30),
    conviction=fractions,
    watched=fractions,
    margin=st.fractions(min_value=1, max_value=3),
)
@settings(max_examples=300, deadline=None)
def test_cheating_loses_money_and_no_less_bond_would_do(
    policy: Policy, price: int, gain: int, cost: int, conviction: Fraction, watched: Fraction, margin: Fraction
) -> None:
    """VC-POL-020: exact at every setting: with the bond a cheater expects a loss, with one unit less it would not."""
    assumed = Deterrence(conviction, watched, gain, cost, margin)
    bond = deposit_for(policy, price, assumed)
    assert bond >= cost
    assert cheating_gain(policy, price, bond, assumed) < 0
    tight = Deterrence(conviction, watched, gain, 0)
    least = deposit_for(policy, price, tight)
    assert least <= bond
    assert cheating_gain(policy, price, least - 1, tight) >= 0


def test_deposit_examples() -> None:
    """VC-POL-020: numbers to check an implementation against."""
    assert deposit_for(ALWAYS, 1000) == 1
    assert deposit_for(sampled(RATE_ONE // 2), 1000) == 1001
    assert deposit_for(sampled(RATE_ONE // 16), 1000) == 15_001
    assert deposit_for(sampled(RATE_ONE // 16), 1000, Deterrence(margin=Fraction(3, 2))) == 22_501
    assert deposit_for(sampled(RATE_ONE // 16), 1000, Deterrence(gain=500, conviction=Fraction(9, 10))) == 25_167
    assert deposit_for(CHALLENGE, 1000, Deterrence(watched=Fraction(1, 100))) == 99_001
    assert deposit_for(ALWAYS, 1000, Deterrence(check_cost=70)) == 70


def test_deposits_that_deter_nobody_are_refused() -> None:
    """VC-POL-021: nobody looks, impossible probabilities, amounts no message carries: refused, never rounded."""
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, deposit_for, CHALLENGE, 10)
    for assumed in (
        Deterrence(conviction=Fraction(0)),
        Deterrence(conviction=Fraction(2)),
        Deterrence(margin=Fraction(1, 2)),
        Deterrence(gain=-1),
    ):
        refused(ErrorCode.TERMS_NOT_ACCEPTABLE, deposit_for, ALWAYS, 10, assumed)
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, deposit_for, sampled(1), 2**60)
    assert reveal_stake_for(9) > 9
    assert challenge_stake_for(9) > 9


def test_challenge_table_is_total_and_ends() -> None:
    """VC-POL-030: every state but the final ones has a time-out that leads to a final one; final states stay."""
    for state, event, rule_ in CHALLENGE_TABLE:
        if CHALLENGE_TABLE.final(state):
            assert rule_.to is state
            assert rule_.effects == (ChallengeEffect.REFUSE,)
        elif event is ChallengeEvent.TIMEOUT:
            assert CHALLENGE_TABLE.final(rule_.to)


def test_challenge_flow() -> None:
    """VC-POL-031: unchallenged pays; an answer in time pays the stake to the worker; none loses the bond."""
    case = ChallengeCase(CHALLENGE, 0)
    assert case.tick(999) == ()
    assert case.tick(1000) == (ChallengeEffect.ADMIT,)
    assert case.state is ChallengeState.UNCHALLENGED
    assert case.tick(5000) == ()

    case = ChallengeCase(CHALLENGE, 0)
    refused(ErrorCode.INSUFFICIENT_BOND, case.challenge, 49, 10)
    assert case.challenge(50, 999) == (ChallengeEffect.HOLD_STAKE,)
    refused(ErrorCode.NOT_DUE, case.challenge, 50, 999)
    assert case.prove(1498) == (ChallengeEffect.PAY_STAKE, ChallengeEffect.ADMIT)

    case = ChallengeCase(CHALLENGE, 0)
    refused(ErrorCode.NOT_DUE, case.challenge, 50, 1000)
    case.challenge(50, 500)
    refused(ErrorCode.NOT_DUE, case.prove, 1000)
    assert case.tick(1000) == (ChallengeEffect.RETURN_STAKE, ChallengeEffect.CONVICT)
    assert case.state is ChallengeState.CONVICTED


@given(
    verified=st.integers(0, 10**6),
    rejected=st.integers(0, 100),
    floor=st.integers(1, RATE_ONE),
    room=st.integers(0, 999),
)
def test_standing(verified: int, rejected: int, floor: int, room: int) -> None:
    """VC-POL-040: quotas grow and rates fall with verified results alone, within bounds, never to zero."""
    rate = standing.sampling_rate(floor, verified, rejected)
    assert max(1, floor) <= rate <= RATE_ONE
    assert standing.sampling_rate(floor, verified + 1, rejected) <= rate
    assert standing.sampling_rate(floor, verified, rejected + 1) >= rate
    quota = standing.quota(verified, rejected, room)
    assert 0 <= quota <= room
    assert quota <= standing.quota(verified + 1, rejected, room) <= quota + 1
    assert standing.quota(verified, rejected + 1, room) <= quota
    assert standing.ban_after(rejected + 1) >= standing.ban_after(rejected)


def test_standing_examples() -> None:
    """VC-POL-040: numbers to check an implementation against."""
    assert [standing.quota(n, 0, 99) for n in (0, 1, 2, 10, 1000)] == [1, 1, 2, 6, 99]
    assert [standing.sampling_rate(655, n, 0) for n in (0, 16, 48, 10_000)] == [65536, 32768, 16384, 655]
    assert standing.sampling_rate(655, 64, 2) == 32768
    assert [standing.ban_after(n) for n in (1, 2, 3)] == [600_000, 1_200_000, 2_400_000]


class Limited(RuleBasedStateMachine):
    """A rate limit against its definition: never more than burst + rate x time, and retry_after is kept."""

    def __init__(self) -> None:
        super().__init__()
        self.limit = RateLimit(3, 7, peers=2)
        self.now = 0
        self.times: list[int] = []

    @rule(wait=st.integers(0, 400))
    def send(self, wait: int) -> None:
        self.now += wait
        after = self.limit.admit(b"peer", self.now)
        if after is None:
            self.times.append(self.now)
        else:
            assert 0 < after <= 143
            if after > 1:
                assert self.limit.admit(b"peer", self.now + after - 1) is not None
            self.now += after
            assert self.limit.admit(b"peer", self.now) is None
            self.times.append(self.now)

    @invariant()
    def bounded(self) -> None:
        for begin in range(len(self.times)):
            for end in range(begin, len(self.times)):
                span = self.times[end] - self.times[begin]
                assert end - begin + 1 <= 3 + (span * 7 + 999) // 1000


TestLimited = Limited.TestCase
TestLimited.settings = settings(max_examples=40, stateful_step_count=25, deadline=None)


def test_rate_limit_forgets_the_oldest_peer() -> None:
    """VC-POL-041: memory is bounded by the number of peers; a clock that goes back admits nothing extra."""
    limit = RateLimit(1, 1, peers=2)
    for peer in (b"a", b"b", b"c"):
        assert limit.admit(peer, 0) is None
    assert len(limit._buckets) == 2
    assert limit.admit(b"c", -5000) == 1000
    assert limit.admit(b"c", 0) == 1000


def test_back_off_doubles_within_bounds() -> None:
    """VC-POL-042: never below retry_after, doubling to a bound, spread by the jitter."""
    assert [back_off(n, None, 0) for n in (0, 1, 2, 20, 10**6)] == [1000, 2000, 4000, 300_000, 300_000]
    assert back_off(0, 90_000, 0) == 90_000
    spread = {back_off(3, None, Random(seed).getrandbits(16)) for seed in range(50)}
    assert min(spread) >= 8000
    assert max(spread) < 16_000
    assert len(spread) > 40
