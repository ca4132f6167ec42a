# SPDX-License-Identifier: Apache-2.0
"""Lookup tables: rows (table id, u, v, s) in closed form, so that the verifier evaluates a table in O(log rows).

A row of index i has u = first + i; v and s are affine in i, or in i >> 1, on a few runs of indices. A table of a
function without a formula lists its v.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from vcompute import _native
from vcompute.field import ONE, ZERO, Backend, Ext, ExtWords, to_array
from vcompute.proof.succinct.stack import bits_of

Int64 = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Run:
    """The rows start <= i < stop have v = base + (i >> shift)  (flat: v = base) and the given s."""

    start: int
    stop: int
    base: int
    flat: bool
    shift: int = 0
    s: int = 0


@dataclass(frozen=True, slots=True)
class Table:
    """A table."""

    id: int
    rows: int
    first: int
    runs: tuple[Run, ...]

    def words(self) -> tuple[Int64, Int64, Int64]:
        """u, v and s of every row."""
        index = np.arange(self.rows, dtype=np.int64)
        v, s = np.zeros_like(index), np.zeros_like(index)
        for run in self.runs:
            part = slice(run.start, run.stop)
            v[part] = run.base + (0 if run.flat else index[part] >> run.shift)
            s[part] = run.s
        return self.first + index, v, s

    @property
    def least(self) -> int:
        """The least v."""
        runs = (run for run in self.runs if run.start < run.stop)
        return min((run.base + (0 if run.flat else run.start >> run.shift) for run in runs), default=0)

    def evaluate(self, point: Sequence[Ext], backend: Backend) -> tuple[Ext, Ext, Ext, Ext]:
        """The multilinear extensions of 1 (on the rows), u, v and s at a point, most significant variable first."""
        known: dict[tuple[int, int], tuple[Ext, Ext]] = {}
        words = to_array(point) if backend.name == "native" else None

        def below(bound: int, shift: int) -> tuple[Ext, Ext]:
            """Runs share their ends: each is summed up once."""
            if (bound, shift) not in known:
                known[bound, shift] = (
                    prefix_sums(bound, point, shift) if words is None else native_prefix_sums(bound, words, shift)
                )
            return known[bound, shift]

        mass, index = below(self.rows, 0)
        u = index + mass * self.first
        v, s = ZERO, ZERO
        for run in self.runs:
            (upper, upper_moment), (lower, lower_moment) = below(run.stop, run.shift), below(run.start, run.shift)
            mass_run = upper - lower
            v = v + mass_run * run.base + (ZERO if run.flat else upper_moment - lower_moment)
            s = s + mass_run * run.s
        return mass, u, v, s


def prefix_sums(bound: int, point: Sequence[Ext], shift: int) -> tuple[Ext, Ext]:
    """The sums over i < bound of eq(point, i) and of eq(point, i) * (i >> shift)."""
    bits = len(point)
    if bound >= 1 << bits:
        bound_bits, equal, below, moment, held = 0, ZERO, ONE, ZERO, 0
    else:
        bound_bits, equal, below, moment, held = bound, ONE, ZERO, ZERO, 0
    # Most significant bit first: `equal` is the mass that follows the bound so far, of value `held`; `below` is the
    # mass already below it, of first moment `moment`.
    for place in range(bits - 1, -1, -1):
        r = point[bits - 1 - place]
        weight = 1 << (place - shift) if place >= shift else 0
        moment = moment + below * r * weight
        if bound_bits >> place & 1:
            moment = moment + equal * (ONE - r) * held
            below = below + equal * (ONE - r)
            equal, held = equal * r, held + weight
        else:
            equal = equal * (ONE - r)
    return below, moment


def native_prefix_sums(bound: int, point: ExtWords, shift: int) -> tuple[Ext, Ext]:
    """As :func:`prefix_sums`, of a point as an array."""
    ffi = _native.ffi
    sums = ffi.new("uint64_t[4]")
    _native.lib.vc_prefix_sums(sums, bound, ffi.from_buffer("uint64_t[]", point), len(point), shift)
    return Ext(sums[0], sums[1]), Ext(sums[2], sums[3])


def range_table(number: int, bits: int) -> Table:
    """u in [0, 2^bits), v = s = 0."""
    return Table(number, 1 << bits, 0, ())


def clamp_table(number: int, first: int, last: int, low: int, high: int) -> Table:
    """u in [first, last], v = clamp(u, low, high), s = 0."""
    rows = last - first + 1
    start, stop = min(max(low - first, 0), rows), min(max(high - first, 0), rows)
    runs = (Run(0, start, low, True), Run(start, stop, first, False), Run(stop, rows, high, True))
    return Table(number, rows, first, runs)


def signed_table(number: int, least: int, greatest: int, zero_point: int, low: int, high: int) -> Table:
    """h in [least, greatest] as u, s = [h <= 0], v = clamp(floor(h / 2) + zero_point, low, high)."""
    first = least - (least & 1)
    rows = greatest - first + 1
    marks = {0, rows}
    for mark in (2 * (low - zero_point), 2 * (high - zero_point), 1):
        marks.add(min(max(mark - first, 0), rows))
    ordered, runs = sorted(marks), []
    for start, stop in pairwise(ordered):
        h = first + start
        s, value = int(h <= 0), (h >> 1) + zero_point
        if value < low:
            runs.append(Run(start, stop, low, True, 1, s))
        elif value >= high:
            runs.append(Run(start, stop, high, True, 1, s))
        else:
            runs.append(Run(start, stop, (first >> 1) + zero_point, False, 1, s))
    return Table(number, rows, first, tuple(runs))


def listed_table(number: int, first: int, values: Sequence[int]) -> Table:
    """u from ``first`` on, v as listed."""
    runs, start = [], 0
    for stop in range(1, len(values) + 1):
        if stop == len(values) or values[stop] != values[start]:
            runs.append(Run(start, stop, int(values[start]), True))
            start = stop
    return Table(number, len(values), first, tuple(runs))


def table_bits(table: Table) -> int:
    """Variables of a table's column of multiplicities."""
    return bits_of(table.rows)
