# SPDX-License-Identifier: Apache-2.0
"""Run the simulation and write the figures and tables of its guide: ``plot_simulation.py [--workers N] [--tasks N]``.

Needs matplotlib (extra ``docs``). The same arguments write the same bytes.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import matplotlib as mpl

mpl.use("svg")
import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from vcompute.messages import Policy
from vcompute.policy.deposit import cheating_gain
from vcompute.simulation import Kind, Report, Scenario, simulate
from vcompute.simulation.scenario import ALWAYS, CHALLENGE, SECOND, sampled

OUT = Path(__file__).resolve().parent.parent / "docs" / "guides" / "simulation"
COLORS = ["#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#444444"]
ROGUES = {
    Kind.LAZY: Fraction(1, 10),
    Kind.SYBIL: Fraction(1, 10),
    Kind.COPIER: Fraction(1, 10),
    Kind.COLLUDER: Fraction(1, 5),
}
POLICIES = [("always", ALWAYS), ("sampled 1/4", sampled(4)), ("sampled 1/16", sampled(16)), ("on_challenge", CHALLENGE)]

mpl.rcParams.update(
    {
        "svg.hashsalt": "vcompute",
        "svg.fonttype": "none",
        "font.family": "sans-serif",
        "font.size": 9,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "grid.alpha": 0.25,
        "figure.constrained_layout.use": True,
    }
)


def figure(name: str, draw: Callable[[Sequence[Axes]], None], panels: int) -> None:
    """One SVG of ``panels`` panels side by side."""
    drawing, axes = plt.subplots(1, panels, figsize=(3.1 * panels + 0.6, 2.9), squeeze=False)
    draw(axes[0])
    path = OUT / f"{name}.svg"
    drawing.savefig(path, metadata={"Date": None, "Creator": "vcompute"})
    plt.close(drawing)
    text = path.read_text(encoding="utf-8")
    path.write_text("\n".join(line.rstrip() for line in text.splitlines()) + "\n", encoding="utf-8")
    print(path.relative_to(OUT.parents[2]), file=sys.stderr)


def deterrence(axes: Sequence[Axes]) -> None:
    """What a wrong result brings against the size of the bond."""
    factors = [Fraction(n, 8) for n in (0, 1, 2, 4, 6, 8, 10, 12)]
    titles = [("sampled 1/16", sampled(16)), ("on_challenge, 1 in 20 watched", CHALLENGE)]
    for axis, (title, policy) in zip(axes, titles, strict=True):
        base = Scenario(workers=1_500, tasks=12_000, policy=policy, mix=ROGUES, seed=11, wealth=10_000_000)
        theory = [
            float(cheating_gain(policy, base.price, int(base.bond * f), base.assumed)) / base.price for f in factors
        ]
        axis.plot(factors, theory, color=COLORS[6], label="bound of the library")
        reports = [simulate(replace(base, bond_factor=factor)) for factor in factors]
        for color, kind in zip(COLORS, (Kind.COLLUDER, Kind.LAZY, Kind.SYBIL), strict=False):
            points = [report.kinds[kind].net_of_a_wrong_result / base.price for report in reports]
            axis.plot(factors, points, "o", markersize=4, color=color, label=kind.value)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set_ylim(-3, 1.3)
        axis.set(title=title, xlabel="bond / bond the library computes", ylabel="gain of a wrong result / price")
    axes[0].legend(frameon=False, fontsize=8)


def wealth(axes: Sequence[Axes]) -> None:
    """Mean gain of a worker of each kind over a day."""
    for axis, (title, policy) in zip(axes, [POLICIES[2], POLICIES[3]], strict=True):
        report = simulate(Scenario(workers=1_000, tasks=40_000, policy=policy, seed=5))
        hours = [24 * i / 48 for i in range(49)]
        for color, kind in zip(COLORS, Kind, strict=True):
            gains = [value / 1000 for value in report.wealth[kind][:49]]
            axis.plot(hours[: len(gains)], gains, color=color, label=kind.value)
        axis.set_yscale("symlog", linthresh=10)
        axis.axhline(0, color="black", linewidth=0.8)
        axis.set(title=title, xlabel="hours", ylabel="mean gain of a worker / price")
    axes[0].legend(frameon=False, fontsize=7, ncols=2)


def costs(rows: list[tuple[str, Report]]) -> Callable[[Sequence[Axes]], None]:
    """Checking, latency and wrong results of each policy."""
    names = [name for name, _ in rows]

    def draw(axes: Sequence[Axes]) -> None:
        places = range(len(rows))
        axes[0].bar(places, [report.overhead for _, report in rows], color=COLORS[0])
        axes[0].set(title="checking", ylabel="work of checks / useful work")
        axes[1].bar(places, [report.latency(0.95) for _, report in rows], color=COLORS[5], label="95 %")
        axes[1].bar(places, [report.latency(0.5) for _, report in rows], color=COLORS[0], label="median")
        axes[1].set(title="latency", ylabel="seconds to payment", yscale="log")
        axes[1].legend(frameon=False, fontsize=8)
        axes[2].bar(places, [1e4 * report.wrong_accepted / report.finished for _, report in rows], color=COLORS[1])
        axes[2].set(title="wrong results paid, 15 % cheaters", ylabel="of 10,000 tasks")
        for axis in axes:
            axis.set_xticks(list(places), names, rotation=20, ha="right")

    return draw


def churn(axes: Sequence[Axes]) -> None:
    """Wasted work and latency against the length of a task and how many workers vanish."""
    times = [10, 30, 60, 120, 300, 600]
    for color, leave in zip(COLORS, (0.0, 1.0, 5.0), strict=False):
        reports = [
            simulate(Scenario(workers=1_500, tasks=6_000, mix={}, seed=2, work_time=t * SECOND, leave_per_day=leave))
            for t in times
        ]
        axes[0].plot(
            times, [100 * report.waste for report in reports], "o-", color=color, label=f"{leave:g} a day", markersize=3
        )
        tails = [report.latency(0.99) / t for report, t in zip(reports, times, strict=True)]
        axes[1].plot(times, tails, "o-", color=color, markersize=3)
    axes[0].set(title="wasted work", xlabel="seconds of a task", ylabel="% of useful work", xscale="log")
    axes[1].set(title="latency, 99 %", xlabel="seconds of a task", ylabel="of the task's time", xscale="log")
    axes[0].legend(title="workers that vanish", frameon=False, fontsize=8)


def table(rows: list[tuple[str, Report]]) -> str:
    """The tables of the guide, in Markdown."""
    lines = [
        "| policy | bond / price | work of checks | latency 50, 95, 99 % (s) | wasted work | wrong paid | conserved |"
    ]
    lines.append("|---|---|---|---|---|---|---|")
    for name, report in rows:
        latency = ", ".join(f"{report.latency(share):.0f}" for share in (0.5, 0.95, 0.99))
        lines.append(
            f"| `{name}` | {report.bond / 1000:.1f} | {100 * report.overhead:.0f} % | {latency} |"
            f" {100 * report.waste:.2f} % | {report.wrong_accepted} of {report.finished} |"
            f" {'yes' if report.conserved else 'no'} |"
        )
    lines += ["", "| gain of one wrong result / price | " + " | ".join(f"`{name}`" for name, _ in rows) + " |"]
    lines.append("|---|" + "---|" * len(rows))
    for kind in Kind:
        cells = []
        for _, report in rows:
            fortune = report.kinds[kind]
            cells.append(
                f"{fortune.net_of_a_wrong_result / 1000:.2f} ({fortune.wrong})" if fortune.wrong else "none sent"
            )
        lines.append(f"| {kind.value} | " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def runs(name: str, workers: int, tasks: int, policies: list[tuple[str, Policy]]) -> list[tuple[str, Report]]:
    """Run each policy at one size and write its tables."""
    rows = []
    for title, policy in policies:
        began = time.perf_counter()
        rows.append((title, simulate(Scenario(workers=workers, tasks=tasks, policy=policy, seed=1))))
        print(f"{title}, {workers} workers: {time.perf_counter() - began:.1f} s", file=sys.stderr)
    heading = f"{workers:,} workers, {tasks:,} tasks in a day, 15 % of the workers cheat.\n\n"
    (OUT / f"{name}.md").write_text(heading + table(rows), encoding="utf-8")
    return rows


def main(argv: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--workers", type=int, default=100_000)
    parser.add_argument("--tasks", type=int, default=1_000_000)
    options = parser.parse_args(argv)
    OUT.mkdir(parents=True, exist_ok=True)
    rows = runs("results", 2_000, 100_000, POLICIES)
    runs("scale", options.workers, options.tasks, POLICIES[2:])
    figure("costs", costs(rows), 3)
    figure("deterrence", deterrence, 2)
    figure("wealth", wealth, 2)
    figure("churn", churn, 2)
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
