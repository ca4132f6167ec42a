# SPDX-License-Identifier: Apache-2.0
"""Marks that need something the host may lack: skipped loudly, or with ``--require-all`` failed.

``models`` needs the directory ``VCOMPUTE_MODELS``, ``litert`` the package ai-edge-litert, ``cross`` a cross compiler
and an emulator, ``browser`` a Chromium, ``spin`` the model checker. A test for an instruction set (``isa``) skips
itself where the processor has it not; that is the one skip that ``--require-all`` lets pass, listed.
"""

import importlib.util
import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import settings


def _models() -> bool:
    directory = os.environ.get("VCOMPUTE_MODELS", "")
    return bool(directory) and Path(directory, "manifest.json").is_file()


def _cross() -> bool:
    return any(shutil.which(f"qemu-{arch}") for arch in ("aarch64", "aarch64-static", "arm", "riscv64"))


def _spin() -> bool:
    return all(shutil.which(name) for name in ("spin", "gcc"))


def _browser() -> bool:
    return any(shutil.which(name) for name in ("chromium", "chromium-browser", "google-chrome", "chrome"))


# Machines differ in speed: no deadline for one example; in CI the same examples every time.
settings.register_profile("vcompute", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.load_profile("vcompute")

NEEDS: dict[str, tuple[Callable[[], bool], str]] = {
    "models": (_models, "VCOMPUTE_MODELS does not name the directory of the real models"),
    "litert": (lambda: importlib.util.find_spec("ai_edge_litert") is not None, "ai-edge-litert is not installed"),
    "cross": (_cross, "no emulator of another processor is installed"),
    "spin": (_spin, "the model checker spin, or gcc, is not installed"),
    "browser": (_browser, "no Chromium is installed"),
    "node": (lambda: shutil.which("node") is not None, "node is not installed"),
}
"""What each mark needs, and what to say where it is missing."""


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--require-all", action="store_true", help="fail where a test would be skipped for something the host lacks"
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for mark, (available, reason) in NEEDS.items():
        marked = [item for item in items if item.get_closest_marker(mark) is not None]
        if not marked or available():
            continue
        for item in marked:
            item.add_marker(pytest.mark.skip(reason=reason))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]):  # type: ignore[no-untyped-def]
    """Under ``--require-all`` a skip is a failure, but for an instruction set that the host lacks."""
    outcome = yield
    report = outcome.get_result()
    if report.skipped and item.config.getoption("--require-all") and item.get_closest_marker("isa") is None:
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid}: skipped under --require-all: {reason}"


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """List what was not tested, by reason."""
    names: dict[str, list[str]] = {}
    for report in terminalreporter.stats.get("skipped", []):
        reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else str(report.longrepr)
        names.setdefault(reason.removeprefix("Skipped: "), []).append(report.nodeid)
    for reason, skipped in names.items():
        terminalreporter.section(f"NOT TESTED: {reason}", sep="!", red=True, bold=True)
        for name in skipped[:20]:
            terminalreporter.line(f"  {name}")
        if len(skipped) > 20:
            terminalreporter.line(f"  ... and {len(skipped) - 20} more")
