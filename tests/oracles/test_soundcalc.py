# SPDX-License-Identifier: Apache-2.0
"""The soundness calculator against stored figures of an independent computation (their source is inside the file)."""

import json
from pathlib import Path

import pytest

from vcompute import soundness
from vcompute.soundness import Term

FIGURES = json.loads((Path(__file__).parent / "soundcalc_figures.json").read_text(encoding="utf-8"))


def bits(error) -> float:  # type: ignore[no-untyped-def]
    return Term("", error).bits


@pytest.mark.parametrize("row", FIGURES["fold"]["rows"], ids=str)
def test_fold(row: list[float]) -> None:
    rate_bits, log_dimension, expected = row
    assert bits(soundness.fold_error([(log_dimension + rate_bits, rate_bits)])) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("row", FIGURES["shift"]["rows"], ids=str)
def test_queries(row: list[float]) -> None:
    rate_bits, queries, expected = row
    error = soundness.query_error(rate_bits, queries) + soundness.combination_error(queries + 1)
    assert bits(error) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("row", FIGURES["gkr"]["rows"], ids=str)
def test_gkr(row: list[float]) -> None:
    log_leaves, expected = row
    assert bits(soundness.gkr_error(log_leaves)) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("row", FIGURES["lookup"]["rows"], ids=str)
def test_lookup(row: list[float]) -> None:
    log_rows, key_width, expected = row
    assert bits(soundness.lookup_error(1 << log_rows, key_width)) == pytest.approx(expected, abs=1e-5)
