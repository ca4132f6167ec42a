# SPDX-License-Identifier: Apache-2.0
"""Rate limits with ``retry_after``, and the back-off of those who meet them. Integers and milliseconds throughout."""

from collections import OrderedDict
from typing import Final

MAX_PEERS: Final = 100_000
MILLI: Final = 1_000


class RateLimit:
    """A token bucket for each peer, in bounded memory: the peer heard of longest ago is forgotten first."""

    def __init__(self, burst: int, per_second: int, peers: int = MAX_PEERS) -> None:
        """Admit ``burst`` messages at once and ``per_second`` in the long run from each of at most ``peers`` peers."""
        self._burst = burst * MILLI
        self._rate = per_second
        self._peers = peers
        self._buckets: OrderedDict[bytes, tuple[int, int]] = OrderedDict()

    def admit(self, peer: bytes, now: int) -> int | None:
        """None where a message is admitted; otherwise the milliseconds after which one will be."""
        tokens, since = self._buckets.pop(peer, (self._burst, now))
        tokens = min(self._burst, tokens + max(now - since, 0) * self._rate)
        short = MILLI - tokens
        if short <= 0:
            tokens -= MILLI
        self._buckets[peer] = (tokens, max(now, since))
        while len(self._buckets) > self._peers:
            self._buckets.popitem(last=False)
        return None if short <= 0 else -(-short // self._rate)


def back_off(tries: int, retry_after: int | None, jitter: int, *, first: int = 1_000, last: int = 300_000) -> int:
    """How long to wait before try number ``tries`` + 1, in milliseconds.

    Doubles up to ``last``, plus a share ``jitter``/65536 of itself so that many peers do not come back at once, and is
    never less than what the peer asked for.

    Args:
        tries: tries that failed, from 0.
        retry_after: what the peer said, if anything.
        jitter: 16 random bits.
    """
    wait = min(first << min(tries, 30), last)
    wait += wait * (jitter & 0xFFFF) >> 16
    return max(wait, retry_after or 0)
