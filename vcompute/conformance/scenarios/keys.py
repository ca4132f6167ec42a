# SPDX-License-Identifier: Apache-2.0
"""L3 and L5: keys that change and end under way, at the settlement and at the coordinator.

An implementation that records no changes of keys is skipped: it then knows each key as a party of its own.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

from vcompute.codec import encode
from vcompute.conformance.case import Case, Failure, Level, Skip
from vcompute.conformance.scenarios import kit
from vcompute.conformance.scenarios.desk import Desk
from vcompute.conformance.scenarios.kit import Step, expect, refused
from vcompute.conformance.scenarios.money import START, Till
from vcompute.conformance.testee import Testee
from vcompute.conformance.wire import to_bytes, to_text
from vcompute.identity import Keyring, PrivateKey
from vcompute.identity.lifecycle import KeyRecord, RecordKind, enrol, recover, revoke, rotate
from vcompute.messages import KeyChange, Keys, Lookup, Receipt, Signed, open_message, seal
from vcompute.registry import RevocationReason, Role
from vcompute.session.handshake import greeting

NEW, NEWER, THIEF, RECOVERY = (kit.key(name) for name in ("new", "newer", "thief", "recovery"))
LOST: Final = RevocationReason.DEVICE_LOST


def rotation(old: PrivateKey, new: PrivateKey, sequence: int = 1, *carried: bytes, time: int = kit.NOW) -> KeyRecord:
    """A rotation from one key to another."""
    return KeyRecord(RecordKind.ROTATION, rotate(old, new, sequence, time, carried))


def revocation(signer: PrivateKey, key: PrivateKey | None = None, time: int = kit.NOW) -> KeyRecord:
    """A revocation of a key, the signer's own where none is given."""
    return KeyRecord(RecordKind.REVOCATION, revoke(signer, (key or signer).thumbprint, time, LOST))


class Vault(Till):
    """A settlement under test that records keys."""

    def take(self, record: KeyRecord) -> str:
        """Bring a record: ``done``, or the name of the error."""
        request = {"session": self.remote.session, "now": self.remote.now, "record": to_text(encode(record))}
        answered = self.remote.testee.ask("session.keys", request)
        if answered.unsupported:
            raise Skip("session.keys is not supported")
        return answered.error or "done"

    def commit_as(self, key: PrivateKey) -> str:
        """The result signed by a key."""
        self.result = kit.result(self.lease, key)
        return self.do("commit", data=self.result.data)

    def paid(self) -> Receipt:
        """Settle; the receipt."""
        out = self.remote.settle("settle", data=kit.verdict(self.result).data)
        if isinstance(out, str) or not out.get("receipt"):
            raise Failure("a receipt", "a receipt", out)
        return open_message(to_bytes(out["receipt"])).of(Receipt).body

    def leased(self) -> "Vault":
        """Opened and leased."""
        self.to("leased")
        return self


def _rotate_at_work(vault: Vault) -> None:
    vault.leased()
    expect("the rotation", "done", vault.take(rotation(kit.WORKER, NEW)))
    expect("the new key commits", "done", vault.commit_as(NEW))
    body = vault.paid()
    expect("the receipt names the party", kit.WORKER.thumbprint.hex(), (body.worker or b"").hex())
    vault.balances(START - 50, START + 50)
    expect("the new key names the account", START + 50, vault.remote.facts(NEW.thumbprint).get("balance"))


def _receipt_names(vault: Vault) -> None:
    vault.leased()
    record = rotation(kit.WORKER, NEW)
    vault.take(record)
    vault.commit_as(NEW)
    keys = Keyring()
    keys.apply(record, kit.NOW)
    named = keys.rotation_to(NEW.thumbprint) or b""
    expect("the rotations named", [named.hex()], [item.hex() for item in vault.paid().rotations or ()])


def _receipt_names_nothing(vault: Vault) -> None:
    vault.leased()
    vault.commit_as(kit.WORKER)
    vault.take(rotation(kit.WORKER, NEW))
    expect("no rotation is named", None, vault.paid().rotations)
    vault.balances(START - 50, START + 50)


