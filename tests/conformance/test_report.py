# SPDX-License-Identifier: Apache-2.0
"""The report of a run that failed: what a person needs to mend it is there, on a desktop and on a phone."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tools.docs_browser import check
from vcompute.conformance import LocalTestee, Outcome, all_cases, run, select
from vcompute.conformance.operations import operations
from vcompute.conformance.report import write
from vcompute.conformance.runner import Summary
from vcompute.conformance.wire import to_bytes, to_text

Request = Mapping[str, Any]


def broken() -> LocalTestee:
    """A testee that takes long heads for short ones, is off by one in a tensor and forgets to start its work."""
    table = operations()
    run_model, receive, decode = table["compute.run"], table["session.receive"], table["cbor.decode"]

    def off_by_one(given: Request) -> Request:
        data = bytearray(to_bytes(run_model(given)["outputs"]))
        data[-1] ^= 1
        return {"outputs": to_text(bytes(data))}

    def forgetful(given: Request) -> Request:
        actions = [action for action in receive(given)["actions"] if action["do"] != "run"]
        return {"actions": actions}

    def lenient(given: Request) -> Request:
        return {"value": {"null": True}} if to_bytes(given["bytes"])[:1] == b"\x18" else decode(given)

    table |= {"compute.run": off_by_one, "session.receive": forgetful, "cbor.decode": lenient}
    return LocalTestee(table)


@pytest.fixture(scope="module")
def failed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Summary, Path]:
    cases = [
        case
        for name in ("codec/decode", "compute/operator/add", "machine/worker")
        for case in select(all_cases(), pattern=name)
    ]
    summary = run(cases, broken(), name="a testee with faults")
    directory = tmp_path_factory.mktemp("report")
    write(directory, summary)
    return summary, directory / "report.html"


def test_a_failure_shows_requirement_bytes_and_difference(failed: tuple[Summary, Path]) -> None:
    summary, path = failed
    html = path.read_text(encoding="utf-8")
    wrong = {verdict.case.id for verdict in summary.verdicts if verdict.outcome is Outcome.FAILED}
    assert any(name.startswith("codec/decode/uint-") for name in wrong)
    assert "machine/worker/idle/take" in wrong
    assert all(f"id='{name}'" in html for name in wrong)
    assert "The argument of every head MUST be in its shortest form" in html
    assert "not in the shortest form" in html
    assert "first difference at byte" in html


def test_a_scenario_shows_what_was_said(failed: tuple[Summary, Path]) -> None:
    summary, path = failed
    html = path.read_text(encoding="utf-8")
    verdict = next(item for item in summary.verdicts if item.case.id == "machine/worker/idle/take")
    assert verdict.exchanges[0].op == "session.start"
    section = html.split("id='machine/worker/idle/take'")[1].split("</section>")[0]
    assert "Assign -&gt; send accept" in section
    assert "attempt: 2" in section
    assert "signed by" in section


@pytest.mark.browser
def test_the_report_is_readable_on_desktop_and_phone(failed: tuple[Summary, Path]) -> None:
    assert check([failed[1]]) == []
    assert check([failed[1]], dark=True) == []


def test_a_testee_that_signs_badly_fails_and_does_not_end_the_run() -> None:
    """What a script opens comes from a stranger: a bad signature is a failed case."""
    table = operations()

    def spoiled(operation: Any) -> Any:
        def perform(given: Request) -> Request:
            answer = dict(operation(given))
            for action in answer.get("actions", ()):
                if action.get("do") == "send":
                    action["message"] = to_text(to_bytes(action["message"])[:-1] + b"\0")
            return answer

        return perform

    table |= {name: spoiled(operation) for name, operation in table.items() if name.startswith("session.")}
    summary = run(select(all_cases(), pattern="adversary/worker/hello"), LocalTestee(table), name="a bad signer")
    reasons = {verdict.message for verdict in summary.verdicts if verdict.outcome is Outcome.FAILED}
    assert "what the testee gives is well-formed and verifies" in reasons
