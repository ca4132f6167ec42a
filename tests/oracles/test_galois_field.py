# SPDX-License-Identifier: Apache-2.0
"""galois as an independent oracle for the field and its extension."""

import galois
import numpy as np
import pytest

from vcompute.field import Ext, P, from_array, implementations, to_array

F = galois.GF(P, primitive_element=7, verify=False)
K = galois.GF(P, 2, irreducible_poly=galois.Poly([1, 0, -7 % P], field=F), primitive_element=[1, 0], verify=False)
RNG = np.random.default_rng(1)


def to_galois(a: Ext) -> int:
    return a.c1 * P + a.c0


@pytest.mark.parametrize("backend", implementations(), ids=lambda b: b.name)
def test_base_field(backend) -> None:  # type: ignore[no-untyped-def]
    a = RNG.integers(1, P, 50, dtype=np.uint64)
    b = RNG.integers(1, P, 50, dtype=np.uint64)
    x, y = F([int(v) for v in a]), F([int(v) for v in b])
    assert backend.mul(a, b).tolist() == [int(v) for v in x * y]
    assert backend.add(a, b).tolist() == [int(v) for v in x + y]
    assert backend.sub(a, b).tolist() == [int(v) for v in x - y]
    assert backend.inverse(a).tolist() == [int(v) for v in F(1) / x]


@pytest.mark.parametrize("backend", implementations(), ids=lambda b: b.name)
def test_extension(backend) -> None:  # type: ignore[no-untyped-def]
    a, b = (from_array(RNG.integers(0, P, (20, 2), dtype=np.uint64)) for _ in range(2))
    x, y = (K([to_galois(v) for v in values]) for values in (a, b))
    product = from_array(backend.ext_mul(to_array(a), to_array(b)))
    assert [to_galois(v) for v in product] == [int(v) for v in x * y]
    inverse = from_array(backend.ext_inverse(to_array(a)))
    assert [to_galois(v) for v in inverse] == [int(v) for v in K(1) / x]
