# SPDX-License-Identifier: Apache-2.0
"""What a coordinator does about the keys of its parties: who still speaks, what a revocation ends, who hears of it.

The settlement records rotations and revocations; the coordinator follows it. A revoked worker gives its leases back as
by a Yield, a revoked requester cancels its tasks as by a Cancel: both are events that the table of tasks knows.
"""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vcompute.errors import ProtocolError
from vcompute.identity import Keyring, PrivateKey
from vcompute.identity.lifecycle import KeyRecord, RecordKind
from vcompute.messages import Assign, Check, Draw, KeyChange, Lookup, Message, Receipt, Signed, by_name, reopen, seal
from vcompute.messages.keys import page_of, pages_of
from vcompute.registry import ErrorCode
from vcompute.session.actions import Action, Record, Send
from vcompute.session.coordinator_table import TASK_TABLE, TaskEvent
from vcompute.session.coordinator_tasks import Tasks


class Registrar:
    """The keys of a coordinator's parties, as its settlement recorded them."""

    def __init__(self, key: PrivateKey, keys: Keyring, tasks: Tasks) -> None:
        self._key = key
        self._keys = keys
        self._tasks = tasks

    def restore(self, records: tuple[KeyRecord, ...], now: int) -> list[Action]:
        """Go on after a restart: what a revocation ends, it ends now."""
        for record in records:
            self._keys.apply(record, 2**62)
        actions: list[Action] = []
        for name in self._keys.all_ended():
            actions += self._end(name, now)
        return actions

    def admit(self, message: Signed[Message]) -> Signed[Message]:
        """A message of a key that still speaks, or that was taken before, as its party's.

        Raises:
            ProtocolError: ``key_rotated``, ``key_revoked``.
        """
        if not len(self._keys):
            return message
        try:
            self._keys.require_live(message.signer, message.digest)
        except ProtocolError as error:
            if error.code is not ErrorCode.KEY_ROTATED or not self._taken(message):
                raise
        return by_name(message, self._keys.name_of)

    def _taken(self, message: Signed[Message]) -> bool:
        """Whether a message of an earlier key was taken when that key spoke: it comes again and brings nothing new."""
        if message.digest in self._tasks.records:
            return True
        record = self._tasks.records.get(getattr(message.body, "task", b""))
        return record is not None and message.data in (
            *(record.accept, record.result, record.answer, record.verdict, record.evidence, record.cancel),
            *(record.challenge, *record.commits, *record.reveals),
        )

    def changed(self, change: KeyChange, now: int) -> list[Action]:
        """A record of a party's keys, from anyone: for the settlement, if it is in order.

        Raises:
            EncodingError, ProtocolError: as :meth:`Keyring.apply`.
        """
        name = self._keys.preview(change.record, now).name
        if change.record in self._keys.records(name):
            return []
        return [Record(change.record)]

    def recorded(self, record: KeyRecord, now: int) -> list[Action]:
        """The settlement recorded it."""
        name, new = self._keys.apply(record, now)
        if new and record.kind is RecordKind.ROTATION:
            self._tasks.roster.forget_appraisal(name)
        return self._end(name, now) if new and self._keys.ended(name) else []

    def looked_up(self, lookup: Signed[Lookup]) -> list[Action]:
        """Records of a party, for whoever asks."""
        name = self._keys.name_of(lookup.body.key)
        page = page_of(name, self._keys.records(name), lookup.body.after)
        return [Send(lookup.signer, seal(self._key, page).data)]

    def _end(self, name: bytes, now: int) -> list[Action]:
        """Nobody speaks for a party: its leases without a result go back, its tasks are cancelled."""
        actions: list[Action] = []
        self._tasks.roster.drop(name)
        for task in sorted(self._tasks.roster.active.get(name, ())):
            for event in (TaskEvent.YIELD, TaskEvent.BUSY):
                actions += self._tasks.event(task, event, now)
        revocation = self._keys.records(name)[-1].data
        for record in self._tasks.records.open_of(name):
            if not TASK_TABLE.final(record.state) and record.cancel is None:
                actions += self._tasks.apply(replace(record, cancel=revocation), TaskEvent.CANCEL, now)
        return actions

    # Who hears of it.

    def with_keys(self, actions: list[Action]) -> list[Action]:
        """Address every message to its party's name, and send ahead the records of keys that signed inside it."""
        if not len(self._keys):
            return actions
        out: list[Action] = []
        for action in actions:
            if not isinstance(action, Send) or action.to is None:
                out.append(action)
                continue
            to = self._keys.name_of(action.to)
            message = reopen(action.data)
            parties = {self._keys.name_of(key) for key in (message.signer, *_signers(message.body))}
            for party in sorted(parties):
                records = self._keys.records(party)
                if records:
                    out += [Send(to, seal(self._key, page).data) for page in pages_of(party, records)]
            out.append(Send(to, action.data))
        return out


def _signers(body: Any) -> Iterator[bytes]:
    """The keys that signed what a message holds."""
    inside: list[bytes | None]
    match body:
        case Assign(offer=offer):
            inside = [offer]
        case Check(offer, accept, result, answer):
            inside = [offer, accept, result, answer]
        case Draw(commits=commits, reveals=reveals):
            inside = [*commits, *reveals]
        case Receipt():
            inside = [body.result, body.challenge, *body.verdicts, *(body.draw or ())]
        case _:
            inside = []
    for data in inside:
        if data is not None:
            yield reopen(data).signer
