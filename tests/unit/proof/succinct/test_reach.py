# SPDX-License-Identifier: Apache-2.0
"""How large an instance each parameter set admits."""

import pytest

from tests.unit.proof.succinct.build import image_network
from vcompute.errors import Rejected
from vcompute.proof.succinct.suite import SUITE
from vcompute.registry import ErrorCode, ParameterSetId


def test_an_instance_beyond_the_level_is_refused_from_the_graph_alone() -> None:
    """VC-SUC-021: by the prover before any work, by the verifier before it reads the proof."""
    graph = image_network().graph
    admitted = SUITE.security(graph, 1 << 10, ParameterSetId.STANDARD)
    assert admitted.bits is not None
    assert admitted.bits >= 100
    with pytest.raises(Rejected) as caught:
        SUITE.security(graph, 1 << 19, ParameterSetId.STANDARD)
    assert caught.value.code is ErrorCode.SECURITY_UNREACHABLE
    assert SUITE.security(graph, 1 << 19, ParameterSetId.TINY).bits is not None
