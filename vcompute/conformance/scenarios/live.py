# SPDX-License-Identifier: Apache-2.0
"""L4: live sessions. The testee plays one role, the suite all others, over a link that drops, repeats, delays, truncates
and reorders; then the link heals and everything must come to its end, with every coin accounted for."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final

from vcompute.conformance.case import Case, Failure, Level
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.kit import Remote, Step, expect
from vcompute.conformance.testee import LocalTestee, Testee
from vcompute.conformance.wire import to_bytes
from vcompute.errors import VcomputeError
from vcompute.settlement import Ledger, SqliteBook

STEP: Final = 500
"""Milliseconds of a round."""
ROUNDS: Final = 400
FUNDS: Final = 1_000


@dataclass(frozen=True)
class Link:
    """Shares of messages that the link mistreats, and how long it does so."""

    drop: float = 0.0
    repeat: float = 0.0
    truncate: float = 0.0
    flip: float = 0.0
    reorder: bool = False
    delay: int = 0
    """most rounds a message is held back"""
    restarts: bool = False
    """the testee is killed and started again now and then"""
    rounds: int = 60
    """rounds until the link heals"""


LINKS: Final[Mapping[str, Link]] = {
    "clean": Link(),
    "drops": Link(drop=0.3),
    "repeats": Link(repeat=0.6),
    "delays": Link(delay=6),
    "truncates": Link(truncate=0.3),
    "flips": Link(flip=0.3),
    "reorders": Link(reorder=True, delay=3),
    "restarts": Link(restarts=True),
    "everything": Link(0.15, 0.2, 0.1, 0.1, reorder=True, delay=3, restarts=True),
}


class World:
    """All parties on one virtual clock."""

    def __init__(self, testee: Testee, role: str, link: Link, seed: str) -> None:
        self.random = Random(seed)  # noqa: S311 - a simulation
        self.link, self.role, self.now, self.round = link, role, kit.NOW, 0
        self.queue: list[tuple[int, bytes | None, bytes]] = []
        self.blobs: set[str] = set()
        self.staging: dict[bytes, tuple[str, ...]] = {}
        self.ledger = Ledger(SqliteBook(":memory:"), kit.SETTLEMENT)
        self.todo: list[tuple[bytes, Mapping[str, Any]]] = []
        owners = {
            "coordinator": kit.COORDINATOR,
            "requester": kit.REQUESTER,
            "worker": kit.WORKER,
            "verifier": kit.VERIFIER,
        }
        for party in (kit.REQUESTER, kit.WORKER):
            self.ledger.fund(party.thumbprint, FUNDS, party.thumbprint, self.now)
        self.parties: dict[bytes, Remote] = {}
        for name, owner in owners.items():
            where = testee if name == role else _reference()
            self.parties[owner.thumbprint] = Remote(where, name, owner)
        for thumbprint, remote in list(self.parties.items()):
            self.act(thumbprint, remote.started)

    def post(self, target: bytes | None, data: bytes) -> None:
        """Put a message on the link."""
        link, random = self.link, self.random
        faulty = self.round < link.rounds
        if faulty and random.random() < link.drop:
            return
        for _ in range(2 if faulty and random.random() < link.repeat else 1):
            sent = data
            if faulty and random.random() < link.truncate:
                sent = data[: random.randrange(len(data))]
            elif faulty and random.random() < link.flip:
                at = random.randrange(len(data))
                sent = data[:at] + bytes([data[at] ^ 1 << random.randrange(8)]) + data[at + 1 :]
            held = random.randint(0, link.delay) if faulty else 0
            self.queue.append((self.round + held, target, sent))

    def act(self, owner: bytes, step: Step) -> None:
        """Carry out what a party does."""
        for item in step.actions:
            match item["do"]:
                case "send":
                    self.post(to_bytes(item["to"]) if item["to"] else None, to_bytes(item["message"]))
                case "publish":
                    self.blobs |= set(item["blobs"])
                case "stage":
                    self.staging[to_bytes(item["task"])] = tuple(item["blobs"])
                    if owner == kit.REQUESTER.thumbprint:
                        self.todo.append((owner, item))
                case "run" | "judge" | "call":
                    self.todo.append((owner, item))
                case _:
                    pass

    def deliver(self) -> None:
        """Deliver what is due."""
        for _ in range(2_000):
            due = [index for index, (when, _, _) in enumerate(self.queue) if when <= self.round]
            if not due and not self.todo:
                return
            if due:
                index = self.random.choice(due) if self.link.reorder else due[0]
                _, target, data = self.queue.pop(index)
                owner = kit.COORDINATOR.thumbprint if target is None else target
                if owner in self.parties:
                    self.act(owner, self.party(owner).receive(data))
            self.work()
        raise Failure("the parties come to rest within a round", "silence", f"{len(self.queue)} messages")

    def party(self, owner: bytes) -> Remote:
        """A party, its clock set."""
        remote = self.parties[owner]
        remote.now = self.now
        return remote

    def work(self) -> None:
        """Do the work that was asked for: runs, checks, calls of the settlement, staging."""
        pending, self.todo = self.todo, []
        for owner, item in pending:
            party, task = self.party(owner), to_bytes(item["task"])
            match item["do"]:
                case "run":
                    outputs = kit.ref(b"outputs of " + task)
                    lease = to_bytes(item["lease"])
                    self.act(owner, party.tell("computed", lease=lease, outputs=outputs.digest, size=outputs.size))
                case "judge":
                    right = to_bytes(item["outputs"]) == kit.ref(b"outputs of " + task).digest
                    error = None if right else "output_mismatch"
                    self.act(owner, party.tell("judged", lease=to_bytes(item["lease"]), error=error))
                case "stage":
                    self.act(owner, party.tell("fetched", task=task))
                case _:
                    self.act(owner, self.call(party, item))
        coordinator = kit.COORDINATOR.thumbprint
        for task, blobs in list(self.staging.items()):
            if set(blobs) <= self.blobs:
                del self.staging[task]
                self.act(coordinator, self.party(coordinator).tell("staged", task=task))

    def call(self, party: Remote, item: Mapping[str, Any]) -> Step:
        """Ask the settlement; now and then its answer is lost."""
        data, task, lease = (to_bytes(item[name]) for name in ("data", "task", "lease"))
        ledger, now = self.ledger, self.now
        verbs: dict[str, Callable[[], Any]] = {
            "open": lambda: ledger.open(data, now),
            "bond": lambda: ledger.bond(data, now),
            "renew": lambda: ledger.renew(data, now),
            "commit": lambda: ledger.commit(data, now),
            "settle": lambda: ledger.settle(data, now),
            "release": lambda: ledger.release(task, lease, data or None, now),
            "refund": lambda: ledger.refund(task, data or None, now),
        }
        try:
            holding = verbs[item["operation"]]()
        except VcomputeError as error:
            return party.tell("refused", call=item["call"], error=error.code.name.lower())
        if self.round < self.link.rounds and self.random.random() < self.link.drop:
            return party.tell("unknown", call=item["call"])
        return party.tell("answered", call=item["call"], receipt=holding.receipt or b"", until=holding.until)

    def run(self, tasks: list[bytes]) -> None:
        """Rounds until every task is at an end."""
        tested = next(owner for owner, remote in self.parties.items() if remote.role == self.role)
        for self.round in range(ROUNDS):
            self.deliver()
            if all(self.over(task) for task in tasks):
                return
            self.now += STEP
            if self.link.restarts and self.round < self.link.rounds and self.random.random() < 0.1:
                self.act(tested, self.party(tested).restart())
            for owner in self.parties:
                self.act(owner, self.party(owner).tick())

    def over(self, task: bytes) -> bool:
        """Whether a task came to its end for requester and money."""
        requester = self.parties[kit.REQUESTER.thumbprint]
        return requester.state(task) in ("done", "refunded", "refused")


def _reference() -> Testee:
    from vcompute.conformance.operations import sessions

    return LocalTestee(sessions.operations())


def _script(role: str, link: Link, seed: str, tasks: int) -> Callable[[Testee], None]:
    def script(testee: Testee) -> None:
        world = World(testee, role, link, seed)
        offers = [kit.offer(memo=bytes([index])) for index in range(tasks)]
        requester = kit.REQUESTER.thumbprint
        for offer in offers:
            world.act(requester, world.party(requester).tell("offer", message=offer.data))
        world.run([offer.digest for offer in offers])
        states = [world.parties[requester].state(offer.digest) for offer in offers]
        expect("every task is done", ["done"] * tasks, states)
        paid = kit.TERMS.price * tasks
        expect("the requester paid each once", FUNDS - paid, world.ledger.balance(requester))
        expect("the worker was paid each once", FUNDS + paid, world.ledger.balance(kit.WORKER.thumbprint))
        expect("nothing is made or lost", True, world.ledger.audit().conserved)

    return script


def cases() -> Iterator[Case]:
    """Every role over every link, with several seeds."""
    for role in ("worker", "requester", "verifier", "coordinator"):
        for name, link in LINKS.items():
            for seed in range(1 if name == "clean" else 2):
                yield Case(
                    id=f"live/{role}/{name}-{seed}",
                    level=Level.L4,
                    requirements=("VC-SES-006",),
                    script=_script(role, link, f"{role}/{name}/{seed}", 2),
                    roles=(role,),
                    text=f"A {role} over a link: {name}.",
                )
