# SPDX-License-Identifier: Apache-2.0
"""``python -m tests.fuzz [--seconds N] [--engine plain|atheris] [TARGET...]``: a process for each target."""

import argparse
import importlib.util
import subprocess
import sys
from pathlib import Path

from tests.fuzz.engine import Failure, limit_memory, run_plain
from tests.fuzz.targets import TARGETS


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests.fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", metavar="TARGET", help=f"one of {', '.join(TARGETS)}; default all")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--engine", choices=("plain", "atheris"), help="default: atheris where it is installed")
    parser.add_argument("--seed", type=int, default=0, help="of the plain engine")
    parser.add_argument("--directory", type=Path, default=Path("build/fuzz"), help="where inputs are kept")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    unknown = set(options.targets) - set(TARGETS)
    if unknown:
        parser.error(f"no target {', '.join(sorted(unknown))}")
    engine = options.engine or ("atheris" if importlib.util.find_spec("atheris") else "plain")
    if options.inside:
        return inside(options.targets[0], options)
    status = 0
    for name in options.targets or TARGETS:
        print(f"== {name} ({engine}, {options.seconds:g} s)", flush=True)
        if engine == "atheris":
            arguments = ["tests.fuzz.guided", name, str(int(options.seconds)), str(options.directory / name)]
        else:
            arguments = ["tests.fuzz", "--seconds", str(options.seconds), "--seed", str(options.seed)]
            arguments += ["--directory", str(options.directory), "--inside", name]
        status |= subprocess.run([sys.executable, "-m", *arguments], check=False).returncode
    return 1 if status else 0


def inside(name: str, options: argparse.Namespace) -> int:
    """Fuzz one target in this process with the plain engine."""
    directory = options.directory / name
    limit_memory()
    try:
        tally = run_plain(name, seconds=options.seconds, seed=options.seed)
    except Failure as failure:
        directory.mkdir(parents=True, exist_ok=True)
        (directory / "crash").write_bytes(failure.data)
        print(f"{failure}; kept in {directory / 'crash'}", file=sys.stderr)
        raise
    print(f"   {tally.runs} inputs, {tally.accepted} accepted, slowest {tally.slowest:.3f} s", flush=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
