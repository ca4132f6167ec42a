# SPDX-License-Identifier: Apache-2.0
"""Every requirement of the book has a case, and every case a requirement."""

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
