# SPDX-License-Identifier: Apache-2.0
"""A requester that holds a model's commitment and nothing else."""

from dataclasses import replace
from pathlib import Path

import pytest

from tests.protocol_kit import OFFER, ref
from tests.session.test_nodes import FUNDS, KEYS, TERMS, Net, Reverse, play
from tests.unit.proof.succinct.build import inputs_for, network
from vcompute.cli.demo_parts import Behaviour, compute_of
from vcompute.cli.demo_requesters import publish
from vcompute.errors import ProtocolError, Rejected
from vcompute.messages import Always, BlobRef, Offer, SuiteChoice
from vcompute.node.compute import CommitmentChecker, Order, Work, work_units
from vcompute.registry import ErrorCode, ParameterSetId
from vcompute.task import encode_model

MODEL = network()
PUBLICATION = publish(MODEL)
POLICY = Always((SuiteChoice.of(ParameterSetId.STANDARD),))


class Light(Reverse):
    """A checker that does without the model."""

    def needs_model(self, offer: Offer) -> bool:
        return False

    def check(self, order: Order, work: Work) -> None:
        assert order.model == b""
        super().check(order, work)


def test_a_task_waits_for_the_model_that_its_publisher_brings(tmp_path: Path) -> None:
    async def body(net: Net) -> None:
        await net.requester.connected.wait()
        named = ref(b"model")
        task = await net.requester.submit(named, b"input", 1, 1, TERMS)
        await net.requester.submit(b"model", b"other", 1, 1, TERMS)
        await net.requester.finished([task])
        assert net.requester.outputs(task) == b"tupni"
        assert net.ledger.balance(KEYS["r"].thumbprint) <= FUNDS - TERMS.price

    play(tmp_path, body, Reverse(), checker=Light())


def order(model: BlobRef = PUBLICATION.model, units: int = work_units(MODEL, 2)) -> Order:
    """An order as a worker sees it."""
    body = replace(OFFER, model=model, batch=2, work_units=units, policy=POLICY)
    return Order(body, encode_model(MODEL), inputs_for(MODEL).encoded, b"context")


def test_the_commitment_is_enough_to_check_and_to_convict() -> None:
    checker = CommitmentChecker({PUBLICATION.model.digest: PUBLICATION.commitment})
    assert not checker.needs_model(order().offer)
    honest, forger = compute_of(Behaviour.HONEST), compute_of(Behaviour.FORGES)
    assert forger.suites == POLICY.suites
    checker.check(order(), honest.execute(order()))
    with pytest.raises(Rejected) as caught:
        checker.check(order(), forger.execute(order()))
    assert caught.value.code is ErrorCode.OUTPUT_MISMATCH


def test_what_is_not_the_workers_fault_is_no_rejection() -> None:
    work = compute_of(Behaviour.HONEST).execute(order())
    with pytest.raises(ProtocolError) as caught:
        CommitmentChecker({}).check(order(), work)
    assert caught.value.code is ErrorCode.BLOB_UNKNOWN
    with pytest.raises(ProtocolError) as caught:
        CommitmentChecker({PUBLICATION.model.digest: PUBLICATION.commitment}).check(order(units=1), work)
    assert caught.value.code is ErrorCode.WORK_UNITS_MISMATCH
