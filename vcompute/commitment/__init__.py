# SPDX-License-Identifier: Apache-2.0
"""A hash-based commitment to tables of field elements that opens weighted sums (the WHIR family, unique decoding).

- :mod:`parameters`: parameter sets, shapes, the schedule of an opening and its soundness terms;
- :mod:`merkle`: trees and openings of many rows;
- :mod:`weights`: claims and the weights both sides know;
- :mod:`prove` and :mod:`verify`, side by side.

The spec chapter is ``spec/chapters/succinct-commitment.md``.
"""

from vcompute.commitment.parameters import STANDARD, TINY, CommitmentParameters, Schedule, TableShape, schedule
from vcompute.commitment.weights import Claim, EqWeight, Part, TensorWeight, Weight, claim

__all__ = [
    "STANDARD",
    "TINY",
    "Claim",
    "CommitmentParameters",
    "EqWeight",
    "Part",
    "Schedule",
    "TableShape",
    "TensorWeight",
    "Weight",
    "claim",
    "schedule",
]
