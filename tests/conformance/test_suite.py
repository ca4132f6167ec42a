# SPDX-License-Identifier: Apache-2.0
"""The conformance suite against testees: the reference itself, incomplete ones and broken ones."""

import json
import shlex
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from vcompute.cli import main
from vcompute.conformance import BrokenTestee, Level, LocalTestee, Outcome, ProcessTestee, all_cases, run, select
from vcompute.conformance.operations import operations
from vcompute.conformance.report import FILES, write
from vcompute.conformance.runner import greet
from vcompute.conformance.vectors import load_groups
from vcompute.conformance.wire import to_text

HERE = Path(__file__).resolve().parent
JAVASCRIPT = f"node {shlex.quote(str(HERE / 'testee_js' / 'testee.js'))}"
REFERENCE = shlex.join([sys.executable, "-m", "vcompute", "testee"])


def python(program: str) -> str:
    return shlex.join([sys.executable, "-c", program])


@pytest.mark.parametrize("case", all_cases(), ids=lambda case: case.id)
def test_reference_passes(case) -> None:
    case.script(LocalTestee(operations()))


@pytest.mark.parametrize("case", select(all_cases(), levels=[Level.L1]), ids=lambda case: case.id)
def test_native_kernels_pass_vector(case) -> None:
    case.script(LocalTestee(operations("native")))


def test_negative_cases_and_levels() -> None:
    """VC-VEC-001 VC-ENC-001: at least four vectors in ten are negative, and each names one registered error."""
    cases = [case for _, group in load_groups() for case in group["cases"]]
    negative = [case for case in cases if "negative" in case["flags"]]
    assert len(negative) >= 0.4 * len(cases)
    assert all("error" in case and "out" not in case for case in negative)


def test_command_prints_counts(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    arguments = ["conformance", "run", "--testee", REFERENCE, "--level", "L0", "--report", str(tmp_path), "--json"]
    assert main(arguments) == 0
    counts = json.loads(capfd.readouterr().out)
    assert counts["failed"] == counts["skipped"] == 0
    assert counts["by_level"]["L0"]["passed"] == counts["passed"] > 200
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)


def test_least_testee_of_the_book() -> None:
    """VC-VEC-002: the program printed in the book passes what it has and is skipped elsewhere."""
    with ProcessTestee(shlex.join([sys.executable, str(HERE / "least_testee.py")])) as testee:
        summary = run(select(all_cases(), levels=[Level.L0]), testee, name=greet(testee))
    assert summary.count(Outcome.FAILED) == 0
    assert summary.count(Outcome.PASSED) >= 10
    assert summary.count(Outcome.SKIPPED) > 100


@pytest.mark.node
def test_independent_testee_in_javascript() -> None:
    """A testee that shares no code with the library: nothing fails, and nothing of the worker's profile is skipped.

    It plays requester, verifier and settlement too. It skips coordinators, challenges, quorums and proofs
    other than ``replay``.
    """
    with ProcessTestee(JAVASCRIPT) as testee:
        summary = run(all_cases(), testee, name=greet(testee))
    assert [v.case.id for v in summary.verdicts if v.outcome is Outcome.FAILED] == []
    skipped = [v.case for v in summary.verdicts if v.outcome is Outcome.SKIPPED]
    assert [case.id for case in skipped if "worker" in case.roles] == []
    assert [case.id for case in skipped if case.level >= Level.L3 and case.roles != ("coordinator",)] == []
    assert {case.op for case in skipped if case.op} <= {
        "bls.register",
        "quorum.verify",
        "proof.verify",
        "proof.make",
        "matmul.check",
        "matmul.point",
        "succinct.commit",
        "succinct.constants",
        "succinct.trace",
        "succinct.verify",
    }
    assert summary.count(Outcome.PASSED) >= 1_300


def test_wrong_testee_fails_and_the_report_shows_it(tmp_path: Path) -> None:
    table = operations()
    right = table["blob.digest"]
    table["blob.digest"] = lambda given: {**right(given), "digest": "A" * 43}
    table["cbor.decode"] = lambda _given: {"value": {"null": True}}
    summary = run(select(all_cases(), pattern="digests/blob-"), LocalTestee(table), name="wrong <testee>")
    assert summary.count(Outcome.PASSED) == 0
    more = run(select(all_cases(), pattern="codec/decode/"), LocalTestee(table), name="wrong <testee>")
    write(tmp_path, more)
    html = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "wrong &lt;testee&gt;" in html
    assert "VC-ENC-003" in html
    assert "not in the shortest form" in html
    assert "http" not in html.replace("http-equiv", "")
    root = ET.parse(tmp_path / "junit.xml").getroot()
    assert root.get("failures") == str(more.count(Outcome.FAILED)) != "0"


