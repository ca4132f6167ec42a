# SPDX-License-Identifier: Apache-2.0
"""Many workers, churn, device traces and cheaters on a virtual clock: what the policies cost, and that cheating loses.

A seeded discrete-event simulation (extra ``simulation``) around the library's own rules: the escrow moves by the
ledger's table, bonds are those :func:`vcompute.policy.deposit.deposit_for` computes, draws, quotas, rates, bans and
challenges are the code of :mod:`vcompute.policy`, and devices work when :class:`vcompute.policy.device.Governor` lets
them. Signatures and inference are left out: a result is right or wrong.
"""

from vcompute.simulation.market import Market, simulate
from vcompute.simulation.report import KindReport, Report
from vcompute.simulation.scenario import Kind, Scenario

__all__ = ["Kind", "KindReport", "Market", "Report", "Scenario", "simulate"]