def _old_key(vault: Vault) -> None:
    vault.leased()
    expect("the rotation", "done", vault.take(rotation(kit.WORKER, NEW)))
    expect("the old key", "key_rotated", vault.commit_as(kit.WORKER))
    expect("its renewal", "key_rotated", vault.renew())
    expect("its yield", "key_rotated", vault.give_back())
    vault.balances(START - 50, START - 20)


def _same_bytes_again(vault: Vault) -> None:
    vault.leased()
    vault.commit_as(kit.WORKER)
    vault.take(rotation(kit.WORKER, NEW))
    expect("what was recorded before, again", "done", vault.commit())


def _carried(vault: Vault) -> None:
    vault.leased()
    named = kit.result(vault.lease, kit.WORKER)
    expect("the rotation", "done", vault.take(rotation(kit.WORKER, NEW, 1, named.digest)))
    expect("another result of the old key", "key_rotated", vault.do("commit", data=_other(vault).data))
    expect("the result named", "done", vault.do("commit", data=named.data))


def _carried_once(vault: Vault) -> None:
    vault.leased()
    named = kit.result(vault.lease, kit.WORKER)
    vault.take(rotation(kit.WORKER, NEW, 1, named.digest))
    vault.take(rotation(NEW, NEWER, 2))
    expect("after the next rotation", "key_rotated", vault.do("commit", data=named.data))


def _other(vault: Vault) -> Signed[Any]:
    return kit.result(vault.lease, kit.WORKER, b"other outputs")


def _fork(vault: Vault) -> None:
    vault.leased()
    record = rotation(kit.WORKER, NEW)
    expect("the rotation", "done", vault.take(record))
    expect("the same again", "done", vault.take(record))
    expect("a second successor", "unexpected_signer", vault.take(rotation(kit.WORKER, NEWER)))
    expect("back to the first key", "key_reused", vault.take(rotation(NEW, kit.WORKER, 2)))
    expect("to a party with an account", "key_reused", vault.take(rotation(NEW, kit.OTHER, 2)))
    expect("dated ahead", "not_due", vault.take(rotation(NEW, NEWER, 2, time=kit.NOW + 3_600_000)))
    expect("the new key is the party's still", "done", vault.commit_as(NEW))


def _restart(vault: Vault) -> None:
    vault.leased()
    vault.take(rotation(kit.WORKER, NEW))
    vault.remote.restart()
    expect("the old key after a restart", "key_rotated", vault.commit_as(kit.WORKER))
    expect("the new key after a restart", "done", vault.commit_as(NEW))


def _revoked(vault: Vault) -> None:
    vault.leased()
    expect("the revocation", "done", vault.take(revocation(kit.WORKER)))
    expect("its result", "key_revoked", vault.commit_as(kit.WORKER))
    expect("its yield, which is not needed", "done", vault.do("release", task=vault.task.digest, lease=_lease(vault)))
    vault.balances(START - 50, START)
    again = kit.accept(vault.task, kit.WORKER, 2)
    expect("its next acceptance", "key_revoked", vault.do("bond", data=again.data))
    expect("a rotation away from it", "unexpected_signer", vault.take(rotation(kit.WORKER, NEW)))


def _lease(vault: Vault) -> bytes:
    return vault.lease.digest


def _revoked_after_result(vault: Vault) -> None:
    vault.leased()
    vault.commit_as(kit.WORKER)
    vault.take(revocation(kit.WORKER))
    expect("its lease has a result", "lease_conflict", vault.do("release", task=vault.task.digest, lease=_lease(vault)))
    vault.paid()
    vault.balances(START - 50, START + 50)


def _revoked_requester(vault: Vault) -> None:
    vault.open()
    expect("before", "not_due", vault.do("refund", task=vault.task.digest))
    vault.take(revocation(kit.REQUESTER))
    expect("its offer goes back", "done", vault.do("refund", task=vault.task.digest))
    vault.balances(START, START)
    expect("its next offer", "key_revoked", vault.do("open", data=kit.offer(memo=b"next").data))


