# SPDX-License-Identifier: Apache-2.0
"""Arithmetic of the succinct suite: Goldilocks, its quadratic extension, transforms, multilinear tables.

- :mod:`goldilocks`, :mod:`extension`: arrays of base and extension elements in numpy;
- :mod:`scalar`: one extension element, ``Ext``, for verifiers;
- :mod:`multilinear`: tables on the cube, and **the variable order of the whole project**;
- :mod:`ntt`: transforms and Reed-Solomon codes, and the order of a codeword's positions;
- :mod:`encoding`: canonical bytes;
- :mod:`backend`: the kernels' interface, with :mod:`portable` (numpy) and :mod:`native` (C).
"""

from vcompute.field.backend import Backend, default_backend, implementations
from vcompute.field.extension import ExtWords
from vcompute.field.goldilocks import P, Words
from vcompute.field.scalar import ONE, ZERO, Ext, from_array, to_array

__all__ = [
    "ONE",
    "ZERO",
    "Backend",
    "Ext",
    "ExtWords",
    "P",
    "Words",
    "default_backend",
    "from_array",
    "implementations",
    "to_array",
]
