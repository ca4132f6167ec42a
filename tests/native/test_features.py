# SPDX-License-Identifier: Apache-2.0
"""The feature report and its override."""

import json
import os
import subprocess
import sys

import pytest

from vcompute import _native

PROGRAM = """
import json
from vcompute import _native
from vcompute.errors import UsageError
try:
    f = _native.features()
    print(json.dumps([f.in_use, f.left_out]))
except UsageError as error:
    print(json.dumps(str(error)))
"""


def report(value: str | None) -> object:
    environment = {k: v for k, v in os.environ.items() if k != "VCOMPUTE_ISA"}
    if value is not None:
        environment["VCOMPUTE_ISA"] = value
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environment, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


@pytest.fixture(scope="module")
def detected() -> list[str]:
    _native.require()
    in_use, left_out = report(None)
    assert left_out == []
    return in_use


def test_empty_override_allows_all(detected: list[str]) -> None:
    assert report("") == [detected, []]


def test_portable_uses_nothing(detected: list[str]) -> None:
    assert report("portable") == [[], detected]


def test_each_feature_alone(detected: list[str]) -> None:
    for name in detected:
        assert report(name) == [[name], [other for other in detected if other != name]]


def test_a_feature_the_processor_lacks_stays_out(detected: list[str]) -> None:
    absent = next(name for name in ("simd128", "dotprod", "sse41") if name not in detected)
    assert report(f"portable,{absent}") == [[], detected]


def test_unknown_name_is_refused() -> None:
    assert "comma-separated" in report("avx9000")
