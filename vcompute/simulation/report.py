# SPDX-License-Identifier: Apache-2.0
"""What a run measured."""

from dataclasses import dataclass, field

from vcompute.simulation.scenario import Kind


@dataclass(slots=True)
class KindReport:
    """The fortunes of one kind of worker."""

    workers: int = 0
    results: int = 0
    """Results committed."""
    wrong: int = 0
    """Wrong ones among them."""
    paid_wrong: int = 0
    """Wrong ones that were paid."""
    convicted: int = 0
    """Wrong ones that cost the bond."""
    honest_slashed: int = 0
    """Right results that cost the bond; zero unless something is broken."""
    earned: int = 0
    """Prices received."""
    lost: int = 0
    """Bonds lost."""
    earned_wrong: int = 0
    """Prices received for wrong results."""
    stakes: int = 0
    """Stakes of frivolous challenges received."""

    @property
    def net(self) -> int:
        """What the kind gained in all, work not counted as a cost."""
        return self.earned + self.stakes - self.lost

    @property
    def net_of_a_wrong_result(self) -> float:
        """What one wrong result brought on average."""
        return (self.earned_wrong - self.lost) / self.wrong if self.wrong else 0.0


@dataclass(slots=True)
class Report:
    """The outcome of a run."""

    kinds: dict[Kind, KindReport] = field(default_factory=lambda: {kind: KindReport() for kind in Kind})
    finished: int = 0
    """Tasks paid."""
    unfinished: int = 0
    """Tasks still open at the end, refunded."""
    attempts: int = 0
    """Leases."""
    yielded: int = 0
    """Leases given back without fault."""
    lapsed: int = 0
    """Leases of workers that vanished."""
    checks: int = 0
    """Results checked."""
    challenges: int = 0
    """Results challenged."""
    silent: int = 0
    """Draws in which a party was silent."""
    useful_work: float = 0.0
    """Work of right results that were paid."""
    wasted_work: float = 0.0
    """Work that was begun and not paid: yields, vanished workers."""
    check_work: float = 0.0
    """Work of verifiers, watchers and proofs."""
    wrong_accepted: int = 0
    """Tasks paid with a wrong result."""
    conserved: bool = False
    """Whether no amount appeared or vanished."""
    bond: int = 0
    """Bond of each lease."""
    latencies: list[int] = field(default_factory=list)
    """Milliseconds from a task's arrival to its payment."""
    wealth: dict[Kind, list[float]] = field(default_factory=dict)
    """Mean gain of a worker of each kind at 48 times over the span."""

    def latency(self, share: float) -> float:
        """A quantile of the latencies, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[min(len(ordered) - 1, int(share * len(ordered)))] / 1000 if ordered else 0.0

    @property
    def overhead(self) -> float:
        """Work of checking for each unit of useful work."""
        return self.check_work / self.useful_work if self.useful_work else 0.0

    @property
    def waste(self) -> float:
        """Work wasted for each unit of useful work."""
        return self.wasted_work / self.useful_work if self.useful_work else 0.0
