# SPDX-License-Identifier: Apache-2.0
"""The kernels of every subset of the processor's features: the same tests, in a process of their own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from vcompute import _native

ROOT = Path(__file__).resolve().parents[2]
LEVELS = ("portable", "sse41", "avx2", "avxvnni", "avx512vnni", "neon", "dotprod", "i8mm", "simd128")
"""The tables of int8 kernels and what each needs beside its name."""
NEEDS = {"avx512vnni": "avx512,avx512vnni", "avxvnni": "avx2,avxvnni", "i8mm": "i8mm,dotprod"}
TESTS = (
    "tests/native/test_plan_random.py", "tests/native/test_matmul.py", "tests/unit/proof/succinct/test_witness.py",
)  # fmt: skip


@pytest.mark.isa
@pytest.mark.parametrize("level", LEVELS)
def test_same_results(level: str) -> None:
    allowed = NEEDS.get(level, level)
    features = _native.features()
    if not set(allowed.split(",")) <= {"portable", *features.in_use, *features.left_out}:
        pytest.skip(f"this processor has no {level}")
    environment = {**os.environ, "VCOMPUTE_ISA": allowed}
    query = "from vcompute._native import ffi, lib; print(ffi.string(lib.vc_int8_name()).decode())"
    name = subprocess.run([sys.executable, "-c", query], env=environment, capture_output=True, text=True, check=True)
    assert name.stdout.strip() == level
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-3000:]
