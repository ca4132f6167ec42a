# SPDX-License-Identifier: Apache-2.0
"""Receipts and their certificates: what counts, and every way not to."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from tests.protocol_kit import NOW, REQUESTER, SETTLEMENT, VERIFIER, WORKER, accept, offer, result, verdict
from vcompute import cli
from vcompute.cli.party import member_key_in, members_of
from vcompute.codec import encode
from vcompute.errors import ProtocolError, UsageError
from vcompute.identity import PrivateKey
from vcompute.identity.bls import SecretKey, load_backend
from vcompute.identity.quorum import VerifierSet
from vcompute.messages import Receipt, Signed, open_message, seal
from vcompute.policy.certificate import member, share_of
from vcompute.policy.receipt import Grounds, check_receipt
from vcompute.registry import Basis, ErrorCode, Outcome
from vcompute.settlement import Ledger, SqliteBook

BACKEND = load_backend()
JUDGES = [PrivateKey.from_seed(b"judge %d" % index) for index in range(3)]
SECRETS = [SecretKey(1000 + index, BACKEND) for index in range(3)]


def quorum_offer(threshold: int = 2, **changes: Any) -> Signed[Any]:
    members = sorted(
        (member(secret, judge.thumbprint) for secret, judge in zip(SECRETS, JUDGES, strict=True)),
        key=lambda item: item.key,
    )
    terms = {"verifiers": tuple(judge.thumbprint for judge in JUDGES), "quorum": threshold}
    return offer(**{**terms, "verifier_set": VerifierSet(tuple(members), threshold), **changes})


def judged(task: Signed[Any], done: Signed[Any], index: int, *, accepted: bool = True, **changes: Any) -> Signed[Any]:
    body = replace(verdict(done, accepted).body, **changes)
    body = replace(body, share=share_of(task.body, body, SECRETS[index]))
    return seal(JUDGES[index], body)


def ledger() -> Ledger:
    book = Ledger(SqliteBook(":memory:"), SETTLEMENT)
    for key in (REQUESTER, WORKER):
        book.fund(key.thumbprint, 1000, key.thumbprint, NOW)
    return book


def committed(book: Ledger, task: Signed[Any]) -> Signed[Any]:
    lease = accept(task)
    done = result(lease)
    book.open(task.data, NOW)
    book.bond(lease.data, NOW)
    book.commit(done.data, NOW + 1)
    return done


def refused(code: ErrorCode, call: Callable[..., object], *args: object) -> None:
    with pytest.raises(ProtocolError) as caught:
        call(*args)
    assert caught.value.code is code


def receipt_of(data: bytes | None) -> Signed[Receipt]:
    return open_message(data or b"").of(Receipt)


@pytest.mark.parametrize("accepted", [True, False])
def test_a_receipt_of_the_ledger_passes(accepted: bool) -> None:
    """VC-SET-010: what the ledger signs, requester and worker take."""
    book, task = ledger(), offer()
    done = committed(book, task)
    receipt = receipt_of(book.settle(verdict(done, accepted).data, NOW + 2).receipt)
    grounds = Grounds((VERIFIER.thumbprint,), frozenset({Basis.REPLAYED}))
    assert check_receipt(receipt, task) == grounds


@pytest.mark.parametrize("accepted", [True, False])
def test_a_quorum_of_a_set_is_one_certificate(accepted: bool) -> None:
    """VC-QRM-010 VC-QRM-012: shares of two of three, one signature in the receipt and no verdicts."""
    book, task = ledger(), quorum_offer()
    done = committed(book, task)
    first = book.settle(judged(task, done, 0, accepted=accepted).data, NOW + 2)
    assert first.receipt is None
    receipt = receipt_of(book.settle(judged(task, done, 2, accepted=accepted).data, NOW + 3).receipt)
    assert receipt.body.verdicts == ()
    grounds = check_receipt(receipt, task)
    assert set(grounds.verifiers) == {JUDGES[0].thumbprint, JUDGES[2].thumbprint}
    assert (grounds.bases, grounds.certified) == (frozenset({Basis.REPLAYED}), True)
    assert book.audit().conserved
    stripped = seal(SETTLEMENT, replace(receipt.body, certificate=None)).of(Receipt)
    refused(ErrorCode.QUORUM_NOT_REACHED, check_receipt, stripped, task)
    outcome = Outcome.SLASHED if accepted else Outcome.PAID
    moved = {Outcome.PAID: (50, 1000), Outcome.SLASHED: (0, 0)}[outcome]
    turned = replace(receipt.body, outcome=outcome, amount=moved[0], work_units=moved[1])
    refused(ErrorCode.VERDICT_NOT_ADMITTED, check_receipt, seal(SETTLEMENT, turned).of(Receipt), task)
    other = result(accept(task), outputs=b"other outputs")
    moved_to = seal(SETTLEMENT, replace(receipt.body, result=other.data)).of(Receipt)
    refused(ErrorCode.VERDICT_NOT_ADMITTED, check_receipt, moved_to, task)


def test_a_certificate_counts_every_signer_it_names() -> None:
    """VC-QRM-012: a bit more or less in the certificate, or another signature, is refused."""
    book, task = ledger(), quorum_offer()
    done = committed(book, task)
    book.settle(judged(task, done, 0).data, NOW + 2)
    receipt = receipt_of(book.settle(judged(task, done, 1).data, NOW + 3).receipt)
    certificate = receipt.body.certificate
    assert certificate is not None
    all_bits = replace(certificate, signers=b"\x07")
    refused(ErrorCode.BAD_SIGNATURE, check_receipt, _with(receipt, all_bits), task)
    one = replace(certificate, signers=bytes([certificate.signers[0] & -certificate.signers[0]]))
    refused(ErrorCode.QUORUM_NOT_REACHED, check_receipt, _with(receipt, one), task)


def _with(receipt: Signed[Receipt], certificate: Any) -> Signed[Receipt]:
    return seal(SETTLEMENT, replace(receipt.body, certificate=certificate)).of(Receipt)


def test_a_verdict_without_its_share_does_not_count() -> None:
    """VC-QRM-011: no share, another member's share, a share of another verdict."""
    book, task = ledger(), quorum_offer()
    done = committed(book, task)
    good = judged(task, done, 0)
    refused(ErrorCode.VERDICT_NOT_ADMITTED, book.settle, seal(JUDGES[0], replace(good.body, share=None)).data, NOW)
    foreign = replace(good.body, share=judged(task, done, 1).body.share)
    refused(ErrorCode.BAD_SIGNATURE, book.settle, seal(JUDGES[0], foreign).data, NOW)
    turned = replace(good.body, share=judged(task, done, 0, accepted=False).body.share)
    refused(ErrorCode.BAD_SIGNATURE, book.settle, seal(JUDGES[0], turned).data, NOW)


