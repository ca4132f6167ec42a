# SPDX-License-Identifier: Apache-2.0
"""Checking a product beside computing it: ``bench_freivalds.py [--seconds S] [--output build/bench/freivalds.json]``.

One thread, in processor time, the contestants in turn; medians. ``recompute_ms`` is the library's own fastest product,
``private_ms`` its check with the verifier's own randomness, ``public_ms`` the check anyone can repeat, of which
``hash_ms`` draws the challenge from a hash of all three matrices.
"""

import argparse
import json
import platform
from pathlib import Path
from typing import Any

import numpy as np
from bench_int8 import medians

from vcompute import _native, check_matmul, matmul
from vcompute.proof.matmul import public_point

SIZES = (256, 512, 1024, 2048, 4096)


def bench(size: int, budget: float) -> dict[str, Any]:
    """One square product of a size."""
    rng = np.random.default_rng(size)
    a, b = (rng.integers(-128, 128, (size, size), np.int8) for _ in "ab")
    c = matmul(a, b)
    times = medians(
        {
            "recompute_ms": lambda: matmul(a, b),
            "private_ms": lambda: check_matmul(a, b, c),
            "public_ms": lambda: check_matmul(a, b, c, public=True),
            "hash_ms": lambda: public_point(a, b, c, b""),
        },
        budget,
    )
    row: dict[str, Any] = {"size": size, **{name: 1e3 * seconds for name, seconds in times.items()}}
    row["private_ratio"] = times["recompute_ms"] / times["private_ms"]
    row["public_ratio"] = times["recompute_ms"] / times["public_ms"]
    row["security_bits"] = check_matmul(a, b, c).bits
    return row


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="for each size")
    parser.add_argument("--output", type=Path, default=Path("build/bench/freivalds.json"))
    options = parser.parse_args()
    print(f"{'size':>5} {'recompute':>10} {'private':>9} {'public':>9} {'hash':>9}   milliseconds; times cheaper")
    rows = []
    for size in SIZES:
        row = bench(size, options.seconds)
        rows.append(row)
        times = (row[name] for name in ("recompute_ms", "private_ms", "public_ms", "hash_ms"))
        ratios = f"{row['private_ratio']:.1f} private, {row['public_ratio']:.1f} public"
        print(f"{size:>5} " + " ".join(f"{value:>9.3f}" for value in times) + f"    {ratios}", flush=True)
    options.output.parent.mkdir(parents=True, exist_ok=True)
    host = {"processor": platform.processor(), "instruction_sets": _native.features().in_use}
    options.output.write_text(json.dumps({"host": host, "products": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
