# SPDX-License-Identifier: Apache-2.0
"""The models whose succinct proofs are vectors: every operator of the suite, at sizes of a few hundred elements."""

from typing import Any

from vcompute.task import DType, Model, Node, build
from vcompute.task import operators as ops
from vcompute.task.operators import Requant, Rounding, Window
from vectors.toys import SAME, channels, graph, int8, value

PLAIN = Window(1, 1, 1, 1, 0, 0, 0, 0)
WIDE = (-128, 127)


def models() -> dict[str, Model]:
    """By name."""
    return {
        "dense": dense_network("dense"),
        "other": dense_network("other"),
        "image": image_network(),
        "gated": gated_network(),
        "pooled": pooled_network(),
        "heads": heads_network(),
        "scene": scene_network(),
        "narrow": narrow_network(),
    }


def dense_network(name: str) -> Model:
    """Three dense layers: a requantisation of each form, then public accumulators."""
    sizes, zeros = (5, 6, 3, 2), (4, 9, -128, -3)
    nodes: list[Node] = []
    constants: list[Any] = []
    for layer in range(3):
        depth, width = sizes[layer], sizes[layer + 1]
        label = f"succinct/{name}/{layer}"
        constants += [int8(label, width, depth), *channels(label, width)]
        numbers = tuple(range(4 * layer, 4 * layer + 4))
        kind = value((width,), zeros[layer + 1])
        nodes.append(Node(ops.FullyConnected(Rounding.DOUBLE, -128, 127), (layer,), numbers, kind))
    return build(graph([value((5,), zeros[0])], constants, nodes, [3]), constants)


def gated_network() -> Model:
    """Two dense layers whose values are multiplied, before a third."""
    constants: list[Any] = []
    for layer in range(3):
        constants += [int8(f"succinct/gated/{layer}", 4, 4), *channels(f"succinct/gated/{layer}", 4)]
    kind, dense = value((4,), 3), ops.FullyConnected(Rounding.DOUBLE, -128, 127)
    nodes = [
        Node(dense, (0,), (0, 1, 2, 3), kind),
        Node(dense, (0,), (4, 5, 6, 7), kind),
        Node(ops.Mul(Requant(1 << 30, -6), Rounding.DOUBLE, -128, 127), (1, 2), (), kind),
        Node(dense, (3,), (8, 9, 10, 11), kind),
    ]
    return build(graph([kind], constants, nodes, [4]), constants)


def pooled_network() -> Model:
    """A maximum and a mean over windows that reach beyond the image, and a RESHAPE across axes, between two layers."""
    constants: list[Any] = [int8("succinct/pooled/0", 3, 1, 1, 2), *channels("succinct/pooled/0", 3)]
    constants += [int8("succinct/pooled/1", 2, 10), *channels("succinct/pooled/1", 2)]
    plain, padded = Window(1, 1, 1, 1, 0, 0, 0, 0), Window(2, 1, 1, 1, 1, 1, 1, 1)
    nodes = [
        Node(ops.Conv2D(plain, Rounding.DOUBLE, -128, 127), (0,), (0, 1, 2, 3), value((5, 4, 3), 6)),
        Node(ops.MaxPool2D(padded, 2, 3, -90, 80), (1,), (), value((3, 4, 3), 6)),
        Node(ops.AveragePool2D(SAME, 3, 3, -128, 127), (2,), (), value((3, 4, 3), 6)),
        Node(ops.Pad((0, 1, 0), (0, 0, 1), -20), (3,), (), value((3, 5, 4), 6)),
        Node(ops.Reshape(), (4,), (), value((6, 10), 6)),
        Node(ops.FullyConnected(Rounding.DOUBLE, -128, 127), (5,), (4, 5, 6, 7), value((6, 2), -3)),
    ]
    return build(graph([value((5, 4, 2), -3)], constants, nodes, [6]), constants)


def interior_softmax() -> Model:
    """A SOFTMAX of proved values that another layer reads."""
    constants = []
    for layer in range(2):
        constants += [int8(f"succinct/softmax/{layer}", 4, 4), *channels(f"succinct/softmax/{layer}", 4)]
    kind, dense = value((4,), 3), ops.FullyConnected(Rounding.DOUBLE, -128, 127)
    nodes = [
        Node(dense, (0,), (0, 1, 2, 3), kind),
        Node(ops.Add(Requant(1 << 30, 0), Requant(1 << 30, 0), Requant(1 << 30, -18), -128, 127), (1, 0), (), kind),
        Node(ops.Softmax(1 << 30, 4), (2,), (), value((4,), -128)),
        Node(dense, (3,), (4, 5, 6, 7), kind),
    ]
    return build(graph([kind], constants, nodes, [4]), constants)