def test_an_offer_has_the_set_of_its_verifiers() -> None:
    """VC-QRM-010: another threshold, other devices, a key without possession."""
    task = quorum_offer()
    members = task.body.verifier_set
    stolen = replace(members.members[0], possession=members.members[1].possession)
    wrong = (
        (quorum_offer(quorum=3), ErrorCode.TERMS_NOT_ACCEPTABLE),
        (quorum_offer(verifiers=(VERIFIER.thumbprint, *task.body.verifiers[1:])), ErrorCode.TERMS_NOT_ACCEPTABLE),
        (quorum_offer(verifier_set=replace(members, members=(stolen, *members.members[1:]))), ErrorCode.BAD_SIGNATURE),
    )
    for bad, code in wrong:
        refused(code, ledger().open, bad.data, NOW)


def test_the_command_line_checks_a_receipt(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """VC-SET-010: ``inspect`` opens what is inside and says what the receipt rests on."""
    book, task = ledger(), quorum_offer(threshold=1)
    done = committed(book, task)
    receipt = receipt_of(book.settle(judged(task, done, 1).data, NOW + 2).receipt)
    for name, data in (("a.receipt", receipt.data), ("a.offer", task.data), ("b.offer", offer().data)):
        (tmp_path / name).write_bytes(data)
    inspect = ["inspect", str(tmp_path / "a.receipt"), "--json", "--offer"]
    assert cli.main([*inspect, str(tmp_path / "a.offer")]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["checked"] == {"verifiers": [JUDGES[1].thumbprint.hex()], "bases": ["replayed"], "certified": True}
    assert [item["type"] for item in shown["evidence"]] == ["result"]
    assert cli.main([*inspect, str(tmp_path / "b.offer")]) == 1


def test_a_member_key_and_its_entry_make_a_set(tmp_path: Path) -> None:
    """VC-QRM-010: what ``verifier --member`` prints is what ``submit --member`` takes."""
    secret = member_key_in(tmp_path)
    assert member_key_in(tmp_path) == secret
    entry = encode(member(secret, VERIFIER.thumbprint)).hex()
    assert members_of((entry,), 1) == VerifierSet((member(secret, VERIFIER.thumbprint),), 1)
    with pytest.raises(UsageError):
        members_of((entry[2:],), 1)
