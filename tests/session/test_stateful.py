# SPDX-License-Identifier: Apache-2.0
"""All roles under a network and a fate that Hypothesis controls: messages dropped, duplicated, reordered, corrupted,
clocks that jump, crashes at any step, cheats, yields, cancellations, keys that rotate and are revoked, a settlement
that does not answer.

Always: no money appears or vanishes, no final state changes. In the end, once faults stop: every task is final and
all parties agree with the ledger about it.
"""

import contextlib
import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from tests.protocol_kit import COORDINATOR, REPLAY, REQUESTER, SETTLEMENT, VERIFIER
from tests.session.world import FUNDS, PROOF, Client, World
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.messages import Confidential, OnChallenge, Receipt, Sampled, SuiteChoice, open_message
from vcompute.registry import Outcome, Role, YieldReason
from vcompute.session.coordinator_table import TASK_TABLE, TaskState
from vcompute.session.requester import RequesterState
from vcompute.session.worker_table import WorkerState
from vcompute.settlement import EscrowState

WORKERS = 3
SECOND, FALLBACK = PrivateKey.from_seed(b"second verifier"), PrivateKey.from_seed(b"fallback")
FINAL = {RequesterState.DONE: EscrowState.PAID, RequesterState.REFUNDED: EscrowState.REFUNDED}


