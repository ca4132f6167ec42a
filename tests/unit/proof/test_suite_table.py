# SPDX-License-Identifier: Apache-2.0
"""The table of suites: built-in ones, those of other packages, collisions, policies by name."""

from dataclasses import dataclass, field
from importlib.metadata import EntryPoint

import pytest

from tests.unit.proof.dense import dense, samples
from vcompute.errors import UsageError
from vcompute.proof.api import prove, verify
from vcompute.proof.freivalds import SUITE as FREIVALDS
from vcompute.proof.replay import SUITE as REPLAY
from vcompute.proof.replay import Replay
from vcompute.proof.statement import Statement
from vcompute.proof.suite import ParameterSet, Policy
from vcompute.proof.suites import PRIVATE_USE, build_table, suite_table
from vcompute.registry import PARAMETER_SETS, ParameterSetId, SuiteId


@dataclass
class Private(Replay):
    """A suite of another package."""

    id: int = PRIVATE_USE
    name: str = "echo"
    parameter_sets: tuple[ParameterSet, ...] = field(
        default=(ParameterSet(PRIVATE_USE, "echo-1", 0, True), ParameterSet(PRIVATE_USE + 1, "echo-0", 0, False))
    )


def entry(name: str = "echo") -> EntryPoint:
    return EntryPoint(name, "other_package:SUITE", "vcompute.suites")


def test_built_in_suites_have_their_registered_names_ids_and_sets() -> None:
    for suite in suite_table():
        if suite.id >= PRIVATE_USE:
            continue
        registered = SuiteId(suite.id)
        assert suite.name == registered.name.lower()
        assert {item.id for item in suite.parameter_sets} == {
            key for key, info in PARAMETER_SETS.items() if info.suite is registered
        }


def test_a_suite_of_another_package_proves_and_verifies_where_the_policy_names_it() -> None:
    table = build_table([REPLAY], [(entry(), Private())])
    model = dense()
    outputs, proof = prove(model, samples(model), "echo", table=table)
    statement = Statement(model, samples(model), outputs)
    with pytest.raises(Exception, match="policy"):
        verify(statement, proof, table=table)
    accepted = verify(statement, proof, table.policy(["echo"]), table=table)
    assert (accepted.suite, accepted.parameter_set) == ("echo", "echo-1")


@pytest.mark.parametrize(
    ("suite", "what"),
    [
        (Private(name="replay"), "suite name"),
        (Private(parameter_sets=(ParameterSet(PRIVATE_USE, "exact", 0, True),)), "parameter set name"),
    ],
)
def test_a_collision_with_a_built_in_suite_is_an_error(suite: Private, what: str) -> None:
    with pytest.raises(UsageError, match=f"same {what}"):
        build_table([REPLAY, FREIVALDS], [(entry(suite.name), suite)])


def test_two_packages_may_not_collide() -> None:
    other = Private(name="other", parameter_sets=(ParameterSet(PRIVATE_USE + 9, "other-1", 0, True),))
    with pytest.raises(UsageError, match="same suite id"):
        build_table([], [(entry(), Private()), (entry("other"), other)])
    same_set = Private(id=PRIVATE_USE + 5, name="other", parameter_sets=(ParameterSet(PRIVATE_USE, "o", 0, True),))
    with pytest.raises(UsageError, match="same parameter set id"):
        build_table([], [(entry(), Private()), (entry("other"), same_set)])


def test_a_package_may_not_take_a_registered_id_or_another_name() -> None:
    with pytest.raises(UsageError, match="private use"):
        build_table([], [(entry(), Private(id=77))])
    with pytest.raises(UsageError, match="private use"):
        build_table([], [(entry(), Private(parameter_sets=(ParameterSet(7, "echo-1", 0, True),)))])
    with pytest.raises(UsageError, match="another name"):
        build_table([], [(entry("alias"), Private())])


def test_policies_by_name() -> None:
    table = build_table([REPLAY, FREIVALDS], [(entry(), Private())])
    assert table.policy([]) == Policy()
    assert table.policy(["freivalds"]) == Policy.of([ParameterSetId.PUBLIC_128, ParameterSetId.PRIVATE_128])
    assert table.policy(["freivalds/public-128", "replay"]) == Policy.of(
        [ParameterSetId.PUBLIC_128, ParameterSetId.EXACT]
    )
    assert table.policy(["echo"]) == Policy.of([PRIVATE_USE])
    assert table.policy(["echo"], allow_insecure=True) == Policy.of([PRIVATE_USE, PRIVATE_USE + 1])
    assert PRIVATE_USE + 1 in table.policy([], allow_insecure=True).parameter_sets
    for wrong in (["nothing"], ["replay/public-128"], ["echo/echo-0"], [""], ["/exact"]):
        with pytest.raises(UsageError):
            table.policy(wrong)
