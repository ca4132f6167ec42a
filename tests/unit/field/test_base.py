# SPDX-License-Identifier: Apache-2.0
"""The numpy twin's helpers that are no kernels."""

import numpy as np
import pytest

from vcompute.errors import Rejected
from vcompute.field import Ext, P, scalar, to_array
from vcompute.field import extension as ext
from vcompute.field import goldilocks as gl
from vcompute.field.encoding import base_from_bytes, ext_from_bytes, to_bytes
from vcompute.field.multilinear import fold_last_ext
from vcompute.registry import ErrorCode


def test_signed_and_unsigned_integers_become_elements() -> None:
    assert gl.elements(np.array([-1, 0, 5, -(2**63)])).tolist() == [P - 1, 0, 5, P - 2**63]
    assert gl.elements(np.array([P, 2**64 - 1], dtype=np.uint64)).tolist() == [0, 2**32 - 2]
    assert gl.elements(np.array([-128, 127], dtype=np.int8)).tolist() == [P - 128, 127]
    assert gl.elements(np.array([-(2**70)], dtype=object)).tolist() == [-(2**70) % P]
    assert int(gl.element(-3)) == P - 3


def test_generator_and_roots() -> None:
    primes = (2, 3, 5, 17, 257, 65537)  # p - 1 = 2^32 * 3 * 5 * 17 * 257 * 65537
    assert P - 1 == 2**32 * 3 * 5 * 17 * 257 * 65537
    assert all(pow(gl.GENERATOR, (P - 1) // q, P) != 1 for q in primes)
    assert pow(gl.root_of_unity(32), 2**31, P) == P - 1
    assert gl.root_of_unity(0) == 1
    with pytest.raises(ValueError, match="2\\^33"):
        gl.root_of_unity(33)


def test_powers_and_totals() -> None:
    assert gl.powers(3, 11).tolist() == [pow(3, i, P) for i in range(11)]
    assert gl.powers(3, 0).tolist() == []
    many = np.full(1000, P - 1, dtype=np.uint64)
    assert int(gl.total(many)) == -1000 % P
    assert gl.total(many.reshape(10, 100), axis=0).tolist() == [-10 % P] * 100


def test_encoding_round_trip_and_bounds() -> None:
    """VC-FLD-001."""
    values = np.array([[0, P - 1], [1, 2**63]], dtype=np.uint64)
    data = to_bytes(values)
    assert data[8:16] == (P - 1).to_bytes(8, "little")
    assert ext_from_bytes(data, 2).tolist() == values.tolist()
    with pytest.raises(Rejected) as caught:
        base_from_bytes(data[:-1], 4)
    assert caught.value.code is ErrorCode.PROOF_MALFORMED
    with pytest.raises(Rejected) as caught:
        ext_from_bytes(data[:8] + P.to_bytes(8, "little"), 1)
    assert caught.value.code is ErrorCode.NONCANONICAL_ELEMENT


def test_scalar_elements_are_values() -> None:
    a = Ext(3, 4)
    assert hash(a) == hash(Ext(3 + P, 4 - P))
    assert (1 + a, 2 * a, 1 - a) == (Ext(4, 4), Ext(6, 8), Ext(-2, -4))
    assert a**0 == 1
    assert a**-2 * a * a == 1
    assert a != "a"
    assert repr(a) == "Ext(3, 4)"
    with pytest.raises(AttributeError, match="immutable"):
        a.c0 = 1
    with pytest.raises(ZeroDivisionError):
        a / 0


def test_scalar_multilinear() -> None:
    point = [Ext(5), Ext(0, 1), Ext(7, 9)]
    table = [Ext(i * i, i) for i in range(8)]
    by_definition = sum((scalar.eq_index(b, point) * v for b, v in enumerate(table)), Ext(0))
    assert scalar.evaluate(table, point) == by_definition
    assert scalar.eq([Ext(1), Ext(0), Ext(1)], point) == scalar.eq_index(0b101, point)
    folded = fold_last_ext(to_array(table), point[-1])
    assert scalar.evaluate(scalar.from_array(folded), point[:-1]) == by_definition
    with pytest.raises(ValueError, match="cube"):
        scalar.evaluate(table, point[:2])


def test_interpolation() -> None:
    def cubic(x: Ext) -> Ext:
        return 3 * x**3 - x + 11

    assert scalar.interpolate([cubic(Ext(i)) for i in range(4)], Ext(123, 456)) == cubic(Ext(123, 456))


def test_lifted_products_are_base_products() -> None:
    a = np.array([5, P - 1], dtype=np.uint64)
    assert ext.mul(ext.lift(a), ext.lift(a)).tolist() == ext.lift(gl.mul(a, a)).tolist()
