# SPDX-License-Identifier: Apache-2.0
"""The graph: canonical order as a law, one encoding, and every malformed graph refused by its own code."""

from collections.abc import Callable
from dataclasses import replace
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support import random_models
from vcompute.codec import encode
from vcompute.data import digits_model
from vcompute.errors import EncodingError, TaskError
from vcompute.importers import import_tflite
from vcompute.registry import ErrorCode
from vcompute.task import (
    ConstantType,
    DType,
    Graph,
    Model,
    Node,
    QuantizationScale,
    Rounding,
    ValueType,
    Window,
    build,
    canonical,
    decode_graph,
    encode_graph,
)
from vcompute.task import operators as ops
from vcompute.task.limits import MAX_DIMENSION

INT8 = DType.INT8
SCALE = QuantizationScale(0)
REQUANT = ops.Requant(1 << 30, 0)
PLAIN = Window(1, 1, 1, 1, 0, 0, 0, 0)


def value(*shape: int, zero_point: int = 0, dtype: DType = INT8) -> ValueType:
    return ValueType(dtype, shape, zero_point)


def graph(
    nodes: list[Node], inputs: tuple[ValueType, ...], constants: tuple[ConstantType, ...] = (), **changes: Any
) -> Graph:
    outputs = changes.pop("outputs", (len(inputs) + len(nodes) - 1,))
    scales = {"input_scales": (SCALE,) * len(inputs), "output_scales": (SCALE,) * len(outputs)}
    return Graph(
        **{
            "version": 1,
            "inputs": inputs,
            "constants": constants,
            "nodes": tuple(nodes),
            "outputs": outputs,
            **scales,
            **changes,
        }
    )


def single(
    operator: ops.Operator, inputs: tuple[ValueType, ...], output: ValueType, constants: tuple[ConstantType, ...] = ()
) -> Graph:
    node = Node(operator, tuple(range(len(inputs))), tuple(range(len(constants))), output)
    return graph([node], inputs, constants)


def linear_constants(kernel: tuple[int, ...], channels: int) -> tuple[ConstantType, ...]:
    return (
        ConstantType(INT8, kernel),
        ConstantType(DType.INT32, (channels,)),
        ConstantType(DType.INT32, (channels,)),
        ConstantType(INT8, (channels,)),
    )


def convolution(
    window: Window = PLAIN, kernel: tuple[int, ...] = (2, 3, 3, 1), out: tuple[int, ...] = (3, 3, 2), **clamp: int
) -> Graph:
    operator = ops.Conv2D(window, Rounding.DOUBLE, **{"low": -128, "high": 127, **clamp})
    return single(operator, (value(5, 5, 1),), value(*out), linear_constants(kernel, kernel[0]))


RESHAPE = single(ops.Reshape(), (value(2, 3),), value(6))
PAIR = graph([Node(ops.Reshape(), (0,), (), value(6)), Node(ops.Reshape(), (1,), (), value(3, 2))], (value(2, 3),))
SUM = single(ops.Add(REQUANT, REQUANT, REQUANT, -128, 127), (value(4), value(4)), value(4))


def test_the_valid_ones_are_valid() -> None:
    for each in (RESHAPE, PAIR, SUM, convolution()):
        assert decode_graph(encode_graph(each)) == each


def heavy() -> Graph:
    """Sixty-five products of 2**42 multiplications each."""
    operator = ops.BatchMatMul(False, False, REQUANT, Rounding.DOUBLE, -128, 127)
    side = value(1 << 14, 1 << 14)
    nodes = [Node(operator, (index, index), (), side) for index in range(65)]
    return graph(nodes, (side,))


