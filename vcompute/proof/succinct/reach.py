# SPDX-License-Identifier: Apache-2.0
"""The largest instance that a parameter set admits, and how sure it is there, term by term."""

from dataclasses import dataclass

from vcompute.commitment import CommitmentParameters, schedule
from vcompute.commitment.parameters import FOLD, MAX_VARIABLES
from vcompute.errors import Rejected
from vcompute.proof.succinct.setting import Sizes
from vcompute.soundness import Report

CLAIMS = 6
POINTS, REVEALED = 64, 4


@dataclass(frozen=True, slots=True)
class Reach:
    """The largest instance of a set: a full witness table of 2^variables values, all of them looked up, beside a
    weights' table of the same size, with every kind of node.
    """

    variables: int
    report: Report
    limit: str
    """What refuses the next larger one."""


def report_of(parameters: CommitmentParameters, variables: int) -> Report:
    """The soundness of such an instance.

    Raises:
        Rejected: security_unreachable, opening_shape: the set does not admit it.
    """
    shape = parameters.shape(1 << variables)
    sizes = Sizes(1 << variables, variables, variables, variables, POINTS, REVEALED)
    report = Report((*sizes.terms(parameters), *schedule(parameters, [shape, shape], CLAIMS).terms()))
    report.require(parameters.security_bits)
    return report


def reach(parameters: CommitmentParameters) -> Reach:
    """The largest admitted instance; a set admits at least the smallest table."""
    variables, found, limit = FOLD, report_of(parameters, FOLD), ""
    while not limit:
        try:
            found = report_of(parameters, variables + 1)
        except Rejected as error:
            limit = error.code.name.lower()
        else:
            variables += 1
    if variables == MAX_VARIABLES:
        limit += f": more than 2^{MAX_VARIABLES} values"
    return Reach(variables, found, limit)
