# SPDX-License-Identifier: Apache-2.0
"""What a worker's history earns it: tasks in flight and a lower sampling rate, never a free pass.

All rules are pure functions of counts. History is a privilege and not a safeguard: deposits are computed for the floor
of the rate, so that whoever builds a history in order to betray it loses as much as anyone.
"""

from typing import Final

from vcompute.messages.offer import RATE_ONE

FIRST_QUOTA: Final = 1
"""Tasks in flight of a worker without history."""
RESULTS_PER_PLACE: Final = 2
"""Verified results that earn one more task in flight."""
HALF_LIFE: Final = 16
"""Verified results after which half as many are sampled."""
FIRST_BAN: Final = 600_000
"""Milliseconds without work after a first refused result."""
_MAX_DOUBLINGS: Final = 20


def merit(verified: int, rejected: int) -> int:
    """The verified results that count: each refused result halves them."""
    return verified >> min(rejected, 64)


def quota(verified: int, rejected: int, capacity: int) -> int:
    """Tasks a worker may have in flight: grows by one for every two verified results, up to its capacity."""
    return min(capacity, FIRST_QUOTA + merit(verified, rejected) // RESULTS_PER_PLACE)


def sampling_rate(floor: int, verified: int, rejected: int) -> int:
    """The rate, in 1/65536, at which a worker's results are checked: every one at first, then falling as
    1 / (1 + merit / 16) to the offer's floor, and never to zero."""
    falling = -(-RATE_ONE * HALF_LIFE // (HALF_LIFE + merit(verified, rejected)))
    return max(floor, falling, 1)


def ban_after(rejected: int) -> int:
    """Milliseconds without work after a worker's refused result number ``rejected``: doubling."""
    return FIRST_BAN << min(max(rejected, 1) - 1, _MAX_DOUBLINGS)
