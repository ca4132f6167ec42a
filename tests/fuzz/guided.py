# SPDX-License-Identifier: Apache-2.0
"""Coverage-guided fuzzing of one target with atheris: ``python -m tests.fuzz.guided TARGET SECONDS DIRECTORY``."""

import sys
from pathlib import Path
from random import Random
from types import FunctionType

import atheris

from tests.fuzz.engine import MEMORY, SLOWEST, Tally, attempt
from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS


def functions(package: str) -> set[FunctionType]:
    """Every function and method of a package's loaded modules.

    They are instrumented one by one: an editable install has an import hook of its own, which atheris cannot use.
    """
    found: set[FunctionType] = set()
    for name, module in list(sys.modules.items()):
        if name.split(".", maxsplit=1)[0] != package:
            continue
        for value in vars(module).values():
            members = list(vars(value).values()) if isinstance(value, type) else [value]
            found.update(m for m in members if isinstance(m, FunctionType) and m.__module__ == name)
    return found


def main(name: str, seconds: int, directory: Path) -> None:
    """Fuzz until the time is over; the process ends with the engine, an input that fails is kept in ``directory``."""
    target, tally = TARGETS[name], Tally()
    directory.mkdir(parents=True, exist_ok=True)
    for number, data in enumerate(target.seeds()):
        (directory / f"seed-{number:03}").write_bytes(data)

    def custom(data: bytes, most: int, seed: int) -> bytes:
        random = Random(seed)
        mutated = mutate(data, random) if random.random() < 0.5 else atheris.Mutate(data, most)
        return mutated[:most]

    arguments = [
        sys.argv[0],
        f"-max_total_time={seconds}",
        f"-timeout={int(SLOWEST)}",
        f"-rss_limit_mb={MEMORY >> 20}",
        "-max_len=200000",
        "-verbosity=0",
        "-print_final_stats=1",
        f"-artifact_prefix={directory}/crash-",
        str(directory),
    ]

    def one_input(data: bytes) -> None:
        attempt(name, target, data, tally)

    for function in functions("vcompute"):
        atheris.instrument_func(function)
    atheris.Setup(arguments, one_input, custom_mutator=custom)
    atheris.Fuzz()


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]), Path(sys.argv[3]))
