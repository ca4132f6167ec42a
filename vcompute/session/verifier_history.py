# SPDX-License-Identifier: Apache-2.0
"""What a verifier's own checks say of workers: the less that is, the more it checks beyond what is drawn.

A draw is made at the offer's rate, the least that applies and the one that deposits are computed for. A verifier that
keeps a history checks more: of the results that a draw spares so many that in all a share of
:func:`~vcompute.policy.standing.sampling_rate` is checked, every result of a newcomer. Nobody can grind the choice: it
comes after the worker's commitment and after every nonce is revealed, from random bytes that nobody else knows. And
nobody can forge the history: it holds what this verifier checked itself.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from vcompute.messages import Offer, Sampled
from vcompute.messages.offer import RATE_ONE
from vcompute.policy.standing import sampling_rate
from vcompute.session.actions import Save
from vcompute.session.roster import Standing

HISTORY: Final = "history"
"""The kind under which a driver stores it."""


class History:
    """Checked results by worker; ``recall`` reads back what was stored of one, or gives None."""

    def __init__(self, recall: Callable[[bytes], Standing | None], nonce: Callable[[int], bytes]) -> None:
        self._recall = recall
        self._nonce = nonce

    def known(self, worker: bytes) -> Standing:
        """What was checked of a worker."""
        return self._recall(worker) or Standing(worker, 0, 0, 0, 0)

    def checked(self, worker: bytes, *, accepted: bool) -> Save:
        """One more result of a worker was checked."""
        known = self.known(worker)
        return Save(
            HISTORY,
            worker,
            replace(known, verified=known.verified + accepted, rejected=known.rejected + (not accepted)),
        )

    def looks_closer(self, worker: bytes, offer: Offer, policy: Sampled) -> bool:
        """Whether to check a result that its draw spared. Verdicts of a verifier set rest on one basis, the draw's."""
        if offer.verifier_set is not None:
            return False
        known = self.known(worker)
        more = sampling_rate(policy.rate, known.verified, known.rejected) - policy.rate
        return int.from_bytes(self._nonce(4), "big") * (RATE_ONE - policy.rate) < more << 32
