# SPDX-License-Identifier: Apache-2.0
"""Who is there: sessions of parties, advertisements and standing of workers, and who gets the next task.

A worker's quota of tasks in flight grows with its verified results and falls to nothing for a while after a refused
one. Who lets a lease lapse is offered nothing until it advertises again.
"""

from collections import OrderedDict, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import islice
from typing import Final

from vcompute.codec import Uint
from vcompute.codec import field as wire
from vcompute.errors import ProtocolError
from vcompute.identity.attestation import Appraisal
from vcompute.messages import Advertise, Enrol, Hello, Offer, Signed
from vcompute.messages.primitives import DIGEST, TIME
from vcompute.policy import standing as rules
from vcompute.policy.attestation import EXTRA_PLACES, AttestationPolicy, Weight
from vcompute.registry import ErrorCode, Role

MAX_SESSIONS: Final = 100_000
SEARCHED: Final = 64
"""Parties looked at for one to forget, those silent longest first."""
BUSY_FOR: Final = 10_000
"""Milliseconds after which a party that found no place may try again."""


@dataclass(frozen=True, slots=True)
class Standing:
    """A worker's history with this coordinator."""

    worker: bytes = wire(0, DIGEST, "worker")
    verified: int = wire(1, Uint(53), "results verified")
    rejected: int = wire(2, Uint(53), "results refused")
    lapsed: int = wire(3, Uint(53), "leases that lapsed")
    banned_until: int = wire(4, TIME, "no work before")

    def quota(self, capacity: int) -> int:
        """Tasks it may have in flight."""
        return rules.quota(self.verified, self.rejected, capacity)


@dataclass(slots=True)
class Party:
    """A party with a session."""

    thumbprint: bytes
    role: Role
    hello: bytes
    """Digest of its Hello."""
    answer: bytes
    """The coordinator's Hello."""
    session: bytes
    """Its digest, which names the session."""
    advertise: Advertise | None = None
    expires: int = 0
    appraisal: Appraisal | None = None
    """Who vouches for its device, in this session."""