def image_network() -> Model:
    """Convolutions, a residual sum, a pool, and a final SOFTMAX."""
    kernels = [
        (int8("succinct/image/0", 4, 3, 3, 3), *channels("succinct/image/0", 4)),
        (int8("succinct/image/1", 4, 3, 3, 4), *channels("succinct/image/1", 4)),
        (int8("succinct/image/2", 3, 3, 4), *channels("succinct/image/2", 4)),
        (int8("succinct/image/3", 5, 4), *channels("succinct/image/3", 5)),
    ]
    strided, plain = Window(2, 2, 1, 1, 0, 0, 1, 1), Window(3, 3, 1, 1, 0, 0, 0, 0)
    wide, half = (-128, 127), Requant(1 << 30, 0)
    image, small = value((6, 6, 4), 5), value((3, 3, 4), 2)
    nodes = [
        Node(ops.Conv2D(SAME, Rounding.DOUBLE, 5, 127), (0,), (0, 1, 2, 3), image),
        Node(ops.Conv2D(SAME, Rounding.SINGLE, *wide), (1,), (4, 5, 6, 7), image),
        Node(ops.Add(half, half, Requant(1 << 30, -18), *wide), (1, 2), (), value((6, 6, 4), 7)),
        Node(ops.DepthwiseConv2D(strided, 1, Rounding.DOUBLE, *wide), (3,), (8, 9, 10, 11), small),
        Node(ops.AveragePool2D(plain, 3, 3, *wide), (4,), (), value((1, 1, 4), 2)),
        Node(ops.Reshape(), (5,), (), value((4,), 2)),
        Node(ops.FullyConnected(Rounding.DOUBLE, *wide), (6,), (12, 13, 14, 15), value((5,), -3)),
        Node(ops.Softmax(1 << 30, 4), (7,), (), value((5,), -128)),
    ]
    constants = [array for kernel in kernels for array in kernel]
    return build(graph([value((6, 6, 3), -128)], constants, nodes, [8]), constants)


class _Sketch:
    """A model under construction."""

    def __init__(self, label: str, *inputs: Any) -> None:
        self.label, self.values, self.nodes = label, list(inputs), list[Node]()
        self.inputs = len(inputs)
        self.constants: list[Any] = []

    def put(self, operator: ops.Operator, reads: tuple[int, ...], kind: Any, *constants: Any) -> int:
        """Append a node; the number of its value."""
        first = len(self.constants)
        self.constants += constants
        self.nodes.append(Node(operator, reads, tuple(range(first, len(self.constants))), kind))
        self.values.append(kind)
        return len(self.values) - 1

    def weights(self, *shape: int, outputs: int) -> tuple[Any, ...]:
        """A filter, and the constants of its channels."""
        label = f"succinct/{self.label}/{len(self.nodes)}"
        return (int8(label, *shape), *channels(label, outputs))

    def dense(self, read: int, width: int, zero_point: int) -> int:
        """A FULLY_CONNECTED."""
        shape = self.values[read].shape
        constants = self.weights(width, shape[-1], outputs=width)
        return self.put(
            ops.FullyConnected(Rounding.SINGLE, *WIDE), (read,), value((*shape[:-1], width), zero_point), *constants
        )

    def model(self, *outputs: int) -> Model:
        """The model."""
        return build(graph(self.values[: self.inputs], self.constants, self.nodes, outputs), self.constants)


def narrow_network() -> Model:
    """Layers of few values: every remainder is below a divisor of its channel's own, and one limb long."""
    sketch = _Sketch("narrow", value((3, 3, 2), -3))
    label = "succinct/narrow"
    across = ops.Conv2D(PLAIN, Rounding.DOUBLE, 2, 8)
    seen = sketch.put(
        across, (0,), value((3, 3, 4), 5), int8(f"{label}/0", 4, 1, 1, 2), *channels(f"{label}/0", 4, (-4, -5))
    )
    along = ops.DepthwiseConv2D(Window(1, 1, 1, 1, 0, 0, 0, 0), 1, Rounding.SINGLE, 1, 9)
    kernel = int8(f"{label}/1", 2, 2, 4)
    small = sketch.put(along, (seen,), value((2, 2, 4), 1), kernel, *channels(f"{label}/1", 4, (-3, -4)))
    flat = sketch.put(ops.Reshape(), (small,), value((16,), 1))
    dense = ops.FullyConnected(Rounding.SINGLE, -6, 0)
    few = sketch.put(dense, (flat,), value((3,), -6), int8(f"{label}/3", 3, 16), *channels(f"{label}/3", 3, (-4, -5)))
    return sketch.model(sketch.dense(few, 2, 4))


