# SPDX-License-Identifier: Apache-2.0
"""Test and fuzz the native core built under AddressSanitizer and UndefinedBehaviorSanitizer.

``sanitize.py [PYTEST ARGS...]`` runs the tests of the core, ``sanitize.py --fuzz SECONDS [TARGET...]`` the fuzzers.
The instrumented core is installed beside the sources in ``build/sanitize``, so the development environment keeps its
own. Any report ends the process, and so the run, with an error.
"""

import os
import shutil
import site
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "sanitize"
SITE = BUILD / "site"
FLAGS = "-fsanitize=address,undefined -fno-sanitize-recover=all -fno-omit-frame-pointer -g"
TESTS = ("native", "unit/commitment", "unit/field", "unit/proof")
"""What calls the core."""
MARKS = "not slow and not cross and not models and not exhaustive"
CHILDREN = "not every_instruction_set and not test_same_results and not test_kernels"
"""Tests whose work is done in processes of their own, with the other core."""


def build() -> None:
    """Install the package with an instrumented core into a folder of its own."""
    shutil.rmtree(SITE, ignore_errors=True)
    command = [
        *(sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "-q", "--no-deps"),
        *("--target", str(SITE), "--config-settings", f"build-dir={BUILD / 'cmake'}", str(ROOT)),
    ]
    subprocess.run(command, check=True, env={**os.environ, "CFLAGS": FLAGS, "LDFLAGS": FLAGS})
    (SITE / "tests").symlink_to(ROOT / "tests")


def runtime(name: str) -> str:
    """The path of a sanitizer's runtime, which an uninstrumented interpreter has to load first."""
    compiler = os.environ.get("CC", "gcc")
    path = subprocess.run([compiler, f"-print-file-name={name}"], check=True, capture_output=True, text=True)
    return path.stdout.strip()


def environment() -> dict[str, str]:
    """Variables under which the interpreter loads the instrumented core, and ends at the first report."""
    return {
        **os.environ,
        "LD_PRELOAD": " ".join(runtime(name) for name in ("libasan.so", "libubsan.so")),
        # The interpreter and numpy keep memory until the process ends.
        "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=1:allocator_may_return_null=1",
        "UBSAN_OPTIONS": "print_stacktrace=1:halt_on_error=1",
        # No site-packages of the environment by way of .pth files: they would bring the other core back.
        "PYTHONPATH": os.pathsep.join([str(SITE), *site.getsitepackages()]),
        "PYTHONDONTWRITEBYTECODE": "1",
    }


def test(interpreter: str, arguments: list[str]) -> list[str]:
    """The command that runs the tests of what calls the core."""
    tests = [str(SITE / "tests" / name) for name in TESTS if (ROOT / "tests" / name).exists()]
    return [
        *(interpreter, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-p", "no:xdist", "-o", f"pythonpath={SITE}"),
        *("--rootdir", str(ROOT), "-m", MARKS, "-k", CHILDREN, *arguments, *tests),
    ]


def fuzz(interpreter: str, seconds: str, targets: list[str]) -> list[str]:
    """The command that runs the fuzzers; their plain engine, which needs no instrumented interpreter."""
    kept = str(ROOT / "build" / "fuzz")
    return [
        *(interpreter, "-m", "tests.fuzz", "--engine", "plain"),
        *("--seconds", seconds, "--directory", kept, *targets),
    ]


def main(arguments: list[str]) -> int:
    build()
    variables = environment()
    interpreter = str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")
    check = "import vcompute._native as n; assert n.available(); print('core:', n._core.__file__)"
    subprocess.run([interpreter, "-c", check], check=True, env=variables, cwd=SITE)
    if arguments[:1] == ["--fuzz"]:
        command = fuzz(interpreter, arguments[1], arguments[2:])
    else:
        command = test(interpreter, arguments)
    return subprocess.run(command, check=False, env=variables, cwd=SITE).returncode


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