def _revoked_verifier(vault: Vault) -> None:
    vault.to("committed")
    vault.take(revocation(kit.VERIFIER))
    expect("its verdict", "key_revoked", vault.settle())
    expect("an offer that names it", "terms_not_acceptable", vault.do("open", data=kit.offer(memo=b"next").data))
    vault.balances(START - 50, START - 20)


def _named_by_later_key(vault: Vault) -> None:
    vault.take(rotation(kit.VERIFIER, NEW))
    later = kit.offer(verifiers=(NEW.thumbprint,))
    expect("a verifier by its later key", "terms_not_acceptable", vault.do("open", data=later.data))
    expect("by its first", "done", vault.open())


def _quorum_with_revoked(vault: Vault) -> None:
    judges = (kit.VERIFIER, kit.OTHER, NEWER)
    vault.task = kit.offer(verifiers=tuple(sorted(judge.thumbprint for judge in judges)), quorum=2)
    vault.lease = kit.accept(vault.task)
    vault.result = kit.result(vault.lease)
    vault.to("committed")
    expect("the first verdict", "done", vault.settle(by=kit.VERIFIER))
    vault.take(revocation(kit.VERIFIER))
    expect("the second verdict", "done", vault.settle(by=kit.OTHER))
    vault.balances(START - 50, START - 20)
    expect("the third, which makes two", "done", vault.settle(by=NEWER))
    vault.balances(START - 50, START + 50)


def _operator(vault: Vault) -> None:
    vault.leased()
    by_stranger = revocation(kit.STRANGER, kit.WORKER)
    expect("a stranger's revocation", "unexpected_signer", vault.take(by_stranger))
    expect("the settlement's", "done", vault.take(revocation(kit.SETTLEMENT, kit.WORKER)))
    expect("the revoked key", "key_revoked", vault.commit_as(kit.WORKER))


def _recovery(vault: Vault) -> None:
    vault.leased()
    behind = enrol(kit.WORKER, Role.WORKER, kit.NOW, RECOVERY.thumbprint)
    expect("the enrolment", "done", vault.take(KeyRecord(RecordKind.ENROLMENT, behind)))
    vault.take(rotation(kit.WORKER, THIEF))
    expect("the thief's revocation", "done", vault.take(revocation(RECOVERY, THIEF)))
    expect("the thief", "key_revoked", vault.commit_as(THIEF))
    back = recover(RECOVERY, THIEF.thumbprint, NEW, 2, kit.NOW)
    expect("the owner is back", "done", vault.take(KeyRecord(RecordKind.ROTATION, back)))
    expect("and works on", "done", vault.commit_as(NEW))
    vault.paid()
    expect("paid", START + 50, vault.remote.facts(NEW.thumbprint).get("balance"))


def _enrols_once(vault: Vault) -> None:
    first = enrol(kit.WORKER, Role.WORKER, kit.NOW, RECOVERY.thumbprint)
    other = enrol(kit.WORKER, Role.WORKER, kit.NOW, THIEF.thumbprint)
    late = enrol(kit.OTHER, Role.WORKER, kit.NOW, RECOVERY.thumbprint)
    expect("the first enrolment", "done", vault.take(KeyRecord(RecordKind.ENROLMENT, first)))
    expect("the same again", "done", vault.take(KeyRecord(RecordKind.ENROLMENT, first)))
    expect("another", "operation_conflict", vault.take(KeyRecord(RecordKind.ENROLMENT, other)))
    vault.take(rotation(kit.OTHER, NEW))
    expect("after a rotation", "operation_conflict", vault.take(KeyRecord(RecordKind.ENROLMENT, late)))


def _transfer(vault: Vault) -> None:
    request = {"data": b"ticket", "party": kit.WORKER.thumbprint, "to": NEW.thumbprint}
    vault.take(rotation(kit.OTHER, NEWER))
    expect("while the key speaks", "not_due", vault.do("transfer", **request))
    vault.take(revocation(kit.WORKER))
    expect("once it is revoked", "done", vault.do("transfer", **request))
    expect("the same again", "done", vault.do("transfer", **request))
    expect("the new party has it", START, vault.remote.facts(NEW.thumbprint).get("balance"))
    vault.balances(START, 0)


