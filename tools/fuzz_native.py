# SPDX-License-Identifier: Apache-2.0
"""Fuzz the C targets of ``native/fuzz`` under Address- and UndefinedBehaviorSanitizer: ``fuzz_native.py SECONDS``.

With libFuzzer, guided by coverage, where clang has it; else with random inputs. An input that fails is kept in
``build/fuzz``. Each set of kernels gets its share of the time.
"""

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
from tests.support.native_build import build  # noqa: E402

SETS = ("", "avx2", "sse41", "portable")
"""Values of VCOMPUTE_ISA."""
INPUTS = 100_000
"""Random inputs of one run without libFuzzer."""


def programs(directory: Path) -> tuple[dict[str, Path], bool]:
    """The fuzzers, and whether libFuzzer is in them."""
    for target in ("libfuzzer", "x86_64"):
        place = directory / target
        place.mkdir(parents=True, exist_ok=True)
        try:
            return build(target, place), target == "libfuzzer"
        except (AssertionError, OSError) as error:
            print(f"no {target}: {str(error)[:200]}", file=sys.stderr)
    raise SystemExit("no compiler for the fuzzers")


def guided(program: Path, corpus: Path, seconds: float, environment: dict[str, str]) -> None:
    """Run libFuzzer on a corpus that grows."""
    corpus.mkdir(parents=True, exist_ok=True)
    # No time at all would mean without end. At verbosity 0 only findings and the statistics are printed.
    options = [f"-max_total_time={max(1, int(seconds))}", "-max_len=700", "-use_value_profile=1"]
    options += ["-verbosity=0", "-print_final_stats=1"]
    command = [str(program), *options, f"-artifact_prefix={corpus.parent}/crash-", str(corpus)]
    subprocess.run(command, env=environment, check=True)


def plain(program: Path, seconds: float, environment: dict[str, str]) -> None:
    """Run random inputs of one seed after the other."""
    end, seed = time.monotonic() + seconds, 0
    while time.monotonic() < end:
        subprocess.run([str(program), str(INPUTS), str(seed)], env=environment, check=True, stdout=subprocess.DEVNULL)
        seed += 1
    print(f"{seed} x {INPUTS} inputs")


def main(argv: list[str]) -> None:
    seconds = float(argv[0]) / len(SETS)
    directory = ROOT / "build" / "fuzz" / "native"
    made, with_coverage = programs(directory)
    program = made["plan"]
    for kernels in SETS:
        print(
            f"== plan ({'libFuzzer' if with_coverage else 'plain'}, VCOMPUTE_ISA={kernels!r}, {seconds:g} s)",
            flush=True,
        )
        environment = {**os.environ, "VCOMPUTE_ISA": kernels}
        if with_coverage:
            guided(program, directory / "plan_corpus", seconds, environment)
        else:
            plain(program, seconds, environment)


if __name__ == "__main__":
    main(sys.argv[1:])
