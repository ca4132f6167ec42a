# SPDX-License-Identifier: Apache-2.0
"""The plain engine: random mutation of a growing corpus. :mod:`tests.fuzz.guided` is the coverage-guided one."""

import resource
import time
import warnings
from dataclasses import dataclass
from pathlib import Path
from random import Random

from tests.fuzz.mutate import mutate
from tests.fuzz.targets import TARGETS, Target
from vcompute.errors import VcomputeError

SLOWEST = 5.0
"""Seconds that one input may take."""
MEMORY = 1 << 30
"""Bytes of address space that a target may take beyond what the process has at the start."""
CORPUS = 400


@dataclass(slots=True)
class Tally:
    """What a run saw."""

    runs: int = 0
    accepted: int = 0
    slowest: float = 0.0


class Failure(Exception):
    """An input that a target did not survive; ``data`` is the input."""

    def __init__(self, target: str, data: bytes, reason: str) -> None:
        self.data = data
        super().__init__(f"{target}: {reason} on {len(data)} bytes")


def attempt(name: str, target: Target, data: bytes, tally: Tally) -> str:
    """Run one input. Returns the code of its typed error, or an empty string where it was accepted.

    Raises:
        Failure: any other error, or too slow.
    """
    start = time.process_time()
    outcome = ""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            target.run(data)
        tally.accepted += 1
    except VcomputeError as error:
        outcome = f"{type(error).__name__} {error.message[:40]}"
    except Exception as error:
        raise Failure(name, data, f"{type(error).__name__}: {error}") from error
    seconds = time.process_time() - start
    tally.runs += 1
    tally.slowest = max(tally.slowest, seconds)
    if seconds > SLOWEST:
        raise Failure(name, data, f"took {seconds:.1f} s")
    return outcome


def run_plain(name: str, *, seconds: float, seed: int = 0, least: int = 0) -> Tally:
    """Mutate seeds, and inputs that ended in a way not seen before, until the time is over.

    At least ``least`` inputs are run, however long they take.
    """
    target, tally, random = TARGETS[name], Tally(), Random(seed)
    corpus = target.seeds()
    seen = {attempt(name, target, data, tally) for data in corpus}
    end = time.monotonic() + seconds
    while time.monotonic() < end or tally.runs < least:
        data = mutate(random.choice(corpus), random)
        outcome = attempt(name, target, data, tally)
        if outcome not in seen and len(corpus) < CORPUS:
            seen.add(outcome)
            corpus.append(data)
    return tally


def limit_memory() -> None:
    """Let allocations beyond :data:`MEMORY` fail, so that an input that asks for them is found."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[0])
    most = pages * resource.getpagesize() + MEMORY
    resource.setrlimit(resource.RLIMIT_AS, (most, resource.getrlimit(resource.RLIMIT_AS)[1]))
