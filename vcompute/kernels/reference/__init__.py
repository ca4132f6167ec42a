# SPDX-License-Identifier: Apache-2.0
"""The exact arithmetic of operator set v1 in numpy: the executable specification, written to be read."""

from collections.abc import Sequence

from vcompute import stop
from vcompute.errors import TaskError
from vcompute.kernels.reference import activation, elementwise, layout, linear, pooling
from vcompute.registry import ErrorCode
from vcompute.task import Batch, Model, Node, check_batch
from vcompute.task import operators as ops
from vcompute.task.tensor import NDArray


def trace(model: Model, inputs: Batch) -> list[NDArray]:
    """Every value of a run by value number: inputs, then each node's output, as (N, *shape).

    Raises:
        TaskError: ``invalid_input`` where the batch is not of the graph's input types.
    """
    check_batch("input", inputs, model.graph.inputs)
    values: list[NDArray] = list(inputs.arrays)
    for node in model.graph.nodes:
        stop.check()
        constants = tuple(model.constants[index] for index in node.constants)
        values.append(evaluate(model, node, [values[index] for index in node.inputs], constants, inputs.size))
    return values


def run(model: Model, inputs: Batch) -> Batch:
    """The outputs of a run.

    Raises:
        TaskError: ``invalid_input`` where the batch is not of the graph's input types.
    """
    values = trace(model, inputs)
    return Batch(tuple(values[index] for index in model.graph.outputs))


def evaluate(  # noqa: PLR0912 - one branch for each operator
    model: Model, node: Node, operands: Sequence[NDArray], constants: tuple[NDArray, ...], batch: int
) -> NDArray:
    """The output of one node, (batch, *shape), from its operands' batches and its constants.

    Raises:
        TaskError: ``unsupported_operator``.
    """
    types, _ = model.graph.operand_types(node)
    zeros = [value.zero_point for value in types]
    output = node.output
    match node.operator:
        case ops.Conv2D() as operator:
            return linear.conv_2d(operator, operands[0], constants, zeros[0], output)
        case ops.DepthwiseConv2D() as operator:
            return linear.depthwise_conv_2d(operator, operands[0], constants, zeros[0], output)
        case ops.FullyConnected() as operator:
            return linear.fully_connected(operator, operands[0], constants, zeros[0], output)
        case ops.MatMul() as operator:
            return linear.matmul(operator, operands[0], constants, zeros[0], output)
        case ops.BatchMatMul() as operator:
            return linear.batch_matmul(operator, operands[0], operands[1], (zeros[0], zeros[1]), output)
        case ops.Add() as operator:
            return elementwise.add(operator, operands[0], operands[1], (zeros[0], zeros[1]), output)
        case ops.Mul() as operator:
            return elementwise.mul(operator, operands[0], operands[1], (zeros[0], zeros[1]), output)
        case ops.Quantize() as operator:
            return elementwise.quantize(operator, operands[0], zeros[0], output)
        case ops.AveragePool2D() as operator:
            return pooling.average_pool_2d(operator, operands[0], output)
        case ops.MaxPool2D() as operator:
            return pooling.max_pool_2d(operator, operands[0], output)
        case ops.Mean() as operator:
            return pooling.mean(operator, operands[0], zeros[0], output)
        case ops.Softmax() as operator:
            return activation.softmax(operator, operands[0], output)
        case ops.Logistic():
            return activation.logistic(operands[0], constants[0])
        case ops.Pad() as operator:
            return layout.pad(operator, operands[0])
        case ops.Concatenation() as operator:
            return layout.concatenation(operator, operands)
        case ops.Reshape():
            return layout.reshape(operands[0], output)
        case ops.Transpose() as operator:
            return layout.transpose(operator, operands[0])
        case ops.Constant():
            return layout.constant(constants[0], batch)
    raise TaskError(f"{node.operator.name}: no arithmetic", code=ErrorCode.UNSUPPORTED_OPERATOR)
