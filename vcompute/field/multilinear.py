# SPDX-License-Identifier: Apache-2.0
"""Multilinear polynomials as tables of their values on the cube {0,1}^n.

**Variable order, for the whole project**: variable 0 is the most significant bit of a table's index, so a table
reshaped to (2, 2, ..., 2) has variable k on axis k, and a row-major tensor with power-of-two axes has the bits of its
first axis first. Sumchecks and folds bind variable 0 first: the table's two halves. A point is a sequence of n
coordinates in the same order. The scalar twin is :mod:`vcompute.field.scalar`.
"""

from collections.abc import Sequence

import numpy as np

from vcompute.field import extension as ext
from vcompute.field import goldilocks as base
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import Words
from vcompute.field.scalar import ONE, Ext, to_array


def eq_tensor(point: Sequence[Ext], scale: Ext = ONE) -> ExtWords:
    """scale * eq(point, b) for every corner b: shape (2^n, 2)."""
    table = to_array([scale])
    for r in point:
        upper = ext.mul(table, to_array([r]))
        # Index bits grow at the low end, so that the first coordinate ends up most significant.
        table = np.stack([base.sub(table, upper), upper], axis=1).reshape(-1, 2)
    return table


def fold_base(table: Words, r: Ext) -> ExtWords:
    """Bind variable 0 of a base table (2^n,) to r: shape (2^(n-1), 2)."""
    low, high = np.split(table, 2)
    step = ext.mul_base(to_array([r]), base.sub(high, low))
    step[:, 0] = base.add(step[:, 0], low)
    return step


def fold_ext(table: ExtWords, r: Ext) -> ExtWords:
    """Bind variable 0 of an extension table (2^n, 2) to r: shape (2^(n-1), 2)."""
    low, high = np.split(table, 2)
    return base.add(low, ext.mul(base.sub(high, low), to_array([r])))


def fold_last_ext(table: ExtWords, r: Ext) -> ExtWords:
    """Bind the last variable (the least significant bit) of an extension table (2^n, 2) to r."""
    low, high = table[0::2], table[1::2]
    return base.add(low, ext.mul(base.sub(high, low), to_array([r])))