class Roster:
    """All parties of a coordinator."""

    def __init__(
        self,
        recall: Callable[[bytes], Standing | None] = lambda _: None,
        attestation: AttestationPolicy | None = None,
    ) -> None:
        """``recall`` reads back the stored standing of a worker, or gives None; ``attestation`` says what evidence is
        worth, nothing by default."""
        self._attestation = attestation or AttestationPolicy()
        self._recall = recall
        self.parties: OrderedDict[bytes, Party] = OrderedDict()
        self.standings: dict[bytes, Standing] = {}
        self.active: defaultdict[bytes, set[bytes]] = defaultdict(set)
        self._ready: OrderedDict[bytes, None] = OrderedDict()
        self.limit = MAX_SESSIONS

    def greet(self, hello: Signed[Hello], answer: Signed[Hello]) -> None:
        """A party said hello and was answered. Where there are too many, whoever was silent longest and holds no
        lease is forgotten, and says hello again when it comes back.

        Raises:
            ProtocolError: ``busy``: too many sessions, and all have work.
        """
        if hello.signer not in self.parties and len(self.parties) >= self.limit:
            self._forget_one()
        self.parties[hello.signer] = Party(hello.signer, hello.body.role, hello.digest, answer.data, answer.digest)
        self.parties.move_to_end(hello.signer)
        self._ready.pop(hello.signer, None)

    def _forget_one(self) -> None:
        for thumbprint in islice(self.parties, SEARCHED):
            if not self.active.get(thumbprint):
                del self.parties[thumbprint]
                self.standings.pop(thumbprint, None)
                self._ready.pop(thumbprint, None)
                return
        raise ProtocolError("too many sessions", code=ErrorCode.BUSY, retry_after=BUSY_FOR)

    def standing(self, worker: bytes) -> Standing:
        """A worker's history, read back where it is not in memory."""
        known = self.standings.get(worker)
        if known is None:
            known = self.standings[worker] = self._recall(worker) or Standing(worker, 0, 0, 0, 0)
        return known

    def session(self, signer: bytes, name: bytes) -> Party:
        """The party's session of this name.

        Raises:
            ProtocolError: ``unknown_session``: it must say hello again.
        """
        party = self.parties.get(signer)
        if party is None or party.session != name:
            raise ProtocolError("no session of this name; say hello again", code=ErrorCode.UNKNOWN_SESSION)
        self.parties.move_to_end(signer)
        return party

    def advertise(self, message: Signed[Advertise], now: int) -> None:
        """A worker or verifier says what it can do; an older advertisement is ignored.

        Raises:
            ProtocolError: ``unknown_session``; ``evidence_rejected``: a worker that is not attested where it has to be.
        """
        party = self.session(message.signer, message.body.session)
        if self._attestation.weight is Weight.REQUIRE and party.appraisal is None and party.role is Role.WORKER:
            raise ProtocolError("only attested workers get tasks here: enrol", code=ErrorCode.EVIDENCE_REJECTED)
        if party.advertise is not None and message.body.sequence <= party.advertise.sequence:
            return
        party.advertise = message.body
        party.expires = now + message.body.valid
        self.standing(message.signer)
        self._refresh(message.signer)

    def enrol(self, message: Signed[Enrol], key: bytes, now: int) -> None:
        """A party enrols for its session, with evidence about its device key ``key``.

        Raises:
            EncodingError: the evidence is none.
            ProtocolError: ``unknown_session``; ``unexpected_message``: in another role than it greeted in; as
                :meth:`AttestationPolicy.appraise`.
        """
        body = message.body
        party = self.session(message.signer, body.session)
        if body.role is not party.role:
            raise ProtocolError("it greeted in another role", code=ErrorCode.UNEXPECTED_MESSAGE, got=body.role.name)
        party.appraisal = self._attestation.appraise(body.evidence, key, body.session, now)
        self._refresh(message.signer)

    def forget_appraisal(self, thumbprint: bytes) -> None:
        """A party signs with another key: who vouched for the last one did not for this."""
        party = self.parties.get(thumbprint)
        if party is not None:
            party.appraisal = None
            self._refresh(thumbprint)

    def pick(self, offer: Offer, requester: bytes, excluded: tuple[bytes, ...], now: int) -> bytes | None:
        """A worker for an offer, the one that waited longest first, attested ones before others where that counts; None
        where none fits. Nobody works on a task that it pays for or judges."""
        barred = {requester, *offer.verifiers, *excluded}
        resting = []
        picked = None
        looked = 0
        for thumbprint in self._ready:
            party = self.parties[thumbprint]
            if now >= party.expires or now < self.standing(thumbprint).banned_until:
                resting.append(thumbprint)
            elif thumbprint not in barred and party.advertise is not None and _fits(party.advertise, offer):
                if picked is None or party.appraisal is not None:
                    picked = thumbprint
                if party.appraisal is not None or self._attestation.weight is Weight.IGNORE:
                    break
                looked += 1
                if looked >= SEARCHED:
                    break
        for thumbprint in resting:
            del self._ready[thumbprint]
        return picked

    @property
    def idle(self) -> bool:
        """Whether no worker has a free place."""
        return not self._ready

    def take(self, thumbprint: bytes, task: bytes) -> None:
        """A place of a worker is taken."""
        self.active[thumbprint].add(task)
        self._ready.pop(thumbprint, None)
        self._refresh(thumbprint)

    def free(self, thumbprint: bytes, task: bytes) -> None:
        """A place of a worker is free again."""
        self.active[thumbprint].discard(task)
        if not self.active[thumbprint]:
            del self.active[thumbprint]
        self._refresh(thumbprint)

    def rest(self, thumbprint: bytes) -> None:
        """Nothing more for a worker until it advertises again."""
        party = self.parties.get(thumbprint)
        if party is not None:
            party.expires = 0
            self._ready.pop(thumbprint, None)

    def drop(self, thumbprint: bytes) -> None:
        """A party's session ends."""
        self.parties.pop(thumbprint, None)
        self._ready.pop(thumbprint, None)

    def lapse(self, thumbprint: bytes) -> Standing:
        """A worker let a lease lapse: nothing more until it advertises again."""
        self.rest(thumbprint)
        return self._count(thumbprint, lapsed=1)

    def reward(self, thumbprint: bytes) -> Standing:
        """A result was verified."""
        return self._count(thumbprint, verified=1)

    def punish(self, thumbprint: bytes, now: int) -> Standing:
        """A result was refused."""
        standing = self._count(thumbprint, rejected=1)
        ban = now + rules.ban_after(standing.rejected)
        self.standings[thumbprint] = replace(standing, banned_until=ban)
        self._ready.pop(thumbprint, None)
        return self.standings[thumbprint]

    def _count(self, thumbprint: bytes, verified: int = 0, rejected: int = 0, lapsed: int = 0) -> Standing:
        old = self.standing(thumbprint)
        new = replace(
            old, verified=old.verified + verified, rejected=old.rejected + rejected, lapsed=old.lapsed + lapsed
        )
        self.standings[thumbprint] = new
        return new

    def _places(self, party: Party, capacity: int) -> int:
        """Tasks a worker may have in flight."""
        earned = self.standing(party.thumbprint).quota(capacity)
        return earned if party.appraisal is None else min(capacity, earned + EXTRA_PLACES)

    def _refresh(self, thumbprint: bytes) -> None:
        party = self.parties.get(thumbprint)
        advert = None if party is None else party.advertise
        taken = len(self.active.get(thumbprint, ()))
        if (
            party is None
            or advert is None
            or advert.role is not Role.WORKER
            or taken >= self._places(party, advert.capacity)
        ):
            self._ready.pop(thumbprint, None)
        elif thumbprint not in self._ready:
            self._ready[thumbprint] = None


def _fits(advert: Advertise, offer: Offer) -> bool:
    return (
        any(choice in offer.policy.suites for choice in advert.suites)
        and offer.bond <= advert.bond
        and offer.price * 1_000_000 >= advert.price * offer.work_units
    )
