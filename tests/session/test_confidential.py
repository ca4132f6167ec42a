# SPDX-License-Identifier: Apache-2.0
"""Confidential inputs in sessions: who may ask, who may answer, and what a stranger gets."""

from dataclasses import replace
from typing import Any

import pytest

from tests.protocol_kit import COORDINATOR, NOW, OFFER, OTHER, REQUESTER, VERIFIER, WORKER, accept, ref, result
from vcompute.errors import ProtocolError
from vcompute.identity import PrivateKey
from vcompute.identity.confidential import reader_key
from vcompute.identity.hpke import public_bytes
from vcompute.messages import Assign, Check, Confidential, Decline, Offer, Opening, Reader, Signed, open_message, seal
from vcompute.registry import ErrorCode, Role
from vcompute.session import Judge, RequesterSession, Run, Seal, Send, VerifierSession, WorkerSession

SEED = bytes(range(32))
POINT = public_bytes(reader_key(SEED, bytes(32)).public_key())


def secret_offer(verifiers: bool = True) -> Signed[Offer]:
    return seal(REQUESTER, replace(OFFER, confidential=Confidential(verifiers))).of(Offer)


def sent(actions: list[Any], cls: type[Any]) -> list[Any]:
    messages = [open_message(action.data) for action in actions if isinstance(action, Send)]
    return [message for message in messages if isinstance(message.body, cls)]


def refused(code: ErrorCode, call: Any, *args: Any) -> None:
    with pytest.raises(ProtocolError) as caught:
        call(*args)
    assert caught.value.code is code


def working(task: Signed[Offer]) -> tuple[WorkerSession, Any]:
    session = WorkerSession(WORKER, lambda offer, now: None, SEED)
    actions = session.receive(seal(COORDINATOR, Assign(task.data, 1, task.body.price)), NOW)
    assert not any(isinstance(action, Run) for action in actions), "no work before the inputs are opened"
    (reader,) = sent(actions, Reader)
    return session, reader


def test_a_worker_asks_for_the_opening_and_asks_again() -> None:
    """VC-HPK-008: with a key of this lease; the work starts with the requester's opening and with no other."""
    task = secret_offer()
    session, reader = working(task)
    lease = session.records[task.digest].lease
    assert (reader.body.role, reader.body.key) == (Role.WORKER, public_bytes(reader_key(SEED, lease).public_key()))
    assert reader_key(SEED, lease).private_numbers() != reader_key(SEED, bytes(32)).private_numbers()
    assert sent(session.tick(NOW + OFFER.lease // 3), Reader)
    good = Opening(task.digest, lease, WORKER.thumbprint, ref(b"sealed"))
    refused(ErrorCode.UNEXPECTED_SIGNER, session.receive, seal(OTHER, good), NOW)
    other = seal(REQUESTER, replace(good, reader=OTHER.thumbprint))
    refused(ErrorCode.UNEXPECTED_MESSAGE, session.receive, other, NOW)
    assert session.receive(seal(REQUESTER, replace(good, lease=bytes(32))), NOW) == []
    (run,) = [action for action in session.receive(seal(REQUESTER, good), NOW) if isinstance(action, Run)]
    assert run.job.opening.body == good
    assert session.receive(seal(REQUESTER, good), NOW) == [], "once"


def test_a_worker_without_a_seed_declines() -> None:
    """VC-HPK-008."""
    session = WorkerSession(WORKER, lambda offer, now: None)
    task = secret_offer()
    (decline,) = sent(session.receive(seal(COORDINATOR, Assign(task.data, 1, task.body.price)), NOW), Decline)
    assert decline.body.code is ErrorCode.TERMS_NOT_ACCEPTABLE


@pytest.mark.parametrize("verifiers", [True, False])
def test_a_requester_seals_for_the_readers_of_its_offer(verifiers: bool) -> None:
    """VC-HPK-009: the worker of the lease, and verifiers where the offer opens to them; nobody else."""
    task = secret_offer(verifiers)
    lease = accept(task)
    session = RequesterSession(REQUESTER)
    session.offer(task, NOW, bytes(32), ref(b"inputs"))

    def ask(key: PrivateKey, role: Role, name: bytes = lease.digest) -> list[Any]:
        return session.receive(seal(key, Reader(task.digest, name, role, POINT)), NOW)

    assert ask(WORKER, Role.WORKER) == [], "no Accept yet"
    session.receive(lease, NOW)
    assert ask(WORKER, Role.WORKER) == [Seal(task.digest, lease.digest, WORKER.thumbprint, Role.WORKER, POINT)]
    assert ask(WORKER, Role.WORKER, bytes(32)) == [], "another lease"
    refused(ErrorCode.UNEXPECTED_SIGNER, ask, OTHER, Role.WORKER)
    refused(ErrorCode.UNEXPECTED_SIGNER, ask, OTHER, Role.VERIFIER)
    refused(ErrorCode.UNEXPECTED_SIGNER, ask, WORKER, Role.VERIFIER)
    if verifiers:
        assert ask(VERIFIER, Role.VERIFIER)[0].role is Role.VERIFIER
    else:
        refused(ErrorCode.UNEXPECTED_SIGNER, ask, VERIFIER, Role.VERIFIER)
    (opening,) = sent(session.sealed(ask(WORKER, Role.WORKER)[0], ref(b"sealed")), Opening)
    assert (opening.signer, opening.body.reader) == (REQUESTER.thumbprint, WORKER.thumbprint)


def test_a_verifier_asks_before_it_checks() -> None:
    """VC-HPK-007 VC-HPK-009: under its own role; where the offer does not open to it there is no verdict."""
    closed = secret_offer(False)
    lease = accept(closed)
    session = VerifierSession(VERIFIER, bytes, seed=SEED)
    check = seal(COORDINATOR, Check(closed.data, lease.data, result(lease).data))
    refused(ErrorCode.TERMS_NOT_ACCEPTABLE, session.receive, check, NOW)
    task = secret_offer()
    lease = accept(task)
    actions = session.receive(seal(COORDINATOR, Check(task.data, lease.data, result(lease).data)), NOW)
    (reader,) = sent(actions, Reader)
    assert (reader.body.role, reader.body.lease) == (Role.VERIFIER, lease.digest)
    good = Opening(task.digest, lease.digest, VERIFIER.thumbprint, ref(b"sealed"))
    refused(ErrorCode.UNEXPECTED_SIGNER, session.receive, seal(WORKER, good), NOW)
    (judge,) = [action for action in session.receive(seal(REQUESTER, good), NOW) if isinstance(action, Judge)]
    assert judge.job.opening.body == good