@pytest.mark.parametrize(
    ("program", "message"),
    [
        ("pass", "ended"),
        ("print('hello', flush=True); input()", "not JSON"),
        ("print('{\"id\": 7}', flush=True); input()", "does not carry the id"),
        ("print('{\"id\": 1}', flush=True); input()", "neither"),
        ("print('[]', flush=True); input()", "does not carry the id"),
        ("import sys; sys.stderr.write('a clue'); sys.exit(3)", "a clue"),
        ('print(\'{"id": 1, "out": {"protocol": 2, "name": "x"}}\', flush=True); input()', "hello"),
    ],
)
def test_broken_testee_is_named(program: str, message: str) -> None:
    with ProcessTestee(python(program), timeout=20) as testee, pytest.raises(BrokenTestee, match=message):
        greet(testee)


def test_silent_testee_times_out() -> None:
    with ProcessTestee(python("import time; time.sleep(60)"), timeout=0.3) as testee:
        with pytest.raises(BrokenTestee, match="within"):
            testee.ask("hello", {})
        testee._process.kill()


def test_command_fails_on_a_broken_testee(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "run", "--testee", python("pass"), "--json"]) == 1
    assert "testee" in json.loads(capfd.readouterr().out)["error"]["message"]
    assert main(["conformance", "run", "--testee", "/nonexistent/testee", "--json"]) == 1
    assert main(["conformance", "run", "--json"]) == 2


def test_reference_seals_what_the_book_accepts() -> None:
    """VC-ID-006: an envelope the testee signs opens under the rules, with a low s, whatever the payload."""
    testee = LocalTestee(operations())
    for length in (0, 1, 1000, 1 << 15):
        given = {"private": to_text(bytes(31) + b"\x07"), "payload": to_text(bytes(length)), "aad": to_text(b"aad")}
        sealed = testee.ask("envelope.seal", given).out
        assert sealed is not None
        opened = testee.ask("envelope.open", {"bytes": sealed["bytes"], "aad": given["aad"]}).out
        assert opened is not None
        assert opened["payload"] == given["payload"]


def test_checks_stand_in_order() -> None:
    """VC-SUI-003: with two faults at once, the one that stands first is named."""
    cases = {case.id: case for case in all_cases()}
    good = cases["proofs/replay/good"].input
    faults = [
        ("proof_malformed", {"proof": ""}),
        ("suite_not_accepted", {"parameter_sets": []}),
        ("invalid_input", {"inputs": cases["proofs/replay/inputs-of-other-model"].input["inputs"]}),
        ("statement_mismatch", {"context": to_text(b"another")}),
    ]
    testee = LocalTestee(operations())
    for index in range(len(faults)):
        request = dict(good)
        for _, change in faults[index:]:
            request |= change
        assert testee.ask("proof.verify", request).error == faults[index][0]


def test_pytest_plugin(tmp_path: Path) -> None:
    """The plugin runs a case a test: right ones pass, wrong ones fail with both sides shown, unknown ones skip."""
    (tmp_path / "test_mine.py").write_text(
        "def test_conformance(conformance_case, conformance_testee):\n"
        "    conformance_case.script(conformance_testee)\n",
        encoding="utf-8",
    )
    wrong = tmp_path / "wrong.py"
    source = (HERE / "least_testee.py").read_text(encoding="utf-8")
    wrong.write_text(source.replace('b"\\x00" + data', 'b"\\x01" + data'), encoding="utf-8")
    for program, outcome in ((HERE / "least_testee.py", 0), (wrong, 1)):
        testee = shlex.join([sys.executable, str(program)])
        command = [sys.executable, "-m", "pytest", "-p", "vcompute.conformance.pytest_plugin", "-p", "no:cacheprovider"]
        command += ["--vcompute-testee", testee, "--vcompute-level", "L0", "-q", "-k", "blob"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == outcome, done.stdout
        assert "skipped" in done.stdout
        assert ("expected: {'out'" in done.stdout) is bool(outcome)


@pytest.mark.server
def test_running_coordinator(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """VC-SES-005 VC-SES-007 VC-SES-008: a coordinator in a process of its own, over HTTP."""
    command = [
        sys.executable,
        "-m",
        "vcompute",
        "coordinator",
        "--state",
        str(tmp_path / "state"),
        "--port",
        "0",
        "--json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as process:
        try:
            assert process.stdout is not None
            url = json.loads(process.stdout.readline())["url"]
            assert main(["conformance", "run", "--url", url, "--json"]) == 0
        finally:
            process.terminate()
    counts = json.loads(capfd.readouterr().out)
    assert counts["failed"] == counts["skipped"] == 0
    assert counts["passed"] >= 15


def test_every_level_has_cases_and_there_are_many() -> None:
    assert {case.level for case in all_cases()} == set(Level)
    assert len(all_cases()) >= 500


def test_list_names_every_case(capfd: pytest.CaptureFixture[str]) -> None:
    assert main(["conformance", "list", "--json"]) == 0
    assert len(json.loads(capfd.readouterr().out)["cases"]) == len(all_cases())