def heads_network() -> Model:
    """Two heads that look at three tokens, with a LOGISTIC where a SOFTMAX would be, and int32 outputs."""
    sketch = _Sketch("heads", value((3, 4), 3))
    split, scores = value((3, 2, 3), 6), value((2, 3, 3), -4)  # 6 is cut into 2 and 3 in the columns too
    looked = sketch.put(ops.Reshape(), (sketch.dense(0, 6, 6),), split)
    looked = sketch.put(ops.Transpose((1, 0, 2)), (looked,), value((2, 3, 3), 6))
    asked = sketch.put(ops.Reshape(), (sketch.dense(0, 6, 6),), split)
    asked = sketch.put(ops.Transpose((1, 2, 0)), (asked,), value((2, 3, 3), 6))
    across = ops.BatchMatMul(False, False, Requant(1518500250, -7), Rounding.DOUBLE, *WIDE)
    score = sketch.put(across, (looked, asked), scores)
    weight = sketch.put(ops.Logistic(), (score,), value((2, 3, 3), -128), int8("succinct/heads/table", 256))
    given = sketch.put(ops.Transpose((1, 0)), (sketch.dense(0, 2, -9),), value((2, 3), -9))
    along = ops.BatchMatMul(True, True, Requant(1718500250, -9), Rounding.SINGLE, -100, 100)
    mixed = sketch.put(along, (weight, given), value((2, 3, 2), 6))
    joined = sketch.put(ops.Transpose((1, 0, 2)), (mixed,), value((3, 2, 2), 6))
    flat = sketch.put(ops.Reshape(), (joined,), value((3, 4), 6))
    last = int8("succinct/heads/last", 5, 4)
    return sketch.model(sketch.put(ops.MatMul(), (flat,), value((3, 5), 0, DType.INT32), last))


def scene_network() -> Model:
    """Windows with dilation and two outputs for each channel, joined images, a gate, two values that are bound, one an
    output and one that travels, and a sum that is public.
    """
    sketch = _Sketch("scene", value((4, 4, 2), -3))
    dilated = ops.Conv2D(Window(1, 1, 2, 1, 1, 0, 1, 1), Rounding.SINGLE, -90, 127)
    seen = sketch.put(dilated, (0,), value((4, 4, 2), 4), *sketch.weights(2, 2, 2, 2, outputs=2))
    twice = ops.DepthwiseConv2D(Window(2, 2, 1, 1, 0, 1, 1, 1), 2, Rounding.DOUBLE, *WIDE)
    small = sketch.put(twice, (seen,), value((2, 2, 4), 4), *sketch.weights(3, 3, 4, outputs=4))
    scaled = sketch.put(ops.Quantize(Requant(1431655766, 0), Rounding.DOUBLE, *WIDE), (small,), value((2, 2, 4), 7))
    greatest = sketch.put(ops.MaxPool2D(Window(2, 2, 1, 1, 0, 0, 0, 0), 2, 2, *WIDE), (seen,), value((2, 2, 2), 4))
    picked = sketch.put(ops.MaxPool2D(PLAIN, 1, 1, -128, 100), (greatest,), value((2, 2, 2), 4))
    shifted = ops.Quantize(Requant(1932735283, 0), Rounding.SINGLE, *WIDE)
    other = sketch.put(shifted, (picked,), value((2, 2, 2), 7))
    image = sketch.put(ops.Concatenation(2), (scaled, other, other), value((2, 2, 8), 7))
    inner = ops.AveragePool2D(Window(1, 1, 1, 1, 0, 0, 1, 1), 2, 2, *WIDE)
    even = sketch.put(inner, (image,), value((2, 2, 8), 7))
    mean = sketch.put(
        ops.Mean((0, 1), True, Requant(1431655765, -1), Rounding.DOUBLE, *WIDE), (even,), value((1, 1, 8), -1)
    )
    gate = sketch.put(ops.Logistic(), (mean,), value((1, 1, 8), -128), int8("succinct/scene/gate", 256))
    product = ops.Mul(Requant(1288490189, -6), Rounding.DOUBLE, -100, 100)
    gated = sketch.put(product, (even, gate), value((2, 2, 8), 5))
    shift = sketch.put(ops.Constant(), (), value((8,), 9), int8("succinct/scene/shift", 8))
    half, third = Requant(1 << 30, 0), Requant(1288490189, -1)
    total = sketch.put(ops.Add(half, third, Requant(1610612736, -18), *WIDE), (gated, shift), value((2, 2, 8), 5))
    rows = sketch.put(ops.Mean((0,), False, Requant(1431655765, 0), Rounding.SINGLE, *WIDE), (gated,), value((2, 8), 2))
    scores = sketch.dense(rows, 3, -3)
    doubled = sketch.put(ops.Add(half, half, Requant(1 << 30, -17), *WIDE), (scores, scores), value((2, 3), -3))
    best = sketch.put(ops.Softmax(1717986918, 23), (doubled,), value((2, 3), -128))
    shown = sketch.put(ops.Quantize(Requant(1 << 30, 0), Rounding.DOUBLE, *WIDE), (total,), value((2, 2, 8), 0))
    return sketch.model(best, shown, rows, scores)
