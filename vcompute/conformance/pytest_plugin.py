# SPDX-License-Identifier: Apache-2.0
"""The conformance suite as pytest tests of another project.

``pytest -p vcompute.conformance.pytest_plugin --vcompute-testee './my-testee'`` runs every test that takes the
argument ``conformance_case`` once for each selected case::

    def test_conformance(conformance_case, conformance_testee):
        conformance_case.script(conformance_testee)

``--vcompute-level L0`` (repeated) and ``--vcompute-role worker`` select. A failure shows what was expected and found.
"""

from collections.abc import Iterator

import pytest

from vcompute.conformance.case import Failure, Level, Skip
from vcompute.conformance.registry import all_cases, select
from vcompute.conformance.runner import greet
from vcompute.conformance.testee import ProcessTestee


def pytest_addoption(parser: pytest.Parser) -> None:
    """The options."""
    group = parser.getgroup("vcompute conformance")
    group.addoption("--vcompute-testee", metavar="CMD", help="a program that speaks the testee protocol")
    group.addoption("--vcompute-level", action="append", default=[], choices=[level.name for level in Level])
    group.addoption("--vcompute-role", choices=["requester", "worker", "coordinator", "verifier"])


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test for each selected case."""
    if "conformance_case" in metafunc.fixturenames:
        config = metafunc.config
        levels = [Level[name] for name in config.getoption("--vcompute-level")]
        cases = select(all_cases(), levels=levels, role=config.getoption("--vcompute-role"))
        metafunc.parametrize("conformance_case", cases, ids=[case.id for case in cases])


@pytest.fixture(scope="session")
def conformance_testee(request: pytest.FixtureRequest) -> Iterator[ProcessTestee]:
    """The testee, started once."""
    command = request.config.getoption("--vcompute-testee")
    if not command:
        pytest.fail("name a testee: --vcompute-testee CMD")
    with ProcessTestee(command) as testee:
        greet(testee)
        yield testee


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A failed case says what was expected and found; one the testee does not support is skipped."""
    report: pytest.TestReport = yield  # type: ignore[assignment]
    error = call.excinfo.value if call.excinfo is not None else None
    if isinstance(error, Skip):
        report.outcome = "skipped"
        report.longrepr = (str(item.path), 0, f"Skipped: {error}")
    elif isinstance(error, Failure):
        report.longrepr = f"{error.message}\nexpected: {error.expected}\ngot:      {error.got}"
    return report  # type: ignore[return-value]
