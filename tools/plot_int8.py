# SPDX-License-Identifier: Apache-2.0
"""Draw ``docs/_static/int8.svg`` from ``build/bench/int8.json``: ``plot_int8.py [JSON] [SVG]``."""

import json
import sys
from pathlib import Path
from typing import Any

COLOURS = {"ours": "#1b7f5c", "packed": "#56ab8b", "xnnpack": "#9a9a9a", "peak": "#cfe8dd", "numpy": "#9a9a9a"}
LEFT, WIDTH, ROW = 230, 430, 15


def bar(y: int, length: float, colour: str, label: str) -> str:
    return (
        f'<rect x="{LEFT}" y="{y}" width="{length * WIDTH:.1f}" height="11" fill="{colour}"/>'
        f'<text x="{LEFT + length * WIDTH + 4:.1f}" y="{y + 9}">{label}</text>'
    )


def text(x: int, y: int, content: str, anchor: str = "start") -> str:
    return f'<text x="{x}" y="{y}" text-anchor="{anchor}">{content}</text>'


def model_rows(report: dict[str, Any], y: int) -> tuple[list[str], int]:
    """Each model's time as a share of XNNPACK's: shorter is better."""
    out = [text(8, y, "one sample, time relative to LiteRT with XNNPACK (shorter is faster)")]
    longest = max(row["ours_ms"] / row["xnnpack_ms"] for row in report["models"].values())
    scale = 1 / max(longest, 1.0)
    for name, row in report["models"].items():
        y += 2 * ROW
        ratio = row["ours_ms"] / row["xnnpack_ms"]
        out += [
            text(LEFT - 6, y + 9, name, "end"),
            bar(y, ratio * scale, COLOURS["ours"], f"vcompute {row['ours_ms'] * 1e3:.1f} &#181;s"),
            bar(y + 12, scale, COLOURS["xnnpack"], f"XNNPACK {row['xnnpack_ms'] * 1e3:.1f} &#181;s"),
        ]
    return out, y + 3 * ROW


PRODUCTS = {
    "ours_gmacs": (COLOURS["ours"], "the whole call"),
    "ours_prepacked_gmacs": (COLOURS["packed"], "columns packed beforehand"),
    "numpy_f32_gmacs": (COLOURS["numpy"], "numpy float32"),
}


def gemm_rows(name: str, rows: dict[str, Any], top: float, y: int) -> tuple[list[str], int]:
    """GMAC/s of each size, beside numpy's float32 where it was measured: longer is better."""
    out = [text(8, y, f"square products, {name}, GMAC/s (longer is faster; pale: the peak in registers)")]
    y += ROW
    for size, row in rows.items():
        out.append(text(LEFT - 6, y + 9, f"{size}&#179;", "end"))
        for key in [key for key in PRODUCTS if key in row]:
            if row["peak_gmacs"] and key != "numpy_f32_gmacs":
                out.append(bar(y, row["peak_gmacs"] / top, COLOURS["peak"], ""))
            colour, label = PRODUCTS[key]
            out.append(bar(y, row[key] / top, colour, f"{label} {row[key]:.0f}"))
            y += 12
        y += 6
    return out, y + ROW


def draw(report: dict[str, Any]) -> str:
    models, y = model_rows(report, 20)
    sections = {report["isa"]: report["gemm"]}
    if report["avx2"] and report["isa"] != "avx2":
        sections["avx2"] = report["avx2"]["gemm"]
    top = max(row["peak_gmacs"] or row["ours_gmacs"] for rows in sections.values() for row in rows.values())
    products: list[str] = []
    for name, rows in sections.items():
        drawn, y = gemm_rows(name, rows, top, y + ROW)
        products += drawn
    caption = text(8, y + ROW, f"{report['cpu']}, {report['isa']}, one thread; BLAS {report['blas']}")
    body = "\n".join([*models, *products, caption])
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 160}" height="{y + 2 * ROW}" '
        f'font-family="sans-serif" font-size="11" fill="#222">\n{body}\n</svg>\n'
    )


def main(argv: list[str]) -> None:
    source = Path(argv[0] if argv else "build/bench/int8.json")
    target = Path(argv[1] if len(argv) > 1 else "docs/_static/int8.svg")
    target.write_text(draw(json.loads(source.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