class Protocol(RuleBasedStateMachine):
    """The whole protocol."""

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.world = World(workers=WORKERS, seed=seed)
        for key in (SECOND, FALLBACK):
            self.world.join(key, Role.VERIFIER)
        self.finals: dict[bytes, TaskState] = {}
        self.cancelled: set[bytes] = set()
        self.revoked: set[bytes] = set()
        self.keys = 0

    @rule()
    @precondition(lambda self: len(self.world.tasks) < 6 and self.world.requester.pending is None)
    def offer(self) -> None:
        self.world.offer()

    @rule(rate=st.sampled_from([1, 1 << 15, 1 << 16]))
    @precondition(lambda self: len(self.world.tasks) < 6 and self.world.requester.pending is None)
    def offer_sampled(self, rate: int) -> None:
        self.world.offer(policy=Sampled((PROOF if rate & 1 else REPLAY,), rate, 2_000, 5))

    @rule(suite=st.sampled_from([REPLAY, PROOF]))
    @precondition(lambda self: len(self.world.tasks) < 6 and self.world.requester.pending is None)
    def offer_on_challenge(self, suite: SuiteChoice) -> None:
        self.world.offer(policy=OnChallenge((suite,), 6_000, 3_000, 5))

    @rule(secret=st.booleans(), rate=st.sampled_from([None, 1 << 15]))
    @precondition(lambda self: len(self.world.tasks) < 6 and self.world.requester.pending is None)
    def offer_with_a_fallback(self, secret: bool, rate: int | None) -> None:
        terms = {"policy": Sampled((REPLAY,), rate, 2_000, 5)} if rate else {}
        confidential = Confidential(verifiers=True) if secret else None
        self.world.offer(fallback=(FALLBACK.thumbprint,), confidential=confidential, **terms)

    @rule(quorum=st.integers(1, 2))
    @precondition(lambda self: len(self.world.tasks) < 6 and self.world.requester.pending is None)
    def offer_on_challenge_to_a_quorum(self, quorum: int) -> None:
        judges = (VERIFIER.thumbprint, SECOND.thumbprint)
        policy = OnChallenge((PROOF,), 6_000, 3_000, 5)
        self.world.offer(policy=policy, verifiers=judges, quorum=quorum, fallback=(FALLBACK.thumbprint,))

    @rule(index=st.integers(0, 1))
    def judge_as_another(self, index: int) -> None:
        self.world.others[index].judge()

    @rule(index=st.integers(0, WORKERS - 1))
    def prove(self, index: int) -> None:
        self.world.workers[index].prove()

    @rule()
    def watch(self) -> None:
        self.world.requester.judge()

    @rule(count=st.integers(1, 12))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            self.world.deliver()

    @rule(index=st.integers(0, 30))
    @precondition(lambda self: self.world.network)
    def drop(self, index: int) -> None:
        self.world.network.pop(index % len(self.world.network))

    @rule(index=st.integers(0, 30), place=st.integers(0, 30))
    @precondition(lambda self: self.world.network)
    def duplicate(self, index: int, place: int) -> None:
        network = self.world.network
        network.insert(place % (len(network) + 1), network[index % len(network)])

    @rule(index=st.integers(0, 10_000))
    @precondition(lambda self: self.world.wire)
    def replay_from_the_past(self, index: int) -> None:
        self.world.network.append(self.world.wire[index % len(self.world.wire)])

    @rule(index=st.integers(0, 30), place=st.integers(0, 30))
    @precondition(lambda self: len(self.world.network) > 1)
    def reorder(self, index: int, place: int) -> None:
        network = self.world.network
        network.insert(place % len(network), network.pop(index % len(network)))

    @rule(index=st.integers(0, 30), position=st.integers(0, 4000), bit=st.integers(0, 7))
    @precondition(lambda self: self.world.network)
    def corrupt(self, index: int, position: int, bit: int) -> None:
        network = self.world.network
        source, target, data = network[index % len(network)]
        changed = bytearray(data)
        changed[position % len(data)] ^= 1 << bit
        network[index % len(network)] = (source, target, bytes(changed))

    @rule(index=st.integers(0, WORKERS - 1), honest=st.sampled_from([True, True, True, False]))
    def work(self, index: int, honest: bool) -> None:
        self.world.workers[index].work(honest=honest)

    @rule()
    def judge(self) -> None:
        self.world.verifier.judge()

    @rule(milliseconds=st.sampled_from([1, 100, 1_000, 3_000, 6_000, 20_000, 70_000]))
    def tick(self, milliseconds: int) -> None:
        self.world.tick(milliseconds)

    @rule(index=st.integers(0, WORKERS - 1), reason=st.sampled_from(list(YieldReason)))
    def give_back(self, index: int, reason: YieldReason) -> None:
        worker = self.world.workers[index]
        worker.act(worker.session.stop(reason, self.world.now))

    @rule(index=st.integers(0, WORKERS - 1))
    def advertise(self, index: int) -> None:
        self.world.workers[index].advertise()

    @rule(index=st.integers(0, 5))
    @precondition(lambda self: self.world.tasks)
    def cancel(self, index: int) -> None:
        task = self.world.tasks[index % len(self.world.tasks)]
        self.world.requester.act(self.world.requester.session.cancel(task, self.world.now))

    @rule(who=st.integers(0, WORKERS + 1))
    @precondition(lambda self: self.keys < 40)
    def rotate(self, who: int) -> None:
        """A party changes its key; while the settlement does not answer, it goes on trying."""
        self.keys += 1
        self.party(who).rotate(PrivateKey.from_seed(b"stateful %d" % self.keys))

    @rule(who=st.integers(0, WORKERS), by_operator=st.booleans())
    @precondition(lambda self: len(self.revoked) < 2 and self.world.settlement_up)
    def revoke(self, who: int, by_operator: bool) -> None:
        """A worker's or the verifier's key ends; its requester goes on."""
        party = self.party(who)
        self.revoked.add(party.name)
        with contextlib.suppress(ProtocolError):  # a rotation is recorded that the party has not heard of
            party.revoke(SETTLEMENT if by_operator else None)

    def party(self, who: int) -> Client:
        return (*self.world.workers, self.world.verifier, self.world.requester)[who]

    @rule(up=st.booleans(), silent=st.booleans())
    def settlement(self, up: bool, silent: bool) -> None:
        self.world.settlement_up, self.world.crash_after_call = up, silent

    @rule(who=st.integers(0, WORKERS + 2))
    def crash(self, who: int) -> None:
        world = self.world
        if who < WORKERS:
            world.workers[who].start()
        elif who == WORKERS:
            world.boot()
        else:
            (world.requester, world.verifier)[who - WORKERS - 1].start()

    @invariant()
    def no_final_state_changes(self) -> None:
        if not hasattr(self, "world"):
            return
        for task, record in self.world.coordinator.records.items():
            if self.finals.get(task) in (TaskState.PAID, TaskState.REFUNDED):
                assert record.state is self.finals[task]
            if TASK_TABLE.final(record.state):
                self.finals[task] = record.state

    @invariant()
    def no_money_appears_or_vanishes(self) -> None:
        if not hasattr(self, "world"):
            return
        held = [self.world.ledger.holding(task) for task in self.world.tasks]
        total = sum(h.escrow + h.bond + h.stakes for h in held if h is not None)
        total += sum(self.world.balances().values()) + self.world.ledger.balance(VERIFIER.thumbprint)
        assert total == FUNDS * (2 + WORKERS)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        world = self.world
        world.heal()
        world.boot()
        world.run(rounds=400)
        world.check_money()
        paid = 0
        for task in world.tasks:
            state, holding = world.state(task), world.ledger.holding(task)
            assert world.final(task), (state, holding)
            if state is RequesterState.REFUSED:
                assert holding is None
                continue
            assert holding is not None
            assert holding.state is FINAL[state]
            paid += state is RequesterState.DONE
        workers = [w.session.records[t].state for w in world.workers for t in w.session.records]
        assert sum(state is WorkerState.PAID for state in workers) <= paid
        assert world.ledger.audit().paid == 50 * paid
        self._receipts_agree()

    def _receipts_agree(self) -> None:
        """Who was told of a payment was told the truth, and of one payment for a task at most."""
        payees: dict[bytes, bytes | None] = {}
        for source, _, data in self.world.wire:
            if source != COORDINATOR.thumbprint:
                continue
            body = open_message(data).body
            if isinstance(body, Receipt) and body.outcome is Outcome.PAID:
                assert payees.setdefault(body.task, body.worker) == body.worker
                assert body.requester == REQUESTER.thumbprint


Protocol.TestCase.settings = settings(
    max_examples=int(os.environ.get("VCOMPUTE_STATEFUL_EXAMPLES", "25")),
    stateful_step_count=80,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestProtocol = Protocol.TestCase
