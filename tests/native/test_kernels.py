# SPDX-License-Identifier: Apache-2.0
"""The C core of other builds: every table of int8 kernels against the rule, and whole models, under every subset of
the features that choose between tables; here with sanitizers, on emulated AArch64 processors and in WebAssembly."""

import os
import platform
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from itertools import chain, combinations
from pathlib import Path

import pytest

from tests.support import models, programs
from tests.support.native_build import ROOT, TARGETS, build, core_objects
from vcompute.importers import Semantics

SMALL = [name for name in models.NAMES if name != "coral_mobilenet_v2_224_ptq"]
PROCESSORS = ("cortex-a53", "cortex-a76", "max")
"""Emulated: NEON alone, with dot products, with matrix products."""
NEW_TABLE = {"cortex-a53": "neon", "cortex-a76": "dotprod", "max": "i8mm"}
ALLOCATORS = {"malloc", "calloc", "realloc", "free", "aligned_alloc", "posix_memalign", "mmap", "sbrk"}


@dataclass(frozen=True, slots=True)
class Machine:
    """Where a build's programs run: the target, and the command before them."""

    target: str
    runner: tuple[str, ...]
    directory: Path

    def run(self, driver: str, *arguments: str, isa: str = "", stream: bytes = b"") -> list[list[str]]:
        """The words of each line that the driver prints; it has to succeed."""
        environment = {**os.environ, "VCOMPUTE_ISA": isa}
        command = [*self.runner, str(build(self.target, self.directory)[driver]), *arguments]
        done = subprocess.run(command, cwd=ROOT, env=environment, input=stream, capture_output=True, check=False)
        assert done.returncode == 0, (command, isa, done.stdout[-2000:], done.stderr[-2000:])
        return [line.split() for line in done.stdout.decode().splitlines()]

    def models(self, stream: bytes, isa: str = "") -> tuple[str, int]:
        """The kernels that ran a stream of programs, and how many there were."""
        result = {line[0]: line[1] for line in self.run("run_programs", isa=isa, stream=stream)}
        assert result["failed"] == "0"
        return result["kernels"], int(result["passed"])


@cache
def random_stream() -> bytes:
    return programs.random_operators(range(6))


@cache
def real_stream(names: tuple[str, ...]) -> bytes:
    """Every named model under both semantics on a real and a random input."""
    return b"".join(programs.stored(name, semantics, 1) for name in names for semantics in Semantics)


def make(target: str, runner: tuple[str, ...], tmp_path_factory: pytest.TempPathFactory) -> Machine:
    missing = TARGETS[target].missing()
    if missing:
        pytest.skip(f"{missing} is not installed")
    directory = tmp_path_factory.getbasetemp() / f"native_{target}"
    directory.mkdir(exist_ok=True)
    return Machine(target, runner, directory)


