# SPDX-License-Identifier: Apache-2.0
"""Claims from a record's memory against the plain ones, form by form and weight by weight."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from tests.unit.proof.succinct.build import image_network, network
from vcompute.commitment.weights import ProductWeight, Weight
from vcompute.field import Backend, Ext, default_backend, to_array
from vcompute.proof.succinct.claims import Challenges, Load
from vcompute.proof.succinct.columns import ColumnWeight
from vcompute.proof.succinct.forms import Axis, Form
from vcompute.proof.succinct.layout import Layout
from vcompute.proof.succinct.program.claims import claims_at_leaves, claims_of_products
from vcompute.proof.succinct.setting import ROOT_ONLY, Setting, make_setting, prepare
from vcompute.proof.succinct.stored import StoredTerms, StoredWeight, column_weight
from vcompute.proof.succinct.weights import weight_claim
from vcompute.registry import ParameterSetId
from vcompute.task import Model

pytestmark = pytest.mark.skipif(default_backend().name != "native", reason="records are for the native core")


def point_of(count: int, seed: int) -> list[Ext]:
    rng = np.random.default_rng(seed)
    return [Ext(int(a), int(b)) for a, b in rng.integers(0, 1 << 62, (count, 2))]


def setting_of(model: Model) -> Setting:
    """One that keeps nothing for the proofs of other tests."""
    return replace(make_setting(prepare(model), 2, int(ParameterSetId.TINY), ROOT_ONLY), kept={})


def assert_same_weight(layout: Layout, stored: Weight, plain: Weight, backend: Backend) -> None:
    """As tables, at a point, and as products: of a column the same, in any order."""
    assert isinstance(stored, StoredWeight)
    assert isinstance(plain, ColumnWeight)
    variables = (layout.length - 1).bit_length()
    tables = np.zeros((2, 1 << variables, 2), np.uint64)
    (scale,), point = point_of(1, 5), point_of(variables, 6)
    stored.add_to(tables[0], scale, backend)
    plain.add_to(tables[1], scale, backend)
    assert np.array_equal(tables[0], tables[1])
    assert stored.extent == plain.extent
    assert stored.evaluate(point) == plain.evaluate(point)
    assert products_of(stored, scale) == products_of(plain, scale)


def products_of(weight: ProductWeight, scale: Ext) -> set[tuple[object, ...]]:
    """The blocks with what they are the sum of."""
    blocks, terms = weight.blocks(), weight.terms(scale)
    begins = np.cumsum((0, *blocks.terms))
    sums = []
    for begin, count in zip(begins.tolist(), blocks.terms, strict=False):
        sums.append(set[tuple[object, ...]]())
        for row in range(begin, begin + count):
            ends = zip(terms.starts[row].tolist(), terms.lengths[row].tolist(), strict=True)
            vectors = tuple(terms.memory[start : start + length].tobytes() for start, length in ends if length)
            sums[-1].add((terms.scales[row].tobytes(), vectors))
    return {(*block[:-1], frozenset(sums[block.sum])) for block in blocks.places}


def assert_same_form(setting: Setting, stored: Form, plain: Form, backend: Backend) -> None:
    assert stored.constant == plain.constant
    assert isinstance(stored.columns, StoredTerms)
    weights = [column_weight(setting.layout, form.columns, backend) for form in (stored, plain)]
    assert_same_weight(setting.layout, weights[0], weights[1], backend)
    for mine, other in zip(stored.values, plain.values, strict=True):
        assert (mine.value, mine.scale) == (other.value, other.scale)
        assert_same_vectors([mine.vectors], [other.vectors])


def assert_same_vectors(mine: Sequence[Axis], other: Sequence[Axis]) -> None:
    for axis, twin in zip(mine, other, strict=True):
        assert all(np.array_equal(a, b) for a, b in zip(axis, twin, strict=True))


def assert_same_load(mine: Load, other: Load) -> None:
    assert (mine.scale, mine.gap) == (other.scale, other.gap)
    assert_same_vectors(mine.axes, other.axes)


@pytest.mark.parametrize("model", [network(), image_network()], ids=["network", "images"])
def test_claims_from_memory_are_the_plain_ones(model: Model) -> None:
    """Of three proofs of a setting the first one records nothing; the third one meets what the second has kept."""
    setting, backend = setting_of(model), default_backend()
    weights = setting.weights
    assert weights is not None
    for seed in (1, 2):  # of the same lengths, nothing else is the same
        point, ends = point_of(setting.circuit.leaves.variables, seed), point_of(setting.circuit.products.variables, 3)
        challenges = Challenges(*point_of(4, seed))
        setting.kept.clear()
        plain = claims_at_leaves(setting, point, challenges, backend)
        product = claims_of_products(setting, plain.loads, ends, backend)
        for _ in range(2):
            leaf = claims_at_leaves(setting, point, challenges, backend)
            again = claims_of_products(setting, leaf.loads, ends, backend)
            for stored, known in (
                (leaf.numerator, plain.numerator), (leaf.denominator, plain.denominator), (again.right, product.right),
            ):  # fmt: skip
                assert_same_form(setting, stored, known, backend)
            for index, load in {**plain.loads, **plain.bilinear}.items():
                assert_same_load({**leaf.loads, **leaf.bilinear}[index], load)
            mine, other = (weight_claim(weights, claims.left, backend) for claims in (again, product))
            assert_same_weight(weights.layout, mine, other, backend)


def test_terms_from_memory_are_a_sequence() -> None:
    """Each one its column's, its vectors as long as its axes, its scale a value of the memory."""
    setting, backend = setting_of(image_network()), default_backend()
    point, challenges = point_of(setting.circuit.leaves.variables, 8), Challenges(*point_of(4, 9))
    for _ in range(2):
        terms = claims_at_leaves(setting, point, challenges, backend).denominator.columns
    assert isinstance(terms, StoredTerms)
    assert [term.column for term in terms[:3]] == [terms[place].column for place in range(3)]
    for place, term in enumerate(terms):
        assert tuple(map(len, term.vectors)) == setting.circuit.columns[term.column]
        assert np.array_equal(terms.memory[terms.places.scales[place]], to_array([term.scale])[0])
    with pytest.raises(IndexError):
        terms[len(terms)]
