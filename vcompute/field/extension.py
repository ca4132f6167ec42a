# SPDX-License-Identifier: Apache-2.0
"""The quadratic extension F_p[x]/(x^2 - 7) on numpy arrays: a trailing axis of two words, a = a0 + a1 * x.

7 generates the multiplicative group of F_p, so it is no square and x^2 - 7 is irreducible. Addition and subtraction
are those of :mod:`vcompute.field.goldilocks`, word by word. This is where challenges live: |F| is about 2^128.
"""

from typing import Final, TypeAlias

import numpy as np

from vcompute.field import goldilocks as base
from vcompute.field.goldilocks import Words

ExtWords: TypeAlias = Words
"""Canonical elements of the extension: shape (..., 2)."""

NON_RESIDUE: Final = 7
"""x^2 in the extension."""

_SEVEN: Final = base.element(NON_RESIDUE)


def lift(a: Words) -> ExtWords:
    """Base elements as extension elements."""
    return np.stack([a, np.zeros_like(a)], axis=-1)


def mul(a: ExtWords, b: ExtWords) -> ExtWords:
    """a * b = (a0*b0 + 7*a1*b1) + (a0*b1 + a1*b0) x, with one product saved as Karatsuba does."""
    a0, a1, b0, b1 = a[..., 0], a[..., 1], b[..., 0], b[..., 1]
    low, high = base.mul(a0, b0), base.mul(a1, b1)
    cross = base.mul(base.add(a0, a1), base.add(b0, b1))
    return np.stack(
        [base.add(low, base.mul(high, _SEVEN)), base.sub(cross, base.add(low, high))],
        axis=-1,
    )


def mul_base(a: ExtWords, b: Words) -> ExtWords:
    """An extension array (..., 2) times a base array (...)."""
    return base.mul(a, np.asarray(b)[..., np.newaxis])


def inverse(a: ExtWords) -> ExtWords:
    """1/a element by element, 0 for 0: the conjugate over the norm a0^2 - 7*a1^2, which is in F_p."""
    a0, a1 = a[..., 0], a[..., 1]
    norm = base.sub(base.mul(a0, a0), base.mul(_SEVEN, base.mul(a1, a1)))
    conjugate = np.stack([a0, base.neg(a1)], axis=-1)
    return mul_base(conjugate, base.inverse(norm))


def dot(a: ExtWords, b: ExtWords) -> ExtWords:
    """The sum over the first axis of a * b."""
    return base.total(mul(a, b), axis=0)


def dot_base(a: ExtWords, b: Words) -> ExtWords:
    """The sum over the first axis of an extension vector times a base vector."""
    return base.total(mul_base(a, b), axis=0)