@pytest.fixture
def here(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    if platform.machine() not in {"x86_64", "AMD64"}:
        pytest.skip("not an x86-64 processor")
    return make("x86_64", (), tmp_path_factory)


@pytest.fixture
def arm(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Machine:
    emulator = shutil.which("qemu-aarch64-static") or shutil.which("qemu-aarch64")
    if emulator is None:
        pytest.skip("no qemu for aarch64")
    return make("aarch64", (emulator, "-cpu", request.param), tmp_path_factory)


@pytest.fixture
def wasm(tmp_path_factory: pytest.TempPathFactory) -> Machine:
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed")
    return make("wasm32", (node, "--no-warnings", "native/tests/run_wasi.mjs"), tmp_path_factory)


def subsets(machine: Machine) -> Iterator[tuple[str, str]]:
    """Every subset of the processor's features that some table needs, as a value of VCOMPUTE_ISA, and what it chooses:
    the first table whose features are all there."""
    lines = machine.run("int8_check", "list")
    features = {line[1] for line in lines if line[0] == "feature"}
    tables = [(line[1], set(line[2:])) for line in lines if line[0] == "table"]
    relevant = sorted(features & set().union(*(needs for _, needs in tables)))
    for chosen in chain.from_iterable(combinations(relevant, size) for size in range(len(relevant) + 1)):
        yield ",".join(("portable", *chosen)), next(name for name, needs in tables if needs <= set(chosen))


def check_subsets(machine: Machine, rounds: int) -> set[str]:
    """Under each subset: the tables it allows against the rule, and random models. The tables that ran models."""
    seen = set()
    for isa, expected in subsets(machine):
        lines = machine.run("int8_check", str(rounds), isa=isa)
        assert ["plan", expected] in lines, isa
        assert ["tested", expected] in lines, isa
        assert machine.models(random_stream(), isa)[0] == expected
        seen.add(expected)
    return seen


@pytest.mark.isa
@pytest.mark.xdist_group("native_x86_64")
def test_every_subset_of_features_here_with_sanitizers(here: Machine) -> None:
    assert {"portable", "sse41", "avx2"} <= check_subsets(here, 4)
    here.run("int8_check", "60")


@pytest.mark.isa
@pytest.mark.models
@pytest.mark.xdist_group("native_x86_64")
def test_models_with_every_table_here_with_sanitizers(here: Machine) -> None:
    tables = {expected: isa for isa, expected in subsets(here)}
    for expected, isa in tables.items():
        assert here.models(real_stream(tuple(SMALL)), isa) == (expected, 14)


@pytest.mark.isa
@pytest.mark.xdist_group("native_x86_64")
def test_hostile_plans_with_sanitizers(here: Machine) -> None:
    """Fails too where an operation never gets past the check."""
    for seed, isa in enumerate({expected: isa for isa, expected in subsets(here)}.values()):
        here.run("plan", "40000", str(seed), isa=isa)


@pytest.mark.isa
@pytest.mark.xdist_group("native_x86_64")
def test_the_core_refers_to_no_allocator(here: Machine) -> None:
    build(here.target, here.directory)
    objects = [str(path) for path in core_objects(here.target, here.directory)]
    done = subprocess.run(["nm", "-u", *objects], capture_output=True, text=True, check=True)
    undefined = {line.split()[-1] for line in done.stdout.splitlines() if line.strip().startswith("U ")}
    assert "memcpy" in undefined
    assert not undefined & ALLOCATORS


@pytest.mark.cross
@pytest.mark.xdist_group("native_aarch64")
@pytest.mark.parametrize("arm", PROCESSORS, indirect=True)
def test_every_subset_of_features_of_emulated_arm(arm: Machine) -> None:
    tables = {"portable", *(NEW_TABLE[name] for name in PROCESSORS[: PROCESSORS.index(arm.runner[-1]) + 1])}
    assert check_subsets(arm, 4) == tables


@pytest.mark.cross
@pytest.mark.models
@pytest.mark.xdist_group("native_aarch64")
@pytest.mark.parametrize("arm", PROCESSORS, indirect=True)
def test_models_on_emulated_arm(arm: Machine) -> None:
    assert arm.models(real_stream(tuple(SMALL))) == (NEW_TABLE[arm.runner[-1]], 14)


@pytest.mark.cross
@pytest.mark.xdist_group("native_wasm32")
def test_every_subset_of_features_of_webassembly(wasm: Machine) -> None:
    assert check_subsets(wasm, 20) == {"portable", "simd128"}


@pytest.mark.cross
@pytest.mark.models
@pytest.mark.xdist_group("native_wasm32")
@pytest.mark.parametrize("isa", ["", "portable"])
def test_every_model_in_webassembly(wasm: Machine, isa: str) -> None:
    assert wasm.models(real_stream(models.NAMES), isa) == (isa or "simd128", 16)


@pytest.mark.exhaustive
@pytest.mark.cross
@pytest.mark.models
@pytest.mark.parametrize("isa", ["", "portable"])
@pytest.mark.parametrize("arm", PROCESSORS, indirect=True)
def test_every_model_on_emulated_arm(arm: Machine, isa: str) -> None:
    assert arm.models(real_stream(models.NAMES), isa) == (isa or NEW_TABLE[arm.runner[-1]], 16)


@pytest.mark.exhaustive
@pytest.mark.isa
@pytest.mark.models
def test_every_model_with_every_table_here_with_sanitizers(here: Machine) -> None:
    for expected, isa in {expected: isa for isa, expected in subsets(here)}.items():
        assert here.models(real_stream(models.NAMES), isa) == (expected, 16)
