# SPDX-License-Identifier: Apache-2.0
"""The field's laws, once for each instruction set this machine may use: each run is a process with VCOMPUTE_ISA set."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.isa
@pytest.mark.parametrize(
    "isa", ["portable", "avx2", "avx512", "avx512,avx512ifma", "avx2,sse41,shani", "avx512,sse41,shani"]
)
def test_laws_hold_on_every_instruction_set(isa: str) -> None:
    laws = ["tests/laws/test_field_laws.py", "tests/laws/test_lane_laws.py", "tests/unit/proof/succinct/test_tree.py"]
    laws += [f"tests/unit/proof/succinct/{name}.py" for name in ("test_stack", "test_divisors")]
    laws += ["-k", "native or layer or trees or twins or columns"]
    result = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *laws],
        cwd=ROOT, env={**os.environ, "VCOMPUTE_ISA": isa}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert result.returncode == 0, result.stdout[-3000:]
