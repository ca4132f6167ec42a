# SPDX-License-Identifier: Apache-2.0
"""What a worker takes: its own terms, checked against each offer."""

from collections.abc import Iterable
from dataclasses import dataclass

from vcompute.errors import ProtocolError
from vcompute.messages import Offer, Signed, SuiteChoice
from vcompute.registry import ErrorCode


@dataclass(frozen=True, slots=True)
class WorkerTerms:
    """A worker's terms. Fail closed: what is not admitted here is declined."""

    suites: tuple[SuiteChoice, ...]
    """Suites and parameter sets it can prove with."""
    price: int = 0
    """Least amount for a million work units."""
    bond: int = 2**62
    """Largest bond for a task."""
    work_units: int = 2**62
    """Largest task."""
    settlements: frozenset[bytes] | None = None
    """Settlements it trusts with its bond; None for the one its coordinator names."""
    verifiers: frozenset[bytes] | None = None
    """Verifiers whose verdicts it accepts; None for any, the requester among them."""

    independent: bool = False
    """Decline where the requester alone can withhold the verdict and no fallback besides it is named."""

    def check(self, offer: Signed[Offer], settlement: bytes) -> None:
        """Refuse an offer outside the terms; ``settlement`` is the one that the coordinator named.

        Raises:
            ProtocolError: ``no_common_suite``, ``price_too_low`` or ``terms_not_acceptable``.
        """
        body = offer.body
        if not any(choice in self.suites for choice in body.policy.suites):
            raise ProtocolError("no suite of the policy is available here", code=ErrorCode.NO_COMMON_SUITE)
        if body.price * 1_000_000 < self.price * body.work_units:
            raise ProtocolError(
                "the price is below this worker's", code=ErrorCode.PRICE_TOO_LOW, expected=self.price, got=body.price
            )
        if body.bond > self.bond or body.work_units > self.work_units:
            raise _unacceptable("the bond or the size of the task is over this worker's bound")
        if body.settlement not in (self.settlements or {settlement}):
            raise _unacceptable("the offer names a settlement that this worker does not trust")
        others = set(body.verifiers) - {offer.signer}
        withheld = len(others) < body.quorum and not set(body.fallback or ()) - {offer.signer}
        if self.independent and withheld:
            raise _unacceptable("the requester can withhold the verdict, and nobody judges in its place")
        if self.verifiers is not None and not self._trusted(body.verifiers, body.quorum):
            raise _unacceptable("the offer's verifiers are not trusted by this worker")

    def _trusted(self, verifiers: Iterable[bytes], quorum: int) -> bool:
        """Whether no quorum is possible without a trusted verifier."""
        strangers = sum(verifier not in (self.verifiers or frozenset()) for verifier in verifiers)
        return strangers < quorum


def _unacceptable(message: str) -> ProtocolError:
    return ProtocolError(message, code=ErrorCode.TERMS_NOT_ACCEPTABLE)
