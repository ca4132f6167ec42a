# SPDX-License-Identifier: Apache-2.0
"""Every requirement of the book has a case, and every case a requirement."""

import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent


def test_requirements_and_cases_match() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "tools" / "docs_requirements.py"), "--check"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr


def test_every_prefix_of_requirements_is_explained() -> None:
    chapters = ROOT / "spec" / "chapters"
    used = {
        name for page in chapters.glob("*.md") for name in re.findall(r"\{requirement\} (VC-[A-Z]+)-", page.read_text())
    }
    table = set(re.findall(r"`(VC-[A-Z]+)`", (chapters / "conventions.md").read_text(encoding="utf-8")))
    assert used <= table