Change = Callable[[], Graph]
MALFORMED: dict[str, tuple[Change, ErrorCode, str]] = {
    "a value that is not there": (
        lambda: replace(RESHAPE, nodes=(replace(RESHAPE.nodes[0], inputs=(5,)),)),
        ErrorCode.INVALID_GRAPH,
        "does not stand before",
    ),
    "a node that reads itself": (
        lambda: replace(RESHAPE, nodes=(replace(RESHAPE.nodes[0], inputs=(1,)),)),
        ErrorCode.INVALID_GRAPH,
        "does not stand before",
    ),
    "a cycle": (
        lambda: replace(PAIR, nodes=(replace(PAIR.nodes[0], inputs=(2,)), PAIR.nodes[1])),
        ErrorCode.INVALID_GRAPH,
        "does not stand before",
    ),
    "a constant that is not there": (
        lambda: replace(RESHAPE, nodes=(replace(RESHAPE.nodes[0], constants=(0,)),)),
        ErrorCode.INVALID_GRAPH,
        "constant that is not there",
    ),
    "an input as output": (lambda: replace(RESHAPE, outputs=(0,)), ErrorCode.INVALID_GRAPH, "not the output of a node"),
    "an output that is not there": (
        lambda: replace(RESHAPE, outputs=(2,)),
        ErrorCode.INVALID_GRAPH,
        "not the output of a node",
    ),
    "an output named twice": (
        lambda: replace(RESHAPE, outputs=(1, 1), output_scales=(SCALE, SCALE)),
        ErrorCode.INVALID_GRAPH,
        "named twice",
    ),
    "a missing scale": (lambda: replace(SUM, input_scales=(SCALE,)), ErrorCode.INVALID_GRAPH, "one scale for each"),
    "too many scales": (
        lambda: replace(SUM, output_scales=(SCALE, SCALE)),
        ErrorCode.INVALID_GRAPH,
        "one scale for each",
    ),
    "an input that nobody reads": (
        lambda: replace(
            RESHAPE,
            inputs=(*RESHAPE.inputs, value(1)),
            nodes=(RESHAPE.nodes[0],),
            outputs=(2,),
            input_scales=(SCALE, SCALE),
        ),
        ErrorCode.INVALID_GRAPH,
        "read by no node",
    ),
    "a node that nobody needs": (lambda: replace(PAIR, outputs=(1,)), ErrorCode.INVALID_GRAPH, "canonical order"),
    "a constant that nobody reads": (
        lambda: replace(RESHAPE, constants=(ConstantType(INT8, (1,)),)),
        ErrorCode.INVALID_GRAPH,
        "canonical order",
    ),
    "too few operands": (
        lambda: single(ops.Add(REQUANT, REQUANT, REQUANT, -128, 127), (value(4),), value(4)),
        ErrorCode.INVALID_GRAPH,
        "wrong number of operands",
    ),
    "too many operands": (
        lambda: single(ops.Reshape(), (value(6), value(6)), value(6)),
        ErrorCode.INVALID_GRAPH,
        "wrong number of operands",
    ),
    "too few constants": (
        lambda: single(convolution().nodes[0].operator, (value(5, 5, 1),), value(3, 3, 2)),
        ErrorCode.INVALID_GRAPH,
        "wrong number of constants",
    ),
    "too many constants": (
        lambda: single(ops.Reshape(), (value(6),), value(6), (ConstantType(INT8, (1,)),)),
        ErrorCode.INVALID_GRAPH,
        "wrong number of constants",
    ),
    "an int32 operand": (
        lambda: single(ops.Reshape(), (value(6, dtype=DType.INT32),), value(6)),
        ErrorCode.INVALID_GRAPH,
        "type it does not take",
    ),
    "an int32 result": (
        lambda: single(ops.Reshape(), (value(6),), value(6, dtype=DType.INT32)),
        ErrorCode.INVALID_GRAPH,
        "wrong output type",
    ),
    "a wrong output shape": (lambda: convolution(out=(3, 3, 3)), ErrorCode.INVALID_SHAPE, "output shape"),
    "another number of elements": (
        lambda: single(ops.Reshape(), (value(6),), value(7)),
        ErrorCode.INVALID_SHAPE,
        "number of elements",
    ),
    "another zero point": (
        lambda: single(ops.Reshape(), (value(6),), value(6, zero_point=1)),
        ErrorCode.VALUE_OUT_OF_RANGE,
        "one zero point",
    ),
    "a filter of another depth": (lambda: convolution(kernel=(2, 3, 3, 2)), ErrorCode.INVALID_SHAPE, "filter depth"),
    "a filter of three axes": (lambda: convolution(kernel=(2, 3, 3)), ErrorCode.INVALID_SHAPE, "needs an image"),
    "a window larger than the image": (
        lambda: convolution(kernel=(2, 6, 6, 1)),
        ErrorCode.INVALID_SHAPE,
        "larger than the padded image",
    ),
    "padding past the window": (
        lambda: convolution(replace(PLAIN, pad_top=3)),
        ErrorCode.INVALID_SHAPE,
        "padding reaches past",
    ),
    "an empty clamp": (lambda: convolution(low=5, high=4), ErrorCode.VALUE_OUT_OF_RANGE, "clamp range is empty"),
    "shapes that do not broadcast": (
        lambda: single(SUM.nodes[0].operator, (value(4), value(3)), value(4)),
        ErrorCode.INVALID_SHAPE,
        "do not broadcast",
    ),
    "a sum that shifts left": (
        lambda: single(ops.Add(REQUANT, REQUANT, ops.Requant(1 << 30, 1), -128, 127), (value(4), value(4)), value(4)),
        ErrorCode.VALUE_OUT_OF_RANGE,
        "must not exceed 0",
    ),
    "no permutation": (
        lambda: single(ops.Transpose((0, 0)), (value(2, 3),), value(2, 2)),
        ErrorCode.INVALID_SHAPE,
        "not a permutation",
    ),
    "an axis that is not there": (
        lambda: single(ops.Concatenation(2), (value(2, 3), value(2, 3)), value(4, 3)),
        ErrorCode.INVALID_SHAPE,
        "axis",
    ),
    "axes out of order": (
        lambda: single(ops.Mean((1, 0), False, REQUANT, Rounding.DOUBLE, -128, 127), (value(2, 3),), value()),
        ErrorCode.INVALID_SHAPE,
        "ascending",
    ),
    "paddings of another rank": (
        lambda: single(ops.Pad((1,), (1,), 0), (value(2, 3),), value(4, 3)),
        ErrorCode.INVALID_SHAPE,
        "one amount for each axis",
    ),
    "a dilated pool": (
        lambda: single(ops.MaxPool2D(replace(PLAIN, dilation_h=2), 1, 1, -128, 127), (value(4, 4, 1),), value(4, 4, 1)),
        ErrorCode.INVALID_SHAPE,
        "not dilated",
    ),
    "a softmax of nothing": (
        lambda: single(ops.Softmax(1 << 30, 20), (value(),), value(zero_point=-128)),
        ErrorCode.INVALID_SHAPE,
        "at least one axis",
    ),
    "a softmax row too long": (
        lambda: single(ops.Softmax(1 << 30, 20), (value(4096),), value(4096, zero_point=-128)),
        ErrorCode.INVALID_SHAPE,
        "too long",
    ),
    "a softmax of another zero point": (
        lambda: single(ops.Softmax(1 << 30, 20), (value(4),), value(4)),
        ErrorCode.VALUE_OUT_OF_RANGE,
        "zero point",
    ),
    "a table of another size": (
        lambda: single(ops.Logistic(), (value(4),), value(4, zero_point=-128), (ConstantType(INT8, (255,)),)),
        ErrorCode.INVALID_SHAPE,
        "does not fit",
    ),
    "inner sizes that differ": (
        lambda: single(
            ops.BatchMatMul(False, False, REQUANT, Rounding.DOUBLE, -128, 127), (value(2, 3), value(4, 5)), value(2, 5)
        ),
        ErrorCode.INVALID_SHAPE,
        "inner sizes",
    ),
    "an int32 value with a zero point": (
        lambda: single(
            ops.MatMul(), (value(3),), value(2, zero_point=1, dtype=DType.INT32), (ConstantType(INT8, (2, 3)),)
        ),
        ErrorCode.VALUE_OUT_OF_RANGE,
        "zero point",
    ),
    "a tensor too large": (
        lambda: single(ops.Reshape(), (value(MAX_DIMENSION, 32),), value(MAX_DIMENSION, 32)),
        ErrorCode.LIMIT_EXCEEDED,
        "too large",
    ),
    "more work than a task may have": (heavy, ErrorCode.LIMIT_EXCEEDED, "more work"),
}


