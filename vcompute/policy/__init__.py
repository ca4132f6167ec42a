# SPDX-License-Identifier: Apache-2.0
"""Policies: what a verdict may rest on, what a worker takes, when a device works."""

from vcompute.policy.terms import WorkerTerms
from vcompute.policy.verification import admitted_bases, basis_of, check_terms, checked_bases

__all__ = ["WorkerTerms", "admitted_bases", "basis_of", "check_terms", "checked_bases"]
