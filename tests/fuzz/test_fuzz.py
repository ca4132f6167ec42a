# SPDX-License-Identifier: Apache-2.0
"""A moment of fuzzing for each target, the mutations themselves, and inputs that once were trouble."""

from random import Random

import pytest

from tests.fuzz.engine import Failure, Tally, attempt, run_plain
from tests.fuzz.mutate import MUTATIONS, mutate
from tests.fuzz.targets import TARGETS, Target
from vcompute.codec import dumps
from vcompute.errors import EncodingError, VcomputeError


@pytest.mark.parametrize("name", TARGETS)
def test_a_moment(name: str) -> None:
    tally = run_plain(name, seconds=1.0, seed=7, least=150)
    assert tally.runs >= 150
    assert 0 < tally.accepted < tally.runs, "the mutations are too tame or too wild to say anything"


@pytest.mark.parametrize("name", TARGETS)
def test_seeds_are_accepted(name: str) -> None:
    target = TARGETS[name]
    for data in target.seeds():
        target.run(data)


@pytest.mark.parametrize("name", ["tflite", "vcm", "vcm-resealed", "graph", "batch"])
def test_every_prefix_is_refused(name: str) -> None:
    """Cut anywhere, a file is refused; long files at every 97th byte."""
    target = TARGETS[name]
    data = min(target.seeds(), key=len)
    for end in range(0, len(data) - 1, 1 if len(data) < 2000 else 97):
        with pytest.raises(VcomputeError):
            target.run(data[:end])


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_mutations_change_their_input(mutation) -> None:
    random, data = Random(1), TARGETS["graph"].seeds()[0]
    assert sum(mutation(data, random) != data for _ in range(50)) > 25


def test_mutation_is_reproducible() -> None:
    data = TARGETS["graph"].seeds()[0]
    assert [mutate(data, Random(seed)) for seed in range(20)] == [mutate(data, Random(seed)) for seed in range(20)]


def test_engine_tells_typed_errors_from_others() -> None:
    def fails(data: bytes) -> None:
        raise IndexError(len(data))

    def refuses(data: bytes) -> None:
        raise EncodingError("no")

    with pytest.raises(Failure, match="IndexError"):
        attempt("x", Target(list, fails), b"abc", Tally())
    assert attempt("x", Target(list, refuses), b"abc", Tally()) == "EncodingError no"


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("payload", dumps([[1], {}])),
        ("payload", dumps([{}, {}])),
        ("http", b"POST\n/v1/messages\n\xff\n"),
        ("http", b"PUT\n/v1/blobs/" + b"0" * 64 + b"/9\nsize=\xff\n"),
        ("http", b"GET\n/v1/status/\n\xa3\n"),
        ("database", b"l" + bytes(600)),
        ("database", b"sSQLite format 3\0" + b"\xbb" * 600),
    ],
)
def test_what_once_was_trouble_is_refused(name: str, data: bytes) -> None:
    with pytest.raises(VcomputeError):
        TARGETS[name].run(data)