@pytest.mark.parametrize("name", MALFORMED)
def test_malformed(name: str) -> None:
    """Through the bytes, as a reader meets it: the schema admits it, the graph's rules do not."""
    make, code, message = MALFORMED[name]
    with pytest.raises(TaskError, match=message) as caught:
        decode_graph(encode(make()))
    assert caught.value.code is code


@pytest.mark.parametrize(
    "change",
    [
        {"version": 2},
        {"inputs": ()},
        {"nodes": ()},
        {"outputs": ()},
        {"inputs": (value(0),)},
        {"inputs": (value(MAX_DIMENSION + 1),)},
        {"inputs": (value(1, 1, 1, 1, 1, 1, 1),)},
        {"inputs": (value(6, zero_point=128),)},
        {"outputs": (1 << 16,)},
    ],
    ids=str,
)
def test_outside_the_schema(change: dict[str, Any]) -> None:
    with pytest.raises(EncodingError) as caught:
        encode(replace(RESHAPE, **change))
    assert caught.value.code is ErrorCode.SCHEMA_VIOLATION


def relabelled(model: Model, random: Random) -> Model:
    """The same network with its nodes in another topological order and its constants in any, with dead ones between."""
    original, first = model.graph, len(model.graph.inputs)
    constants = list(range(len(original.constants)))
    random.shuffle(constants)
    place = {constant: position for position, constant in enumerate(constants)}
    done: dict[int, int] = {index: index for index in range(first)}
    nodes: list[Node] = []
    waiting = list(enumerate(original.nodes))
    while waiting:
        ready = [item for item in waiting if all(i in done for i in item[1].inputs)]
        index, node = random.choice(ready)
        waiting.remove((index, node))
        done[first + index] = first + len(nodes)
        moved = replace(
            node, inputs=tuple(done[i] for i in node.inputs), constants=tuple(place[c] for c in node.constants)
        )
        nodes.append(moved)
        if random.random() < 0.2:  # a node that nothing needs
            nodes.append(
                Node(
                    ops.Reshape(),
                    (done[first + index],),
                    (),
                    ValueType(INT8, (node.output.elements,), node.output.zero_point),
                )
            )
    mixed = replace(
        original,
        nodes=tuple(nodes),
        constants=tuple(original.constants[index] for index in constants),
        outputs=tuple(done[i] for i in original.outputs),
    )
    return build(mixed, [model.constants[index] for index in constants])


