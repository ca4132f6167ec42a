# SPDX-License-Identifier: Apache-2.0
"""Compute soundness figures apart from the library: ``soundness_figures.py [--check]``.

Plain floating point from the formulas that the public calculator ``soundcalc`` documents (unique decoding regime: WHIR,
Theorem 5.2, with the agreement error of BCHKS25, Corollary 1.4; logUp; GKR), not from the library's code. Writes
``tests/oracles/soundness_instances.json``, with which a test compares the library's own report for whole instances.
"""

import json
import math
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).resolve().parent.parent / "tests" / "oracles" / "soundness_instances.json"
FIELD_BITS = 2 * math.log2(2**64 - 2**32 + 1)
FOLD, MOST_FOLD, LANE, FINAL, STEP, MOST_RATE = 4, 6, 15, 10, 1, 8
LEVEL, QUERY_BITS, QUERY_WORK, MOST_WORK = 100, 85, 15, 8
FIRST_RATES = (1, 2)


def log_sum(*terms: float) -> float:
    """log2 of a sum of powers of two."""
    top = max(terms)
    return top + math.log2(sum(2 ** (term - top) for term in terms))


def agreement(lane: int, rate: int) -> float:
    """log2 of the number of bad coefficients of one fold: gamma n + 1, gamma = (1 - rate) / 2, n leaves."""
    gamma = (1 - 2.0**-rate) / 2
    return math.log2(gamma * 2.0 ** (lane + rate) + 1)


def work(bits: float) -> int:
    """Grinding that lifts a challenge to the level."""
    return min(max(math.ceil(LEVEL - bits), 0), MOST_WORK)


def instance(tables: list[int], first_rate: int, claims: int) -> dict[str, Any]:
    """Bits of folds and queries of every round, for full tables of 2^v values each."""
    rounds, rate, current = [], first_rate, [v - min(max(v - LANE, FOLD), MOST_FOLD) for v in tables]
    while True:
        fold = FIELD_BITS - log_sum(math.log2(3), *(agreement(v, rate) for v in current))
        miss = math.log2((1 + 2.0**-rate) / 2)
        queries = math.ceil(QUERY_BITS / -miss - 1e-9)
        total = math.ceil(math.log2(sum(2**v for v in current)))
        last = total <= FINAL
        error = queries * miss
        if not last:
            error = log_sum(error, math.log2(queries * len(current)) - FIELD_BITS)
        rounds.append({
            "fold_bits": round(fold + work(fold), 4), "fold_work": work(fold),
            "queries": queries, "query_bits": round(-error + QUERY_WORK, 4),
        })  # fmt: skip
        if last:
            break
        current, rate = [total - FOLD], min(rate + STEP, MOST_RATE)
    return {"tables": tables, "first_rate": first_rate, "claims": claims, "rounds": rounds,
            "batching_bits": round(FIELD_BITS - math.log2(claims), 4)}  # fmt: skip


def lookups(log_leaves: int) -> dict[str, Any]:
    """The sum of fractions: as many leaves over the field, and what grinding does."""
    bits = FIELD_BITS - log_leaves
    return {"log_leaves": log_leaves, "bits": round(bits + work(bits), 4), "work": work(bits)}


def figures() -> str:
    """The file's text."""
    tables = [[14], [18, 14], [22], [22, 20], [26, 26], [29, 24], [32, 32]]
    document = {
        "source": "tools/soundness_figures.py: the formulas of ethereum/soundcalc (unique decoding), computed apart",
        "openings": [instance(each, rate, 5) for rate in FIRST_RATES for each in tables],
        "lookups": [lookups(bits) for bits in (12, 20, 24, 26, 28, 29, 31, 32)],
    }
    return json.dumps(document, indent=1) + "\n"


def main(argv: list[str]) -> int:
    text = figures()
    if "--check" in argv:
        if TARGET.read_text(encoding="utf-8") == text:
            return 0
        print("tests/oracles/soundness_instances.json is stale: run 'make generate'", file=sys.stderr)
        return 1
    TARGET.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
