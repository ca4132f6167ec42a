# SPDX-License-Identifier: Apache-2.0
"""Reports of a run: for people on a terminal, for CI as JUnit, as JSON, and one self-contained page of HTML."""

from pathlib import Path
from typing import Final

from vcompute.conformance.report.html import page
from vcompute.conformance.report.junit import junit
from vcompute.conformance.report.text import results_json
from vcompute.conformance.runner import Summary

FILES: Final = ("report.html", "report.json", "junit.xml")


def write(directory: Path, summary: Summary) -> None:
    """Write every report into a directory, which is made where it is missing."""
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "report.html").write_text(page(summary), encoding="utf-8")
    (directory / "report.json").write_text(results_json(summary), encoding="utf-8")
    (directory / "junit.xml").write_text(junit(summary), encoding="utf-8")


__all__ = ["FILES", "write"]
