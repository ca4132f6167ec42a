# SPDX-License-Identifier: Apache-2.0
"""The C test driver: every table of int8 kernels against the rule, here (sanitized) and on emulated processors."""

import os
import platform
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support.native_build import ROOT, TARGETS, build

X86_SUBSETS = ("portable", "sse41", "avx2", "sse41,avx2", "avx2,avx512,avx512vnni", "")
ARM_PROCESSORS = {
    "cortex-a53": {"neon"},
    "cortex-a76": {"neon", "dotprod"},
    "max": {"neon", "dotprod", "i8mm"},
}
"""Emulated processors and the tables that must run on each beside the portable one."""


def run(command: list[str], isa: str = "") -> tuple[set[str], str]:
    """The tables that were tested, and the one that the plan used."""
    environment = {**os.environ, "VCOMPUTE_ISA": isa}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split() for line in done.stdout.splitlines()]
    for line in lines:
        if line[0] == "absent":
            print("absent:", line[1])
    return {line[1] for line in lines if line[0] == "tested"}, next(line[1] for line in lines if line[0] == "plan")


def program(name: str, tmp_path_factory: pytest.TempPathFactory) -> Path:
    missing = TARGETS[name].missing()
    if missing:
        pytest.skip(f"{missing} is not installed")
    directory = tmp_path_factory.getbasetemp() / f"int8_check_{name}"
    directory.mkdir(exist_ok=True)
    return build(name, directory)


@pytest.mark.isa
@pytest.mark.parametrize("isa", X86_SUBSETS)
def test_this_processor_with_sanitizers(isa: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    if platform.machine() not in {"x86_64", "AMD64"}:
        pytest.skip("not an x86-64 processor")
    tested, used = run([str(program("x86_64", tmp_path_factory)), "20"], isa)
    assert "portable" in tested
    if isa in {"portable", "sse41"}:
        assert used == isa


@pytest.mark.cross
@pytest.mark.parametrize("processor", ARM_PROCESSORS)
def test_emulated_arm_processors(processor: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("no qemu for aarch64")
    check = program("aarch64", tmp_path_factory)
    for isa in ("", "portable"):
        tested, _ = run([emulator, "-cpu", processor, str(check), "20"], isa)
        if not isa:
            assert tested == {"portable", *ARM_PROCESSORS[processor]}


@pytest.mark.cross
def test_webassembly_in_node(tmp_path_factory: pytest.TempPathFactory) -> None:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    check = program("wasm32", tmp_path_factory)
    for isa in ("", "portable"):
        tested, _ = run([node, "--no-warnings", "native/tests/run_wasi.mjs", str(check), "20"], isa)
        assert "portable" in tested
        if not isa:
            assert "simd128" in tested
