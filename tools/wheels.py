# SPDX-License-Identifier: Apache-2.0
"""Build the release: an sdist, and manylinux wheels for x86-64 and aarch64 against glibc 2.17; ``wheels.py [OUTPUT]``.

The compiler is clang as the package ``ziglang`` brings it, which links against any glibc without a container. Each
wheel's core is checked for its processor, the wheel by auditwheel for the symbols it asks for.
"""

import os
import shutil
import stat
import struct
import subprocess
import sys
import sysconfig
import tempfile
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GLIBC = "2.17"
MACHINES = {"x86_64": 62, "aarch64": 183}
"""Processors, and their number in an ELF header (e_machine)."""


ZIG_FLAGS = r"""for flag in "$@"; do
  shift
  case "$flag" in
    -march=armv8.2-a+*) flag="-mcpu=generic+v8_2a+${flag#*+}" ;;
    -march=armv8-a+*) flag="-mcpu=generic+${flag#*+}" ;;
  esac
  set -- "$@" "$flag"
done
"""
"""Names of AArch64 features as ziglang's clang wants them."""


def tool(path: Path, *arguments: str) -> Path:
    """A script that runs a tool of ziglang."""
    command = " ".join((f'"{sys.executable}" -m ziglang', *arguments))
    path.write_text(f'#!/bin/sh\n{ZIG_FLAGS}exec {command} "$@"\n', encoding="utf-8")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


def headers(directory: Path, machine: str) -> Path:
    """A folder for what Debian's Python.h takes from a processor's own folder, where the compiler does not look.

    The limited API asks of pyconfig.h only the sizes of types, which are the same on all of MACHINES.
    """
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    shared = Path(sysconfig.get_config_h_filename()).parent.parent
    own = shared / str(sysconfig.get_config_var("MULTIARCH")) / version / "pyconfig.h"
    folder = directory / "headers"
    if own.is_file():
        target = folder / f"{machine}-linux-gnu" / version
        target.mkdir(parents=True)
        shutil.copy(own, target)
    return folder


def toolchain(directory: Path, machine: str) -> Path:
    """A CMake toolchain file that compiles for a processor."""
    flags = ("-target", f"{machine}-linux-gnu.{GLIBC}", "-idirafter", f'"{headers(directory, machine)}"')
    compiler = tool(directory / f"cc-{machine}", "cc", *flags)
    lines = [
        "set(CMAKE_SYSTEM_NAME Linux)",
        f"set(CMAKE_SYSTEM_PROCESSOR {machine})",
        f'set(CMAKE_C_COMPILER "{compiler}")',
        f'set(CMAKE_AR "{tool(directory / "ar", "ar")}" CACHE FILEPATH "" FORCE)',
        f'set(CMAKE_RANLIB "{tool(directory / "ranlib", "ranlib")}" CACHE FILEPATH "" FORCE)',
        "set(CMAKE_FIND_ROOT_PATH_MODE_PROGRAM NEVER)",
    ]
    file = directory / f"{machine}.cmake"
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return file


def build_wheel(output: Path, machine: str) -> Path:
    """Build one wheel and give it its manylinux tag."""
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        environment = {
            **os.environ,
            "CMAKE_TOOLCHAIN_FILE": str(toolchain(directory, machine)),
            "_PYTHON_HOST_PLATFORM": f"linux-{machine}",
            "ZIG_GLOBAL_CACHE_DIR": str(ROOT / "build" / "zig"),
        }
        # Not isolated: for another processor, the build's own tools would be installed for that one.
        settings = [
            f"-Cbuild-dir={directory}/build",
            "-Ccmake.define.VCOMPUTE_WERROR=ON",
            "-Ccmake.define.VCOMPUTE_EVERY_ISA=ON",
        ]
        command = [
            sys.executable,
            "-m",
            "build",
            "--wheel",
            "--no-isolation",
            *settings,
            "-o",
            str(directory),
            str(ROOT),
        ]
        subprocess.run(command, env=environment, check=True)
        plain = next(directory.glob("*.whl"))
        tag = f"manylinux_{GLIBC.replace('.', '_')}_{machine}"
        retag = [sys.executable, "-m", "wheel", "tags", "--remove", f"--platform-tag={tag}", str(plain)]
        subprocess.run(retag, check=True, stdout=subprocess.DEVNULL)
        built = next(directory.glob("*.whl"))
        return built.replace(output / built.name)


def check(wheel: Path, machine: str) -> None:
    """Refuse a wheel without the core, with one for another processor, or one that auditwheel does not pass."""
    with zipfile.ZipFile(wheel) as archive:
        cores = [name for name in archive.namelist() if name.endswith(".so")]
        if len(cores) != 1:
            raise SystemExit(f"{wheel.name}: expected one extension module, found {cores}")
        number = struct.unpack_from("<H", archive.read(cores[0]), 18)[0]
    if number != MACHINES[machine]:
        raise SystemExit(f"{wheel.name}: the core is for ELF machine {number}, not {machine}")
    shown = subprocess.run(
        [sys.executable, "-m", "auditwheel", "show", str(wheel)], check=True, capture_output=True, text=True
    )
    tag = f"manylinux_{GLIBC.replace('.', '_')}_{machine}"
    if f'"{tag}"' not in " ".join(shown.stdout.split()).replace("manylinux2014", tag.rsplit(f"_{machine}", 1)[0]):
        raise SystemExit(f"{wheel.name}: not {tag}:\n{shown.stdout}")


def main(argv: list[str]) -> None:
    output = Path(argv[0] if argv else ROOT / "dist")
    output.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "build", "--sdist", "-o", str(output), str(ROOT)], check=True)
    for machine in MACHINES:
        wheel = build_wheel(output, machine)
        check(wheel, machine)
        print(wheel)


if __name__ == "__main__":
    main(sys.argv[1:])
