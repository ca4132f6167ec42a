# SPDX-License-Identifier: Apache-2.0
"""How large an instance a parameter set admits."""

from dataclasses import replace

import pytest

from tests.unit.proof.succinct.build import image_network
from vcompute.commitment import STANDARD
from vcompute.errors import Rejected
from vcompute.proof.succinct import setting
from vcompute.proof.succinct.suite import SUITE
from vcompute.registry import ErrorCode, ParameterSetId


def test_grinding_carries_standard_to_the_largest_table() -> None:
    """VC-SUC-021: the level holds up to the largest table that a commitment has; beyond, there is no proof."""
    graph = image_network().graph
    for batch in (1 << 10, 1 << 20):
        bits = SUITE.security(graph, batch, ParameterSetId.STANDARD).bits
        assert bits is not None
        assert bits >= 100
    with pytest.raises(Rejected) as caught:
        SUITE.security(graph, 1 << 22, ParameterSetId.STANDARD)
    assert caught.value.code is ErrorCode.OPENING_SHAPE


def test_an_instance_below_the_level_is_refused_from_the_graph_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """VC-SUC-021: a level that grinding may not lift is refused by prover and verifier before any work."""
    graph = image_network().graph
    monkeypatch.setitem(setting.PARAMETERS, ParameterSetId.STANDARD, replace(STANDARD, max_challenge_grinding=0))
    assert SUITE.security(graph, 1 << 10, ParameterSetId.STANDARD).bits is not None
    with pytest.raises(Rejected) as caught:
        SUITE.security(graph, 1 << 20, ParameterSetId.STANDARD)
    assert caught.value.code is ErrorCode.SECURITY_UNREACHABLE