TILL: Final[dict[str, tuple[Callable[[Vault], None], str, str]]] = {
    "rotated-at-work": (_rotate_at_work, "VC-KEY-001", "a worker rotates during a lease, commits and is paid"),
    "old-key": (_old_key, "VC-KEY-003", "the replaced key commits, renews and yields"),
    "same-bytes-again": (_same_bytes_again, "VC-KEY-003", "a result recorded before the rotation, repeated"),
    "carried": (_carried, "VC-KEY-004", "the one result that the rotation names arrives late"),
    "carried-once": (_carried_once, "VC-KEY-004", "what was carried over one rotation is not carried over two"),
    "fork": (_fork, "VC-KEY-002", "a second successor, a key that comes back, a key with an account, a date ahead"),
    "restart": (_restart, "VC-KEY-005", "a settlement that is killed and started again remembers"),
    "receipt-names": (_receipt_names, "VC-KEY-006", "a receipt names the rotation to the key that signed the result"),
    "receipt-names-nothing": (_receipt_names_nothing, "VC-KEY-006", "a result of the first key needs no rotation"),
    "revoked": (_revoked, "VC-KEY-010 VC-KEY-011", "a revoked worker's lease goes back, its bond stays whole"),
    "revoked-after-result": (_revoked_after_result, "VC-KEY-011", "a result committed before is judged and paid"),
    "revoked-requester": (_revoked_requester, "VC-KEY-011", "a revoked requester's offer goes back at once"),
    "revoked-verifier": (_revoked_verifier, "VC-KEY-012", "a revoked verifier's verdict, and an offer that names it"),
    "named-by-later-key": (_named_by_later_key, "VC-KEY-008", "an offer names a verifier by its later key"),
    "quorum-with-revoked": (
        _quorum_with_revoked,
        "VC-KEY-012",
        "a verdict whose key was revoked since adds to no quorum",
    ),
    "operator": (_operator, "VC-KEY-013", "the settlement revokes, a stranger does not"),
    "recovery": (_recovery, "VC-KEY-014", "the recovery key ends a thief and names a successor"),
    "enrols-once": (_enrols_once, "VC-KEY-014", "a party enrols once, before it rotates"),
    "transfer": (_transfer, "VC-KEY-015", "the operator moves a revoked party's balance, and no other's, once"),
}


class KeyDesk(Desk):
    """A coordinator under test whose settlement records keys."""

    def change(self, record: KeyRecord) -> Step:
        """Bring a record and let the settlement take it."""
        step = self.remote.receive(seal(kit.STRANGER, KeyChange(record)))
        if step.error in ("unknown_message", "unexpected_message"):
            raise Skip("changes of keys are not supported")
        expect("the settlement is asked", ["record"], step.kinds)
        self.ledger.take(record, self.remote.now)
        return self.remote.tell("recorded", record=to_bytes(step.actions[0]["record"]))


def _desk_rotation(desk: KeyDesk) -> None:
    desk.leased()
    desk.change(rotation(desk.worker, NEW))
    refused(desk.remote.receive(kit.result(desk.lease, desk.worker)), "key_rotated")
    refused(desk.remote.receive(seal(desk.worker, greeting(Role.WORKER, bytes(16)))), "key_rotated")
    desk.committed = kit.result(desk.lease, NEW)
    desk.expect(desk.remote.receive(desk.committed), "committing", "call")
    desk.asks("commit")
    desk.expect(desk.answer(), "collecting", "stage")
    step = desk.remote.tell("staged", task=desk.task.digest)
    expect("the records go ahead of the evidence", ["send:keys", "send:check"], step.kinds)
    keys = Keyring()
    for record in step.message("keys").of(Keys).body.records:
        keys.apply(record, desk.remote.now)
    expect("they name the party", desk.worker.thumbprint.hex(), keys.name_of(NEW.thumbprint).hex())


