# SPDX-License-Identifier: Apache-2.0
"""Where buffers stand in the arena: those that are never alive together may share bytes."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

ALIGNMENT: Final = 64
OVERREAD: Final = 64
"""Bytes that kernels may read past a buffer (``VC_OVERREAD``)."""


@dataclass(frozen=True, slots=True)
class Region:
    """Bytes that are needed from step ``first`` to step ``last``, both included."""

    size: int
    first: int
    last: int


def aligned(size: int) -> int:
    """``size`` rounded up to the alignment."""
    return -(-size // ALIGNMENT) * ALIGNMENT


def place(regions: Sequence[Region]) -> tuple[list[int], int]:
    """An offset for each region, and the size of the arena.

    Greedy: the largest first, each at the lowest offset where it meets no region that is alive with it.
    """
    offsets = [0] * len(regions)
    placed: list[int] = []
    for index in sorted(range(len(regions)), key=lambda i: -regions[i].size):
        region = regions[index]
        offset = 0
        for other in sorted(placed, key=lambda i: offsets[i]):
            rival = regions[other]
            if rival.first > region.last or region.first > rival.last:
                continue
            if offset + region.size <= offsets[other]:
                break
            offset = max(offset, aligned(offsets[other] + rival.size))
        offsets[index] = offset
        placed.append(index)
    ends = (offset + region.size for offset, region in zip(offsets, regions, strict=True))
    return offsets, aligned(max(ends, default=0) + OVERREAD)
