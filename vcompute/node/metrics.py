# SPDX-License-Identifier: Apache-2.0
"""What a coordinator has done: totals that survive a restart, counts of now, as JSON and for Prometheus."""

from collections import Counter, OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Final

from vcompute.blobs import BlobCache
from vcompute.codec import Uint, field, fields_of
from vcompute.errors import VcomputeError
from vcompute.messages import BlobRef, Offer, Result, reopen
from vcompute.registry import ErrorCode
from vcompute.session.coordinator_table import TaskRecord, TaskState
from vcompute.task import decode_model

MAX_MODEL: Final = 1 << 26
"""Models of more bytes are not opened to count their multiply-accumulates."""
MAX_MODELS: Final = 256
"""Models whose count is kept."""
_COUNT: Final = Uint(63)
PREFIX: Final = "vcompute_"


@dataclass(frozen=True, slots=True)
class Totals:
    """Sums over all closed tasks. Every task is counted in the transaction that stores its end."""

    tasks_paid: int = field(0, _COUNT, "tasks paid")
    tasks_refunded: int = field(1, _COUNT, "tasks whose price went back")
    tasks_refused: int = field(2, _COUNT, "offers that the settlement refused")
    inferences: int = field(3, _COUNT, "samples of paid tasks")
    work_units: int = field(4, _COUNT, "work units of paid tasks")
    macs: int = field(5, _COUNT, "multiply-accumulates of paid tasks, from their models' graphs")
    inferences_uncounted: int = field(6, _COUNT, "samples of paid tasks whose multiply-accumulates are not known here")
    microjoules: int = field(7, _COUNT, "energy that workers reported for paid tasks; their own figure")
    inferences_with_energy: int = field(8, _COUNT, "samples of paid tasks for which energy was reported")
    amount_paid: int = field(9, _COUNT, "prices paid")
    results_refused: int = field(10, _COUNT, "results that verifiers refused")
    leases_moved: int = field(11, _COUNT, "leases and assignments that came to nothing")


NOTHING: Final = Totals(*(0 for _ in fields(Totals)))


class Meter:
    """Counts closed tasks."""

    def __init__(self, blobs: BlobCache, totals: Totals = NOTHING) -> None:
        self.totals = totals
        self._blobs = blobs
        self._macs: OrderedDict[bytes, int | None] = OrderedDict()

    def count(self, records: Iterable[TaskRecord]) -> Totals:
        """Add tasks that came to their end; the new totals."""
        for record in records:
            self.totals = self._with(self.totals, record)
        return self.totals

    def _with(self, totals: Totals, record: TaskRecord) -> Totals:
        totals = replace(
            totals,
            tasks_paid=totals.tasks_paid + (record.state is TaskState.PAID),
            tasks_refunded=totals.tasks_refunded + (record.state is TaskState.REFUNDED),
            tasks_refused=totals.tasks_refused + (record.state is TaskState.REFUSED),
            results_refused=totals.results_refused + record.rejected,
            leases_moved=totals.leases_moved + record.moved,
        )
        if record.state is not TaskState.PAID:
            return totals
        offer = reopen(record.offer).of(Offer).body
        energy = None if record.result is None else reopen(record.result).of(Result).body.energy
        macs = self._macs_of(offer.model)
        return replace(
            totals,
            inferences=totals.inferences + offer.batch,
            work_units=totals.work_units + offer.work_units,
            macs=totals.macs + (macs or 0) * offer.batch,
            inferences_uncounted=totals.inferences_uncounted + (offer.batch if macs is None else 0),
            microjoules=totals.microjoules + (energy or 0),
            inferences_with_energy=totals.inferences_with_energy + (offer.batch if energy is not None else 0),
            amount_paid=totals.amount_paid + offer.price,
        )

    def _macs_of(self, model: BlobRef) -> int | None:
        """Multiply-accumulates of one sample; None where the model is not here, too large or no model."""
        if model.digest not in self._macs:
            self._macs[model.digest] = self._read(model)
            while len(self._macs) > MAX_MODELS:
                self._macs.popitem(last=False)
        self._macs.move_to_end(model.digest)
        return self._macs[model.digest]

    def _read(self, model: BlobRef) -> int | None:
        data = self._blobs.get(model.digest) if model.size <= MAX_MODEL else None
        if data is None:
            return None
        try:
            return decode_model(data).work().macs
        except VcomputeError:
            return None


class Traffic:
    """Messages since the coordinator started."""

    def __init__(self) -> None:
        self.taken: Counter[str] = Counter()
        self.refused: Counter[ErrorCode] = Counter()


def prometheus(status: Mapping[str, Any], totals: Totals, traffic: Traffic) -> str:
    """The text format that Prometheus scrapes (version 0.0.4)."""
    lines: list[str] = []

    def metric(name: str, kind: str, text: str, samples: Mapping[str, float]) -> None:
        lines.extend((f"# HELP {PREFIX}{name} {text}.", f"# TYPE {PREFIX}{name} {kind}"))
        lines.extend(f"{PREFIX}{name}{labels} {value:.15g}" for labels, value in sorted(samples.items()))

    for spec in fields_of(Totals):
        value = getattr(totals, spec.name)
        if spec.name == "microjoules":
            metric("joules_reported_total", "counter", spec.doc.replace("energy", "joules"), {"": value / 1e6})
        else:
            metric(f"{spec.name}_total", "counter", spec.doc, {"": value})
    metric("parties", "gauge", "sessions by role", _labelled("role", status["parties"]))
    metric("workers_ready", "gauge", "workers whose advertisement stands", {"": status["workers"]})
    metric("tasks", "gauge", "tasks in memory by state", _labelled("state", status["tasks"]))
    metric("mail_bytes", "gauge", "bytes of messages that wait for their parties", {"": status["mail_bytes"]})
    metric("messages_total", "counter", "signed messages taken since the start", _labelled("type", traffic.taken))
    refused = {code.name.lower(): count for code, count in traffic.refused.items()}
    metric("refusals_total", "counter", "requests refused since the start", _labelled("code", refused))
    return "\n".join(lines) + "\n"


def _labelled(label: str, counts: Mapping[str, int]) -> dict[str, float]:
    """Samples with one label; its values are names of registries, which need no escaping."""
    return {f'{{{label}="{value}"}}': count for value, count in counts.items()}