def _desk_known_again(desk: KeyDesk) -> None:
    desk.leased()
    desk.change(rotation(kit.REQUESTER, NEW))
    step = desk.remote.receive(desk.task)
    expect("an offer taken before", None, step.error)
    fresh = kit.offer(memo=b"fresh")
    refused(desk.remote.receive(fresh), "key_rotated")


def _desk_fork(desk: KeyDesk) -> None:
    desk.change(rotation(desk.workers[0], NEW))
    fork = rotation(desk.workers[0], NEWER)
    refused(desk.remote.receive(seal(NEWER, KeyChange(fork))), "unexpected_signer")
    forged = revocation(kit.STRANGER, NEW)
    refused(desk.remote.receive(seal(kit.STRANGER, KeyChange(forged))), "unexpected_signer")


def _desk_lookup(desk: KeyDesk) -> None:
    desk.change(rotation(desk.workers[0], NEW))
    step = desk.remote.receive(seal(kit.STRANGER, Lookup(NEW.thumbprint, 0)))
    body = step.message("keys").of(Keys).body
    expect("the party", desk.workers[0].thumbprint.hex(), body.party.hex())
    expect("its records", [1, False], [len(body.records), body.more])
    nothing = desk.remote.receive(seal(kit.STRANGER, Lookup(kit.OTHER.thumbprint, 0))).message("keys").of(Keys).body
    expect("a party without records", [0, False], [len(nothing.records), nothing.more])


def _desk_revoked(desk: KeyDesk) -> None:
    desk.leased()
    step = desk.change(revocation(desk.worker))
    desk.call = step.of("call")[-1]
    desk.asks("release")
    refused(desk.remote.receive(kit.result(desk.lease, desk.worker)), "key_revoked")
    desk.answer()
    expect("the task waits for another worker", "queued", desk.remote.state(desk.task.digest))
    desk.money(950, 1_000)


def _desk_revoked_requester(desk: KeyDesk) -> None:
    desk.assigned()
    step = desk.change(revocation(kit.REQUESTER))
    desk.call = step.of("call")[-1]
    desk.asks("refund")
    desk.answer()
    expect("the task", "refunded", desk.remote.state(desk.task.digest))
    desk.money(1_000, 1_000)


def _desk_restart(desk: KeyDesk) -> None:
    desk.leased()
    desk.change(rotation(desk.worker, NEW))
    desk.remote.restart()
    refused(desk.remote.receive(kit.result(desk.lease, desk.worker)), "key_rotated")
    desk.expect(desk.remote.receive(kit.result(desk.lease, NEW)), "committing", "call")


DESK: Final[dict[str, tuple[Callable[[KeyDesk], None], str, str]]] = {
    "rotation": (_desk_rotation, "VC-KEY-001 VC-KEY-003 VC-KEY-007", "a worker rotates during a lease"),
    "known-again": (_desk_known_again, "VC-KEY-003", "an offer that was taken before the rotation comes again"),
    "fork": (_desk_fork, "VC-KEY-002 VC-KEY-013", "a second successor, and a stranger's revocation"),
    "lookup": (_desk_lookup, "VC-KEY-007", "anyone asks for a party's records"),
    "revoked": (_desk_revoked, "VC-KEY-010 VC-KEY-011", "a revoked worker's lease is released, its messages refused"),
    "revoked-requester": (_desk_revoked_requester, "VC-KEY-011", "a revoked requester's task is refunded"),
    "restart": (_desk_restart, "VC-KEY-005", "a coordinator that is killed and started again asks its settlement"),
}


def cases() -> Iterator[Case]:
    """A case for each path."""
    for where, make, table in (("settlement", Vault, TILL), ("coordinator", KeyDesk, DESK)):
        for name, (run, requirements, text) in table.items():
            yield Case(
                id=f"keys/{where}/{name}",
                level=Level.L3,
                requirements=tuple(requirements.split()),
                script=_script(make, run),
                roles=("coordinator",),
                text=f"Keys at a {where}: {text}.",
            )


def _script(make: Callable[[Testee], Any], run: Callable[[Any], None]) -> Callable[[Testee], None]:
    return lambda testee: run(make(testee))
