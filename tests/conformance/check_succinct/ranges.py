# SPDX-License-Identifier: Apache-2.0
"""What every value and accumulator of a model can be over all inputs, from the model alone."""

from graph import (
    AVERAGE,
    CONSTANT,
    CONV,
    DEPTHWISE,
    JOIN,
    LOGISTIC,
    LOW,
    MATMUL,
    MATRICES,
    MAXIMUM,
    MEAN,
    MUL,
    PAD,
    RESHAPE,
    TRANSPOSE,
    Graph,
    Node,
    windows,
)
from semantics import clamp

Range = tuple[int, int]
Constants = list[list[int]]
WHOLE = (-128, 127)


def hull(*ranges: Range) -> Range:
    return min(low for low, _ in ranges), max(high for _, high in ranges)


def value_ranges(graph: Graph, constants: Constants) -> list[Range]:
    """By value number."""
    found = [WHOLE] * graph.first
    for node in graph.nodes:
        found.append(output_range(node, [found[operand] for operand in node.inputs], constants))
    return found


def output_range(node: Node, reads: list[Range], constants: Constants) -> Range:
    if node.operator in (RESHAPE, TRANSPOSE, JOIN):
        return hull(*reads)
    if node.operator == PAD:
        return hull(*reads, (node.attributes[2],) * 2)
    if node.operator == CONSTANT:
        return min(constants[node.constants[0]]), max(constants[node.constants[0]])
    if node.operator in (AVERAGE, MAXIMUM):
        low, high = (clamp(end, *node.clamp) for end in reads[0])
        return low, high
    if node.operator == LOGISTIC:
        reached = constants[node.constants[0]][reads[0][0] + 128 : reads[0][1] + 129]
        return min(reached), max(reached)
    return node.clamp if node.operator in LOW else WHOLE  # a MATMUL's is read by no node


def accumulator_ranges(graph: Graph, node: Node, ranges: list[Range], constants: Constants) -> list[Range]:
    """The exact range of what a floor is of: for each channel of a linear node; for each number of pixels of a pool,
    their sum; else one, of the products or of the sum over axes.
    """
    centred = []
    for operand in node.inputs:
        (low, high), zero = ranges[operand], graph.values[operand].zero
        centred.append((low - zero, high - zero))
    if node.operator == AVERAGE:
        low, high = ranges[node.inputs[0]]
        return [(count * low, count * high) for count in sorted(set(windows(graph, node)))]
    if node.operator == MEAN:
        count = graph.values[node.inputs[0]].size // node.value.size
        return [(count * centred[0][0], count * centred[0][1])]
    if node.operator in (MUL, MATRICES):
        products = [x * y for x in centred[0] for y in centred[1]]
        shape = graph.values[node.inputs[0]].shape
        depth = shape[-2 if node.attributes[0] else -1] if node.operator == MATRICES else 1
        return [(depth * min(products), depth * max(products))]
    low, high = centred[0]
    if node.operator in (CONV, DEPTHWISE) and any(node.attributes[0][side] for side in range(4, 8)):
        low, high = hull((low, high), (0, 0))  # a tap beside the image adds nothing
    found = []
    for channel in range(node.value.shape[-1]):
        weights = weights_of(node, constants, channel)
        positive = sum(weight for weight in weights if weight > 0)
        negative = sum(weight for weight in weights if weight < 0)
        bias = 0 if node.operator == MATMUL else constants[node.constants[1]][channel]
        found.append((bias + positive * low + negative * high, bias + positive * high + negative * low))
    return found


def weights_of(node: Node, constants: Constants, channel: int) -> list[int]:
    """The weights of an output channel."""
    kernel, channels = constants[node.constants[0]], node.value.shape[-1]
    if node.operator == DEPTHWISE:
        return kernel[channel::channels]
    size = len(kernel) // channels
    return kernel[channel * size : (channel + 1) * size]
