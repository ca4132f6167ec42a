# SPDX-License-Identifier: Apache-2.0
"""The real models import under both semantics, with the bounds and multipliers that the tables list."""

import numpy as np
import pytest

from tests.support import models
from vcompute.importers import Semantics
from vcompute.task import Model, Node, Rounding, decode_model, encode_model
from vcompute.task.bounds import accumulator_bounds, value_ranges
from vcompute.task.operators import Add, Conv2D, DepthwiseConv2D, FullyConnected

pytestmark = pytest.mark.models

LINEAR = (Conv2D, DepthwiseConv2D, FullyConnected)


def nodes_of(model: Model, *kinds: type) -> list[Node]:
    return [node for node in model.graph.nodes if isinstance(node.operator, kinds)]


def span(numbers: np.ndarray) -> str:
    low, high = int(numbers.min()), int(numbers.max())
    return str(low) if low == high else f"{low}..{high}"


@pytest.mark.parametrize("name", models.NAMES)
@pytest.mark.parametrize("semantics", Semantics)
def test_imports_and_survives_a_round_trip(name: str, semantics: Semantics) -> None:
    model = models.load(name, semantics)
    assert decode_model(encode_model(model)) == model


@pytest.mark.parametrize("name", models.NAMES)
def test_linear_nodes_have_the_listed_bounds_and_multipliers(name: str) -> None:
    model = models.load(name, Semantics.CLASSIC)
    ranges = value_ranges(model.graph, model.constants)
    rows = [row for row in models.layers(name) if row["op"] in {"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"}]
    nodes = nodes_of(model, *LINEAR)
    assert len(rows) == len(nodes) > 0
    found = []
    for node in nodes:
        bounds = accumulator_bounds(model.graph, node, [ranges[i] for i in node.inputs], model.constants)
        accumulators = (int(bounds.any_order.max()), int(bounds.low.min()), int(bounds.high.max()))
        found.append((*map(str, accumulators), *(span(model.constants[i]) for i in node.constants[2:])))
    # The table is in the file's order, the nodes in canonical order.
    listed = [(row["acc_bound"], row["acc_lo"], row["acc_hi"], row["mult"], row["shift"]) for row in rows]
    assert sorted(found) == sorted(listed)


@pytest.mark.parametrize("name", models.NAMES)
def test_additions_have_the_listed_multipliers(name: str) -> None:
    rows = [row for row in models.layers(name) if row["op"] == "ADD"]
    nodes = nodes_of(models.load(name), Add)
    assert len(rows) == len(nodes)
    for row, node in zip(rows, nodes, strict=True):
        parts = (node.operator.a, node.operator.b, node.operator.out)
        assert ",".join(str(part.multiplier) for part in parts) == row["mult"]
        assert ",".join(str(part.shift) for part in parts) == row["shift"]


@pytest.mark.parametrize("name", models.NAMES)
def test_work_is_the_listed_macs(name: str) -> None:
    assert models.load(name).work().macs == sum(int(row["macs"]) for row in models.layers(name))


def test_semantics_differ_in_fully_connected_alone() -> None:
    litert, classic = (models.load("mlperftiny_ic_resnet8", semantics) for semantics in Semantics)
    for a, b in zip(litert.graph.nodes, classic.graph.nodes, strict=True):
        if isinstance(a.operator, FullyConnected):
            assert (a.operator.rounding, b.operator.rounding) == (Rounding.SINGLE, Rounding.DOUBLE)
        else:
            assert a == b
    assert litert.digest != classic.digest


def test_constants_are_views_that_nobody_can_write() -> None:
    model = models.load("tflm_hello_world")
    with pytest.raises(ValueError, match="read-only"):
        model.constants[0][...] = 0
    assert all(array.dtype.kind in "iu" for array in model.constants)
    assert np.count_nonzero(model.constants[0])
