# SPDX-License-Identifier: Apache-2.0
"""Draw ``docs/_static/proofs.svg`` and write ``docs/guides/proofs/results.md`` from ``build/bench/proofs.json``."""

import json
import math
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
LEFT, WIDTH, ROW, BAR = 250, 430, 30, 11
GREEN, GREY = "#1b7f5c", "#9a9a9a"
PEERS: dict[str, dict[str, tuple[str, str, str, str]]] = {
    "mlp": {
        "EZKL 23.0.5": ("5 s", "5.2 s", "31 ms", "28 kB"),
        "JSTprove 2.1.0": ("1.1 s", "0.47 s", "0.44 s", "39 kB"),
        "DSperse 3.9.10": ("0.7 s", "82 ms", "29 ms", "176 kB"),
    },
    "cnn": {
        "EZKL 23.0.5": ("145 s", "231 s", "1.35 s", "144 kB"),
        "JSTprove 2.1.0": ("35 s", "5.3 s", "2.5 s", "111 kB"),
        "DSperse 3.9.10": ("4.6 s", "0.47 s", "0.17 s", "282 kB"),
    },
    "mlperftiny_ic_resnet8": {
        "EZKL 23.0.5": ("not done after 230 s", "-", "-", "-"),
        "JSTprove 2.1.0": ("needs more than 22.8 GiB", "-", "-", "-"),
        "DSperse 3.9.10": ("128 s", "5.1 s", "3.2 s", "875 kB"),
    },
    "dense4m": {
        "EZKL 23.0.5": ("121 s", "174 s", "1.0 s", "42 kB"),
        "JSTprove 2.1.0": ("94 s", "2.9 s", "2.2 s", "89 kB"),
        "DSperse 3.9.10": ("fails to compile", "-", "-", "-"),
    },
}
"""Set-up, prove, verify, proof: medians on two cores of a processor with AVX-512, November 2026."""


def seconds(value: float) -> str:
    """A time with a unit that suits it."""
    return f"{value:.1f} s" if value >= 1 else f"{value * 1e3:.0f} ms" if value >= 0.02 else f"{value * 1e3:.1f} ms"


def measured(rows: list[dict[str, Any]]) -> list[str]:
    """The table of everything measured."""
    lines = [
        "| network | batch | prove (of it nonces) | verify: commitment (first) / weights | proof: commitment / weights "
        "| memory | table rows | ns an activation | times native |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        lines.append(
            f"| {row['network']} | {row['batch']} "
            f"| {seconds(row['prove_cpu_seconds'])} ({seconds(row['grind_cpu_seconds'])}) "
            f"| {seconds(row['verify_cpu_seconds'])} ({seconds(row['first_verify_cpu_seconds'])}) "
            f"/ {seconds(row['verify_cpu_seconds_with_weights'])} "
            f"| {row['proof_bytes'] / 1e3:.0f} / {row['proof_bytes_with_weights'] / 1e3:.0f} kB "
            f"| {row['peak_rss_bytes'] / 2**20:,.0f} MiB | {row['table_rows']:,} | {row['ns_per_activation']:,.0f} "
            f"| {row['prove_over_native']:,.0f} |"
        )
    return lines


def growth(rows: list[dict[str, Any]]) -> list[str]:
    """Exponent of proving time in the batch, between the smallest and the largest batch of a network."""
    lines = []
    for name in dict.fromkeys(row["network"] for row in rows):
        own = [row for row in rows if row["network"] == name]
        if len(own) < 2:
            continue
        first, last = own[0], own[-1]
        exponent = math.log(last["prove_cpu_seconds"] / first["prove_cpu_seconds"])
        exponent /= math.log(last["batch"] / first["batch"])
        times = last["verify_cpu_seconds"] / first["verify_cpu_seconds"]
        lines.append(
            f"- {name}: batch {first['batch']} to {last['batch']}, proving time to the power {exponent:.2f}, "
            f"verification {times:.2f} times, proof {last['proof_bytes'] / first['proof_bytes']:.2f} times."
        )
    return lines


def beside_peers(rows: list[dict[str, Any]]) -> list[str]:
    """One sample of each network that the others were measured with."""
    lines = ["| network | prover | set-up | prove | verify | proof |", "|---|---|---|---|---|---|"]
    for name, peers in PEERS.items():
        own = next((row for row in rows if row["network"] == name and row["batch"] == 1), None)
        if own is not None:
            setup = own["constants_seconds"] + own["commit_seconds"]
            lines.append(
                f"| {name} | **vcompute** | {seconds(setup)} | {seconds(own['prove_cpu_seconds'])} "
                f"| {seconds(own['verify_cpu_seconds'])} | {own['proof_bytes'] / 1e3:.0f} kB |"
            )
        lines += [f"| {name} | {peer} | {' | '.join(figures)} |" for peer, figures in peers.items()]
    return lines


def page(report: dict[str, Any]) -> str:
    """The measured part of the guide."""
    rows = report["rows"]
    parts = [
        f"{report['cpu']}, {report['isa']}, one thread, set `{report['parameter_set']}`; processor time, medians.",
        *measured(rows),
    ]
    if report["left_out"]:
        parts += ["", "Left out:", ""]
        parts += [f"- {row['network']}, batch {row['batch']}: {row['left_out']}." for row in report["left_out"]]
    parts += ["", "With the batch:", "", *growth(rows)]
    return "\n".join([parts[0], "", *parts[1:]]) + "\n"


def draw(report: dict[str, Any]) -> str:
    """Nanoseconds an activation of the largest batch of each network, on a logarithmic axis."""
    largest = {row["network"]: row for row in report["rows"]}
    top = max(row["ns_per_activation"] for row in largest.values())
    body = ['<text x="8" y="18">proving, nanoseconds an activation (shorter is faster; logarithmic)</text>']
    y = 30
    for name, row in largest.items():
        value = row["ns_per_activation"]
        length = WIDTH * max(math.log10(value) - 1, 0.02) / (math.log10(top) - 1)
        label = f"{value:,.0f}; verify {seconds(row['verify_cpu_seconds'])}, {row['proof_bytes'] / 1e3:.0f} kB"
        body += [
            f'<text x="{LEFT - 6}" y="{y + 9}" text-anchor="end">{name}, batch {row["batch"]}</text>',
            f'<rect x="{LEFT}" y="{y}" width="{length:.1f}" height="{BAR}" fill="{GREEN}"/>',
            f'<text x="{LEFT + length + 4:.1f}" y="{y + 9}">{label}</text>',
        ]
        y += ROW - 10
    body.append(f'<text x="8" y="{y + 18}" fill="{GREY}">{report["cpu"]}, {report["isa"]}, one thread</text>')
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 190}" height="{y + 30}" '
        'font-family="sans-serif" font-size="11" fill="#222">\n' + "\n".join(body) + "\n</svg>\n"
    )


def main(argv: list[str]) -> None:
    source = Path(argv[0]) if argv else ROOT / "build" / "bench" / "proofs.json"
    report = json.loads(source.read_text(encoding="utf-8"))
    target = ROOT / "docs" / "guides" / "proofs"
    target.mkdir(exist_ok=True)
    (target / "results.md").write_text(page(report), encoding="utf-8")
    (target / "peers.md").write_text("\n".join(beside_peers(report["rows"])) + "\n", encoding="utf-8")
    (ROOT / "docs" / "_static" / "proofs.svg").write_text(draw(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
