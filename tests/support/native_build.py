# SPDX-License-Identifier: Apache-2.0
"""Builds of the C test drivers for this processor, with sanitizers, and for others."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
SOURCES = (
    "cpu",
    "dispatch",
    "pack",
    "linear",
    "depthwise",
    "elementwise",
    "pooling",
    "layout",
    "exponential",
    "plan",
    "matmul",
    "int8_portable",
)
"""What every build has."""
DRIVERS = ("tests/int8_check", "tests/run_programs")
FUZZERS = ("fuzz/plan",)
"""Programs over the core, by their path in ``native``."""


@dataclass(frozen=True, slots=True)
class Target:
    """A compiler, its common flags, the flags of each file of kernels, and the programs to make."""

    compiler: tuple[str, ...]
    flags: tuple[str, ...]
    kernels: dict[str, tuple[str, ...]]
    suffix: str = ""
    drivers: tuple[str, ...] = DRIVERS
    link: tuple[str, ...] = ()

    def missing(self) -> str | None:
        """The compiler that this host lacks."""
        return None if shutil.which(self.compiler[0]) else self.compiler[0]


AVX512 = ("-mavx512f", "-mavx512bw", "-mavx512dq", "-mavx512vl", "-mavx512vnni")
X86 = {
    "sse41": ("-msse4.1",),
    "avx2": ("-mavx2",),
    "avxvnni": AVX512,  # the twin with the EVEX encoding
    "avx512vnni": AVX512,
}
SANITIZERS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DVC_AVXVNNI_AS_EVEX")
TARGETS = {
    "x86_64": Target(("cc",), (*SANITIZERS, "-DVC_FUZZ_MAIN"), X86, drivers=DRIVERS + FUZZERS),
    "libfuzzer": Target(
        ("clang-19",), (*SANITIZERS, "-fsanitize=fuzzer-no-link"), X86, drivers=FUZZERS, link=("-fsanitize=fuzzer",)
    ),
    "aarch64": Target(
        ("aarch64-linux-gnu-gcc",),
        ("-O2", "-static"),
        {"neon": (), "dotprod": ("-march=armv8.2-a+dotprod",), "i8mm": ("-march=armv8.2-a+i8mm",)},
    ),
    "wasm32": Target(("clang-19", "--target=wasm32-wasi"), ("-O2", "-msimd128"), {"simd128": ()}, suffix=".wasm"),
}


@cache
def build(name: str, directory: Path) -> dict[str, Path]:
    """Compile the core for a target and its programs with it: where each is, by name."""
    target = TARGETS[name]
    defines = [f"-DVC_HAVE_{kernel.upper()}" for kernel in target.kernels]
    common = [
        *target.compiler, "-std=c11", "-Wall", "-Wextra", "-Werror", "-Inative/include", "-Inative/src", *defines,
        *target.flags,
    ]  # fmt: skip
    files: list[tuple[str, tuple[str, ...]]] = [(f"native/src/{stem}.c", ()) for stem in SOURCES]
    files += [(f"native/src/int8_{kernel}.c", flags) for kernel, flags in target.kernels.items()]
    drivers: list[tuple[str, tuple[str, ...]]] = [(f"native/{path}.c", ()) for path in target.drivers]
    with ThreadPoolExecutor(2) as pool:
        jobs = [
            pool.submit(_run, [*common, *flags, "-c", source, "-o", str(_object(directory, source))])
            for source, flags in files + drivers
        ]
        for job in jobs:
            job.result()
    core = [str(path) for path in core_objects(name, directory)]
    programs = {}
    for source, _ in drivers:
        stem = Path(source).stem
        programs[stem] = directory / f"{stem}{target.suffix}"
        _run([*common, *core, str(_object(directory, source)), "-o", str(programs[stem]), *target.link])
    return programs


def _object(directory: Path, source: str) -> Path:
    folder = "" if source.startswith("native/src/") else "driver_"
    return directory / f"{folder}{Path(source).stem}.o"


def core_objects(name: str, directory: Path) -> list[Path]:
    """The core's object files of a build."""
    stems = (*SOURCES, *(f"int8_{kernel}" for kernel in TARGETS[name].kernels))
    return [directory / f"{stem}.o" for stem in stems]


def _run(command: list[str]) -> None:
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
