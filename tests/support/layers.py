# SPDX-License-Identifier: Apache-2.0
"""Models whose values are proved, between layers that change nothing; and extreme inputs."""

import numpy as np

from vcompute.task import Batch, Graph, Model, Node, build, make_batch
from vcompute.task import operators as ops
from vcompute.task.operators import Rounding
from vcompute.task.tensor import ConstantType, DType, NDArray, ValueType, dtype_of

FILLS = ("random", "least", "greatest", "ends", "zero points", "equal")


def between_layers(model: Model) -> Model:
    """The model, each input through a layer that gives it on as it is, and its output into another one."""
    graph, constants, nodes = model.graph, list(model.constants), []

    def same(value: int, kind: ValueType) -> int:
        """One channel a value, weight and factor 1."""
        size, start = kind.shape[-1], len(constants)
        constants.extend(
            [np.eye(size, dtype="i1"), np.zeros(size, "<i4"), np.full(size, 1 << 30, "<i4"), np.full(size, 1, "i1")]
        )
        layer = ops.FullyConnected(Rounding.DOUBLE, -128, 127)
        nodes.append(Node(layer, (value,), tuple(range(start, start + 4)), kind))
        return len(graph.inputs) + len(nodes) - 1

    moved = [same(i, kind) if kind.shape else i for i, kind in enumerate(graph.inputs)]
    for node in graph.nodes:
        nodes.append(Node(node.operator, tuple(moved[i] for i in node.inputs), node.constants, node.output))
        moved.append(len(graph.inputs) + len(nodes) - 1)
    outputs = []
    for output in graph.outputs:
        kind = graph.values[output]
        outputs.append(same(moved[output], kind) if kind.dtype is DType.INT8 and kind.shape else moved[output])
    types = tuple(ConstantType(dtype_of(array), array.shape) for array in constants)
    return build(
        Graph(1, graph.inputs, types, tuple(nodes), tuple(outputs), graph.input_scales, graph.output_scales), constants
    )


def batch_of(model: Model, fill: str, size: int, seed: int) -> Batch:
    """Inputs at an extreme: all at one end, both ends at random, nothing but zero points, all samples alike."""
    rng = np.random.default_rng(seed)

    def array(kind: ValueType) -> NDArray:
        shape = (size, *kind.shape)
        constants = {"least": -128, "greatest": 127, "zero points": kind.zero_point}
        if fill in constants:
            return np.full(shape, constants[fill], "i1")
        if fill == "ends":
            return rng.choice(np.array([-128, 127], "i1"), shape)
        if fill == "equal":
            return np.repeat(rng.integers(-128, 128, (1, *kind.shape)).astype("i1"), size, axis=0)
        return rng.integers(-128, 128, shape).astype("i1")

    return make_batch([array(kind) for kind in model.graph.inputs])
