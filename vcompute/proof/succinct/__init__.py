# SPDX-License-Identifier: Apache-2.0
"""``succinct``: a proof of exact int8 inference that is checked without running the model.

- :mod:`requant`: requantisation as an affine floor, its constants;
- :mod:`stack`: boxes of different sizes in one cube, folded without their padding's cost to the statement;
- :mod:`sumcheck`, :mod:`lookup`: the two interactive proofs, prove and verify side by side;
- :mod:`layout`: columns in one committed table;
- :mod:`circuit`: from a graph to columns, lookups and linear boxes;
- :mod:`claims`: what the lookups' end point says of values, weights and columns: the same code for both sides;
- :mod:`prove`, :mod:`verify`: the protocol.
"""
