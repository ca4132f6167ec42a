# SPDX-License-Identifier: Apache-2.0
"""Small dense networks with random constants."""

import numpy as np

from vcompute.task import (
    Batch,
    ConstantType,
    DType,
    Graph,
    Model,
    Node,
    QuantizationScale,
    Rounding,
    ValueType,
    build,
    make_batch,
)
from vcompute.task.operators import FullyConnected, MatMul, Reshape, Softmax

SCALE = QuantizationScale.of(0.5)


def int8(shape: tuple[int, ...], zero_point: int = 0) -> ValueType:
    return ValueType(DType.INT8, shape, zero_point)


def dense(seed: int = 1, depth: int = 12, hidden: int = 9) -> Model:
    """(depth,) -> reshape -> FULLY_CONNECTED -> FULLY_CONNECTED -> SOFTMAX, and a MATMUL of the hidden layer.

    Two outputs: int8 (2, 5) and int32 (2, 3); the input has 2 * depth elements.
    """
    rng = np.random.default_rng(seed)
    constants: list[np.ndarray] = []
    types: list[ConstantType] = []

    def constant(array: np.ndarray, dtype: DType) -> int:
        constants.append(array)
        types.append(ConstantType(dtype, array.shape))
        return len(types) - 1

    def weights(rows: int, cols: int) -> int:
        return constant(rng.integers(-128, 128, (rows, cols), np.int8), DType.INT8)

    def layer(rows: int, cols: int) -> tuple[int, ...]:
        return (
            weights(rows, cols),
            constant(rng.integers(-5000, 5000, rows).astype("<i4"), DType.INT32),
            constant(rng.integers(1 << 30, (1 << 31) - 1, rows).astype("<i4"), DType.INT32),
            constant(np.full(rows, -8, np.int8), DType.INT8),
        )

    nodes = (
        Node(Reshape(), (0,), (), int8((2, depth), 3)),
        Node(FullyConnected(Rounding.DOUBLE, -20, 127), (1,), layer(hidden, depth), int8((2, hidden), -20)),
        Node(FullyConnected(Rounding.SINGLE, -128, 127), (2,), layer(5, hidden), int8((2, 5), 7)),
        Node(Softmax(1 << 30, 22), (3,), (), int8((2, 5), -128)),
        Node(MatMul(), (2,), (weights(3, hidden),), ValueType(DType.INT32, (2, 3), 0)),
    )
    graph = Graph(1, (int8((2 * depth,), 3),), tuple(types), nodes, (4, 5), (SCALE,), (SCALE, SCALE))
    return build(graph, constants)


def samples(model: Model, size: int = 4, seed: int = 2) -> Batch:
    """Uniform inputs."""
    rng = np.random.default_rng(seed)
    return make_batch([rng.integers(-128, 128, (size, *value.shape), np.int8) for value in model.graph.inputs])