def diamond() -> Model:
    """Two branches that meet, two outputs, a filter that two nodes share, operands in an order of their own."""
    constants = linear_constants((3, 3), 3)
    dense = ops.FullyConnected(Rounding.SINGLE, -128, 127)
    out, add = value(3), SUM.nodes[0].operator
    nodes = [
        Node(dense, (0,), (0, 1, 2, 3), out),
        Node(dense, (1,), (0, 1, 2, 3), out),
        Node(add, (3, 2), (), out),
        Node(dense, (4,), (0, 4, 2, 3), out),
        Node(add, (5, 2), (), out),
    ]
    shape = graph(
        nodes,
        (value(3), value(3)),
        (*constants, ConstantType(DType.INT32, (3,))),
        outputs=(6, 4),
        output_scales=(SCALE, SCALE),
    )
    arrays = [
        np.arange(9, dtype=np.int8).reshape(3, 3),
        np.zeros(3, "<i4"),
        np.full(3, 1 << 30, "<i4"),
        np.zeros(3, np.int8),
        np.ones(3, "<i4"),
    ]
    return build(shape, arrays)


MODELS = [diamond(), import_tflite(digits_model()), import_tflite(random_models.build("concatenation", 3))]


@pytest.mark.parametrize("model", MODELS, ids=["diamond", "digits", "concatenation"])
@given(seed=st.integers(0, 2**32))
def test_every_topological_relabelling_has_one_digest(model: Model, seed: int) -> None:
    other = relabelled(model, Random(seed))
    assert other.encoded_graph == model.encoded_graph
    assert other.weights == model.weights
    assert other.digest == model.digest


@pytest.mark.parametrize("model", MODELS, ids=["diamond", "digits", "concatenation"])
def test_canonical_is_idempotent(model: Model) -> None:
    assert canonical(model.graph) == model.graph


@pytest.mark.parametrize("change", [{"inputs": (-1,)}, {"constants": (-1,)}], ids=str)
def test_negative_references_of_a_caller_are_refused(change: dict[str, Any]) -> None:
    with pytest.raises(TaskError, match=r"stand before it|not there"):
        build(replace(RESHAPE, nodes=(replace(RESHAPE.nodes[0], **change),)), [])


def test_operands_are_not_exchanged() -> None:
    """a + b and b + a are two graphs: their integers differ in general, their digests do."""
    swapped = replace(SUM, nodes=(replace(SUM.nodes[0], inputs=(1, 0)),))
    assert build(swapped, []).graph_digest != build(SUM, []).graph_digest


def test_deep_graphs_do_not_exhaust_the_stack() -> None:
    nodes = [Node(ops.Reshape(), (index,), (), value(6)) for index in range(5000)]
    deep = graph(nodes, (value(6),))
    assert decode_graph(encode_graph(deep)) == deep
